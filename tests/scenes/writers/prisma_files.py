"""A writer of tiny PRISMA files of the layout of ASI's PRISMA Products Specification Document."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from delivered import CRS, Ground, reflectance
from rasterio.warp import transform

VNIR = np.round(np.linspace(402, 972, 14), 2)
SWIR = np.round(np.linspace(943, 2497, 20), 2)
ENDS = {"Vnir": (0.0, 0.9), "Swir": (0.02, 0.8)}


def write_prisma(path: Path, ground: Ground, *, level: str = "L2D", chunked: bool = True) -> Path:
    """Both detectors, bands from long wavelengths to short ones, two of VNIR's not used (0)."""
    rows, cols = ground.x.shape
    swath = f"HDFEOS/SWATHS/PRS_{level}_HCO"
    with h5py.File(path, "w") as file:
        for name, nm, empty in (("Vnir", VNIR, 2), ("Swir", SWIR, 0)):
            low, high = ENDS[name]
            values = reflectance(ground.codes, nm, seed=len(nm)).clip(low + 1e-3, high)
            raw = np.round((values - low) / (high - low) * 65535).astype(np.uint16)
            raw = np.concatenate([raw, np.zeros((rows, cols, empty), np.uint16)], axis=2)
            cube = raw[..., ::-1].transpose(0, 2, 1)
            chunks = (rows, 1, cols) if chunked else None
            file.create_dataset(
                f"{swath}/Data Fields/{name.upper()}_Cube", data=cube, chunks=chunks
            )
            file[f"{swath}/Data Fields/{name.upper()}_PIXEL_L2_ERR_MATRIX"] = np.zeros(
                cube.shape, np.uint8
            )
            listed = np.concatenate([nm, np.zeros(empty)])[::-1].astype(np.float32)
            file.attrs[f"List_Cw_{name}"] = listed
            file.attrs[f"List_Fwhm_{name}"] = np.where(listed > 0, 11.5, 0).astype(np.float32)
            file.attrs[f"List_Cw_{name}_Flags"] = (listed > 0).astype(np.uint8)
            file.attrs[f"L2Scale{name}Min"], file.attrs[f"L2Scale{name}Max"] = low, high
        lon, lat = transform(CRS, "EPSG:4326", ground.x.ravel(), ground.y.ravel())
        for name, plane in (("Longitude", lon), ("Latitude", lat)):
            values = np.reshape(plane, (rows, cols)).astype(np.float64)
            file[f"{swath}/Geolocation Fields/{name}"] = values
        file.attrs["Product_StartTime"] = np.bytes_("2024-05-20T10:20:07.123")
        file.attrs["Processing_Level"] = np.bytes_(level[1:])
        if level == "L2D":
            file.attrs["Epsg_Code"] = np.uint32(32633)
            for key, place in (("UL", (0, 0)), ("LR", (-1, -1)), ("UR", (0, -1)), ("LL", (-1, 0))):
                file.attrs[f"Product_{key}corner_easting"] = ground.x[place]
                file.attrs[f"Product_{key}corner_northing"] = ground.y[place]
    return path
