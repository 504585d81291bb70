"""A writer of tiny files of the layout that NASA's l2gen gives to PACE OCI's level 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from delivered import CRS, Ground, reflectance
from rasterio.warp import transform

NM = np.concatenate([np.linspace(346.3, 894.6, 20), [1038.3, 1249.6, 1618.0, 2131.0, 2258.4]])
MEANINGS = (
    "ATMFAIL LAND PRODWARN HIGLINT HILT HISATZEN COASTZ SPARE STRAYLIGHT CLDICE COCCOLITH TURBIDW "
    "HISOLZEN SPARE LOWLW CHLFAIL NAVWARN ABSAER SPARE MAXAERITER MODGLINT CHLWARN ATMWARN OPSHAL "
    "SEAICE NAVFAIL FILTER SPARE BOWTIEDEL HIPOL PRODFAIL SPARE"
)
LAND, CLDICE, ATMFAIL, NAVFAIL = 2, 512, 1, 33554432
SCALE, OFFSET = np.float32(4e-5), np.float32(0.5)
PACKING: dict[str, Any] = {
    "_FillValue": np.int16(-32767), "scale_factor": SCALE, "add_offset": OFFSET,
    "valid_min": np.int16(-30000), "valid_max": np.int16(25000),
}  # fmt: skip


def write_pace(
    path: Path, ground: Ground, *, cube: str = "rhos", crs: str = CRS, packed: bool = True
) -> Path:
    """One granule, whose dimensions are netCDF's, without variables of their own."""
    rows, cols = ground.x.shape
    values = reflectance(ground.codes, NM)
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        file.attrs["Conventions"] = "CF-1.8, ACDD-1.3"
        file.attrs["platform"], file.attrs["instrument"] = "PACE", "OCI"
        file.attrs["time_coverage_start"] = "2024-06-05T09:21:37.123Z"
        sizes = {"number_of_lines": rows, "pixels_per_line": cols, "wavelength_3d": len(NM)}
        for name, size in sizes.items():
            file[name] = np.zeros(size, ">f4")
            file[name].make_scale(
                f"This is a netCDF dimension but not a netCDF variable.{size:>10}"
            )

        def add(name: str, data: Any, *dimensions: str, **attributes: Any) -> h5py.Dataset:
            array = file.create_dataset(name, data=data, compression="gzip")
            for axis, dimension in zip(array.dims, dimensions, strict=True):
                axis.attach_scale(file[dimension])
            array.attrs.update(attributes)
            return array

        lines = "number_of_lines", "pixels_per_line"
        raw = np.round((values - OFFSET) / SCALE).astype(np.int16)
        packing = PACKING if packed else {"_FillValue": np.float32(-32767)}
        add(
            f"geophysical_data/{cube}", raw if packed else values.astype(np.float32),
            *lines, "wavelength_3d",
            long_name=np.bytes_("Surface reflectance" if cube == "rhos" else "Remote sensing"),
            **packing,
        )  # fmt: skip
        masks = (1 << np.arange(32, dtype=np.int64)).astype(np.uint32).view(np.int32)
        add(
            "geophysical_data/l2_flags", np.full((rows, cols), LAND, np.int32), *lines,
            flag_masks=masks, flag_meanings=np.bytes_(MEANINGS + "\0"),
        )  # fmt: skip
        whole = np.round(NM).astype(np.int32)
        add("sensor_band_parameters/wavelength_3d", whole, "wavelength_3d", units=np.bytes_("nm"))
        file["sensor_band_parameters/wavelength"] = np.arange(300, 586, dtype=np.int32)
        lon, lat = transform(crs, "EPSG:4326", ground.x.ravel(), ground.y.ravel())
        for name, plane, most in (("longitude", lon, 180.0), ("latitude", lat, 90.0)):
            add(
                f"navigation_data/{name}", np.reshape(plane, (rows, cols)).astype(np.float32),
                *lines, _FillValue=np.float32(-32767),
                valid_min=np.float32(-most), valid_max=np.float32(most),
            )  # fmt: skip
    return path
