"""Devices that are not there are refused in one sentence."""

from __future__ import annotations

import pytest
import torch
from second_device import other

from hsi_ssl.errors import DeviceError
from hsi_ssl.inference.device import choose_device, device_name
from hsi_ssl.inference.precision import chosen_precision


def test_auto_and_cpu_are_there() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in {"cpu", "cuda"}


@pytest.mark.parametrize("name", ["tpu", "gpu", "", "meta", "vulkan"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(DeviceError) as refused:
        choose_device(name)
    assert str(refused.value) == (
        f"unknown device {name}: give auto, cpu, cuda, cuda:i or another that torch knows, such as "
        "mps or xpu"
    )


@pytest.mark.parametrize("name", ["mtia", "xpu:1", "hpu", "xla", "other"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with other():
        pass
    with pytest.raises(DeviceError) as refused:
        choose_device(name)
    assert str(refused.value) == (
        f"device {name} was asked for, but this machine has no usable {name.partition(':')[0]} "
        "device; use --device auto or cpu"
    )


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"usable GPUs?; use --device auto or cpu$"):
        choose_device(f"cuda:{torch.cuda.device_count()}")


def test_a_number_too_high_is_refused() -> None:
    with other(), pytest.raises(DeviceError) as refused:
        choose_device("other:2")
    assert str(refused.value) == (
        "device other:2 was asked for, but this machine has 1 usable other device; use --device "
        "auto or cpu"
    )


def test_what_torch_has_here_is_taken_by_name_but_not_unasked() -> None:
    with other():
        assert choose_device("other") == torch.device("other")
        assert choose_device("auto").type in {"cpu", "cuda"}
        assert device_name(torch.device("other", 0)) == "other:0"
        assert chosen_precision("auto", torch.device("other")) == "float32"
