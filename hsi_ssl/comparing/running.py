"""All cells of a comparison, several at a time, each kept as soon as it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch

from hsi_ssl.claims import claimed
from hsi_ssl.comparing.folder import Folder
from hsi_ssl.comparing.grid import (
    NONE,
    Cell,
    Grid,
    Result,
    check_dataset,
    check_latent,
    check_names,
    is_run,
)
from hsi_ssl.comparing.page import write_table
from hsi_ssl.comparing.table import in_words
from hsi_ssl.comparing.working import Trained, Work, is_trained, run_cell, train_extractor
from hsi_ssl.datasets.few_labels import fewer_than
from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.durations import duration
from hsi_ssl.errors import WorkerError
from hsi_ssl.inference.extractor import check_bands, load_m1
from hsi_ssl.inference.lineage import draw_fingerprint, seen_elsewhere
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.running.places import Place, values_of
from hsi_ssl.running.starting import place_of
from hsi_ssl.running.task import Task
from hsi_ssl.stopping import INTERRUPTS
from hsi_ssl.training.stage import network_scaler
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M1Settings, M2Settings

LOOSE = {"dataset", "output", "m1", "seed", "device", "label_set"}
"""Settings that do not make another comparison: where things lie, and what a cell sets itself."""


def compare(
    dataset: Path,
    output: Path,
    grid: Grid,
    m1: M1Settings,
    m2: M2Settings,
    *,
    label_set: str | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[Result]:
    """Train and score every cell of the grid that is not in the folder `output` yet.

    Each classifier sees the labels of `few_labels` alone, M2 the unlabelled pixels too; extractors
    see no label and are trained once a seed. The validation pixels' labels are not looked at, test
    pixels once a cell, for its score. Writes the table and the page, too.

    Raises
    ------
    SettingsError, DatasetError, ModelError, OutputError, DeviceError
        Before anything is written.
    WorkerError
        A process at work on a cell was killed, and another that began it again.
    """
    with claimed(output):
        return _compared(dataset, output, grid, m1, m2, label_set, jobs, overwrite, watcher)


def _compared(
    dataset: Path,
    output: Path,
    grid: Grid,
    m1: M1Settings,
    m2: M2Settings,
    label_set: str | None,
    jobs: int,
    overwrite: bool,
    watcher: Watcher,
) -> list[Result]:
    check_names(grid)
    opened = open_dataset(dataset, label_set)
    opened.label_set  # noqa: B018 - refuses several
    check_dataset(opened, grid.labels)
    settings = _settings(opened, grid, m1, watcher)
    for name in filter(is_run, grid.extractors):
        extractor = load_m1(Path(name), m2.device)
        check_bands(extractor.card, opened, Path(name))
        for sentence in seen_elsewhere(extractor.card, opened, name):
            watcher.warn(sentence)
    folder, identity = Folder(output), _identity(opened, m1, m2)
    folder.check(identity, overwrite=overwrite)
    _say_what_is_short(opened, grid, watcher)
    folder.begin(identity, overwrite=overwrite)
    threads = max(1, torch.get_num_threads() // jobs)
    work = Work(dataset, label_set, folder, settings, m2, threads)
    with closing(place_of(jobs, None, threads=threads)) as place:
        run = _Run(work, grid, jobs, place, watcher, folder.found(grid.cells()))
        run.all()
    results = grid.in_order(run.found.values())
    write_table(results, output, opened, grid)
    return results


@dataclass
class _Run:
    """A comparison on its way."""

    work: Work
    grid: Grid
    jobs: int
    place: Place
    watcher: Watcher
    found: dict[Cell, Result]
    trained: dict[str, list[float]] = field(default_factory=dict)
    """Seconds that each extractor took, as far as it was trained here."""

    def all(self) -> None:
        """Train what is missing, seed after seed."""
        cells = self.grid.cells()
        self._announce(cells)
        try:
            for seed in range(self.grid.seeds):
                missing = [c for c in cells if c.seed == seed and c not in self.found]
                self._seed(seed, missing)
        except INTERRUPTS:
            self._say_if_stopped(len(self.work.folder.found(cells)))
            raise
        self.watcher.progress("comparing", len(cells), len(cells))

    def _say_if_stopped(self, done: int) -> None:
        self.watcher.if_stopped(
            f"{done} of {len(self.grid.cells())} cells are done and kept in "
            f"{self.work.folder.path}; the same command goes on from there"
        )

    def _announce(self, cells: Sequence[Cell]) -> None:
        grid, done = self.grid, len(self.found)
        self._say_if_stopped(done)
        kept = f", {done} of them are there already" if done else ""
        self.watcher.say(
            f"{len(cells)} cells{kept}: {len(grid.extractors)} extractors x "
            f"{len(grid.classifiers)} classifiers x {len(grid.labels)} numbers of labels x "
            f"{grid.seeds} seeds, {self.jobs} at a time"
        )
        if done < len(cells):
            left = self._left()
            self.watcher.say(
                f"that takes {left}, by those that are done"
                if left
                else "how long that takes is told as the first of them are measured"
            )

    def _seed(self, seed: int, missing: Sequence[Cell]) -> None:
        """Train extractors, and beside them cells that wait for none; then the other cells."""
        names = [
            name
            for name in self.grid.to_train
            if any(cell.extractor == name for cell in missing) and not self._is_there(name, seed)
        ]
        at_once = [cell for cell in missing if cell.extractor not in names]
        later = [cell for cell in missing if cell.extractor in names]
        trainings = [
            Task(f"{name}, seed {seed}", train_extractor, (self.work, name, seed)) for name in names
        ]
        self._do([*trainings, *map(self._cell, at_once)])
        self._do(list(map(self._cell, later)))

    def _cell(self, cell: Cell) -> Task:
        name = (
            f"{cell.classifier} on {cell.extractor}, {cell.labels} labels a class, seed {cell.seed}"
        )
        return Task(name, run_cell, (self.work, cell))

    def _do(self, tasks: Sequence[Task]) -> None:
        try:
            for _, done in values_of(self.place, tasks, self.watcher):
                if isinstance(done, Result):
                    self._keep(done)
                    continue
                assert isinstance(done, Trained)
                if done.refused:
                    self.watcher.warn(f"{done.name}, seed {done.seed}: {done.refused}")
                else:
                    self.trained.setdefault(done.name, []).append(done.seconds)
                    self._tell(f"{done.name} trained, seed {done.seed} ({done.seconds:.1f} s)")
        except WorkerError as error:
            raise WorkerError(
                f"{error}; what is done is kept, and the same command goes on from there: with a "
                "smaller --jobs"
            ) from error

    def _keep(self, done: Result) -> None:
        self.found[Cell(done.seed, done.labels, done.extractor, done.classifier)] = done
        self._say_if_stopped(len(self.found))
        self.watcher.progress("comparing", len(self.found), len(self.grid.cells()))
        self._tell(in_words(done))

    def _is_there(self, extractor: str, seed: int) -> bool:
        return is_trained(self.work.folder.extractor(extractor, seed))

    def _tell(self, sentence: str) -> None:
        left = self._left()
        self.watcher.say(sentence + (f"; {left} left" if left else ""))

    def _left(self) -> str:
        """How long the rest takes, by what was measured; empty where nothing was."""
        missing = [cell for cell in self.grid.cells() if cell not in self.found]
        if not self.found or not missing:
            return ""
        seconds = sum(expected(cell, self.found.values()) for cell in missing)
        still = {(cell.extractor, cell.seed) for cell in missing if cell.extractor != NONE}
        for name, seed in still:
            if name in self.trained and not self._is_there(name, seed):
                seconds += mean(self.trained[name])
        return f"about {duration(seconds / self.jobs)}"


def expected(cell: Cell, measured: Iterable[Result]) -> float:
    """Seconds that a cell will take: as those most like it did on the average."""
    measured = list(measured)
    for alike in (("classifier", "labels", "extractor"), ("classifier", "labels"), ("classifier",)):
        seconds = [
            r.wall_seconds
            for r in measured
            if all(getattr(r, name) == getattr(cell, name) for name in alike)
        ]
        if seconds:
            return mean(seconds)
    return mean(r.wall_seconds for r in measured)


def _settings(
    dataset: Dataset, grid: Grid, m1: M1Settings, watcher: Watcher
) -> dict[str, M1Settings]:
    """Settings of each extractor that is to be trained: those of `[m1]`, its options if named."""
    found = {}
    for name in grid.to_train:
        kind, latent = EXTRACTORS.find(name), m1.latent
        width = network_scaler(dataset, m1.whitening).width
        if kind.closed_form and "latent" not in m1.model_fields_set and latent > width:
            latent = width
            watcher.say(
                f"{name}: {width} features, as many as scaled spectra have columns; --latent asks "
                "for fewer"
            )
        check_latent(dataset, latent)
        own = m1.options if name == m1.extractor else {}
        found[name] = m1.model_copy(update={"extractor": name, "latent": latent, "options": own})
    return found


def _identity(dataset: Dataset, m1: M1Settings, m2: M2Settings) -> dict[str, Any]:
    """What must be the same for cells to stand in one table."""
    return {
        "title": dataset.meta["title"],
        "dataset": {
            "draw": draw_fingerprint(dataset),
            "sources": [source["fingerprint"] for source in dataset.meta["sources"]],
        },
        "label_set": dataset.label_set.name,
        "m1": m1.model_dump(mode="json", exclude=LOOSE),
        "m2": m2.model_dump(mode="json", exclude=LOOSE),
    }


def _say_what_is_short(dataset: Dataset, grid: Grid, watcher: Watcher) -> None:
    for labels in sorted(grid.labels):
        short = [f"{name} ({n})" for name, n in fewer_than(dataset, labels)]
        if short:
            watcher.say(
                f"fewer than {labels} training pixels, of which all are taken: {', '.join(short)}"
            )
