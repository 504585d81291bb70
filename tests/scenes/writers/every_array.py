"""Scenes written as arrays: HDF5, netCDF-3 and -4, MATLAB and NumPy.

netCDF-4 is HDF5 that is written here as netCDF's library and xarray leave it; MATLAB's version 7.3
as MATLAB does, with all axes reversed.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from drawn_scene import UNITS, UP_TO_32_BITS, Array, Draw, DrawnScene, Way, Written
from rasterio.crs import CRS
from scipy.io import netcdf_file, savemat

ROWS, COLS, BANDS = range(3)
ORDERS = tuple(itertools.permutations(range(3)))
"""What the axes of an array are, first to last."""
IN_FILE_ORDER = tuple(order for order in ORDERS if order.index(ROWS) < order.index(COLS))
WORDS = ("rows", "cols", "bands")
NAMES = {
    "plain": ("y", "x", "wavelength"), "long": ("northing", "easting", "bands"),
    "lines": ("line", "sample", "band"), "degrees": ("lat", "lon", "wavelength"),
}  # fmt: skip
NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable. %10d"
MATLAB_CLASSES = {"float32": "single", "float64": "double"}
SIGNED = {"u1": "i1", "u2": "i2", "u4": "i4"}


def in_words(order: tuple[int, ...]) -> str:
    return ",".join(WORDS[axis] for axis in order)


def stored(cube: Array, order: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(cube.transpose(order))


def pick_order(draw: Draw, orders: tuple[tuple[int, ...], ...] = ORDERS) -> tuple[int, ...]:
    order = draw.pick("order", orders)
    draw.said["order"] = in_words(order)
    return order


def storage(draw: Draw) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "contiguous": {},
        "chunks": {"chunks": (3, 4, 2)},
        "gzip": {"chunks": (2, 3, 4), "compression": "gzip", "shuffle": True},
        "lzf": {"chunks": True, "compression": "lzf", "fletcher32": True},
    }
    return kinds[draw.pick("storage", list(kinds))]


def in_unit(scene: DrawnScene, draw: Draw, *units: str) -> tuple[str, Array, Array]:
    unit = draw.pick("unit", units or list(UNITS))
    return unit, scene.wavelengths * UNITS[unit], scene.fwhm * UNITS[unit]


# ------------------------------------------------------------------------------------- HDF5


def hdf5(folder: Path, scene: DrawnScene, draw: Draw, *, nameless: bool = False) -> Written:
    """Any HDF5: names of axes where dimensions have some, or as many wavelengths as bands."""
    named = not nameless and draw.yes("dimensions named?")
    order = pick_order(draw, ORDERS if named else IN_FILE_ORDER)
    unit, centres, widths = in_unit(scene, draw)
    path = folder / draw.pick("suffix", ("s.h5", "s.hdf5", "s.he5"))
    with h5py.File(path, "w") as file:
        array = stored(scene.cube, order)
        if draw.yes("big-endian?"):
            array = array.astype(array.dtype.newbyteorder(">"))
        cube = file.create_dataset(draw.pick("name", ("cube", "flight/rad")), data=array,
                                   **storage(draw))  # fmt: skip
        if named:
            names = NAMES[draw.pick("names", ("plain", "long", "lines"))]
            if draw.yes("names as xarray's attribute?"):
                cube.attrs["_ARRAY_DIMENSIONS"] = [names[axis] for axis in order]
            else:
                for i, axis in enumerate(order):
                    cube.dims[i].label = names[axis]
        if draw.yes("wavelengths as attributes?"):
            cube.attrs["wavelength"] = centres
            cube.attrs["wavelength_units"] = unit
            cube.attrs["fwhm"] = widths
            cube.attrs["bbl"] = scene.good.astype("u1")
        else:
            vector = cube.parent.create_dataset("wavelengths", data=centres)
            vector.attrs["units"] = unit
            cube.parent["fwhm"] = widths
            cube.parent["good_bands"] = scene.good.astype("u1")
        if scene.nodata is not None:
            name = draw.pick("nodata name", ("_FillValue", "Data_Ignore_Value", "nodata"))
            cube.attrs[name] = scene.cube.dtype.type(scene.nodata)
        packing(cube.attrs, scene)
    return Written(path)


def packing(attributes: Any, scene: DrawnScene) -> None:
    if scene.scale is not None:
        attributes["scale_factor"] = np.float64(scene.scale)
        attributes["add_offset"] = np.float64(scene.offset)
        attributes["units"] = "reflectance"


def drill_core(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    unit, centres, _ = in_unit(scene, draw, "nm")
    path = folder / "s.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("hsimage/data", data=scene.cube, **storage(draw))
        file["hsimage/wavelengths"] = centres
        file["hsimage/wavelengths"].attrs["units"] = unit
    return Written(path)


def neon(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    """NEON's reflectance: a factor that divides, windows of bad bands, `map info` as text."""
    path = folder / "s.h5"
    with h5py.File(path, "w") as file:
        top = file.create_group("TEAK/Reflectance")
        top.attrs["Band_Window_1_Nanometers"] = [1, 2]  # none, rather than those of water
        data = top.create_dataset("Reflectance_Data", data=scene.cube, **storage(draw))
        data.attrs["Data_Ignore_Value"] = np.float64(scene.nodata or -9999)
        data.attrs["Scale_Factor"] = np.float64(1e4)
        data.attrs["Dimension_Labels"] = "Line, Sample, Wavelength"
        spectral = top.create_group("Metadata/Spectral_Data")
        spectral["Wavelength"] = scene.wavelengths
        spectral["Wavelength"].attrs["Units"] = "nanometers"
        spectral["FWHM"] = scene.fwhm
        if scene.transform is not None and scene.crs is not None:
            place = top.create_group("Metadata/Coordinate_System")
            a, _, c, _, e, f = scene.transform[:6]
            place["Map_Info"] = (
                f"UTM,  1.000,  1.000, {c}, {f}, {a!r}, {-e!r},  33,  North,  WGS-84,  units=Meters"
            )
            place["EPSG Code"] = str(CRS.from_string(scene.crs).to_epsg())
    return Written(path)


