"""The page of a training under way: its curves so far, by the logs that it writes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from hsi_ssl.files import written_beside
from hsi_ssl.reports.html import page
from hsi_ssl.reports.training_log import Rows, logs_of, rows_of

EVERY = 2
"""Seconds between two drawings."""
PAGE = Path("figures/training.html")
WIDTH, HEIGHT = 620, 180
SCORES = {"macro_f1": "macro-F1 on the validation pixels"}
START = 0.05
"""Share of the epochs, the first ones, that the scale does not follow: they dwarf all else."""


def write_curve(run: Path, *, ended: bool) -> Path | None:
    """Write the page into the run's folder; None while there is no epoch to show.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    parts = [_part(name, log) for name, log in logs_of(run).items()]
    shown = [part for part in parts if part["curves"]]
    if not shown:
        return None
    path = run / PAGE
    text = page(
        "training.html",
        run=str(run),
        ended=ended,
        every=EVERY,
        at=datetime.now().strftime("%H:%M:%S"),
        parts=shown[::-1],
    )
    with written_beside(path, overwrite=True) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def _part(name: str, log: Path) -> dict[str, Any]:
    """A log's curves, and where it stands in words."""
    rows = rows_of(log)
    title = f"Before it: {name.replace('-', ' ')} part" if name else "The whole"
    if not rows:
        return {"title": title, "said": "", "curves": []}
    last = rows[-1]
    said = f"{_epochs(last['epoch'])} in {last['seconds']:.0f} s; "
    if last.get("score") == math.inf:
        best = last
        said += "nothing tells which state is best: the last one is kept"
    else:
        best = max(rows, key=lambda row: row.get("score", -math.inf))
        said += (
            f"the best state so far is that of epoch {best['epoch']:.0f}, "
            f"{_epochs(last['epoch'] - best['epoch'])} ago"
        )
    told = next((n.removesuffix("_batch") for n in last if n.endswith("_batch")), None)
    curves = []
    for column, words in SCORES.items():
        if math.isfinite(last.get(column, math.nan)):
            curves.append(_curve(words, rows, [column], best["epoch"]))
    if told is not None:
        words = "bound on log p(x)" if told == "bound" else told.replace("_", " ")
        columns = [f"{told}_validation", f"{told}_batch"]
        if not math.isfinite(last.get(columns[0], math.nan)):
            columns.pop(0)
            words += " of the training batches"
        curves.append(_curve(words, rows, columns, None if curves else best["epoch"]))
    return {"title": title, "said": said, "curves": curves}


def _epochs(n: float) -> str:
    return "1 epoch" if n == 1 else f"{n:.0f} epochs"


def _curve(words: str, rows: Rows, columns: Sequence[str], best: float | None) -> dict[str, Any]:
    """Lines as points of the drawing, the scale in words."""
    settled = rows[math.floor(START * len(rows)) :]
    seen = [row[c] for row in settled for c in columns if math.isfinite(row.get(c, math.nan))]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    high = high if high > low else low + 1.0
    most = max(1.0, rows[-1]["epoch"] - 1)

    def x(epoch: float) -> float:
        return WIDTH * (epoch - 1) / most

    def y(value: float) -> float:
        return HEIGHT * (1 - max(0.0, min(1.0, (value - low) / (high - low))))

    lines = [
        {
            "dashed": number > 0,
            "points": " ".join(
                f"{x(row['epoch']):.1f},{y(row[column]):.1f}"
                for row in rows
                if math.isfinite(row.get(column, math.nan))
            ),
        }
        for number, column in enumerate(columns)
    ]
    return {
        "name": words,
        "lines": lines,
        "best": None if best is None else round(x(best), 1),
        "top": f"{high:.4g}",
        "bottom": f"{low:.4g}",
        "last": f"{rows[-1]['epoch']:.0f}",
    }
