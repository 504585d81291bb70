#!/usr/bin/env bash
# rasterio==1.4.4
# A BigTIFF whose first directory is said to lie beyond what a file system can seek has GDAL print
# "_tiffSeekProc: Invalid argument." to standard error by itself: rasterio's handler of GDAL's messages,
# CPL_DEBUG=OFF and CPL_LOG=/dev/null do not keep it in. A careful guess says that a file that cannot be
# opened is an exception, and that what GDAL tells beside it goes where its log goes.
# Source: https://gdal.org/en/stable/user/configoptions.html (CPL_LOG: "can be used to redirect debug
# output and error messages to a file"); the message is that of libtiff's handler where it has no file
# of GDAL's at hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 rasterio==1.4.4
cd "$folder"
cat > look.py <<'PYTHON'
import struct

import rasterio

with open("far.tif", "wb") as file:
    file.write(b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**62) + bytes(100))
try:
    rasterio.open("far.tif")
except rasterio.errors.RasterioIOError as error:
    print(f"raised: {error}")
PYTHON
CPL_DEBUG=OFF CPL_LOG=/dev/null "$folder/venv/bin/python" look.py 2> raw.txt
echo "on standard error: $(cat raw.txt)"
grep -q "^_tiffSeekProc: Invalid argument" raw.txt
