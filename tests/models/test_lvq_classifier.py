"""LVQ as a classifier: its options, rare classes, prototypes that win nothing."""

from __future__ import annotations

import pytest
import torch

from hsi_ssl.models.classifiers.lvq import LabelledPrototypes, LVQArchitecture


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_rare_class_counts_as_much() -> None:
    """400 pixels of one class and 12 of another beside them, on a line that divides them badly."""
    g = generator()
    common = torch.randn(400, 3, generator=g)
    rare = torch.randn(12, 3, generator=g) + torch.tensor([2.2, 0, 0])
    x, y = torch.cat([common, rare]), torch.cat([torch.zeros(400), torch.ones(12)]).long()
    made = LabelledPrototypes(LVQArchitecture(3, (2,), prototypes=2), g)
    known = torch.cat([y, torch.full((5,), -1)])[:, None]  # some pixels of another label set alone
    everything = torch.cat([x, torch.zeros(5, 3)])
    with torch.no_grad():
        made.solve(everything, known, everything, generator())
    new = torch.randn(500, 3, generator=g) + torch.tensor([2.2, 0, 0])
    log_q = made.log_q_y(new)
    assert float((log_q.argmax(1) == 1).float().mean()) > 0.8
    torch.testing.assert_close(log_q.exp().sum(1), torch.ones(500))


def test_what_wins_nothing_is_said() -> None:
    made = LabelledPrototypes(LVQArchitecture(1, (2,), prototypes=2), generator())
    made.codebook.weights = torch.tensor([[0.0], [1.0], [2.0], [50.0]])
    found = made.findings(torch.tensor([[0.1], [0.9], [2.2]]), generator())
    assert found.metrics == {"prototypes": 4, "dead_prototypes": 1}
    assert found.said[-1] == "1 of 4 prototypes win no training pixel"


@pytest.mark.parametrize(
    ("name", "value"), [("rule", "lvq9"), ("prototypes", 0), ("window", 1.0), ("passes", 0)]
)
def test_options_that_cannot_be(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"no {name} {value!r} .expected"):
        LVQArchitecture(3, (2,), **{name: value})  # type: ignore[arg-type]
