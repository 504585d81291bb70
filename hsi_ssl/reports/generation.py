"""What a generative model has learnt of its classes, to print: figures and the numbers as CSV."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import ndtri

from hsi_ssl.files import written_beside
from hsi_ssl.inference.generation import Generator, Measured
from hsi_ssl.labels.palette import colours_for
from hsi_ssl.reports.absorption import absorptions
from hsi_ssl.reports.figures import BLUE, GREY, INK, ORANGE, on_paper, style, with_gaps, write_png

Raw = npt.NDArray[Any]
Spectra = npt.NDArray[np.float64]

ORDINALS = ("first", "second", "third")
QUANTILES = (0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975)
"""Of the prior of a unit of u, at which styles are shown."""
STEPS = 9
DRAWS = 100
COLUMNS = 3
LABELLED_FEATURES = 6
"""Features named in a panel, at most: the deepest."""
HEADROOM = 0.16
"""Of a panel's height, above the curves: room for the wavelengths of its features."""
TITLE_WIDTH = 40
"""Letters that fit over a panel."""
SHORT_LABEL = 6
"""Letters of labels that fit side by side in any number."""


@dataclass(frozen=True)
class Axis:
    """What spectra are drawn over: wavelengths or band numbers, or pictures of `side` pixels."""

    wavelengths_nm: npt.NDArray[np.float64] | None
    bands: int
    unit: str
    side: int | None

    @classmethod
    def of(cls, generator: Generator, bands: int) -> Axis:
        """As the card of the run says."""
        card = generator.classifier.card
        side = round(bands**0.5)
        pictures = card["image_like"] and side * side == bands
        known = card["wavelengths_nm"]
        invertible = generator.classifier.scaler.invertible
        wavelengths = np.array(known) if known and len(known) == bands else None
        unit = "measured value" if invertible else f"scaled ({card['scaling']['kind']})"
        return cls(wavelengths, bands, unit, side if pictures else None)

    @property
    def columns(self) -> list[str]:
        """Names of the bands in a CSV."""
        if self.wavelengths_nm is None:
            return [f"band {i + 1}" for i in range(self.bands)]
        return [f"{w:.2f}" for w in self.wavelengths_nm]


