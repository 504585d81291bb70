"""M2 whose p(x|y, z) is a mixture of factor analysers for each class, known in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hsi_ssl.models.declared import DeclaredArchitecture, DeclaredVAE, Given
from hsi_ssl.models.factor_fitting import fit_factor_mixtures
from hsi_ssl.models.factor_mixtures import FactorMixtures
from hsi_ssl.models.likelihoods import Gaussian

NOISE = "likelihood.log_excess"


class FactorM2(DeclaredVAE):
    """M2 of one label set, with p(x|y) in the place of a bound on it.

    q(y|x) is learnt as in any M2; p is fitted to pixels and what is said of them (`fit`). So
    -L(x, y) is log p(x, y), and nothing of it is drawn.
    """

    likelihood: Gaussian
    sums_all = True

    def __init__(
        self,
        architecture: DeclaredArchitecture,
        class_priors: Sequence[Tensor],
        generator: torch.Generator,
    ) -> None:
        super().__init__(architecture, class_priors, generator)
        self.likelihood.requires_grad_(requires_grad=False)

    def _make_networks_of_z(self, generator: torch.Generator) -> None:
        del generator
        a = self.architecture
        self.mixtures = FactorMixtures(a.counts[0], a.components, a.width, a.latent - 1)

    @property
    def _name(self) -> str:
        return self.architecture.labels[0]

    def fit(self, x: Tensor, q: Tensor, seed: int) -> None:
        """Fit p to inputs `x (N, D)` that are of class y with the probabilities `q (N, K)`."""
        fit_factor_mixtures(self.mixtures, self.likelihood, self.modelled(x), q, seed)

    def fitted(self) -> dict[str, Tensor]:
        """What `fit` finds: other tensors each time."""
        found = {f"mixtures.{name}": t for name, t in self.mixtures.named_buffers()}
        return {**found, NOISE: self.likelihood.log_excess}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `fitted`; other tensors are left alone."""
        for name, _ in list(self.mixtures.named_buffers()):
            setattr(self.mixtures, name, state[f"mixtures.{name}"])
        with torch.no_grad():
            self.likelihood.log_excess.copy_(state[NOISE])

    def q_z(self, x: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(..., N, J)` of q(z | x, y)."""
        return self.mixtures.q_z(self.modelled(x), given[self._name], self.likelihood.logvar)

    def decoded(self, z: Tensor, given: Given) -> Tensor:
        """Mean `(..., N, D)` of p(x | y, z)."""
        return self.mixtures.decoded(z, given[self._name])

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """log p(x, y) `(K, N)`, exactly: the draws `eps` are not needed."""
        del eps
        logvar = self.likelihood.logvar.detach()
        log_p_x = self.mixtures.log_density(self.modelled(x), logvar)
        return log_p_x + self.log_p_y(0)[:, None]

    def _cost_of(
        self, x: Tensor, given: Given, generator: torch.Generator, kl_weight: float, samples: int
    ) -> Tensor:
        """-log p(x, y) `(n, N)` of classes `(n, N or 1)`."""
        del generator, kl_weight, samples
        y = given[self._name]
        return -self.log_joint(x, self.draws).gather(0, y.expand(-1, len(x)))


def make_model(
    architecture: DeclaredArchitecture, class_priors: Sequence[Tensor], generator: torch.Generator
) -> DeclaredVAE:
    """The model of an architecture."""
    kind = FactorM2 if architecture.components else DeclaredVAE
    return kind(architecture, class_priors, generator)
