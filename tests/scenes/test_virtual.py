from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from hsi_ssl.errors import SceneNotFoundError
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.virtual import gdal_name, is_virtual, shown


@pytest.mark.parametrize(
    ("written", "gdal", "people"),
    [
        ("https://h.org/a/x.tif", "/vsicurl/https://h.org/a/x.tif", "https://h.org/a/x.tif"),
        ("/vsicurl/http://h/x.tif?k=1", "/vsicurl/http://h/x.tif?k=1", "http://h/x.tif?k=1"),
        ("/vsis3/bucket/x.tif", "/vsis3/bucket/x.tif", "/vsis3/bucket/x.tif"),
        (
            "/vsizip/vsicurl/https://h/a.zip/x.tif",
            "/vsizip/vsicurl/https://h/a.zip/x.tif",
            "/vsizip/vsicurl/https://h/a.zip/x.tif",
        ),
        ("/vsizip/{/data/a.zip}/x.tif",) * 3,
    ],
)
def test_paths_keep_what_gdal_must_know(written: str, gdal: str, people: str) -> None:
    path = Path(written)
    assert is_virtual(path)
    assert gdal_name(path) == gdal
    assert shown(path) == people


def test_ordinary_paths_are_left_alone() -> None:
    for name in ("scene.tif", "/data/http/scene.tif", "vsi/x.tif"):
        assert not is_virtual(Path(name))
        assert gdal_name(Path(name)) == shown(Path(name)) == name


def test_scenes_in_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = np.random.default_rng(0).integers(1, 900, (5, 12, 9), np.uint16)
    profile = {"driver": "GTiff", "height": 12, "width": 9, "crs": "EPSG:32719"}
    place = rasterio.transform.from_origin(3e5, 7.4e6, 20, 20)
    with rasterio.open(
        tmp_path / "s.tif", "w", count=5, dtype="uint16", transform=place, **profile
    ) as raster:
        raster.write(cube)
    with rasterio.open(
        tmp_path / "l.tif", "w", count=1, dtype="uint8", transform=place, **profile
    ) as raster:
        raster.write(cube[:1] % 3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "s.tif", "deep/s.tif")
        archive.write(tmp_path / "l.tif", "l.tif")
    monkeypatch.chdir(tmp_path)
    for name in (
        f"/vsizip/{tmp_path}/a.zip/deep/s.tif",
        "/vsizip/a.zip/deep/s.tif",
        f"/vsizip/{{{tmp_path}/a.zip}}/deep/s.tif",
    ):
        with open_scene(Path(name)) as scene:
            np.testing.assert_array_equal(scene.read(), np.moveaxis(cube, 0, -1))
            assert scene.name == "s"
            assert scene.grid.crs is not None
    plane = read_label_plane(Path(f"/vsizip/{tmp_path}/a.zip/l.tif"), shape=(12, 9))
    np.testing.assert_array_equal(plane, cube[0] % 3)
    for name in ("/vsizip/a.zip/none.tif", "/vsizip/none.zip/s.tif"):
        with pytest.raises(SceneNotFoundError, match="there is nothing at /vsizip/"):
            open_scene(Path(name))
