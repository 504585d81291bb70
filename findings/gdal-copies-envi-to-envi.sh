#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3), spectral==0.25
# An ENVI cube that GDAL copies to ENVI has another header: wavelength, fwhm, bbl, wavelength units
# and reflectance scale factor are gone, and each band is called `420.4567 Nanometers` instead. The
# wavelengths are written as GDAL's own tags into an .aux.xml beside the copy, which no other program
# reads; widths, bad bands and the factor are nowhere. Read from the source, or copied to GeoTIFF,
# all bands have their wavelength and width. So a copy of one format into itself loses more than one
# into another, and Spectral Python, told the copy's header, knows no band centres.
# Source: https://gdal.org/drivers/raster/envi.html ("All ENVI header fields are stored in the ENVI
# metadata domain, and all of these can then be written out to the header file").
# Guess before the run: they are written out again where source and copy are both ENVI.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 spectral==0.25 rasterio==1.4.4
venv/bin/python -W ignore - <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from spectral.io import envi

NM = np.linspace(420, 2320, 20) + 0.4567
envi.save_image(
    "source.hdr", np.arange(400, dtype=np.int16).reshape(4, 5, 20), interleave="bil",
    metadata={
        "wavelength": [f"{nm:.4f}" for nm in NM], "wavelength units": "Nanometers",
        "fwhm": ["10.25"] * 20, "bbl": [1] * 19 + [0], "reflectance scale factor": 10000,
    },
)
LOST = ("wavelength =", "fwhm =", "bbl =", "reflectance scale factor =")
rasterio.shutil.copy("source.img", "copy.img", driver="ENVI")
rasterio.shutil.copy("source.img", "copy.tif", driver="GTiff")
header = Path("copy.hdr").read_text()
left = [field for field in LOST if field in header]
print("fields of the source that the copy's header has:", left or "none")
centres = envi.open("copy.hdr").bands.centers
print("band centres by Spectral Python:", centres)
with rasterio.open("copy.tif") as raster:
    tif = raster.tags(1).get("wavelength"), raster.tags(1, ns="IMAGERY").get("FWHM_UM")
print("first band of a GeoTIFF of the same:", tif)
beside = Path("copy.img.aux.xml").read_text()
width = "FWHM" in beside or "10.25" in beside
print("in the .aux.xml: wavelengths", "420.4567" in beside, "- widths", width)
named = "420.4567 Nanometers" in header
seen = not left and not centres and named and tif[0] == "420.4567" and tif[1] and not width
sys.exit(not seen)
PYTHON
