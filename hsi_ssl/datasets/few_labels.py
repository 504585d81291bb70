"""Few labels of a dataset that has many: what would have been learnt from N labels a class.

For each seed the training pixels of every class stand in one random order, of which the first N
are taken, as `prepare --per-class` does. So draws of one seed are nested, 5 labels within 10, and
those of different seeds are independent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.sampling import labelled_draws
from hsi_ssl.datasets.store import Dataset, Part, write_relabelled
from hsi_ssl.labels.label_set import UNLABELLED

Ints = npt.NDArray[np.int64]


def few_labels(dataset: Dataset, per_class: int, seed: int) -> Ints:
    """Rows, ascending, of `per_class` training pixels of each class, or of all that it has."""
    train = dataset.rows(Part.TRAIN)
    draws = labelled_draws(
        [dataset.label[train][None]],
        [np.full((1, len(train)), Part.TRAIN, np.uint8)],
        len(dataset.label_set),
        {Part.TRAIN: per_class, Part.VALIDATION: None, Part.TEST: None},
        np.random.default_rng(seed),
    )
    return np.sort(train[np.concatenate([d.order[: d.wanted].flat for d in draws])])


def fewer_than(dataset: Dataset, per_class: int) -> list[tuple[str, int]]:
    """Names of the classes that have fewer training pixels, and how many."""
    counts = training_counts(dataset)
    names = dataset.label_set.names
    return [(names[k], int(n)) for k, n in enumerate(counts) if 0 < n < per_class]


def training_counts(dataset: Dataset) -> Ints:
    """Training pixels of each class, `(K,)`."""
    label = dataset.label[dataset.rows(Part.TRAIN)]
    return np.bincount(label, minlength=len(dataset.label_set)).astype(np.int64)


def with_labels_of(dataset: Dataset, rows: Ints, path: Path) -> Dataset:
    """The dataset with the labels of these training pixels and of the test pixels alone.

    Other training pixels join the unlabelled pool. Validation pixels are set aside, or their labels
    would be more than those few. Written to `path`; spectra are not copied but read from where they
    are.
    """
    label, part = dataset.label.copy(), dataset.part.copy()
    known = np.isin(np.arange(len(label)), rows)
    part[(part == Part.TRAIN) & ~known] = Part.POOL
    part[part == Part.VALIDATION] = Part.OTHER
    label[np.isin(part, (Part.POOL, Part.OTHER))] = UNLABELLED
    return write_relabelled(dataset, path, label=label, part=part)
