"""A writer of tiny netCDF-4 files with a variable a band, as ACOLITE and SNAP make them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import rasterio
from delivered import CRS, Ground, reflectance
from rasterio.warp import transform

NM = np.round(np.linspace(403.3, 2390.4, 20), 1)


def write_acolite(
    path: Path,
    ground: Ground,
    *,
    quantities: tuple[str, ...] = ("rhot", "rhos"),
    projected: bool = True,
    south_up: bool = False,
    snap: bool = False,
) -> Path:
    """One file; `snap`: names and attributes are those of SNAP's CF writer."""
    rows, cols = ground.x.shape
    turned = slice(None, None, -1 if south_up else 1)
    values = reflectance(ground.codes, NM).astype(np.float32)[turned]
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        if not snap:
            file.attrs["generated_by"] = "ACOLITE"
            file.attrs["isodate"] = "2021-05-01T10:10:10.5Z"
        axes = {"y": ground.y[turned, 0], "x": ground.x[0]}
        for name, centres in axes.items():
            scale = file.create_dataset(name, data=centres * projected)
            if projected:
                scale.make_scale(name)
                scale.attrs["standard_name"] = f"projection_{name}_coordinate"
                scale.attrs["units"] = "m"
            else:
                scale.make_scale("This is a netCDF dimension but not a netCDF variable.")
        if projected:
            file["transverse_mercator"] = 0.0
            file["transverse_mercator"].attrs["crs_wkt"] = rasterio.CRS.from_string(CRS).to_wkt()
        lon, lat = transform(CRS, "EPSG:4326", ground.x.ravel(), ground.y.ravel())
        planes = {"lon": np.reshape(lon, (rows, cols)), "lat": np.reshape(lat, (rows, cols))}
        planes["l2_flags"] = np.zeros((rows, cols), np.int32)
        for name, plane in planes.items():
            _written(file, name, plane)
        for quantity in quantities:
            for band, nm in enumerate(NM):
                detector = "vnir" if nm < 1000 else "swir"
                name = f"{quantity}_B{band + 1}" if snap else f"{quantity}_{detector}_{nm:.0f}"
                plane = _written(file, name, values[..., band] * (2 if quantity == "rhot" else 1))
                if snap:
                    plane.attrs["radiation_wavelength"] = np.array([nm], np.float32)
                    plane.attrs["radiation_wavelength_unit"] = "nm"
                    plane.attrs["bandwidth"] = np.array([9.5], np.float32)
                else:
                    plane.attrs["wavelength"] = nm
                    plane.attrs["standard_name"] = "surface_bidirectional_reflectance"
                    plane.attrs["units"] = "1"
                if projected:
                    plane.attrs["grid_mapping"] = "transverse_mercator"
    return path


def _written(file: h5py.File, name: str, plane: np.ndarray) -> h5py.Dataset:
    found = file.create_dataset(name, data=plane)
    for i, axis in enumerate("yx"):
        found.dims[i].attach_scale(file[axis])
    return found
