#!/usr/bin/env bash
# netCDF4==1.7.5.1.post1 xarray==2026.9.0 rasterio==1.4.4 (GDAL 3.10.3)
# xarray and GDAL leave out some of what a netCDF variable declares to be missing. A careful guess
# says that the default fill value of its type, _FillValue, all of missing_value and valid_range
# count, as they do in netCDF4. But xarray knows neither default fill values nor valid ranges;
# GDAL leaves missing_value out beside a _FillValue, and the default value beside a missing_value.
# Source: https://cfconventions.org/cf-conventions/cf-conventions.html#missing-data
# (2.5.1: _FillValue, missing_value, valid_min, valid_max and valid_range indicate missing data; the
# library has a default fill value for each type).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 netCDF4==1.7.5.1.post1 xarray==2026.9.0 \
    rasterio==1.4.4
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import netCDF4
import numpy as np
import rasterio
import xarray

DEFAULT, VALUES = -32767, [-32767, -1, -2, -3, 0, 5, 40, 90]
cube = np.array(VALUES, "i2").reshape(1, 1, 8)
fill, missing = np.int16(-1), np.array([-2, -3], "i2")
cases = {
    "default fill value": {},
    "_FillValue and missing_value": {"_FillValue": fill, "missing_value": missing},
    "missing_value alone": {"missing_value": np.int16(-2)},
    "_FillValue and valid_range": {"_FillValue": fill, "valid_range": np.array([0, 50], "i2")},
}
# What netCDF4, xarray and GDAL take for missing, and what the conventions say.
expected = {
    "default fill value": ([DEFAULT], [], [DEFAULT], [DEFAULT]),
    "_FillValue and missing_value": ([-1, -2, -3], [-1, -2, -3], [-1], [-1, -2, -3]),
    "missing_value alone": ([DEFAULT, -2], [-2], [-2], [DEFAULT, -2]),
    "_FillValue and valid_range": (
        [DEFAULT, -1, -2, -3, 90], [-1], [DEFAULT, -1, -2, -3, 90], [DEFAULT, -1, -2, -3, 90],
    ),
}
same = True
for i, (case, attributes) in enumerate(cases.items()):
    name = f"{i}.nc"
    with netCDF4.Dataset(name, "w", format="NETCDF3_CLASSIC") as file:
        for dimension, size in zip(("band", "y", "x"), cube.shape):
            file.createDimension(dimension, size)
        attributes = dict(attributes)
        variable = file.createVariable(
            "r", "i2", ("band", "y", "x"), fill_value=attributes.pop("_FillValue", None)
        )
        variable.set_auto_maskandscale(False)
        variable[:] = cube
        variable.setncatts(attributes)
    with netCDF4.Dataset(name) as file:
        by_netcdf4 = np.ma.getmaskarray(np.ma.asarray(file["r"][:]))
    with xarray.open_dataset(name) as file:
        by_xarray = np.isnan(file["r"].values.astype("f8"))
    with rasterio.open(name) as raster:
        by_gdal = raster.read_masks() == 0
    seen = tuple(cube[found].tolist() for found in (by_netcdf4, by_xarray, by_gdal))
    same &= seen == expected[case][:3]
    print(f"{case} of {VALUES}: the conventions say {expected[case][3]}")
    for program, found in zip(("netCDF4", "xarray", "GDAL"), seen):
        print(f"    {program}: {found}{'' if found == expected[case][3] else '   <- differs'}")
sys.exit(0 if same else 1)
PYTHON
