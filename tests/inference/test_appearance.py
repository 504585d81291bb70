"""Brightness, shape and features: what lies beside the rock is novel, whatever its colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.distributions import MultivariateNormal

from hsi_ssl.datasets.scaling import Scaler, fit_scaler
from hsi_ssl.inference.appearance import Appearance, scaled_noise, smooth_curves
from hsi_ssl.inference.class_gaussians import ClassGaussians
from hsi_ssl.inference.novelty import means
from hsi_ssl.inference.ranks import Ranks

Raw = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]

BANDS = 60
PLACE = np.linspace(0, 1, BANDS)
NOISE = 0.0015


def band(at: float, width: float, depth: float) -> Floats:
    return 1 - depth * np.exp(-(((PLACE - at) / width) ** 2))


MINERALS = np.stack(
    [
        0.75 * band(0.6, 0.05, 0.03),  # as good as flat
        0.70 * band(0.3, 0.05, 0.2) * band(0.8, 0.06, 0.3),
        0.50 * band(0.75, 0.05, 0.35) * (0.8 + 0.4 * PLACE),
    ]
)
WOOD = (0.45 - 0.15 * PLACE) * band(0.3, 0.08, 0.3) * band(0.62, 0.07, 0.4)
TRAYS = {
    "dark wood": 0.08 * WOOD,
    "bright wood": 1.8 * WOOD,
    "grey": np.full(BANDS, 0.25),
    "white, sloped": 0.75 - 0.1 * PLACE,
    "dark metal": np.full(BANDS, 0.03),
    "white plastic with its band": 0.8 * band(0.45, 0.05, 0.3),
}


def measured(reflectance: Floats, rng: np.random.Generator) -> Raw:
    noisy = reflectance + NOISE * rng.standard_normal(reflectance.shape)
    return (10_000 * noisy).clip(1).astype(np.uint16)


def rock(n: int, seed: int, light: tuple[float, float] = (0.3, 1.0)) -> tuple[Raw, torch.Tensor]:
    """Pixels of three minerals, each some of the others too, under some light."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    share = rng.dirichlet([0.5, 0.5, 0.5], n) * 0.7
    share[np.arange(n), y] += 0.3
    tilt = 1 + 0.1 * rng.standard_normal((n, 1)) * (PLACE - 0.5)
    return measured(share @ MINERALS * tilt * rng.uniform(*light, (n, 1)), rng), torch.from_numpy(y)


def tray(colour: str, n: int = 400) -> Raw:
    rng = np.random.default_rng(9)
    return measured(TRAYS[colour] * rng.uniform(0.9, 1.1, (n, 1)), rng)


def among(scores: npt.NDArray[np.float32]) -> Ranks:
    """Ranks among these, by single pixels."""
    return Ranks.of(scores, np.full_like(scores, np.nan))


