#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3)
# The header of an ESRI raster (.bil with .hdr, GDAL's driver EHdr) holds eight digits of the nodata
# value. A careful guess says that a raster of 32-bit integers whose nodata value is -2147483648,
# the usual one, comes back with its masks. But NODATA is written as -2.1474836e+09, which is
# another integer: no pixel is masked any more, and the lowest integer counts as a measurement.
# Values up to eight digits come back.
# Source: https://desktop.arcgis.com/en/arcmap/latest/manage-data/raster-and-images/bil-bip-and-bsq-raster-files.htm
# (nodata: "the value used for NoData").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 rasterio==1.4.4
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import rasterio


def masked(driver, name, nodata):
    """How many of two pixels, one of them without data, are masked; what the header says."""
    with rasterio.open(
        name, "w", driver=driver, width=2, height=1, count=1, dtype="int32", nodata=nodata
    ) as raster:
        raster.write(np.array([[[nodata, 5]]], "i4"))
    with rasterio.open(name) as raster:
        return int((raster.read_masks(1) == 0).sum()), raster.nodata


same = True
for nodata, expected in ((-9999, 1), (12345678, 1), (123456789, 0), (-2147483648, 0)):
    esri, said = masked("EHdr", "r.bil", nodata)
    tiff, _ = masked("GTiff", "r.tif", nodata)
    print(f"nodata {nodata}: {esri} of 1 masked, read back as {said:.0f} (GeoTIFF: {tiff} of 1)")
    same &= (esri, tiff) == (expected, 1)
sys.exit(0 if same else 1)
PYTHON
