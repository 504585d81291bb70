#!/usr/bin/env bash
# spectral==0.25, rasterio==1.4.4 (GDAL 3.10.3)
# GDAL takes an ENVI header's list of wavelengths by position, whatever its length. So bands 11, 16
# and 20 of a cube, written by Spectral Python with the metadata of the cube that they were read
# from, are 420, 520 and 620 nm to GDAL instead of 1420, 1920 and 2320: as tags, as descriptions and
# in its domain IMAGERY. Spectral Python replaces the size, data type and interleave among that
# metadata by those of what it writes, and leaves lists a band as they are (its documentation has the
# user see to it); read again it gives 20 centres for 3 bands. Neither says a word.
# Source: https://www.spectralpython.net/class_func_ref.html (envi.save_image, `metadata`); ENVI
# header files, field `wavelength` (one value for each band).
# Guess before the run: a list that does not fit the number of bands is refused or left out, by who
# writes it or else by GDAL.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 spectral==0.25 rasterio==1.4.4
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
import rasterio
from spectral.io import envi

NM = np.linspace(420, 2320, 20)
SOME = [10, 15, 19]
cube = np.arange(4 * 5 * 20, dtype=np.int16).reshape(4, 5, 20)
envi.save_image(
    "all.hdr", cube, interleave="bil",
    metadata={"wavelength": NM.tolist(), "wavelength units": "Nanometers", "bbl": [1] * 20},
)
every = envi.open("all.hdr")
envi.save_image("some.hdr", every.read_bands(SOME), dtype=np.int16, metadata=every.metadata)

again = envi.open("some.hdr")
print("Spectral Python:", again.shape[2], "bands,", len(again.bands.centers), "centres")
with rasterio.open("some.img") as raster:
    told = [float(raster.tags(band)["wavelength"]) for band in raster.indexes]
    imagery = [raster.tags(band, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"] for band in raster.indexes]
    same = np.array_equal(raster.read().transpose(1, 2, 0), cube[..., SOME])
print("GDAL:", told, "nm, IMAGERY", imagery, "um; numbers of bands 11, 16, 20:", same)
print("true:", NM[SOME].tolist(), "nm")
seen = len(again.bands.centers) == 20 and told == NM[:3].tolist() and same
seen = seen and imagery == ["0.420", "0.520", "0.620"]
sys.exit(not seen)
PYTHON
