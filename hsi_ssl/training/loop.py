"""The one training loop: steps, validation, early stopping, log, resume; for every model."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError
from hsi_ssl.files import os_errors
from hsi_ssl.training.checkpoint import LAST_METRICS, forget_state, load_state, save_state
from hsi_ssl.training.device import device_name
from hsi_ssl.training.precision import chosen_precision, keep_freed_memory, quick_products, reduced
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import Precision, TrainingSettings

SNAPSHOT_EPOCHS = (0, 1, 3, 10, 30, 100, 300, 1000)
SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_STATES = 2.0
COLUMNS = (
    "epoch", "step", "seconds", "bound_batch", "bound_validation", "score", "without_improvement"
)  # fmt: skip
VALIDATION_SEED = 20_140_617


class StepCost(NamedTuple):
    """What one batch costs."""

    cost: Tensor
    """Mean cost per pixel, a scalar, with gradient: what is minimised."""
    bound: Tensor
    """The bound in it, without terms that are no part of one, as the classification term."""
    spectra: int
    """How many it was made of."""
    terms: Mapping[str, Tensor] = MappingProxyType({})
    """What is minimised is a sum of, by name, each before its weight."""


class Task(Protocol):
    """What the loop needs of a model together with its data."""

    @property
    def module(self) -> nn.Module:
        """The model."""

    @property
    def pixels(self) -> int:
        """N, the number of training pixels: the weight prior counts once for all of them."""

    @property
    def score_name(self) -> str:
        """What `validate` calls the number that chooses the best state."""

    def begin_epoch(self, epoch: int) -> None:
        """Whatever is worked out from the weights (their average, if there is one) before it."""

    def state(self) -> dict[str, Tensor]:
        """What `begin_epoch` has worked out and a resumed run could not know."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`."""

    def batches(self, generator: torch.Generator) -> Iterator[Any]:
        """The batches of one epoch, in an order drawn from the generator."""

    def cost(self, batch: Any, kl_weight: float, generator: torch.Generator) -> StepCost:
        """What a batch costs."""

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Numbers on the validation pixels: `bound`, `score` (higher is better) and more.

        A score of infinity says that nothing can be told apart: the last state is then kept.
        """

    def snapshot(self, generator: torch.Generator) -> Tensor:
        """A few generated spectra `(n, D)`, the same latents at each call."""


class TaskWithoutState:
    """A task that works out nothing between epochs."""

    def begin_epoch(self, epoch: int) -> None:
        """Do nothing."""

    def state(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Do nothing."""


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
) -> Fit:
    """Train until the epochs are over or patience is, and leave the best state in the module.

    `identity` tells what is trained on what: a state is resumed only where it is the same.
    With `settings.average`, validation, snapshots and the best state are the averaged weights'.
    Resuming gives bit by bit what an unbroken run on the same machine gives: the state holds
    weights, their average, Adam's moments, the random generator and the best weights so far, as of
    the end of an epoch.

    Raises
    ------
    ModelError
        The state belongs to other settings or data; the cost was never finite.
    """
    device = next(task.module.parameters()).device
    keep_freed_memory()
    with quick_products(device):
        return _fit(task, settings, run, device, identity, resume, watcher, on_snapshot)


