"""A trained run and scenes of its kind, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.transform import Affine

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.inference.classifier import Classifier, load_classifier

ROTATED = Affine(20.0, 5.0, 300_000.0, 5.0, -20.0, 7_400_000.0)
WriteScene = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny_run(m1m2_run: Path) -> Path:
    """M1+M2 trained on the tiny dataset until it tells the classes apart."""
    return m1m2_run


@pytest.fixture
def classifier(tiny_run: Path) -> Classifier:
    return load_classifier(tiny_run, "cpu")


@pytest.fixture
def cube(tiny_dataset: Dataset) -> npt.NDArray[np.uint16]:
    """The tiny dataset's own scene, 40 x 30 x 12: classes lie in columns 0-9, 10-19, 20-29."""
    found: npt.NDArray[np.uint16] = tiny_dataset.spectra().reshape(40, 30, 12)
    return found


@pytest.fixture
def wavelengths(tiny_dataset: Dataset) -> npt.NDArray[np.float64]:
    return np.array(tiny_dataset.wavelengths_nm)


@pytest.fixture
def write_scene(tmp_path: Path) -> WriteScene:
    """Write a cube `(rows, cols, bands)` as GeoTIFF with wavelengths in its band tags."""

    def write(
        cube: npt.NDArray[Any],
        wavelengths: npt.NDArray[np.float64] | None = None,
        *,
        name: str = "scene.tif",
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        rows, cols, bands = cube.shape
        profile = {"crs": "EPSG:32719", "transform": ROTATED, **profile}
        with rasterio.open(
            path, "w", driver="GTiff", height=rows, width=cols, count=bands,
            dtype=cube.dtype, **profile,
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(cube, -1, 0))
            for band, wavelength in enumerate(() if wavelengths is None else wavelengths, 1):
                raster.update_tags(band, wavelength=f"{wavelength:.4f}", wavelength_units="nm")
        return path

    return write
