"""Shares of classes along the axis of a map, as logs of drill core give them: intervals of depth.

A map's lines across its axis are counted; those of an interval go together. Sticks of core that lie
side by side in a box follow one another, and so do maps.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from hsi_ssl.errors import LabelError, SettingsError
from hsi_ssl.labels.label_set import LabelClass, all_coloured
from hsi_ssl.reports.class_maps import ClassMap, open_class_map
from hsi_ssl.reports.figures import percent, style, write_png

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Along = Literal["rows", "cols"]

WINDOW = 1024
"""Side in pixels of the windows that are counted at a time."""
TALLEST, SHORTEST = 11.0, 3.0
"""Of a figure, inches."""
MOST_INTERVALS = 100_000


@dataclass(frozen=True)
class Depths:
    """How depth goes along the axis.

    `every` lines an interval, or metres where a line's length in `metres` is known; `top` is where
    the first line begins; `reverse`: the last line is the shallowest.
    """

    every: float
    metres: float | None = None
    top: float = 0.0
    reverse: bool = False

    @property
    def unit(self) -> str:
        """Of depths: m, or the lines of pixels."""
        return "pixel lines" if self.metres is None else "m"

    def interval_of(self, lines: int) -> Ints:
        """The number of each line's interval, by its middle."""
        at = (np.arange(lines) + 0.5) * (self.metres or 1.0)
        found: Ints = np.floor(at / self.every + 1e-9).astype(np.int64)
        return found


