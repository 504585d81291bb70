"""What M2 learns from: inputs of pixels, labelled batches, scores on validation pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor

from hsi_ssl.models.m2 import M2
from hsi_ssl.models.networks import sample_gaussian
from hsi_ssl.training.stage import SMALLEST_BATCH

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

TIE = 1e-4
"""Weight of the cross-entropy in the score: it decides between states of equal macro-F1."""
APPLIED_BATCH = 2048
BESIDE_GAIN = 8.0
"""What spectra beside M1's features are multiplied by: most components are of a spread far below 1,
which is that of the features, and would not be seen (drillcore-sim, 5 labels a class, macro-F1 57
with 1, 62 with 4, 64 with 10)."""


@dataclass(frozen=True)
class Inputs:
    """What M2 sees of N pixels: spectra, or M1's q(z1|x) as `mean` and `logvar (N, D)`.

    Beside M1's features there may be spectra, with the variance of their noise. `noise_sd (D,)`:
    of spectra alone, standard deviation of what is added to those that q(y|x) learns from.
    """

    mean: Tensor
    logvar: Tensor | None = None
    noise_sd: Tensor | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        moved = (t if t is None else t.to(device) for t in (self.logvar, self.noise_sd))
        return Inputs(self.mean.to(device), *moved)

    def rows(self, rows: Tensor) -> Inputs:
        """Some of the pixels."""
        logvar = None if self.logvar is None else self.logvar[rows]
        return Inputs(self.mean[rows], logvar, self.noise_sd)

    def sample(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Inputs of some pixels: a fresh sample of q(z1|x), or the spectra themselves."""
        if self.logvar is None:
            return self.mean[rows]
        return sample_gaussian(self.mean[rows], self.logvar[rows], generator)

    def perturbed(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Sampled inputs `(n, D)` as they might have been measured another time."""
        if self.noise_sd is None:
            return x
        eps = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return x + self.noise_sd * eps

    def learnt_from(self, x: Tensor, experts: int, generator: torch.Generator) -> Tensor:
        """Sampled inputs `(n, D)` as each expert learns from them, `(experts, n, D)`."""
        return self.perturbed(x.expand(experts, -1, -1), generator)


class Labelled:
    """Labelled pixels and how batches of them are drawn."""

    def __init__(self, inputs: Inputs, y: Tensor, settings: M2Settings) -> None:
        """`y (N,)`: classes 0..K-1."""
        self.inputs, self.y = inputs, y
        self.size = min(settings.batch_labelled, max(SMALLEST_BATCH, len(y)))
        self.balanced = settings.balanced
        self._by_class = torch.argsort(y, stable=True)
        counts = torch.bincount(y)
        self._present = torch.nonzero(counts).flatten()
        self._counts = counts[self._present]
        self._starts = torch.cumsum(self._counts, 0) - self._counts

    def __len__(self) -> int:
        return len(self.y)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Rows of a batch: first the class at random, then the pixel; or pixels as they come."""
        device = self.y.device
        if not self.balanced:
            return torch.randint(len(self.y), (self.size,), generator=generator, device=device)
        among = (len(self._present), (self.size,))
        classes = torch.randint(*among, generator=generator, device=device)
        place = torch.rand(self.size, generator=generator, device=device) * self._counts[classes]
        return self._by_class[self._starts[classes] + place.long()]


@dataclass(frozen=True)
class Validation:
    """Validation pixels, none perhaps."""

    inputs: Inputs
    y: Tensor

    def log_q(self, module: M2, *, labelled_only: bool = False) -> Tensor:
        """log q(y|x) `(N, K)`; with `labelled_only` given that y is no free slot."""
        log_q = log_q_of(module, self.inputs)
        return module.among_labelled(log_q) if labelled_only else log_q

    def of_classifier(self, module: M2, *, labelled_only: bool = False) -> dict[str, float]:
        """Cross-entropy, OA, balanced accuracy and macro-F1 of q(y|x), and a `score`.

        Without validation pixels the score is infinite, so that the last state is kept.
        """
        if not len(self.y):
            return {"score": math.inf, "macro_f1": 0.0}
        log_q = self.log_q(module, labelled_only=labelled_only)
        cross_entropy = float(F.nll_loss(log_q, self.y))
        found = scores(self.y, log_q)
        score = found["macro_f1"] - TIE * cross_entropy
        return {"score": score, "cross_entropy": cross_entropy, **found}


@torch.no_grad()
def each_log_q_of(module: M2, *inputs: Inputs) -> Tensor:
    """log q_e(y|x) `(E, N, K)` of each expert at the means of inputs, one after another.

    K are the labelled classes.
    """
    batches = [x for i in inputs for x in i.mean.split(APPLIED_BATCH)]
    return torch.cat([module.among_labelled(module.classifier.each(x)) for x in batches], dim=1)


@torch.no_grad()
def log_q_of(module: M2, *inputs: Inputs) -> Tensor:
    """log q(y|x) `(N, K)` at the means of inputs, one after another."""
    return torch.cat([module.log_q_y(x) for i in inputs for x in i.mean.split(APPLIED_BATCH)])


def scores(y: Tensor, log_p: Tensor) -> dict[str, float]:
    """OA, balanced accuracy and macro-F1 of log p(y|x) `(N, K)` against `y (N,)`.

    Over the classes that occur among `y`.
    """
    truth, found = y.cpu().numpy(), log_p.argmax(-1).cpu().numpy()
    present = np.unique(truth)
    return {
        "oa": float(np.mean(truth == found)),
        "balanced_accuracy": float(np.mean([np.mean(found[truth == k] == k) for k in present])),
        "macro_f1": float(f1_score(truth, found, labels=present, average="macro", zero_division=0)),
    }
