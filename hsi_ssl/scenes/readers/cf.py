"""What netCDF's attributes say is no data: fill values, missing values, valid ranges.

By the CF conventions 1.11, 2.5.1 "Missing data, valid and actual range of data", and the NetCDF
Users Guide, appendix A "Attribute Conventions". All these numbers are those of the file, before
`scale_factor` and `add_offset`, and of its type (CF 8.1). A valid range of the type of those two,
wider than the file's, is taken to be of the unpacked values, as netCDF-Java does
(`EnhanceScaleMissingUnsigned`): in packed units nothing would be valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.measured import Measured

DEFAULT_FILLS = {
    "i2": -32767, "u2": 65535, "i4": -2147483647, "u4": 4294967295,
    "i8": -9223372036854775806, "u8": 18446744073709551614,
    "f4": 9.9692099683868690e36, "f8": 9.9692099683868690e36,
}  # fmt: skip
"""netcdf.h's NC_FILL_SHORT to NC_FILL_DOUBLE; all values of one byte are data."""
PACKING = ("scale_factor", "add_offset")
LIMITS = ("valid_range", "valid_min", "valid_max")
UNSIGNED = "_Unsigned"
FILLS = ("_fillvalue", "missing_value")
"""In lower case: other programs write these in other cases."""
NEAR = 0.01
"""Steps of a packed integer that its limit may be off by, since scale factors are rounded."""
NEARLY = 1e-6
"""The same for packed floats, as a share."""

Numbers = npt.NDArray[Any]


def measured_values(
    attributes: Mapping[str, Any], dtype: np.dtype[Any], *, default: bool
) -> Measured:
    """What values of a variable, read as `dtype`, are measurements.

    With `default`, the fill value that netCDF itself gives to its type counts where no `_FillValue`
    is declared.
    """
    if dtype.kind not in "iuf":
        return Measured()
    lower = {name.lower(): value for name, value in attributes.items()}
    found = {**attributes, **{name: lower[name] for name in FILLS if name in lower}}
    unsigned = is_unsigned(attributes)

    def numbers(name: str) -> Numbers:
        value = np.ravel(found[name]) if name in found else np.empty(0)
        if value.dtype.kind not in "iuf":
            return np.empty(0)
        if unsigned and value.dtype.kind == "i" and value.dtype.itemsize == dtype.itemsize:
            return value.astype(value.dtype.newbyteorder("=")).view(f"u{dtype.itemsize}")
        return value

    named = {lower_name: name for name in attributes if (lower_name := name.lower()) in FILLS}
    said_by = [f"the attribute {name}" for key, name in named.items() if len(numbers(key))]
    fills = [*numbers("_fillvalue").tolist(), *numbers("missing_value").tolist()]
    if default and not len(numbers("_fillvalue")) and dtype.str[1:] in DEFAULT_FILLS:
        fills.append(DEFAULT_FILLS[dtype.str[1:]])
        said_by.append(f"netCDF's default fill value of {dtype.name}")
    scale, offset = (numbers(name) for name in PACKING)
    low, high = _range(*map(numbers, LIMITS), dtype=dtype, scale=scale, offset=offset)
    said_by += [f"the attribute {name}" for name in LIMITS if len(numbers(name))]
    return Measured(tuple(fills), low, high, tuple(said_by))


def is_unsigned(attributes: Mapping[str, Any]) -> bool:
    """Whether `_Unsigned` says that signed integers of the file stand for unsigned ones."""
    said = attributes.get(UNSIGNED, "")
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
    return text.strip().lower() == "true"


def number_type(attributes: Mapping[str, Any], stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type that a variable's numbers have: the stored one, or its unsigned twin."""
    if stored.kind != "i" or not is_unsigned(attributes):
        return stored
    return np.dtype(f"{stored.byteorder}u{stored.itemsize}")


def counts(name: str) -> bool:
    """Whether an attribute of this name says something of what is data."""
    return name.lower() in FILLS or name in (UNSIGNED, *LIMITS, *PACKING)


def _range(
    both: Numbers,
    least: Numbers,
    most: Numbers,
    *,
    dtype: np.dtype[Any],
    scale: Numbers,
    offset: Numbers,
) -> tuple[float | None, float | None]:
    """Lowest and highest number of the file that is valid, by `valid_range`, else by the others."""
    ends = (both[:1], both[1:]) if len(both) == 2 else (least[:1], most[:1])  # noqa: PLR2004
    low, high = (end[0].item() if len(end) and not np.isnan(end[0]) else None for end in ends)
    packing = [value.dtype for value in (scale, offset) if len(value)]
    given = [end.dtype for end in ends if len(end)]
    factor = float(scale[0]) if len(scale) else 1.0
    if not packing or not given or not np.isfinite(factor) or factor == 0:
        return low, high
    own = np.result_type(*given)
    if own != np.result_type(*packing) or np.can_cast(own, dtype):
        return low, high
    added = float(offset[0]) if len(offset) else 0.0
    low, high = (None if end is None else (end - added) / factor for end in (low, high))
    if factor < 0:
        low, high = high, low
    slack = [0 if end is None else (NEAR if dtype.kind in "iu" else NEARLY * abs(end))
             for end in (low, high)]  # fmt: skip
    return None if low is None else low - slack[0], None if high is None else high + slack[1]
