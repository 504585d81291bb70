#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3)
# `rio clip`, `rio warp`, `rio convert` and `rio stack` give a raster whose bands have no scale, no
# offset, no name and no tags any more, while nodata value, CRS and numbers are kept: what
# was reflectance of 0.2 (3000 x 0.0001 - 0.1, at 501 nm) is 3000 of an unknown band. Neither is an
# error or a warning given, nor is there an option that keeps them. GDAL itself keeps all of them where
# it warps (WarpedVRT) or copies (rasterio.shutil.copy, which is CreateCopy). So a scene that has been
# cut by `rio clip` no longer fits those that it lay beside.
# Source: https://rasterio.readthedocs.io/en/stable/cli.html (clip: "Clips a raster using projected or
# geographic bounds"; convert: "Copy and convert raster datasets to other data types and formats");
# https://gdal.org/en/stable/programs/gdal_translate.html (`-nomd`: metadata are kept without it).
# Guess before the run: pixels are cut, and what is said of bands stays.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 rasterio==1.4.4
cat > look.py <<'PYTHON'
import sys

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.vrt import WarpedVRT

if sys.argv[1] == "write":
    with rasterio.open(
        "scene.tif", "w", driver="GTiff", width=64, height=64, count=3, dtype="int16",
        nodata=-9999, crs="EPSG:32633", transform=rasterio.Affine(5, 0, 4e5, 0, -5, 5e6),
    ) as raster:
        raster.write(np.full((3, 64, 64), 3000, np.int16))
        raster.scales, raster.offsets = (1e-4,) * 3, (-0.1,) * 3
        for band in raster.indexes:
            raster.update_tags(band, wavelength=str(500 + band))
            raster.set_band_description(band, f"band {band}")
    with rasterio.open("scene.tif") as raster, WarpedVRT(raster, crs="EPSG:4326") as warped:
        rasterio.shutil.copy(warped, "gdal_warp.tif", driver="GTiff")
    rasterio.shutil.copy("scene.tif", "gdal_copy.tif", driver="GTiff")
    sys.exit()
found = {}
for name in ("gdal_copy", "gdal_warp", "clip", "warp", "convert", "stack"):
    with rasterio.open(f"{name}.tif") as raster:
        said = raster.scales[0], raster.offsets[0], raster.tags(1).get("wavelength")
        found[name] = (*said, raster.descriptions[0])
        kept = raster.nodata == -9999 and int(raster.read(1).max()) == 3000
    print(f"{name}: scale, offset, wavelength, name {found[name]}; numbers and nodata kept: {kept}")
whole, bare = (1e-4, -0.1, "501", "band 1"), (1.0, 0.0, None, None)
expected = {name: whole if name.startswith("gdal") else bare for name in found}
sys.exit(0 if found == expected and kept else "another behaviour than described")
PYTHON
venv/bin/python -W ignore look.py write
venv/bin/rio --quiet clip scene.tif clip.tif --bounds "400000 4999840 400160 5000000"
venv/bin/rio --quiet warp scene.tif warp.tif --dst-crs EPSG:4326
venv/bin/rio --quiet convert scene.tif convert.tif
venv/bin/rio --quiet stack scene.tif -o stack.tif
venv/bin/python -W ignore look.py read
