"""A second torch device without hardware: what a GPU refuses is refused, what it waits for counted.

`other()` makes `torch.device("other")` usable for a while. Its tensors lie in the memory of the
CPU, which computes with them, so that numbers can be compared to the last digit; nothing is faster.
Refused are operations on tensors of two devices, a generator of the other side, and, where asked,
float64 (as Apple's GPUs do). `Seen` counts by line of `hsi_ssl` what asked for a number of the
device (`waits`), and what copied to it (`uploads`).

It stands on torch's experimental Python backend, tried with torch 2.13: an operator without a
kernel for the device comes to `_operator`, which views the arguments as tensors of the CPU. DLPack,
whose capsule is told another device, makes tensors of the device over given memory. Autocast is let
through and changes no type.
"""

from __future__ import annotations

import ctypes
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)
from torch.utils.dlpack import from_dlpack

NAME = "other"
OURS = "/hsi_ssl/"
DL_PRIVATE = 12
"""DLPack's number of a device that torch maps to the one registered here."""
OF_VIEWS = frozenset(
    {
        "_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "unfold", "view",
        "view_as_real",
    }
)  # fmt: skip
"""Look at the same memory: they need shapes alone."""
ASKING = frozenset(
    {
        "_local_scalar_dense", "_unique2", "equal", "is_nonzero", "masked_select", "nonzero",
        "unique_consecutive", "unique_dim",
    }
)  # fmt: skip
"""Give a number, or a shape that depends on numbers: who calls them waits for the device."""
CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)


@dataclass
class Seen:
    """What was asked of the device while it was there, by line."""

    float64: bool = True
    """Whether it computes in it."""
    waits: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)


_seen: Seen | None = None


@contextmanager
def other(*, float64: bool = True) -> Iterator[Seen]:
    """Have the device in the body; outside it torch says that it is not there."""
    global _seen  # noqa: PLW0603
    _register()
    before = torch.Generator
    torch.Generator = Generator  # type: ignore[misc]
    _seen = Seen(float64)
    try:
        # Torch's threads for gradients are as many as devices were known at the first gradient.
        with torch.autograd.set_multithreading_enabled(False):
            yield _seen
    finally:
        _seen, torch.Generator = None, before  # type: ignore[misc]


def counted(seen: Seen, whole: Callable[..., Any], counts: list[int]) -> Callable[..., Any]:
    """A function that adds to `counts`, at each call, how often the call had to wait."""

    def call(*args: Any, **kwargs: Any) -> Any:
        before = seen.waits.total()
        found = whole(*args, **kwargs)
        counts.append(seen.waits.total() - before)
        return found

    return call