# ----------------------------------------------------------------------------------- netCDF


class Vector(NamedTuple):
    """A variable along one axis; a coordinate where it is called as its dimension is."""

    name: str
    axis: int
    values: Array
    said: dict[str, str]


def spectral(scene: DrawnScene, draw: Draw, names: tuple[str, ...]) -> list[Vector]:
    """Wavelengths, as the coordinate of the bands or as a variable along them, and the like."""
    unit, centres, widths = in_unit(scene, draw)
    said: dict[str, str] = {"units": unit}
    name = names[BANDS]
    if draw.yes("wavelengths are no coordinate?"):
        name = draw.pick(
            "called", ("wavelengths", "wl", "sensor_band_central_radiation_wavelength")
        )
    if draw.yes("standard name of wavelength?") or name in {"bands", "band"}:
        said["standard_name"] = "radiation_wavelength"
    return [
        Vector(name, BANDS, centres, said),
        Vector("fwhm", BANDS, widths, {"units": unit}),
        Vector("good_wavelengths", BANDS, scene.good.astype("i1"), {}),
    ]


def coordinates(
    scene: DrawnScene, draw: Draw
) -> tuple[tuple[str, str, str], list[Vector], dict[str, Any]]:
    """Names of the dimensions, what lies along them, and what the grid mapping says."""
    rows, cols, _ = scene.shape
    ours = "degrees" if scene.crs == "EPSG:4326" else draw.pick("names", ("plain", "long", "lines"))
    names = NAMES[ours]
    found = spectral(scene, draw, names)
    if scene.transform is None or scene.crs is None:
        return names, found, {}
    crs = CRS.from_string(scene.crs)
    a, b, c, d, e, f = scene.transform[:6]
    if b or d or draw.yes("GeoTransform alone?"):  # as rioxarray places turned grids
        place = " ".join(map(repr, map(float, (c, a, b, f, d, e))))
        return names, found, {"crs_wkt": crs.to_wkt(), "GeoTransform": place}
    y, x = f + e * (np.arange(rows) + 0.5), c + a * (np.arange(cols) + 0.5)
    if scene.crs == "EPSG:4326":
        found += [
            Vector(names[0], ROWS, y, {"units": "degrees_north", "standard_name": "latitude"}),
            Vector(names[1], COLS, x, {"units": "degrees_east", "standard_name": "longitude"}),
        ]
        mapping: dict[str, Any] = {"grid_mapping_name": "latitude_longitude"}
        return names, found, mapping | ({"crs_wkt": crs.to_wkt()} if draw.yes("wkt?") else {})
    unit = draw.pick("unit of coordinates", ("m", "metre", "km"))
    for axis, values, letter in ((ROWS, y, "y"), (COLS, x, "x")):
        texts = {"units": unit, "standard_name": f"projection_{letter}_coordinate"}
        if draw.yes(f"axis {letter}?"):
            texts["axis"] = letter.upper()
        found.append(Vector(names[axis], axis, values * (0.001 if unit == "km" else 1), texts))
    if scene.transform.a > 50 and draw.yes("coordinates of 32 bits?"):  # good to half a metre
        found = [v._replace(values=v.values.astype("f4")) if v.axis != BANDS else v for v in found]
    by = draw.pick("crs by", ("crs_wkt", "spatial_ref", "parameters"))
    return names, found, parameters(crs) if by == "parameters" else {by: crs.to_wkt()}


