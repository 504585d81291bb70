"""Figures of the report on a trained classifier, as SVG that the page holds."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hsi_ssl.errors import ModelError
from hsi_ssl.reports.figures import BLUE, GREY, ORANGE, SENTINEL, plain_numbers, style
from hsi_ssl.reports.html import inline_svg
from hsi_ssl.reports.metrics import Calibration

FEW_IN_BIN = 10
"""The accuracy of fewer pixels than that is chance: no point of the calibration curve."""


def calibration_figure(calibration: Calibration, before: Calibration | None) -> Any:
    """Accuracy over confidence, and below it how many pixels each bin holds.

    `before`: without the run's temperature, None where it has none.
    """
    edges = np.linspace(0, 1, len(calibration.count) + 1)
    with style(SENTINEL):
        figure = Figure(figsize=(4.6, 3.9), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot((0, 1), (0, 1), color=GREY, linewidth=1, linestyle="--")
        if before is not None:
            _curve(upper, before, color=ORANGE, linewidth=1, marker=".", label="uncalibrated")
            lower.stairs(before.count, edges, color=ORANGE)
        _curve(upper, calibration, color=BLUE, marker="o", markersize=4, label="as on maps")
        upper.legend(loc="upper left")
        upper.set_ylabel("share that is right")
        upper.set_ylim(0, 1.02)
        upper.annotate("perfect", (0.12, 0.17), color=GREY, rotation=32, fontsize=9)
        lower.stairs(calibration.count, edges, fill=True, color=BLUE, alpha=0.6)
        lower.set_yscale("symlog", linthresh=1)
        plain_numbers(lower.yaxis)
        lower.set_ylim(0)
        lower.set_ylabel("pixels")
        lower.set_xlabel("largest class probability")
        lower.set_xlim(0, 1.02)
        return inline_svg(figure)


def _curve(axes: Axes, calibration: Calibration, **how: Any) -> None:
    filled = calibration.count >= min(FEW_IN_BIN, max(1, calibration.count.sum() // 50))
    axes.plot(calibration.confidence[filled], calibration.accuracy[filled], **how)


def training_figure(path: Path, card: dict[str, Any]) -> Any:
    """The bound, or minus the cost, and the validation scores over epochs; None without a log.

    Raises
    ------
    ModelError
        The log is broken, or not as it was written.
    """
    if not path.exists():
        return None
    try:
        curves = _curves(path.read_bytes(), card.get("metrics_sha256"))
        if not curves:
            return None
        told = next((name.removesuffix("_batch") for name in curves if name.endswith("_batch")), "")
        batch, validation = (curves[f"{told}_{of}"] for of in ("batch", "validation"))
        epochs = curves["epoch"]
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise ModelError(
            f"{path} is broken ({error}); bring back a copy, or remove it: the report then goes "
            "without the curves of the training"
        ) from error
    before = card.get("metrics", {}).get("supervised", {}).get("macro_f1")
    scores = [
        (name, label, colour)
        for name, label, colour in (("macro_f1", "macro-F1", ORANGE), ("oa", "accuracy", GREY))
        if name in curves and np.isfinite(curves[name]).any()  # none without validation pixels
    ]
    panels = 2 if scores or before is not None else 1
    with style(SENTINEL):
        figure = Figure(figsize=(4.6, 3.9), layout="constrained")
        upper, *others = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        upper.plot(epochs, batch, color=BLUE, label="training")
        if np.isfinite(validation).any():
            upper.plot(epochs, validation, color=ORANGE, label="validation")
        settled = np.concatenate([c[len(epochs) // 20 :] for c in (batch, validation)])
        upper.set_ylim(*_clear_of_the_start(settled))
        upper.set_ylabel("bound (nats)" if told == "bound" else told.replace("_", " "))
        upper.legend(loc="lower right")
        for lower in others:
            for name, label, colour in scores:
                lower.plot(epochs, curves[name], color=colour, label=label)
            if before is not None:
                kept = card["metrics"]["kept"] == "supervised"
                told = "macro-F1, labelled pixels alone" + (" (kept)" if kept else "")
                lower.axhline(before, color=BLUE, linewidth=1, linestyle="--", label=told)
            lower.legend(loc="best", fontsize=8)
            lower.set_ylabel("validation")
        (others or [upper])[-1].set_xlabel("epoch")
        for axes in (upper, *others):
            axes.axvline(card["training"]["best_epoch"], color=GREY, linewidth=1, linestyle=":")
        return inline_svg(figure)


def worth_of_unlabelled(card: dict[str, Any]) -> str:
    """What unlabelled pixels were worth, in words; empty where validation pixels do not tell."""
    metrics = card.get("metrics", {})
    if metrics.get("gained") is None or not metrics.get("supervised"):
        return ""
    then, now = (100 * metrics[of]["macro_f1"] for of in ("supervised", "semi_supervised"))
    scores = f"macro-F1 on the validation pixels {then:.1f} % without them, {now:.1f} % with them"
    if metrics["kept"] == "supervised":
        return (
            f"Unlabelled pixels did not help here ({scores}): the model that learnt from labelled "
            "pixels alone, the dashed line, was kept, and the curves are those of the other"
        )
    return f"Unlabelled pixels: {scores}, the dashed line being the labelled pixels alone"


def _curves(log: bytes, sha256: str | None) -> dict[str, npt.NDArray[np.float64]]:
    """Columns of metrics.csv, of which the card may know the checksum.

    Raises
    ------
    ValueError, TypeError
        It is not as it was written, or no table of numbers.
    """
    if sha256 is not None and hashlib.sha256(log).hexdigest() != sha256:
        raise ValueError("it is not as it was written")
    rows = list(csv.DictReader(io.StringIO(log.decode("utf-8"), newline="")))
    names = list(rows[0]) if rows else []
    return {name: np.array([float(row[name]) for row in rows]) for name in names}


def _clear_of_the_start(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Limits without the first epochs' plunge, which would flatten all that follows."""
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
