"""Spectra read by processes that open the scenes by themselves: the dataset is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.errors import SettingsError, WorkerError
from hsi_ssl.scenes.simulate import simulate
from hsi_ssl.settings import PrepareSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cores")
    simulate(folder, scenes=3, rows=90, cols=60)
    return folder


def written(folder: Path, name: str, **settings: Any) -> bytes:
    prepare(PrepareSettings(output=folder / f"{name}.h5", unlabelled=3000, **settings))
    return (folder / f"{name}.h5").read_bytes()


def test_two_processes_make_the_same_dataset(cores: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"sources": (str(cores),), "cap": 200}
    whole = written(tmp_path, "one", **settings)
    assert written(tmp_path, "two", workers=2, **settings) == whole


def test_masks_units_and_other_bands_are_the_same_elsewhere(
    tmp_path: Path, write_cube: Callable[..., Path]
) -> None:
    """Three scenes: of other bands, with another scale, under masks."""
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 30), np.uint8)
    labels[:, :10], labels[:, 20:] = 3, 5
    for i, name in enumerate("abc"):
        cube = rng.integers(2000, 3000, (40, 30, 12 + i)).astype(np.uint16)
        cube[:, 20:] += 900
        path = write_cube(tmp_path / f"{name}.tif", 40, 30, bands=12 + i)
        with rasterio.open(path, "r+") as raster:
            raster.write(np.moveaxis(cube, -1, 0))
            for band, nm in enumerate(np.linspace(1000, 2500, 12 + i), 1):
                raster.update_tags(band, wavelength=f"{nm:.3f}", wavelength_units="nm")
            place = {"crs": raster.crs, "transform": raster.transform}
        for kind, plane in (("labels", labels), ("mask", (labels + 1) % 5)):
            with rasterio.open(
                tmp_path / f"{name}_{kind}.tif", "w", driver="GTiff", height=40, width=30, count=1,
                dtype="uint8", **place,
            ) as raster:  # fmt: skip
                raster.write(plane.astype(np.uint8), 1)
    settings: dict[str, Any] = {
        "sources": tuple(str(tmp_path / f"{name}.tif") for name in "abc"),
        "resample": True,
        "mask": tuple(tmp_path / f"{name}_mask.tif" for name in "abc"),
        "exclude": ("1350-1450",),
    }
    whole = written(tmp_path, "one", **settings)
    assert written(tmp_path, "two", workers=2, **settings) == whole


def test_a_cluster_that_is_not_there_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsi_ssl.running.on_dask.TIMEOUT", 1.0)
    output = tmp_path / "d.h5"
    with pytest.raises(WorkerError, match=r"no Dask scheduler .* answers at tcp://127\.0\.0\.1:9"):
        prepare(PrepareSettings(sources=("nowhere",), output=output, scheduler="tcp://127.0.0.1:9"))
    with pytest.raises(SettingsError, match="--workers are processes of this machine and"):
        prepare(
            PrepareSettings(
                sources=("nowhere",), output=output, workers=2, scheduler="tcp://127.0.0.1:9"
            )
        )
    assert not list(tmp_path.iterdir())
