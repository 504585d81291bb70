"""The one training loop: steps, validation, early stopping, log, resume; for every model."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError, ProcessError
from hsi_ssl.inference.checkpoint import (
    LAST_METRICS,
    forget_state,
    load_state,
    nothing_saved,
    save_state,
)
from hsi_ssl.inference.device import device_name
from hsi_ssl.inference.precision import chosen_precision, keep_freed_memory, quick_products, reduced
from hsi_ssl.inference.threads import Threads
from hsi_ssl.models.moving import numbers
from hsi_ssl.os_errors import os_errors
from hsi_ssl.stopping import INTERRUPTS
from hsi_ssl.training.adam import Adam
from hsi_ssl.training.average import Average
from hsi_ssl.training.processes import ALONE, Processes
from hsi_ssl.training.task import Task
from hsi_ssl.training.telling import Telling
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import Precision, TrainingSettings

SNAPSHOT_EPOCHS: tuple[int, ...] = (0, 1, 3, 10, 30, 100, 300, 1000)
SECONDS_BETWEEN_STATES = 2.0
SHARE_OF_DRAWING = 0.05
"""Of the time: pictures of what has been learnt take no more of it, but for the last one."""
VALIDATION_SEED = 20_140_617


@dataclass
class Progress:
    """Where training stands; all of it is in the resume state."""

    epoch: int = 0
    step: int = 0
    spectra: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_score: float | None = None
    best: dict[str, float] = field(default_factory=dict)
    generative_epoch: int | None = None
    """Of the part that the bound judges, where there is one."""
    best_bound: float | None = None
    without_improvement: int = 0
    stopped: str = ""
    """Why training ended: `patience`, `epochs` or `diverged`; empty while it goes on."""


@dataclass(frozen=True)
class Fit:
    """What training gave; the task's module holds the best state."""

    progress: Progress
    snapshots: dict[int, Tensor]
    precision: Precision

    @property
    def spectra_per_second(self) -> float:
        """Spectra that went through training a second, validation and logging included."""
        return self.progress.spectra / max(self.progress.seconds, 1e-9)

    def to_card(self, device: torch.device) -> dict[str, Any]:
        """The training part of a card."""
        p = self.progress
        return {
            "epochs": p.epoch,
            "best_epoch": p.best_epoch,
            "generative_epoch": p.generative_epoch,
            "steps": p.step,
            "seconds": p.seconds,
            "spectra_per_second": self.spectra_per_second,
            "stopped": p.stopped,
            "device": device_name(device),
            "precision": self.precision,
        }


OnSnapshot = Callable[[dict[int, Tensor]], None]


def fit(
    task: Task,
    settings: TrainingSettings,
    run: Path,
    *,
    identity: dict[str, Any],
    resume: bool,
    watcher: Watcher,
    on_snapshot: OnSnapshot,
    processes: Processes = ALONE,
) -> Fit:
    """Train until the epochs are over or patience is, and leave the best state in the module.

    `identity` tells what is trained on what: a state is resumed only where it is the same.
    With `settings.average`, validation, snapshots and the best state are the averaged weights'.
    Resuming gives bit by bit what an unbroken run on the same machine gives: the state holds
    weights, their average, Adam's moments, the random generator and the best weights so far, as of
    the end of an epoch. Of several `processes` the first writes, validates and watches; they may be
    more or fewer when training goes on.

    Raises
    ------
    ModelError
        The state belongs to other settings or data; the cost was never finite.
    ProcessError
        Another process has ended.
    """
    device = next(task.module.parameters()).device
    keep_freed_memory()
    with quick_products(device):
        loop = _Loop(task, settings, run, identity, watcher, on_snapshot, processes)
        loop.start(resume=resume)
        try:
            while not loop.progress.stopped:
                loop.epoch()
        except INTERRUPTS:
            loop.save_kept()
            raise
        except ProcessError as error:
            watcher.if_stopped(str(error))  # whoever started all may end this one, too
            loop.save_kept()
            raise ProcessError(f"{error}; {loop.advice()}") from error
        return loop.finish()


