"""A writer of tiny EMIT granules of the layout of JPL's emit-sds-l2a and emit-utils."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import rasterio
from delivered import Ground, reflectance
from lookup_tables import Glt, lookup_table, places

NM = np.round(np.linspace(381.0, 2493.0, 30), 4).astype(np.float32)
BAD = ((NM > 1325) & (NM < 1435)) | ((NM > 1770) & (NM < 1962))
CELL = 0.0003
"""Degrees: about as large as a pixel of 30 m."""
NAME = "EMIT_L2A_{}_001_20220815T042838_2222703_003.nc"
FLIGHT_LINE = "emit20220815t042838_o22227_s000"
MASK_BANDS = (
    "Cloud flag", "Cirrus flag", "Water flag", "Spacecraft Flag", "Dilated Cloud Flag", "AOD550",
    "H2O (g cm-2)", "Aggregate Flag",
)  # fmt: skip


def write_emit(
    folder: Path, ground: Ground, *, level: str = "L2A", name: str = NAME, cell: float = CELL
) -> Path:
    """A granule's reflectance, or radiance of level L1B, with its lookup table."""
    path = folder / name.format("RFL")
    values = reflectance(ground.codes, NM, seed=7).astype(np.float32)
    cube = "reflectance"
    if level == "L1B":
        path = folder / name.format("RAD").replace("L2A", "L1B")
        values, cube = values * 10, "radiance"
    else:
        values[..., BAD] = -0.01
    with h5py.File(path, "w") as file:
        _filled(file, cube, values)
        _bands(file, level)
        _common(file, ground, lookup_table(ground, cell, "EPSG:4326"))
    return path


def write_mask(folder: Path, ground: Ground, flags: np.ndarray, *, name: str = NAME) -> Path:
    """The mask of a granule, `flags (rows, cols, 8)`."""
    path = folder / name.format("MASK")
    with h5py.File(path, "w") as file:
        _filled(file, "mask", flags.astype(np.float32), compression="gzip")
        file["band_mask"] = np.zeros((*ground.x.shape, 4), np.uint8)
        text = h5py.string_dtype()
        file.create_dataset("sensor_band_parameters/mask_bands", data=MASK_BANDS, dtype=text)
        _common(file, ground, lookup_table(ground, CELL, "EPSG:4326"))
    return path


def write_uncertainty(folder: Path, ground: Ground, *, name: str = NAME) -> Path:
    """The uncertainty of a granule's reflectance."""
    path = folder / name.format("RFLUNCERT")
    with h5py.File(path, "w") as file:
        shape = (*ground.x.shape, len(NM))
        _filled(file, "reflectance_uncertainty", np.full(shape, 0.01, np.float32))
        _bands(file, "L2A")
        _common(file, ground, lookup_table(ground, CELL, "EPSG:4326"))
    return path


def _filled(
    file: h5py.File, name: str, values: np.ndarray, fill: float = -9999, **more: str
) -> None:
    array = file.create_dataset(name, data=values, **more)
    array.attrs["_FillValue"] = np.array([fill], values.dtype)
    array.attrs["units"] = np.bytes_("unitless")


def _bands(file: h5py.File, level: str) -> None:
    at = "sensor_band_parameters"
    _filled(file, f"{at}/wavelengths", NM)
    _filled(file, f"{at}/fwhm", np.full(len(NM), 8.5, np.float32))
    if level == "L2A":
        _filled(file, f"{at}/good_wavelengths", (~BAD).astype(np.uint8), fill=241)


def _common(file: h5py.File, ground: Ground, glt: Glt) -> None:
    lon, lat = places(ground, "EPSG:4326")
    for name, plane in (("lon", lon), ("lat", lat), ("elev", np.zeros_like(lon))):
        _filled(file, f"location/{name}", plane)
    _filled(file, "location/glt_x", glt.sample, fill=0, compression="gzip")
    _filled(file, "location/glt_y", glt.line, fill=0, compression="gzip")
    file.attrs["geotransform"] = np.array(glt.geotransform)
    file.attrs["spatial_ref"] = np.bytes_(rasterio.CRS.from_string(glt.crs).to_wkt())
    file.attrs["flight_line"] = np.bytes_(FLIGHT_LINE)
    file.attrs["time_coverage_start"] = np.bytes_("2022-08-15T04:28:38+0000")
    file.attrs["Conventions"] = np.bytes_("CF-1.13")
