"""Which axis holds the bands: one cube, written in each order and format, reads as the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from any_order import (
    CENTRES,
    FIRST,
    LABELS,
    MIDDLE,
    Cube,
    archive,
    hdf5,
    hdf5_attribute,
    hdf5_chunks,
    matlab5,
    matlab73,
    netcdf3,
    netcdf4,
    stored,
    utm,
)
from scipy.io import netcdf_file, savemat

from hsi_ssl.errors import SceneError, SettingsError
from hsi_ssl.labels.rasters import own_labels, read_label_plane
from hsi_ssl.scenes.axes import (
    ALL_ORDERS,
    BANDS,
    COLS,
    PLAIN,
    ROWS,
    SERIES,
    Asked,
    Dimension,
    Order,
    decide,
    in_words,
    names_wavelengths,
    order_of,
)
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene

Agrees = Callable[[Scene, Cube], None]
IN_FILE_ORDER = [order for order in ALL_ORDERS if order.index(ROWS) < order.index(COLS)]


NAMED = (netcdf3, netcdf4)
BY_LENGTH = (hdf5, hdf5_chunks, hdf5_attribute, matlab5, matlab73, archive)


@pytest.mark.parametrize(
    ("write", "order"),
    [*itertools.product(NAMED, ALL_ORDERS), *itertools.product(BY_LENGTH, IN_FILE_ORDER)],
)
def test_names_or_as_many_wavelengths_tell_the_bands(
    tmp_path: Path, cube: Cube, agrees: Agrees, write: Any, order: Order
) -> None:
    path = write(tmp_path / "s", cube, order)
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == CENTRES.tolist()
        assert len(scene.notes) == (order != PLAIN)
        assert all("wavelength" in note for note in scene.notes)
        np.testing.assert_array_equal(own_labels(scene), LABELS)
        assert scene.grid.transform is None
    agrees(open_scene(path), cube)


@pytest.mark.parametrize("write", [hdf5, hdf5_chunks, matlab5, matlab73, archive, netcdf3, netcdf4])
@pytest.mark.parametrize("order", ALL_ORDERS)
def test_what_the_user_says_goes_first(
    tmp_path: Path, cube: Cube, agrees: Agrees, write: Any, order: Order
) -> None:
    path = write(tmp_path / "s", cube, order)
    agrees(open_scene(path, axes=in_words(order)), cube)
    other = next(o for o in ALL_ORDERS if o != order)
    with open_scene(path, axes=in_words(other)) as scene:
        assert any("--axes" in note for note in scene.notes) == (other != PLAIN)
        sizes = stored(cube, order).shape
        assert scene.bands == sizes[other.index(BANDS)]


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("order", IN_FILE_ORDER)
def test_numpy_with_wavelengths_beside(
    tmp_path: Path, cube: Cube, agrees: Agrees, order: Order, fortran: bool
) -> None:
    array = stored(cube, order)
    np.save(tmp_path / "s.npy", np.asfortranarray(array) if fortran else array)
    (tmp_path / "w.csv").write_text("wavelength_nm\n" + "\n".join(map(str, CENTRES)))
    agrees(open_scene(tmp_path / "s.npy", wavelengths=tmp_path / "w.csv"), cube)
    agrees(open_scene(tmp_path / "s.npy", axes=in_words(order)), cube)
    listed = ", ".join(map(str, CENTRES))
    (tmp_path / "s.hdr").write_text(f"ENVI\nwavelength = {{{listed}}}\nwavelength units = nm\n")
    agrees(open_scene(tmp_path / "s.npy"), cube)


@pytest.mark.parametrize("kind", [netcdf3, netcdf4])
@pytest.mark.parametrize("order", [PLAIN, FIRST])
def test_north_is_up_where_coordinates_say_so(
    tmp_path: Path, cube: Cube, agrees: Agrees, kind: Any, order: Order
) -> None:
    path = kind(tmp_path / "s", cube[::-1], order, grid=True, labels=LABELS[::-1])
    with open_scene(path) as scene:
        assert scene.grid.transform == (10, 0, 299_995, 0, -10, 5_000_125)
        assert scene.grid.crs is not None
        assert '"32632"' in scene.grid.crs
        np.testing.assert_array_equal(own_labels(scene), LABELS)
        found = scene.thinned(np.arange(1, 13, 3), np.arange(1, 11, 3), [5, 0])
        np.testing.assert_array_equal(found, cube[1::3, 1::3][..., [5, 0]])
    agrees(open_scene(path), cube)


@pytest.mark.parametrize(("order", "record"), [(PLAIN, ROWS), (FIRST, BANDS), (MIDDLE, ROWS)])
def test_records_of_netcdf3(
    tmp_path: Path, cube: Cube, agrees: Agrees, order: Order, record: int
) -> None:
    """An unlimited dimension: its coordinate's numbers lie between those of the cube."""
    agrees(open_scene(netcdf3(tmp_path / "s", cube, order, record=record)), cube)


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.05, 0.01])
def test_netcdf3_cut_short(tmp_path: Path, cube: Cube, kept: float) -> None:
    path = netcdf3(tmp_path / "s", cube, PLAIN)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(SceneError, match=r"s\.nc is cut short") as caught:
        open_scene(path)
    assert len(str(caught.value).splitlines()) == 1


