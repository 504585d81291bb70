"""M2, the generative semi-supervised model; on M1's features it is M1+M2.

Kingma et al. 2014 (arXiv:1406.5298), section 2:

p(y) = Cat(pi)        class prior                       `log_p_y`
p(z) = N(0, I)        prior of what is not class        `prior`
p_theta(x | y, z)     decoder and likelihood            `decoder`, `likelihood`
q_phi(y | x)          the classifier                    `classifier`
q_phi(z | x, y)       encoder                           `encoder`
-L(x, y)              bound on log p(x, y)              `labelled_cost`
-U(x)                 bound on log p(x)                 `unlabelled_cost`

Both costs come a second time as means over pixels, which is what training minimises: their
gradient can be had class by class (`hsi_ssl/models/fused.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hsi_ssl.models.bounds import (
    cost_l,
    cost_u,
    cost_u_of_some,
    kl_per_unit,
    log_mean_exp,
    some_classes,
)
from hsi_ssl.models.experts import Experts
from hsi_ssl.models.fused import can_fuse, weighted_costs
from hsi_ssl.models.likelihoods import make_likelihood
from hsi_ssl.models.networks import (
    Architecture,
    ClassPerceptron,
    gaussian_head,
    sample_gaussian,
)
from hsi_ssl.models.priors import Prior, StandardNormal


@dataclass(frozen=True)
class M2Architecture(Architecture):
    """What rebuilds an M2: widths of x and z, number of classes, hidden layers, likelihood.

    `classes`: all that y can be, labelled classes and after them `free` slots for what nobody has
    labelled. `beside`: further columns of the input that q(y|x) reads and the generative part does
    not model, such as the spectra beside M1's features; `experts`: how many q(y|x) is a product of.
    """

    width: int
    classes: int
    latent: int
    hidden: tuple[int, ...]
    hidden_classifier: tuple[int, ...]
    activation: str
    likelihood: str
    sd_floor: float | tuple[float, ...]
    beside: int = 0
    experts: int = 1
    free: int = 0


class M2(nn.Module):
    """The model: classifier q(y|x), encoder q(z|x, y), decoder and likelihood p(x|y, z).

    Every method takes inputs `(N, D)` of all columns, the modelled ones first.
    """

    log_p_y: Tensor
    decoder_sees_class: ClassVar[bool] = True

    def __init__(
        self,
        architecture: M2Architecture,
        class_prior: Tensor,
        generator: torch.Generator,
    ) -> None:
        """`class_prior (K,)`: p(y), positive, sums to 1."""
        super().__init__()
        a = architecture
        self.architecture = a
        self.classifier = Experts(
            a.width + a.beside,
            a.hidden_classifier,
            a.classes,
            a.activation,
            generator,
            a.experts,
        )
        self.encoder = ClassPerceptron(
            a.width, a.classes, a.hidden, 2 * a.latent, a.activation, generator
        )
        self.decoder = ClassPerceptron(
            a.latent,
            a.classes,
            a.hidden[::-1],
            a.width,
            a.activation,
            generator,
            sees_class=self.decoder_sees_class,
        )
        self.prior = self._make_prior(a, generator)
        self.likelihood = make_likelihood(a.likelihood, a.width, a.sd_floor)
        self.register_buffer("log_p_y", class_prior.log())

    @staticmethod
    def _make_prior(architecture: M2Architecture, generator: torch.Generator) -> Prior:
        del architecture, generator
        return StandardNormal()

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x), `(N, K)`, of `x (N, D)`, all columns."""
        found: Tensor = self.classifier(x)
        return found

    def rows(self, *, every_class: bool) -> int:
        """How many rows of a network's layers a pixel takes: in q(y|x), or in `log_joint`."""
        return self.architecture.classes if every_class else 1

    def among_labelled(self, log_q: Tensor) -> Tensor:
        """log q(y|x) given that y is no free slot, `(..., K - free)`, of `log_q (..., K)`."""
        if not self.architecture.free:
            return log_q
        return torch.log_softmax(log_q[..., : self.labelled_classes], dim=-1)

    @property
    def labelled_classes(self) -> int:
        """How many of the classes are no free slots."""
        return self.architecture.classes - self.architecture.free

    def modelled(self, x: Tensor) -> Tensor:
        """The columns of `x (N, D)` that p(x|y, z) is a density of."""
        return x[:, : self.architecture.width]

    def kl(self, mean: Tensor, logvar: Tensor, y: Tensor) -> Tensor:
        """KL(q(z|x, y) || p(z|y)) `(...)` of `mean` and `logvar (..., J)`, `y` indexing classes."""
        return kl_per_unit(*self.prior.whitened(mean, logvar, y)).sum(-1)

    @property
    def _every_y(self) -> Tensor:
        """All classes `(K, 1)`: for what has the class axis first."""
        return torch.arange(len(self.log_p_y), device=self.log_p_y.device)[:, None]

    def decode(self, y: Tensor, z: Tensor) -> Tensor:
        """Mean `(N, D)` of p(x|y, z), of `y (N,)` and `z (N, J)`."""
        return self.likelihood.mean(self.decoder(z, y))

    def labelled_cost(
        self, x: Tensor, y: Tensor, generator: torch.Generator, kl_weight: float = 1.0
    ) -> Tensor:
        """L(x, y) `(N,)` with one sample of z a pixel."""
        x = self.modelled(x)
        mean, logvar = gaussian_head(self.encoder(x, y))
        z = sample_gaussian(mean, logvar, generator)
        log_p_x = self.likelihood.log_density(x, self.decoder(z, y))
        return cost_l(log_p_x, self.log_p_y[y], self.kl(mean, logvar, y), kl_weight)

    def every_labelled_cost(
        self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0
    ) -> Tensor:
        """L(x, y) `(K, N)` for every class, with one sample of z a pixel and class."""
        x = self.modelled(x)
        mean, logvar = gaussian_head(self.encoder.every_class(x))
        z = sample_gaussian(mean, logvar, generator)
        log_p_x = self.likelihood.log_density(x, self.decoder.every_class(z))
        kl = self.kl(mean, logvar, self._every_y)
        return cost_l(log_p_x, self.log_p_y[:, None], kl, kl_weight)

    def unlabelled_cost(
        self,
        x: Tensor,
        generator: torch.Generator,
        kl_weight: float = 1.0,
        log_q: Tensor | None = None,
    ) -> Tensor:
        """U(x) `(N,)`: the sum over classes is exact, y is never sampled.

        `log_q (N, K)`: the distribution over classes to take it with; None: q(y|x). The bound holds
        with any.
        """
        log_q = self.log_q_y(x) if log_q is None else log_q
        return cost_u(self.every_labelled_cost(x, generator, kl_weight), log_q.T)

    def mean_labelled_cost(
        self, x: Tensor, y: Tensor, generator: torch.Generator, kl_weight: float = 1.0
    ) -> Tensor:
        """The mean of `labelled_cost`, a scalar: the fast way to its gradient."""
        if not can_fuse(self, x):
            return self.labelled_cost(x, y, generator, kl_weight).mean()
        weights = x.new_full((1, len(x)), 1 / len(x))
        eps = self._noise(x, 1, generator)
        return weighted_costs(self, self.modelled(x), y[None], weights, eps, kl_weight)[0]

    def mean_unlabelled_cost(
        self,
        x: Tensor,
        generator: torch.Generator,
        kl_weight: float = 1.0,
        exact_classes: int | None = None,
        log_q: Tensor | None = None,
    ) -> Tensor:
        """The mean of U(x), a scalar: the fast way to its gradient; `log_q` as there.

        With `exact_classes` the sum over classes is exact for that many, the most probable ones of
        each pixel, and one drawn class stands for all others: unbiased, at a cost that hardly grows
        with the number of classes (Liu et al. 2019, arXiv:1810.04777).
        """
        log_q = (self.log_q_y(x) if log_q is None else log_q).T
        if exact_classes is None or exact_classes + 1 >= len(log_q):
            every = torch.arange(len(log_q), device=x.device)
            costs, nothing = self._costs(x, every, log_q.exp(), generator, kl_weight)
            return cost_u(costs, log_q).mean() + nothing
        classes, shares = some_classes(log_q, exact_classes, generator)
        costs, nothing = self._costs(x, classes, shares, generator, kl_weight)
        return cost_u_of_some(costs, shares, log_q).mean() + nothing

    def _costs(
        self,
        x: Tensor,
        classes: Tensor,
        shares: Tensor,
        generator: torch.Generator,
        kl_weight: float,
    ) -> tuple[Tensor, Tensor]:
        """L(x, y) `(S, N)`; and 0, which on the fast way has the gradient that the costs lack."""
        if can_fuse(self, x):
            weights, eps = shares.detach() / len(x), self._noise(x, len(shares), generator)
            x = self.modelled(x)
            total, costs = weighted_costs(self, x, classes, weights, eps, kl_weight)
            return costs, total - total.detach()
        if classes.ndim == 1:
            return self.every_labelled_cost(x, generator, kl_weight), x.new_zeros(())
        each = [self.labelled_cost(x, y, generator, kl_weight) for y in classes]
        return torch.stack(each), x.new_zeros(())

    def _noise(self, x: Tensor, slots: int, generator: torch.Generator) -> Tensor:
        shape = (slots, len(x), self.architecture.latent)
        return torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """Importance-weighted bound on log p(x, y), `(K, N)`; with one sample it is -L(x, y).

        `eps (S, J)`: draws of N(0, I), the same for every pixel and class, so that a pixel's
        result depends on nothing but the pixel.
        """
        x = self.modelled(x)
        mean, logvar = gaussian_head(self.encoder.every_class(x))
        white_mean, white_logvar = self.prior.whitened(mean, logvar, self._every_y)
        log_weights = []
        for e in eps:
            z = mean + torch.exp(0.5 * logvar) * e
            log_p_x = self.likelihood.log_density(x, self.decoder.every_class(z))
            # log p(z|y) - log q(z|x, y) in units of p(z|y); the factors of 2 pi cancel.
            white = white_mean + torch.exp(0.5 * white_logvar) * e
            log_ratio = 0.5 * (e * e + white_logvar - white * white).sum(-1)
            log_weights.append(log_p_x + log_ratio)
        return log_mean_exp(torch.stack(log_weights)) + self.log_p_y[:, None]

    def log_posterior_bayes(self, x: Tensor, eps: Tensor) -> Tensor:
        """log p(y|x) by Bayes' rule with the generative part, `(N, K)`; `eps` as in `log_joint`."""
        return torch.log_softmax(self.log_joint(x, eps).T, dim=-1)
