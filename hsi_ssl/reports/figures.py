"""Figures: one style for all of them, written as PNG files or as SVG that a page can hold.

Nothing here goes through pyplot, so no figure outlives its function and no window can open.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from hsi_ssl.files import written_beside
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet, red_green_blue
from hsi_ssl.reports.glyphs import fit_fonts, silent_glyphs
from hsi_ssl.reports.scale_bar import ROOM, draw_ground
from hsi_ssl.scenes.ground import Ground

Array = npt.NDArray[Any]

INK = "#1d2733"
PAPER = "#ffffff"
BLUE, ORANGE, VERMILION, GREY = "#0072b2", "#e69f00", "#d55e00", "#8a949e"
"""Told apart by colour-blind eyes too (Okabe and Ito 2008)."""
LINES = (BLUE, ORANGE, VERMILION, "#9922ff", "#0099cc", "#999988")
"""Of curves beside each other, on white and on a dark page: clear to every eye, all six."""
NOT_CLASSIFIED = "#d9dde2"
PART_COLOURS = (BLUE, ORANGE, VERMILION, "#9fb8c8")
"""Of training, validation and test pixels and of the unlabelled pool, by `Part`."""

LINE_BRIGHTNESS = 0.65
"""Of a line on white, at most: brighter ones are hard to see."""
MOST_LINES = 60
SENTINEL = "#010203"
"""Drawn in this colour where a page's own text colour is to stand."""


@contextlib.contextmanager
def style(ink: str = INK) -> Iterator[None]:
    """Within it, figures have thin axes, a light grid, and text in `ink`."""
    with mpl.rc_context(
        {
            "figure.facecolor": PAPER,
            "figure.dpi": 100,
            "savefig.dpi": 160,
            "font.size": 10,
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": ink,
            "axes.linewidth": 0.6,
            "axes.labelcolor": ink,
            "text.color": ink,
            "xtick.color": ink,
            "ytick.color": ink,
            "axes.grid": True,
            "grid.color": GREY,
            "grid.alpha": 0.3,
            "grid.linewidth": 0.5,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "svg.fonttype": "none",
            # Class names are names: "$" in them begins no formula.
            "text.parse_math": False,
            "svg.hashsalt": "hsi-ssl",
            "axes.prop_cycle": cycler(color=LINES),
        }
    ):
        yield


def plain_numbers(axis: XAxis | YAxis) -> None:
    """Label a logarithmic axis by numbers: its own labels are formulas, which `style` sets not."""
    axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.set_minor_formatter(NullFormatter())


