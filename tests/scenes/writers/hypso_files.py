"""A writer of tiny files of the layouts that hypso-package gives to HYPSO's levels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from delivered import CRS, Ground, reflectance
from rasterio.warp import transform

NM = np.round(np.linspace(400.2, 799.6, 20), 1)
EPOCH = 1_725_000_000
Layout = Literal["navigation", "geometry", "root"]


def write_hypso(
    path: Path,
    ground: Ground,
    *,
    level: str = "L1D",
    cube: str = "rhot",
    layout: Layout = "geometry",
    planes: bool = False,
    crs: str = CRS,
) -> Path:
    """One capture. `layout`: to 2025, in 2025, after it. `planes`: one a band, in no order."""
    rows, cols = ground.x.shape
    values = reflectance(ground.codes, 2.5 * NM).astype(np.float32)
    if cube == "Lt":
        values *= 80
    names = {"rhot": "Top-of-Atmosphere Reflectance", "Lt": "Top-of-Atmosphere Radiance"}
    said = {
        "units": "W/m^2/micrometer/sr" if cube == "Lt" else "",
        "long_name": names.get(cube, "Bottom-of-Atmosphere Reflectance"),
        "wavelength_units": "nanometers",
    }
    home = "" if layout == "root" else "products/"
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        file.attrs["processing_level"] = level
        file.create_group("metadata/capture_config").attrs["frame_count"] = rows
        file["metadata/timing/timestamps"] = EPOCH + np.arange(rows) / 22
        if planes:
            for band in sorted(range(len(NM)), key=lambda i: str(int(NM[i]))[::-1]):
                plane = file.create_dataset(
                    f"{home}{cube}_{int(NM[band])}", data=values[..., band], compression="gzip"
                )
                plane.attrs.update(said)
                plane.attrs["band"], plane.attrs["wavelength"] = band, NM[band]
                plane.attrs["fwhm"] = 4.5
        else:
            array = file.create_dataset(f"{home}{cube}", data=values, compression="gzip")
            array.attrs.update(said)
            array.attrs["wavelengths"], array.attrs["fwhm"] = NM, np.full(len(NM), 4.5)
        lon, lat = (
            np.reshape(axis, (rows, cols)).astype(np.float32)
            for axis in transform(crs, "EPSG:4326", ground.x.ravel(), ground.y.ravel())
        )
        places = "" if layout == "root" else f"{layout}/"
        better, attitude = ("_indirect", "") if layout == "navigation" else ("", "_direct")
        for end, off in ((better, 0.0), (attitude, 0.05)):
            for name, plane in (("longitude", lon), ("latitude", lat)):
                array = file.create_dataset(f"{places}{name}{end}", data=plane + np.float32(off))
                array.attrs["valid_min"], array.attrs["valid_max"] = -180, 180
    return path
