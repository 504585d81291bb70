"""Labels that a trained classifier contradicts: which a person should look at again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hsi_ssl.datasets.neighbours import neighbours_among
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.extractor import check_bands
from hsi_ssl.inference.lineage import draw_fingerprint
from hsi_ssl.inference.precision import quick_products
from hsi_ssl.labels.label_set import codes_to_indices, indices_to_codes
from hsi_ssl.watcher import SILENT, Watcher

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

BLOCK = 65_536
"""Pixels read and classified at a time."""
SURE = 0.9
"""Probability of another class from which on a label counts as contradicted, by default."""
LEARNT, CHOSE, NEW, PERHAPS = "learnt from", "chose the model", "new", "perhaps learnt from"
"""What a pixel's label was to the model; the last: it learnt from another draw of these scenes."""
OF_PART = {Part.TRAIN: LEARNT, Part.VALIDATION: CHOSE, Part.TEST: NEW}
UNITS = {"polygon": "its polygon", "patch": "its patch", "block": "its block", "scene": "its scene"}


@dataclass(frozen=True)
class Contradicted:
    """Labelled pixels side by side, of one class, that the model takes for one other.

    `scene`: row of the dataset's sources; `pixels (m, 2)`: row and column. `probability` of the
    class that is `predicted` and of the one that is `given`, means over the pixels. `label`: what
    the label was to the model. `around`: labelled pixels of that class in the same units
    (polygons, patches), these among them; `unit_kind` says what those are.
    """

    scene: int
    pixels: Ints
    given: str
    predicted: str
    probability: float
    given_probability: float
    label: str
    around: int
    unit_kind: str

    @property
    def reason(self) -> str:
        """Why it should be looked at, in words."""
        found = (
            f"labelled {self.given} ({self.given_probability:.0%}), looks like {self.predicted} "
            f"({self.probability:.0%})"
        )
        if self.unit_kind in UNITS:
            found += f"; {len(self.pixels):,} of {self.around:,} pixels of {UNITS[self.unit_kind]}"
        return f"{found}; {self.label}"


@dataclass(frozen=True)
class Checked:
    """All that is contradicted, the worst first, of how many labelled pixels."""

    contradicted: list[Contradicted]
    pixels: int
    learnt: int
    """Of them, those that the model learnt from, or perhaps did."""

    def in_words(self, sure: float) -> str:
        """How much is contradicted, and how far that can be trusted."""
        each = self.contradicted
        doubted = sum(len(one.pixels) for one in each)
        if not doubted:
            found = f"no label of {self.pixels:,} pixels is contradicted at {sure:.0%} or more"
        else:
            places = "1 place" if len(each) == 1 else f"{len(each):,} places"
            found = (
                f"{doubted:,} of {self.pixels:,} labelled pixels look like another class with "
                f"{sure:.0%} or more, in {places}"
            )
        if not self.learnt:
            return found
        known = sum(len(one.pixels) for one in each if one.label in (LEARNT, PERHAPS))
        return (
            f"{found}; the model has learnt from the labels of {self.learnt:,} of these pixels and "
            f"contradicts {known:,} of them: what is wrong there it may know by heart"
        )


