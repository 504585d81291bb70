"""Spectra made by a trained classifier's generative part, in the file's units where they are known.

Styles of a class, analogies, interpolations, reconstructions (Kingma et al. 2014, section 4.2). All
move in the space of u, in which p(z|y) is N(0, I) for every class: where the prior is that already,
u is z. Spectra of M1+M2 are decoded through M1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.models.likelihoods import Gaussian, Likelihood
from hsi_ssl.models.networks import gaussian_head
from hsi_ssl.training.classifier import Classifier

Raw = npt.NDArray[Any]
Spectra = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK = 4096
SPREAD = (0.05, 0.5, 0.95)
"""Quantiles of what a reconstruction might measure: lower end, middle, upper end of its band."""


@dataclass(frozen=True)
class Measured:
    """Real spectra to start from: raw `(n, bands)`, and what to call each."""

    raw: Raw
    titles: tuple[str, ...]


@dataclass(frozen=True)
class Generator:
    """The generative part of a classifier, with its seed for what is drawn."""

    classifier: Classifier
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all classes, free slots last."""
        known = self.classifier.label_set.names
        free = self.classifier.model.architecture.classes - len(known)
        return (*known, *(f"free slot {i + 1}" for i in range(free)))

    @property
    def latent(self) -> int:
        """Width of u."""
        return self.classifier.model.architecture.latent

    @torch.inference_mode()
    def decode(self, y: Ints, u: npt.NDArray[Any]) -> Spectra:
        """Mean spectra `(n, bands)` of classes `y (n,)` at `u (n, J)`."""
        model, device = self.classifier.model, self.classifier.device
        classes = torch.from_numpy(np.asarray(y, np.int64)).to(device)
        z = model.prior.from_standard(torch.from_numpy(u.astype(np.float32)).to(device), classes)
        return self._spectra(model.decode(classes, z))

    @torch.inference_mode()
    def encode(self, raw: Raw) -> tuple[Ints, Spectra]:
        """The most probable class `(n,)` of raw spectra `(n, bands)`, and the mean of q(u|x, y)."""
        y = self.classifier.posterior(raw).argmax(1)
        mean, _ = self._posterior(raw, y)
        return y, mean.cpu().numpy().astype(np.float64)

    def centres(self, raw: Raw) -> Spectra:
        """The mean of u `(K, J)` over the raw spectra of each class; 0 for a class without any."""
        y, u = self.encode(raw)
        found = np.zeros((len(self.names), self.latent))
        for k in np.unique(y):
            found[k] = u[y == k].mean(0)
        return found

    def active(self, raw: Raw) -> tuple[int, ...]:
        """The one or two units of u whose mean varies most over raw spectra, the first most."""
        spread = self.encode(raw)[1].var(0)
        return tuple(int(j) for j in np.argsort(-spread, kind="stable")[:2])

    def styles(self, y: int, centre: Spectra, moved: dict[int, Spectra]) -> Spectra:
        """Spectra `(n, bands)` of one class: units of u moved, all others at `centre (J,)`.

        `moved`: where a unit stands in each of the n spectra.
        """
        n = len(next(iter(moved.values())))
        u = np.tile(centre, (n, 1))
        for unit, places in moved.items():
            u[:, unit] = places
        return self.decode(np.full(n, y), u)

    def analogies(self, raw: Raw) -> Spectra:
        """What each raw spectrum would be in every class, `(n, K, bands)`: its u, another y."""
        u = self.encode(raw)[1]
        classes = np.arange(len(self.names))
        return np.stack([self.decode(classes, np.tile(each, (len(classes), 1))) for each in u])

    def interpolation(self, raw: Raw, steps: int) -> Spectra:
        """On the way from one raw spectrum to another, `raw (2, bands)`: `(steps, bands)`.

        u moves along a line; where the classes differ, what they decode to is mixed in the same
        shares.
        """
        y, u = self.encode(raw)
        share = np.linspace(0, 1, steps)[:, None]
        along = (1 - share) * u[0] + share * u[1]
        first, last = (self.decode(np.full(steps, k), along) for k in y)
        return (1 - share) * first + share * last

    @torch.inference_mode()
    def reconstruction(self, raw: Raw, draws: int) -> Spectra:
        """What might be measured where `raw (n, bands)` was: quantiles `SPREAD`, `(3, n, bands)`.

        Draws of z from q(z|x, y), y being the most probable class, and of the noise of every level,
        as far as the scaling keeps it.
        """
        model = self.classifier.model
        y = torch.from_numpy(self.classifier.posterior(raw).argmax(1)).to(self.classifier.device)
        mean, logvar = self._posterior(raw, y.cpu().numpy())
        generator = torch.Generator().manual_seed(self.seed)

        def noise(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=generator).to(like.device)

        found = []
        for _ in range(draws):
            u = mean + torch.exp(0.5 * logvar) * noise(mean)
            x = model.decode(y, model.prior.from_standard(u, y))
            found.append(self._spectra(_measured(x, model.likelihood, noise(x)), noise))
        quantiles: Spectra = np.quantile(np.stack(found), SPREAD, axis=0)
        return quantiles

    def _posterior(self, raw: Raw, y: Ints) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(u|x, y), `(n, J)`."""
        classifier = self.classifier
        x = torch.from_numpy(classifier.scaler.transform(raw)).to(classifier.device)
        if classifier.m1 is not None:
            x = classifier.m1.model.encode(x)[0][:, self._kept]
        classes = torch.from_numpy(np.asarray(y, np.int64)).to(classifier.device)
        mean, logvar = gaussian_head(classifier.model.encoder(x, classes))
        return classifier.model.prior.whitened(mean, logvar, classes)

    def _spectra(self, x: Tensor, noise: Any = None) -> Spectra:
        """What a reader of the file would see of M2's inputs, through M1 where there is one."""
        m1 = self.classifier.m1
        if m1 is not None:
            z1 = x.new_zeros(len(x), len(self._kept))
            z1[:, self._kept] = x
            x = m1.model.decode(z1)
            if noise is not None:
                x = _measured(x, m1.model.likelihood, noise(x))
        scaled = x.cpu().numpy()
        scaler = self.classifier.scaler
        return scaler.inverse(scaled) if scaler.invertible else scaled.astype(np.float64)

    @cached_property
    def _kept(self) -> Tensor:
        kept = torch.tensor(self.classifier.card["kept_units"], dtype=torch.bool)
        return kept.to(self.classifier.device)


def _measured(mean: Tensor, likelihood: Likelihood, eps: Tensor) -> Tensor:
    """Draws of p(x|z) with a Gaussian's noise; other likelihoods know no noise of the sensor's."""
    if not isinstance(likelihood, Gaussian):
        return mean
    return mean + torch.exp(0.5 * likelihood.logvar) * eps
