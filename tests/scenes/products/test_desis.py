"""DESIS products of the layout that DLR's ground segment writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from delivered import on_grid, refused, run, whole_way
from desis_files import NAME, NM, gains, write_desis
from enmap_files import write_plane

from hsi_ssl.masks.codes import CLOUD, HAZE, SHADOW
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.products import product_at

GROUND = on_grid()
SIZE = GROUND.x.shape


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """The metadata of a product of level 2A."""
    return write_desis(tmp_path / "DESIS tile 11", GROUND)


def _member(metadata: Path, what: str) -> Path:
    return metadata.with_name(metadata.name.replace("METADATA.xml", what))


def test_bands_numbers_and_place(product: Path) -> None:
    with open_scene(product) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (*SIZE, len(NM))
        assert scene.format == "DESIS L2A"
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM)
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.fwhm_nm, 3.5)
        assert scene.good.all()
        assert scene.nodata == -32768
        assert scene.units is not None
        assert (scene.units.kind, scene.units.scale[3]) == ("reflectance", 1e-4)
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2022-04-04T19:32:59.123456+00:00"
        seen = scene.valid(scene.read())
        assert np.argwhere(~seen).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    "what",
    ["", "SPECTRAL_IMAGE.tif", "SPECTRAL_IMAGE.hdr", "QL_QUALITY-2.tif", "HISTORY.xml"],
)
def test_any_member_stands_for_the_product(product: Path, what: str) -> None:
    found = product_at(_member(product, what) if what else product.parent)
    assert found is not None
    assert found.main == _member(product, "SPECTRAL_IMAGE.tif")


def test_members_without_their_beginning_are_known_by_the_metadata(tmp_path: Path) -> None:
    write_desis(tmp_path / "p", GROUND, name="")
    with open_scene(tmp_path / "p") as scene:
        assert scene.format == "DESIS L2A"


def test_level_1_is_radiance_and_1b_has_no_place(tmp_path: Path) -> None:
    for level in ("L1C", "L1B"):
        with open_scene(write_desis(tmp_path / level, GROUND, level=level)) as scene:
            assert scene.units is not None
            assert scene.units.kind == "radiance"
            np.testing.assert_allclose(scene.units.scale, gains(level)[0])
            np.testing.assert_allclose(scene.units.offset, gains(level)[1])
            assert scene.grid.placed == (level == "L1C")
            told = any("no place of its pixels is told" in note for note in scene.notes)
            assert told == (level == "L1B")


def test_layers_and_what_strict_leaves_out(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = _member(product, "QL_QUALITY-2.tif")
    with rasterio.open(path, "r+") as raster:
        planes = raster.read()
        for band, row in ((0, 4), (2, 6), (3, 8), (4, 9), (5, 10), (6, 11), (7, 14)):
            planes[band, row, 3:20] = 1
        raster.write(planes)
    known = json.loads(run("info", product, "--json"))
    assert list(known["layers"]) == ["cloud", "cloud shadow", "haze", "snow", "water"]
    told = json.loads(run("mask", product, "--json"))
    with rasterio.open(told["mask"]) as raster:
        mask = raster.read(1)[:, 3:20]
    assert (mask[4] == SHADOW).all()
    assert (mask[8:10] == HAZE).all()
    assert (mask[10:12] == CLOUD).all()
    assert (mask[[6, 14]] == 1).all()
    with open_scene(product, quality="strict") as scene:
        hidden = ~scene.valid(scene.read())[:, 3:20]
        assert np.flatnonzero(hidden.all(axis=1)).tolist() == [4, 8, 9, 10, 11]
        assert scene.origins.mask is not None
        assert "cloud, cloud shadow, haze of QL_QUALITY-2" in scene.origins.mask.where
        assert any("no layer tells cirrus" in note for note in scene.notes)


def test_what_is_missing_mixed_up_or_contradicts_itself(product: Path) -> None:
    image, quality = (_member(product, f"{w}.tif") for w in ("SPECTRAL_IMAGE", "QL_QUALITY-2"))
    write_plane(quality, np.zeros((4, *SIZE), np.uint8))
    refused(["has 4 bands; expected 8 flags"], "info", product)
    write_plane(quality, np.zeros((10, 36, 40), np.uint8))
    refused(["has 36 x 40 pixels"], "info", product)
    strange = quality.rename(quality.with_name(quality.name.replace("193259", "193307")))
    refused(["members of two DESIS acquisitions: QL_QUALITY-2"], "info", product)
    strange.unlink()
    write_plane(image, np.ones((20, *SIZE), np.int16))
    refused(["has 20 bands and", "tells of 24"], "info", product)
    image.write_bytes(image.read_bytes()[:300])
    refused(["SPECTRAL_IMAGE.tif"], "info", product)
    image.unlink()
    refused(["without its SPECTRAL_IMAGE"], "info", product)


def test_metadata_that_are_cut_short(product: Path) -> None:
    product.write_text(product.read_text()[:700])
    refused(["cut short or broken XML"], "info", product)
    product.unlink()
    refused(["without its METADATA", NAME.format(level="L2A")], "info", product.parent)


@pytest.mark.slow
def test_from_the_folder_to_the_map(product: Path, tmp_path: Path) -> None:
    whole_way(product.parent, GROUND, tmp_path)
