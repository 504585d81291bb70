"""Which device trains and applies a model."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch

from hsi_ssl.errors import DeviceError

SMALLEST_BATCH = 64
"""Pixels at a time, at least: fewer would cost more in calls than in numbers."""
ON_CPU, ON_GPU = 2048, 65_536
"""Pixels at a time: on a CPU their activations should stay in the cache."""
NEVER = ("meta", "mkldnn", "opengl", "opencl", "ideep", "fpga", "vulkan", "lazy", "vmap", "hip")
"""What torch knows as a device and nothing can be trained on."""


def choose_device(name: str) -> torch.device:
    """The device of that name, any that torch has here; `auto` takes a CUDA GPU or the CPU.

    Others count by their name alone: what has not been tried is not chosen for anybody.

    Raises
    ------
    DeviceError
        torch knows no device of that name, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type in NEVER:
        raise DeviceError(
            f"unknown device {name}: give auto, cpu, cuda, cuda:i or another that torch knows, "
            "such as mps or xpu"
        )
    count = _count(device)
    if (device.index or 0) >= count:
        kind = "GPU" if device.type == "cuda" else f"{device.type} device"
        raise DeviceError(
            f"device {name} was asked for, but this machine has {count or 'no'} usable "
            f"{kind}{'s' if count > 1 else ''}; use --device auto or cpu"
        )
    return device


def module_of(device: torch.device) -> ModuleType | Any | None:
    """What torch has for a kind of device, such as `torch.cuda`; None for the CPU or nothing."""
    return None if device.type == "cpu" else getattr(torch, device.type, None)


def _count(device: torch.device) -> int:
    """Devices of that kind that torch can use here."""
    if device.type == "cpu":
        return 1
    module = module_of(device)
    if module is None or not getattr(module, "is_available", bool)():
        return 0
    count: int = getattr(module, "device_count", lambda: 1)()
    return count


def pixels_at_once(device: torch.device) -> int:
    """Pixels that are given to networks together."""
    return ON_CPU if device.type == "cpu" else ON_GPU


def device_name(device: torch.device) -> str:
    """The device in words: cpu with its threads, or the GPU's name where it has one."""
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    name = getattr(module_of(device), "get_device_name", None)
    return str(device) if name is None else f"{device} ({name(device)})"