def _fit(
    task: Task,
    settings: TrainingSettings,
    run: Path,
    device: torch.device,
    identity: dict[str, Any],
    resume: bool,
    watcher: Watcher,
    on_snapshot: OnSnapshot,
) -> Fit:
    precision = chosen_precision(settings.precision, device)
    generator = torch.Generator(device).manual_seed(settings.seed)
    optimiser = _adam(task, settings)
    average = Average(task.module, settings.average)
    progress, best = Progress(), weights_of(task.module)
    snapshots: dict[int, Tensor] = {}
    if resume:
        progress, snapshots, best = _restore(run, task, optimiser, average, generator, identity)
        if progress.stopped == "epochs" and progress.epoch < settings.epochs:
            progress.stopped = ""
    else:
        with os_errors(run):
            forget_state(run)
            (run / LAST_METRICS).parent.mkdir(parents=True, exist_ok=True)
        snapshots[0] = _snapshot(task, device)
        on_snapshot(snapshots)
    log = _Log(run / LAST_METRICS, progress.epoch)
    said = saved = time.monotonic()

    while not progress.stopped:
        started = time.monotonic()
        kl_weight = min(1.0, (progress.epoch + 1) / (settings.warm_up + 1))
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(settings, progress.epoch)
        with average.in_module():
            task.begin_epoch(progress.epoch)
        bound_batch, terms, steps, spectra = _epoch(
            task, optimiser, average, precision, settings.clip, kl_weight, generator
        )
        if not math.isfinite(bound_batch):
            if progress.best_score is None:
                raise ModelError(
                    "training diverged in its first epoch; lower the learning rate "
                    f"(now {settings.learning_rate:g}) or the gradient clip ({settings.clip:g})"
                )
            watcher.warn(
                f"training diverged in epoch {progress.epoch + 1}: kept the state of epoch "
                f"{progress.best_epoch}; a lower learning rate than "
                f"{settings.learning_rate:g} may do better"
            )
            progress.stopped = "diverged"
            break
        progress.epoch += 1
        progress.step += steps
        progress.spectra += spectra
        with average.in_module():
            found = task.validate(torch.Generator(device).manual_seed(VALIDATION_SEED))
            always = found["score"] == math.inf
            if always or progress.best_score is None or found["score"] > progress.best_score:
                progress.best_score, progress.best_epoch = found["score"], progress.epoch
                progress.best, progress.without_improvement = found, 0
                best = weights_of(task.module)
            elif progress.epoch > settings.warm_up:
                progress.without_improvement += 1
            if progress.epoch in SNAPSHOT_EPOCHS:
                snapshots[progress.epoch] = _snapshot(task, device)
                on_snapshot(snapshots)
        if progress.without_improvement >= settings.patience:
            progress.stopped = "patience"
        elif progress.epoch >= settings.epochs:
            progress.stopped = "epochs"
        progress.seconds += time.monotonic() - started
        log.write(progress, bound_batch, terms, found)
        now = time.monotonic()
        line = _line(progress, bound_batch, found, task.score_name)
        if now - said > SECONDS_BETWEEN_LINES or progress.epoch == 1 or progress.stopped:
            watcher.say(line)
            said = now
        else:
            watcher.detail(line)
        watcher.progress("training", progress.epoch, settings.epochs)
        if now - saved > SECONDS_BETWEEN_STATES or progress.stopped:
            _save(run, task, optimiser, average, generator, progress, snapshots, best, identity)
            saved = now

    task.module.load_state_dict(best)
    snapshots[progress.best_epoch] = _snapshot(task, device)
    on_snapshot(snapshots)
    return Fit(progress, snapshots, precision)


