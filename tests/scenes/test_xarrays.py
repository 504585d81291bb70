"""Scenes as DataArrays and back: lazily, with wavelengths, place and units."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray
from delivered import turned
from emit_files import write_emit
from rasterio.transform import Affine

import hsi_ssl
from hsi_ssl.errors import HsiSslWarning
from hsi_ssl.scenes.geolocation import Geolocation
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Array, Grid, Scene
from hsi_ssl.scenes.units import units_of
from hsi_ssl.watcher import SILENT

CUBE = np.arange(7 * 5 * 4, dtype=np.uint16).reshape(7, 5, 4)
WAVELENGTHS = np.array([500.0, 600, 700, 800])


class Counting(ArrayReader):
    """Keeps what was asked for."""

    def __init__(self, cube: Array) -> None:
        super().__init__(cube)
        self.asked: list[tuple[int, ...]] = []

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        self.asked.append((row0, row1, col0, col1))
        return super().window(row0, row1, col0, col1)


def utm() -> str:
    return str(rasterio.crs.CRS.from_epsg(32633).to_wkt())


def scene(reader: ArrayReader | None = None, **facts: object) -> Scene:
    known = {
        "wavelengths_nm": WAVELENGTHS,
        "good": np.array([True, True, False, True]),
        "nodata": 9999.0,
        "grid": Grid(utm(), (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_800_000.0)),
    }
    return Scene(
        Path("flight.tif"), "test", 7, 5, 4, CUBE.dtype, reader or ArrayReader(CUBE),
        **{**known, **facts},  # type: ignore[arg-type]
    )  # fmt: skip


def test_nothing_is_read_before_it_is_wanted_and_then_no_more() -> None:
    reader = Counting(CUBE)
    array = scene(reader).to_xarray()
    part = array[2:4, 1:3].sel(band=[1, 3]).transpose("band", "y", "x")
    assert not reader.asked
    assert np.array_equal(part.values, CUBE[2:4, 1:3][..., [0, 2]].transpose(2, 0, 1))
    assert reader.asked == [(2, 4, 1, 3)]


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), slice(None), slice(None)),
        (slice(6, 1, -2), slice(None, None, 3), 2),
        (3, slice(1, 2), [3, 0]),
        ([5, 0, 2], [4, 4], slice(None, None, -1)),
        (-1, -2, -3),
        (slice(3, 3), slice(None), slice(1, 2)),
    ],
)
def test_any_indices_give_what_numpy_gives(key: tuple[object, ...]) -> None:
    array = scene().to_xarray()
    expected = xarray.DataArray(CUBE, dims=("y", "x", "band"))[key]
    assert array[key].dims == expected.dims
    assert np.array_equal(array[key].values, expected.values)


def test_what_is_known_of_a_scene_is_said_as_rioxarray_says_it() -> None:
    array = scene().to_xarray()
    assert array.dims == ("y", "x", "band")
    assert array.wavelength.values.tolist() == WAVELENGTHS.tolist()
    assert array.wavelength.attrs["units"] == "nm"
    assert array.good.values.tolist() == [True, True, False, True]
    assert array.attrs["_FillValue"] == 9999
    place = array.coords["spatial_ref"].attrs
    assert rasterio.crs.CRS.from_wkt(place["crs_wkt"]).to_epsg() == 32633
    numbers = tuple(map(float, place["GeoTransform"].split()))
    assert Affine.from_gdal(*numbers) == Affine(30, 0, 400_000, 0, -30, 5_800_000)
    assert array.x.values[:2].tolist() == [400_015, 400_045]
    assert array.y.values[:2].tolist() == [5_799_985, 5_799_955]
    assert array.encoding["source"] == "flight.tif"


@pytest.mark.parametrize("turn", [("y", "x", "band"), ("band", "y", "x")])
def test_there_and_back_nothing_is_lost(turn: tuple[str, ...]) -> None:
    given = scene(units=units_of(4, scale=[1e-4, 1e-4, 2e-4, 1e-4], kind="reflectance", source="s"))
    back = hsi_ssl.from_xarray(given.to_xarray().transpose(*turn))
    assert np.array_equal(back.read(), CUBE)
    assert np.array_equal(back.pixels([1, 6], [2, 0]), CUBE[[1, 6], [2, 0]])
    assert back.wavelengths_nm is not None
    assert back.wavelengths_nm.tolist() == WAVELENGTHS.tolist()
    assert back.good.tolist() == [True, True, False, True]
    assert back.nodata == 9999
    assert back.grid == given.grid
    assert back.units is not None
    assert given.units is not None
    assert back.units.same_numbers(given.units)
    assert back.units.kind == "reflectance"


@pytest.mark.parametrize("degrees", [True, False])
def test_a_swath_keeps_its_places(degrees: bool) -> None:
    x, y = np.meshgrid(np.linspace(10, 12, 5), np.linspace(50, 47, 7))
    x[2, 3] = y[2, 3] = np.nan
    crs = str(rasterio.crs.CRS.from_epsg(4326).to_wkt()) if degrees else utm()
    array = scene(grid=Grid(crs, geolocation=Geolocation(x, y, degrees))).to_xarray()
    for one in (array, array.transpose("band", "x", "y")):
        back = hsi_ssl.from_xarray(one)
        assert back.grid.geolocation is not None
        assert (back.grid.crs, back.grid.geolocation.degrees) == (crs, degrees)
        np.testing.assert_array_equal(back.grid.geolocation.x, x)
        np.testing.assert_array_equal(back.grid.geolocation.y, y)
        assert any("sensor geometry" in note for note in back.notes)
        assert np.argwhere(~back.valid(back.read())).tolist() == [[2, 3]]
    part = hsi_ssl.from_xarray(array[3:, 1:])
    assert part.grid.geolocation is not None
    np.testing.assert_array_equal(part.grid.geolocation.x, x[3:, 1:])


def test_longitudes_and_latitudes_of_others() -> None:
    x, y = np.meshgrid(np.linspace(10, 12, 5), np.linspace(50, 47, 7))
    coordinates = {
        "lon": (("line", "sample"), x, {"standard_name": "longitude"}),
        "lat": (("line", "sample"), y, {"standard_name": "latitude"}),
        "wavelength": ("bands", WAVELENGTHS),
    }
    back = hsi_ssl.from_xarray(
        xarray.DataArray(CUBE, coordinates, ("line", "sample", "bands")), axes="rows,cols,bands"
    )
    assert back.grid.geolocation is not None
    assert back.grid.geolocation.degrees
    assert back.grid.crs is not None


def test_a_lookup_table_is_missed_aloud(tmp_path: Path) -> None:
    with hsi_ssl.open_scene(write_emit(tmp_path, turned(20, 26)), watcher=SILENT) as swath:
        with pytest.warns(HsiSslWarning, match="lookup table, which xarray has no place for"):
            array = swath.to_xarray()
        back = hsi_ssl.from_xarray(array)
        assert back.grid.geolocation is not None
        assert swath.grid.geolocation is not None
        np.testing.assert_array_equal(back.grid.geolocation.x, swath.grid.geolocation.x)


def test_a_rotated_grid_has_no_coordinates_and_keeps_its_transform() -> None:
    grid = Grid(utm(), (20.0, 5.0, 300_000.0, 5.0, -20.0, 7_400_000.0))
    array = scene(grid=grid).to_xarray()
    assert "x" not in array.coords
    assert hsi_ssl.from_xarray(array).grid == grid


def test_a_part_lies_where_it_lies() -> None:
    part = hsi_ssl.from_xarray(scene().to_xarray()[2:, 1:])
    assert part.grid.transform == (30.0, 0.0, 400_030.0, 0.0, -30.0, 5_799_940.0)
    assert part.grid.crs is not None


def test_rows_that_run_north_are_turned() -> None:
    array = xarray.DataArray(
        CUBE.transpose(2, 0, 1), dims=("wavelength", "lat", "lon"),
        coords={
            "wavelength": ("wavelength", [0.5, 0.6, 0.7, 0.8], {"units": "um"}),
            "lat": 10 + 0.1 * np.arange(7), "lon": 20 + 0.1 * np.arange(5),
        },
    )  # fmt: skip
    found = hsi_ssl.from_xarray(array)
    assert np.array_equal(found.read(), CUBE[::-1])
    assert found.wavelengths_nm is not None
    assert found.wavelengths_nm.tolist() == WAVELENGTHS.tolist()
    assert found.grid.transform is not None
    assert np.allclose(found.grid.transform, (0.1, 0, 19.95, 0, -0.1, 10.65))


def test_what_is_no_cube_is_refused() -> None:
    for values, dims in ((CUBE[0], ("x", "band")), (CUBE.astype(str), ("y", "x", "band"))):
        with pytest.raises(hsi_ssl.HsiSslError, match="numbers over rows, columns and bands"):
            hsi_ssl.from_xarray(xarray.DataArray(values, dims=dims))
    with pytest.raises(hsi_ssl.HsiSslError, match="axis time of 7 steps"):
        hsi_ssl.from_xarray(xarray.DataArray(CUBE, dims=("time", "y", "x")))


def test_control_points_are_missed_aloud() -> None:
    from hsi_ssl.scenes.scene import GroundPoint

    with pytest.warns(hsi_ssl.HsiSslWarning, match="control points"):
        scene(grid=Grid(utm(), None, (GroundPoint(0, 0, 1, 1),))).to_xarray()


@pytest.mark.slow
def test_without_xarray_there_is_a_sentence(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; sys.modules['xarray'] = None; import hsi_ssl\n"
        "np.save('a.npy', np.ones((2, 3, 4)))\n"
        "try:\n"
        "    hsi_ssl.open_scene('a.npy').to_xarray()\n"
        "except hsi_ssl.HsiSslError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "hsi-ssl[xarray]" in ran.stdout
