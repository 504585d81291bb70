"""Which device trains and applies a model."""

from __future__ import annotations

import torch

from hsi_ssl.errors import DeviceError

SMALLEST_BATCH = 64
"""Pixels at a time, at least: fewer would cost more in calls than in numbers."""


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises
    ------
    DeviceError
        The name is none of auto, cpu, cuda, cuda:i, or that GPU is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"unknown device {name}: give auto, cpu, cuda or cuda:i")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise DeviceError(
            f"device {name} was asked for, but this machine has {count or 'no'} usable "
            f"GPU{'s' if count > 1 else ''}; use --device auto or cpu"
        )
    return device


def device_name(device: torch.device) -> str:
    """The device in words: cpu with its threads, or the GPU's name."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"
