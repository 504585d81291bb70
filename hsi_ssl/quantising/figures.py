"""Figures of units: a map's units coloured by a value each, and their mean spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from hsi_ssl.models.quantisers.lattice import Lattice
from hsi_ssl.reports.figures import NOT_CLASSIFIED, SENTINEL, on_paper, style, with_gaps
from hsi_ssl.reports.html import inline_svg

Floats = npt.NDArray[np.float64]
WIDTH = 2.9
"""Of a panel, in inches."""
MOST_LINES = 40


def outlines(lattice: Lattice) -> Floats:
    """Corners `(U, 4 or 6, 2)` of the cells around units, x to the right and y downwards."""
    hexagonal = lattice.kind == "hexagonal"
    sides, reach, first = (6, 1 / np.sqrt(3), 1 / 4) if hexagonal else (4, 1 / np.sqrt(2), 1 / 8)
    turn = 2 * np.pi * (np.arange(sides) / sides + first)
    corners = reach * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.asarray(lattice.places.numpy()[:, None] + corners)


def panel(lattice: Lattice, values: Floats, *, logarithmic: bool = False) -> Markup:
    """A map's units by a value each `(U,)`, with a scale; grey where it is NaN."""
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    if low == high:  # a scale needs two ends
        high = low + (abs(low) or 1.0)
    norm = LogNorm(low, high) if logarithmic and low > 0 else Normalize(low, high)
    with style(SENTINEL):
        figure, axes = _frame(lattice)
        cells = PolyCollection(list(outlines(lattice)), array=np.ma.masked_invalid(values))
        cells.set(norm=norm, cmap="viridis", edgecolor="face", linewidth=0.4, rasterized=True)
        axes.set_facecolor("none")
        cells.cmap.set_bad(NOT_CLASSIFIED)
        axes.add_collection(cells)
        bar = figure.colorbar(cells, ax=axes, shrink=0.8, pad=0.02, format="{x:.4g}")
        if logarithmic:
            bar.ax.minorticks_off()
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7)
        bar.ax.grid(visible=False)
        return inline_svg(figure)


def colours_panel(lattice: Lattice, colours: Sequence[str]) -> Markup:
    """A map's units in the colours that they have on maps of scenes."""
    with style(SENTINEL):
        figure, axes = _frame(lattice)
        cells = PolyCollection(list(outlines(lattice)), facecolors=list(colours))
        cells.set(edgecolor="face", linewidth=0.4, rasterized=True)
        axes.add_collection(cells)
        return inline_svg(figure)


def _frame(lattice: Lattice) -> tuple[Figure, Axes]:
    """An empty figure in the map's proportions; axes count its columns and rows from 1."""
    corners = outlines(lattice).reshape(-1, 2)
    low, high = corners.min(0), corners.max(0)
    wide, tall = high - low
    height = float(np.clip((WIDTH - 0.7) * tall / wide, 0.6, 6.0)) + 0.3
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal")
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    every_row, every_col = (max(1, -(-n // 6)) for n in (lattice.rows, lattice.cols))
    step = np.sqrt(0.75) if lattice.kind == "hexagonal" else 1.0
    cols, rows = np.arange(0, lattice.cols, every_col), np.arange(0, lattice.rows, every_row)
    axes.set_xticks(cols, [str(col + 1) for col in cols])
    axes.set_yticks(rows * step, [str(row + 1) for row in rows])
    axes.tick_params(length=0, labelsize=7)
    return figure, axes


def spectra_figure(
    means: Floats,
    pixels: npt.NDArray[np.int64],
    colours: Sequence[str],
    wavelengths_nm: Sequence[float] | None,
) -> Markup:
    """Mean spectra of the units that won most pixels, in their colours."""
    order = np.argsort(-pixels, kind="stable")
    with style(SENTINEL):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        axes = figure.subplots()
        for unit in order[: min(MOST_LINES, int((pixels > 0).sum()))]:
            x, y = with_gaps(wavelengths_nm, means[unit])
            axes.plot(x, y, color=on_paper(colours[unit]), linewidth=0.9)
        axes.set_xlabel("band" if wavelengths_nm is None else "wavelength (nm)")
        axes.set_ylabel("measured value")
        return inline_svg(figure)
