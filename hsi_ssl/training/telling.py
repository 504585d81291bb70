"""What is told of a training: how long it will take, where it stands, which state was kept."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from hsi_ssl.durations import duration
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import TrainingSettings
    from hsi_ssl.training.loop import Progress
    from hsi_ssl.training.task import Task

WORTH_TELLING = 10.0
"""Seconds of training from which on it is told how long it will take."""
SCORES = {"bound": "bound on log p(x)", "macro_f1": "macro-F1", "minus_cost": "minus the cost"}
"""What chooses the state that is kept, in words."""


class Telling:
    """Tells a watcher of one training."""

    def __init__(
        self, watcher: Watcher, task: Task, settings: TrainingSettings, progress: Progress
    ) -> None:
        self._watcher, self._settings, self._progress = watcher, settings, progress
        self._name, self._steps = task.score_name, task.steps
        self._score = SCORES.get(self._name, self._name.replace("_", " "))
        self._digits = 3 if self._name == "macro_f1" else 2
        self._from = progress.epoch
        self._first: float | None = None
        """When the first batch was through: the first epoch begins with more than others."""

    def step(self, done: int) -> None:
        """So many batches of the epoch under way are through."""
        if self._first is None:
            self._first = time.monotonic()
        if 0 < done < self._steps:
            share = self._progress.epoch + done / self._steps
            self._watcher.progress("training", share, self._settings.epochs)

    def epoch(self, steps: int, found: dict[str, float]) -> None:
        """An epoch of so many batches is over, and judged."""
        progress, self._steps = self._progress, self._steps or steps
        if progress.epoch == self._from + 1:
            self._how_long(steps)
        self._watcher.stands(self._line(found))
        self._watcher.progress("training", progress.epoch, self._settings.epochs)

    def end(self) -> None:
        """Training is over, and its best state kept."""
        progress, patience = self._progress, self._settings.patience
        self._watcher.progress("training", self._settings.epochs, self._settings.epochs)
        epochs = _epochs(progress.epoch)
        if progress.stopped == "patience":
            epochs += f"; {patience} in a row were no better on the validation pixels"
        if progress.best_score is None or progress.best_score == math.inf:
            which = "the last one, as no validation pixels choose"
        else:
            last = ", the last one" if progress.best_epoch == progress.epoch else ""
            which = f"the best on the validation pixels{last}"
            which += f" ({self._score} {progress.best_score:.{self._digits}f})"
        self._watcher.say(f"trained for {duration(progress.seconds)}: {epochs}")
        state = f"the state after epoch {progress.best_epoch}"
        if not progress.best_epoch:
            state = "the state before the first epoch"
        self._watcher.say(f"kept: {state}, {which}")
        generative = progress.generative_epoch
        if generative is not None and generative != progress.best_epoch:
            self._watcher.say(
                f"of the generative part that after epoch {generative}, whose bound is the best "
                f"there ({progress.best_bound:.2f} nats)"
            )

    def _how_long(self, steps: int) -> None:
        left = self._settings.epochs - self._progress.epoch
        since = 0.0 if self._first is None else time.monotonic() - self._first
        seconds = left * since * steps / max(1, steps - 1)
        if seconds > WORTH_TELLING:
            patience = self._settings.patience
            ends = f"; fewer if {patience} in a row are no better" if patience < left else ""
            self._watcher.say(f"{_epochs(left)} to come, about {duration(seconds)}{ends}")

    def _line(self, found: dict[str, float]) -> str:
        progress = self._progress
        line = f"epoch {progress.epoch} of {self._settings.epochs}"
        if progress.best_score is None or progress.best_score == math.inf:
            return line
        here, best = found["score"], progress.best_score
        score = "bound" if self._name == "bound" else self._score
        return (
            f"{line}: {score} {here:.{self._digits}f}, best {best:.{self._digits}f} in "
            f"epoch {progress.best_epoch}"
        )


def _epochs(n: int) -> str:
    return "1 epoch" if n == 1 else f"{n} epochs"
