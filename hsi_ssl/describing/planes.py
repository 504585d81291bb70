"""The planes of codes that lie beside a cube in one file: its label sets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.label_set import UNLABELLED_CODE
from hsi_ssl.labels.rasters import open_label_raster, plane_codes
from hsi_ssl.scenes.products import product_at
from hsi_ssl.scenes.readers import matlab_sparse
from hsi_ssl.scenes.readers.hdf5_file import objects_in, opened
from hsi_ssl.scenes.readers.matlab import plane_shapes

MOST_CODES = 256
"""Of a label set; a plane of more is something else."""


def planes_beside(path: Path, rows: int, cols: int) -> dict[str, Counter[int]]:
    """Labelled pixels by code of each plane of codes `(rows, cols)` in an HDF5 or MATLAB file.

    Planes of a sensor's product are masks and flags, which `Scene.layers` tells of, and no labels.
    """
    found: dict[str, Counter[int]] = {}
    if product_at(path) is not None:
        return found
    for name in _names(path, (rows, cols)):
        try:
            with open_label_raster(path, variable=name) as raster:
                codes = plane_codes(raster)
        except (LabelError, SceneError, SceneNotFoundError):
            continue
        values, counts = np.unique(codes, return_counts=True)
        counted = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        del counted[UNLABELLED_CODE]
        if codes.shape == (rows, cols) and 0 < len(counted) <= MOST_CODES:
            found[name] = counted
    return found


def _names(path: Path, shape: tuple[int, int]) -> list[str]:
    """Names of arrays that have a shape or its transpose, and may hold codes."""
    either = (shape, shape[::-1])
    found: list[str] = []
    try:
        if h5py.is_hdf5(path):
            with opened(path) as file:
                for name, item in objects_in(file).items():
                    if matlab_sparse.is_sparse(item) and matlab_sparse.shape(item) in either:
                        found.append(name)
                    if isinstance(item, h5py.Dataset) and item.shape in either:
                        if item.dtype.kind in "iu" or path.suffix == ".mat":
                            found.append(name)
        elif path.suffix == ".mat":
            found += [name for name, size in plane_shapes(path).items() if size in either]
    except (OSError, SceneError):
        return []
    return [name for name in found if not name.startswith("#")]
