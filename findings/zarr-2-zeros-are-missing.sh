#!/usr/bin/env bash
# zarr==3.1.6, xarray==2026.9.0
# Whether 0 is a measurement depends on the version of the Zarr format. A cube of uint16 that
# zarr-python writes, with the fill value left at its default, which is 0 for both formats, comes from
# xarray's open_zarr as uint16 with its zeros where the store is of Zarr 3, and as float32 with NaN in
# the place of every 0 where it is of Zarr 2, without a warning. So a spectrum with one band at 0 loses
# that band, codes of labels become floats, and memory doubles. Stores that xarray has written come
# back as they were in both formats, since it writes no fill value then.
# Source: https://zarr.readthedocs.io/en/stable/user-guide/arrays.html (fill_value: the value of chunks
# that have not been written); https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html#arrays
# (fill_value: "the default value to use for uninitialized portions of the array").
# Guess before the run: the same array holds the same numbers in both formats.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 zarr==3.1.6 xarray==2026.9.0
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
import xarray
import zarr

CUBE = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
NAMES = ("y", "x", "wavelength")
found = {}
for version in (2, 3):
    group = zarr.open_group(f"own{version}.zarr", mode="w", zarr_format=version)
    if version == 3:
        array = group.create_array("cube", data=CUBE, dimension_names=NAMES)
    else:
        array = group.create_array("cube", data=CUBE)
        array.attrs["_ARRAY_DIMENSIONS"] = list(NAMES)
    assert np.array_equal(array[...], CUBE)
    one = xarray.open_zarr(f"own{version}.zarr", consolidated=False, chunks=None).cube
    dataset = xarray.Dataset({"cube": (NAMES, CUBE)})
    dataset.to_zarr(f"xarray{version}.zarr", zarr_format=version, consolidated=False)
    other = xarray.open_zarr(f"xarray{version}.zarr", consolidated=False, chunks=None).cube
    found[version] = str(one.dtype), float(one.values.ravel()[0]), str(other.dtype)
    print(
        f"Zarr {version}, fill value {array.fill_value}: {one.dtype}, the first numbers are "
        f"{one.values.ravel()[:3]}; written by xarray: {other.dtype}"
    )
lost = found[2][0] == "float32" and np.isnan(found[2][1]) and found[2][2] == "uint16"
sys.exit(0 if lost and found[3] == ("uint16", 0.0, "uint16") else "another behaviour than described")
PYTHON
