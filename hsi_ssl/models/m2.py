"""M2, the generative semi-supervised model; on M1's features it is M1+M2.

Kingma et al. 2014 (arXiv:1406.5298), section 2:

p(y) = Cat(pi)        class prior                       `log_p_y`
p(z) = N(0, I)        prior of what is not class        `kl_per_unit`
p_theta(x | y, z)     decoder and likelihood            `decoder`, `likelihood`
q_phi(y | x)          the classifier                    `log_q_y`
q_phi(z | x, y)       encoder                           `encoder`
-L(x, y)              bound on log p(x, y)              `labelled_cost`
-U(x)                 bound on log p(x)                 `unlabelled_cost`
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hsi_ssl.models.bounds import cost_l, cost_u, kl_per_unit, log_mean_exp
from hsi_ssl.models.likelihoods import make_likelihood
from hsi_ssl.models.networks import ClassPerceptron, gaussian_head, perceptron, sample_gaussian


@dataclass(frozen=True)
class M2Architecture:
    """What rebuilds an M2: widths of x and z, number of classes, hidden layers, likelihood."""

    width: int
    classes: int
    latent: int
    hidden: tuple[int, ...]
    hidden_classifier: tuple[int, ...]
    activation: str
    likelihood: str
    sd_floor: float

    def to_card(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> M2Architecture:
        """Inverse of `to_card`."""
        widths = {name: tuple(card[name]) for name in ("hidden", "hidden_classifier")}
        return cls(**{**card, **widths})


class M2(nn.Module):
    """The model: classifier q(y|x), encoder q(z|x, y), decoder and likelihood p(x|y, z)."""

    log_p_y: Tensor

    def __init__(
        self, architecture: M2Architecture, class_prior: Tensor, generator: torch.Generator
    ) -> None:
        """`class_prior (K,)`: p(y), positive, sums to 1."""
        super().__init__()
        a = architecture
        self.architecture = a
        self.classifier = perceptron(
            a.width, a.hidden_classifier, a.classes, a.activation, generator
        )
        self.encoder = ClassPerceptron(
            a.width, a.classes, a.hidden, 2 * a.latent, a.activation, generator
        )
        self.decoder = ClassPerceptron(
            a.latent, a.classes, a.hidden[::-1], a.width, a.activation, generator
        )
        self.likelihood = make_likelihood(a.likelihood, a.width, a.sd_floor)
        self.register_buffer("log_p_y", class_prior.log())

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x), `(N, K)`, of `x (N, D)`."""
        return torch.log_softmax(self.classifier(x), dim=-1)

    def decode(self, y: Tensor, z: Tensor) -> Tensor:
        """Mean `(N, D)` of p(x|y, z), of `y (N,)` and `z (N, J)`."""
        return self.likelihood.mean(self.decoder(z, y))

    def labelled_cost(
        self, x: Tensor, y: Tensor, generator: torch.Generator, kl_weight: float = 1.0
    ) -> Tensor:
        """L(x, y) `(N,)` with one sample of z a pixel."""
        mean, logvar = gaussian_head(self.encoder(x, y))
        z = sample_gaussian(mean, logvar, generator)
        log_p_x = self.likelihood.log_density(x, self.decoder(z, y))
        return cost_l(log_p_x, self.log_p_y[y], kl_per_unit(mean, logvar).sum(-1), kl_weight)

    def every_labelled_cost(
        self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0
    ) -> Tensor:
        """L(x, y) `(K, N)` for every class, with one sample of z a pixel and class."""
        mean, logvar = gaussian_head(self.encoder.every_class(x))
        z = sample_gaussian(mean, logvar, generator)
        log_p_x = self.likelihood.log_density(x, self.decoder.every_class(z))
        kl = kl_per_unit(mean, logvar).sum(-1)
        return cost_l(log_p_x, self.log_p_y[:, None], kl, kl_weight)

    def unlabelled_cost(
        self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0
    ) -> Tensor:
        """U(x) `(N,)`: the sum over classes is exact, y is never sampled."""
        return cost_u(self.every_labelled_cost(x, generator, kl_weight), self.log_q_y(x).T)

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """Importance-weighted bound on log p(x, y), `(K, N)`; with one sample it is -L(x, y).

        `eps (S, J)`: draws of N(0, I), the same for every pixel and class, so that a pixel's
        result depends on nothing but the pixel.
        """
        mean, logvar = gaussian_head(self.encoder.every_class(x))
        log_weights = []
        for e in eps:
            z = mean + torch.exp(0.5 * logvar) * e
            log_p_x = self.likelihood.log_density(x, self.decoder.every_class(z))
            # log N(z; 0, I) - log N(z; mean, exp(logvar)); the factors of 2 pi cancel.
            log_ratio = 0.5 * (e * e + logvar - z * z).sum(-1)
            log_weights.append(log_p_x + log_ratio)
        return log_mean_exp(torch.stack(log_weights)) + self.log_p_y[:, None]

    def log_posterior_bayes(self, x: Tensor, eps: Tensor) -> Tensor:
        """log p(y|x) by Bayes' rule with the generative part, `(N, K)`; `eps` as in `log_joint`."""
        return torch.log_softmax(self.log_joint(x, eps).T, dim=-1)
