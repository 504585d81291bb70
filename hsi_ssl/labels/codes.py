"""Values of label rasters and their codes: whole numbers, 0 for unlabelled; all else is refused.

While rasters are laid on scenes their values are numbered as they are met (`Numbering`), so that
planes hold 16 bits a pixel whatever the values. Which code each value gets is decided at the end,
for all rasters together (`assigned`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.label_set import UNLABELLED_CODE

LARGEST_CODE = 65535
"""Class maps are written as uint16 at most."""
MOST_CLASSES = 65535
LARGEST_VALUE = 2**63 - 1
"""In a label raster; beyond it numbers are not kept exactly."""
SPAN = 2**20
"""Values of a window that spread no farther are looked up in a table."""

INT32 = 4
"""Bytes."""

Numbers = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Nothing:
    """Which values of a raster stand for no label.

    `nodata`, NaN, those of `ignore`, and, unless `zero` is a class there, 0.
    """

    nodata: float | None = None
    ignore: tuple[int, ...] = ()
    zero: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value stands for no label."""
        if value == UNLABELLED_CODE and not self.zero:
            return True
        return value in self.ignore or (self.nodata is not None and value == self.nodata)


@dataclass
class Numbering:
    """Numbers 1, 2, ... for the values and the class names met in label rasters, 0 for no label."""

    values: list[int] = field(default_factory=list)
    """By number, less one; of names their `name_value`."""
    names: list[str] = field(default_factory=list)
    _number: dict[int, int] = field(default_factory=dict, repr=False)

    def of(
        self,
        values: npt.NDArray[Any],
        nothing: Nothing,
        path: Path,
        first: tuple[int, int] = (0, 0),
    ) -> Numbers:
        """Numbers of any shape of values that a raster holds; `first` is where a plane begins.

        Raises
        ------
        LabelError
            A value is negative or fractional, or there are more than 65535.
        """
        if values.dtype.kind == "b":
            values = values.view(np.uint8)
        if not values.size:
            return np.zeros(values.shape, np.uint16)
        known = None
        if values.dtype.kind == "f":
            known = ~np.isnan(values)
            if nothing.nodata is not None:
                known &= values != values.dtype.type(nothing.nodata)
            values = np.where(known, values, 0)
        low, high = values.min(), values.max()
        # Infinities are whole, and no codes.
        whole = values.dtype.kind != "f" or bool((values == np.floor(values)).all())
        if whole and np.isfinite(float(high)) and float(high) - float(low) < SPAN:
            if values.dtype.itemsize < INT32 and values.dtype.kind != "f":
                places = values if low == 0 else values.astype(np.int32) - int(low)
            else:
                places = (values - low).astype(np.int32)
            met = np.zeros(int(high) - int(low) + 1, bool)
            met[places] = True
            table = np.zeros(len(met), np.uint16)
            for place in np.flatnonzero(met).tolist():
                table[place] = self._one(place + int(low), nothing, values, path, first)
        else:
            met_values, places = np.unique(values, return_inverse=True)
            table = np.array(
                [self._one(value, nothing, values, path, first) for value in met_values.tolist()],
                np.uint16,
            )
            places = places.reshape(values.shape)
        found: Numbers = table[places]
        if known is not None:
            found[~known] = 0
        return found

    def _one(
        self,
        value: float,
        nothing: Nothing,
        values: npt.NDArray[Any],
        path: Path,
        first: tuple[int, int],
    ) -> int:
        if nothing.holds(value):
            return 0
        if value < 0 or not np.isfinite(value) or value != int(value) or value > LARGEST_VALUE:
            place = np.argwhere(values == value)[0] + np.array(first)[: values.ndim]
            where = f"row {place[0]}, column {place[1]}" if values.ndim > 1 else f"{place[0]}"
            what = (
                "give class codes, not measurements"
                if value > LARGEST_VALUE
                else f"leave it out with --ignore-codes {value:g} if it stands for no label"
                if np.isfinite(value) and value == int(value)
                else "give class codes, not measurements"
            )
            raise LabelError(
                f"labels in {path} hold {value} at {where}; expected whole numbers from "
                f"{UNLABELLED_CODE} (unlabelled) on; {what}"
            )
        return self._numbered(int(value), path)

    def of_names(self, places: npt.NDArray[Any], names: Sequence[str], path: Path) -> Numbers:
        """Numbers of any shape of class names, of which `places` counts those in `names` from 1.

        Raises
        ------
        LabelError
            There are more than 65535.
        """
        self.names += [name for name in names if name not in self.names]
        values = (name_value(self.names.index(name)) for name in names)
        table = np.array([0, *(self._numbered(value, path) for value in values)], np.uint16)
        found: Numbers = table[places]
        return found

    def _numbered(self, code: int, path: Path) -> int:
        if code not in self._number:
            if len(self.values) >= MOST_CLASSES:
                raise LabelError(
                    f"labels in {path} hold more than {MOST_CLASSES} different values; expected "
                    "codes of classes, not measurements or numbers of objects"
                )
            self.values.append(code)
            self._number[code] = len(self.values)
        return self._number[code]


