"""Confidence intervals of scores, by a bootstrap over spatial units instead of pixels.

Pixels of one polygon, patch or block are nearly copies of each other: errors come in groups, and
an interval that took pixels for independent would be far too narrow. So units are drawn with
replacement. The spread of the replicates alone still promises too much where units are few or
uneven; the limits take that into account (Korn and Graubard 1998): Clopper and Pearson's for as
many independent pixels as would spread as much, with Student's t of the effective number of units
in place of the normal distribution. `reports/intervals.md` has the coverage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtri, stdtrit

from hsi_ssl.datasets.store import UnitKind
from hsi_ssl.inference.scores import Floats, Ints, scores_of
from hsi_ssl.reports.metrics import listed

LEVEL = 0.95
REPLICATES = 1000
SEED = 0
FEW = 10
"""Fewer units of equal size than that say little about others."""
AT_ONCE = 2**22
"""Draws of units in memory."""
WORDS: dict[UnitKind, str] = {
    "polygon": "polygons",
    "patch": "connected patches",
    "block": "blocks",
    "scene": "scenes",
    "pixel": "single pixels",
}


@dataclass(frozen=True)
class Tallies:
    """Pixels of each unit and class, each array `(U, K)`.

    `right`: those of the class that are found; `true`: all of the class; `taken`: all that are
    taken for it. Every unit has a pixel.
    """

    right: Ints
    true: Ints
    taken: Ints

    def __len__(self) -> int:
        return len(self.true)


@dataclass(frozen=True)
class Intervals:
    """Intervals of the scores of `scores.scores_of`, by its names: `(2,)`, or `(K, 2)` of classes.

    NaN where it cannot be told: of a class in a single unit. `units` hold the pixels, as good as
    `effective` of equal size; `of_class (K,)` of them have pixels of the class.
    """

    kind: UnitKind
    units: int
    effective: float
    of_class: Ints
    found: dict[str, Floats]

    def to_json(self) -> dict[str, Any]:
        """As JSON: those of the single numbers, and what they rest on."""
        single = {name: pair(self.found[name]) for name in ("oa", "aa", "macro_f1", "kappa")}
        about = {"level": LEVEL, "unit": self.kind, "units": self.units}
        return {**about, "effective_units": round(self.effective, 1), **single}

    def of(self, k: int) -> dict[str, Any]:
        """Those of class `k`, as JSON."""
        recall, f1 = (pair(self.found[name][k]) for name in ("recall", "f1"))
        return {"units": int(self.of_class[k]), "recall_interval": recall, "f1_interval": f1}

    def words(self, names: Sequence[str], *, by_scene: bool, pictures: bool) -> Iterator[str]:
        """Say in sentences what the intervals do not know.

        `by_scene`: the dataset is split by scenes; `pictures`: its pixels have no neighbours.
        """
        what = WORDS[self.kind]
        if self.kind == "pixel" and not pictures:
            yield (
                "the dataset does not tell which pixels lie together, so the intervals take each "
                "for itself and are too narrow: run `hsi-ssl prepare` again"
            )
        if self.units == 1:
            yield f"all pixels lie in one of the {what}: no intervals can be told"
        elif self.effective < FEW:
            uneven = f", as good as {self.effective:.0f} of equal size,"
            yield (
                f"the pixels lie in {self.units} {what}"
                f"{uneven if round(self.effective) < self.units else ''} which is too few to tell "
                "much: take the intervals as rough, and label more places to narrow them"
            )
        if by_scene and self.kind not in ("scene", "pixel"):
            yield (
                "too few scenes to tell how scores differ between scenes: the intervals hold for "
                "other places in these scenes, other scenes may lie outside"
            )
        alone = [name for name, n in zip(names, self.of_class, strict=True) if n == 1]
        if alone and self.units > 1:
            yield (
                f"one of the {what} holds all pixels of {listed(alone)}: no intervals of "
                f"{'its' if len(alone) == 1 else 'their'} scores, and those of means over classes "
                "do not know how much these would vary"
            )


def pair(interval: Floats) -> list[float] | None:
    """Both limits for JSON, None where there are none."""
    return None if np.isnan(interval).any() else [float(limit) for limit in interval]


def tallied(truth: Ints, predicted: Ints, unit: npt.NDArray[Any], classes: int) -> Tallies:
    """Count the pixels `(n,)` of each unit; a prediction not below `classes` is of none of them."""
    numbers, place = np.unique(unit, return_inverse=True)
    shape = len(numbers), classes

    def count(which: npt.NDArray[np.bool_], of: Ints) -> Ints:
        pairs = place[which] * classes + of[which]
        return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)

    return Tallies(
        count(truth == predicted, truth),
        count(np.ones(len(truth), bool), truth),
        count(predicted < classes, predicted),
    )


def intervals(tallies: Tallies, kind: UnitKind, seed: int = SEED) -> Intervals:
    """Intervals at `LEVEL` of all scores, the units being `kind`."""
    units, classes = tallies.true.shape
    found = scores_of(*(_sum(a) for a in _counts(tallies)))
    of_class = np.count_nonzero(tallies.true, axis=0)
    each, whole = _effective(tallies.true), _effective(tallies.true.sum(1, keepdims=True))
    if units == 1:
        nothing = {name: np.full((*np.shape(v), 2), np.nan) for name, v in found.items()}
        return Intervals(kind, units, float(whole[0]), of_class, nothing)
    (drawn,) = _replicates((tallies,), seed)
    spread = {name: _spread(values, units) for name, values in drawn.items()}
    pixels = tallies.true.sum(0)
    freedom = {**_freedoms(each, float(whole[0])), "recall": each - 1, "f1": each - 1}
    limits = {}
    for name, value in found.items():
        one = value.shape == (classes,)
        limits[name] = _limits(
            value,
            spread[name],
            np.maximum(freedom[name], 1),
            units=each if one else whole[0],
            pixels=pixels if one else pixels.sum(),
        )
        if one:
            limits[name][of_class < 2] = np.nan  # noqa: PLR2004
    return Intervals(kind, units, float(whole[0]), of_class, limits)


def differences(ours: Tallies, theirs: Tallies, seed: int = SEED) -> dict[str, Floats | None]:
    """Intervals `(2,)` at `LEVEL` of our single scores less theirs, of the same pixels and units.

    Both are scored on the same draws of units, so that what is hard for both does not count.
    Student's t on the replicates' standard error, with as many degrees of freedom as the scores'
    own intervals have: a difference is no share, for which Clopper and Pearson's limits hold. None
    where all pixels lie in one unit.
    """
    units = len(ours)
    each, whole = _effective(ours.true), _effective(ours.true.sum(1, keepdims=True))
    freedom = _freedoms(each, float(whole[0]))
    if units == 1:
        return dict.fromkeys(freedom)
    first, second = (scores_of(*(_sum(a) for a in _counts(one))) for one in (ours, theirs))
    drawn, beside = _replicates((ours, theirs), seed)
    limits: dict[str, Floats | None] = {}
    for name, degrees in freedom.items():
        error = _spread(drawn[name] - beside[name], units)
        wide = float(stdtrit(max(float(degrees), 1), (1 + LEVEL) / 2)) * error
        away = first[name] - second[name]
        limits[name] = np.clip(np.array([away - wide, away + wide]), -1, 1)
    return limits


def _replicates(several: Sequence[Tallies], seed: int) -> list[dict[str, Floats]]:
    """Scores `(REPLICATES, ...)` of each of several tallies of the same units, drawn together."""
    rng, units = np.random.default_rng(seed), len(several[0])
    share = np.full(units, 1 / units)
    counts = [[a.astype(np.float64) for a in _counts(one)] for one in several]
    found: list[list[dict[str, Floats]]] = [[] for _ in several]
    for first in range(0, REPLICATES, step := max(1, AT_ONCE // units)):
        drawn = rng.multinomial(units, share, size=min(step, REPLICATES - first))
        for mine, of_one in zip(found, counts, strict=True):
            mine.append(scores_of(*(drawn.astype(np.float64) @ a for a in of_one)))
    return [
        {name: np.concatenate([some[name] for some in mine]) for name in mine[0]} for mine in found
    ]


def _spread(values: Floats, units: int) -> Floats:
    """Standard error of replicates `(R, ...)`, less the bias of drawing from few units."""
    there = ~np.isnan(values)
    n = np.maximum(there.sum(0), 2)
    mean = np.where(there, values, 0).sum(0) / n
    square = np.where(there, (values - mean) ** 2, 0).sum(0) / (n - 1)
    return np.asarray(np.sqrt(square * units / (units - 1)))


def _counts(tallies: Tallies) -> tuple[Ints, Ints, Ints]:
    """What `scores_of` takes, unit by unit."""
    return tallies.right, tallies.true, tallies.taken


def _freedoms(each: Floats, whole: float) -> dict[str, Any]:
    """Degrees of freedom of the single scores, of effective units of classes `(K,)` and of all."""
    means = _freedom(each)
    return {"oa": whole - 1, "aa": means, "macro_f1": means, "kappa": whole - 1}


def _limits(value: Floats, error: Floats, freedom: Floats, *, units: Any, pixels: Any) -> Floats:
    """Limits `(..., 2)` of shares with standard errors, after Korn and Graubard (1998).

    Where nothing varies, each of the effective `units` counts as one independent pixel.
    """
    tail = (1 - LEVEL) / 2
    share = np.clip(value, 0, 1)
    wider = (ndtri(tail) / stdtrit(freedom, tail)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.where(error > 0, share * (1 - share) / error**2 * wider, units)
    alike = np.clip(np.where(share * (1 - share) > 0, alike, units), 1, pixels)
    yes, no = alike * share, alike * (1 - share)
    low = np.where(yes > 0, betaincinv(np.maximum(yes, 1e-9), no + 1, tail), 0.0)
    high = np.where(no > 0, betaincinv(yes + 1, np.maximum(no, 1e-9), 1 - tail), 1.0)
    found: Floats = np.where(np.isnan(value)[..., None], np.nan, np.stack([low, high], axis=-1))
    return found


def _effective(pixels: Ints) -> Floats:
    """How many units of equal size `pixels (U, K)` are as good as, `(K,)` (Kish 1965)."""
    squares = (pixels.astype(np.float64) ** 2).sum(0)
    found: Floats = _sum(pixels) ** 2 / np.maximum(squares, 1)
    return found


def _freedom(each: Floats) -> Floats:
    """Degrees of freedom of a mean over classes of which `each (K,)` units tell.

    Welch and Satterthwaite's, with 1 / units in place of the classes' variances: those measured on
    two or three units are as likely far too small, and would count least where they should most.
    """
    there = each[each > 0]
    return np.asarray((1 / there).sum() ** 2 / (1 / there**2 / np.maximum(there - 1, 0.5)).sum())


def _sum(counts: Ints) -> Floats:
    total: Floats = counts.sum(axis=0).astype(np.float64)
    return total
