"""Classes as mixtures of factor analysers: p(x|y, z) that is linear in z piece by piece.

Within a component of a class spectra vary along a few directions, and noise is the same for all:
x = m + W z + noise, so that p(x|y, component) is N(m, W W' + diag s^2) (Tipping and Bishop 1999,
"Probabilistic principal component analysis"; Ghahramani and Hinton 1996, "The EM algorithm for
mixtures of factor analyzers"). A class has several (McLachlan and Peel 2000, "Finite mixture
models"). It is still M2, with p(z) = N(0, I): the first unit of z tells the component, by the share
of N(0, 1) that lies below it, the others are those of the linear map. So p(x|y) and q(z|x, y, the
component) are known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.likelihoods import LOG_2_PI
from hsi_ssl.models.moving import exact
from hsi_ssl.models.networks import LOGVAR_LOW

AT_ONCE = 4_000_000
"""Numbers that are worked out together."""
INSIDE = 1e-6
"""How near to 0 and 1 a share of N(0, 1) may lie."""


@dataclass(frozen=True)
class Posteriors:
    """Of each class and component: what x tells of z, and how likely x is.

    z given x has the mean `gain (K, C, J, D)` (x - m) and the variances `variance (K, C, J)`;
    (x - m)' Sigma^-1 (x - m) is the sum of squares of `root (K, C, D, D)` (x - m), `log_scale (K,
    C)` the log-density at m.
    """

    gain: Tensor
    variance: Tensor
    root: Tensor
    log_scale: Tensor


class FactorMixtures(nn.Module):
    """C components for each of K classes of spectra `(D,)`, each with J directions.

    Nothing of it is learnt by gradients: `fit_factor_mixtures` finds it.
    """

    log_share: Tensor
    """Of the components in their class, `(K, C)`; -inf for one that there is not."""
    mean: Tensor
    """`(K, C, D)`."""
    factors: Tensor
    """W, `(K, C, D, J)`."""

    def __init__(self, classes: int, components: int, width: int, directions: int) -> None:
        super().__init__()
        share = torch.full((classes, components), 1 / components)
        self.register_buffer("log_share", share.log())
        self.register_buffer("mean", torch.zeros(classes, components, width))
        self.register_buffer("factors", torch.zeros(classes, components, width, directions))

    def posteriors(self, logvar: Tensor) -> Posteriors:
        """With noise of log-variances `logvar (D,)`."""
        w, noise = exact(self.factors), exact(logvar).exp()
        covariance = w @ w.mT + torch.diag(noise)
        lower = torch.linalg.cholesky(covariance)
        eye = torch.eye(len(noise), dtype=w.dtype, device=w.device)
        root = torch.linalg.solve_triangular(lower, eye.expand_as(lower), upper=False)
        gain = w.mT @ root.mT @ root
        variance = 1 - (gain * w.mT).sum(-1)
        diagonal = lower.diagonal(dim1=-2, dim2=-1)
        log_scale = -diagonal.log().sum(-1) - 0.5 * len(noise) * LOG_2_PI
        found = (gain, variance, root, log_scale)
        return Posteriors(*(t.to(self.mean.dtype).to(self.mean.device) for t in found))

    def log_of_components(self, x: Tensor, of: Posteriors) -> Tensor:
        """log p(x, component | y) `(N, K, C)` of `x (N, D)`."""
        k, c, d = self.mean.shape
        roots = of.root.reshape(k * c * d, d)
        places = (of.root @ self.mean[..., None]).reshape(k * c * d)
        white = torch.addmm(-places, x, roots.T).view(-1, k, c, d)
        return self.log_share + of.log_scale - 0.5 * white.square().sum(-1)

    def log_density(self, x: Tensor, logvar: Tensor) -> Tensor:
        """log p(x|y) `(K, N)` of `x (N, D)`, exactly."""
        of = self.posteriors(logvar)
        some = max(1, AT_ONCE // self.mean.numel())
        each = [self.log_of_components(part, of).logsumexp(-1) for part in x.split(some)]
        found: Tensor = torch.cat(each).T
        return found

    def q_z(self, x: Tensor, y: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(..., N, 1 + J)` of q(z|x, y), `x (N, D)`, classes `y (..., N)`.

        That is p(z|x, y, component) for the most probable component, without its correlations.
        """
        of = self.posteriors(logvar)
        best = self.log_of_components(x, of).argmax(-1)
        y = y.expand(*y.shape[:-1], len(x))
        c = best[torch.arange(len(x), device=x.device), y]
        away = x - self.mean[y, c]
        mean = (of.gain[y, c] @ away[..., None])[..., 0]
        variance = of.variance[y, c]
        ends = self._ends()
        middle = 0.5 * (ends[y, c] + ends[y, c + 1])
        place = torch.special.ndtri(middle.clamp(INSIDE, 1 - INSIDE))[..., None]
        surely = torch.full_like(place, LOGVAR_LOW)
        spread = variance.clamp(min=0).log().clamp(min=LOGVAR_LOW)
        return torch.cat([place, mean], -1), torch.cat([surely, spread], -1)

    def decoded(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean `(..., D)` of p(x|y, z), of `z (..., 1 + J)` and classes `y (...)`, broadcast."""
        y = y.expand(z.shape[:-1])
        below = torch.special.ndtr(z[..., :1]).clamp(INSIDE, 1 - INSIDE)
        c = (below >= self._ends()[y, 1:-1]).sum(-1)
        return self.mean[y, c] + (self.factors[y, c] @ z[..., 1:, None])[..., 0]

    def _ends(self) -> Tensor:
        """Where shares of components begin and end between 0 and 1, `(K, C + 1)`."""
        ends = self.log_share.exp().cumsum(-1)
        return nn.functional.pad(ends / ends[:, -1:], (1, 0))
