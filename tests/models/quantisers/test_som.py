"""The map: its grid, the batch rule against sums and against the online rule, what is drawn."""

from __future__ import annotations

import math

import pytest
import torch

from hsi_ssl.models.quantisers.lattice import Lattice
from hsi_ssl.models.quantisers.principal import principal_plane
from hsi_ssl.models.quantisers.som import (
    SelfOrganisingMap,
    SomCard,
    batch_step,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sheet(n: int = 600) -> torch.Tensor:
    """Spectra of five bands on a bent sheet, with noise."""
    g = generator()
    u, v = torch.rand(2, n, generator=g) * torch.tensor([[4.0], [2.0]])
    x = torch.stack([u, v, 0.3 * u * v, torch.sin(u), 0.5 * v], dim=1)
    return x + 0.05 * torch.randn(x.shape, generator=g)


def online(
    weights: torch.Tensor,
    x: torch.Tensor,
    lattice: Lattice,
    kernel: str,
    rate: float,
    radius: float,
    rate_end: float,
    radius_end: float,
) -> torch.Tensor:
    """The online rule over spectra `(N, D)` in their order: exact, and slow.

    Rate and radius go to their ends by the same factor every step.
    """
    weights = weights.clone()
    for step, spectrum in enumerate(x):
        done = step / len(x)
        winner = (weights - spectrum).square().sum(1).argmin()
        h = lattice.kernel(kernel, radius * (radius_end / radius) ** done)[winner]
        eta = rate * (rate_end / rate) ** done
        weights += (eta * h).to(x.dtype)[:, None] * (spectrum - weights)
    return weights


def test_neighbours_on_a_hexagonal_grid() -> None:
    """Row 1 is half a unit to the right: above and below it units of the same and the next column.

    0 1 2
     3 4 5
    6 7 8
    """
    touching = Lattice(3, 3, "hexagonal").neighbours
    found = [torch.nonzero(row).flatten().tolist() for row in touching]
    assert found[4] == [1, 2, 3, 5, 7, 8]
    assert found[3] == [0, 1, 4, 6, 7]
    assert found[0] == [1, 3]
    assert found[7] == [3, 4, 6, 8]
    assert (touching == touching.T).all()


def test_neighbours_on_a_rectangular_grid() -> None:
    touching = Lattice(3, 3, "rectangular").neighbours
    assert [torch.nonzero(touching[i]).flatten().tolist() for i in (0, 4)] == [[1, 3], [1, 3, 5, 7]]


def test_units_of_a_hexagonal_grid_are_as_far_from_all_six_neighbours() -> None:
    lattice = Lattice(5, 4, "hexagonal")
    torch.testing.assert_close(
        lattice.squares[lattice.neighbours], torch.ones(int(lattice.neighbours.sum())).double()
    )


def test_kernels() -> None:
    lattice = Lattice(1, 4, "rectangular")
    torch.testing.assert_close(
        lattice.kernel("gaussian", 2.0)[0], torch.exp(-torch.tensor([0, 1, 4, 9]).double() / 8)
    )
    assert lattice.kernel("bubble", 1.0)[0].tolist() == [1, 1, 0, 0]
    assert lattice.kernel("epanechnikov", 2.0)[0].tolist() == [1, 0.75, 0, 0]


def test_u_matrix_by_hand() -> None:
    """Prototypes 0, 3, 4 and 10 on a grid of 2 x 2, each with two neighbours."""
    weights = torch.tensor([[0.0], [3.0], [4.0], [10.0]])
    found = Lattice(2, 2, "rectangular").u_matrix(weights)
    assert found.tolist() == [3.5, 5.0, 5.0, 6.5]
    # Hexagonal, units 1 and 2 touch too: row 1 is half a unit to the right.
    found = Lattice(2, 2, "hexagonal").u_matrix(weights)
    assert found.tolist() == pytest.approx([3.5, (3 + 1 + 7) / 3, (4 + 1 + 6) / 3, 6.5])
    assert math.isnan(Lattice(1, 1).u_matrix(weights[:1]))


@pytest.mark.parametrize("grid", ["hexagonal", "rectangular"])
def test_a_batch_step_is_the_weighted_mean_that_it_says(grid: str) -> None:
    x = sheet(200)
    lattice = Lattice(3, 4, grid)
    weights = x[:12].clone()
    kernel = lattice.kernel("gaussian", 1.3)
    won = (x.double()[:, None] - weights.double()).norm(dim=2).argmin(1)
    h = kernel[won]  # of each spectrum, for each unit
    expected = (h.T @ x.double()) / h.sum(0)[:, None]
    torch.testing.assert_close(
        batch_step(weights, x, kernel).double(), expected, rtol=1e-5, atol=1e-5
    )


def test_a_batch_step_does_not_depend_on_the_order() -> None:
    x = sheet()
    kernel = Lattice(3, 4).kernel("gaussian", 1.0)
    moved = batch_step(x[:12], x, kernel)
    torch.testing.assert_close(batch_step(x[:12], x.flip(0), kernel), moved)


def test_a_unit_in_whose_reach_nobody_wins_stays() -> None:
    weights = torch.tensor([[0.0, 0], [9.0, 9], [5.0, 5]])
    x = torch.zeros(4, 2)
    moved = batch_step(weights, x, Lattice(1, 3, "rectangular").kernel("bubble", 0.5))
    assert moved.tolist() == weights.tolist()


def test_the_batch_rule_is_where_the_online_rule_comes_to_rest() -> None:
    """At a radius that stays: steps of the online rule from the batch rule's end cancel out."""
    x = sheet()
    lattice, radius = Lattice(4, 3), 0.8
    weights = x[:12].clone()
    for _ in range(60):
        weights = batch_step(weights, x, lattice.kernel("gaussian", radius))
    order = torch.randperm(len(x), generator=generator(3))
    small = online(weights, x[order], lattice, "gaussian", 1e-3, radius, 1e-3, radius)
    elsewhere = online(x[12:24], x[order], lattice, "gaussian", 1e-3, radius, 1e-3, radius)
    here = (small - weights).norm()
    assert here < 0.02 * (elsewhere - x[12:24]).norm()


@pytest.mark.parametrize("grid", ["hexagonal", "rectangular"])
def test_it_is_as_good_a_map_as_the_online_rule_makes(grid: str) -> None:
    x = sheet()
    card = SomCard(5, 4, 6, grid, epochs=15)
    found = SelfOrganisingMap(card)
    found.fit(x, generator())
    order = torch.cat([torch.randperm(len(x), generator=generator(i)) for i in range(5)])
    exact = SelfOrganisingMap(card)
    exact.weights = online(
        found.start(x, generator()), x[order], found.lattice, "gaussian", 0.5, 3.0, 0.02, 0.5
    )
    (q, t), (exact_q, exact_t) = found.errors(x), exact.errors(x)
    assert q < 1.05 * exact_q
    assert t < exact_t + 0.05
    assert t < 0.15


def test_errors_by_hand() -> None:
    """A row of units 0, 10, 1: the two nearest to 0.4 are the ends, which do not touch."""
    found = SelfOrganisingMap(SomCard(1, 1, 3, "rectangular"))
    found.weights = torch.tensor([[0.0], [10.0], [1.0]])
    q, t = found.errors(torch.tensor([[0.4], [8.0]]))
    assert q == pytest.approx((0.4 + 2) / 2)
    assert t == 0.5  # 8.0: units 10 and 1, side by side


def test_the_start_lies_in_the_plane_of_most_variance() -> None:
    g = generator()
    x = torch.randn(500, 4, generator=g) * torch.tensor([0.1, 5.0, 0.1, 1.0]) + 3
    plane = principal_plane(x)
    assert plane is not None
    mean, axes = plane
    assert axes[0].abs().argmax() == 1
    assert axes[1].abs().argmax() == 3
    torch.testing.assert_close(axes.norm(dim=1), x.double().std(0)[[1, 3]], rtol=0.02, atol=0)
    for rows, cols, along in ((2, 5, "cols"), (5, 2, "rows")):
        start = SelfOrganisingMap(SomCard(4, rows, cols, "rectangular")).start(x, g)
        planes = start.reshape(rows, cols, 4)[..., 1]
        change = planes.diff(dim=1) if along == "cols" else planes.diff(dim=0)
        assert (change > 1).all()
        torch.testing.assert_close(start.mean(0).double(), mean, rtol=0, atol=1e-4)


def test_spectra_on_a_line_or_all_alike_start_at_themselves() -> None:
    line = torch.linspace(0, 1, 50)[:, None] * torch.tensor([[1.0, 2.0, 3.0]])
    assert principal_plane(line) is None
    found = SelfOrganisingMap(SomCard(3, 3, 3))
    found.fit(line, generator())
    assert torch.isfinite(found.weights).all()
    assert found.errors(line)[0] < 0.3
    alike = SelfOrganisingMap(SomCard(3, 2, 2))
    alike.fit(torch.ones(20, 3), generator())
    assert alike.errors(torch.ones(20, 3))[0] == 0


def test_radius_falls_to_its_end() -> None:
    som = SelfOrganisingMap(SomCard(2, 4, 10))
    assert som.radius(0) == 5
    assert som.radius(1) == pytest.approx(0.5)
    assert SelfOrganisingMap(SomCard(2, 1, 1)).radius(0) == 0.5
