"""Thinned-out reading for pictures: right pixels, overviews, and a bound on what is read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine

from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers import boxes, flat, geotiff
from hsi_ssl.scenes.scene import Array, Scene

ROWS, COLS, BANDS = 150, 130, 7


@pytest.fixture(scope="module")
def cube() -> Array:
    return np.random.default_rng(0).integers(1, 60_000, (ROWS, COLS, BANDS)).astype(np.uint16)


def write(kind: str, cube: Array, path: Path) -> Path:
    """The cube as a file of that kind."""
    if kind == "npy":
        np.save(path.with_suffix(".npy"), cube)
        return path.with_suffix(".npy")
    if kind.startswith("hdf5"):
        chunks = {"hdf5": None, "hdf5 chunks": (32, 16, BANDS), "hdf5 planes": (64, 64, 1)}[kind]
        with h5py.File(path.with_suffix(".h5"), "w") as file:
            packed = {} if chunks is None else {"compression": "gzip"}
            file.create_dataset("cube", data=cube, chunks=chunks, **packed)
        return path.with_suffix(".h5")
    interleave, *tiled = kind.split()
    profile = {"tiled": True, "blockxsize": 32, "blockysize": 32} if tiled else {}
    if interleave == "ehdr":
        profile, driver, interleave, path = {}, "EHdr", "bil", path.with_suffix(".bil")
    elif interleave in ("bil", "bip", "bsq"):
        profile, driver, path = {}, "ENVI", path.with_suffix(".img")
    else:
        driver, path = "GTiff", path.with_suffix(".tif")
    with rasterio.open(
        path, "w", driver=driver, height=cube.shape[0], width=cube.shape[1], count=cube.shape[2],
        dtype=cube.dtype, interleave=interleave, transform=Affine(2, 0, 0, 0, -2, 0), **profile,
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(cube, -1, 0))
    return path


KINDS = (
    "npy", "hdf5", "hdf5 chunks", "hdf5 planes", "band", "pixel", "band tiled", "pixel tiled",
    "bil", "bip", "bsq", "ehdr",
)  # fmt: skip


PLACES = {
    "from the edge": (np.arange(0, ROWS, 8), np.arange(0, COLS, 5)),
    "middles of cells": (np.arange(4, ROWS, 8), np.arange(2, COLS, 5)),
    "up to the edge": (np.append(np.arange(4, 143, 8), 149), np.append(np.arange(3, 127, 6), 129)),
    "all of some": (np.arange(20, 90), np.arange(60, 64)),
    "unevenly": (np.array([1, 2, 70, 71, 149]), np.array([0, 50, 60, 129])),
    "one": (np.array([149]), np.array([129])),
}


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_where_rows_and_columns_cross(
    kind: str, places: str, cube: Array, tmp_path: Path
) -> None:
    rows, cols = PLACES[places]
    bands = np.array([5, 0, 3])
    with open_scene(write(kind, cube, tmp_path / "cube")) as scene:
        found = scene.thinned(rows, cols, bands.tolist())
        np.testing.assert_array_equal(found, cube[np.ix_(rows, cols, bands)])
        assert scene.thinned([7], [9], [2]).item() == cube[7, 9, 2]


@pytest.mark.parametrize("order", ["<", ">"])
def test_raw_numbers_of_any_byte_order_behind_a_header(
    order: str, cube: Array, tmp_path: Path
) -> None:
    (tmp_path / "c.img").write_bytes(b"x" * 77 + cube.astype(f"{order}u2").tobytes())
    (tmp_path / "c.hdr").write_text(
        f"ENVI\nsamples = {COLS}\nlines = {ROWS}\nbands = {BANDS}\nheader offset = 77\n"
        f"data type = 12\ninterleave = BIP\nbyte order = {int(order == '>')}\n"
    )
    with open_scene(tmp_path / "c.img") as scene:
        found = scene.thinned([4, 12], [3, 9, 15], (6, 1))
        np.testing.assert_array_equal(found, cube[4:13:8, 3:16:6][..., [6, 1]])


def test_overviews_are_read_where_they_suffice(cube: Array, tmp_path: Path) -> None:
    path = write("band tiled", cube, tmp_path / "cube")
    with rasterio.open(path, "r+") as raster:
        raster.build_overviews([2, 4], Resampling.average)
    with rasterio.open(path, overview_level=1) as raster:
        fourth = np.moveaxis(raster.read(), 0, -1)
    every = np.arange(2, 148, 4), np.arange(2, 130, 4)
    with open_scene(path) as scene:
        quarter = scene.thinned(*every, (1, 6))
        np.testing.assert_array_equal(quarter, fourth[:37, :32][..., [1, 6]])
        eighth = scene.thinned(every[0][::2], every[1][::2], (1, 6))
        np.testing.assert_array_equal(eighth, quarter[::2, ::2])
        full = scene.thinned(np.arange(ROWS), np.arange(COLS), range(BANDS))
        np.testing.assert_array_equal(full, cube)


def bytes_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the bytes of every box that the scene's reader reads."""
    sizes: list[int] = []
    reader = scene.reader
    assert isinstance(reader, boxes.BoxReader)
    read = reader.box

    def box(rows: slice, cols: slice, bands: slice) -> Array:
        found = read(rows, cols, bands)
        sizes.append(found.nbytes)
        return found

    monkeypatch.setattr(reader, "box", box)
    return sizes


@pytest.mark.parametrize("kind", ["hdf5", "hdf5 chunks", "band", "pixel tiled"])
def test_what_is_read_is_bounded(
    kind: str, cube: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = 20_000
    for module in (boxes, geotiff):
        monkeypatch.setattr(module, "THINNED_BUDGET", budget)
    monkeypatch.setattr(flat, "SMALLEST_READ", 0)  # what lies between is read where that is little
    rows, cols = np.arange(0, ROWS, 3), np.arange(1, COLS, 3)
    with open_scene(write(kind, cube, tmp_path / "cube")) as scene:
        sizes = bytes_read(scene, monkeypatch)
        found = scene.thinned(rows, cols, (4,))
        assert 0 < sum(sizes) <= budget < cube.nbytes / 4
        # Each value is a real one of its band, of a pixel nearby; where it was read, the right one.
        wanted = cube[np.ix_(rows, cols, np.array([4]))]
        assert 0.01 < (found == wanted).mean() < 1
        assert np.isin(found, wanted).all()
