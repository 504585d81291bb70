"""Precision of training: what is reduced, what is not, and what it does to the bound."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from small_models import preset

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.inference.precision import chosen_precision, quick_products, reduced
from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.settings import M1Settings
from hsi_ssl.training.m1_stage import train_m1

CPU = torch.device("cpu")
Likelihood = Literal["gaussian", "bernoulli", "continuous-bernoulli"]


def test_asked_for_precision_is_taken_and_auto_is_one_of_both() -> None:
    assert chosen_precision("float32", CPU) == "float32"
    assert chosen_precision("bfloat16", CPU) == "bfloat16"
    assert chosen_precision("auto", CPU) in {"float32", "bfloat16"}


def test_quick_products_are_still_float32_and_leave_no_trace() -> None:
    a = torch.randn(700, 500, generator=torch.Generator().manual_seed(1))
    b = torch.randn(500, 300, generator=torch.Generator().manual_seed(2))
    exact = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    with quick_products(CPU):
        found = a @ b
    assert torch.get_float32_matmul_precision() == before
    assert float((found - exact).norm() / exact.norm()) < 1e-6
    with pytest.raises(RuntimeError, match="on purpose"), quick_products(CPU):
        raise RuntimeError("on purpose")
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "continuous-bernoulli"])
@pytest.mark.parametrize("hidden", [(), (40,), (40, 30)])
def test_costs_leave_a_reduced_step_in_float32(
    likelihood: Likelihood, hidden: tuple[int, ...]
) -> None:
    x = torch.rand(16, 20, generator=torch.Generator().manual_seed(0))
    y = torch.arange(16) % 3
    made = torch.Generator().manual_seed(0)
    m1 = M1(M1Architecture(20, 4, hidden, "relu", likelihood, 0.1), made)
    prior = torch.full((3,), 1 / 3)
    m2 = preset(
        "m2", prior, width=20, latent=4, hidden=hidden, activation="silu", likelihood=likelihood
    )

    def costs() -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        return [
            m1.cost(x, generator),
            m2.cost(x, y[:, None], generator),
            m2.cost(x, torch.full((16, 1), -1), generator),
            m2.log_q(x),
        ]

    plain = costs()
    with reduced("bfloat16", CPU):
        rounded = costs()
    for a, b in zip(plain, rounded, strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0.03, atol=0.05)
    if hidden:
        assert any(not torch.equal(a, b) for a, b in zip(plain, rounded, strict=True))


def test_a_density_is_not_rounded_by_a_reduced_step() -> None:
    m1 = M1(M1Architecture(20, 4, (8,), "relu", "gaussian", 0.01), torch.Generator().manual_seed(0))
    x, out = torch.randn(5, 20), torch.randn(5, 20)
    with reduced("bfloat16", CPU):
        found = m1.likelihood.log_density(x, out)
    assert torch.equal(found, m1.likelihood.log_density(x, out))


@pytest.mark.slow
def test_bfloat16_reaches_the_bound_of_float32(tiny_dataset: Dataset, tmp_path: Path) -> None:
    bounds = {}
    for precision in ("float32", "bfloat16"):
        settings = M1Settings(
            dataset=tiny_dataset.path, output=tmp_path / precision, latent=4, hidden=(32,),
            batch=64, epochs=30, precision=precision,
        )  # fmt: skip
        card = train_m1(settings)
        assert card["training"]["precision"] == precision
        bounds[precision] = card["metrics"]["bound_validation"]
    assert bounds["bfloat16"] == pytest.approx(bounds["float32"], abs=0.5)