class Looks:
    """An appearance and its scaling, and the scores of validation pixels."""

    def __init__(self, kind: str = "noise") -> None:
        raw, y = rock(3000, 0)
        pool = np.concatenate([rock(2000, 1)[0], tray("dark wood")])  # as in a scene
        self.scaler: Scaler = fit_scaler(kind, pool, components=30)
        x = self.scaled(raw)
        noise = scaled_noise(pool, self.scaler)
        self.kept = Appearance.fit(x, torch.from_numpy(means(raw)), y, self.scaler, noise)
        self.before = ClassGaussians.fit(x, y)
        self.validation = rock(1500, 2)[0]

    def scaled(self, raw: npt.NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(self.scaler.transform(raw))

    def score(self, raw: Raw) -> npt.NDArray[np.float32]:
        found = self.kept.strangeness(self.scaled(raw), torch.from_numpy(means(raw)))
        return np.asarray(found.numpy())

    def rejected(self, raw: Raw, level: float = 0.01) -> float:
        ranks = among(self.score(self.validation))
        return float(np.mean(ranks.p_alone(self.score(raw)) <= level))

    def rejected_before(self, raw: Raw) -> float:
        usual = -self.before.log_density(self.scaled(self.validation)).numpy()
        score = -self.before.log_density(self.scaled(raw)).numpy()
        return float(np.mean(score > np.quantile(usual, 0.99)))


@pytest.fixture(scope="module")
def looks() -> Looks:
    return Looks()


@pytest.mark.parametrize("colour", TRAYS)
def test_trays_of_any_colour_are_novel(looks: Looks, colour: str) -> None:
    assert looks.rejected(tray(colour)) > 0.9


def test_a_gaussian_over_spectra_as_measured_takes_dark_trays_for_rock(looks: Looks) -> None:
    """What the parts are for."""
    assert looks.rejected_before(tray("dark metal")) < 0.1


def test_rock_is_not_novel(looks: Looks) -> None:
    assert looks.rejected(rock(3000, 3)[0]) < 0.02


def test_a_spectrum_without_features_is_novel_where_its_shape_is_not() -> None:
    looks = Looks("standard")
    white = tray("white, sloped")
    by_classes = looks.kept._by_classes(looks.scaled(white), torch.from_numpy(means(white)))
    assert np.mean(by_classes.numpy() > np.quantile(looks.score(looks.validation), 0.99)) < 0.1
    assert looks.rejected(white) > 0.9


def test_rock_in_dim_light_is_not_novel_for_its_noise(looks: Looks) -> None:
    dim, _ = rock(2000, 4, light=(0.3, 0.33))
    assert looks.rejected(dim) < 0.2
    shape, b = looks.kept._shape(looks.scaled(dim), torch.from_numpy(means(dim)))
    as_if_bright = -looks.kept.gaussians.log_density(looks.kept._coordinates(shape, b)).numpy()
    assert np.mean(as_if_bright > np.quantile(looks.score(looks.validation), 0.99)) > 0.4


def test_p_values_are_as_rare_as_they_say(looks: Looks) -> None:
    """However few validation pixels: the score owes nothing to them."""
    others = looks.score(rock(40_000, 5)[0]).reshape(400, 100)
    p = [among(some[1:]).p_alone(some[:1])[0] for some in others]
    for level in (0.01, 0.05, 0.2):
        spread = np.sqrt(level * (1 - level) / len(p))
        assert abs(np.mean(np.array(p) <= level + 1e-6) - level) < 4 * spread


@pytest.mark.parametrize("kind", ["standard", "max", "none"])
def test_other_scalings_tell_trays_too(kind: str) -> None:
    looks = Looks(kind)
    assert looks.rejected(rock(2000, 3)[0]) < 0.03
    for colour in ("dark wood", "grey", "dark metal"):
        assert looks.rejected(tray(colour)) > 0.9, colour


def test_scaled_to_shapes_brightness_still_counts() -> None:
    looks = Looks("snv")
    assert looks.kept.smooth.shape == (BANDS, 0)
    assert looks.rejected(tray("dark metal")) > 0.9
    assert looks.rejected(rock(2000, 3)[0]) < 0.03


@pytest.mark.slow
def test_values_below_zero_have_no_brightness() -> None:
    """Then the spectrum as it is scaled is what counts."""
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((300, 12)).astype(np.float32)
    y = torch.arange(3).repeat(100)
    scaler = fit_scaler("standard", raw, components=12)
    x = torch.from_numpy(scaler.transform(raw))
    level = torch.from_numpy(means(raw))
    kept = Appearance.fit(x, level, y, scaler, scaled_noise(raw, scaler))
    classes = ClassGaussians.fit(x, y)
    torch.testing.assert_close(
        kept._by_classes(x, level), -classes.log_density(x), rtol=1e-3, atol=1e-2
    )


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_few_labels_give_a_score(pixels: int) -> None:
    raw, _ = rock(3 * pixels, 0)
    y = torch.arange(3).repeat(pixels)
    scaler = fit_scaler("standard", rock(500, 1)[0], components=30)
    x, level = torch.from_numpy(scaler.transform(raw)), torch.from_numpy(means(raw))
    kept = Appearance.fit(x, level, y, scaler, scaled_noise(rock(500, 1)[0], scaler))
    far = tray("white plastic with its band", 5)
    strange = kept.strangeness(
        torch.from_numpy(scaler.transform(far)), torch.from_numpy(means(far))
    )
    assert torch.isfinite(strange).all()
    assert strange.min() > kept.strangeness(x, level).max()


def test_a_pixels_own_noise_widens_its_class() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([1.0, -2.0, 0.5])
    factor = torch.tensor([[1.0, 0.3, 0.0], [0.0, 0.5, 0.2], [0.0, 0.0, 0.8]])
    noise, usual = torch.tensor([0.1, 0.4, 0.2]), 2.0
    x = mean + torch.randn(50_000, 3, generator=generator) @ factor
    found = ClassGaussians.fit(x, torch.zeros(len(x)), noise, torch.full((len(x),), usual))
    some = 3 * x[:50]
    for loudness in (1.0, 2.0, 7.0):
        covariance = factor.T @ factor + max(0.0, loudness - usual) * torch.diag(noise)
        expected = MultivariateNormal(mean, covariance).log_prob(some)
        told = found.log_density(some, torch.full((len(some),), loudness))
        torch.testing.assert_close(told, expected, rtol=0.02, atol=0.05)


def test_smooth_curves_span_what_the_matrix_makes_of_polynomials() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((BANDS, 20))
    wavelengths = 1000 + 1500 * PLACE**1.3
    basis = smooth_curves(matrix, wavelengths)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-9)
    for curve in (np.ones(BANDS), wavelengths, wavelengths**2, wavelengths**3):
        seen = curve @ matrix
        np.testing.assert_allclose(basis @ (basis.T @ seen), seen, rtol=1e-6)
    assert smooth_curves(matrix[:, :6]).shape == (6, 0)  # too little would be left