def parameters(crs: CRS) -> dict[str, Any]:
    """CF's parameters of a projection; only those of the CRSs that are drawn."""
    ellipsoid = {"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}
    if crs.to_epsg() == 3035:
        return {
            "grid_mapping_name": "lambert_azimuthal_equal_area",
            "latitude_of_projection_origin": 52.0, "longitude_of_projection_origin": 10.0,
            "false_easting": 4_321_000.0, "false_northing": 3_210_000.0,
            **ellipsoid, "inverse_flattening": 298.257222101,
        }  # fmt: skip
    return {
        "grid_mapping_name": "transverse_mercator",
        "scale_factor_at_central_meridian": 0.9996, "longitude_of_central_meridian": 15.0,
        "latitude_of_projection_origin": 0.0, "false_easting": 500_000.0,
        "false_northing": 0.0 if crs.to_epsg() == 32633 else 10_000_000.0, **ellipsoid,
    }  # fmt: skip


def netcdf_attributes(scene: DrawnScene, draw: Draw, stored_as: np.dtype[Any]) -> dict[str, Any]:
    """Of the cube: its fill value, packing, grid mapping."""
    said: dict[str, Any] = {"long_name": "reflectance"}
    if scene.nodata is not None:
        name = draw.pick("nodata name", ("_FillValue", "missing_value"))
        value = np.array([scene.nodata]).astype(scene.cube.dtype)
        said[name] = value.view(stored_as)
    if scene.scale is not None:
        said |= {"scale_factor": np.float64(scene.scale), "add_offset": np.float64(scene.offset)}
        said["units"] = "1"
    if scene.transform is not None:
        said["grid_mapping"] = "crs"
    return said


def netcdf4(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    order = pick_order(draw)
    names, vectors, mapping = coordinates(scene, draw)
    own = {one.name: one for one in vectors}
    path = folder / "s.nc"
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = np.bytes_("version=2,netcdf=4.9.2,hdf5=1.14.3")
        for i, (name, size) in enumerate(zip(names, scene.shape, strict=True)):
            file[name] = own[name].values if name in own else np.zeros(size, ">f4")
            file[name].make_scale(name if name in own else NO_VARIABLE % size)
            file[name].attrs["_Netcdf4Dimid"] = np.int32(i)
        cube = file.create_dataset("reflectance", data=stored(scene.cube, order), **storage(draw))
        cube.attrs.update(netcdf_attributes(scene, draw, scene.cube.dtype))
        for i, axis in enumerate(order):
            cube.dims[i].attach_scale(file[names[axis]])
        group = "sensor_band_parameters/" if draw.yes("of bands in a group?") else ""
        for one in vectors:
            name = one.name
            if name not in names:
                name = f"{group}{name}"
                file[name] = one.values
                file[name].dims[0].attach_scale(file[names[one.axis]])
            file[name].attrs.update({key: np.bytes_(text) for key, text in one.said.items()})
        if mapping:
            file["crs"] = np.int32(0)
            file["crs"].attrs.update(mapping)
    return Written(path)


def netcdf3(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    order = pick_order(draw)
    names, vectors, mapping = coordinates(scene, draw)
    record = draw.yes("record?")
    path = folder / draw.pick("suffix", ("s.nc", "s.cdf"))
    dtype = np.dtype(SIGNED.get(scene.cube.dtype.str[1:], scene.cube.dtype.str[1:]))
    with netcdf_file(path, "w", version=draw.pick("version", (1, 2))) as file:
        for i, axis in enumerate(order):
            unlimited = record and i == 0
            file.createDimension(names[axis], None if unlimited else scene.shape[axis])
        cube = file.createVariable("reflectance", dtype, [names[axis] for axis in order])
        cube[:] = stored(scene.cube, order).view(dtype)
        said = netcdf_attributes(scene, draw, dtype)
        if dtype != scene.cube.dtype:
            said["_Unsigned"] = "true"
        for name, value in said.items():
            setattr(cube, name, value)
        for one in vectors:
            variable = file.createVariable(one.name, one.values.dtype, (names[one.axis],))
            variable[:] = one.values
            for key, text in one.said.items():
                setattr(variable, key, text)
        if mapping:  # not a scalar, which scipy would write into the first record
            file.createDimension("one", 1)
            crs = file.createVariable("crs", "i4", ("one",))
            for key, value in mapping.items():
                setattr(crs, key, value)
    return Written(path)


# --------------------------------------------------------------------------- MATLAB and NumPy


def matlab5(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    order = pick_order(draw, IN_FILE_ORDER)
    unit = draw.pick("unit", ("nm", "um"))
    inside = {
        draw.pick("name", ("cube", "indian_pines")): stored(scene.cube, order),
        f"wavelengths_{unit}": scene.wavelengths * UNITS[unit],
    }
    path = folder / "s.mat"
    held: dict[str, Any] = {"data": inside} if draw.yes("struct?") else inside
    savemat(path, held, do_compression=draw.yes("compressed?"), oned_as=draw.pick("vectors",
            ("row", "column")))  # fmt: skip
    return Written(path)


def matlab73(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    order = pick_order(draw, IN_FILE_ORDER)
    unit = draw.pick("unit", ("nm", "um"))
    group = "data/" if draw.yes("struct?") else ""
    path = folder / "s.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        cube = file.create_dataset(f"{group}cube", data=stored(scene.cube, order).T,
                                   **storage(draw))  # fmt: skip
        cube.attrs["MATLAB_class"] = np.bytes_(
            MATLAB_CLASSES.get(scene.cube.dtype.name, scene.cube.dtype.name)
        )
        name = f"{group}wavelengths_{unit}"
        file[name] = scene.wavelengths[None] * UNITS[unit]
        file[name].attrs["MATLAB_class"] = np.bytes_("double")
        if group:
            file["data"].attrs["MATLAB_class"] = np.bytes_("struct")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return Written(path)


def npz(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    order = pick_order(draw, IN_FILE_ORDER)
    unit = draw.pick("unit", ("nm", "um"))
    path = folder / "s.npz"
    arrays: dict[str, Any] = {
        "cube": stored(scene.cube, order),
        f"wavelengths_{unit}": scene.wavelengths * UNITS[unit],
    }
    (np.savez_compressed if draw.yes("compressed?") else np.savez)(path, **arrays)
    return Written(path)


def npy(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    """With wavelengths in a CSV that the user gives, or in a header beside it."""
    order = pick_order(draw, IN_FILE_ORDER)
    array = stored(scene.cube, order)
    if draw.yes("big-endian?"):
        array = array.astype(array.dtype.newbyteorder(">"))
    path = folder / "s.npy"
    np.save(path, np.asfortranarray(array) if draw.yes("Fortran?") else array)
    unit, centres, widths = in_unit(scene, draw, "nm", "um")
    lines = [f"wavelength_{unit},fwhm,bbl"]
    lines += [f"{c:.9g},{w:.9g},{int(g)}" for c, w, g in zip(centres, widths, scene.good,
              strict=True)]  # fmt: skip
    (folder / "bands.csv").write_text("\n".join(lines) + "\n")
    return Written(path, {"wavelengths": folder / "bands.csv"})


WAYS: dict[str, Way] = {
    "HDF5": Way(hdf5, places=("nowhere",)),
    "drill-core HDF5": Way(drill_core, places=("nowhere",), tells=("wavelengths",)),
    "NEON HDF5": Way(
        neon, dtypes=("i2",), places=("north up", "nowhere"), crss=("EPSG:32633",),
        tells=("wavelengths", "fwhm"),
    ),
    "netCDF-4": Way(netcdf4),
    "netCDF-3": Way(netcdf3, dtypes=UP_TO_32_BITS),
    "MATLAB 5": Way(matlab5, places=("nowhere",), tells=("wavelengths",)),
    "MATLAB 7.3": Way(matlab73, places=("nowhere",), tells=("wavelengths",)),
    "NumPy archive": Way(npz, places=("nowhere",), tells=("wavelengths",)),
    "NumPy": Way(npy, places=("nowhere",), tells=("wavelengths", "fwhm", "good")),
}  # fmt: skip
NAMELESS: dict[str, Way] = {
    "HDF5": replace(WAYS["HDF5"], write=partial(hdf5, nameless=True)),
    **{name: WAYS[name] for name in ("MATLAB 5", "MATLAB 7.3", "NumPy archive", "NumPy")},
}
"""Ways in which nothing but the number of wavelengths tells which axis is which."""
