from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.reports.thumbnails import colours_shown, composite, composite_bands, shrink_codes
from hsi_ssl.scenes.scene import Scene


class Memory:
    """A cube in memory that counts what is read of it."""

    def __init__(self, cube: npt.NDArray[Any]) -> None:
        self.cube = cube
        self.read_bytes = 0
        self.largest = 0

    def window(self, row0: int, row1: int, col0: int, col1: int) -> npt.NDArray[Any]:
        found = self.cube[row0:row1, col0:col1]
        self.read_bytes += found.nbytes
        self.largest = max(self.largest, found.nbytes)
        return found

    def pixels(self, rows: Any, cols: Any) -> npt.NDArray[Any]:
        raise NotImplementedError

    def thinned(self, rows: Any, cols: Any, bands: Any) -> npt.NDArray[Any]:
        raise NotImplementedError

    def close(self) -> None:
        pass


def scene(cube: npt.NDArray[Any], **more: Any) -> tuple[Scene, Memory]:
    memory = Memory(cube)
    rows, cols, bands = cube.shape
    return Scene(Path("a.h5"), "memory", rows, cols, bands, cube.dtype, memory, **more), memory


def test_a_small_scene_is_read_once_and_shown_whole() -> None:
    cube = np.random.default_rng(0).integers(1, 1000, (40, 30, 8)).astype(np.uint16)
    cube[:, :, 3] = np.arange(1, 41)[:, None]
    small, memory = scene(cube)
    picture, bands = composite(small, 480, 2**20)
    assert picture.shape == (40, 30, 4)
    assert memory.read_bytes == cube.nbytes
    assert (picture[..., 3] == 255).all()
    ramp = picture[:, 0, bands.index(3)].astype(int)
    assert (np.diff(ramp) >= 0).all()
    assert ramp[0] == 0
    assert ramp[-1] == 255


def test_a_large_scene_is_read_in_part_row_by_row() -> None:
    cube = np.ones((2000, 50, 10), np.uint16)
    cube[1000:] = 500
    cube[..., -1] += 1
    large, memory = scene(cube)
    row_bytes = 50 * 10 * 2
    picture, _ = composite(large, 400, 100 * row_bytes)
    assert picture.shape == (400, 10, 4)
    assert memory.read_bytes <= 100 * row_bytes
    assert memory.largest == row_bytes
    assert picture[:190, :, :3].max() < picture[210:, :, :3].min()


def test_pixels_without_measurement_are_transparent() -> None:
    cube = np.random.default_rng(0).normal(1, 0.1, (20, 20, 5)).astype(np.float32)
    cube[:5, :, 2] = np.nan
    cube[5:8] = -9999
    picture, _ = composite(scene(cube, nodata=-9999.0)[0], 480, 2**20)
    assert (picture[..., 3] == 0).sum() == 8 * 20
    assert (picture[8:, :, 3] == 255).all()


def test_visible_bands_are_used_where_there_are_any() -> None:
    cube = np.ones((2, 2, 50))
    waves = np.linspace(400, 2500, 50)
    bands = composite_bands(scene(cube, wavelengths_nm=waves)[0])
    assert [round(waves[b]) for b in bands] == [657, 529, 443]
    edge = np.linspace(460.0, 640.0, 49)  # begins and ends where blue and red are
    bands = composite_bands(scene(cube[..., :49], wavelengths_nm=edge)[0])
    assert [round(edge[b]) for b in bands] == [640, 550, 460]
    good = np.ones(50, bool)
    good[:20] = False
    waves = np.linspace(1000, 2500, 50)[::-1]
    swir = composite_bands(scene(cube, wavelengths_nm=waves, good=good)[0])
    assert min(swir) >= 20
    assert waves[swir[0]] > waves[swir[1]] > waves[swir[2]]


def test_a_composite_s_bands_are_named() -> None:
    cube = np.ones((2, 2, 3))
    for waves, words in (
        ([479.0, 551.0, 659.0], "true colours: 659, 551, 479 nm as red, green, blue"),
        ([1000.0, 1500.0, 2200.0], "false colours: 1500, 1000, 1000 nm as red, green, blue"),
    ):
        one = scene(cube, wavelengths_nm=np.array(waves))[0]
        assert colours_shown(one, composite_bands(one)) == words
    one = scene(cube)[0]
    assert colours_shown(one, composite_bands(one)).startswith("bands ")


def test_no_label_is_lost_by_shrinking() -> None:
    codes = np.zeros((100, 90), int)
    codes[57, 33] = 7
    small = shrink_codes(codes, 10)
    assert small.shape == (10, 9)
    assert np.argwhere(small).tolist() == [[5, 3]]
    assert small[5, 3] == 7
