"""HDF5 files changed by structure: attributes, datasets, groups, links."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ODD_VALUES: tuple[Any, ...] = (
    0,
    -1,
    1,
    10**9,
    1e99,
    np.nan,
    np.inf,
    True,
    "",
    "x",
    "²",
    "9" * 5000,
    "../../x",
    b"\xff\xfe",
    "true",
    b"",
    np.zeros(0),
    np.zeros((2, 3)),
    np.arange(100),
    np.array([b"a", b"b"]),
    np.array(["a"], object),
    np.array([np.nan, 1]),
    h5py.Empty("f8"),
    h5py.Empty("S1"),
    np.complex64(1j),
    np.float16(1),
    np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    "a" * 60_000,
    np.uint64(2**64 - 1),
)
"""What may stand where something else should."""


def of_hdf5(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """An HDF5 file with one thing changed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h5"
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            what = _changed(rng, file)
        return what, path.read_bytes()


def _changed(rng: random.Random, file: h5py.File) -> str:
    names: list[str] = []
    file.visit(names.append)
    things = [file, *(file[name] for name in names)]
    if rng.random() < 0.45:
        carrying = [thing for thing in things if len(thing.attrs)]
        if carrying:
            return _attribute(rng, rng.choice(carrying))
    arrays = [file[name] for name in names if isinstance(file[name], h5py.Dataset)]
    if arrays and rng.random() < 0.85:
        return _array(rng, file, rng.choice(arrays))
    return _group(rng, file, names)


def _attribute(rng: random.Random, thing: Any) -> str:
    name = rng.choice(sorted(thing.attrs))
    what = f"attribute {name} of {thing.name}"
    kind = rng.choice(["gone", "odd", "odd", "odd", "reference", "values"])
    if kind == "gone":
        del thing.attrs[name]
    elif kind == "reference":
        thing.attrs[name] = thing.ref
    elif kind == "values":
        try:
            value = np.asarray(thing.attrs[name])
            thing.attrs[name] = -value if value.dtype.kind in "if" else [str(value)[:50]] * 2
        except (OSError, TypeError, ValueError):
            del thing.attrs[name]
    else:
        value = rng.choice(ODD_VALUES)
        what += f" = {str(value)[:20]!r}"
        thing.attrs[name] = value
    return f"{what}: {kind}"


def _array(rng: random.Random, file: h5py.File, array: h5py.Dataset) -> str:
    name, shape, dtype = array.name, array.shape or (), array.dtype
    attributes = {}
    for key in array.attrs:
        try:
            attributes[key] = array.attrs[key]
        except (OSError, TypeError):
            continue
    kind = rng.choice(
        ["gone", "type", "shape", "shape", "promise", "values", "values", "odd", "group", "packed"]
    )
    if kind == "values":
        return f"{name}: {_values(rng, array)}"
    old = array[()] if array.shape is not None else None
    del file[name]
    if kind == "gone":
        return f"{name} gone"
    if kind == "group":
        file.create_group(name)
    elif kind == "odd":
        file[name] = rng.choice(ODD_VALUES)
    elif kind == "promise":
        axes = max(1, len(shape))
        each = rng.choice([10**9, 10**5, 2**31])
        each = min(each, int((2.0**62) ** (1 / axes)))
        file.create_dataset(name, (each,) * axes, rng.choice(["u1", "f8"]), chunks=(64,) * axes)
    elif kind == "packed" and shape and old is not None and dtype.kind in "iuf":
        file.create_dataset(name, data=old, chunks=shape, compression="gzip", shuffle=True)
    elif kind == "shape":
        _reshaped(rng, file, name, old, dtype)
    else:
        other = rng.choice(["S8", "i1", "u8", "f2", "c8", "?", "O"])
        try:
            values = np.asarray(old).astype(other)
            file.create_dataset(
                name, data=values, dtype=h5py.string_dtype() if other == "O" else None
            )
        except (TypeError, ValueError, OverflowError):
            file.pop(name, None)
            file[name] = np.array([b"no"])
    new = file.get(name)
    if new is not None:
        for key, value in attributes.items():
            try:
                new.attrs[key] = value
            except (TypeError, OSError, ValueError, RuntimeError):
                continue
    return f"{name}: {kind}"


def _values(rng: random.Random, array: h5py.Dataset) -> str:
    """Some numbers of an array are none, or far away."""
    if array.dtype.kind not in "iuf" or not array.size:
        return "left as it is"
    found = np.array(array[()])
    flat = found.reshape(-1)
    some = slice(None) if rng.random() < 0.4 else slice(0, max(1, flat.size // 7))
    if array.dtype.kind == "f":
        flat[some] = rng.choice([np.nan, np.inf, -1.0, 0.0, 1e30, -9999.0])
    else:
        kind = np.iinfo(array.dtype)
        flat[some] = rng.choice([0, 1, kind.min, kind.max])
    array[...] = found
    return f"values {flat[0]}"


def _reshaped(rng: random.Random, file: h5py.File, name: str, old: Any, dtype: Any) -> None:
    values = np.asarray(old)
    kind = rng.choice(["scalar", "null", "none", "turned", "axis", "flat", "short", "wide"])
    if kind == "null" or values.size == 0:
        file.create_dataset(name, data=h5py.Empty("f8"))
        return
    if kind == "scalar":
        values = values.reshape(-1)[0]
    elif kind == "none":
        values = values.reshape(-1)[:0]
    elif kind == "turned":
        values = values.T
    elif kind == "axis":
        values = values[None]
    elif kind == "flat":
        values = values.reshape(-1)
    elif kind == "short":
        values = values[:-1] if values.ndim else values
    else:
        values = np.stack([values] * 2, -1)
    file.create_dataset(name, data=values, dtype=dtype if dtype.kind == "O" else None)


def _group(rng: random.Random, file: h5py.File, names: list[str]) -> str:
    kind = rng.choice(["gone", "circle", "soft", "external", "name", "array", "moved"])
    name = rng.choice(names) if names else "x"
    if kind == "gone":
        file.pop(name, None)
    elif kind == "circle":
        parent = file[name].parent if name in file else file
        parent["again"] = parent
    elif kind == "soft":
        file.pop(name, None)
        file[name] = h5py.SoftLink(rng.choice([f"/{name}", "/nowhere"]))
    elif kind == "external":
        file.pop(name, None)
        file[name] = h5py.ExternalLink(rng.choice(["x.h5", "nowhere.h5", "/etc/passwd"]), "/x")
    elif kind == "name":
        file[b"\xff\xfe\x01"] = file[name]
        if rng.random() < 0.5:
            del file[name]
    elif kind == "array":
        file.pop(name, None)
        file[name] = np.zeros(3)
    else:
        file.move(name, "moved")
    return f"{name}: {kind}"
