"""One cube as a file of each format, its axes in any order and its labels beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from scipy.io import netcdf_file, savemat

from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Order

Cube = npt.NDArray[Any]
NAMES = ("y", "x", "wavelength")
CENTRES = np.linspace(400, 1000, 7)
LABELS = (np.arange(143) % 4).reshape(13, 11).astype(np.uint8)
FIRST, MIDDLE = (BANDS, ROWS, COLS), (ROWS, BANDS, COLS)


def stored(cube: Cube, order: Order) -> Cube:
    """A cube (rows, cols, bands) with its axes in that order."""
    return np.ascontiguousarray(cube.transpose(order))


def own_order(plane: Cube, order: Order) -> Cube:
    """A plane (rows, cols) as it lies beside a cube of that order."""
    return plane.T if order.index(COLS) < order.index(ROWS) else plane


def hdf5(path: Path, cube: Cube, order: Order, **storage: Any) -> Path:
    path = path.with_suffix(".h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("cube", data=stored(cube, order), **storage)
        file["wavelengths_nm"] = CENTRES
        file["labels"] = own_order(LABELS, order)
    return path


def hdf5_chunks(path: Path, cube: Cube, order: Order) -> Path:
    return hdf5(path, cube, order, chunks=(3, 4, 2), compression="gzip")


def hdf5_attribute(path: Path, cube: Cube, order: Order) -> Path:
    path = hdf5(path, cube, order)
    with h5py.File(path, "a") as file:
        del file["wavelengths_nm"]
        file["cube"].attrs["wavelengths"] = ", ".join(map(str, CENTRES))
        file["cube"].attrs["wavelength_units"] = "nm"
    return path


def netcdf4(
    path: Path, cube: Cube, order: Order, *, grid: bool = False, labels: Cube = LABELS
) -> Path:
    path = path.with_suffix(".nc")
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        for name, values, said in coordinates(cube, grid):
            file[name] = values
            file[name].make_scale(name)
            file[name].attrs.update(said)
        data = file.create_dataset("reflectance", data=stored(cube, order))
        data.attrs["grid_mapping"] = "crs"
        for i, axis in enumerate(order):
            data.dims[i].attach_scale(file[NAMES[axis]])
        file["labels"] = labels
        for i in (0, 1):
            file["labels"].dims[i].attach_scale(file[NAMES[i]])
        file["crs"] = 0
        file["crs"].attrs["crs_wkt"] = utm() if grid else ""
    return path


def netcdf3(
    path: Path,
    cube: Cube,
    order: Order,
    *,
    grid: bool = False,
    labels: Cube = LABELS,
    record: int | None = None,
) -> Path:
    path = path.with_suffix(".nc")
    with netcdf_file(path, "w", version=2) as file:
        # An unlimited dimension must be the first that scipy is told of.
        each = sorted(enumerate(coordinates(cube, grid)), key=lambda pair: pair[0] != record)
        for axis, (name, values, said) in each:
            file.createDimension(name, None if axis == record else len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable[:] = values
            for key, text in said.items():
                setattr(variable, key, text)
        # Classic netCDF has no unsigned numbers.
        signed = cube.astype(cube.dtype.str.replace("u", "i"))
        data = file.createVariable("reflectance", signed.dtype, [NAMES[i] for i in order])
        data[:] = stored(signed, order)
        for key, text in (("_Unsigned", "true"), ("grid_mapping", "crs")):
            setattr(data, key, text)
        file.createVariable("labels", "i1", ("y", "x"))[:] = labels.astype("i1")
        setattr(file.createVariable("crs", "i4", ()), "crs_wkt", utm() if grid else "")  # noqa: B010
    return path


def coordinates(cube: Cube, grid: bool) -> list[tuple[str, Cube, dict[str, str]]]:
    """Of `y` from south to north, if placed: else without units, counting."""
    rows, cols, bands = cube.shape
    y = 5_000_000.0 + 10 * np.arange(rows) if grid else np.arange(float(rows))
    x = 300_000.0 + 10 * np.arange(cols) if grid else np.arange(float(cols))
    said = [{"units": "m", "standard_name": f"projection_{n}_coordinate"} for n in "yx"]
    return [
        ("y", y, said[0] if grid else {}),
        ("x", x, said[1] if grid else {}),
        ("wavelength", np.linspace(400, 1000, bands), {"units": "nm"}),
    ]


def utm() -> str:
    from rasterio.crs import CRS

    return str(CRS.from_epsg(32632).to_wkt())


def matlab5(path: Path, cube: Cube, order: Order) -> Path:
    path = path.with_suffix(".mat")
    inside = {"cube": stored(cube, order), "gt": own_order(LABELS, order)}
    savemat(
        path, {"data": {**inside, "wavelengths_nm": CENTRES[None]}, "on": np.ones((13, 11), bool)}
    )
    return path


def matlab73(path: Path, cube: Cube, order: Order) -> Path:
    path = path.with_suffix(".mat")
    with h5py.File(path, "w", userblock_size=512) as file:
        inside = {"cube": stored(cube, order), "gt": own_order(LABELS, order)}
        for name, array in {**inside, "wavelengths_nm": CENTRES[None]}.items():
            file[f"data/{name}"] = array.T
            file[f"data/{name}"].attrs["MATLAB_class"] = np.bytes_("double")
        file["data"].attrs["MATLAB_class"] = np.bytes_("struct")
        for name, kind in (("on", "logical"), ("words", "char")):
            file[name] = np.ones((11, 13), np.uint16)
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
        file["thin/data"], file["thin/ir"], file["thin/jc"] = np.ones(7), np.ones(7), np.ones(7)
        file["thin"].attrs["MATLAB_sparse"] = np.uint64(13)
        file["none"] = np.array([0, 0], np.uint64)
        file["none"].attrs["MATLAB_empty"] = np.uint8(1)
        file.create_group("#refs#")["a"] = np.ones((3, 4, 5))
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def archive(path: Path, cube: Cube, order: Order) -> Path:
    path = path.with_suffix(".npz")
    np.savez(path, cube=stored(cube, order), wavelengths_nm=CENTRES, gt=own_order(LABELS, order))
    return path
