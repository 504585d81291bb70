"""What is data: bands of which each has its own values for "nothing measured", read as one value.

Files say it in many ways: several fill values (CF's `_FillValue` and `missing_value`), a valid
range, a nodata value a band. A scene has one value, `Scene.nodata`. Where one plain value for all
bands is what the file says, nothing here stands in the way of its reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hsi_ssl.scenes.converted import ConvertedReader
from hsi_ssl.scenes.origins import Origin, listed_origin
from hsi_ssl.scenes.scene import Array, CubeReader

SLAB = 2**20
"""Bytes compared at a time: as many as the processor keeps at hand."""


@dataclass(frozen=True)
class Measured:
    """What a band's raw values must be to be measurements: none of `fills`, from `low` to `high`.

    Numbers that the band's type cannot hold are never met and may be given; None is no limit.
    `said_by` names what says so, as `Origin.where`.
    """

    fills: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    said_by: tuple[str, ...] = field(default=(), compare=False)

    def holds(self, value: float) -> bool:
        """Whether `value` is a measurement; NaN never is."""
        return (
            not np.isnan(value)
            and value not in self.fills
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
        )


@dataclass(frozen=True)
class Decoding:
    """How a scene is to be read: its number type, its one nodata value, what bands must hold.

    `bands` is None where the file's own values are those already. `origin` is what says what is no
    data.
    """

    dtype: np.dtype[Any]
    nodata: float | None
    bands: tuple[Measured, ...] | None = None
    origin: Origin | None = None

    def through(self, reader: CubeReader) -> CubeReader:
        """`reader`, or one that gives `nodata` in place of all that is no measurement."""
        return reader if self.bands is None else MeasuredReader(reader, self)

    def clean(self, values: Array) -> Array:
        """`values (..., bands)` that nobody else holds, with `nodata` for what is none."""
        return values if self.bands is None else _Rules(self).clean(values)


def decoding(dtype: np.dtype[Any], bands: Sequence[Measured], *, marked: bool = False) -> Decoding:
    """How to read bands of one number type as a scene with one nodata value.

    That value is one that is no measurement in any band: a declared one, else NaN, or for integers
    0 or an end of the type that lies outside all valid ranges. Where every integer is a measurement
    in some band, the type is the next wider one. With `marked` something else than values says of
    single bands that they hold nothing, so that a nodata value is needed in any case.
    """
    declared = bands[0].fills
    origin = listed_origin(tuple(words for band in bands for words in band.said_by))
    bands = [_of_type(band, dtype) for band in bands]
    fills = list(dict.fromkeys(fill for band in bands for fill in band.fills))
    alike = all(band == bands[0] for band in bands)
    limited = bands[0].low is not None or bands[0].high is not None
    if alike and len(fills) <= 1 and not limited and (fills or not marked):
        met = (f for f in declared if _of_type(Measured((f,)), dtype).fills == (*fills,))
        nodata = next(met, declared[0] if declared else None)
        return Decoding(dtype, nodata, origin=None if nodata is None else origin)
    wide, nothing = _nothing(dtype, fills, bands)
    rules = None if wide == dtype and not any(map(_says, bands)) else tuple(bands)
    return Decoding(wide, nothing, rules, origin)


class MeasuredReader(ConvertedReader):
    """A reader whose values are the scene's one nodata value wherever they are no measurement."""

    def __init__(self, reader: CubeReader, how: Decoding) -> None:
        super().__init__(reader, _Rules(how).clean)