class _Loop:
    """A training under way."""

    def __init__(
        self,
        task: Task,
        settings: TrainingSettings,
        run: Path,
        identity: dict[str, Any],
        watcher: Watcher,
        on_snapshot: OnSnapshot,
        processes: Processes,
    ) -> None:
        self.task, self.settings, self.run, self.identity = task, settings, run, identity
        self.watcher, self.on_snapshot = processes.watcher(watcher), on_snapshot
        self.processes = processes
        self.device = next(task.module.parameters()).device
        self.precision = chosen_precision(settings.precision, self.device)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.turns = task.turns()
        decay = 1 / task.pixels if settings.weight_prior else 0.0
        self.optimisers = [
            Adam(task.module, turn, decay=decay, clip=settings.clip) for turn in self.turns
        ]
        self.average = Average(task.module, settings.average)
        self.progress, self.best = Progress(), weights_of(task.module)
        self.snapshots: dict[int, Tensor] = {}
        self.saved = self.drawn = time.monotonic()
        self.drawing = 1.0
        """Seconds that a picture takes, as far as is known."""
        self.saved_epoch = 0
        self.kept: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        """The state after the last epoch, where it has not been saved."""

    def start(self, *, resume: bool) -> None:
        """From the state to resume from, or from the beginning."""
        first = self.processes.first
        if self.processes.told("resume", lambda: resume):
            self._restore()
            if self.progress.stopped == "epochs" and self.progress.epoch < self.settings.epochs:
                self.progress.stopped = ""
        else:
            if first:
                with os_errors(self.run):
                    forget_state(self.run)
                    (self.run / LAST_METRICS).parent.mkdir(parents=True, exist_ok=True)
            if not first:  # which knows: nothing is saved, or what came before this part
                self.watcher.if_stopped(self.advice())
            self._share_weights()
            self.best = weights_of(self.task.module)
            if self.processes.told("begun", lambda: self.task.begun):
                self._judge_start()
            self._snapshot(0)
        path, known = self.run / LAST_METRICS, self.progress.epoch
        self.log = _Log(path, known, self.task.bound_name) if first else None
        self.threads = Threads(self.watcher)
        self.telling = Telling(self.watcher, self.task, self.settings, self.progress)

    def epoch(self) -> None:
        """One epoch, judged on the validation pixels, logged and now and then saved."""
        progress, task, started = self.progress, self.task, time.monotonic()
        self.threads.look()
        self._begin()
        means = self._steps()
        if not math.isfinite(means.bound):
            self._diverged()
            return
        progress.epoch += 1
        progress.step += means.steps
        progress.spectra += means.spectra
        with self.average.in_module():
            generator = torch.Generator().manual_seed(VALIDATION_SEED)
            found = self.processes.told("validated", lambda: task.validate(generator))
            self._judge(found)
            self._judge_by_bound(found)
            if progress.epoch in SNAPSHOT_EPOCHS:
                self._snapshot(progress.epoch)
        progress.seconds += time.monotonic() - started
        if self.log is not None:
            self.log.write(progress, means.bound, means.terms, found)
            self.kept = self._state()
        self.telling.epoch(means.steps, found)
        if time.monotonic() - self.saved > SECONDS_BETWEEN_STATES or progress.stopped:
            self.save_kept()

    def finish(self) -> Fit:
        """Leave the best state in the module."""
        self.task.module.load_state_dict(self.best)
        self.telling.end()
        self._snapshot(self.progress.best_epoch, last=True)
        return Fit(self.progress, self.snapshots, self.precision)

    def _begin(self) -> None:
        """What is worked out before an epoch, once for all processes, from the same weights."""
        task, processes = self.task, self.processes
        if processes.size == 1:
            with self.average.in_module():
                task.begin_epoch(self.progress.epoch)
            return
        self._share_weights()
        before = task.state()
        if processes.first:
            with self.average.in_module():
                task.begin_epoch(self.progress.epoch)
        after = task.state()
        kept = before.keys() == after.keys() and all(after[k] is t for k, t in before.items())
        if processes.told("e-step", lambda: not kept):
            found = processes.shared("e-step", lambda: after)
            if not processes.first:
                task.restore({name: t.to(self.device) for name, t in found.items()})

    @torch.no_grad()
    def _share_weights(self) -> None:
        """The first process's: other processors may round otherwise, a little more each step."""
        if self.processes.size > 1:
            state = self.task.module.state_dict()
            for name, tensor in self.processes.shared("weights", lambda: state).items():
                state[name].copy_(tensor)

    def _steps(self) -> _Means:
        """The steps of one epoch."""
        task, settings = self.task, self.settings
        rate = learning_rate(settings, self.progress.epoch)
        kl_weight = min(1.0, (self.progress.epoch + 1) / (settings.warm_up + 1))
        task.module.train()
        bound, terms = torch.zeros((), device=self.device), dict[str, Tensor]()
        steps = spectra = 0
        for batch in task.batches(self.generator):
            for turn, optimiser in zip(self.turns, self.optimisers, strict=True):
                with reduced(self.precision, self.device):
                    step = turn.cost(batch, kl_weight, self.generator)
                step.cost.backward()
                self.processes.average_gradients(turn.parameters)
                optimiser.step(rate)
                for name, cost in step.terms.items():
                    terms[name] = terms.get(name, 0) + cost.detach()
                if turn is self.turns[0]:
                    bound = bound + step.bound.detach()
                    spectra += step.spectra
            self.average.update()
            steps += 1
            self.telling.step(steps)
        task.module.eval()
        self.processes.average([bound, *terms.values()])
        mean, *each = (total / steps for total in numbers([bound, *terms.values()]))
        return _Means(mean, dict(zip(terms, each, strict=True)), steps, spectra)

    def _judge_start(self) -> None:
        """Let the state before the first epoch be the one to beat."""
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        self.task.module.eval()
        found = self.processes.told("validated", lambda: self.task.validate(generator))
        self.progress.best_score, self.progress.best_bound = found["score"], found["bound"]
        self.progress.best = found

    def _judge(self, found: dict[str, float]) -> None:
        """Keep the state if it is the best so far; stop if there is nothing to wait for."""
        progress, settings = self.progress, self.settings
        always = found["score"] == math.inf
        if always or progress.best_score is None or found["score"] > progress.best_score:
            progress.best_score, progress.best_epoch = found["score"], progress.epoch
            progress.best, progress.without_improvement = found, 0
            self._keep(by_bound=False)
        elif progress.epoch > settings.warm_up:
            progress.without_improvement += 1
        if progress.without_improvement >= settings.patience:
            progress.stopped = "patience"
        elif progress.epoch >= settings.epochs:
            progress.stopped = "epochs"

    def _judge_by_bound(self, found: dict[str, float]) -> None:
        """Keep what the bound judges if that is the best so far, or if nothing tells it apart."""
        progress, bound = self.progress, found["bound"]
        better = progress.best_bound is None or bound > progress.best_bound
        if (better or found["score"] == math.inf) and self._keep(by_bound=True):
            progress.best_bound, progress.generative_epoch = bound, progress.epoch

    def _keep(self, *, by_bound: bool) -> bool:
        """Keep the tensors that one or the other judges, and say whether there are any."""
        state = self.task.module.state_dict().items()
        judged = self.task.judged_by_bound
        found = {name: t.clone() for name, t in state if judged(name) == by_bound}
        self.best = {**self.best, **found}
        return bool(found)

    def _diverged(self) -> None:
        progress, settings = self.progress, self.settings
        if progress.best_score is None:
            raise ModelError(
                "training diverged in its first epoch; lower the learning rate "
                f"(now {settings.learning_rate:g}) or the gradient clip ({settings.clip:g})"
            )
        self.watcher.warn(
            f"training diverged in epoch {progress.epoch + 1}: kept the state "
            f"{'of' if progress.best_epoch else 'before'} epoch {progress.best_epoch or 1}; a "
            f"lower learning rate than {settings.learning_rate:g} may do better"
        )
        progress.stopped = "diverged"

    def _snapshot(self, epoch: int, *, last: bool = False) -> None:
        if not self.processes.first:
            return
        generator = torch.Generator().manual_seed(VALIDATION_SEED)
        self.snapshots[epoch] = self.task.snapshot(generator).cpu()
        started = time.monotonic()
        if last or started - self.drawn > self.drawing / SHARE_OF_DRAWING:
            self.on_snapshot(self.snapshots)
            self.drawn = time.monotonic()
            self.drawing = self.drawn - started

    def save_kept(self) -> None:
        """Save the state after the last epoch, unless that has been done."""
        if self.kept is not None:
            tensors, values = self.kept
            save_state(self.run, tensors, values)
            self.kept, self.saved = None, time.monotonic()
            self.saved_epoch = values["progress"]["epoch"]
            self.watcher.if_stopped(self.advice())

    def advice(self) -> str:
        """How to go on with what is saved."""
        if not self.processes.first:
            return f"what is saved in {os.fspath(self.run)} goes on with --resume"
        if self.saved_epoch:
            return f"epoch {self.saved_epoch} is saved; --resume goes on from there"
        return nothing_saved(self.run)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next epoch depends on, copied."""
        tensors = {f"now.{name}": t for name, t in self.task.module.state_dict().items()}
        tensors |= {f"task.{name}": t for name, t in self.task.state().items()}
        tensors |= {f"average.{name}": t for name, t in self.average.values.items()}
        for place, optimiser in enumerate(self.optimisers):
            tensors |= {f"adam.{place}.{name}": t for name, t in optimiser.state().items()}
        tensors = {name: t.detach().clone() for name, t in tensors.items()}
        tensors |= {f"best.{name}": t for name, t in self.best.items()}  # never written into
        tensors |= {f"snapshot.{epoch}": t for epoch, t in self.snapshots.items()}
        tensors["generator"] = self.generator.get_state()
        return tensors, {
            "progress": asdict(self.progress),
            "identity": self.identity,
            "processes": self.processes.size,
        }

    def _restore(self) -> None:
        size, found = self.processes.size, dict[str, Tensor]()

        def load() -> dict[str, Any]:
            tensors, values = load_state(self.run, self.device)
            found.update(tensors)
            return values

        values = self.processes.told("state", load)
        tensors = self.processes.shared("state", lambda: found)
        tensors = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        if values.get("processes", size) != size:
            self.watcher.say(
                f"begun by {values['processes']} processes, goes on with {size}: batches and "
                "random numbers stay the same"
            )
        known, ours = values["identity"], self.identity
        other = sorted(k for k in ours.keys() | known.keys() if ours.get(k) != known.get(k))
        if other:
            raise ModelError(
                f"{os.fspath(self.run)} was trained with other {', '.join(other)}: resume with the "
                "same, or start anew with --overwrite"
            )

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}

        self.task.module.load_state_dict(part("now."))
        self.task.restore(part("task."))
        self.progress, self.best = Progress(**values["progress"]), part("best.")
        averaged = part("average.")
        self.average.values = {name: averaged[name] for name in self.average.values}
        self.average.steps = self.progress.step
        self.generator.set_state(tensors["generator"].cpu())
        for place, optimiser in enumerate(self.optimisers):
            optimiser.restore(part(f"adam.{place}."))
        self.snapshots = {int(epoch): t.cpu() for epoch, t in part("snapshot.").items()}
        self.saved_epoch = self.progress.epoch
        self.watcher.if_stopped(self.advice())


class _Means(NamedTuple):
    """Over the batches of an epoch: the bound and each term; its steps and spectra."""

    bound: float
    terms: dict[str, float]
    steps: int
    spectra: int


def learning_rate(settings: TrainingSettings, epoch: int) -> float:
    """The learning rate of an epoch, the first being 0."""
    if settings.decay == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's state, to load again."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


class _Log:
    """metrics.csv: one line an epoch; lines after a resumed epoch are dropped."""

    def __init__(self, path: Path, epoch: int, bound_name: str) -> None:
        self.path, self.bound_name = path, bound_name
        with os_errors(path):
            if path.exists():  # cut, not written anew: a kill leaves the old lines or the kept ones
                os.truncate(path, _length(path.read_bytes(), epoch))
            else:
                path.touch()

    def write(
        self,
        progress: Progress,
        bound_batch: float,
        terms: dict[str, float],
        found: dict[str, float],
    ) -> None:
        batch, validation = f"{self.bound_name}_batch", f"{self.bound_name}_validation"
        if found["score"] == math.inf and found["bound"] == 0:  # a sum over no validation pixels
            found = {**dict.fromkeys(found, math.nan), "score": math.inf}
        row: dict[str, Any] = {
            **asdict(progress),
            batch: bound_batch,
            validation: found["bound"],
            **found,
            **{f"term_{name}": mean for name, mean in terms.items()},
        }
        scores = sorted(set(found) - {"bound", "score"})
        first = ("epoch", "step", "seconds", batch, validation, "score", "without_improvement")
        columns = [*first, *scores, *(f"term_{name}" for name in terms)]
        with os_errors(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)


def _length(log: bytes, epoch: int) -> int:
    """Bytes of a log's lines up to an epoch; none before the first, of which the header is part."""
    lines = log.splitlines(keepends=True)
    kept = lines[:1] if epoch else []
    for number, line in zip(range(1, epoch + 1), lines[1:], strict=False):
        if line.split(b",", 1)[0] != b"%d" % number or not line.endswith(b"\n"):
            break
        kept.append(line)
    return sum(map(len, kept))
