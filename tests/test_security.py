"""What SECURITY.md promises: that its tests are there, and what no other test holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import rasterio

from hsi_ssl.catalog.entries import entries, entry
from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text()
CODE = """
import pathlib
def function(into, *more, **others):
    pathlib.Path({place!r}).touch()
    into[:] = 1
"""


def test_each_promise_names_tests_that_are_there() -> None:
    promised = TEXT.split("## Promised")[1].split("## Not promised")[0]
    paragraphs = [p for p in promised.split("\n\n") if p.strip()]
    assert len(paragraphs) >= 8
    for paragraph in paragraphs:
        assert re.search(r"`[\w/]+\.py::\w+`", paragraph), paragraph
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT):
        assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(), name


def test_a_raster_brings_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    with rasterio.open(
        tmp_path / "one.tif", "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(1, 0, 0, 0, -1, 0),
    ) as raster:  # fmt: skip
        raster.write(np.ones((1, 8, 8), np.uint8))
    run = tmp_path / "it-ran"
    band = (
        '<VRTRasterBand dataType="Byte" band="{}" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionType>function</PixelFunctionType>"
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"
        "<PixelFunctionCode><![CDATA[{}]]></PixelFunctionCode>"
        '<SimpleSource><SourceFilename relativeToVRT="1">one.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
    )
    bands = "".join(band.format(i, CODE.format(place=str(run))) for i in (1, 2, 3))
    vrt = tmp_path / "scene.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{bands}</VRTDataset>')
    with pytest.raises(SceneError, match="broken"):
        open_scene(vrt).read()
    assert not run.exists()


def test_files_without_a_checksum_are_as_many_as_is_said() -> None:
    files = [file for name in entries() for file in entry(name).files]
    assert len(files) > 10
    without = [file for file in files if file.sha256 is None]
    assert len(without) == 3
    assert "three label files have none" in TEXT
    assert all("_gt" in file.path for file in without)


def test_it_is_found_and_packed() -> None:
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "SECURITY.md" in project["license-files"]
