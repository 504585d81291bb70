"""TIFF files of several pages: stacks of bands, arrays that tifffile has cut, and other pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from delivered import refused, run

from hsi_ssl.errors import LabelError, SceneError
from hsi_ssl.scenes.axes import order_of
from hsi_ssl.scenes.opening import open_scene, read_plane

CUBE = np.random.default_rng(0).integers(1, 4000, (7, 9, 5)).astype(np.uint16)
Pages = list[np.ndarray[Any, Any]]


def write_pages(path: Path, pages: Pages, description: str | None = None, **more: Any) -> Path:
    """Each page a plane of its own, as programs for pictures write them."""
    tags = {} if description is None else {"TIFFTAG_IMAGEDESCRIPTION": description}
    for number, page in enumerate(pages):
        planes = np.atleast_3d(page).transpose(2, 0, 1)
        with rasterio.open(
            path, "w", driver="GTiff", count=len(planes), height=page.shape[0],
            width=page.shape[1], dtype=page.dtype, APPEND_SUBDATASET=number > 0, **more,
        ) as raster:  # fmt: skip
            raster.write(planes)
            raster.update_tags(**tags)
    return path


def cut_by_tifffile(path: Path, array: np.ndarray[Any, Any]) -> Path:
    return write_pages(path, list(array), json.dumps({"shape": list(array.shape)}))


def check(path: Path, **asked: Any) -> None:
    """The scene is the cube, by windows, pixels and thinned out."""
    with open_scene(path, **asked) as scene:
        assert (scene.rows, scene.cols, scene.bands) == CUBE.shape
        np.testing.assert_array_equal(scene.read(), CUBE)
        np.testing.assert_array_equal(scene.read(slice(2, 5), slice(4, 9)), CUBE[2:5, 4:9])
        rows, cols = np.array([6, 0, 3]), np.array([8, 0, 2])
        np.testing.assert_array_equal(scene.pixels(rows, cols), CUBE[rows, cols])
        found = scene.thinned([0, 3, 6], [1, 5], [4, 0])
        np.testing.assert_array_equal(found, CUBE[[0, 3, 6]][:, [1, 5]][..., [4, 0]])


@pytest.mark.parametrize("description", [None, "ImageJ=1.54f\nimages=5\nslices=5\n"])
def test_pages_of_one_size_are_bands(
    tmp_path: Path, description: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = rasterio.Affine(30, 0, 4e5, 0, -30, 5.6e6)
    bands = list(CUBE.transpose(2, 0, 1))
    write_pages(Path("a&b.tif"), bands, description, crs="EPSG:32633", transform=place, nodata=7)
    check(Path("a&b.tif"))
    with open_scene(Path("a&b.tif")) as scene:
        assert scene.nodata == 7
        assert scene.grid.transform == place[:6]
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        np.testing.assert_array_equal(scene.read(), CUBE)
    assert "each of the 5 pages of a&b.tif is taken for a band" in run("info", tmp_path / "a&b.tif")


def test_an_array_that_tifffile_has_cut_is_not_guessed(tmp_path: Path) -> None:
    path = cut_by_tifffile(tmp_path / "cube.tif", CUBE)
    said = "give --axes rows,cols,bands for 5 bands, or bands,rows,cols for 7"
    refused([said], "info", path)
    check(path, axes="rows,cols,bands")
    wavelengths = tmp_path / "nm.csv"
    wavelengths.write_text("wavelength\n" + "\n".join(str(400 + 10 * i) for i in range(5)) + "\n")
    check(path, wavelengths=wavelengths)
    turned = cut_by_tifffile(tmp_path / "turned.tif", np.ascontiguousarray(CUBE.transpose(2, 0, 1)))
    check(turned, axes="bands,rows,cols")
    check(turned, wavelengths=wavelengths)


@pytest.mark.parametrize("axes", ["rows,bands,cols", "cols,rows,bands", "bands,cols,rows"])
def test_all_orders_of_axes_are_read(tmp_path: Path, axes: str) -> None:
    array = np.ascontiguousarray(CUBE.transpose(order_of(axes)))
    check(write_pages(tmp_path / "cube.tif", list(array)), axes=axes)


def test_pages_that_are_no_stack_are_said(tmp_path: Path) -> None:
    small = write_pages(tmp_path / "thumbnail.tif", [CUBE, CUBE[:3, :4]])
    with open_scene(small) as scene:
        np.testing.assert_array_equal(scene.read(), CUBE)
        assert "only the first of the 2 pages of thumbnail.tif is read" in scene.notes
    with open_scene(small, axes="bands,rows,cols") as scene:
        assert "thumbnail.tif tells its own axes: --axes is not used" in scene.notes
    mixed = write_pages(tmp_path / "mixed.tif", [CUBE[..., 0], CUBE[..., 1].astype(np.float32)])
    with pytest.raises(SceneError, match="pages of uint16 and of float32"):
        open_scene(mixed)
    odd = write_pages(tmp_path / "odd.tif", [CUBE[..., 0].astype(np.complex64)] * 2)
    with pytest.raises(SceneError, match="complex64; expected real numbers"):
        open_scene(odd)


def test_labels_in_pages_are_refused(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "labels.tif", [CUBE[..., 0], CUBE[..., 1]])
    with pytest.raises(LabelError, match="has 2 bands; expected labels in one band"):
        read_plane(pages)


def test_a_stack_that_is_cut_short_is_said(tmp_path: Path) -> None:
    path = write_pages(tmp_path / "cube.tif", list(np.tile(CUBE, (20, 20, 1)).transpose(2, 0, 1)))
    with open_scene(path) as scene:
        path.write_bytes(path.read_bytes()[:20_000])
        with pytest.raises(SceneError, match="cut short or broken"):
            scene.read()