def write_png(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; a figure that was there is replaced."""
    FigureCanvasAgg(figure)
    fit_fonts(figure)
    with silent_glyphs(), written_beside(path, overwrite=True) as beside:
        # Without the date and the program's version: the same figure gives the same bytes.
        figure.savefig(beside, format="png", bbox_inches="tight", metadata={"Software": None})


def svg_text(figure: Figure) -> str:
    """Give the `<svg>` element of a figure drawn with `style(SENTINEL)`.

    It has no background and takes the colour of the text around it, so that it suits light and
    dark pages; its text stays text.
    """
    buffer = io.StringIO()
    with silent_glyphs():  # the page's reader has fonts of his own
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(SENTINEL, "currentColor")
    # The page scales it by its viewBox.
    return re.sub(r'(<svg[^>]*?) width="[^"]*pt"', r"\1", text, count=1).replace(
        ' height="' + _height(text) + '"', "", 1
    )


def draw_generated(
    path: Path,
    wavelengths_nm: Sequence[float] | Array | None,
    rows: Sequence[tuple[str, Array]],
    ylabel: str = "value",
) -> None:
    """Write a grid of panels of spectra with common axes, so that progress can be seen.

    Parameters
    ----------
    path
        PNG to write; replaced if it exists.
    wavelengths_nm
        Of the bands, or None for band numbers.
    rows
        One panel each, title and spectra `(n, bands)`: moments of training in their order, last
        the measured spectra, which set the limits of the value axis.
    """
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    with style():
        figure = Figure(figsize=(3.1 * columns + 0.4, 2.3 * lines + 0.5), layout="constrained")
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (title, spectra) in zip(grid.flat, rows, strict=False):
            draw_spectra(axes, wavelengths_nm, spectra)
            axes.set_title(title)
        for axes in grid.flat[len(rows) :]:
            axes.set_visible(False)
        for axes in grid.flat[max(0, len(rows) - columns) : len(rows)]:
            axes.tick_params(labelbottom=True)
        grid[0, 0].set_ylim(*_limits(rows[-1][1]))
        figure.supxlabel("wavelength (nm)" if wavelengths_nm is not None else "band", fontsize=10)
        figure.supylabel(ylabel, fontsize=10)
        write_png(figure, path)


def draw_spectra(
    axes: Axes, wavelengths_nm: Sequence[float] | Array | None, spectra: Array
) -> None:
    """Draw spectra `(n, bands)`, dark to light by their mean; lines break where bands are left out.

    Of many spectra, an even choice over the order of their means is drawn.
    """
    x, spectra = with_gaps(wavelengths_nm, np.asarray(spectra, np.float64))
    chosen = np.argsort(np.nan_to_num(spectra).mean(axis=1), kind="stable")
    if len(chosen) > MOST_LINES:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MOST_LINES).round().astype(int)]
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.9, max(1, len(chosen))))
    lines = [np.column_stack([x, spectrum]) for spectrum in spectra[chosen]]
    axes.add_collection(LineCollection(lines, colors=shades, linewidths=0.7, alpha=0.8))
    axes.autoscale_view()


def on_paper(colour: str) -> str:
    """A class's colour `#rrggbb`, darkened as far as a thin line of it shows on white."""
    parts = np.array(red_green_blue(colour))
    # Perceived brightness as television weighs the three (ITU-R BT.601).
    brightness = float(parts @ (0.299, 0.587, 0.114)) / 255
    parts = (parts * min(1.0, LINE_BRIGHTNESS / max(brightness, 1e-9))).astype(int)
    return "#{:02x}{:02x}{:02x}".format(*parts)


def with_gaps(
    wavelengths_nm: Sequence[float] | Array | None, spectra: Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where to draw `spectra (..., bands)`: by wavelength, NaN where bands are left out."""
    bands = spectra.shape[-1]
    x = np.arange(bands) if wavelengths_nm is None else np.asarray(wavelengths_nm)
    order = np.argsort(x, kind="stable")
    x, spectra = x[order].astype(np.float64), spectra[..., order].astype(np.float64)
    steps = np.diff(x)
    gaps = np.flatnonzero(steps > 3 * np.median(steps)) + 1
    return np.insert(x, gaps, np.nan), np.insert(spectra, gaps, np.nan, axis=-1)


def map_quicklook(
    path: Path,
    codes: Array,
    label_set: LabelSet,
    title: str,
    *,
    rest: str = "not classified",
    masked: float = 0.0,
    ground: Ground | None = None,
) -> None:
    """Write a picture of a class map with its legend beside it.

    Parameters
    ----------
    path
        PNG to write; replaced if it exists.
    codes
        The map, `(rows, cols)`, in the user's codes, 0 = not classified. Decimate large maps to
        about 1500 pixels a side first: every cell is drawn.
    label_set
        Codes, names and colours; classes that do not occur in the map are left out of the legend.
    rest, masked
        What 0 is called, and which share of all pixels is 0 because a mask left it out.
    ground
        Of the map's cells: a scale bar and an arrow to the north are drawn, as far as it tells.
    """
    share = {code: float((codes == code).mean()) for code in (0, *label_set.codes.tolist())}
    entries = [
        Patch(facecolor=c.colour, edgecolor="none", label=f"{c.name}  {percent(share[c.code])}")
        for c in label_set.classes
        if share[c.code] > 0
    ]
    if share[UNLABELLED_CODE] > 0:
        entries.append(
            Patch(
                facecolor=NOT_CLASSIFIED,
                edgecolor="none",
                label=f"{rest}  {percent(share[UNLABELLED_CODE])}"
                + (f", masked {percent(masked)}" if masked else ""),
            )
        )
    rows, cols = codes.shape
    longest = 8.0
    height, width = longest * rows / max(rows, cols), longest * cols / max(rows, cols)
    columns = -(-len(entries) // 24)
    longest_label = max((len(str(e.get_label())) for e in entries), default=0)
    room = 0.3 + columns * (0.5 + 0.085 * longest_label)
    with style():
        below = 0.6 if ground is None else 0.45 + ROOM
        size = width + room + 0.3, max(height + below, 0.6 + 0.22 * len(entries))
        figure = Figure(figsize=size)
        tall = figure.get_figheight()
        axes = figure.add_axes(
            (
                0.15 / figure.get_figwidth(),
                (tall - 0.45 - height) / tall,
                width / figure.get_figwidth(),
                height / tall,
            )
        )
        axes.imshow(paint(codes, label_set), interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        figure.text(0.15 / figure.get_figwidth(), 1 - 0.3 / tall, title, weight="bold")
        if ground is not None:
            draw_ground(
                figure, ground, cells=cols, width=width, left=0.15, top=tall - 0.45 - height
            )
        figure.legend(
            handles=entries,
            loc="upper left",
            bbox_to_anchor=((width + 0.35) / figure.get_figwidth(), 1 - 0.4 / tall),
            ncols=max(1, columns),
            borderaxespad=0,
            handlelength=1.1,
            handleheight=1.1,
        )
        write_png(figure, path)


def paint(codes: Array, label_set: LabelSet, empty: str = NOT_CLASSIFIED) -> npt.NDArray[np.uint8]:
    """RGB picture `(rows, cols, 3)` of a plane of codes; 0 and unknown codes get `empty`."""
    order = np.argsort(label_set.codes)
    known = label_set.codes[order]
    colours = np.array([red_green_blue(c) for c in (*label_set.colours, empty)], np.uint8)
    place = np.searchsorted(known, codes).clip(max=len(known) - 1)
    return colours[np.where(known[place] == codes, order[place], len(known))]


def percent(share: float) -> str:
    """Give a share in words of fitting precision: 12 %, 3.4 %, 0.05 %, < 0.01 %."""
    value = 100 * share
    if 0 < value < 0.01:  # noqa: PLR2004
        return "< 0.01 %"
    digits = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2  # noqa: PLR2004
    return f"{value:.{digits}f} %"


def _limits(spectra: Array) -> tuple[float, float]:
    low, high = float(np.nanmin(spectra)), float(np.nanmax(spectra))
    margin = 0.1 * (high - low) or 1.0
    return low - margin, high + margin


def _height(svg: str) -> str:
    found = re.search(r'<svg[^>]*? height="([^"]*)"', svg)
    return found.group(1) if found else ""