class _Rules:
    """The bands' rules as arrays, of one number where all bands have the same."""

    def __init__(self, how: Decoding) -> None:
        bands = how.bands or ()
        self._dtype, self._nothing = how.dtype, how.nodata
        self._alike = all(band == bands[0] for band in bands)
        bands = bands[:1] if self._alike else bands
        most = max((len(band.fills) for band in bands), default=0)
        # Bands with fewer repeat one of theirs; those with none take what is none anyway.
        padded = [(*band.fills, *[(*band.fills, how.nodata)[0]] * most)[:most] for band in bands]
        self._fills = [
            np.array(each, how.dtype)
            for each in zip(*padded, strict=True)
            if any(fill not in (how.nodata, np.nan) for fill in each)
        ]
        self._low = self._limit([band.low for band in bands], lowest=True)
        self._high = self._limit([band.high for band in bands], lowest=False)

    def clean(self, values: Array, chosen: Sequence[int] | None = None) -> Array:
        """`values (..., bands)`, or those of `chosen` bands, changed in place where that can be."""
        values = values.astype(self._dtype, copy=False)
        if not values.size:
            return values
        which = slice(None) if self._alike or chosen is None else list(chosen)
        fills = [fill[which] for fill in self._fills]
        low, high = (None if end is None else end[which] for end in (self._low, self._high))
        for part in _slabs(values):
            bad: Any = False
            for fill in fills:
                bad = bad | (part == fill)
            if low is not None:
                bad = bad | (part < low)
            if high is not None:
                bad = bad | (part > high)
            if np.any(bad):
                part[bad] = self._nothing
        return values

    def _limit(self, ends: Sequence[float | None], *, lowest: bool) -> Array | None:
        if all(end is None for end in ends):
            return None
        kind = np.iinfo(self._dtype) if self._dtype.kind in "iu" else None
        if kind is None:
            none: float = -np.inf if lowest else np.inf
        else:
            none = kind.min if lowest else kind.max
        return np.array([none if end is None else end for end in ends], self._dtype)


def _slabs(values: Array) -> Iterator[Array]:
    step = max(1, SLAB // max(1, values[0].nbytes))
    return (values[first : first + step] for first in range(0, len(values), step))


def _of_type(band: Measured, dtype: np.dtype[Any]) -> Measured:
    """The rule in numbers of that type: fills that it holds, limits that leave something out."""
    if dtype.kind not in "iu":
        # As the type holds them: 0.1 of 64 bits is no value of 32.
        with np.errstate(over="ignore"):
            fills = [float(dtype.type(fill)) for fill in band.fills]
            ends = [None if end is None else float(dtype.type(end)) for end in _limits(band)]
        low, high = (None if end is None or not np.isfinite(end) else end for end in ends)
        # NaN is nothing anyway; it counts only where no number is declared.
        numbers = [fill for fill in fills if not np.isnan(fill)] or [np.nan for _ in fills[:1]]
        return Measured(tuple(dict.fromkeys(numbers)), low, high)
    kind = np.iinfo(dtype)
    whole = [int(f) for f in band.fills if np.isfinite(f) and f == int(f)]
    fills_of_type = tuple(dict.fromkeys(f for f in whole if kind.min <= f <= kind.max))
    low, high = band.low, band.high
    low = None if low is None or not low > kind.min else min(float(np.ceil(low)), kind.max)
    high = None if high is None or not high < kind.max else max(float(np.floor(high)), kind.min)
    return Measured(fills_of_type, low, high)


def _limits(band: Measured) -> tuple[float | None, float | None]:
    return band.low, band.high


def _says(band: Measured) -> bool:
    return bool(band.fills) or band.low is not None or band.high is not None


def _nothing(
    dtype: np.dtype[Any], fills: Sequence[float], bands: Sequence[Measured]
) -> tuple[np.dtype[Any], float]:
    """The number type to read as, and a value of it that is no measurement in any band."""
    if dtype.kind not in "iu":
        free = [fill for fill in fills if not any(band.holds(fill) for band in bands)]
        return dtype, free[0] if free else np.nan
    kind = np.iinfo(dtype)
    for value in (*fills, 0, kind.min, kind.max):
        if not any(band.holds(value) for band in bands):
            return dtype, value
    wide = next(
        (t for t in map(np.dtype, ("i2", "i4", "i8")) if t != dtype and np.can_cast(dtype, t)),
        np.dtype("f8"),
    )
    return wide, np.nan if wide.kind == "f" else min(-1, kind.min - 1)
