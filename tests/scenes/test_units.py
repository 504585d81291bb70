"""What files say of their numbers, on files that other writers' habits made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from hsi_ssl.errors import UnitsError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.sample import sample
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.units import (
    Units,
    kind_in,
    physical,
    refuse_scaled_twice,
    scaled_by,
)

ROWS, COLS, BANDS = 7, 9, 4
CUBE = np.random.default_rng(0).integers(100, 9000, (ROWS, COLS, BANDS)).astype(np.uint16)
EVERY = np.arange(BANDS)


def envi(folder: Path, lines: str, cube: npt.NDArray[Any] = CUBE) -> Path:
    path = folder / "e.dat"
    cube.transpose(2, 0, 1).tofile(path)
    code = {"uint16": 12, "float32": 4}[cube.dtype.name]
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {COLS}\nlines = {ROWS}\nbands = {BANDS}\ndata type = {code}\n"
        f"interleave = bsq\nbyte order = 0\n{lines}"
    )
    return path


def tif(folder: Path, cube: npt.NDArray[Any] = CUBE, **said: Any) -> Path:
    path = folder / "t.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=ROWS, width=COLS, count=BANDS, dtype=cube.dtype.name,
        transform=rasterio.Affine(10, 0, 0, 0, -10, 0),
    ) as raster:  # fmt: skip
        raster.write(cube.transpose(2, 0, 1))
        for name, values in said.items():
            setattr(raster, name, values)
    return path


def units_of_file(path: Path) -> Units | None:
    with open_scene(path) as scene:
        return scene.units


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    assert units_of_file(tif(tmp_path)) is None
    assert units_of_file(envi(tmp_path, "")) is None


def test_scale_and_offset_of_gdal_s_bands(tmp_path: Path) -> None:
    scales, offsets = [1e-4, 2e-4, 3e-4, 4e-4], [-0.1, 0.0, 0.1, 0.2]
    units = units_of_file(tif(tmp_path, scales=scales, offsets=offsets, units=["W/(m2 sr um)"] * 4))
    assert units is not None
    assert units.said
    assert not units.given
    np.testing.assert_allclose(units.scale, scales)
    np.testing.assert_allclose(units.offset, offsets)
    assert units.kind == "radiance"


def test_envi_s_reflectance_scale_factor_divides(tmp_path: Path) -> None:
    units = units_of_file(envi(tmp_path, "reflectance scale factor = 10000\n"))
    assert units is not None
    np.testing.assert_allclose(units.scale, 1e-4)
    assert units.kind == "reflectance"


def test_envi_s_gains_are_one_a_band(tmp_path: Path) -> None:
    lines = "data gain values = {0.1, 0.2,\n 0.3, 0.4}\ndata offset values = {1, 2, 3, 4}\n"
    units = units_of_file(envi(tmp_path, lines + "data units = Radiance\n"))
    assert units is not None
    np.testing.assert_allclose(units.scale, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(units.offset, [1, 2, 3, 4])
    assert units.kind == "radiance"


def test_a_factor_goes_before_gains(tmp_path: Path) -> None:
    lines = "reflectance scale factor = 5000\ndata gain values = {1, 2, 3, 4}\n"
    units = units_of_file(envi(tmp_path, lines))
    assert units is not None
    np.testing.assert_allclose(units.scale, 1 / 5000)


def hdf5(folder: Path, name: str, **said: Any) -> Path:
    path = folder / "c.h5"
    with h5py.File(path, "w") as file:
        cube = file.create_dataset(name, data=CUBE)
        for key, value in said.items():
            cube.attrs[key] = value
    return path


def test_cf_multiplies_and_neon_divides(tmp_path: Path) -> None:
    said = {"scale_factor": np.float32(0.0001), "add_offset": 0.5, "units": "1"}
    units = units_of_file(hdf5(tmp_path, "surface_reflectance", **said))
    assert units is not None
    np.testing.assert_allclose(units.scale, 1e-4, rtol=1e-6)
    np.testing.assert_allclose(units.offset, 0.5)
    assert units.kind == "reflectance"
    units = units_of_file(
        hdf5(tmp_path, "SITE/Reflectance/Reflectance_Data", Scale_Factor=np.float32(10000))
    )
    assert units is not None
    np.testing.assert_allclose(units.scale, 1e-4)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (("Surface_Reflectance", None), "reflectance"),
        (("toa radiance",), "radiance"),
        (("W m-2 sr-1 um-1",), "radiance"),
        (("uW/cm^2/nm/sr",), "radiance"),
        (("µW/cm² nm sr",), "radiance"),
        (("reflectance from radiance",), None),
        (("count", ""), None),
    ],
)
def test_the_kind_in_words(texts: tuple[str, ...], kind: str | None) -> None:
    assert kind_in(*texts) == kind


def test_physical_numbers_are_the_same_whatever_way_they_are_read(tmp_path: Path) -> None:
    cube = CUBE.copy()
    cube[1, 2, 3] = 65_535
    cube[2, 2] = 0
    path = tif(tmp_path, cube, scales=[1e-4] * 4, offsets=[-0.1] * 4)
    with rasterio.open(path, "r+") as raster:
        raster.nodata = 65_535
    with physical(open_scene(path)) as scene:
        wanted = (cube * 1e-4 - 0.1).astype(np.float32)
        wanted[1, 2, 3] = np.nan
        wanted[2, 2] = np.nan  # zeros are no measurement, whatever the offset makes of them
        np.testing.assert_allclose(scene.read(), wanted, rtol=1e-5)
        rows, cols = np.indices((ROWS, COLS)).reshape(2, -1)
        np.testing.assert_array_equal(scene.pixels(rows, cols).reshape(wanted.shape), scene.read())
        thin = scene.thinned([1, 2, 5], [0, 2], [3, 1])
        np.testing.assert_array_equal(thin, scene.read()[np.ix_([1, 2, 5], [0, 2], [3, 1])])
        assert scene.dtype == np.float32
        valid = scene.valid(scene.read())
    assert not valid[1, 2]
    assert not valid[2, 2]
    assert valid.sum() == ROWS * COLS - 2


def scaled_float(folder: Path, factor: float, lines: str = "") -> Scene:
    lines = lines or "reflectance scale factor = 10000\n"
    return open_scene(envi(folder, lines, (CUBE * factor).astype(np.float32)))


def test_a_scale_that_numbers_have_been_through_already_is_refused(tmp_path: Path) -> None:
    with scaled_float(tmp_path, 1e-4) as scene:
        raw = sample(scene, EVERY).spectra
        with pytest.raises(UnitsError, match=r"kept it.*pass --scale 1 "):
            refuse_scaled_twice(scene, raw, EVERY)
        refuse_scaled_twice(scaled_by(scene, 1.0), raw, EVERY)
    with (
        scaled_float(tmp_path, 1e-8) as scene,
        pytest.raises(UnitsError, match=r"pass --scale 10000 "),
    ):
        refuse_scaled_twice(scene, sample(scene, EVERY).spectra, EVERY)


@pytest.mark.parametrize(("factor", "lines"), [(1.0, ""), (1e-4, "data units = reflectance\n")])
def test_floats_that_their_scale_makes_reflectance_are_taken(
    tmp_path: Path, factor: float, lines: str
) -> None:
    with scaled_float(tmp_path, factor, lines) as scene:
        refuse_scaled_twice(scene, sample(scene, EVERY).spectra, EVERY)


def test_given_units_know_what_kind_the_file_tells(tmp_path: Path) -> None:
    with open_scene(envi(tmp_path, "data units = Reflectance\n")) as scene:
        assert scene.units is not None
        assert not scene.units.said
        given = scaled_by(scene, 0.25).units
    assert given is not None
    assert given.given
    assert given.said
    assert given.kind == "reflectance"
    np.testing.assert_array_equal(given.scale, 0.25)