def test_degrees_need_no_grid_mapping(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.nc", "w") as file:
        for name, values in (("lat", 50 - 0.1 * np.arange(4)), ("lon", 7 + 0.1 * np.arange(5))):
            file[name] = values.astype(np.float32)
            file[name].make_scale(name)
        data = file.create_dataset("r", data=np.ones((3, 4, 5)))
        data.dims[1].attach_scale(file["lat"])
        data.dims[2].attach_scale(file["lon"])
    with open_scene(tmp_path / "s.nc") as scene:
        assert (scene.rows, scene.cols, scene.bands) == (4, 5, 3)
        assert scene.grid.transform == pytest.approx((0.1, 0, 6.95, 0, -0.1, 50.05), abs=1e-5)
        assert scene.grid.crs is not None
        assert '"4326"' in scene.grid.crs


@pytest.mark.parametrize("order", [PLAIN, FIRST, MIDDLE])
@pytest.mark.parametrize("name", ["transverse_mercator", "of_somebody"])
def test_a_crs_by_parameters_is_known_in_any_order(
    tmp_path: Path, cube: Cube, order: Order, name: str
) -> None:
    """GDAL itself drops it where the last two axes are not those of the ground."""
    path = netcdf4(tmp_path / "s", cube, order, grid=True)
    with h5py.File(path, "a") as file:
        del file["crs"].attrs["crs_wkt"]
        file["crs"].attrs.update(
            grid_mapping_name=name, scale_factor_at_central_meridian=0.9996, false_northing=0.0,
            longitude_of_central_meridian=9.0, latitude_of_projection_origin=0.0,
            false_easting=500_000.0, semi_major_axis=6378137.0, inverse_flattening=298.257223563,
        )  # fmt: skip
    with open_scene(path) as scene:
        known = name == "transverse_mercator"
        assert (scene.grid.crs is not None) == known
        assert any("no CRS" in note for note in scene.notes) != known
        assert scene.grid.transform is not None


def test_a_turned_grid_is_placed_by_its_geotransform(tmp_path: Path, cube: Cube) -> None:
    path = netcdf4(tmp_path / "s", cube, FIRST)
    with h5py.File(path, "a") as file:
        file["crs"].attrs.update(crs_wkt=utm(), GeoTransform="300000 8 6 5000000 6 -8")
        for name in "yx":
            file[name].attrs["NAME"] = "This is a netCDF dimension but not a netCDF variable."
    with open_scene(path) as scene:
        assert scene.grid.transform == (8, 6, 300_000, 6, -8, 5_000_000)
        assert scene.grid.crs is not None


def test_uneven_coordinates_place_nothing(tmp_path: Path, cube: Cube) -> None:
    path = netcdf4(tmp_path / "s", cube, PLAIN, grid=True)
    with h5py.File(path, "a") as file:
        file["x"][3] += 4
    with open_scene(path) as scene:
        assert scene.grid.transform is None
        assert any("not regular" in note for note in scene.notes)


def test_bands_first_by_their_wavelengths(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    fields = "HDFEOS/SWATHS/HYP/Data Fields/surface_reflectance"
    with h5py.File(tmp_path / "tanager.h5", "w") as file:
        file[fields] = stored(cube, FIRST)
        file[fields].attrs["wavelengths"] = CENTRES.astype(np.float32)
    agrees(open_scene(tmp_path / "tanager.h5"), cube)


@pytest.mark.parametrize("values", [[str(c) for c in CENTRES], ["; ".join(map(str, CENTRES))]])
def test_wavelengths_as_texts(tmp_path: Path, cube: Cube, values: list[str]) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["cube"] = stored(cube, FIRST)
        file["wavelength_nm"] = values
    with open_scene(tmp_path / "s.h5") as scene:
        assert scene.bands == 7
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == CENTRES.tolist()


def test_labels_tell_the_axes(tmp_path: Path, cube: Cube) -> None:
    for order in IN_FILE_ORDER:
        with h5py.File(tmp_path / "s.h5", "w") as file:
            file["cube"], file["gt"] = stored(cube, order), LABELS
        with open_scene(tmp_path / "s.h5") as scene:
            np.testing.assert_array_equal(scene.read(), cube)
            assert len(scene.notes) == (order != PLAIN)


def test_two_readings_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["cube"], file["wavelengths"] = np.zeros((7, 5, 7)), CENTRES
    both = r"5 x 7 pixels of 7 bands \(--axes bands,rows,cols\)"
    with pytest.raises(SceneError, match=r"7 x 5 pixels of 7 bands \(--axes rows,cols,bands\)"):
        open_scene(tmp_path / "s.h5")
    with pytest.raises(SceneError, match=both) as caught:
        open_scene(tmp_path / "s.h5")
    assert len(str(caught.value).splitlines()) == 1
    # A plane of which nobody knows what it is contradicts the last axis, and decides nothing.
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["cube"], file["dark"] = np.zeros((7, 5, 9)), np.zeros((5, 9))
    with pytest.raises(SceneError, match="may be"):
        open_scene(tmp_path / "t.h5")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("time", {}),
        ("n", {"axis": "T"}),
        ("n", {"units": "days since 2020-01-01"}),
        ("n", {"standard_name": "realization"}),
        ("level", {}),
        ("p", {"axis": "Z"}),
        ("sample", {}),
    ],
)
def test_series_are_no_spectra(tmp_path: Path, name: str, said: dict[str, str]) -> None:
    for which in (0, 2):
        names = ["y", "x"]
        names.insert(which, name)
        with netcdf_file(tmp_path / "s.nc", "w") as file:
            for one in names:
                file.createDimension(one, 6)
                file.createVariable(one, "f8", (one,))[:] = np.arange(6)
            for key, text in said.items():
                setattr(file.variables[name], key, text)
            file.createVariable("lai", "f4", names)[:] = 1
        with pytest.raises(SceneError, match=rf"an axis {name} of 6 steps.*no spectrum"):
            open_scene(tmp_path / "s.nc")
        with open_scene(tmp_path / "s.nc", axes="rows,cols,bands") as scene:
            assert scene.bands == 6


