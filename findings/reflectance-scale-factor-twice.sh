#!/usr/bin/env bash
# spectral==0.25, rasterio==1.4.4
# An ENVI header's `reflectance scale factor = 10000` is applied by spectral's load(), whose floats
# are reflectance, and kept in the image's metadata: saved with that metadata and read again, the
# floats are divided once more, 0.3 becomes 0.00003. GDAL, which makes scales of `data gain values`,
# makes none of this field, so that through rasterio the first file reads 3000 and the second 0.3,
# both with scale 1. So floats beside such a factor are reflectance already, and integers are not.
# Source: L3Harris, ENVI Header Files, "reflectance scale factor"; Spectral Python, spectral.io.envi
# (SpyFile.scale_factor); GDAL, ENVI driver, "data gain values".
# Guess before the run: a loaded image that is saved with its own metadata reads back as it was.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.2.6 spectral==0.25 rasterio==1.4.4
venv/bin/python - <<'PYTHON'
import sys
import warnings

import numpy as np
import rasterio
from spectral.io import envi

warnings.simplefilter("ignore")
raw = np.full((4, 5, 3), 3000, np.uint16)
envi.save_image("raw.hdr", raw, metadata={"reflectance scale factor": 10000}, ext="img")
image = envi.open("raw.hdr")
loaded = image.load()
envi.save_image("again.hdr", loaded, metadata=image.metadata, ext="img")
once, twice = float(loaded[0, 0, 0]), float(envi.open("again.hdr").load()[0, 0, 0])
print(f"spectral reads {once:.6f}, and {twice:.6f} from what it saved of that")
seen = []
for name in ("raw.img", "again.img"):
    with rasterio.open(name) as raster:
        seen.append((float(raster.read(1)[0, 0]), raster.scales[0]))
        print(f"GDAL reads {name} as {seen[-1][0]:g}, scale {seen[-1][1]:g}")
expected = np.allclose([once, twice], [0.3, 3e-5], rtol=1e-3)
expected &= np.allclose(seen, [(3000, 1), (0.3, 1)], rtol=1e-3)
sys.exit(0 if expected else "another behaviour than described")
PYTHON
