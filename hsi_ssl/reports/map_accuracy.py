"""How right a class map is: by its own values where the truth is known.

Whoever made it, and whatever model is beside it, a map is judged by what stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Dataset, UnitKind
from hsi_ssl.errors import LabelError
from hsi_ssl.inference.scores import Floats, Ints, confusion_matrix
from hsi_ssl.labels.label_set import UNLABELLED, LabelClass, LabelSet
from hsi_ssl.reports.areas import Areas, estimated_areas
from hsi_ssl.reports.class_maps import ClassMap
from hsi_ssl.reports.figures import percent
from hsi_ssl.reports.intervals import Intervals, intervals, tallied
from hsi_ssl.reports.map_classes import Matched, matched
from hsi_ssl.reports.map_pixels import AtPixels, at_dataset
from hsi_ssl.reports.metrics import Scores, listed, number

SCORES = ("oa", "aa", "kappa", "macro_f1")
MOSTLY = 0.5
"""Share of a class's pixels without class on the map, above which the class is named."""


@dataclass(frozen=True)
class Truth:
    """What n pixels are: classes `(n,)` of a label set, 0..K-1, and the units that they lie in.

    `what` are they, in words: "test", "reference".
    """

    label_set: LabelSet
    index: Ints = field(repr=False)
    unit: npt.NDArray[Any] = field(repr=False)
    unit_kind: UnitKind
    what: str


@dataclass(frozen=True)
class MapAccuracy:
    """A map of M classes against the truth of K, the first K of its classes.

    `further` are the others: no pixel truly is one. `in_further (K, M - K)`: pixels of each true
    class in these, all wrong, which `scores` counts too. `mapped (M,)`: pixels of the whole map;
    `hectares`: of one of them, None where nobody knows. `totals (K,)`: known pixels of each class;
    of these `not_classified` have no class on the map and `outside` lie beyond it: no score counts
    them. `uri`: the map as a picture. `what` the known pixels are, in words.
    """

    path: Path
    label_set: LabelSet
    further: tuple[LabelClass, ...]
    mapped: Ints
    hectares: float | None
    scores: Scores
    in_further: Ints
    totals: Ints
    not_classified: int
    outside: int
    areas: Areas
    intervals: Intervals
    uri: str = field(repr=False)
    what: str = "test"
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """Pixels that the scores rest on."""
        return self.scores.n

    @property
    def counts(self) -> Ints:
        """Pixels by true class and class of the map, `(K, M)`."""
        return np.concatenate([self.scores.confusion, self.in_further], axis=1)

    @property
    def heat(self) -> Floats:
        """Shares `(K, M)` of each true class's pixels; zeros for an absent one."""
        found: Floats = self.counts / self.scores.totals[:, None].clip(min=1)
        return found

    @property
    def areas_json(self) -> dict[str, Any]:
        """Areas and accuracies on the map's area, as JSON."""
        return self.areas.to_json(self.label_set.codes.tolist(), self.hectares)

    def to_json(self) -> dict[str, Any]:
        """As JSON: `accuracy` of the known pixels; areas, and accuracies, of the whole map."""
        size = self.hectares or 1.0
        K = len(self.label_set)
        return {
            "map": str(self.path),
            "n": self.n,
            "not_classified": self.not_classified,
            "outside": self.outside,
            "accuracy": {name: number(getattr(self.scores, name)) for name in SCORES},
            "intervals": self._intervals_json(),
            **self.areas_json,
            "confusion": self.scores.confusion.tolist(),
            "further": [
                {
                    "code": c.code,
                    "name": c.name,
                    "mapped": float(self.mapped[K + i] * size),
                    "confusion": self.in_further[:, i].tolist(),
                }
                for i, c in enumerate(self.further)
            ],
            "notes": list(self.notes),
        }

    def _intervals_json(self) -> dict[str, Any]:
        """Intervals as JSON; none of a kappa below 0, which limits of shares cannot hold."""
        found = self.intervals.to_json()
        return found if not self.scores.kappa < 0 else {**found, "kappa": None}

    def words(self) -> Iterator[str]:
        """Say in sentences what the scores and the areas do not cover."""
        name, names = self.path.name, self.label_set.names
        if self.not_classified:
            known = int(self.totals.sum())
            yield (
                f"{self.not_classified:,} of {known:,} {self.what} pixels "
                f"({percent(self.not_classified / known)}) are not classified on {name}: its "
                "accuracies leave them out"
            )
        lost = self.totals - self.scores.totals
        mostly = [n for n, k in zip(names, lost > MOSTLY * self.totals, strict=True) if k]
        if mostly:
            yield (
                f"most {self.what} pixels of {listed(mostly)} have no class on {name}: its "
                "accuracies tell little of "
                f"{'this class' if len(mostly) == 1 else 'these classes'}"
            )
        if self.scores.in_none is not None and self.scores.in_none.any():
            wrong = int(self.scores.in_none.sum())
            yield (
                f"{name} has {listed([c.name for c in self.further])}, which no {self.what} pixel "
                f"truly is: {wrong:,} of {self.n:,} lie there and count as wrong"
            )
        of_map = (*names, *(c.name for c in self.further))
        yield from (f"on {name} {said}" for said in self.areas.words(of_map, self.what))


