"""Maps of several runs and the truth side by side, under one legend."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hsi_ssl.datasets.reopening import reopened
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.discovered import load_discovered, map_classes
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.reports.differences import named
from hsi_ssl.reports.evaluation import Evaluation
from hsi_ssl.reports.figures import INK, NOT_CLASSIFIED, PAPER, paint, style, write_png
from hsi_ssl.reports.model_maps import glance
from hsi_ssl.reports.scene_pictures import SIDE, WIDE, label_plane
from hsi_ssl.reports.thumbnails import see_through, shrink_codes, shrinking

PANEL = 3.6
"""Longest side of a map, inches."""
COLUMNS = 4
"""Of the legend."""
LEGEND_LINE = 0.24


@dataclass(frozen=True)
class Panel:
    """A map: what it is called, and its cells `(r, c, 4)`, transparent where it says nothing."""

    title: str
    cells: npt.NDArray[np.uint8]


def draw_side_by_side(
    path: Path, evaluation: Evaluation, dataset: Dataset, scored: npt.NDArray[np.int64]
) -> bool:
    """Write maps of the runs that `evaluation` is compared with, of its own, and the truth.

    Of the scene with the most of the `scored` rows, pixel by pixel; dots are pixels learnt from.
    False, and nothing is written, where nothing is compared, or the scene is gone or a picture.
    """
    if not evaluation.against or dataset.meta["image_like"] or "privileged" in dataset.meta:
        return False
    number = int(np.bincount(dataset.scene[scored]).argmax())
    with contextlib.ExitStack() as stack:
        scene = reopened(dataset.meta["sources"][number], dataset)
        if scene is None:
            return False
        stack.enter_context(scene)
        step = shrinking(scene.rows, scene.cols, SIDE)
        each = [(d.run, d.card, d.scores, d.classifier) for d in evaluation.against]
        each.append((evaluation.run, evaluation.card, evaluation.scores, evaluation.classifier))
        titles = [named(card) for _, card, _, _ in each]
        panels = []
        for title, (run, card, scores, classifier) in zip(titles, each, strict=True):
            if classifier is None:
                return False
            classes = map_classes(evaluation.label_set, load_discovered(run, card))
            _, cells = glance(classifier, classes, scene, step)
            which = title if titles.count(title) == 1 else f"{title}: {run.name}"
            score = f"macro-F1 {100 * scores.macro_f1:.1f} % on {evaluation.part} pixels"
            panels.append(Panel(f"{which}\n{score}", cells))
        codes = shrink_codes(label_plane(dataset, number, scene), step)
    painted = see_through(paint(codes, dataset.label_set), codes > 0)
    learnt = dataset.rows(Part.TRAIN)
    dots = dataset.pixel[learnt[dataset.scene[learnt] == number]] / step
    panels.append(Panel(f"truth\n{scored.size:,} {evaluation.part} pixels among it", painted))
    shown = dataset.label_set.occurring(np.unique(codes[codes > 0]))
    _write(path, panels, shown, dots, "; ".join(_headlines(evaluation)))
    return True


def _headlines(evaluation: Evaluation) -> list[str]:
    many = len(evaluation.against) > 1
    return [
        f"macro-F1 {d.in_words('macro_f1')}{f' over {d.run.name}' if many else ''}"
        for d in evaluation.against
    ]


def _write(
    path: Path,
    panels: list[Panel],
    label_set: LabelSet,
    dots: npt.NDArray[np.float64],
    headline: str,
) -> None:
    """Draw the panels in a row, or below each other where the scene is wide; the legend below."""
    rows, cols = panels[0].cells.shape[:2]
    stacked = cols > WIDE * rows
    scale = PANEL * (2 if stacked else 1) / max(rows, cols)
    height, width = rows * scale + 0.5, max(cols * scale, 2.6)
    entries: list[Any] = [
        Patch(facecolor=c.colour, edgecolor="none", label=c.name) for c in label_set.classes
    ]
    entries.append(Patch(facecolor=NOT_CLASSIFIED, edgecolor="none", label="no label"))
    entries.append(
        Line2D([], [], **_dots(), markersize=4, label=f"pixels learnt from ({len(dots):,})")
    )
    grid = (len(panels), 1) if stacked else (1, len(panels))
    lines = -(-len(entries) // COLUMNS)
    size = grid[1] * (width + 0.15), grid[0] * height + 0.5 + LEGEND_LINE * lines
    with style():
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(headline, x=0.01, ha="left", weight="bold")
        for axes, panel in zip(np.ravel(figure.subplots(*grid)), panels, strict=True):
            axes.set_facecolor(NOT_CLASSIFIED)
            axes.imshow(panel.cells, interpolation="nearest")
            axes.set_title(panel.title, fontsize=9.5, weight="normal")
            axes.grid(visible=False)
            axes.set_xticks([])
            axes.set_yticks([])
        last = figure.axes[-1]
        last.plot(dots[:, 1], dots[:, 0], markersize=2.4, **_dots())
        last.set_xlim(-0.5, cols - 0.5)
        last.set_ylim(rows - 0.5, -0.5)
        figure.legend(
            handles=entries, loc="outside lower left", ncols=COLUMNS, handlelength=1.1,
            handleheight=1.1, fontsize=9,
        )  # fmt: skip
        write_png(figure, path)


def _dots() -> dict[str, Any]:
    return {
        "linestyle": "none",
        "marker": "o",
        "markerfacecolor": PAPER,
        "markeredgecolor": INK,
        "markeredgewidth": 0.5,
    }
