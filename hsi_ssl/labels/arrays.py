"""Label planes from arrays of other shapes: flat ones, one-hot planes, pictures with a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.label_set import red_green_blue
from hsi_ssl.labels.legends import Legend

Array = npt.NDArray[Any]
PLANE, CUBE = 2, 3
COLOURS, WITH_ALPHA = 3, 4
MOST_LISTED = 3


@dataclass(frozen=True)
class Plane:
    """Raw codes `(rows, cols)`, names and colours, and what was guessed, one sentence each."""

    values: Array
    legend: Legend
    notes: tuple[str, ...] = ()


def plane_of(
    values: Array,
    shape: tuple[int, int] | None,
    *,
    path: Path,
    order: Literal["C", "F"] = "C",
    legend: Legend,
    band_names: Sequence[str] = (),
) -> Plane:
    """The label plane that an array holds.

    `(rows, cols)`, with a third axis of length 1, flat with the scene's size (in `order`), one-hot
    planes, or the red, green and blue of a picture whose colours the legend knows.

    Raises
    ------
    LabelError
        It is none of these, or has another size than the scene; the sentence tells which.
    """
    if values.ndim == CUBE and 1 in (values.shape[0], values.shape[-1]):
        values = values[..., 0] if values.shape[-1] == 1 else values[0]
    if values.ndim == PLANE and shape is not None and 1 in values.shape and 1 not in shape:
        values = values.ravel()
    if values.ndim == 1:
        return _flat(values, shape, path, order, legend)
    if values.ndim == PLANE:
        return Plane(values, legend)
    if values.ndim != CUBE:
        raise LabelError(f"labels in {path} have shape {values.shape}; expected (rows, cols)")
    if shape is not None and values.shape[-2:] == shape != values.shape[:2]:
        values = np.moveaxis(values, 0, -1)
    if _is_one_hot(values):
        return _one_hot(values, path, legend, band_names)
    if values.dtype == np.uint8 and values.shape[-1] in (COLOURS, WITH_ALPHA):
        return _picture(values, path, legend)
    raise LabelError(
        f"{path} has {values.shape[-1]} bands; expected labels in one band, one plane of 0 and 1 a "
        "class, or red, green and blue with a legend"
    )


def _flat(
    values: Array,
    shape: tuple[int, int] | None,
    path: Path,
    order: Literal["C", "F"],
    legend: Legend,
) -> Plane:
    if shape is None or values.size != shape[0] * shape[1]:
        size = "" if shape is None else f", the scene has {shape[0]} x {shape[1]} pixels"
        raise LabelError(
            f"labels in {path} have shape {values.shape}{size}; expected (rows, cols), or one "
            "label a pixel of the scene"
        )
    how = "row after row" if order == "C" else "column after column, as MATLAB keeps arrays"
    note = f"{path.name} is flat: its {values.size:,} labels are taken {how}"
    return Plane(values.reshape(shape, order=order), legend, (note,))


def _is_one_hot(values: Array) -> bool:
    if values.dtype.kind not in "biuf":
        return False
    low, high = values.min(initial=0), values.max(initial=0)
    if low != 0 or high != 1 or ((values != 0) & (values != 1)).any():
        return False
    return bool(((values != 0).sum(axis=-1) <= 1).all())


def _one_hot(values: Array, path: Path, legend: Legend, band_names: Sequence[str]) -> Plane:
    set_ = values != 0
    codes = np.where(set_.any(axis=-1), set_.argmax(axis=-1) + 1, 0).astype(np.uint16)
    names = {i + 1: name for i, name in enumerate(band_names) if name}
    if names and not legend.names:
        legend = replace(legend, names=names, source=f"bands of {path.name}")
    note = f"{path.name} has {values.shape[-1]} planes of 0 and 1: plane k is taken as class k"
    return Plane(codes, legend, (note,))


def _picture(values: Array, path: Path, legend: Legend) -> Plane:
    """Codes of a picture's colours; where alpha is 0 there is none."""
    if not legend.colours:
        raise LabelError(
            f"{path} is a picture in colours and nothing tells which class each is: give "
            f"{path.stem}.csv beside it, or --classes, with columns code, name and colour"
        )
    flat = values.astype(np.uint32)
    keys = (flat[..., 0] << 16) | (flat[..., 1] << 8) | flat[..., 2]
    seen, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    code_of: dict[int, int] = {}
    for code, colour in legend.colours.items():
        red, green, blue = red_green_blue(colour)
        other = code_of.setdefault((red << 16) | (green << 8) | blue, code)
        if other != code:
            raise LabelError(
                f"the legend of {path} gives {colour} to {other} and to {code}; give each class a "
                "colour of its own"
            )
    clear = np.zeros(keys.shape, bool)
    if values.shape[-1] == WITH_ALPHA:
        clear = values[..., 3] == 0
    table = np.array([code_of.get(int(key), -1) for key in seen])
    codes = np.where(clear, 0, table[which].reshape(keys.shape))
    if (codes < 0).any():
        strange = [i for i in np.argsort(-counts) if table[i] < 0][:MOST_LISTED]
        listed = ", ".join(f"#{int(seen[i]):06x} ({counts[i]:,} pixels)" for i in strange)
        raise LabelError(
            f"{path} has colours that its legend lacks: {listed}; add them, with code 0 for those "
            "that stand for no label, and save labels as PNG (JPEG mixes colours)"
        )
    return Plane(codes.astype(np.int64), legend)
