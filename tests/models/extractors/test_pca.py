"""PCA against scikit-learn's, from spectra in blocks, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import decomposition  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from hsi_ssl.errors import ModelError
from hsi_ssl.models.extractors.pca import PCA, PCAArchitecture

D, J = 9, 3


def spectra(mean: float = 0.0, spread: float = 1.0) -> Tensor:
    """`(700, D)` float64, each direction of another variance, about a mean."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(D, D)))[0]
    x = rng.normal(size=(700, D)) * np.linspace(2, 0.2, D) @ turned
    return torch.from_numpy(mean * np.linspace(0.8, 1.2, D) + spread * x)


def fitted(x: Tensor, *, block: int, units: int = J) -> PCA:
    model = PCA(PCAArchitecture(x.shape[1], units), torch.Generator()).double()
    model.solve(torch.split(x, block))
    return model


def subspace(model: PCA) -> Tensor:
    """The projection onto the plane of the components, `(D, D)`."""
    weight: Tensor = model.get_parameter("encoder.0.weight").detach()
    return weight.T @ weight


def projection(x: Tensor) -> Tensor:
    components = torch.from_numpy(
        decomposition.PCA(J, svd_solver="full").fit(x.numpy()).components_
    )
    return components.T @ components


# The second: components are a thousandth of the mean, and float32 sums of squares lose them.
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (1000.0, 1.0)])
def test_the_subspace_is_scikit_learns(mean: float, spread: float) -> None:
    x = spectra(mean, spread)
    torch.testing.assert_close(subspace(fitted(x, block=100)), projection(x), atol=1e-6, rtol=0)


def test_float32_spectra_far_from_0_keep_their_components() -> None:
    x = spectra(1000.0).float()
    model = PCA(PCAArchitecture(D, J), torch.Generator())
    model.solve(torch.split(x, 64))
    torch.testing.assert_close(subspace(model).double(), projection(x.double()), atol=1e-5, rtol=0)


def test_spectra_in_blocks_are_spectra_in_memory() -> None:
    x = spectra(50.0)
    whole, parts = fitted(x, block=len(x)), fitted(x, block=37)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], tensor, atol=1e-9, rtol=1e-9)


def test_codes_are_uncorrelated_and_the_way_back_is_the_projection() -> None:
    x = spectra(3.0)
    model = fitted(x, block=100)
    with torch.no_grad():
        features = model.encode(x)[0]
        covariance = torch.cov(features.T, correction=0)
        again = model.decode(features)
    torch.testing.assert_close(covariance, torch.diag(covariance.diagonal()), atol=1e-10, rtol=0)
    mean = x.mean(0)
    torch.testing.assert_close(again, (x - mean) @ projection(x) + mean, atol=1e-8, rtol=0)
    # What is kept is what scikit-learn says is explained.
    ratio = decomposition.PCA(J, svd_solver="full").fit(x.numpy()).explained_variance_ratio_.sum()
    assert model.explained(x) == pytest.approx(ratio, abs=1e-9)


def test_a_feature_of_a_unit_has_the_root_of_its_spread() -> None:
    x = spectra()
    model = fitted(x, block=100)
    with torch.no_grad():
        sd = model.encode(x)[0].std(0, unbiased=False)
    components = (
        decomposition.PCA(J, svd_solver="full").fit(x.numpy()).singular_values_ / len(x) ** 0.5
    )
    expected = torch.from_numpy((components / components[0]) ** 0.5) * components[0]
    torch.testing.assert_close(sd / sd[0], expected / expected[0], atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: torch.cat([x, x[:, :2]], 1), D),  # duplicated bands
        (lambda x: torch.cat([x, torch.full((len(x), 2), 7.0)], 1), D),  # constant ones
        (lambda x: x[:5], 4),  # of five spectra four differences
    ],
)
def test_more_components_than_directions_are_refused(change: object, told: int) -> None:
    assert callable(change)
    x = change(spectra(1.0))
    with pytest.raises(ModelError, match=f"vary in {told} directions: ask for at most {told} "):
        fitted(x, block=100, units=told + 1)
    fitted(x, block=100, units=told)


def test_spectra_that_are_all_equal_are_refused() -> None:
    with pytest.raises(ModelError, match="vary in 0 directions: all spectra are equal"):
        fitted(torch.ones(20, D, dtype=torch.float64), block=8, units=1)