@dataclass(frozen=True)
class CoreLog:
    """Pixels `(n, K)` of K classes in n intervals with depths `edges (n + 1,)`, and of no class."""

    classes: tuple[LabelClass, ...]
    edges: Floats
    counts: Ints
    unclassified: Ints
    unit: str

    @property
    def shares(self) -> Floats:
        """Of the classified pixels of each interval `(n, K)`; NaN where there are none."""
        total = self.counts.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            found: Floats = np.where(total > 0, self.counts / total, np.nan)
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "unit": self.unit,
            "classes": [{"code": c.code, "name": c.name} for c in self.classes],
            "intervals": [
                {
                    "from": top,
                    "to": end,
                    "pixels": dict(zip(self._codes, n, strict=True)),
                    "not_classified": none,
                }
                for top, end, n, none in zip(
                    self.edges[:-1].tolist(),
                    self.edges[1:].tolist(),
                    self.counts.tolist(),
                    self.unclassified.tolist(),
                    strict=True,
                )
            ],
        }

    @property
    def _codes(self) -> list[str]:
        return [str(c.code) for c in self.classes]

    def to_csv(self) -> str:
        """A row an interval: from, to, pixels, then the share of each class in percent."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        of = "m" if self.unit == "m" else "line"
        names = [f"{c.name} %" for c in self.classes]
        rows.writerow([f"from_{of}", f"to_{of}", "classified", "not_classified", *names])
        for i, share in enumerate(self.shares):
            told = ["" if np.isnan(one) else f"{100 * one:.2f}" for one in share]
            rows.writerow(
                [
                    f"{self.edges[i]:.10g}",
                    f"{self.edges[i + 1]:.10g}",
                    int(self.counts[i].sum()),
                    int(self.unclassified[i]),
                    *told,
                ]
            )
        return text.getvalue()


def core_log(
    paths: Sequence[Path],
    depths: Depths,
    *,
    along: Along | None = None,
    sticks: int = 1,
    ignore: tuple[int, ...] = (),
) -> CoreLog:
    """Count class maps along their axis, one after the other.

    Parameters
    ----------
    along
        Depth runs down the rows or along the columns; None: along the longer side.
    sticks
        Sticks of core side by side in each map, of equal width: from left to right where depth
        runs down the rows, else from top to bottom.
    ignore
        Values that stand for nothing.

    Raises
    ------
    SceneNotFoundError, SceneError
        A file is missing, broken or no class map.
    LabelError
        Two maps call a value differently; none has a class anywhere.
    SettingsError
        There are more sticks than lines, or intervals without end.
    """
    tables: list[tuple[dict[int, Ints], Ints]] = []
    known: dict[int, LabelClass] = {}
    for path in paths:
        with open_class_map(path, ignore) as found:
            tables.append(_lines(found, _axis(found, along), sticks))
            for value in tables[-1][0]:
                name = found.names.get(value, f"class {value}")
                other = known.setdefault(value, LabelClass(value, name, ""))
                if other.name != name:
                    raise LabelError(
                        f"{path} calls {value} {name}, a map before it {other.name}; log maps of "
                        "one model together"
                    )
                colour = found.colours.get(value)
                if colour is not None and not other.colour:
                    known[value] = replace(other, colour=colour)
    if not known:
        raise LabelError(f"{paths[0]} has no class anywhere: there is nothing to log")
    classes = all_coloured([known[value] for value in sorted(known)])
    nothing = np.concatenate([none for _, none in tables])
    counts = np.stack(
        [
            np.concatenate([of.get(c.code, np.zeros(len(none), np.int64)) for of, none in tables])
            for c in classes
        ],
        axis=1,
    )
    if depths.reverse:
        counts, nothing = counts[::-1], nothing[::-1]
    interval = depths.interval_of(len(nothing))
    if interval[-1] >= MOST_INTERVALS:
        raise SettingsError(
            f"{interval[-1] + 1:,} intervals; expected {MOST_INTERVALS:,} at most: make them longer"
        )
    n = int(interval[-1]) + 1
    whole, none = np.zeros((n, len(classes)), np.int64), np.zeros(n, np.int64)
    np.add.at(whole, interval, counts)
    np.add.at(none, interval, nothing)
    edges: Floats = np.asarray(depths.top + np.arange(n + 1) * depths.every, np.float64)
    edges[-1] = depths.top + len(nothing) * (depths.metres or 1.0)
    return CoreLog(classes, edges, whole, none, depths.unit)


def _axis(found: ClassMap, along: Along | None) -> Along:
    return along or ("rows" if found.rows >= found.cols else "cols")


def _lines(found: ClassMap, along: Along, sticks: int) -> tuple[dict[int, Ints], Ints]:
    """Pixels of each value in each line across the axis, all sticks' one after the other."""
    down = along == "rows"
    length, width = (found.rows, found.cols) if down else (found.cols, found.rows)
    if sticks > width:
        raise SettingsError(f"{sticks} sticks on {found.path} of {width} pixels across; give fewer")
    counts = np.zeros((sticks * length, 1), np.int64)
    for rows, cols in found.scene.windows(WINDOW):
        numbers = found.window(rows, cols).astype(np.int64)
        numbers = numbers if down else numbers.T
        first, across = (rows.start, cols.start) if down else (cols.start, rows.start)
        lines, wide = numbers.shape
        stick = (np.arange(across, across + wide) * sticks) // width
        line = stick * length + np.arange(first, first + lines)[:, None]
        kinds = max(counts.shape[1], len(found.values) + 1)
        counts = np.pad(counts, ((0, 0), (0, kinds - counts.shape[1])))
        np.add.at(counts, (line.ravel(), numbers.ravel()), 1)
    return {v: counts[:, i + 1] for i, v in enumerate(found.values)}, counts[:, 0]


def draw_log(log: CoreLog, path: Path, title: str) -> None:
    """Write a figure as logs are drawn: depth downwards, shares side by side, blank where none."""
    shares = np.nan_to_num(log.shares)
    total = log.counts.sum(axis=0) / log.counts.sum()
    tall = float(np.clip(0.06 * len(shares) + 2, SHORTEST, TALLEST))
    with style():
        figure = Figure(figsize=(5.6, tall), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(len(shares))
        for k, one in enumerate(log.classes):
            axes.barh(
                log.edges[:-1],
                100 * shares[:, k],
                np.diff(log.edges),
                100 * left,
                align="edge",
                color=one.colour,
                linewidth=0,
                label=f"{one.name}  {percent(float(total[k]))}",
            )
            left += shares[:, k]
        axes.set_ylim(log.edges[-1], log.edges[0])
        axes.set_xlim(0, 100)
        axes.grid(visible=False)
        axes.spines[["top", "right"]].set_visible(True)
        axes.set_xlabel("share of the classified pixels (%)")
        axes.set_ylabel("depth (m)" if log.unit == "m" else "pixel lines along the core")
        axes.set_title(title)
        figure.legend(loc="outside right upper", fontsize=8, handlelength=1.1, handleheight=1.1)
        write_png(figure, path)
