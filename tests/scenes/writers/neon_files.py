"""A writer of tiny NEON files: reflectance of both revisions, and radiance in two parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import rasterio
from delivered import CRS, NORTH, WEST, Ground, reflectance

Floats = npt.NDArray[np.float64]
NM = np.round(np.linspace(384, 2511, 30), 4)
SCALE = 50_000
MAP_INFO = (
    f"UTM,  1.000,  1.000,  {WEST},  {NORTH},  30.0,  30.0,  33,  North,  WGS-84,  units=Meters, 0"
)
WATER = ((1340, 1445), (1790, 1955))


def in_water() -> npt.NDArray[np.bool_]:
    """Bands in which water vapour absorbs everything."""
    found: npt.NDArray[np.bool_] = np.zeros(len(NM), bool)
    for low, high in WATER:
        found |= (NM >= low) & (NM <= high)
    return found


def write_neon(
    path: Path, ground: Ground, *, revision: int = 2, map_info: str = MAP_INFO, windows: bool = True
) -> Path:
    """Reflectance of a mosaic, -100 in the windows of water, a pixel of nothing in a corner."""
    cube = np.round(reflectance(ground.codes, NM, seed=9) * 1e4).astype(np.int16)
    cube[..., in_water()] = -100
    cube[0, 0] = -9999
    size = ground.x.shape
    with h5py.File(path, "w") as file:
        top = file.create_group("SJER/Reflectance")
        if windows:
            for i, window in enumerate(WATER):
                top.attrs[f"Band_Window_{i + 1}_Nanometers"] = np.array(window)
        chunks = (size[0], size[1], 1) if revision == 2 else (10, 10, 10)
        data = top.create_dataset("Reflectance_Data", data=cube, chunks=chunks, compression="gzip")
        data.attrs["Data_Ignore_Value"], data.attrs["Scale_Factor"] = -9999.0, 10000.0
        data.attrs["Dimension_Labels"] = np.array([b"Line", b"Sample", b"Wavelength"])
        planes = top.create_group("Metadata/Ancillary_Imagery")
        planes["Slope"] = planes["Aspect"] = np.zeros(size, np.float32)
        if revision == 2:
            planes["Weather_Quality_Indicator"] = np.ones(size, np.float32)
            days = np.full(size, 20220623)
            days[0, 0] = -9999
            planes["Acqusition_Date"] = days
            planes["Haze_Cloud_Water_Map"] = np.full(size, 3, np.uint8)
        else:
            green = np.zeros((*size, 3), np.uint8)
            green[..., 1] = 255
            planes["Weather_Quality_Indicator"] = green
        _metadata(top, map_info)
    return path


def write_radiance(path: Path, ground: Ground, **attributes: Any) -> tuple[Path, Floats]:
    """Radiance in two parts, a pixel of nothing in a corner; gives also its values."""
    values = 200 * reflectance(ground.codes, NM, seed=4).clip(0)
    whole = np.floor(values)
    decimals = np.round((values - whole) * SCALE)
    whole[0, 0], decimals[0, 0] = 255, 65535
    with h5py.File(path, "w") as file:
        top = file.create_group("SJER/Radiance")
        for name, part, kind, fill in (
            ("RadianceIntegerPart", whole, np.uint8, 255),
            ("RadianceDecimalPart", decimals, np.uint16, 65535),
        ):
            data = top.create_dataset(name, data=part.astype(kind), chunks=(9, 9, 30))
            data.attrs["Data_Ignore_Value"] = float(fill)
        top["RadianceDecimalPart"].attrs["Scale_Factor"] = [float(SCALE)]
        _metadata(top, MAP_INFO)
    values[0, 0] = -9999
    return path, values


def _metadata(top: h5py.Group, map_info: str) -> None:
    spectral = top.create_group("Metadata/Spectral_Data")
    spectral["Wavelength"], spectral["FWHM"] = NM, np.full(len(NM), 5.5)
    for name in ("Wavelength", "FWHM"):
        spectral[name].attrs["Units"] = "nanometers"
    system = top.create_group("Metadata/Coordinate_System")
    system["EPSG Code"], system["Map_Info"] = "32633", np.bytes_(map_info)
    system["Coordinate_System_String"] = rasterio.CRS.from_string(CRS).to_wkt()
    system["Proj4"] = "+proj=UTM +zone=33 +ellps=WGS84 +datum=WGS84 +units=m +no_defs"
