"""How a training step computes: float32 or bfloat16, and by which library."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from hsi_ssl.settings import Precision

FLOAT32_ERROR = 1e-5
"""Relative error that a float32 matrix product stays below; one of bfloat16 factors has 1e-3."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""


def chosen_precision(asked: Precision, device: torch.device) -> Precision:
    """`float32` or `bfloat16`: as asked, or for `auto` bfloat16 where the device multiplies it.

    A processor or GPU without such units emulates them, many times slower than float32; of devices
    other than these two it is not known.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # PyTorch 2.11
        units = any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
        native = device.type == "cpu" and units
    return "bfloat16" if native else "float32"


def reduced(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """What a cost is computed in: hidden layers in bfloat16 where `precision` says so.

    The models themselves keep to float32 where it matters: densities, KL, softmax and sums.
    """
    enabled = precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


@contextmanager
def quick_products(device: torch.device) -> Iterator[None]:
    """Float32 matrix products of the processor through oneDNN, where they stay float32.

    PyTorch leaves them to MKL, which is half as fast on AMD's processors, unless products of lower
    precision are allowed. Without instructions for those oneDNN computes in float32 all the same.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cpu" and _onednn_is_float32():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what is freed, for the rest of the process (glibc only).

    It would hand buffers of a megabyte back at once, and each step spend a tenth of its time on
    having the same pages mapped and zeroed again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**25)  # the largest it takes
        mallopt(M_TRIM_THRESHOLD, 2**30)


@cache
def _onednn_is_float32() -> bool:
    a = torch.rand(256, 256, generator=torch.Generator().manual_seed(0)) - 0.5
    exact = a.double() @ a.double()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        error = (a @ a - exact).norm() / exact.norm()
    finally:
        torch.set_float32_matmul_precision(before)
    return float(error) < FLOAT32_ERROR
