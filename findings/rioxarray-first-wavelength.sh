#!/usr/bin/env bash
# rioxarray==0.19.0, xarray==2026.9.0, rasterio==1.4.4
# A GeoTIFF with a wavelength on each band, opened by rioxarray and written again, says that the
# whole file has the wavelength of its first band, and its bands have none. Of tags that differ from
# band to band the first one's value becomes an attribute of the array (`wavelength: 420.0` for all
# 20 bands), in memory too; a tag that all bands share is kept in the same way, so that nobody can
# tell the two apart. Scale, nodata and place of the copy are right.
# Source: https://gdal.org/en/stable/user/raster_data_model.html (metadata of a band is the band's);
# rioxarray, "Reading and Writing Files": open_rasterio, to_raster.
# Guess before the run: bands keep their tags, or the wavelengths become a coordinate along `band`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 rasterio==1.4.4 xarray==2026.9.0 rioxarray==0.19.0
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
import rasterio
import rioxarray

NM = np.linspace(420, 2320, 20)
with rasterio.open(
    "scene.tif", "w", driver="GTiff", width=5, height=4, count=20, dtype="int16",
    crs="EPSG:32633", transform=rasterio.Affine(30, 0, 4e5, 0, -30, 5.6e6),
) as raster:
    raster.write(np.ones((20, 4, 5), np.int16))
    for band, nm in enumerate(NM, start=1):
        raster.update_tags(band, wavelength=str(nm), wavelength_units="nm")
array = rioxarray.open_rasterio("scene.tif")
told = array.attrs.get("wavelength")
along = [name for name, one in array.coords.items() if one.size == 20]
print(f"in memory: wavelength {told}, coordinates along the bands: {along}")
array.rio.to_raster("copy.tif")
with rasterio.open("copy.tif") as copy:
    whole = copy.tags().get("wavelength")
    each = [copy.tags(band).get("wavelength") for band in copy.indexes]
print(f"in the copy: wavelength {whole} of the file, {sum(map(bool, each))} of 20 bands have one")
same = told == 420.0 and along == ["band"] and whole == "420.0" and not any(each)
sys.exit(0 if same else "another behaviour than described")
PYTHON
