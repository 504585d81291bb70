#!/usr/bin/env bash
# spyndex==0.12.0, xarray-spatial==0.5.3, spectral==0.25
# spyndex works out an index in the number type that its bands have. Reflectance as products deliver
# it, unsigned integers of 16 bits, wraps round wherever a difference is below 0: NDVI of water or
# soil with 3000 in the red and 1000 in the near infrared is 15.884, not -0.5, and two bright bands
# of 40,000 and 30,000 give 2.24, not 0.14, since their sum is beyond 65,535. So it is for arrays of
# numpy and xarray alike, without a warning. The same numbers as signed integers of 32 bits or
# floats, or by xarray-spatial and Spectral Python, which turn them into floats, are right.
# Source: https://spyndex.readthedocs.io/en/stable/ (computeIndex: "computes one or more Spectral
# Indices from the Awesome list of Spectral Indices"; numpy.ndarray and xarray.DataArray are supported
# classes); PRISMA's and Sentinel-2's products, reflectance as unsigned integers of 16 bits.
# Guess before the run: an index of normalised differences lies between -1 and 1, or integers are
# refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 xarray==2026.9.0 spyndex==0.12.0 \
    xarray-spatial==0.5.3 spectral==0.25
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
import spectral
import spyndex
import xarray
from xrspatial.multispectral import ndvi

NIR = np.array([[3000, 1000, 40_000]], np.uint16)
RED = np.array([[1000, 3000, 30_000]], np.uint16)


def index(kind):
    return np.asarray(spyndex.computeIndex("NDVI", N=NIR.astype(kind), R=RED.astype(kind)))


nir, red = (xarray.DataArray(one, dims=("y", "x")) for one in (NIR, RED))
found = {
    "spyndex, uint16": index(np.uint16),
    "spyndex, uint16 of xarray": np.asarray(spyndex.computeIndex("NDVI", N=nir, R=red)),
    "spyndex, int32": index(np.int32),
    "spyndex, float32": index(np.float32),
    "xarray-spatial, uint16": ndvi(nir, red).values,
    "spectral, uint16": spectral.ndvi(np.stack([RED, NIR], -1), 0, 1),
}
for name, values in found.items():
    print(f"{name}: {values.ravel().round(3)}")
right, wrapped = [0.5, -0.5, 1 / 7], [0.5, 15.884, 10_000 / 4464]
same = all(
    np.allclose(values, wrapped if "spyndex, uint16" in name else right, atol=1e-3)
    for name, values in found.items()
)
sys.exit(0 if same else "another behaviour than described")
PYTHON
