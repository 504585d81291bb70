"""`hsi-ssl mask`: from scenes to masks that GDAL and QGIS read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cores
import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

GRID = Affine(5.0, 1.0, 300_000.0, 1.0, -5.0, 7_400_000.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two boxes of core, with labels of the first, in a folder; the current one is another."""
    monkeypatch.chdir(tmp_path)
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for name in ("a", "b"):
        cube = cores.core(3 if name == "a" else 4, rows=90, cols=120, sticks=3).scene.read()
        cube[:, 0] = 0
        with rasterio.open(
            scenes / f"{name}.tif", "w", driver="GTiff", height=90, width=120,
            count=cube.shape[2], dtype="uint16", crs="EPSG:32719", transform=GRID,
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(cube, -1, 0))
    return scenes


@pytest.mark.slow
def test_one_scene(hsi_ssl: Callable[..., Any], folder: Path) -> None:
    ran = hsi_ssl("mask", folder / "a.tif", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["mask"] == "a_mask.tif"
    assert told["seconds"] > 0
    assert "tray" in told["decided"]
    with rasterio.open("a_mask.tif") as raster:
        assert (raster.crs.to_epsg(), raster.transform) == (32719, GRID)
        assert (raster.dtypes, raster.nodata) == (("uint8",), 0)
        assert raster.tags()["HSI_SSL_MASK"] == "1"
        assert raster.colormap(1)[2] == (0x40, 0x40, 0x40, 255)
        plane = raster.read(1)
    assert (plane[:, 0] == 0).all()
    assert told["counts"] == {str(k): int((plane == k).sum()) for k in range(5)}
    assert 0.1 < (plane == 2).mean() < 0.6
    assert "<Category>no data</Category>" in Path("a_mask.tif.aux.xml").read_text()
    assert "shadow or background" in Path("a_mask.qml").read_text()
    assert Path("a_mask.csv").read_text().startswith("code,name,colour,pixels\n0,no data,,90\n")


@pytest.mark.slow
def test_several_scenes(hsi_ssl: Callable[..., Any], folder: Path) -> None:
    ran = hsi_ssl("mask", folder, "-o", "masks")
    assert ran.code == 0, ran.err
    assert sorted(p.name for p in Path("masks").glob("*.tif")) == ["a_mask.tif", "b_mask.tif"]
    assert "a tray runs along columns" in ran.out
    assert "wrote masks/b_mask.tif" in ran.out


@pytest.mark.slow
def test_masks_are_neither_scenes_nor_labels(hsi_ssl: Callable[..., Any], folder: Path) -> None:
    assert hsi_ssl("mask", folder, "-o", folder).code == 0
    ran = hsi_ssl("mask", folder, "-o", "again", "--json")
    assert ran.code == 0, ran.err
    assert [Path(one["mask"]).name for one in json.loads(ran.out)["scenes"]] == [
        "a_mask.tif", "b_mask.tif",
    ]  # fmt: skip
    ran = hsi_ssl("prepare", folder, "-o", "dataset.h5")
    assert ran.code == 2
    assert "no labels in or beside" in ran.err
    ran = hsi_ssl("prepare", folder / "a.tif", "--labels", folder, "-o", "dataset.h5")
    assert ran.code == 2
    assert "_mask.tif" not in ran.err


@pytest.mark.slow
def test_mistakes(hsi_ssl: Callable[..., Any], folder: Path) -> None:
    assert hsi_ssl("mask", folder / "a.tif").code == 0
    before = Path("a_mask.tif").read_bytes()
    for arguments, words in (
        ((folder / "a.tif",), "a_mask.tif exists already"),
        (("nowhere.tif",), "nowhere.tif"),
        ((folder / "a.tif", "-o", folder / "a.tif", "--overwrite"), "which it is made of"),
        ((folder, "-o", "one.tif"), "name a folder"),
        ((folder / "a.tif", "-o", "m.img"), "a mask is a GeoTIFF"),
    ):
        ran = hsi_ssl("mask", *arguments)
        assert ran.code == 2, arguments
        assert words in ran.err
    assert Path("a_mask.tif").read_bytes() == before
    assert hsi_ssl("mask", folder / "a.tif", "--overwrite").code == 0


def test_an_empty_scene(hsi_ssl: Callable[..., Any], folder: Path) -> None:
    with rasterio.open(
        "empty.tif", "w", driver="GTiff", height=9, width=9, count=5, dtype="uint16"
    ) as raster:
        raster.write(np.zeros((5, 9, 9), np.uint16))
    ran = hsi_ssl("mask", "empty.tif")
    assert ran.code == 2
    assert "no valid pixel" in ran.err
    assert not Path("empty_mask.tif").exists()


@pytest.mark.slow
def test_preparing_a_whole_scene_says_what_its_mask_could_not_tell(
    hsi_ssl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    core = cores.core(32, rows=120, cols=150, sticks=3, tray="grey plastic")
    for name, planes in (("grey", core.scene.read()), ("labels", core.material[..., None])):
        with rasterio.open(
            f"{name}.tif", "w", driver="GTiff", height=120, width=150, count=planes.shape[2],
            dtype=planes.dtype, crs="EPSG:32719", transform=GRID,
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(planes, -1, 0))
    told = "much like some of the core"
    ran = hsi_ssl("mask", "grey.tif")
    assert (ran.code, told in ran.out) == (0, True), ran.err
    ran = hsi_ssl(
        "prepare", "grey.tif", "--labels", "labels.tif", "--mask", "auto", "-o", "dataset.h5"
    )
    assert (ran.code, told in ran.out) == (0, True), ran.err