def test_words_of_dimensions() -> None:
    for names, role in (
        ("y Rows lines lat downtrack along_track nrows /group/y", ROWS),
        ("x col samples LON crosstrack across", COLS),
        ("wavelength wl band Bands lambda radiation_wavelength", BANDS),
        ("time level realization", SERIES),
        ("phony_dim_0 a", None),
    ):
        for name in names.split():
            assert Dimension(3, name).role == role, name
    assert Dimension(3, "d", {"units": b"degrees_north"}).role == ROWS
    assert Dimension(3, "d", {"axis": "X"}).role == COLS
    assert Dimension(3, "wavelength", {"axis": "Z"}).role == BANDS
    for name in (
        "wavelengths",
        "List_Wavelength",
        "center_wavelengths",
        "wl",
        "data/wvl",
        "Lambda",
    ):
        assert names_wavelengths(name), name
    for name in ("wavelength_units", "fwhm", "wavelength_uncertainty", "wldata", "lambdas_std"):
        assert not names_wavelengths(name), name


def test_axes_as_the_user_writes_them() -> None:
    for words in itertools.permutations(("rows", "cols", "bands")):
        assert in_words(order_of(", ".join(words))) == ",".join(words)
    for text in ("rows,cols", "rows,cols,cols", "y,x,bands", ""):
        with pytest.raises(SettingsError, match="expected bands, rows and cols"):
            order_of(text)


