"""Devices that are not there are refused in one sentence."""

from __future__ import annotations

import pytest
import torch

from hsi_ssl.errors import DeviceError
from hsi_ssl.inference.device import choose_device


def test_auto_and_cpu_are_there() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in {"cpu", "cuda"}


@pytest.mark.parametrize("name", ["tpu", "gpu", "mps:0", "", "meta"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="give auto, cpu, cuda or cuda:i"):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="use --device auto or cpu"):
        choose_device(f"cuda:{torch.cuda.device_count()}")