class Average:
    """A running average of a module's parameters, each step's weight falling by `decay` a step.

    The first steps are averaged as if they were all there is, so the random start has no part in
    it: after t steps it is sum_s decay^(t-s) w_s (1 - decay) / (1 - decay^t), which is what Adam
    does with its moments (Kingma and Ba 2015, section 3). With `decay` 0 it is the parameters.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.steps = 0
        self.values: dict[str, Tensor] = {}
        if decay:
            self.values = {n: p.detach().clone() for n, p in module.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as a step has left them."""
        if self.decay:
            self.steps += 1
            share = (1 - self.decay) / (1 - self.decay**self.steps)
            torch._foreach_lerp_(list(self.values.values()), list(self.module.parameters()), share)

    @contextmanager
    def in_module(self) -> Iterator[None]:
        """The module with the average in place of its parameters."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, parameter in self.module.named_parameters():
            if name in self.values:
                parameter.data, self.values[name] = self.values[name], parameter.data


def learning_rate(settings: TrainingSettings, epoch: int) -> float:
    """The learning rate of an epoch, the first being 0."""
    if settings.decay == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))


def _adam(task: Task, settings: TrainingSettings) -> torch.optim.Adam:
    """Adam; the prior N(0, 1) on the weights is the gradient w / N of the mean cost per pixel."""
    weights = [p for p in task.module.parameters() if p.ndim > 1]
    others = [p for p in task.module.parameters() if p.ndim <= 1]
    decay = 1 / task.pixels if settings.weight_prior else 0.0
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": decay}, {"params": others}]
    return torch.optim.Adam(groups, lr=settings.learning_rate, fused=True)


def _epoch(
    task: Task,
    optimiser: torch.optim.Adam,
    average: Average,
    precision: Precision,
    clip: float,
    kl_weight: float,
    generator: torch.Generator,
) -> tuple[float, dict[str, float], int, int]:
    """One epoch: means over its batches of the bound and of each term, its steps, its spectra."""
    device = next(task.module.parameters()).device
    task.module.train()
    total, steps, spectra = torch.zeros((), device=device), 0, 0
    terms: dict[str, Tensor] = {}
    for batch in task.batches(generator):
        with reduced(precision, device):
            step = task.cost(batch, kl_weight, generator)
        optimiser.zero_grad(set_to_none=True)
        step.cost.backward()
        for network in task.module.children():
            # Each by itself: a decoder's gradient is a thousand times the classifier's, which one
            # common norm would scale down to nothing.
            if weights := list(network.parameters()):
                nn.utils.clip_grad_norm_(weights, clip)
        optimiser.step()
        average.update()
        total = total + step.bound.detach()
        for name, cost in step.terms.items():
            terms[name] = terms.get(name, 0) + cost.detach()
        steps += 1
        spectra += step.spectra
    task.module.eval()
    means = {name: float(sum_of) / steps for name, sum_of in terms.items()}
    return float(total) / steps, means, steps, spectra


def _snapshot(task: Task, device: torch.device) -> Tensor:
    return task.snapshot(torch.Generator(device).manual_seed(VALIDATION_SEED)).cpu()


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's state, to load again."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _line(progress: Progress, bound_batch: float, found: dict[str, float], score: str) -> str:
    extra = "" if score == "bound" else f", {score} {found[score]:.3f}"
    return (
        f"epoch {progress.epoch}, step {progress.step}, {progress.seconds:.0f} s: "
        f"bound {bound_batch:.2f}, validation {found['bound']:.2f}{extra}, "
        f"{progress.without_improvement} without improvement"
    )


class _Log:
    """metrics.csv: one line an epoch; lines after a resumed epoch are dropped."""

    def __init__(self, path: Path, epoch: int) -> None:
        self.path = path
        kept = []
        if epoch and path.exists():
            kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[: epoch + 1]
        with os_errors(path):
            path.write_text("".join(kept), encoding="utf-8")

    def write(
        self,
        progress: Progress,
        bound_batch: float,
        terms: dict[str, float],
        found: dict[str, float],
    ) -> None:
        row: dict[str, Any] = {
            **asdict(progress),
            "bound_batch": bound_batch,
            "bound_validation": found["bound"],
            **found,
            **{f"term_{name}": mean for name, mean in terms.items()},
        }
        scores = sorted(set(found) - {"bound", "score"})
        columns = [*COLUMNS, *scores, *(f"term_{name}" for name in terms)]
        with os_errors(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)


def _save(
    run: Path,
    task: Task,
    optimiser: torch.optim.Adam,
    average: Average,
    generator: torch.Generator,
    progress: Progress,
    snapshots: dict[int, Tensor],
    best: dict[str, Tensor],
    identity: dict[str, Any],
) -> None:
    tensors = {f"now.{name}": t for name, t in task.module.state_dict().items()}
    tensors |= {f"task.{name}": t for name, t in task.state().items()}
    tensors |= {f"best.{name}": t for name, t in best.items()}
    tensors |= {f"snapshot.{epoch}": t for epoch, t in snapshots.items()}
    tensors |= {f"average.{name}": t for name, t in average.values.items()}
    tensors["generator"] = generator.get_state()
    for i, state in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{name}": t for name, t in state.items()}
    save_state(run, tensors, {"progress": asdict(progress), "identity": identity})


def _restore(
    run: Path,
    task: Task,
    optimiser: torch.optim.Adam,
    average: Average,
    generator: torch.Generator,
    identity: dict[str, Any],
) -> tuple[Progress, dict[int, Tensor], dict[str, Tensor]]:
    device = next(task.module.parameters()).device
    tensors, values = load_state(run, device)
    known = values["identity"]
    other = sorted(k for k in identity.keys() | known.keys() if identity.get(k) != known.get(k))
    if other:
        raise ModelError(
            f"{os.fspath(run)} was trained with other {', '.join(other)}: resume with the same, "
            "or start anew with --overwrite"
        )

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}

    task.module.load_state_dict(part("now."))
    task.restore(part("task."))
    averaged, progress = part("average."), Progress(**values["progress"])
    average.values = {name: averaged[name] for name in average.values}
    average.steps = progress.step
    generator.set_state(tensors["generator"].cpu())
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in part("adam.").items():
        i, _, moment = name.partition(".")
        moments.setdefault(int(i), {})[moment] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    snapshots = {int(epoch): t.cpu() for epoch, t in part("snapshot.").items()}
    return progress, snapshots, part("best.")
