"""Numbers that stand for no data though files do not say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hearing import Hears

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.fills import tell_undeclared, undeclared
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.sample import sample
from hsi_ssl.scenes.scene import SHAPE, Array, Scene, shapeless, valid_spectra

ROWS, COLS, BANDS = 20, 30, 12


def cube(kind: str = "float32") -> Array:
    """Of shaped spectra."""
    rng = np.random.default_rng(0)
    return rng.integers(100, 9000, (ROWS, COLS, BANDS)).astype(kind)


def opened(folder: Path, values: Array, **how: Any) -> Scene:
    np.save(folder / "c.npy", values)
    return open_scene(folder / "c.npy", axes="rows,cols,bands", **how)


@pytest.mark.parametrize("kind", ["int16", "uint16", "float32", "float64"])
def test_one_number_in_all_bands_is_no_measurement(tmp_path: Path, kind: str) -> None:
    values = cube(kind)
    fill = 65535 if kind == "uint16" else -9999
    values[:, :6] = fill
    with opened(tmp_path, values) as scene:
        valid = scene.valid(scene.read())
        found = sample(scene, np.arange(BANDS))
        taken, doubtful = undeclared(scene, found)
    assert valid[:, 6:].all()
    assert not valid[:, :6].any()
    assert (found.spectra != fill).all()
    assert taken is not None
    assert taken.startswith(
        f"c.npy: 20.0% of the pixels looked at hold one number in all bands ({fill})"
    )
    assert doubtful is None


def test_of_few_bands_zeros_alone_are_none() -> None:
    spectra = np.array([[7] * SHAPE, [0] * SHAPE, [7] * (SHAPE - 1) + [8]])
    assert valid_spectra(spectra, None).tolist() == [False, False, True]
    assert shapeless(spectra).tolist() == [True, True, False]
    few = spectra[:, : SHAPE - 1]
    assert valid_spectra(few, None).tolist() == [True, False, True]


@pytest.mark.parametrize(
    "value",
    [1e30, -1e30, np.finfo("f4").max, np.finfo("f4").min, 9.969209968386869e36, np.inf, np.nan],
)
def test_what_no_instrument_measures_is_no_measurement(value: float) -> None:
    spectra = cube()[0]
    spectra[3, 5] = value
    assert np.flatnonzero(~valid_spectra(spectra, None)).tolist() == [3]
    assert not valid_spectra(spectra.astype("f8"), None)[3]


def test_numbers_of_any_unit_and_type_are_measurements() -> None:
    for factor, kind in ((1e25, "f4"), (1e-12, "f4"), (1e25, "f8"), (1, "f2"), (1, "u1")):
        spectra = (cube()[0] % 100 * factor).astype(kind)
        assert valid_spectra(spectra, None).all(), (factor, kind)
    assert valid_spectra(np.array([[1, np.finfo("f2").max]], "f2"), None).all()


def test_values_among_others_are_warned_of_not_left_out(tmp_path: Path) -> None:
    values = cube("int16")
    values[::4, ::4, 3] = -9999
    ear = Hears()
    with opened(tmp_path, values) as scene:
        assert scene.valid(scene.read()).all()
        tell_undeclared(scene, sample(scene, np.arange(BANDS)), ear)
    (warned,) = ear.warned
    assert "are -9999, which often stands for no data" in warned
    assert "--nodata -9999" in warned
    with opened(tmp_path, values, nodata=-9999) as scene:
        assert np.array_equal(scene.valid(scene.read()), values[..., 3] != -9999)
        assert undeclared(scene, sample(scene, np.arange(BANDS))) == (None, None)
        assert str(scene.origins.nodata) == "from --nodata -9999"


def test_a_named_value_stands_beside_the_declared_one(tmp_path: Path) -> None:
    values = cube("int16")
    values[0, 0, 0], values[0, 1, 0] = -1, -2
    path = tmp_path / "s.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=ROWS, width=COLS, count=BANDS, dtype="int16", nodata=-1,
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(values, 2, 0))
    with open_scene(path, nodata=-2) as scene:
        valid = scene.valid(scene.read())
        assert np.argwhere(~valid).tolist() == [[0, 0], [0, 1]]
        assert scene.nodata in {-1, -2}
        assert "--nodata -2" in str(scene.origins.nodata)


def test_the_end_of_a_type_may_be_written_a_shade_beyond_it(tmp_path: Path) -> None:
    values = cube("float32")
    values[3, 4, 5] = np.finfo("f4").min
    for said in (-3.4028235e38, -3.40282346638529e38):
        with opened(tmp_path, values, nodata=said) as scene:
            assert np.argwhere(~scene.valid(scene.read())).tolist() == [[3, 4]]


def test_a_scene_without_any_good_band_holds_no_measurement(tmp_path: Path) -> None:
    with opened(tmp_path, cube("uint16")) as whole:
        scene = replace(whole, good=np.zeros(BANDS, bool))
        assert not scene.valid(scene.read()).any()
        found = sample(scene, np.flatnonzero(scene.good))
        assert (len(found.spectra), found.pixels) == (0, 0)
        assert undeclared(scene, found) == (None, None)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint16", -9999),
        ("int16", 0.5),
        ("float32", 1e300),
        ("uint16", float("nan")),
        ("float32", float("inf")),
    ],
)
def test_a_value_that_numbers_cannot_be_is_refused(tmp_path: Path, kind: str, value: float) -> None:
    with pytest.raises(SceneError, match=f"numbers of {kind}, none of which can be"):
        opened(tmp_path, cube(kind), nodata=value)