class Generator(torch._C.Generator):
    """A generator of the CPU, remembered where it was asked for the device."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        made: Generator = super().__new__(cls, device="cpu")  # type: ignore[call-arg]
        if torch.device(device).type == NAME:
            _of_device[_beneath(made)] = made
        return made

    def __init__(self, device: Any = "cpu") -> None:
        del device

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device(NAME, 0) if _beneath(self) in _of_device else torch.device("cpu")


def _beneath(generator: Any) -> int:
    """What a generator is beneath Python, where operators get it from."""
    found: int = generator._cdata
    return found


_of_device: dict[int, Generator] = {}
"""Generators that were asked for the device, which they outlive."""


class _Module(_DummyBackendModule):
    """What torch calls `torch.other`."""

    def is_available(self) -> bool:
        return _seen is not None

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


def _values(t: Tensor) -> Tensor:
    """The memory of a tensor of the device as a tensor of the CPU, of the same strides."""
    storage = t.untyped_storage()
    if not storage.nbytes():
        return torch.empty(0, dtype=t.dtype).as_strided(t.shape, t.stride())
    memory = (ctypes.c_char * storage.nbytes()).from_address(storage.data_ptr())
    flat = torch.frombuffer(memory, dtype=torch.uint8).untyped_storage()
    return torch.empty(0, dtype=t.dtype).set_(flat, t.storage_offset(), t.shape, t.stride())


def _placed(values: Tensor) -> Tensor:
    """A tensor of the device over the memory of one of the CPU, which it keeps alive."""
    capsule = values.__dlpack__()
    at = ctypes.pythonapi.PyCapsule_GetPointer
    at.restype, at.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    # A DLManagedTensor begins with the address of its data, then the device's kind.
    place = at(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)
    ctypes.c_int32.from_address(place).value = DL_PRIVATE
    found: Tensor = from_dlpack(capsule)
    return found


def _resized(t: Tensor, values: Tensor) -> Tensor:
    """A tensor of the device that an operator has made another size, at what it gave."""
    made = _placed(values.clone())  # the memory of what was resized goes with it
    storage, offset = made.untyped_storage(), made.storage_offset()
    at = torch.ops.aten.set_.source_Storage_storage_offset
    found: Tensor = at.redispatch(CPU, t, storage, offset, made.shape, made.stride())
    return found


def _asker() -> str:
    """The line of ours that led here."""
    frame = sys._getframe(1)
    while frame is not None:
        _, found, path = frame.f_code.co_filename.rpartition(OURS)
        if found:
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "elsewhere"


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float)


def _here(x: Any) -> bool:
    return isinstance(x, Tensor) and x.device.type == NAME


def _copy(source: Tensor, target: Tensor) -> Tensor:
    assert _seen is not None
    if _here(source) != _here(target):
        (_seen.waits if _here(source) else _seen.uploads)[_asker()] += 1
    of = (_values(t) if _here(t) else t for t in (target, source))
    next(of).copy_(next(of))
    return target


class _Call:
    """One operator's arguments on their way to the CPU, and what it gives on the way back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.strangers = False

    def to_cpu(self, x: Any) -> Any:
        if isinstance(x, torch.device):
            return torch.device("cpu")
        if isinstance(x, torch._C.Generator):
            if _beneath(x) not in _of_device:
                raise RuntimeError(f"{self.name}: a generator of another device")
            return x
        if not isinstance(x, Tensor):
            return x
        if not _here(x):
            self.strangers |= x.dim() > 0  # numbers may lie on the CPU
            return x
        self.pairs.append((_values(x), x))
        return self.pairs[-1][0]

    def back(self, x: Any) -> Any:
        if not isinstance(x, Tensor) or _here(x):
            return x
        for values, t in self.pairs:
            if values is x:
                return t if values.shape == t.shape else _resized(t, values)
        assert _seen is not None
        if x.dtype == torch.float64 and not _seen.float64:
            raise TypeError(f"{self.name}: the device has no float64")
        return _placed(x)


def _operator(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Do what torch asks of the device, on the CPU."""
    if _seen is None:
        raise RuntimeError("the second device is not there")
    name = op.name().partition("::")[2].partition(".")[0]
    if name in OF_VIEWS:
        return op.redispatch(CPU, *args, **kwargs)
    if name in ("_copy_from", "_copy_from_and_resize"):
        return _copy(*args[:2])
    if name in ASKING:
        _seen.waits[_asker()] += 1
    call = _Call(name)
    args = _each(call.to_cpu, args)
    kwargs = {key: _each(call.to_cpu, x) for key, x in kwargs.items()}
    if call.strangers and call.pairs:
        raise RuntimeError(f"{name}: tensors of two devices")
    # Numbers that torch has taken for tensors come here as numbers.
    given = zip(args, _of_tensors(op)[: len(args)], strict=True)
    args = tuple(torch.tensor(a) if t and _is_number(a) else a for a, t in given)
    return _each(call.back, op(*args, **kwargs))


def _each(does: Callable[[Any], Any], x: Any) -> Any:
    """Do it to a value, or to each of a list: a third of the time that a tree of anything takes."""
    if isinstance(x, list | tuple):
        return type(x)([_each(does, one) for one in x])
    return does(x)


@cache
def _of_tensors(op: Any) -> list[bool]:
    """Which arguments of an operator are tensors."""
    return [str(argument.type) == "Tensor" for argument in op._schema.arguments]


_library: list[Any] = []


def _register() -> None:
    """Tell torch, once a process."""
    if not _library:
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
        _library.append(torch.library.Library("_", "IMPL"))
        _library[0].fallback(_operator, "PrivateUse1")
        _library[0].fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
