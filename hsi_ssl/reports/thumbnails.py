"""Small pictures of scenes: a composite of three bands, label planes, single pixels.

Cubes are large and rows lie together in most files, so every n-th row is read, one at a time:
time and memory stay bounded whatever the size of the scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.label_set import UNLABELLED_CODE
from hsi_ssl.scenes.scene import Scene

Picture = npt.NDArray[np.uint8]

VISIBLE_NM = (640.0, 550.0, 460.0)
NEAR_NM = (20.0, 45.0)
"""A band this near shows the colour; of a scene with coarser steps, one step up to the second."""
SPREAD = (0.75, 0.45, 0.15)
"""Where in the order of the good bands red, green and blue lie in scenes without visible light."""
FEWEST_ROWS = 32
WINDOW_BYTES = 16 * 2**20


def composite(scene: Scene, side: int, budget: int) -> tuple[Picture, tuple[int, int, int]]:
    """Give a picture of a scene like a photograph, and the band numbers of red, green and blue.

    Parameters
    ----------
    scene
        Read at every n-th row.
    side
        Longest side of the picture in cells, at most.
    budget
        Bytes to read, roughly; beyond it fewer rows are read and each fills several cells.

    Returns
    -------
    Picture `(r, c, 4)`, transparent where nothing was measured, with r and c as `shrunk` gives;
    and the bands.
    """
    step = shrinking(scene.rows, scene.cols, side)
    rows, cols = shrunk(scene.rows, scene.cols, step)
    bands = composite_bands(scene)
    stride = affordable(scene, rows, budget)
    some = np.empty((-(-rows // stride), cols, 3), np.float32)
    valid = np.empty(some.shape[:2], bool)
    for first, window in read_rows(scene, step * stride):
        thin = window[:, ::step]
        here = slice(first, first + len(thin))
        some[here] = thin[..., bands]
        valid[here] = scene.valid(thin)
    picture = np.dstack([_stretched(some, valid), np.where(valid, 255, 0).astype(np.uint8)])
    return picture.repeat(stride, axis=0)[:rows], bands


def composite_bands(scene: Scene) -> tuple[int, int, int]:
    """Band numbers for red, green and blue: those of visible light where the scene has it."""
    good = np.flatnonzero(scene.good)
    if scene.wavelengths_nm is not None:
        waves = scene.wavelengths_nm[good]
        away = np.abs(waves[:, None] - VISIBLE_NM)
        if (away.min(axis=0) <= _near(waves)).all():
            red, green, blue = good[away.argmin(axis=0)].tolist()
            return red, green, blue
        good = good[np.argsort(waves, kind="stable")]
    red, green, blue = (int(good[int(share * (len(good) - 1))]) for share in SPREAD)
    return red, green, blue


def colours_shown(scene: Scene, bands: tuple[int, int, int]) -> str:
    """What a composite of these bands shows, in words: true or false colours, and which bands."""
    if scene.wavelengths_nm is None:
        return f"bands {', '.join(str(band + 1) for band in bands)}"
    waves = scene.wavelengths_nm[list(bands)]
    near = _near(scene.wavelengths_nm[scene.good])
    true = (np.abs(waves - VISIBLE_NM) <= near).all()
    told = ", ".join(f"{nm:.0f}" for nm in waves)
    return f"{'true' if true else 'false'} colours: {told} nm as red, green, blue"


def _near(waves: npt.NDArray[np.float64]) -> float:
    """How far a band may be from a colour that it stands for, nm."""
    steps = np.diff(np.sort(waves))
    return float(np.clip(np.median(steps) if len(steps) else 0, *NEAR_NM))


def affordable(scene: Scene, rows: int, budget: int) -> int:
    """Of `rows` of a scene, every how many-th can be read within a budget of bytes, roughly."""
    row_bytes = scene.cols * scene.bands * scene.dtype.itemsize
    return max(1, -(-rows // max(FEWEST_ROWS, budget // row_bytes)))


def shrinking(rows: int, cols: int, side: int) -> int:
    """Pixels per cell and direction so that the longer side has at most `side` cells."""
    return -(-max(rows, cols) // side)


def shrunk(rows: int, cols: int, step: int) -> tuple[int, int]:
    """Cells `(r, c)` of a scene at `step` pixels a cell."""
    return -(-rows // step), -(-cols // step)


def shrink_codes(codes: npt.NDArray[Any], step: int) -> npt.NDArray[np.int64]:
    """Shrink a label plane; a cell with any labelled pixel shows a label, so that none is lost."""
    height, width = codes.shape
    small = np.full(shrunk(height, width, step), UNLABELLED_CODE, np.int64)
    rows, cols = np.nonzero(codes != UNLABELLED_CODE)
    small[rows // step, cols // step] = codes[rows, cols]
    return small


def see_through(picture: Picture, shown: npt.NDArray[np.bool_]) -> Picture:
    """Give an RGB picture an alpha channel: opaque where `shown`."""
    return np.dstack([picture, np.where(shown, 255, 0).astype(np.uint8)])


def read_rows(scene: Scene, step: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Every `step`-th row as windows `(r, cols, bands)` with the number of their first cell."""
    if step > 1:
        for i, row in enumerate(range(0, scene.rows, step)):
            yield i, scene.read(slice(row, row + 1))
        return
    pixel_bytes = scene.bands * scene.dtype.itemsize
    height = max(1, WINDOW_BYTES // (pixel_bytes * scene.cols))
    for row in range(0, scene.rows, height):
        yield row, scene.read(slice(row, row + height))


def _stretched(values: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> Picture:
    """Bytes of three bands `(r, c, 3)`, each stretched from its 2nd to its 98th percentile."""
    picture = np.zeros(values.shape, np.uint8)
    if valid.any():
        low, high = np.percentile(values[valid], (2, 98), axis=0)
        spread = np.where(high > low, high - low, 1)
        with np.errstate(invalid="ignore", over="ignore"):
            bright = 255 * ((values - low) / spread).clip(0, 1)
        picture[valid] = bright[valid].astype(np.uint8)
    return picture
