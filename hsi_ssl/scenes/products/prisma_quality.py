"""What PRISMA says of the quality of its pixels: level 1 by masks, level 2 by error matrices.

`Cloud_Mask` and `SunGlint_Mask` `(rows, cols)`: 1 it is so, 0 not, 10 not classified, 255 failed.
`<Detector>_PIXEL_L2_ERR_MATRIX` `(rows, bands, cols)`: 0 right, 1 a defective detector element, 2
saturated, 3 of low confidence, 4 not a number (PRISMA Products Specification Document, ASI).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.layers import CLOUD, GLINT, Layer, any_of, doubtful
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.scene import Bools, Scene

MASKS = {"Cloud_Mask": CLOUD, "SunGlint_Mask": GLINT}
"""Level 1's masks and the layers that they are."""
MOSTLY = 0.5
"""Share of pixels above which an error of a band is the band's."""
STRIP = 64
"""Rows of an error matrix that are read at a time."""


def layers_of(file: h5py.File, fields: str, size: tuple[int, int]) -> dict[str, Layer]:
    """The masks in the group `fields`, for cubes of `size` (rows, cols).

    Raises
    ------
    SceneError
        A mask has other pixels.
    """
    path, found = Path(file.filename), {}
    for name, layer in MASKS.items():
        mask = file.get(f"{fields}/{name}")
        if not isinstance(mask, h5py.Dataset):
            continue
        if mask.shape != size:
            raise SceneError(
                f"{path} holds {name} of {' x '.join(map(str, mask.shape))} pixels and cubes of "
                f"{size[0]} x {size[1]}; expected one grid: get the file again"
            )
        found[layer] = Layer(partial(_masked, path, mask.name), name)
    return found


def strict(scene: Scene, fields: str, detectors: Sequence[str]) -> Scene:
    """The scene without pixels under its clouds, or with errors in bands that are mostly right.

    A band that is wrong in most pixels says nothing of single ones.
    """
    clouds = doubtful(scene.layers)
    if clouds:
        names = ("the clouds of Cloud_Mask (--quality strict)",)
        return without(scene, any_of(clouds.values()), names)
    with opened(scene.path) as file:
        matrices = [f"{fields}/{name}_PIXEL_L2_ERR_MATRIX" for name in detectors]
        if any(name not in file for name in matrices):
            return scene
        wrong = [_mostly_wrong(file[name]) for name in matrices]
    read = partial(_flagged, scene.path, matrices, wrong)
    return without(scene, read, ("the errors of PIXEL_L2_ERR_MATRIX (--quality strict)",))


def _masked(path: Path, name: str) -> Bools:
    with opened(path) as file:
        found: Bools = file[name][()] == 1
    return found


def _strips(matrix: h5py.Dataset) -> Iterator[tuple[slice, Bools]]:
    for first in range(0, matrix.shape[0], STRIP):
        rows = slice(first, min(first + STRIP, matrix.shape[0]))
        yield rows, matrix[rows] != 0


def _mostly_wrong(matrix: h5py.Dataset) -> Bools:
    wrong = sum((strip.sum(axis=(0, 2)) for _, strip in _strips(matrix)), np.zeros(1, np.int64))
    found: Bools = wrong > MOSTLY * matrix.shape[0] * matrix.shape[2]
    return found


def _flagged(path: Path, matrices: Sequence[str], wrong: Sequence[Bools]) -> Bools:
    """Pixels with an error in a band that is not mostly `wrong`."""
    with opened(path) as file:
        shape = file[matrices[0]].shape
        found: Bools = np.zeros((shape[0], shape[2]), bool)
        for name, bands in zip(matrices, wrong, strict=True):
            for rows, strip in _strips(file[name]):
                found[rows] |= strip[:, ~bands].any(axis=1)
    return found
