"""Zarr stores as files of named variables, and their arrays read by chunks.

By the Zarr specifications 2 and 3. Names of dimensions are `dimension_names` (3) and the attribute
`_ARRAY_DIMENSIONS` (2, as xarray writes it). What stands for nothing: `_FillValue`, which xarray
writes for floats in Zarr 3 as base64 text of eight little-endian bytes, `missing_value`, and the
array's `fill_value`, which unwritten chunks hold. Of that 0 counts only where xarray's convention
of Zarr 2 makes it the fill value: elsewhere it is the default of Zarr and says nothing.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Order
from hsi_ssl.scenes.readers.boxes import BoxReader, memory_order
from hsi_ssl.scenes.readers.cf_file import CfFile
from hsi_ssl.scenes.scene import Array

MEMBERS = ("zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata")
"""Files that tell of a store, or of a group or array in one."""
DIMENSIONS = "_ARRAY_DIMENSIONS"
FILL = "_FillValue"


@dataclass(frozen=True)
class ZarrVariable:
    """An array of a store; see `cf_file.Variable`."""

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attributes: Mapping[str, Any]
    array: Any = field(repr=False)
    around: Mapping[str, Any] = field(default_factory=dict)
    """What is said of the group that it lies in."""
    unwritten: float | None = None
    """What chunks that are not there stand for, where that says that nothing was measured."""


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in MEMBERS)


def opened(path: Path) -> CfFile[ZarrVariable]:
    """The arrays of a store.

    Raises
    ------
    HsiSslError
        zarr is not installed.
    SceneError
        The store is broken.
    """
    try:
        import zarr
    except ImportError:
        raise HsiSslError(
            f"{path} is a Zarr store; reading it needs zarr: pip install 'hsi-ssl[zarr]'"
        ) from None
    try:
        root: Any = zarr.open(str(path), mode="r")
        variables = {one.name: one for one in _variables(root, "", {})}
        attributes = dict(root.attrs)
    except Exception as error:  # zarr raises whatever its metadata lead it into
        raise SceneError(
            f"{path} is broken or no Zarr store ({type(error).__name__}: {error}); get it again"
        ) from error
    return CfFile(path, variables, attributes, lambda variable: values_of(path, variable))


def values_of(path: Path, variable: ZarrVariable) -> Array:
    """All values of an array.

    Raises
    ------
    SceneError
        They cannot be read.
    """
    return _read(path, variable, ())


class ZarrReader(BoxReader):
    """A cube of a store, read by chunks; `axes` are those of the array."""

    def __init__(self, path: Path, variable: ZarrVariable, axes: Order) -> None:
        self._path, self._variable, self._axes = path, variable, axes
        chunks = variable.array.chunks
        places = [axes.index(axis) for axis in (ROWS, COLS, BANDS)]
        shape, piece = (
            (sizes[places[0]], sizes[places[1]], sizes[places[2]])
            for sizes in (variable.shape, chunks)
        )
        super().__init__(shape, variable.dtype.newbyteorder("="), piece)

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        wanted = (rows, cols, bands)
        stored = _read(self._path, self._variable, tuple(wanted[axis] for axis in self._axes))
        order = memory_order(self._axes)
        stored = stored.transpose([self._axes.index(axis) for axis in order])
        found = np.ascontiguousarray(stored, self.dtype)
        return found.transpose([order.index(axis) for axis in range(3)])

    def close(self) -> None:
        """Nothing is held open."""


def _read(path: Path, variable: ZarrVariable, part: tuple[slice, ...]) -> Array:
    try:
        return np.asarray(variable.array[part or ...])
    except Exception as error:  # codecs raise whatever broken bytes lead them into
        raise SceneError(
            f"{path} is broken: part of {variable.name or 'its array'} cannot be read "
            f"({type(error).__name__}: {error}); get it again"
        ) from error


def _variables(node: Any, name: str, around: Mapping[str, Any]) -> Iterator[ZarrVariable]:
    """The arrays in a group and in those inside it; or the array itself."""
    attributes = dict(node.attrs)
    if hasattr(node, "members"):
        for own, member in sorted(node.members(), key=lambda pair: str(pair[0])):
            yield from _variables(member, f"{name}/{own}".lstrip("/"), attributes)
        return
    named = getattr(node.metadata, "dimension_names", None) or attributes.pop(DIMENSIONS, None)
    by_xarray = node.metadata.zarr_format == 2 and DIMENSIONS in node.attrs  # noqa: PLR2004
    size = len(node.shape)
    names = [str(one or "") for one in named] if named is not None and len(named) == size else []
    if FILL in attributes:
        attributes[FILL] = fill_value(attributes[FILL])
        if attributes[FILL] is None:
            del attributes[FILL]
    yield ZarrVariable(
        name or node.name.strip("/") or "array",
        tuple(names) or ("",) * size,
        tuple(node.shape),
        np.dtype(node.dtype),
        attributes,
        node,
        around,
        _unwritten(node.fill_value, zero=by_xarray),
    )


def fill_value(told: Any) -> float | None:
    """The number that an attribute `_FillValue` of JSON stands for; None where it is none."""
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    if isinstance(told, int | float):
        return told
    if not isinstance(told, str):
        return None
    try:
        return float(told)
    except ValueError:
        pass
    try:
        (number,) = struct.unpack("<d", base64.b64decode(told, validate=True))
    except (binascii.Error, struct.error):
        return None
    return float(number)


def _unwritten(told: Any, *, zero: bool) -> float | None:
    try:
        number = float(told)
    except (TypeError, ValueError):
        return None
    return None if np.isnan(number) or (number == 0 and not zero) else number