def accuracy_on_dataset(
    found: ClassMap,
    label_set: LabelSet,
    dataset: Dataset,
    rows: Ints,
    part: str,
) -> MapAccuracy:
    """Judge a map by the pixels of a part of a dataset of one label set.

    Parameters
    ----------
    label_set
        The dataset's, by which the map's codes and names are understood.
    rows
        Those of the part.

    Raises
    ------
    SceneError
        A value of the map is no code; the file is broken.
    LabelError
        The map holds other classes, or lies elsewhere.
    """
    rows = rows[dataset.label[rows] >= 0]
    recoded = {int(value): code for value, code in dataset.meta.get("recoded", {}).items()}
    classes = matched(found, label_set, dataset.path, recoded)
    truth = Truth(
        label_set,
        dataset.label[rows].astype(np.int64),
        dataset.unit[rows],
        dataset.unit_kind,
        part,
    )
    pixels = at_dataset(found, dataset, rows, part, label_set.name)
    return judged(found, classes, truth, pixels)


def judged(found: ClassMap, classes: Matched, truth: Truth, pixels: AtPixels) -> MapAccuracy:
    """Judge a map by what it has at pixels whose truth is known.

    Raises
    ------
    LabelError
        The map has no class at any of these pixels.
    """
    label_set, K = truth.label_set, len(truth.label_set)
    M = K + len(classes.further)
    table = np.array([UNLABELLED, *(classes.index[v] for v in found.values)], np.int64)
    index = table[pixels.number]
    there = index >= 0
    if not there.any():
        raise LabelError(
            f"{found.path} has no class at any of the {len(there):,} {truth.what} pixels, "
            f"{np.count_nonzero(pixels.outside):,} of which lie beyond it: name a map that covers "
            "them"
        )
    true, mapped_as = truth.index[there], index[there]
    whole = confusion_matrix(true, mapped_as, M)[:K]
    further = whole[:, K:]
    mapped = np.zeros(M, np.int64)
    for value, n in found.pixels.items():
        mapped[classes.index[value]] += n
    beyond = int(np.count_nonzero(pixels.outside))
    notes = (*found.notes, *classes.notes, *pixels.notes)
    if beyond:
        notes = (
            *notes,
            f"{beyond:,} of {len(there):,} {truth.what} pixels lie beyond {found.path.name}",
        )
    return MapAccuracy(
        path=found.path,
        label_set=label_set,
        further=classes.further,
        mapped=mapped,
        hectares=found.hectares,
        scores=Scores(whole[:, :K], in_none=further.sum(axis=1) if M > K else None),
        in_further=further,
        totals=np.bincount(truth.index, minlength=K),
        not_classified=int(np.count_nonzero(~there)) - beyond,
        outside=beyond,
        areas=estimated_areas(mapped, whole),
        intervals=intervals(tallied(true, mapped_as, truth.unit[there], K), truth.unit_kind),
        uri=_picture(found, classes, label_set),
        what=truth.what,
        notes=notes,
    )


def _picture(found: ClassMap, classes: Matched, label_set: LabelSet) -> str:
    """The map in the label set's colours; codes count from 1, as two classes may share one."""
    shown = (*label_set.classes, *classes.further)
    numbered = LabelSet(label_set.name, tuple(replace(c, code=i + 1) for i, c in enumerate(shown)))
    return found.picture(numbered, {value: k + 1 for value, k in classes.index.items()})