def test_evidence_in_its_order() -> None:
    shape, path = (5, 6, 7), Path("s.h5")
    dims = [Dimension(5, "band"), Dimension(6, "y"), Dimension(7, "x")]
    every: dict[str, Any] = {
        "dimensions": dims,
        "vectors": [("wl", 6)],
        "planes": {"labels": (5, 6)},
    }

    def order(asked: Asked = Asked(), **known: Any) -> Order:  # noqa: B008
        return decide(shape, asked, of="cube", path=path, **known).order

    assert order(Asked(PLAIN), **every) == PLAIN
    assert order(**every) == FIRST
    assert order(vectors=[("wl", 6)], planes=every["planes"]) == MIDDLE
    assert order(planes={"labels": (5, 7)}) == MIDDLE
    assert order(planes={"labels": (9, 9)}) == PLAIN
    assert order() == PLAIN
    with pytest.raises(SceneError, match="may be"):
        order(dimensions=[Dimension(5, "y"), Dimension(6), Dimension(7)])
    assert order(dimensions=[Dimension(5, "time"), Dimension(6, "x"), Dimension(7, "wl")]) == PLAIN


def test_polygons_give_the_same_spectra(tmp_path: Path, cube: Cube) -> None:
    """Of both kinds of netCDF, in any order of axes: what is at one place is one spectrum."""
    spectra = []
    for write, order in itertools.product((netcdf3, netcdf4), (PLAIN, FIRST)):
        with open_scene(write(tmp_path / "s", cube, order, grid=True)) as scene:
            a, _, c, _, e, f = scene.grid.transform or (0,) * 6
            x, y = 300_033.0, 5_000_071.0
            spectra.append(scene.pixels([int((y - f) / e)], [int((x - c) / a)])[0])
    for found in spectra:
        np.testing.assert_array_equal(found, cube[7, 3])


def test_a_format_that_tells_its_axes(tmp_path: Path, cube: Cube) -> None:
    header = "ENVI\nsamples = 11\nlines = 13\nbands = 7\ndata type = 12\ninterleave = bip\n"
    cube.tofile(tmp_path / "s.dat")
    (tmp_path / "s.hdr").write_text(header)
    with open_scene(tmp_path / "s.dat", axes="bands,rows,cols") as scene:
        assert scene.bands == 7
        assert any("--axes is not used" in note for note in scene.notes)


def test_planes_of_netcdf3(tmp_path: Path, cube: Cube) -> None:
    """A file of planes only is a scene of one band, as other rasters of labels are."""
    with netcdf_file(tmp_path / "labels.nc", "w") as file:
        for name, size in (("y", 13), ("x", 11)):
            file.createDimension(name, size)
            file.createVariable(name, "f8", (name,))[:] = np.arange(size) * 10.0 + 1000
        file.createVariable("labels", "i2", ("y", "x"))[:] = LABELS[::-1]
    with open_scene(tmp_path / "labels.nc") as scene:
        assert (scene.rows, scene.cols, scene.bands) == (13, 11, 1)
        np.testing.assert_array_equal(scene.read()[..., 0], LABELS)
    np.testing.assert_array_equal(read_label_plane(tmp_path / "labels.nc", shape=(13, 11)), LABELS)


def test_logical_planes_only_where_nothing_else_is(tmp_path: Path) -> None:
    savemat(tmp_path / "s.mat", {"on": LABELS > 1})
    np.testing.assert_array_equal(read_label_plane(tmp_path / "s.mat"), LABELS > 1)
