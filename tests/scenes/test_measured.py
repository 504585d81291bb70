"""One nodata value for bands that each have their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hsi_ssl.scenes.measured import Measured, MeasuredReader, decoding
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Array, valid_spectra


def cleaned(cube: Array, bands: list[Measured]) -> tuple[Array, float | None]:
    """What a reader of the cube hands out, and the nodata value; every way of reading agrees."""
    how = decoding(cube.dtype, bands)
    reader = how.through(ArrayReader(cube.copy()))
    rows, cols, _ = cube.shape
    whole = reader.window(0, rows, 0, cols)
    assert whole.dtype == how.dtype
    r, c = np.indices((rows, cols)).reshape(2, -1)
    np.testing.assert_array_equal(reader.pixels(r, c).reshape(whole.shape), whole)
    for chosen in ([0], [2, 0], range(cube.shape[2])):
        thinned = reader.thinned(np.arange(rows), np.arange(cols), chosen)
        np.testing.assert_array_equal(thinned, whole[..., list(chosen)])
    reader.close()
    return whole, how.nodata


@pytest.mark.parametrize(
    ("dtype", "fills", "nodata"),
    [("i2", (), None), ("i2", (-9999,), -9999), ("u2", (7, 7.0), 7), ("f4", (-9999.9,), -9999.9),
     ("f8", (np.nan,), np.nan), ("f4", (np.nan, -9.0), -9), ("u1", (0.5, 3), 3)],
)  # fmt: skip
def test_one_plain_value_needs_no_reader(
    dtype: str, fills: tuple[float, ...], nodata: float | None
) -> None:
    how = decoding(np.dtype(dtype), [Measured(fills)] * 3)
    inner: Any = object()
    assert how.through(inner) is inner
    assert how.dtype == dtype
    np.testing.assert_equal(how.nodata, nodata)


CUBE = np.array([[[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[9, 9, 9], [1, 8, 1], [8, 5, 4]]])
"""Values `(2, 3, 3)` of one digit."""


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize(
    "bands",
    [
        [Measured((9, 4))] * 3,
        [Measured((9,), low=1, high=7)] * 3,
        [Measured(low=1)] * 3,
        [Measured(high=7.5)] * 3,
        [Measured((9,)), Measured((8,)), Measured()],
        [Measured((9,), high=6), Measured((8, 1)), Measured((9,), low=2)],
        [Measured((9,)), Measured((9,)), Measured()],
        [Measured((np.nan,)), Measured((4,)), Measured()],
    ],
)
def test_all_that_is_no_measurement_is_the_one_value(bands: list[Measured], dtype: str) -> None:
    cube = CUBE.astype(dtype)
    is_data = np.stack([np.vectorize(band.holds)(CUBE[..., i]) for i, band in enumerate(bands)], -1)
    found, nodata = cleaned(cube, bands)
    np.testing.assert_array_equal(found[is_data], cube[is_data])
    assert nodata is not None
    nothing = np.isnan(found) if np.isnan(nodata) else found == nodata
    np.testing.assert_array_equal(nothing, ~is_data)
    used = found[..., [0]]
    np.testing.assert_array_equal(
        valid_spectra(used, nodata), is_data[..., 0] & (used != 0)[..., 0]
    )


def test_nothing_is_a_value_that_is_none() -> None:
    def nothing(dtype: str, *bands: Measured, marked: bool = False) -> tuple[str, float | None]:
        how = decoding(np.dtype(dtype), bands, marked=marked)
        return how.dtype.str[1:], how.nodata

    assert nothing("i2", Measured((-1, -2))) == ("i2", -1)
    assert nothing("i2", Measured(low=1)) == ("i2", 0)
    assert nothing("i2", Measured(low=0)) == ("i2", -32768)
    assert nothing("u2", Measured(high=60_000)) == ("u2", 65535)
    # Where each value is a measurement somewhere, the next wider type has one more.
    assert nothing("u2", Measured((0,)), Measured((65535,))) == ("i4", -1)
    assert nothing("i2", Measured((0,)), Measured((1,))) == ("i4", -32769)
    assert nothing("u1", Measured(), marked=True) == ("i2", -1)
    assert nothing("u1", Measured((3,)), marked=True) == ("u1", 3)
    np.testing.assert_equal(nothing("f4", Measured((0,)), Measured((1,))), ("f4", np.nan))
    np.testing.assert_equal(nothing("i8", Measured(), marked=True), ("f8", np.nan))
    # Values that the type does not hold are never met.
    assert nothing("u1", Measured((-9999,), low=-5, high=300)) == ("u1", -9999)


def test_limits_are_of_the_type() -> None:
    """0.1 of 64 bits lies below 0.1 of 32."""
    cube = np.array([[[0.1, 0.2, 0.3]]], np.float32)
    found, _ = cleaned(cube, [Measured((0.3,), low=0.1, high=0.2)] * 3)
    np.testing.assert_array_equal(found == np.float32(0.3), [[[False, False, True]]])


def test_a_large_window_is_cleaned_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_ssl.scenes.measured.SLAB", 100)
    cube = np.random.default_rng(0).integers(0, 50, (40, 7, 5)).astype(np.int16)
    reader = MeasuredReader(ArrayReader(cube.copy()), decoding(cube.dtype, [Measured((3, 4))] * 5))
    np.testing.assert_array_equal(reader.window(0, 40, 0, 7), np.where(cube == 4, 3, cube))


def test_an_origin_of_nothing_else_than_what_counts() -> None:
    int16 = np.dtype("i2")
    assert decoding(np.dtype("u1"), [Measured(low=0, said_by=("a limit",))]).origin is None
    bands = [Measured((9,), said_by=("a",)), Measured((8,), said_by=("b",)), Measured((9,))]
    origin = decoding(int16, bands).origin
    assert origin is not None
    assert origin.where == "a and b"