def name_value(i: int) -> int:
    """What stands for the i-th name among values: a negative number, which no raster may hold."""
    return -1 - i


def checked_codes(
    values: npt.NDArray[Any],
    *,
    path: Path,
    nodata: float | None = None,
    ignore: tuple[int, ...] = (),
    shape: tuple[int, int] | None = None,
) -> npt.NDArray[np.int64]:
    """Codes `(rows, cols)` of a label raster's raw values, untouched.

    NaN, `nodata` and the codes of `ignore` (outside the labelled area, say) become 0.

    Raises
    ------
    LabelError
        The raster is no plane, or not of the scene's `shape`; a value is negative or fractional
        (value and pixel are named).
    """
    if values.ndim != 2:  # noqa: PLR2004
        raise LabelError(f"labels in {path} have shape {values.shape}; expected (rows, cols)")
    refuse_shape(path, (values.shape[0], values.shape[1]), shape)
    numbering = Numbering()
    numbers = numbering.of(values, Nothing(nodata, ignore), path)
    return np.array([UNLABELLED_CODE, *numbering.values], np.int64)[numbers]


def refuse_shape(path: Path, found: tuple[int, int], shape: tuple[int, int] | None) -> None:
    """Raise `LabelError` if labels have another shape than the scene's, where that is given."""
    if shape is not None and found != shape:
        raise LabelError(
            f"labels in {path} are {found[0]} x {found[1]} pixels, "
            f"the scene is {shape[0]} x {shape[1]}; give the labels of this scene"
        )


def assigned(
    values: Iterable[int], known: Collection[int] = (), fixed: Mapping[int, int] | None = None
) -> dict[int, int]:
    """The code of each value of label rasters: its own where it can be one.

    0, where it is a class, and values above 65535 get the lowest free codes above all others, or
    those that they have in `fixed`. `known` are codes that are taken though they do not occur.

    Raises
    ------
    LabelError
        No code is left.
    """
    values = sorted(set(values))
    found = {v: v for v in values if UNLABELLED_CODE < v <= LARGEST_CODE}
    found |= {v: code for v, code in (fixed or {}).items() if v in values}
    taken = {*found.values(), *(c for c in known if c <= LARGEST_CODE), *(fixed or {}).values()}
    for value in values:
        if value not in found:
            code = max(taken, default=UNLABELLED_CODE) + 1
            if code > LARGEST_CODE:
                free = set(range(1, LARGEST_CODE + 1)) - taken
                if not free:
                    raise LabelError(
                        f"no code is left for the class {value}: expected codes up to "
                        f"{LARGEST_CODE}"
                    )
                code = min(free)
            found[value] = code
            taken.add(code)
    return found
