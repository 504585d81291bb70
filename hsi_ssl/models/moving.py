"""Tensors on their way to a device and back: there without waiting, back in one copy.

A device works through what it is asked while Python goes on; who wants a number of it waits until
all before that is done. So steps of a training ask for none, and what is wanted of it afterwards is
asked for together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

CPU = torch.device("cpu")
PINNED = ("cuda", "xpu")
"""Devices that copy from pinned memory by themselves."""
PIECE = 2**26
"""Bytes that are pinned at a time: torch keeps them for the next copy."""


def exact_device(device: torch.device) -> torch.device:
    """Where float64 is computed for what lies on a device: there, or, if it has none, on the CPU.

    Apple's GPUs have none.
    """
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return CPU
    return device


def exact(t: Tensor) -> Tensor:
    """A tensor in float64, on its device or, if that has none, on the CPU."""
    return t.to(exact_device(t.device), torch.float64)


def exact_mean(x: Tensor) -> Tensor:
    """Mean `(D,)` of rows `(N, D)` in float64, without a copy of all in it."""
    return x.to(exact_device(x.device)).mean(0, dtype=torch.float64)


def sent(t: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; from the CPU to a GPU without waiting for it."""
    if t.device.type != "cpu" or device.type not in PINNED:
        return t.to(device)
    if t.nbytes <= PIECE:
        return t.pin_memory().to(device, non_blocking=True)
    found = torch.empty_like(t, device=device)
    rows = max(1, PIECE * len(t) // t.nbytes)
    for some, place in zip(t.split(rows), found.split(rows), strict=True):
        place.copy_(some.pin_memory(), non_blocking=True)
    return found


def fetched(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU, in one piece each; those of a device come by one copy."""
    away = {name: t.detach().contiguous() for name, t in tensors.items() if t.device.type != "cpu"}
    found = {name: t.detach().contiguous() for name, t in tensors.items() if name not in away}
    if away:
        # The widest numbers first, so that all of them lie where their type may lie.
        names = sorted(away, key=lambda name: -away[name].element_size())
        as_bytes = [away[name].reshape(-1).view(torch.uint8) for name in names]
        flat = torch.cat(as_bytes).cpu()
        for name, some in zip(names, flat.split([len(b) for b in as_bytes]), strict=True):
            t = away[name]
            found[name] = some.clone().view(t.dtype).view(t.shape)
    return {name: found[name] for name in tensors}


def numbers(scalars: Sequence[Tensor]) -> list[float]:
    """Scalars as numbers, asked for together."""
    found = fetched({str(i): t for i, t in enumerate(scalars)})
    return [float(t) for t in found.values()]
