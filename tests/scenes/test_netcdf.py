"""What is data in netCDF and HDF5: fill values, missing values, valid ranges, unsigned numbers.

netCDF-4 is HDF5 with netCDF's attributes, which h5py writes here as netCDF's library does; netCDF-3
is written by scipy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy.io import netcdf_file

from hsi_ssl.labels.rasters import own_labels, read_label_plane
from hsi_ssl.scenes.measured import Measured, MeasuredReader
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers.cf import measured_values
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.scene import LARGEST

Cube = npt.NDArray[Any]
I2, F4, F8 = np.int16, np.float32, np.float64
ROWS, COLS, BANDS = 9, 8, 6


def cube_of(dtype: str) -> Cube:
    """Each value from 1 to 100 somewhere, and the default fill values."""
    cube = np.random.default_rng(0).integers(1, 101, (ROWS, COLS, BANDS)).astype(dtype)
    kind = np.dtype(dtype)
    cube[0, 0] = {"i2": -32767, "u2": 65535, "f4": F4(9.9692099683868690e36)}.get(dtype, 1)
    cube[0, 1] = -1 if kind.kind == "i" else 1
    return cube


def netcdf4(path: Path, cube: Cube, chunks: bool, **attributes: Any) -> Path:
    """A file as netCDF's library leaves it."""
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        packed = {"chunks": (4, 4, 3), "compression": "gzip"} if chunks else {}
        variable = file.create_dataset("reflectance", data=cube, **packed)
        for name, value in attributes.items():
            # netCDF's attributes of one number are vectors of length one.
            variable.attrs[name] = value if isinstance(value, str) else np.atleast_1d(value)
    return path


def netcdf3(path: Path, cube: Cube, **attributes: Any) -> Path:
    """The cube as bands, rows, columns."""
    with netcdf_file(path, "w", version=2) as file:
        for name, size in (("band", BANDS), ("y", ROWS), ("x", COLS)):
            file.createDimension(name, size)
        variable = file.createVariable("reflectance", cube.dtype, ("band", "y", "x"))
        variable[:] = np.moveaxis(cube, -1, 0)
        for name, value in attributes.items():
            setattr(variable, name, value)
    return path


CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "default fill": ("i2", {}, lambda v: v != -32767),
    "default fill of floats": ("f4", {}, lambda v: v < 1e30),
    "bytes have none": ("i1", {}, lambda v: v < 200),
    "fill value": ("i2", {"_FillValue": I2(5)}, lambda v: v != 5),
    "missing value": ("i2", {"missing_value": I2(5)}, lambda v: (v != 5) & (v != -32767)),
    "both": (
        "i2", {"_FillValue": I2(5), "missing_value": np.array([7, 9], I2)},
        lambda v: ~np.isin(v, (5, 7, 9)),
    ),
    "NaN and a number": (
        "f4", {"_FillValue": F4(np.nan), "missing_value": F4(7)}, lambda v: v != 7,
    ),
    "valid range": (
        "i2", {"_FillValue": I2(-9), "valid_range": np.array([10, 80], I2)},
        lambda v: (v >= 10) & (v <= 80),
    ),
    "valid range of floats": (
        "f4", {"valid_range": np.array([10, 80], F4)}, lambda v: (v >= 10) & (v <= 80),
    ),
    "valid minimum": ("i2", {"valid_min": I2(30)}, lambda v: v >= 30),
    "valid maximum": ("f4", {"valid_max": F4(30)}, lambda v: v <= 30),
    "packed range": (
        "i2", {"valid_range": np.array([10, 80], I2), "scale_factor": F4(0.1)},
        lambda v: (v >= 10) & (v <= 80),
    ),
    "unpacked range": (
        "i2", {"valid_range": np.array([1, 8], F4), "scale_factor": F4(0.1)},
        lambda v: (v >= 10) & (v <= 80),
    ),
    "unpacked range with an offset": (
        "i2",
        {"valid_min": F8(3), "valid_max": F8(8), "scale_factor": F4(0.1), "add_offset": F8(2)},
        lambda v: (v >= 10) & (v <= 60),
    ),
    "unpacked range upside down": (
        "i2", {"valid_range": np.array([-8, -1], F8), "scale_factor": F8(-0.1)},
        lambda v: (v >= 10) & (v <= 80),
    ),
    "range of another type than the scale": (
        "i2", {"valid_range": np.array([10, 80], F8), "scale_factor": F4(0.1)},
        lambda v: (v >= 10) & (v <= 80),
    ),
    "unsigned": (
        "i2", {"_Unsigned": "true", "_FillValue": I2(-1)}, lambda v: v != 65535,
    ),
    "unsigned range": (
        "i2", {"_Unsigned": "true", "_FillValue": I2(3), "valid_range": np.array([5, -2], I2)},
        lambda v: (v >= 5) & (v <= 65534),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["netcdf4", "netcdf4 chunks", "netcdf3"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_data(tmp_path: Path, case: str, kind: str) -> None:
    dtype, attributes, is_data = CASES[case]
    cube = cube_of(dtype)
    if kind == "netcdf3":
        path = netcdf3(tmp_path / "s.nc", cube, **attributes)
    else:
        path = netcdf4(tmp_path / "s.nc", cube, "chunks" in kind, **attributes)
    if "_Unsigned" in attributes:
        cube = cube.view("u2")
    wanted = is_data(cube)
    assert 0 < wanted.mean() <= 1
    with open_scene(path) as scene:
        assert scene.dtype == cube.dtype
        found = scene.read()
        np.testing.assert_array_equal(found[wanted], cube[wanted])
        if scene.nodata is None:
            assert wanted.all()
        else:
            nothing = np.isnan(found) if np.isnan(scene.nodata) else found == scene.nodata
            np.testing.assert_array_equal(nothing, ~wanted)
        wanted &= ~(np.abs(cube.astype(float)) > LARGEST)  # whatever attributes say
        np.testing.assert_array_equal(scene.valid(found), wanted.all(axis=-1))
        r, c = np.indices((ROWS, COLS)).reshape(2, -1)
        np.testing.assert_array_equal(scene.pixels(r, c), found.reshape(-1, BANDS))
        thinned = scene.thinned(np.arange(1, ROWS, 3), np.arange(1, COLS, 3), [5, 0])
        np.testing.assert_array_equal(thinned, found[1::3, 1::3][..., [5, 0]])
        np.testing.assert_array_equal(scene.read(slice(2, 5), slice(1, 7)), found[2:5, 1:7])


def test_one_value_reads_as_fast_as_ever(tmp_path: Path) -> None:
    with open_scene(netcdf4(tmp_path / "s.nc", cube_of("i2"), False)) as scene:
        assert type(scene.reader) is FlatReader
        assert scene.nodata == -32767
    with open_scene(netcdf4(tmp_path / "s.nc", cube_of("i2"), False, valid_min=I2(0))) as scene:
        assert type(scene.reader) is MeasuredReader
        assert scene.nodata == -32767


def test_default_fill_values_are_those_of_netcdf_only(tmp_path: Path) -> None:
    cube = cube_of("u2")
    for name, attributes, nodata in (
        ("plain", {}, None),
        ("cf", {"Conventions": "CF-1.8"}, 65535),
        ("cf bytes", {"Conventions": np.bytes_("CF-1.6, ACDD-1.3")}, 65535),
        ("other", {"Conventions": "ACDD-1.3"}, None),
    ):
        with h5py.File(tmp_path / "s.h5", "w") as file:
            file["cube"] = cube
            file.attrs.update(attributes)
        with open_scene(tmp_path / "s.h5") as scene:
            assert scene.nodata == nodata, name
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.attrs["_NCProperties"] = "version=2"
        # netCDF's "no fill mode": space that nobody wrote holds anything.
        file.create_dataset("cube", data=cube, fill_time="never")
    with open_scene(tmp_path / "s.h5") as scene:
        assert scene.nodata is None


def test_spellings_of_other_programs_stay(tmp_path: Path) -> None:
    cube = cube_of("i2")
    for name, value in (
        ("Data_Ignore_Value", [-1.0]), ("NODATA", -1), ("_fillvalue", I2(-1)), ("no_data", F8(-1)),
    ):  # fmt: skip
        with h5py.File(tmp_path / "s.h5", "w") as file:
            file["cube"] = cube
            file["cube"].attrs[name] = value
            file["cube"].attrs["comment"] = "nothing"
        with open_scene(tmp_path / "s.h5") as scene:
            assert scene.nodata == -1
            assert type(scene.reader) is FlatReader
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file["cube"].attrs["missing_value"] = [I2(4), I2(-32767)]
    with open_scene(tmp_path / "s.h5") as scene:
        assert scene.nodata == -1
        found = scene.read()
    np.testing.assert_array_equal(found, np.where(np.isin(cube, (4, -32767)), -1, cube))


def test_label_planes(tmp_path: Path) -> None:
    """Their default fill value does not count: 0 would be a class then."""
    labels = np.arange(ROWS * COLS).reshape(ROWS, COLS).astype(np.int16) % 9
    for attributes, codes in (
        ({}, labels),
        ({"_FillValue": I2(4), "missing_value": [I2(5), I2(6)]}, np.where(
            np.isin(labels, (4, 5, 6)), 0, labels)),
        ({"valid_range": np.array([1, 7], I2)}, np.where(labels == 8, 0, labels)),
    ):  # fmt: skip
        path = netcdf4(tmp_path / "s.nc", cube_of("i2"), False)
        with h5py.File(path, "a") as file:
            file["labels"] = labels
            file["labels"].attrs.update(attributes)
        np.testing.assert_array_equal(read_label_plane(path, shape=(ROWS, COLS)), codes)
        with open_scene(path) as scene:
            np.testing.assert_array_equal(own_labels(scene), codes)


def test_attributes_that_are_no_numbers_say_nothing() -> None:
    said = {"_FillValue": "missing", "valid_min": np.array([np.nan]), "scale_factor": F8(0)}
    assert measured_values(said, np.dtype("i2"), default=False) == Measured()
    assert measured_values({"_FillValue": 1}, np.dtype(bool), default=True) == Measured()
