"""Whether a dataset's columns fit each other and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.cards import Meta

Columns = dict[str, npt.NDArray[Any]]
TYPES = {
    "y": np.int16,
    "part": np.uint8,
    "scene": np.int16,
    "pixel": np.int32,
    "neighbours": np.int32,
    "unit": np.int32,
}
"""Of the columns in memory; see `Dataset`."""
WIDTHS = {"pixel": (2,), "neighbours": (8,)}
LEARNT, OTHER = (0, 1, 2), 4
"""Parts whose pixels have labels, and the last part; see `Part`."""


def check_columns(
    columns: Mapping[str, npt.NDArray[Any]], spectra: h5py.Dataset, meta: Meta
) -> Columns:
    """The columns, of their types.

    Raises
    ------
    ValueError
        One has another length, type or width; a number in it is out of range.
    """
    if not isinstance(spectra, h5py.Dataset):
        raise ValueError("spectra are no array")
    n = len(columns["part"])
    if spectra.shape != (n, len(meta.used_bands)) or spectra.dtype.kind not in "iuf":
        raise ValueError(
            f"spectra are {spectra.shape} of {spectra.dtype}, not numbers of {n} pixels and "
            f"{len(meta.used_bands)} bands"
        )
    classes = [len(one.label_set.classes) for one in meta.each]
    found = {}
    for name, column in columns.items():
        width = (len(classes),) if name == "y" else WIDTHS.get(name, ())
        if column.shape != (n, *width) or column.dtype.kind not in "iu":
            raise ValueError(
                f"{name} is {column.shape} of {column.dtype}, not whole numbers {(n, *width)}"
            )
        found[name] = column
    rows, cols = (np.array([getattr(s, side) for s in meta.sources]) for side in ("rows", "cols"))
    _within("part", found["part"], 0, OTHER)
    _within("scene", found["scene"], 0, len(meta.sources) - 1)
    _within("neighbours", found["neighbours"], -1, n - 1)
    _within("unit", found["unit"], -1, np.iinfo(np.int32).max)
    for place, count in enumerate(classes):
        _within("label", found["y"][:, place], -1, count - 1)
    for place, sides in enumerate((rows, cols)):
        _within("pixel", found["pixel"][:, place], 0, sides[found["scene"]] - 1)
    if bool((found["y"].max(axis=1, initial=-1)[np.isin(found["part"], LEARNT)] < 0).any()):
        raise ValueError("a training, validation or test pixel has no label")
    return {name: column.astype(TYPES[name], copy=False) for name, column in found.items()}


def _within(
    name: str, column: npt.NDArray[Any], low: int, high: int | npt.NDArray[np.int64]
) -> None:
    """Refuse a column that holds a number out of range."""
    if column.size and (column.min() < low or bool((column > high).any())):
        raise ValueError(f"{name} holds a number that is not from {low} to {np.max(high)}")
