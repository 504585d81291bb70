"""What labelled spectra look like: how bright, of which shape, and with how much to tell it by.

A Gaussian over spectra as measured calls nothing dark novel. Whatever light falls on them, spectra
lie on rays from the black one, along which a class is as wide as light varies; near black all rays
meet, and whatever lies there is near all classes, measured in their widths at usual light. So a
spectrum x is told by its brightness b, the mean of its raw values over that of labelled pixels, and
its shape x / b: each class is a Gaussian over (x / b, ln b). Noise does not fade with the light, so
its variance in the shape is 1 / b^2 times as large (`ClassGaussians`).

A flat grey shape is as like a class of weak absorptions as that class's own. What tells it is that
there is nothing to tell: it departs from a smooth curve by no more than noise, however bright it
is. So the less likely counts of the two, the spectrum by the classes and so few features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.datasets.noise import measure_noise
from hsi_ssl.datasets.scaling import Scaler, mean_and_covariance
from hsi_ssl.inference.class_gaussians import SMALLEST_SHARE, ClassGaussians

Floats = npt.NDArray[np.float64]

DEGREE = 3
"""Of the polynomial over wavelength that a spectrum without features may follow."""
DARKEST = 1e-3
"""Of the usual brightness: what is darker, or below 0, counts as this."""
MOSTLY = 0.99
"""Where fewer of the labelled pixels are above 0, values are no light and have no brightness."""
LEAST_SPREAD = 0.01
"""Of ln b, where all labelled pixels are equally bright."""
SMALLEST_NOISE = 1e-3
"""Of the median: for columns in which there is none."""
SMALLEST_STEP = 0.05
"""Between those of featurelessness, a logarithm: of few pixels they lie as good as together."""
ENOUGH = 6
"""Pixels a class, on average, so that half of them tell how a class spreads."""
OF_CLASSES, OF_FEATURES = (0.5, 0.99), (0.995, 0.999)
"""Which quantiles of minus log p(x) and of featurelessness stand for each other. It must be
exceptional to be heard: if the usual counted too, known pixels of weak absorptions would rank above
minerals that nobody labelled."""


@dataclass(frozen=True)
class Appearance:
    """Brightness, shape and features of the labelled pixels.

    `gaussians`: over shape and ln brightness. `typical`: the labelled pixels' mean raw value, 0
    where values are no light, so that b = 1; `gain`: what ln b is multiplied by to weigh as much as
    the shape. `black (W,)`: a black pixel scaled; `grows`: 1 where scaled spectra grow with b, 0
    where the scaling has made shapes of them. `noise (W,)`: standard deviation of their noise;
    `smooth (W, d)`: orthonormal, the smooth curves in units of it, none where features cannot be
    told. `scale (2, 2)`: quantiles `OF_CLASSES` of minus log p(x), `OF_FEATURES` of
    featurelessness.
    """

    gaussians: ClassGaussians
    typical: Tensor
    gain: Tensor
    black: Tensor
    grows: Tensor
    noise: Tensor
    smooth: Tensor
    scale: Tensor

    @classmethod
    def fit(
        cls,
        x: Tensor,
        raw_mean: Tensor,
        y: Tensor,
        scaler: Scaler,
        noise: Floats,
        wavelengths: npt.ArrayLike | None = None,
    ) -> Self:
        """From labelled pixels: scaled spectra `x (n, W)`, means of raw values, classes `y (n,)`.

        `noise (W,)`: see `scaled_noise`. How rare what is comes from the same pixels: each half of
        every class is judged by the other half's Gaussians, where there are enough. So validation
        pixels have no part in it, and their ranks stay those of pixels like any other.
        """
        affine = scaler.affine()
        black, smooth = np.zeros(scaler.width), np.zeros((scaler.width, 0))
        if affine is not None:
            black = scaler.transform(np.zeros((1, len(affine[0])), np.float32))[0]
            smooth = smooth_curves(affine[1] / noise, wavelengths)
        is_light = float((raw_mean > 0).double().mean()) >= MOSTLY
        empty = cls(
            gaussians=ClassGaussians.fit(x[:1], y[:1]),
            typical=raw_mean.mean() if is_light else torch.zeros(()),
            gain=torch.ones(()),
            black=torch.from_numpy(black).float(),
            grows=torch.tensor(0.0 if affine is None else 1.0),
            noise=torch.from_numpy(noise if affine is not None else 0 * noise).float(),
            smooth=torch.from_numpy(smooth).float(),
            scale=torch.zeros(2, 2),
        )
        if is_light:
            shape, b = empty._shape(x, raw_mean)
            spread = b.log().std(correction=0).clamp(min=LEAST_SPREAD)
            empty = replace(empty, gain=shape.var(0, correction=0).sum().sqrt() / spread)
        own = empty._with_gaussians(x, raw_mean, y)
        if not smooth.size:
            return own
        by_classes = own._by_classes(x, raw_mean)
        half = torch.zeros(len(y), dtype=torch.bool)
        for k in y.unique():
            half[(y == k).nonzero()[1::2, 0]] = True
        if len(y) >= ENOUGH * len(y.unique()):
            for one in (half, ~half):
                other = empty._with_gaussians(x[one], raw_mean[one], y[one])
                by_classes[~one] = other._by_classes(x[~one], raw_mean[~one])
        scale = np.array(
            [
                np.quantile(by_classes.numpy(), OF_CLASSES),
                np.quantile(own._featureless(x).numpy(), OF_FEATURES),
            ]
        )
        return replace(own, scale=torch.from_numpy(scale).float())

    @classmethod
    def as_measured(cls, gaussians: ClassGaussians) -> Self:
        """Gaussians over scaled spectra and nothing else: what runs kept before."""
        width = len(gaussians.centre)
        nothing, one, zeros = torch.zeros(()), torch.ones(()), torch.zeros(width)
        smooth, scale = torch.zeros(width, 0), torch.zeros(2, 2)
        return cls(gaussians, nothing, one, zeros, nothing, zeros, smooth, scale)

    def strangeness(self, x: Tensor, raw_mean: Tensor) -> Tensor:
        """The larger, the less a spectrum looks like a labelled one, in nats `(N,)`.

        Minus log p(x) by the classes or, where that is more, that of a spectrum as rare among
        labelled ones as one as featureless. `x (N, W)` scaled, `raw_mean (N,)`: of its raw values.
        """
        found = self._by_classes(x, raw_mean)
        if not self.smooth.numel():
            return found
        (usual, rare), (heard, seldom) = self.scale
        share = (self._featureless(x) - heard) / (seldom - heard).clamp(min=SMALLEST_STEP)
        return torch.maximum(found, usual + share * (rare - usual))

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        numbers = {name: tensor.to(device) for name, tensor in self._numbers().items()}
        return type(self)(self.gaussians.to(device), **numbers)

    def to_tensors(self) -> dict[str, Tensor]:
        """All numbers by name."""
        gaussians = {f"gaussians.{name}": t for name, t in vars(self.gaussians).items()}
        return gaussians | {f"appearance.{name}": t for name, t in self._numbers().items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Self:
        """Inverse of `to_tensors`; of runs from before there were Gaussians alone."""
        gaussians, numbers = (
            {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            for prefix in ("gaussians.", "appearance.")
        )
        if not numbers:
            return cls.as_measured(ClassGaussians.equally_noisy(**gaussians))
        return cls(ClassGaussians(**gaussians), **numbers)

    def _numbers(self) -> dict[str, Tensor]:
        return {name: t for name, t in vars(self).items() if isinstance(t, Tensor)}

    def _with_gaussians(self, x: Tensor, raw_mean: Tensor, y: Tensor) -> Self:
        shape, b = self._shape(x, raw_mean)
        noise = torch.cat([self.noise.square(), torch.zeros(1)])
        seen = self._coordinates(shape, b)
        gaussians = ClassGaussians.fit(seen, y, noise[: seen.shape[1]], b**-2)
        return replace(self, gaussians=gaussians)

    def _shape(self, x: Tensor, raw_mean: Tensor) -> tuple[Tensor, Tensor]:
        """Shape `(N, W)` and brightness `(N,)`."""
        if not self.typical > 0:
            return x, torch.ones_like(raw_mean)
        b = (raw_mean / self.typical).clamp(min=DARKEST)
        return (x - self.black) / b[:, None] if self.grows else x, b

    def _coordinates(self, shape: Tensor, b: Tensor) -> Tensor:
        """What the Gaussians are over: the shape and, where there is light, ln b."""
        if not self.typical > 0:
            return shape
        return torch.cat([shape, self.gain * b.log()[:, None]], 1)

    def _by_classes(self, x: Tensor, raw_mean: Tensor) -> Tensor:
        """Minus log p(x) `(N,)`."""
        shape, b = self._shape(x, raw_mean)
        return -self.gaussians.log_density(self._coordinates(shape, b), b**-2)

    def _featureless(self, x: Tensor) -> Tensor:
        """Minus ln of how far a spectrum is from any smooth curve `(N,)`, in units of noise."""
        away = (x - self.black) / self.noise
        away = away - (away @ self.smooth) @ self.smooth.T
        return -0.5 * away.square().sum(-1).log1p()


def scaled_noise(spectra: npt.NDArray[Any], scaler: Scaler) -> Floats:
    """Standard deviation of the noise of scaled spectra `(W,)`, from raw ones `(n, bands)`.

    What the scaling measured, else the residual of each column's regression on the others. Where a
    column has none it gets a little, so that nothing is told from rounding.
    """
    if scaler.noise_sd is not None:
        noise = scaler.noise_sd
    else:
        covariance = mean_and_covariance(scaler.transform(spectra))[1]
        noise = measure_noise(covariance, len(spectra)).independent
    some = noise[noise > 0]
    least = SMALLEST_NOISE * np.median(some) if len(some) else 1.0
    found: Floats = noise.clip(min=least)
    return found


def smooth_curves(matrix: Floats, wavelengths: npt.ArrayLike | None = None) -> Floats:
    """Orthonormal basis `(W, d)` of what `matrix (bands, W)` makes of polynomials of `DEGREE`.

    Over wavelengths, or band numbers. None, `(W, 0)`, where so few columns are left beside them
    that features could not be told from noise.
    """
    place = np.arange(len(matrix)) if wavelengths is None else np.asarray(wavelengths)
    span = np.ptp(place)
    along = 2 * (place - place.min()) / span - 1 if span > 0 else np.zeros(len(place))
    curves = np.polynomial.legendre.legvander(along, DEGREE).T @ matrix
    _, sizes, basis = np.linalg.svd(curves, full_matrices=False)
    basis = basis[sizes > SMALLEST_SHARE * sizes[0]]
    if 2 * len(basis) > matrix.shape[1]:
        return np.zeros((matrix.shape[1], 0))
    found: Floats = basis.T
    return found
