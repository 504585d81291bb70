"""The work of one process: an extractor trained for a seed, a cell trained and scored."""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsi_ssl.comparing.baselines import BASELINES, Array, Ints
from hsi_ssl.comparing.fitting import UNLABELLED_PIXELS, fit_baseline
from hsi_ssl.comparing.folder import Folder, read_json, write_json
from hsi_ssl.comparing.grid import NONE, SCORES, Cell, Result, is_run
from hsi_ssl.datasets.few_labels import few_labels, with_labels_of
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import BandsError, DatasetError, ModelError, OutputError, SettingsError
from hsi_ssl.inference.checkpoint import CARD, WEIGHTS, has_state
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.extractor import check_bands, load_m1
from hsi_ssl.inference.pipeline import moving_units
from hsi_ssl.inference.scores import confusion_matrix
from hsi_ssl.labels.label_set import codes_to_indices
from hsi_ssl.reports.metrics import Scores, number
from hsi_ssl.training.m1_stage import PHASES, train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M1Settings, M2Settings

Features = Callable[[Ints], Array]
BLOCK = 65_536
"""Spectra read at a time."""
REFUSED = (ModelError, DatasetError, SettingsError, BandsError)
"""What is no fault of the machine, and would be the same again."""


@dataclass(frozen=True)
class Work:
    """What all cells share; it goes to every process."""

    dataset: Path
    label_set: str | None
    folder: Folder
    m1: dict[str, M1Settings]
    """Of each extractor that is to be trained."""
    m2: M2Settings
    threads: int
    """That one process may use."""

    def open(self) -> Dataset:
        """The dataset, with one label set."""
        return open_dataset(self.dataset, self.label_set)


@dataclass(frozen=True)
class Trained:
    """An extractor that was trained for a seed, or why it refuses."""

    name: str
    seed: int
    seconds: float
    refused: str


def train_extractor(work: Work, name: str, seed: int, *, watcher: Watcher) -> Trained:
    """Train an extractor for a seed, or go on where it was cut off; a refusal is kept, too."""
    del watcher  # of many at a time nobody wants to hear of epochs
    run, started = work.folder.extractor(name, seed), time.monotonic()
    values = {"dataset": work.dataset, "output": run, "seed": seed}
    settings = work.m1[name].model_copy(update=values)
    try:
        resume = has_state(run, PHASES)
        train_m1(settings, resume=resume, overwrite=not resume)
    except REFUSED as error:
        shutil.rmtree(run, ignore_errors=True)
        write_json(refusal_of(run), {"refused": str(error)})
    return Trained(name, seed, time.monotonic() - started, refused(run))


def refusal_of(run: Path) -> Path:
    """Where it is kept that an extractor cannot be trained."""
    return run.parent / f"{run.name}.json"


def refused(run: Path) -> str:
    """Why an extractor cannot be trained; empty where it can."""
    place = refusal_of(run)
    if not place.exists():
        return ""
    try:
        return str(read_json(place)["refused"])
    except (ValueError, LookupError) as error:
        raise OutputError(
            f"{place} is broken ({error}); remove it, and it is tried again"
        ) from error


def is_trained(run: Path) -> bool:
    """Whether an extractor is there, or known not to be possible."""
    return (run / CARD).exists() or refusal_of(run).exists()


def run_cell(work: Work, cell: Cell, *, watcher: Watcher) -> Result:
    """Train the classifier of a cell and score it; what is found is written before it returns."""
    del watcher
    started = time.monotonic()
    result = Result(cell.extractor, cell.classifier, cell.labels, cell.seed)
    try:
        train = _baseline if cell.classifier in BASELINES else _model
        result = train(work, cell)
    except REFUSED as error:
        result = replace(result, refused=str(error))
    result = replace(result, wall_seconds=time.monotonic() - started)
    work.folder.keep(cell, result)
    return result


@dataclass(frozen=True)
class _Input:
    """What a classifier sees."""

    features: Features
    width: int
    run: Path | None
    seconds: float = 0.0
    bytes: int = 0


def _input(work: Work, cell: Cell, dataset: Dataset) -> _Input:
    if cell.extractor == NONE:
        return _Input(dataset.scaled, dataset.scaler.width, None)
    own = is_run(cell.extractor)
    run = Path(cell.extractor) if own else work.folder.extractor(cell.extractor, cell.seed)
    if why := refused(run):
        raise ModelError(why)
    extractor = load_m1(run, work.m2.device)
    check_bands(extractor.card, dataset, run)
    kept = moving_units(extractor, dataset)
    if not kept.any():
        raise ModelError("no unit moves over the data: it has collapsed")

    def features(rows: Ints) -> Array:
        found: Array = extractor.features(dataset.spectra(rows))[0][:, kept]
        return found

    seconds = float(extractor.card["training"]["seconds"])
    return _Input(features, int(kept.sum()), run, seconds, (run / WEIGHTS).stat().st_size)


