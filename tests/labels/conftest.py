"""What the tests of labels share."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)
UTM = "EPSG:32632"


@pytest.fixture
def write_tif(tmp_path: Path) -> Callable[..., Path]:
    """Write `(rows, cols)` or `(rows, cols, bands)` as a GeoTIFF, by default on `GRID`."""

    def write(name: str, values: npt.NDArray[Any], **profile: Any) -> Path:
        bands = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
        place = {"crs": UTM, "transform": GRID, **profile}
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(
                path, "w", driver="GTiff", count=len(bands), height=bands.shape[1],
                width=bands.shape[2], dtype=bands.dtype.name,
                **{key: value for key, value in place.items() if value is not None},
            ) as file:  # fmt: skip
                file.write(bands)
        return path

    return write


@pytest.fixture
def write_scene(write_tif: Callable[..., Path]) -> Callable[..., Path]:
    """Write a cube of 20 x 30 pixels and 4 bands."""

    def write(name: str, **profile: Any) -> Path:
        values = np.random.default_rng(1).integers(1, 1000, (20, 30, 4)).astype(np.uint16)
        return write_tif(name, values, **profile)

    return write
