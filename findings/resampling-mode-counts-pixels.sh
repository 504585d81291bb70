#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3)
# Resampling.mode gives a target pixel the value that most source pixels have which it touches, each
# counted once however little of it lies inside; of values that are met equally often it takes the
# one met first. A careful guess says that the value which covers most of the target pixel wins, as
# Resampling.average weighs by area since GDAL 3.1. With target pixels 1.25 times as large as the
# source's, in the same CRS, more than a quarter of random pixels get a value that does not cover
# most of them.
# Source: https://gdal.org/en/stable/programs/gdalwarp.html#cmdoption-gdalwarp-r ("mode: selects the
# value which appears most often of all the sampled points").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 rasterio==1.4.4
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject

SIDE, RATIO = 200, 1.25
source = np.random.default_rng(0).integers(1, 4, (SIDE, SIDE)).astype("u1")
grid = Affine(10, 0, 300000, 0, -10, 5000000)
target = int(SIDE / RATIO)
crs = {"src_crs": "EPSG:32632", "dst_crs": "EPSG:32632"}


def warped(values, how, dtype):
    found = np.zeros((target, target), dtype)
    reproject(values, found, src_transform=grid, dst_transform=grid @ Affine.scale(RATIO),
              resampling=how, **crs)
    return found


# What each value truly covers: lengths along rows times lengths along columns.
edges = np.arange(target + 1) * RATIO
cells = np.arange(SIDE)
covered = np.clip(np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells), 0, 1)
shares = np.stack([covered @ (source == v) @ covered.T for v in (1, 2, 3)]) / RATIO**2
ordered = np.sort(shares, axis=0)
clear = ordered[-1] - ordered[-2] > 1e-9
wrong = (warped(source, Resampling.mode, "u1") != shares.argmax(0) + 1) & clear
average = warped((source == 2).astype("f4"), Resampling.average, "f4")
apart = float(np.abs(average - shares[1]).max())
print(f"mode: {100 * wrong.sum() / clear.sum():.1f} % of {clear.sum()} target pixels get a value that "
      "does not cover most of them")
print(f"average of one value differs from its share of the area by at most {apart:.1e}")
sys.exit(0 if wrong.sum() > 0.1 * clear.sum() and apart < 1e-3 else 1)
PYTHON
