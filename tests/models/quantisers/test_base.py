"""What quantisers share: steps in closed form, distances in float32, sums by winner, names."""

from __future__ import annotations

import pytest
import torch

from hsi_ssl.errors import SettingsError
from hsi_ssl.models.quantisers import QUANTISERS
from hsi_ssl.models.quantisers.base import (
    distances,
    nearest,
    sums_by_winner,
    to_chosen,
)
from hsi_ssl.models.quantisers.steps import after_steps


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_steps_in_closed_form_are_the_steps_one_after_another() -> None:
    g = generator()
    w, x = torch.randn(4, 3, generator=g), torch.randn(7, 3, generator=g)
    rates = 0.8 * torch.rand(7, 4, generator=g) - 0.3  # some away from the spectrum
    rates[2] = 0
    rates[4, 1] = 1  # the prototype jumps onto the spectrum
    one_by_one = w.clone()
    for spectrum, a in zip(x, rates, strict=True):
        one_by_one += a[:, None] * (spectrum - one_by_one)
    torch.testing.assert_close(after_steps(w, x, rates), one_by_one)


def test_a_common_level_costs_no_digits() -> None:
    """At a level of 10,000 products of float32 are off by 8, and prototypes lie 1 apart."""
    g = generator()
    w, x = 1e4 + torch.randn(20, 50, generator=g), 1e4 + torch.randn(500, 50, generator=g)
    exact = (x.double()[:, None] - w.double()).norm(dim=2)
    torch.testing.assert_close(distances(x, w).double(), exact, rtol=1e-4, atol=0)
    assert (nearest(x, w, 1)[:, 0] == exact.argmin(1)).all()
    two = nearest(x, w, 2)
    assert (two == exact.topk(2, largest=False).indices).all()
    torch.testing.assert_close(
        to_chosen(x, w, two).double(), exact.gather(1, two), rtol=1e-6, atol=0
    )
    plain = ((x * x).sum(1)[:, None] - 2 * x @ w.T + (w * w).sum(1)).clamp(min=0).sqrt()
    assert (plain.double() - exact).abs().max() > 0.01


def test_sums_by_winner() -> None:
    x = torch.arange(10.0).reshape(5, 2)
    sums, won = sums_by_winner(x, torch.tensor([3, 0, 3, 3, 0]), 5)
    assert won.tolist() == [2, 0, 0, 3, 0]
    assert sums.tolist() == [[10, 12], [0, 0], [0, 0], [10, 13], [0, 0]]


@pytest.mark.parametrize("name", ["kohonen", "som", "lvq"])
def test_one_is_rebuilt_from_its_card_and_its_tensors(name: str) -> None:
    size = {
        "kohonen": {"width": 3, "units": 4},
        "som": {"width": 3, "rows": 2, "cols": 2},
        "lvq": {"width": 3, "classes": 2, "prototypes": 2},
    }[name]
    made = QUANTISERS.find(name).from_card(size)
    x = torch.randn(40, 3, generator=generator())
    made.fit(x, generator(), (x[:, 0] > 0).long())
    again = QUANTISERS.find(name).from_card(made.to_card())
    again.load_state_dict(made.state_dict())
    assert (again.assign(x) == made.assign(x)).all()
    assert made.hits.sum() == 40
    torch.testing.assert_close(made.distances(x).argmin(1), made.assign(x))


def test_a_quantiser_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingsError, match="kohonen, som, lvq"):
        QUANTISERS.find("neural-gas")