def write_generated(
    generator: Generator,
    measured: Measured,
    pool: Raw,
    folder: Path,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write styles, analogies, interpolations and reconstructions, a PNG and a CSV each.

    `measured`: real spectra to start from, two or more for an interpolation; `pool (n, bands)`: raw
    spectra that say where each class lies and which units move most. Styles move two units over the
    quantiles of their prior, the others stand where the class's spectra have them on average.

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is false, or cannot be written to.
    """
    units, centres = generator.active(pool), generator.centres(pool)
    axis = Axis.of(
        generator, generator.decode(np.zeros(1, np.int64), np.zeros((1, generator.latent))).shape[1]
    )
    with written_beside(folder, overwrite=overwrite) as beside:
        beside.mkdir()
        _styles(generator, centres, units, axis, beside)
        _analogies(generator, measured, axis, beside)
        _interpolations(generator, measured, axis, beside)
        _reconstructions(generator, measured, axis, beside)
    return sorted(folder.iterdir())


def _styles(
    generator: Generator, centres: Spectra, units: Sequence[int], axis: Axis, folder: Path
) -> None:
    steps: Spectra = ndtri(np.array(QUANTILES))
    names = generator.names
    if axis.side is not None:
        grid = dict(zip(units, map(np.ravel, np.meshgrid(steps, steps)), strict=False))
        mosaics = []
        for y, centre in enumerate(centres):
            spectra = generator.styles(y, centre, grid)
            mosaics.append(_mosaic(spectra.reshape(len(steps), len(steps), -1), axis.side))
        _draw_pictures(folder / "styles.png", names, mosaics)
    swept = [
        (y, unit, generator.styles(y, centre, {unit: steps}))
        for y, centre in enumerate(centres)
        for unit in units
    ]
    rows = (
        [names[y], unit + 1, quantile, *_short(spectrum)]
        for y, unit, spectra in swept
        for quantile, spectrum in zip(QUANTILES, spectra, strict=True)
    )
    _write(folder / "styles.csv", ["class", "unit of z", "quantile", *axis.columns], rows)
    if axis.side is None:
        rank = {unit: i for i, unit in enumerate(units)}
        titles = [_of_style(names[y], rank[unit], s, axis) for y, unit, s in swept]
        quantiles = [f"{100 * quantile:g} %" for quantile in QUANTILES]
        middle = len(QUANTILES) // 2

        def draw(axes: Axes, i: int) -> None:
            spectra = swept[i][2]
            _way(axes, axis, spectra, quantiles)
            _fit(axes)
            _mark(axes, axis, spectra[middle])

        of_prior = "how spectra of a class differ most: a latent number at these quantiles"
        _panels(folder / "styles.png", titles, draw, axis, columns=2 * len(units), legend=of_prior)


def _of_style(name: str, rank: int, spectra: Spectra, axis: Axis) -> str:
    """A title: which way spectra of a class differ, and where they do so most."""
    change = np.ptp(spectra, axis=0)
    most = int(np.argmax(np.convolve(change, np.ones(5) / 5, mode="same")))
    waves = axis.wavelengths_nm
    where = f"band {most + 1}" if waves is None else f"{waves[most]:.0f} nm"
    return f"{name}: {ORDINALS[rank] if rank < len(ORDINALS) else rank + 1} way, most at {where}"


def _analogies(generator: Generator, measured: Measured, axis: Axis, folder: Path) -> None:
    found = generator.analogies(measured.raw)
    names = generator.names
    rows = (
        [title, name, *_short(spectrum)]
        for title, spectra in zip(measured.titles, found, strict=True)
        for name, spectrum in zip(names, spectra, strict=True)
    )
    _write(folder / "analogies.csv", ["spectrum", "as class", *axis.columns], rows)
    if axis.side is not None:
        strips = np.concatenate([measured.raw[:, None].astype(np.float64), found], axis=1)
        _draw_pictures(
            folder / "analogies.png",
            ["first column: measured; then as each class"],
            [_mosaic(strips, axis.side)],
        )
        return
    legend = (
        "left: a spectrum as if it were of each class; right: the same, less itself as of the "
        "class that the model takes it for"
    )
    own = generator.encode(measured.raw)[0]
    changes = found - found[np.arange(len(found)), own][:, None]
    shown = [_shown(generator, each) for each in measured.raw]
    known = generator.classifier.label_set.colours
    free = colours_for([""] * (len(names) - len(known)), known)
    colours = [on_paper(colour) for colour in (*known, *free)]
    titles = [
        title
        for first, k in zip(measured.titles, own, strict=True)
        for title in (first, f"taken for {names[k]}: less itself as that")
    ]

    def draw(axes: Axes, panel: int) -> None:
        i, change = divmod(panel, 2)
        spectra = changes[i] if change else found[i]
        for spectrum, colour, name in zip(spectra, colours, names, strict=True):
            line = with_gaps(axis.wavelengths_nm, spectrum)
            axes.plot(*line, color=colour, linewidth=0.9, label=name)
        if not change:
            line = with_gaps(axis.wavelengths_nm, shown[i])
            axes.plot(*line, color=INK, linewidth=1.0, linestyle=(0, (3, 1.5)), label="measured")
        _fit(axes)
        if not change:
            _mark(axes, axis, shown[i])

    _panels(folder / "analogies.png", titles, draw, axis, columns=4, legend=legend)


def _interpolations(generator: Generator, measured: Measured, axis: Axis, folder: Path) -> None:
    pairs = [(i, i + 1) for i in range(len(measured.titles) - 1)]
    if not pairs:
        return
    found = [generator.interpolation(measured.raw[[i, j]], STEPS) for i, j in pairs]
    titles = [f"{measured.titles[i]} to {measured.titles[j]}" for i, j in pairs]
    shares = np.linspace(0, 1, STEPS)
    rows = (
        [title, f"{share:.3f}", *_short(spectrum)]
        for title, spectra in zip(titles, found, strict=True)
        for share, spectrum in zip(shares, spectra, strict=True)
    )
    _write(folder / "interpolations.csv", ["pair", "share", *axis.columns], rows)
    if axis.side is not None:
        title = "a pair a row: from the first to the second"
        _draw_pictures(
            folder / "interpolations.png", [title], [_mosaic(np.stack(found), axis.side)]
        )
        return

    def draw(axes: Axes, i: int) -> None:
        _way(axes, axis, found[i], [f"{share:.0%}".replace("%", " %") for share in shares])
        _fit(axes)
        _mark(axes, axis, found[i][STEPS // 2])

    _panels(folder / "interpolations.png", titles, draw, axis, legend="of the way")


def _reconstructions(generator: Generator, measured: Measured, axis: Axis, folder: Path) -> None:
    low, middle, high = generator.reconstruction(measured.raw, DRAWS)
    shown = np.stack([_shown(generator, each) for each in measured.raw])
    kinds = {"measured": shown, "5 %": low, "median": middle, "95 %": high}
    rows = (
        [title, kind, *_short(spectra[i])]
        for i, title in enumerate(measured.titles)
        for kind, spectra in kinds.items()
    )
    _write(folder / "reconstructions.csv", ["spectrum", "what", *axis.columns], rows)
    if axis.side is not None:
        strips = np.stack([shown, middle, high - low], axis=1)
        title = "measured, reconstructed, width of the 90 % band"
        _draw_pictures(folder / "reconstructions.png", [title], [_mosaic(strips, axis.side)])
        return

    def draw(axes: Axes, i: int) -> None:
        x, lower = with_gaps(axis.wavelengths_nm, low[i])
        upper = with_gaps(axis.wavelengths_nm, high[i])[1]
        axes.fill_between(
            x,
            lower,
            upper,
            color=BLUE,
            alpha=0.25,
            linewidth=0,
            label="band of 90 % of measurements",
        )
        axes.plot(
            x,
            with_gaps(axis.wavelengths_nm, middle[i])[1],
            color=BLUE,
            linewidth=1.0,
            label="reconstructed",
        )
        axes.plot(
            x,
            with_gaps(axis.wavelengths_nm, shown[i])[1],
            color=ORANGE,
            linewidth=0.8,
            label="measured",
        )
        _fit(axes)
        _mark(axes, axis, middle[i])

    _panels(folder / "reconstructions.png", measured.titles, draw, axis, legend="")


def _shown(generator: Generator, raw: Raw) -> Spectra:
    """A measured spectrum in the unit of the generated ones."""
    scaler = generator.classifier.scaler
    values = raw if scaler.invertible else scaler.transform(raw[None])[0]
    shown: Spectra = values.astype(np.float64)
    return shown


def _way(axes: Axes, axis: Axis, spectra: Spectra, labels: Sequence[str]) -> None:
    """Draw spectra `(n, bands)` that follow one another, from dark to light."""
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(spectra)))
    for shade, spectrum, label in zip(shades, spectra, labels, strict=True):
        line = with_gaps(axis.wavelengths_nm, spectrum)
        axes.plot(*line, color=shade, linewidth=0.9, label=label)


def _fit(axes: Axes) -> None:
    """Set the range of values by what neighbouring bands agree on: a bad band may stick out."""
    lines = [np.asarray(line.get_ydata(), np.float64) for line in axes.get_lines()]
    smooth = [np.nanmedian(sliding_window_view(line, min(3, len(line))), axis=-1) for line in lines]
    low, high = min(map(np.nanmin, smooth)), max(map(np.nanmax, smooth))
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)


def _mark(axes: Axes, axis: Axis, spectrum: Spectra) -> None:
    """Mark the deepest absorption features of a spectrum, their wavelengths above the curves."""
    if axis.wavelengths_nm is None:
        return
    found = sorted(absorptions(spectrum, axis.wavelengths_nm), key=lambda a: -a.depth)
    low, high = axes.get_ylim()
    top = high + HEADROOM * (high - low)
    named: list[float] = []
    reach = np.ptp(axis.wavelengths_nm) / 15
    for feature in found:
        if len(named) == LABELLED_FEATURES:
            break
        if any(abs(feature.wavelength_nm - other) < reach for other in named):
            continue
        named.append(feature.wavelength_nm)
        ends = [min(spectrum[feature.band], high), high]
        axes.plot(
            [feature.wavelength_nm] * 2, ends, color=GREY, linewidth=0.6, linestyle=":", zorder=1
        )
        axes.annotate(
            f"{feature.wavelength_nm:.0f}", (feature.wavelength_nm, high), xytext=(0, 1),
            textcoords="offset points", rotation=90, ha="center", va="bottom", fontsize=6.5,
            color=INK,
        )  # fmt: skip
    axes.set_ylim(low, top if named else high)


def _panels(
    path: Path,
    titles: Sequence[str],
    draw: Callable[[Axes, int], None],
    axis: Axis,
    *,
    columns: int = COLUMNS,
    legend: str,
) -> None:
    """A panel a title, drawn by `draw`; `legend` is the heading of that of all, maybe empty."""
    columns = min(columns, len(titles))
    lines = -(-len(titles) // columns)
    with style():
        figure = Figure(figsize=(3.3 * columns + 0.4, 2.3 * lines + 0.6), layout="constrained")
        grid = figure.subplots(lines, columns, sharex=True, squeeze=False)
        for i, axes in enumerate(grid.flat):
            if i >= len(titles):
                axes.set_visible(False)
                continue
            draw(axes, i)
            axes.set_title(
                textwrap.fill(titles[i], TITLE_WIDTH, break_on_hyphens=False), fontsize=9
            )
            axes.tick_params(labelsize=8, labelbottom=i + columns >= len(titles))
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside upper center",
            ncols=min(len(labels), 9 if max(map(len, labels)) <= SHORT_LABEL else 2 * columns),
            fontsize=8,
            title=legend,
            title_fontsize=8,
        )
        over = "wavelength (nm)" if axis.wavelengths_nm is not None else "band"
        figure.supxlabel(over, fontsize=10)
        figure.supylabel(axis.unit, fontsize=10)
        write_png(figure, path)


def _draw_pictures(path: Path, titles: Sequence[str], pictures: Sequence[Spectra]) -> None:
    columns = min(5, len(pictures))
    lines = -(-len(pictures) // columns)
    height, width = pictures[0].shape
    inch = 2.4 if len(pictures) > 1 else 8.0
    with style():
        size = (inch * columns, (inch * height / width + 0.3) * lines)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False)
        for i, axes in enumerate(grid.flat):
            axes.set_axis_off()
            if i < len(pictures):
                axes.imshow(pictures[i], cmap="gray_r", interpolation="nearest")
                axes.set_title(titles[i], fontsize=9)
        write_png(figure, path)


def _mosaic(pictures: Spectra, side: int) -> Spectra:
    """One picture of a grid of pictures `(rows, columns, side * side)`."""
    rows, columns = pictures.shape[:2]
    tiles = pictures.reshape(rows, columns, side, side)
    return tiles.transpose(0, 2, 1, 3).reshape(rows * side, columns * side)


def _short(spectrum: Spectra) -> list[str]:
    return [f"{value:.6g}" for value in spectrum]


def _write(path: Path, head: list[str], rows: Iterator[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)
