#!/usr/bin/env bash
# xarray-enmap==0.0.3
# The xarray backend for EnMAP opens a product of level 1C, which is radiance, without a word, and
# gives it as surface reflectance of level 2A: its numbers divided by 10,000, called
# `surface_bidirectional_reflectance` with the unit 1 and `processing_level` 2A. Gain and offset of
# each band, which METADATA.XML tells and which make radiance of them, are not used, so that bands
# cannot be compared with each other either; background, 0 at this level, is 0.0 and no NaN where
# the image declares no nodata value, since -32768 is looked for.
# Source: EnMAP HSI product specification (level 1C: top-of-atmosphere radiance = DN x GainOfBand +
# OffsetOfBand, background 0; level 2A: reflectance, -32768); metadata of the ground segment's
# sample products; xarray-enmap's own description: "xarray backend for EnMAP data archives".
# Guess before the run: a product of level 1C is refused, or comes as radiance by its gains.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xarray-enmap==0.0.3 rioxarray==0.19.0 rasterio==1.4.4 numpy==2.2.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import os
import sys

import numpy as np
import rasterio
import xarray

NAME = "ENMAP01-____L1C-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z"
NM = (442.3, 665.1, 1650.8)
GAINS, OFFSETS = (2.5e-6, 1.1e-6, 2.0e-7), (0.046, 0.012, 0.001)
PLACE = {
    "crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 400_000, 0, -30, 5_800_000),
    "driver": "GTiff", "height": 4, "width": 5,
}

os.mkdir(NAME)
radiance = np.array([0.11, 0.07, 0.012])[:, None, None] * np.linspace(0.6, 1, 20).reshape(1, 4, 5)
gains, offsets = (np.array(one)[:, None, None] for one in (GAINS, OFFSETS))
numbers = np.round((radiance - offsets) / gains).astype(np.uint16)
numbers[:, 0, 0] = 0  # background


def write(what, values):
    with rasterio.open(
        f"{NAME}/{NAME}-{what}.TIF", "w", count=len(values), dtype=values.dtype, **PLACE
    ) as raster:
        raster.write(values)


write("SPECTRAL_IMAGE", numbers)
write("QL_PIXELMASK", np.zeros((3, 4, 5), np.uint8))
for layer in ("CIRRUS", "CLASSES", "CLOUD", "CLOUDSHADOW", "HAZE", "SNOW", "TESTFLAGS"):
    write(f"QL_QUALITY_{layer}", np.zeros((1, 4, 5), np.uint8))
for detector in ("VNIR", "SWIR"):
    write(f"QL_{detector}", np.zeros((3, 4, 5), np.uint8))
corners = (("upper_left", 52.3, 13.0), ("lower_left", 52.0, 13.0), ("lower_right", 52.0, 13.4),
           ("upper_right", 52.3, 13.4), ("upper_left", 52.3, 13.0))
points = "".join(
    f"<point><frame>{frame}</frame><latitude unit='DEG'>{lat}</latitude>"
    f"<longitude unit='DEG'>{lon}</longitude></point>" for frame, lat, lon in corners
)
bands = "".join(
    f"<bandID number='{i + 1}'><wavelengthCenterOfBand>{nm}</wavelengthCenterOfBand>"
    f"<FWHMOfBand>7.5</FWHMOfBand><GainOfBand>{GAINS[i]}</GainOfBand>"
    f"<OffsetOfBand>{OFFSETS[i]}</OffsetOfBand></bandID>" for i, nm in enumerate(NM)
)
with open(f"{NAME}/{NAME}-METADATA.XML", "w") as file:
    file.write(f"""<level_X><metadata><name>{NAME}-METADATA.XML</name>
<comment>EnMAP Level 1C Product of datatake 1867, tile 8</comment><citation>DLR</citation></metadata>
<base><spatialCoverage><boundingPolygon>{points}</boundingPolygon></spatialCoverage>
<temporalCoverage><startTime>2022-07-24T10:45:26.000000Z</startTime>
<stopTime>2022-07-24T10:45:30.000000Z</stopTime></temporalCoverage>
<format>ENMAP_L1C</format><level>L1C</level></base>
<specific><mission>EnMAP</mission><backgroundValue>0</backgroundValue>
<bandCharacterisation>{bands}</bandCharacterisation></specific>
<product><image><merge><channels>3</channels><name>{NAME}-SPECTRAL_IMAGE.TIF</name></merge></image>
</product></level_X>""")

found = xarray.open_dataset(NAME, engine="enmap")
values = found["reflectance"].transpose("band", "y", "x").values
told = found["reflectance"].attrs
plain = bool(np.allclose(values, numbers / 10_000))
print(f"level 1C opens as {told.get('standard_name')}, unit {told.get('units')}, processing level "
      f"{found.attrs.get('processing_level')}; radiance of level 1C, or a refusal, expected")
print(f"first values of the bands {values[:, 0, 1].round(4).tolist()}: the numbers divided by 10,000 "
      f"{'' if plain else 'no longer '}(radiance is {radiance[:, 0, 1].round(4).tolist()})")
print(f"background reads {values[:, 0, 0].tolist()}; NaN expected")
same = (
    plain and "reflectance" in told.get("standard_name", "")
    and found.attrs.get("processing_level") == "2A" and (values[:, 0, 0] == 0).all()
)
sys.exit(0 if same else 1)
PYTHON