def _baseline(work: Work, cell: Cell) -> Result:
    dataset = work.open()
    seen = _input(work, cell, dataset)
    rows = few_labels(dataset, cell.labels, cell.seed)
    pool = _pool(dataset, rows, cell.seed) if BASELINES.find(cell.classifier).unlabelled else None
    x, beside = seen.features(rows), None if pool is None else seen.features(pool)
    started = time.monotonic()
    fitted = fit_baseline(
        cell.classifier,
        x,
        dataset.label[rows],
        cell.seed,
        unit=dataset.unit[rows].astype(np.int64),
        kind=dataset.unit_kind,
        pool=beside,
        threads=work.threads,
    )
    seconds = time.monotonic() - started
    size = len(pickle.dumps(fitted.estimator))  # measured only: nothing is kept, nor loaded
    said = [f"{name.split('__')[-1]}={_short(value)}" for name, value in fitted.settings.items()]
    if pool is not None:
        said.append(f"{len(pool)} unlabelled pixels")
    return _result(
        cell,
        _scored(dataset, lambda rows: fitted.predict(seen.features(rows))),
        seconds=seconds,
        extractor_seconds=seen.seconds,
        bytes=size + seen.bytes,
        features=seen.width,
        trained_on=len(rows),
        tuned=fitted.tuned,
        settings=", ".join(said),
    )


def _pool(dataset: Dataset, labelled: Ints, seed: int) -> Ints:
    """Rows without label, some of them: the pool, and training pixels that were not drawn."""
    others = np.setdiff1d(dataset.rows(Part.TRAIN), labelled)
    every = np.concatenate([others, dataset.unlabelled_rows])
    if len(every) > UNLABELLED_PIXELS:
        every = np.random.default_rng(seed).choice(every, UNLABELLED_PIXELS, replace=False)
    return np.sort(every)


def _model(work: Work, cell: Cell) -> Result:
    whole, scratch = work.open(), work.folder.scratch(cell)
    try:
        seen = _input(work, cell, whole)
        rows = few_labels(whole, cell.labels, cell.seed)
        dataset = with_labels_of(whole, rows, scratch / "dataset.h5")
        run = scratch / "m2"
        values = {"dataset": dataset.path, "output": run, "m1": seen.run, "seed": cell.seed}
        values["label_set"] = None  # the one that there is
        started = time.monotonic()
        train_m2(settings_of(work.m2, cell.classifier).model_copy(update=values))
        seconds = time.monotonic() - started
        classifier = load_classifier(run, work.m2.device)
        codes = np.append(classifier.label_set.codes, np.zeros(classifier.free_slots, np.int64))
        index = codes_to_indices(codes, dataset.label_set)

        def classes(rows: Ints) -> Ints:
            best = classifier.posterior(dataset.spectra(rows)).argmax(1)
            return np.asarray(index[best], np.int64)

        return _result(
            cell,
            _scored(dataset, classes),
            seconds=seconds,
            extractor_seconds=seen.seconds,
            bytes=(run / WEIGHTS).stat().st_size,
            features=seen.width,
            trained_on=len(rows),
            tuned="settings of [m2]",
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def settings_of(m2: M2Settings, model: str) -> M2Settings:
    """The settings of `[m2]` for a model; what is another model's own is left out."""
    if model == m2.model:
        return m2
    return m2.model_copy(
        update={"model": model, "options": {}, "generation": None, "inference": None}
    )


def _scored(dataset: Dataset, classes: Callable[[Ints], Ints]) -> Scores:
    """Scores of classes found for rows of test pixels; -1, a free slot, is wrong."""
    test, K = dataset.rows(Part.TEST), len(dataset.label_set)
    blocks = [test[first : first + BLOCK] for first in range(0, len(test), BLOCK)]
    truth = dataset.label[test].astype(np.int64)
    predicted = np.concatenate([classes(rows) for rows in blocks])
    named = predicted >= 0
    return Scores(
        confusion_matrix(truth[named], predicted[named], K),
        in_none=None if named.all() else np.bincount(truth[~named], minlength=K),
    )


def _result(cell: Cell, scores: Scores, **more: Any) -> Result:
    found: dict[str, Any] = {name: number(getattr(scores, name)) for name in SCORES}
    own = asdict(cell)
    return Result(**own, **found, **more)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
