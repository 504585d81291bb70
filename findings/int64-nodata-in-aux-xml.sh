#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3)
# GDAL forgets the nodata value of 64-bit integers that it wrote itself, where it keeps it in
# .aux.xml: of an ENVI cube with nodata 9999 it says 9. A careful guess says that what GDAL writes
# it reads back, as it does for integers of 32 bits, and that the header, which has
# "data ignore value = 9999", would count. But .aux.xml goes first, holds 9.99900000000000E+03, and
# of that the digits before the point are read: pixels without data count, and those of value 9 do
# not.
# Source: https://gdal.org/en/stable/user/raster_data_model.html (a raster band: "a nodata pixel
# value").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 rasterio==1.4.4
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import re
import sys

import numpy as np
import rasterio

same = True
for dtype, expected in (("int32", 9999), ("int64", 9), ("uint64", 9)):
    name = f"{dtype}.img"
    with rasterio.open(
        name, "w", driver="ENVI", width=3, height=1, count=1, dtype=dtype, nodata=9999
    ) as raster:
        raster.write(np.array([[[9999, 9, 5]]], dtype))
    with rasterio.open(name) as raster:
        nodata, shown = raster.nodata, (raster.read_masks(1) > 0).tolist()
    with open(f"{dtype}.hdr") as file:
        header = re.search("data ignore value.*", file.read())[0]
    with open(f"{name}.aux.xml") as file:
        beside = re.search("<NoDataValue>.*</NoDataValue>", file.read())[0]
    print(f"{dtype}: {header}; {beside}; read back as {nodata:g}; of 9999, 9 and 5 shown: {shown}")
    same &= nodata == expected
sys.exit(0 if same else 1)
PYTHON
