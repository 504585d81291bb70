"""What a model has learnt, as figures for a page: its latent space, its spectra of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.generation import Generator
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.reports.figures import BLUE, GREY, ORANGE, SENTINEL, style, with_gaps
from hsi_ssl.reports.html import inline_svg

POINTS = 600
"""Pixels of the latent space that are shown, at most: t-SNE takes most of a report's time."""
FEWEST_POINTS = 20
PERPLEXITY = 30
ROUNDS = 500
"""Of t-SNE, half of them with exaggerated affinities; later ones hardly move a point."""
POINT_AREA, POINT_SIZES = 12_000.0, (14.0, 60.0)
"""Of all points together, and of one, in square points: few pixels are drawn larger."""
SPECTRA = 300
"""Spectra of a class whose spread is shown, measured and generated ones."""
PANELS = 24
"""Classes whose spectra are shown, at most: those with the most pixels."""
BAND = (0.05, 0.5, 0.95)
"""Quantiles: of ten spectra, nine lie between the outer ones."""
MEASURED, GENERATED = ORANGE, BLUE
SEED = 0

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassSpectra:
    """Generated against measured spectra of a class, a figure; `pixels` measured ones."""

    name: str
    colour: str
    pixels: int
    figure: Any


def latent_figure(classifier: Classifier, dataset: Dataset, rows: Rows) -> Any:
    """Pixels `rows` of a dataset in the latent space, in two dimensions by t-SNE.

    None where there are too few that differ, and without M1 where the model is one of several label
    sets or has no latent space.
    """
    has_one = classifier.generates and classifier.model.alone
    if not has_one and classifier.m1 is None:
        return None
    rows = _some(rows, POINTS)
    if len(rows) < FEWEST_POINTS:
        return None
    z = Generator(classifier).latent_means(dataset.spectra(rows))
    if len(np.unique(z, axis=0)) < FEWEST_POINTS:  # nothing to lay out
        return None
    perplexity = min(PERPLEXITY, len(rows) / 4)
    from sklearn.manifold import TSNE  # slow to import

    tsne = TSNE(init="pca", perplexity=perplexity, max_iter=ROUNDS, random_state=SEED)
    place = tsne.fit_transform(z)
    label_set: LabelSet = dataset.label_set
    with style(SENTINEL):
        figure = Figure(figsize=(4.6, 4.2), layout="constrained")
        axes = figure.subplots()
        # Classes are drawn together, pixel by pixel, so that none lies on top of the others.
        colours = np.array(label_set.colours)[dataset.label[rows]]
        size = float(np.clip(POINT_AREA / len(rows), *POINT_SIZES))
        axes.scatter(place[:, 0], place[:, 1], s=size, c=colours, linewidths=0.3, edgecolors=GREY)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_xlabel("t-SNE, first axis")
        axes.set_ylabel("second axis")
        axes.set_aspect("equal", adjustable="datalim")
        return inline_svg(figure)


def class_spectra(classifier: Classifier, dataset: Dataset, rows: Rows) -> list[ClassSpectra]:
    """Spectra of each class: measured ones (of `rows`), and what the generative part makes of it.

    None of a model of several label sets or of what has no p(x|z), and of pictures.
    """
    generates = classifier.generates and classifier.model.alone and classifier.pipeline.generates
    if not generates or dataset.meta["image_like"]:
        return []
    generator, scaler = Generator(classifier, SEED), classifier.scaler
    label = dataset.label[rows]
    counts = np.bincount(label[label >= 0], minlength=len(dataset.label_set))
    order = np.sort(np.argsort(-counts, kind="stable")[:PANELS])
    found = []
    for k in order[counts[order] > 0]:
        one = dataset.label_set.classes[k]
        raw = dataset.spectra(_some(rows[label == k], SPECTRA))
        measured = raw if scaler.invertible else scaler.transform(raw)
        own = classifier.label_set.classes
        made = None
        if one in own:
            made = np.quantile(generator.sampled(own.index(one), SPECTRA), BAND, axis=0)
        band = np.quantile(measured.astype(np.float64), BAND, axis=0)
        known = classifier.wavelengths_nm
        waves = known if known is not None and len(known) == band.shape[1] else None
        told = "measured value" if scaler.invertible else f"scaled ({scaler.to_card()['kind']})"
        figure = _panel(band, made, waves, told)
        found.append(ClassSpectra(one.name, one.colour, int(counts[k]), figure))
    return found


def _panel(measured: Any, made: Any, waves: list[float] | None, unit: str) -> Any:
    """Medians and the bands of nine in ten, over wavelengths or band numbers."""
    with style(SENTINEL):
        figure = Figure(figsize=(3.4, 2.3), layout="constrained")
        axes = figure.subplots()
        drawn = [(measured, MEASURED, "-"), *([] if made is None else [(made, GENERATED, "--")])]
        for (low, middle, high), hue, line in drawn:
            x, lower = with_gaps(waves, low)
            upper = with_gaps(waves, high)[1]
            axes.fill_between(x, lower, upper, color=hue, alpha=0.22, linewidth=0)
            axes.plot(x, with_gaps(waves, middle)[1], color=hue, linewidth=1.2, linestyle=line)
        # By what neighbouring bands agree on: a single bad band may stick out far.
        ends = np.median(sliding_window_view(measured, min(5, measured.shape[1]), axis=1), axis=-1)
        margin = 0.2 * float(np.ptp(ends)) or 1.0
        axes.set_ylim(ends.min() - margin, ends.max() + margin)
        axes.tick_params(labelsize=8)
        axes.set_xlabel("wavelength (nm)" if waves is not None else "band", fontsize=8)
        axes.set_ylabel(unit, fontsize=8)
        return inline_svg(figure)


def _some(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, drawn evenly."""
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(SEED).choice(rows, most, replace=False)
    return np.sort(chosen)
