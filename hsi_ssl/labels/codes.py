"""What may stand in a label raster: whole numbers, 0 for unlabelled; everything else is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.label_set import UNLABELLED_CODE

LARGEST_CODE = 65535
"""Class maps are written as uint16 at most."""


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
        The raster is no plane, or not of the scene's `shape`; a value is negative, fractional or
        above 65535 (value and pixel are named).
    """
    if values.ndim != 2:  # noqa: PLR2004
        raise LabelError(f"labels in {path} have shape {values.shape}; expected (rows, cols)")
    if shape is not None and values.shape != shape:
        raise LabelError(
            f"labels in {path} are {values.shape[0]} x {values.shape[1]} pixels, "
            f"the scene is {shape[0]} x {shape[1]}; give the labels of this scene"
        )
    left_out = np.isin(values, ignore) if ignore else np.zeros(values.shape, dtype=bool)
    if nodata is not None:
        left_out |= values == nodata
    if np.issubdtype(values.dtype, np.floating):
        left_out |= np.isnan(values)
    values = np.where(left_out, np.zeros((), values.dtype), values)
    bad = (values < 0) | (values > LARGEST_CODE)
    if np.issubdtype(values.dtype, np.floating):
        bad |= values != np.floor(values)
    if bad.any():
        row, col = np.argwhere(bad)[0]
        raise LabelError(
            f"labels in {path} hold {values[row, col]} at row {row}, column {col}; expected whole "
            f"numbers from {UNLABELLED_CODE} (unlabelled) to {LARGEST_CODE}"
        )
    return values.astype(np.int64)
