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
    known = torch.cat([y, torch.full((5,), -1)])[:, None]  # some pixels of another label set alone
    everything = torch.cat([x, torch.zeros(5, 3)])
    made, plain = (LabelledPrototypes(LVQArchitecture(3, (2,), prototypes=2), g) for _ in range(2))
    with torch.no_grad():
        made.solve(everything, known, everything, generator())
        plain.codebook.fit(x, generator(), y)  # pixels as they come
    new = torch.randn(1000, 3, generator=g) + torch.tensor([2.2, 0, 0])
    found, missed = (float((m.log_q_y(new).argmax(1) == 1).float().mean()) for m in (made, plain))
    assert found > 0.7
    assert missed < 0.6
    torch.testing.assert_close(made.log_q_y(new).exp().sum(1), torch.ones(1000))


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
