"""The cells of a comparison, extractor x classifier x labels x seed, and what each has found."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_ssl.comparing.baselines import BASELINES
from hsi_ssl.datasets.few_labels import training_counts
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError, SettingsError
from hsi_ssl.inference.checkpoint import CARD
from hsi_ssl.models.classifiers import CLASSIFIERS
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.models.presets import PRESETS

NONE = "none"
"""Scaled spectra as they are."""
SCORES = ("oa", "aa", "macro_f1", "kappa")


@dataclass(frozen=True, order=True)
class Cell:
    """One training and its score."""

    seed: int
    labels: int
    extractor: str
    classifier: str

    @property
    def name(self) -> str:
        """Of its file, without suffix; a run folder among the extractors goes by its path."""
        extractor = self.extractor.replace("/", "%")
        return f"{extractor}-{self.classifier}-{self.labels}-{self.seed}"


@dataclass(frozen=True)
class Result:
    """What a cell has found on the test pixels; `refused`: why it cannot be trained.

    `features` J; `trained_on` labelled pixels; `tuned`: by what settings were chosen, which are
    `settings`; `seconds` of tuning and fitting the classifier, `extractor_seconds` of training the
    extractor, which serves all cells of a seed; `wall_seconds` that the cell took as a whole;
    `bytes` of classifier and extractor as they are stored.
    """

    extractor: str
    classifier: str
    labels: int
    seed: int
    oa: float | None = None
    aa: float | None = None
    macro_f1: float | None = None
    kappa: float | None = None
    seconds: float = 0.0
    extractor_seconds: float = 0.0
    bytes: int = 0
    features: int = 0
    trained_on: int = 0
    tuned: str = ""
    settings: str = ""
    wall_seconds: float = 0.0
    refused: str = ""


@dataclass(frozen=True)
class Grid:
    """What is compared."""

    extractors: tuple[str, ...]
    classifiers: tuple[str, ...]
    labels: tuple[int, ...]
    seeds: int

    def cells(self) -> list[Cell]:
        """All cells; of each seed and number of labels, models first, which take longest."""
        classifiers = sorted(self.classifiers, key=lambda name: name in BASELINES)
        return [
            Cell(seed, labels, extractor, classifier)
            for seed, labels, classifier, extractor in itertools.product(
                range(self.seeds), sorted(self.labels), classifiers, self.extractors
            )
        ]

    def in_order(self, results: Iterable[Result]) -> list[Result]:
        """Results by labels, classifier, extractor and seed, as they are named."""
        return sorted(
            results,
            key=lambda r: (
                r.labels,
                self.classifiers.index(r.classifier),
                self.extractors.index(r.extractor),
                r.seed,
            ),
        )

    @property
    def models(self) -> list[str]:
        """Classifiers that `train-m2` trains, by `--model`."""
        return [name for name in self.classifiers if name not in BASELINES]

    @property
    def to_train(self) -> list[str]:
        """Extractors that are to be trained, once a seed, since they look at no label."""
        return [name for name in self.extractors if name != NONE and not is_run(name)]


def is_run(extractor: str) -> bool:
    """Whether an extractor is named by the folder of a run of `train-m1`."""
    return extractor not in (NONE, *EXTRACTORS) and (Path(extractor) / CARD).is_file()


def check_names(grid: Grid) -> None:
    """Refuse names that nobody knows, by the nearest that is known.

    Raises
    ------
    SettingsError
        An extractor or a classifier is not known, named twice, or has nobody to learn from.
    """
    for what, names, known in (
        ("extractor", grid.extractors, (NONE, *EXTRACTORS)),
        ("classifier", grid.classifiers, (*BASELINES, *PRESETS, *CLASSIFIERS)),
    ):
        for name in names:
            if name not in known and not (what == "extractor" and is_run(name)):
                raise SettingsError(f"no {what} {name!r}; {nearest(name, known)}")
        _refuse_twice(f"{what}s", names)
    for name in set(grid.classifiers) & set(CLASSIFIERS):
        kind = CLASSIFIERS.find(name)
        if kind.has_teacher or kind.privileged:
            raise SettingsError(
                f"{name} learns from another run or sensor, which a comparison has not: "
                "leave it out"
            )
    _refuse_twice("numbers of labels", grid.labels)


def nearest(name: str, known: Iterable[str]) -> str:
    """The name that was meant, or all that there are."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


def _refuse_twice(what: str, names: Sequence[object]) -> None:
    if len(set(names)) < len(names):
        raise SettingsError(f"{what} {', '.join(map(str, names))}: each is to be named once")


def check_dataset(dataset: Dataset, labels: Sequence[int]) -> None:
    """Refuse a dataset that cannot be compared on.

    Raises
    ------
    DatasetError
        No test pixels, one class to learn, or fewer training pixels of every class than labels
        are asked for.
    """
    if not len(dataset.rows(Part.TEST)):
        raise DatasetError(
            f"{dataset.path} has no test pixels to score; prepare with another split"
        )
    counts = training_counts(dataset)
    if np.count_nonzero(counts) < 2:  # noqa: PLR2004
        raise DatasetError(
            f"{dataset.path} has training pixels of one class only; a comparison needs two or more"
        )
    if max(labels) > counts.max():
        largest = dataset.label_set.names[int(counts.argmax())]
        raise DatasetError(
            f"{max(labels)} labels a class are asked for, but no class of {dataset.path} has more "
            f"than the {counts.max():,} training pixels of {largest}: ask for at most that many"
        )


def check_latent(dataset: Dataset, latent: int) -> None:
    """Refuse more features than there are spectra to learn them from.

    Raises
    ------
    SettingsError
        There are fewer.
    """
    spectra = len(dataset.learnt_rows)
    if latent > spectra:
        raise SettingsError(
            f"{latent} features cannot be learnt from {spectra:,} spectra: ask for fewer "
            "(--latent), or prepare with more unlabelled pixels"
        )
