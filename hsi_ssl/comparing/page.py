"""A comparison to show: one page with table and figure, the cells as CSV, the means as JSON."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from hsi_ssl.comparing.baselines import BASELINES
from hsi_ssl.comparing.fitting import UNLABELLED_PIXELS
from hsi_ssl.comparing.folder import TABLE, write_json
from hsi_ssl.comparing.grid import Grid, Result
from hsi_ssl.comparing.next_steps import after_comparison
from hsi_ssl.comparing.table import BEST, LEVEL, Line, answers, by_chance, size, summary
from hsi_ssl.datasets.few_labels import fewer_than
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.files import written_beside
from hsi_ssl.labels.palette import distinct_colour
from hsi_ssl.reports.figures import LINES, SENTINEL, style
from hsi_ssl.reports.html import inline_svg, page

COLUMNS = 3
"""Panels beside each other."""


def write_table(results: Sequence[Result], folder: Path, dataset: Dataset, grid: Grid) -> None:
    """Write index.html, compare.csv and table.json into the folder of a comparison, at once."""
    lines, said = summary(results), answers(results)
    by_labels = [(n, list(some)) for n, some in groupby(lines, key=lambda line: line.labels)]
    html = page(
        "compare.html",
        dataset=dataset,
        grid=grid,
        tables=by_labels,
        steps=list(after_comparison(lines, dataset.path, grid, folder)),
        answers=said,
        figure=figure_of(lines, grid),
        test=len(dataset.rows(Part.TEST)),
        pool=len(dataset.unlabelled_rows),
        short={n: fewer_than(dataset, n) for n in grid.labels},
        tuned=[BASELINES.find(n).title for n in grid.classifiers if n in BASELINES],
        size=size,
        chance=by_chance(grid.seeds) if grid.seeds > 1 else None,
        best=BEST,
        level=LEVEL,
        unlabelled=UNLABELLED_PIXELS,
    )
    places = [folder / name for name in TABLE]
    with written_beside(places[0], also=places[1:], overwrite=True) as beside:
        beside.write_text(html, encoding="utf-8")
        _write_csv(beside.parent / "compare.csv", results)
        values = {"lines": [asdict(line) for line in lines], "answers": said}
        write_json(beside.parent / "table.json", values)


def _write_csv(path: Path, results: Sequence[Result]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Result)])
        writer.writeheader()
        writer.writerows(asdict(result) for result in results)


def figure_of(lines: Sequence[Line], grid: Grid) -> Any:
    """Macro-F1 over labels a class, a panel a classifier, a line an extractor; bars: one sd."""
    classifiers = [c for c in grid.classifiers if any(x.scores for x in lines if x.classifier == c)]
    rows = max(1, -(-len(classifiers) // COLUMNS))
    with style(SENTINEL):
        figure = Figure(figsize=(10.5, 0.8 + 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
        for axes, classifier in zip(panels.flat, classifiers, strict=False):
            axes.set_title(classifier)
            for i, extractor in enumerate(grid.extractors):
                of = [x for x in lines if (x.classifier, x.extractor) == (classifier, extractor)]
                _curve(axes, of, i, extractor)
        for axes in panels.flat[len(classifiers) :]:
            axes.set_visible(False)
        for i, axes in enumerate(panels.flat[: len(classifiers)]):
            if i >= len(classifiers) - COLUMNS:
                axes.set_xscale("log")
                axes.set_xticks(sorted(grid.labels), [str(n) for n in sorted(grid.labels)])
                axes.minorticks_off()
                axes.tick_params(labelbottom=True)
        figure.supxlabel("labels a class", fontsize=10)
        figure.supylabel("macro-F1 (%)", fontsize=10)
        handles, labels = panels.flat[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper center", ncols=6)
        return inline_svg(figure)


def _curve(axes: Axes, lines: Sequence[Line], number: int, name: str) -> None:
    there = [(x.labels, *x.scores["macro_f1"]) for x in lines if x.scores]
    points = [(n, 100 * f1, 100 * (sd or 0.0)) for n, f1, sd in there if f1 is not None]
    if points:
        n, f1, sd = zip(*points, strict=True)
        axes.errorbar(
            n,
            f1,
            sd,
            color=LINES[number] if number < len(LINES) else to_hex(distinct_colour(number)),
            linestyle=("-", "--", ":")[number // len(LINES) % 3],
            linewidth=1.4,
            marker="o",
            markersize=3.5,
            elinewidth=0.8,
            label=name,
        )
