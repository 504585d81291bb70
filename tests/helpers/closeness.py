"""Plain tensors that are close, for tests that answer at once.

The first `torch.testing.assert_close` imports torch's distributed tensors and sympy, which takes as
long as all the rest of a small test.
"""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCES = {torch.float32: (1.3e-6, 1e-5), torch.float64: (1e-7, 1e-7)}
"""Relative and absolute, as torch has them."""


def assert_close(
    found: Tensor, expected: Tensor, *, rtol: float | None = None, atol: float | None = None
) -> None:
    """Fail where type, shape or values differ by more than `torch.testing.assert_close` allows."""
    assert found.dtype == expected.dtype, f"{found.dtype}, expected {expected.dtype}"
    assert found.shape == expected.shape, f"{found.shape}, expected {expected.shape}"
    relative, absolute = TOLERANCES[expected.dtype]
    allowed = (absolute if atol is None else atol) + (
        relative if rtol is None else rtol
    ) * expected.abs()
    apart = (found - expected).abs()
    right = (apart <= allowed) | (found == expected)
    assert right.all(), f"{found} is not {expected}: up to {float(apart.max()):.3g} apart"
