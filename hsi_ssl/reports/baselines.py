"""Well-known classifiers on the same pixels, so that a score can be judged.

All learn from the dataset's training pixels and nothing else. What has to be tuned is tuned by
cross-validation among them; the dataset's validation pixels are not looked at, its test pixels
once, for the score. Folds are drawn by pixel, so neighbours meet in different folds: good enough
to choose a setting, too kind as a score.
"""

from __future__ import annotations

import csv
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
from joblib import parallel_config
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError
from hsi_ssl.files import written_beside
from hsi_ssl.inference.extractor import check_bands, load_m1
from hsi_ssl.inference.pipeline import KEPT_SPREAD
from hsi_ssl.reports.evaluation import evaluate
from hsi_ssl.reports.metrics import Scores, number, score
from hsi_ssl.watcher import SILENT, Watcher

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]
Method = Literal["svm", "forest", "knn", "logistic"]
METHODS: tuple[Method, ...] = get_args(Method)
PER_CLASS = 1000
"""Training pixels a class, at most: a support vector machine's time grows with their square."""
TUNING_PIXELS = 3000
"""Pixels that settings are tuned on, at most; the chosen ones are then fitted on all."""
FOLDS = 5
PCA_COMPONENTS = 30
BLOCK = 65_536
SCORES = ("oa", "aa", "macro_f1", "kappa")


class Predictor(Protocol):
    """A fitted classifier."""

    def predict(self, x: Array) -> Array:
        """Class indices `(n,)` of features `(n, D)`."""


Features = Callable[[Ints], Array]
"""Features `(len(rows), D)` of rows of a dataset."""


@dataclass(frozen=True)
class Result:
    """One line of the table: means over seeds, and standard deviations where there are several.

    `train` pixels were learnt from; `seconds` are those of tuning and fitting, one seed.
    """

    method: str
    features: str
    train: int
    seeds: int
    oa: float | None
    oa_sd: float | None
    aa: float | None
    aa_sd: float | None
    macro_f1: float | None
    macro_f1_sd: float | None
    kappa: float | None
    kappa_sd: float | None
    seconds: float


def fit_baseline(name: Method, x: Array, y: Array, seed: int) -> Predictor:
    """Fit a classifier on features `x (n, D)` and class indices `y (n,)`.

    name
        `svm`: support vector machine with Gaussian kernel, C and width tuned; `knn`: nearest
        neighbours, their number tuned; `logistic`: multinomial logistic regression, its penalty
        tuned; `forest`: random forest of 500 trees.
    seed
        Of the folds, of the pixels to tune on, and of the forest.
    """
    estimator, grid = _estimator(name, x, seed)
    x, y = np.asarray(x, np.float64), np.asarray(y)
    folds = min(FOLDS, int(np.bincount(y).max()))
    if not grid or folds < 2:  # noqa: PLR2004
        fitted: Predictor = estimator.fit(x, y)
        return fitted
    few = some_of_each(y, np.random.default_rng(seed), total=TUNING_PIXELS)
    search = GridSearchCV(
        estimator,
        grid,
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
        n_jobs=os.cpu_count(),
        refit=False,
        # A class with one pixel is missing from the fold that would learn it: no score there.
        error_score=0.0,
    )
    # libsvm lets go of Python's lock, so threads do, and nothing is copied to other processes.
    with parallel_config(backend="threading"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        search.fit(x[few], y[few])
    fitted = estimator.set_params(**search.best_params_).fit(x, y)
    return fitted


def some_of_each(
    y: Array,
    generator: np.random.Generator,
    *,
    per_class: int | None = None,
    total: int | None = None,
) -> Ints:
    """Draw places in `y`, ascending: at most `per_class` of each class, at most about `total`.

    A `total` is reached by lowering the number a class may have, so rare classes stay whole.
    """
    classes, counts = np.unique(y, return_counts=True)
    limit = int(counts.max()) if per_class is None else per_class
    while total is not None and limit > 1 and np.minimum(counts, limit).sum() > total:
        limit = max(1, int(limit * 0.9))
    drawn = [generator.permutation(np.flatnonzero(y == k))[:limit] for k in classes]
    return np.sort(np.concatenate(drawn))


def compare(
    dataset: Dataset,
    *,
    methods: Sequence[Method] = METHODS,
    m1: Path | None = None,
    m2: Path | None = None,
    seeds: int = 1,
    per_class: int = PER_CLASS,
    watcher: Watcher = SILENT,
) -> list[Result]:
    """Score the methods on bands, the dataset's scaling, principal components and M1's features.

    `m1` and `m2` are run folders: M1's features join the features, the classifier the table.

    Raises
    ------
    DatasetError
        No test pixels, or fewer than two classes to learn.
    ModelError
        A run is missing or does not suit the dataset.
    """
    test, train = dataset.rows(Part.TEST), dataset.rows(Part.TRAIN)
    if not len(test):
        raise DatasetError(
            f"{dataset.path} has no test pixels to score; prepare with another split"
        )
    if len(np.unique(dataset.label[train])) < 2:  # noqa: PLR2004
        raise DatasetError(f"{dataset.path} has one class to learn; a comparison needs two")
    results = []
    if m2 is not None:
        found = evaluate(m2, dataset, watcher=watcher)
        results.append(
            _result(
                found.model_name,
                "own",
                len(train),
                [found.scores],
                found.card["training"]["seconds"],
            )
        )
    feature_sets = dict(_feature_sets(dataset, m1))
    steps, step = len(feature_sets) * len(methods) * seeds, 0
    for features_name, features in feature_sets.items():
        for method in methods:
            scores, seconds, used = [], 0.0, 0
            for seed in range(seeds):
                watcher.progress("comparing", step, steps)
                step += 1
                places = some_of_each(
                    dataset.label[train], np.random.default_rng(seed), per_class=per_class
                )
                rows = train[places]
                started = time.monotonic()
                predictor = fit_baseline(method, features(rows), dataset.label[rows], seed)
                seconds += time.monotonic() - started
                used = len(rows)
                scores.append(_score_on(dataset, predictor, features, test))
            results.append(_result(method, features_name, used, scores, seconds / seeds))
            watcher.say(in_words(results[-1]))
    watcher.progress("comparing", steps, steps)
    return results


def write_comparison(
    results: Sequence[Result], folder: Path, *, dataset: Path, overwrite: bool = False
) -> None:
    """Write compare.csv and compare.json to `folder`, all or nothing.

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is false, or cannot be written.
    """
    with written_beside(folder, overwrite=overwrite) as beside:
        beside.mkdir()
        lines = [asdict(result) for result in results]
        with (beside / "compare.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        card = {"dataset": str(dataset), "results": lines}
        (beside / "compare.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def table(results: Sequence[Result]) -> list[str]:
    """Give the table as lines of text, scores in percent, standard deviations in brackets."""
    head = ["method", "features", "train", "OA", "AA", "macro-F1", "kappa", "seconds"]
    rows = [
        [
            r.method,
            r.features,
            f"{r.train:,}",
            *(_cell(getattr(r, name), getattr(r, f"{name}_sd")) for name in SCORES),
            f"{r.seconds:.1f}",
        ]
        for r in results
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)  # noqa: PLR2004
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    ]


def in_words(result: Result) -> str:
    """Give one result as a line."""
    return (
        f"{result.method} on {result.features}: OA {_cell(result.oa, result.oa_sd)}, "
        f"macro-F1 {_cell(result.macro_f1, result.macro_f1_sd)} ({result.seconds:.1f} s)"
    )


def _estimator(name: Method, x: Array, seed: int) -> tuple[Any, dict[str, list[Any]]]:
    if name == "svm":
        # Around 1 / (D var x), which suits any scale of the features.
        width = 1 / (x.shape[1] * (float(x.var(dtype=np.float64)) or 1.0))
        return SVC(cache_size=500), {
            "C": [1.0, 10.0, 100.0, 1000.0],
            "gamma": [width * factor for factor in (0.03, 0.1, 0.3, 1.0, 3.0)],
        }
    if name == "knn":
        return KNeighborsClassifier(), {"n_neighbors": [1, 3, 5, 9], "weights": ["distance"]}
    if name == "logistic":
        # Equal spread of all features makes it converge, and one penalty suit them all.
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3))
        return pipeline, {"logisticregression__C": [0.01, 0.1, 1.0, 10.0, 100.0]}
    forest = RandomForestClassifier(500, n_jobs=os.cpu_count(), random_state=seed)
    return forest, {}


