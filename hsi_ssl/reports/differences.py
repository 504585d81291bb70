"""What one run scores more than another on the very same pixels, with intervals, in words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_ssl.inference.checkpoint import model_name
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.scores import Floats
from hsi_ssl.reports.intervals import LEVEL, pair
from hsi_ssl.reports.metrics import Scores, number

NAMES = {"macro_f1": "macro-F1", "oa": "overall accuracy"}
"""The scores whose differences are told."""


@dataclass(frozen=True)
class Difference:
    """Scores of a run less those of another, `run`, on the same pixels.

    `scores` are the other run's. `away` and `limits (2,)` by the names of `NAMES`; no limits where
    all pixels lie in one unit. `classifier` is the other run's.
    """

    run: Path
    card: dict[str, Any]
    scores: Scores
    away: dict[str, float]
    limits: dict[str, Floats | None]
    classifier: Classifier | None = None

    @property
    def named(self) -> str:
        """The other run's model, and what it learnt from."""
        return named(self.card)

    def to_json(self) -> dict[str, Any]:
        """As metrics.json holds it."""
        return {
            "run": str(self.run),
            "model": model_name(self.card),
            "unlabelled": learns_from_unlabelled(self.card),
            **{name: number(getattr(self.scores, name)) for name in NAMES},
            "level": LEVEL,
            "difference": {name: number(self.away[name]) for name in NAMES},
            "intervals": {
                name: None if found is None else pair(found) for name, found in self.limits.items()
            },
        }

    def in_words(self, name: str) -> str:
        """A difference in points with its interval, such as `+9.7 points (95 %: +5.1 to +14.3)`."""
        found, said = self.limits[name], f"{100 * self.away[name]:+.1f} points"
        if found is None:
            return said
        low, high = (f"{100 * limit:+.1f}" for limit in found)
        return f"{said} ({100 * LEVEL:.0f} % interval {low} to {high})"

    @property
    def verdict(self) -> str:
        """What the interval of macro-F1 says."""
        found = self.limits["macro_f1"]
        if found is None:
            return "all pixels lie in one unit: how sure that is cannot be told"
        low, high = found
        if low > 0:
            return "more than chance would make of these pixels"
        if high < 0:
            return "less than the other, and not by chance"
        return "which these pixels cannot tell from no difference"


def learns_from_unlabelled(card: dict[str, Any]) -> bool:
    """Whether a run has learnt from pixels without label, by itself or by its features."""
    return bool(card["settings"].get("unlabelled", True)) or card["m1"] is not None


def named(card: dict[str, Any]) -> str:
    """A run's model and what it has learnt from, in words."""
    what = "with unlabelled pixels" if learns_from_unlabelled(card) else "labelled pixels alone"
    return f"{model_name(card)}, {what}"
