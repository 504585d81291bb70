"""Adam over rows of parameters does what torch's does, one by one."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError
from hsi_ssl.training.adam import Adam
from hsi_ssl.training.task import StepCost, Turn

RATE, DECAY, CLIP = 3e-3, 0.01, 0.5


class Networks(nn.Module):
    """Two networks and a weight of neither."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
        self.two = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(2))
        self.still = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x: Tensor, *, short: bool = False) -> Tensor:
        h = self.one(x)
        found: Tensor = (
            h.square().sum() * 40 if short else (self.two(h) * self.scale).square().sum()
        )
        return found


def no_cost(batch: object, kl_weight: float, generator: torch.Generator) -> StepCost:
    raise AssertionError


def ours(module: nn.Module) -> Adam:
    return Adam(module, Turn(list(module.parameters()), no_cost), decay=DECAY, clip=CLIP)


def torchs(module: nn.Module) -> torch.optim.Adam:
    wide = [p for p in module.parameters() if p.ndim > 1]
    flat = [p for p in module.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": wide, "weight_decay": DECAY}, {"params": flat}]
    return torch.optim.Adam(groups, lr=RATE)


def step_of_ours(module: Networks, optimiser: Adam, x: Tensor, *, short: bool) -> None:
    module(x, short=short).backward()
    optimiser.step(RATE)
    assert all(p.grad is None for p in module.parameters())


def step_of_torch(module: Networks, optimiser: torch.optim.Adam, x: Tensor, *, short: bool) -> None:
    optimiser.zero_grad()
    module(x, short=short).backward()
    for network in module.children():
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    optimiser.step()


def same(one: nn.Module, two: nn.Module) -> None:
    torch.testing.assert_close(dict(one.named_parameters()), dict(two.named_parameters()))


def test_as_torch_does_also_where_some_parameters_have_no_gradient_at_times() -> None:
    mine = Networks()
    theirs = copy.deepcopy(mine)
    a, b = ours(mine), torchs(theirs)
    before = {name: p.clone() for name, p in mine.named_parameters()}
    for step in range(12):
        x = torch.randn(9, 5)
        short = step in {0, 1, 5, 6, 10}
        step_of_ours(mine, a, x, short=short)
        step_of_torch(theirs, b, x, short=short)
        same(mine, theirs)
    moved = {name for name, p in mine.named_parameters() if not torch.equal(p, before[name])}
    assert moved == set(before) - {"still"}


def test_each_network_is_clipped_by_itself_and_what_is_of_none_is_not() -> None:
    module = Networks()
    optimiser = ours(module)
    for p in (*module.one.parameters(), module.two.weight, module.two.bias, module.scale):
        p.grad = torch.ones_like(p)
    for p in module.two.parameters():
        p.grad = torch.full_like(p, 0.001)
    optimiser.step(RATE)
    first = {
        p: row.first[place]
        for row in optimiser.rows
        for p, place in zip(row.parameters, row.places, strict=True)
    }
    pulled = CLIP / math.sqrt(sum(p.numel() for p in module.one.parameters()))
    biases = torch.cat([first[p] for p in module.one.parameters() if p.ndim == 1])
    torch.testing.assert_close(biases, torch.full_like(biases, 0.1 * pulled))
    torch.testing.assert_close(first[module.two.bias], torch.full((2,), 0.1 / 1000))
    torch.testing.assert_close(first[module.scale], torch.full((2,), 0.1))


def test_it_goes_on_from_what_it_kept() -> None:
    whole = Networks()
    broken = copy.deepcopy(whole)
    xs = torch.randn(8, 9, 5)
    a, b = ours(whole), ours(broken)
    for step, x in enumerate(xs):
        step_of_ours(whole, a, x, short=step in {0, 5})
        if step == 3:
            kept = {name: t.clone() for name, t in b.state().items()}
            other = Networks()
            other.load_state_dict(broken.state_dict())
            b, broken = ours(other), other
            b.restore(kept)
        step_of_ours(broken, b, x, short=step in {0, 5})
    same(whole, broken)
    assert all(
        torch.equal(s, t) for s, t in zip(a.state().values(), b.state().values(), strict=True)
    )


def test_of_two_turns_each_moves_its_own() -> None:
    module = Networks()
    turns = [Turn(list(m.parameters()), no_cost) for m in (module.one, module.two)]
    one, _two = (Adam(module, turn, decay=DECAY, clip=CLIP) for turn in turns)
    before = module.two.weight.clone(), module.scale.clone()
    module(torch.randn(9, 5)).backward()
    one.step(RATE)
    assert torch.equal(module.two.weight, before[0])
    assert torch.equal(module.scale, before[1])


def test_a_state_of_another_optimiser_is_refused() -> None:
    module = Networks()
    with pytest.raises(ModelError, match="another version"):
        ours(module).restore({"0.first": torch.zeros(3)})


def test_parameters_stay_where_they_are() -> None:
    """Whoever writes into them reaches the rows."""
    module = Networks()
    optimiser = ours(module)
    fresh = Networks()
    with torch.no_grad():
        for p in fresh.parameters():
            p.add_(1)
    module.load_state_dict(fresh.state_dict())
    same(module, fresh)
    for row in optimiser.rows:
        for parameter, (start, stop) in zip(
            row.parameters,
            pairwise([p.start for p in row.places] + [len(row.weights)]),
            strict=True,
        ):
            torch.testing.assert_close(row.weights[start:stop], parameter.detach().flatten())