def _feature_sets(dataset: Dataset, m1: Path | None) -> Iterator[tuple[str, Features]]:
    """Names and functions; all are fitted on training pixels, PCA on the pool too."""
    raw = dataset.spectra
    standard = StandardScaler().fit(raw(dataset.rows(Part.TRAIN)))

    def standardised(rows: Ints) -> Array:
        found: Array = standard.transform(raw(rows)).astype(np.float32)
        return found

    yield "standardised bands", standardised
    yield f"scaling {dataset.scaler.kind}", dataset.scaled
    seen = dataset.rows(Part.TRAIN, Part.POOL)
    if len(seen) > BLOCK:
        seen = np.sort(np.random.default_rng(0).choice(seen, BLOCK, replace=False))
    pca = PCA(min(PCA_COMPONENTS, dataset.bands, len(seen)), random_state=0)
    pca.fit(standardised(seen))
    yield (
        f"{pca.n_components_} principal components",
        lambda rows: pca.transform(standardised(rows)),
    )
    if m1 is not None:
        extractor = load_m1(m1)
        check_bands(extractor.card, dataset, m1)
        kept = extractor.features(raw(seen))[0].std(0) >= KEPT_SPREAD
        name = f"M1, {int(kept.sum())} units"
        if not kept.any():
            kept[:] = True
            name = "M1 (collapsed)"
        yield name, lambda rows: extractor.features(raw(rows))[0][:, kept]


def _score_on(dataset: Dataset, predictor: Predictor, features: Features, rows: Ints) -> Scores:
    blocks = [
        predictor.predict(features(rows[first : first + BLOCK]))
        for first in range(0, len(rows), BLOCK)
    ]
    return score(dataset.label[rows], np.concatenate(blocks), len(dataset.label_set))


def _result(
    method: str, features: str, train: int, scores: Sequence[Scores], seconds: float
) -> Result:
    values: dict[str, float | None] = {}
    for name in SCORES:
        each = [getattr(s, name) for s in scores]
        values[name] = number(float(np.mean(each)))
        values[f"{name}_sd"] = number(float(np.std(each, ddof=1))) if len(each) > 1 else None
    return Result(
        method=method,
        features=features,
        train=train,
        seeds=len(scores),
        seconds=seconds,
        **values,
    )


def _cell(mean: float | None, sd: float | None) -> str:
    if mean is None:
        return "-"
    return f"{100 * mean:.1f}" + (f" ({100 * sd:.1f})" if sd is not None else "")