def check_labels(
    run: Path,
    classifier: Classifier,
    names: list[str],
    dataset: Dataset,
    *,
    sure: float = SURE,
    watcher: Watcher = SILENT,
) -> Checked:
    """Find the labels of a dataset that the classifier of a run contradicts.

    Parameters
    ----------
    names
        Of the columns of its posterior.
    sure
        The other class has this probability or more.

    Raises
    ------
    ModelError
        The dataset's bands are not the run's.
    DatasetError
        It holds pictures, or no label of a class that the run knows.
    """
    check_bands(classifier.card, dataset, run)
    if dataset.meta["image_like"]:
        raise DatasetError(
            f"{dataset.path} holds pictures, which lie nowhere: expected a dataset of scenes, "
            "whose labels can be looked at in QGIS"
        )
    rows = np.flatnonzero(dataset.label >= 0)
    given = codes_to_indices(
        indices_to_codes(dataset.label[rows], dataset.label_set), classifier.label_set
    ).astype(np.int64)
    rows, given = rows[given >= 0], given[given >= 0]
    if not len(rows):
        raise DatasetError(
            f"{dataset.path} has no pixel of the classes that {run} knows: name the dataset that "
            "it learnt from, or another of the same classes"
        )
    predicted, p, p_given = _predicted(classifier, dataset, rows, given, watcher)
    doubted = np.flatnonzero((predicted != given) & (p >= sure))
    label = _labels_to(classifier, dataset)
    key = np.stack([dataset.scene[rows], dataset.part[rows], given, predicted], axis=1)[doubted]
    unit, of_unit = _of_units(dataset.unit[rows].astype(np.int64), given)
    found = [
        Contradicted(
            scene=int(key[some[0], 0]),
            pixels=dataset.pixel[rows[doubted[some]]].astype(np.int64),
            given=names[key[some[0], 2]],
            predicted=names[key[some[0], 3]],
            probability=float(p[doubted[some]].mean()),
            given_probability=float(p_given[doubted[some]].mean()),
            label=label[Part(key[some[0], 1])],
            around=int(of_unit[np.unique(unit[doubted[some]])].sum()),
            unit_kind=dataset.unit_kind,
        )
        for some in _patches(neighbours_among(dataset.neighbours, rows[doubted]), key)
    ]
    found.sort(key=lambda one: (one.given_probability - one.probability, -len(one.pixels)))
    may_know = [part for part in OF_PART if label[part] in (LEARNT, PERHAPS)]
    return Checked(found, len(rows), int(np.isin(dataset.part[rows], may_know).sum()))


def _predicted(
    classifier: Classifier, dataset: Dataset, rows: Ints, given: Ints, watcher: Watcher
) -> tuple[Ints, Floats, Floats]:
    """The likeliest class `(n,)` of pixels, its probability and that of the class `given`."""
    predicted = np.empty(len(rows), np.int64)
    p, p_given = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    with quick_products(classifier.device):
        for first in range(0, len(rows), BLOCK):
            some = slice(first, first + BLOCK)
            posterior = classifier.posterior(dataset.spectra(rows[some]))
            each = np.arange(len(posterior))
            predicted[some] = posterior.argmax(1)
            p[some], p_given[some] = posterior[each, predicted[some]], posterior[each, given[some]]
            watcher.progress("check labels", min(first + BLOCK, len(rows)), len(rows))
    return predicted, p, p_given


def _labels_to(classifier: Classifier, dataset: Dataset) -> dict[Part, str]:
    """What the labels of each part were to a model."""
    known = classifier.card["dataset"]
    if known["draw"] == draw_fingerprint(dataset):
        return dict(OF_PART)
    theirs, ours = ({s["fingerprint"] for s in d["sources"]} for d in (known, dataset.meta))
    return dict.fromkeys(OF_PART, PERHAPS if theirs & ours else NEW)


def _patches(neighbours: Ints, key: Ints) -> Iterator[Ints]:
    """Pixels side by side that agree in `key (n, k)`: rows of each such patch."""
    own = np.broadcast_to(np.arange(len(key))[:, None], neighbours.shape)
    alike = (neighbours >= 0) & (key[neighbours] == key[:, None]).all(axis=-1)
    edges = coo_array(
        (np.ones(int(alike.sum()), bool), (own[alike], neighbours[alike])), (len(key), len(key))
    )
    _, number = connected_components(edges, directed=False)
    order = np.argsort(number, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(key) else ()


def _of_units(unit: Ints, given: Ints) -> tuple[Ints, Ints]:
    """Number units `(n,)` by class too, and count the pixels of each."""
    _, number, counts = np.unique(
        np.stack([unit, given], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return number.ravel(), counts
