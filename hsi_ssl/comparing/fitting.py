"""A baseline tuned and fitted: folds among the training pixels, nothing else is looked at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import parallel_config
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold

from hsi_ssl.comparing.baselines import BASELINES, Array, Ints

FOLDS = 5
TUNING_PIXELS = 3000
"""Pixels that settings are tuned on, at most; the chosen ones are then fitted on all."""
UNLABELLED_PIXELS = 1000
"""Pixels of the pool that a baseline learns from, at most: kernels grow with their square."""
BLOCK = 4096
"""Pixels classified at a time: kernels are as wide as the pixels learnt from."""
Fold = tuple[Ints, Ints]


@dataclass(frozen=True)
class Fitted:
    """A classifier that has learnt; `tuned` says by what its settings were chosen."""

    estimator: Any
    tuned: str
    settings: dict[str, Any]

    def predict(self, x: Array) -> Ints:
        """Class indices `(n,)` of features `(n, D)`."""
        blocks = [
            self.estimator.predict(np.asarray(x[first : first + BLOCK], np.float64))
            for first in range(0, len(x), BLOCK)
        ]
        return np.concatenate([np.empty(0, np.int64), *blocks]).astype(np.int64)


def fit_baseline(
    name: str,
    x: Array,
    y: Array,
    seed: int,
    *,
    unit: Ints | None = None,
    kind: str = "unit",
    pool: Array | None = None,
    threads: int | None = None,
) -> Fitted:
    """Fit a baseline on features `x (n, D)` and class indices `y (n,)`.

    seed
        Of the folds, of the pixels to tune on, and of trees.
    unit
        What each pixel belongs to on the ground, `(n,)`, called a `kind`; see `folds_of`.
    pool
        Features `(m, D)` of pixels without label, for a baseline that learns from them.
    threads
        That it may use; None: as many as there are processors.

    Raises
    ------
    SettingsError
        There is no baseline of that name.
    """
    baseline = BASELINES.find(name)()
    x, y = np.asarray(x, np.float64), np.asarray(y, np.int64)
    beside = np.empty((0, x.shape[1]))
    if baseline.unlabelled and pool is not None:
        beside = np.asarray(pool, np.float64)
    threads = threads or os.cpu_count() or 1
    every = np.concatenate([x, beside])
    estimator, grid = baseline.estimator(every, seed, threads), baseline.grid(every)
    few = some_of_each(y, np.random.default_rng(seed), total=TUNING_PIXELS)
    folds, tuned = folds_of(y[few], None if unit is None else unit[few], seed, kind)
    chosen: dict[str, Any] = {}
    with warnings.catch_warnings():
        # A fold may hold one pixel of a class, or settings that do not converge: they lose.
        warnings.simplefilter("ignore")
        if grid and folds:
            chosen = _best(estimator, grid, folds, x[few], y[few], beside, threads)
        elif not grid:
            tuned = "nothing to tune"
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        fitted = estimator.set_params(**chosen).fit(every, _with_unlabelled(y, beside))
    if any(issubclass(warning.category, ConvergenceWarning) for warning in heard):
        tuned += ", not converged"
    return Fitted(fitted, tuned, chosen)


def folds_of(y: Ints, unit: Ints | None, seed: int, kind: str = "unit") -> tuple[list[Fold], str]:
    """Folds of pixels `(training, held out)` of classes `y (n,)`, and what they are, in words.

    Whole units are held out where each class has two or more and is learnt in every fold: pixels
    of one unit are nearly copies, and settings that suit copies suit nothing else. Otherwise
    single pixels; of classes with one or two pixels each there are no folds.
    """
    whole = _by_unit(y, unit, seed) if unit is not None else []
    if whole:
        return whole, f"{len(whole)} folds by {kind}"
    folds = min(FOLDS, int(np.bincount(y).max()))
    if folds < 2 or len(np.unique(y)) < 2:  # noqa: PLR2004
        return [], "defaults: too few pixels for folds"
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with one pixel is missing from the fold that would learn it: no score there.
        warnings.filterwarnings("ignore", message="The least populated class")
        found = list(splits.split(y, y))
    if min(len(train) for train, _ in found) <= len(np.unique(y)):  # no scatter within classes
        return [], "defaults: too few pixels for folds"
    few = unit is not None and len(np.unique(unit)) < len(unit)
    return found, f"{folds} folds by pixel" + (f", a class has too few {kind}s" if few else "")


def _by_unit(y: Ints, unit: Ints, seed: int) -> list[Fold]:
    """Folds that keep units whole; none where they cannot."""
    if len(np.unique(unit)) == len(unit):
        return []
    classes = np.unique(y)
    folds = min(FOLDS, *(len(np.unique(unit[y == k])) for k in classes))
    if folds < 2:  # noqa: PLR2004
        return []
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        found = [(a, b) for a, b in splits.split(y, y, unit) if len(b)]
    every_class = all(len(np.unique(y[train])) == len(classes) < len(train) for train, _ in found)
    return found if every_class and len(found) > 1 else []


def _best(
    estimator: Any,
    grid: dict[str, list[Any]],
    folds: list[Fold],
    x: Array,
    y: Ints,
    beside: Array,
    threads: int,
) -> dict[str, Any]:
    """The settings that do best on held-out pixels; unlabelled ones are learnt from each time."""

    def with_pool() -> Iterator[Fold]:
        pool = np.arange(len(y), len(y) + len(beside))
        for train, held_out in folds:
            yield np.concatenate([train, pool]), held_out

    search = GridSearchCV(
        estimator, grid, cv=list(with_pool()), n_jobs=threads, refit=False, error_score=0.0
    )
    # libsvm lets go of Python's lock, so threads do, and nothing is copied to other processes.
    with parallel_config(backend="threading"):
        search.fit(np.concatenate([x, beside]), _with_unlabelled(y, beside))
    found: dict[str, Any] = search.best_params_
    return found


def _with_unlabelled(y: Ints, beside: Array) -> Ints:
    return np.concatenate([y, np.full(len(beside), -1, np.int64)])


def some_of_each(y: Array, generator: np.random.Generator, *, total: int) -> Ints:
    """Places in `y`, ascending: all of them, or some of each class, about `total` at most.

    The total is reached by lowering the number a class may have, so rare classes stay whole.
    """
    classes, counts = np.unique(y, return_counts=True)
    limit = int(counts.max())
    while limit > 1 and np.minimum(counts, limit).sum() > total:
        limit = max(1, int(limit * 0.9))
    drawn = [generator.permutation(np.flatnonzero(y == k))[:limit] for k in classes]
    return np.sort(np.concatenate(drawn))
