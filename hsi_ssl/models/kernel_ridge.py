"""Kernel ridge regression of classes: a classifier in closed form for a few labelled pixels.

f(x) = prior + sum_i a_i k(x, x_i), k(x, x') = exp(-|x - x'|^2 / width), fitted to one-hot classes
by weighted least squares (Saunders, Gammerman, Vovk 1998; Rifkin, Klautau 2004), each class
weighing as much as any other. What it says of a pixel that it has not learnt from is known without
fitting again: with G = K + ridge W^-1, the residual of a left-out group B is (G^-1)_BB^-1 a_B
(Rifkin and Lippert 2007, section 4.2, for one pixel).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.moving import sent

RIDGE = 0.03
"""Weight of |f|^2 beside a mean weight of one a labelled pixel."""
AT_ONCE = 4096
"""Pixels whose kernels with the labelled ones are in memory together."""
SHARPEST, STEPS_OF_SHARPNESS = 20.0, 25


def median_distance(x: Tensor) -> Tensor:
    """Median squared distance between two of some pixels `(n, D)`, 1 where all are alike."""
    distances = torch.pdist(x.double()).square()
    found = distances.median() if len(distances) else distances.new_zeros(())
    return found if found > 0 else torch.ones_like(found)


@dataclass(frozen=True)
class KernelRidge:
    """A fitted regression.

    `centres (n, D)`: the labelled pixels; `coefficients (n, K)` and `inverse (n, n)`, G^-1, in
    float64; `prior`: what it says far from all of them, 1 / K; `sharpness`: what scores are
    multiplied by to be log odds.
    """

    centres: Tensor
    width: Tensor
    coefficients: Tensor
    inverse: Tensor
    prior: float
    sharpness: float

    def log_posteriors(self, blocks: Iterator[Tensor]) -> Tensor:
        """log p(y|x) `(N, K)` of blocks of pixels `(m, D)`, in their type."""
        return torch.cat(
            [self._log_posterior(some) for block in blocks for some in block.split(AT_ONCE)]
        )

    def _log_posterior(self, x: Tensor) -> Tensor:
        kernel = _kernel(x, self.centres, self.width)
        scores = kernel @ self.coefficients.to(kernel.dtype) + self.prior
        return torch.log_softmax(self.sharpness * scores, dim=-1)

    def to(self, device: torch.device) -> KernelRidge:
        """The same to be applied on a device; it is fitted on the CPU, and again without rows."""
        if self.centres.device == device:
            return self
        own = self.centres, self.width, self.coefficients.to(self.centres.dtype)
        centres, width, coefficients = (sent(t, device) for t in own)
        return replace(self, centres=centres, width=width, coefficients=coefficients)

    def without(self, rows: Tensor) -> KernelRidge:
        """As if fitted without some rows, whose coefficients are 0 then."""
        block = self.inverse[rows][:, rows]
        residual = torch.linalg.solve(block, self.coefficients[rows])
        coefficients = self.coefficients - self.inverse[:, rows] @ residual
        return replace(self, coefficients=coefficients)


def fit_kernel_ridge(x: Tensor, y: Tensor, classes: int, width: Tensor) -> KernelRidge:
    """The regression of the classes `y (n,)`, 0..K-1, of pixels `x (n, D)`.

    `width`: squared distance at which the kernel has fallen to 1/e. Scores become log odds by the
    factor at which the posteriors of pixels left out one by one are most likely.
    """
    centres = x.double()
    counts = torch.bincount(y, minlength=classes).double()
    present = int((counts > 0).sum())
    weight = len(y) / (present * counts[y])
    prior = 1 / classes
    target = F.one_hot(y, classes).double() - prior
    gram = _kernel(centres, centres, width.double()) + torch.diag(RIDGE / weight)
    inverse = torch.linalg.inv(gram)
    coefficients = inverse @ target
    without = target - coefficients / inverse.diagonal()[:, None]
    sharpness = _sharpness(without, y, weight)
    return KernelRidge(x, width.to(x), coefficients, inverse, prior, sharpness)


def _sharpness(scores: Tensor, y: Tensor, weight: Tensor) -> float:
    """The factor that makes `scores (n, K)` the likeliest log odds of `y (n,)`, 1 to SHARPEST."""
    factors = torch.logspace(0, float(torch.tensor(SHARPEST).log10()), STEPS_OF_SHARPNESS)
    likelihoods = [
        (weight * torch.log_softmax(factor * scores, dim=-1).gather(1, y[:, None])[:, 0]).sum()
        for factor in factors.to(scores)
    ]
    return float(factors[int(torch.stack(likelihoods).argmax())])


def _kernel(x: Tensor, centres: Tensor, width: Tensor) -> Tensor:
    found: Tensor = torch.exp(torch.cdist(x, centres).square() / -width)
    return found
