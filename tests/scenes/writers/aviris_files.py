"""Writers of tiny AVIRIS files: netCDF-4 as ORNL DAAC has them, ENVI as JPL's tar files hold."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import rasterio
from delivered import CRS, Ground, reflectance
from lookup_tables import Glt, lookup_table, places

NM = np.round(np.linspace(380.0, 2500.0, 28), 3).astype(np.float32)
ABSORBED = (NM > 1340) & (NM < 1445)
RFL = "AV320230926t201618_005_L2A_OE_0b4f48b4_RFL_ORT.nc"
RDN = "AV320230926t201618_005_L1B_RDN_5b9e1cc2_RDN.nc"
FLIGHT = "ang20190624t230039"


def spectra(ground: Ground) -> npt.NDArray[np.float32]:
    """Reflectance, -0.01 where water vapour absorbs everything."""
    found = reflectance(ground.codes, NM, seed=3).astype(np.float32)
    found[..., ABSORBED] = -0.01
    return found


def write_gridded(path: Path, ground: Ground, *, coordinates: str = "centres") -> Path:
    """L2A reflectance, north up, `easting` and `northing` of centres or of corners."""
    pixel = float(ground.x[0, 1] - ground.x[0, 0])
    left, top = ground.x[0, 0] - pixel / 2, ground.y[0, 0] + pixel / 2
    shift = 0 if coordinates == "centres" else pixel / 2
    with h5py.File(path, "w") as file:
        _cube(file, "reflectance", spectra(ground), ("northing", "easting"))
        _vector(file, "easting", ground.x[0] - shift)
        _vector(file, "northing", ground.y[:, 0] + shift)
        _mapping(file, (left, pixel, 0, top, 0, -pixel), CRS)
        for axis, name in enumerate(("wavelength", "northing", "easting")):
            scale = file[f"reflectance/{name}" if name == "wavelength" else name]
            file["reflectance/reflectance"].dims[axis].attach_scale(scale)
    return path


def write_seen(path: Path, ground: Ground, *, cell: float, own_places: bool = True) -> Path:
    """L1B radiance in sensor geometry, with its lookup table."""
    glt = lookup_table(ground, cell, filled=True)
    lon, lat = places(ground, "EPSG:4326")
    with h5py.File(path, "w") as file:
        _cube(file, "radiance", spectra(ground).clip(0.001) * 10, ("lines", "samples"))
        for name, plane in (("line", glt.line), ("sample", glt.sample)):
            file.create_dataset(
                f"geolocation_lookup_table/{name}", data=plane, compression="gzip"
            ).attrs["_FillValue"] = np.int32(-9999)
        if own_places:
            file["lon"], file["lat"] = lon, lat
        _mapping(file, glt.geotransform, glt.crs)
    return path


def _cube(file: h5py.File, name: str, values: np.ndarray, axes: tuple[str, str]) -> None:
    cube = file.create_dataset(
        f"{name}/{name}", data=values.transpose(2, 0, 1), compression="gzip",
        chunks=(4, min(16, values.shape[0]), min(16, values.shape[1])),
    )  # fmt: skip
    cube.attrs["_FillValue"] = np.float32(-9999)
    cube.attrs["grid_mapping"] = np.bytes_("transverse_mercator")
    cube.attrs["axes_named"] = " ".join(("wavelength", *axes))
    _vector(file, f"{name}/wavelength", NM)
    file[f"{name}/wavelength"].attrs["units"] = np.bytes_("nm")
    file[f"{name}/fwhm"] = np.full(len(NM), 8.0, np.float32)
    file.attrs["time_coverage_start"] = np.bytes_("2023-09-26T20:16:18Z")


def _vector(file: h5py.File, name: str, values: np.ndarray) -> None:
    file.create_dataset(name, data=values).make_scale(name.rsplit("/", maxsplit=1)[-1])


def _mapping(file: h5py.File, transform: tuple[float, ...], crs: str) -> None:
    scalar = file.create_dataset("transverse_mercator", data=np.bytes_(""))
    wkt = rasterio.CRS.from_string(crs).to_wkt()
    scalar.attrs["grid_mapping_name"] = np.bytes_("transverse_mercator")
    scalar.attrs["crs_wkt"] = scalar.attrs["spatial_ref"] = np.bytes_(wkt)
    scalar.attrs["GeoTransform"] = np.bytes_(" ".join(map(str, transform)))


def write_flight(
    folder: Path, ground: Ground, *, cell: float, beside: tuple[str, ...] = ("glt", "loc"),
    degrees: float = 0.0, flight: str = FLIGHT,
) -> Path:  # fmt: skip
    """AVIRIS-NG reflectance in sensor geometry as ENVI files, and what places it."""
    cube = folder / f"{flight}_rfl_v2u1_img"
    listed = ", ".join(map(str, NM))
    _envi(
        cube, spectra(ground), f"wavelength units = Nanometers\nwavelength = {{{listed}}}\n", "bil"
    )
    glt = lookup_table(ground, cell, filled=True, degrees=degrees)
    lon, lat = places(ground, "EPSG:4326")
    height = np.zeros_like(lon)
    if "glt" in beside:
        planes = np.stack([glt.sample, glt.line], axis=-1)
        names = "band names = { GLT Sample Lookup, GLT Line Lookup }\n"
        _envi(folder / f"{flight}_rdn_v2u1_glt", planes, names + map_info(glt))
    for kind, x, y in (("loc", lon, lat), ("igm", ground.x, ground.y)):
        if kind in beside:
            _envi(folder / f"{flight}_rdn_v2u1_{kind}", np.stack([x, y, height], axis=-1), "")
    return cube


def map_info(glt: Glt) -> str:
    """A table's place as ENVI says it, turned clockwise by its rotation."""
    c, a, _, f, d, _ = glt.geotransform
    size, turn = np.hypot(a, d), np.rad2deg(np.arctan2(d, a))
    return (
        f"map info = {{UTM, 1, 1, {c}, {f}, {size}, {size}, 33, North, WGS-84, units=Meters, "
        f"rotation={turn:.10f}}}\n"
    )


def _envi(path: Path, values: np.ndarray, more: str, interleave: str = "bip") -> None:
    kinds = {"float32": 4, "float64": 5, "int32": 3}
    rows, cols, bands = values.shape
    path.with_name(path.name + ".hdr").write_text(
        f"ENVI\nsamples = {cols}\nlines = {rows}\nbands = {bands}\nheader offset = 0\n"
        f"file type = ENVI Standard\ndata type = {kinds[str(values.dtype)]}\n"
        f"interleave = {interleave}\nbyte order = 0\n{more}"
    )
    order = (0, 2, 1) if interleave == "bil" else (0, 1, 2)
    path.write_bytes(np.ascontiguousarray(values.transpose(order)).tobytes())
