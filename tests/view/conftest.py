"""A scene, the run that learnt from it and its map, made as a user makes them; a server of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import uvicorn

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.maps.classify import classify
from hsi_ssl.scenes.scene import Array
from hsi_ssl.settings import ClassifySettings, M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.view.server import _listening, configuration
from hsi_ssl.view.shown import Shown

ROWS, COLS, BANDS = 300, 340, 14
TRANSFORM = rasterio.Affine(30.0, 0.0, 360_000.0, 0.0, -30.0, 5_810_000.0)
BAD_BAND = 5
TOKEN = "the-token"


@dataclass(frozen=True)
class Project:
    """Where things are: the folder, and in it the scene, the run and the map."""

    folder: Path
    cube: Array

    @property
    def scene(self) -> Path:
        return self.folder / "flight.tif"

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "m2"

    @property
    def map(self) -> Path:
        return self.folder / "flight_classes.tif"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three classes in stripes, 300 x 340 pixels of 14 bands, one of them bad; a gap of nodata."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(3)
    kind = (np.indices((ROWS, COLS))[1] // 20) % 3
    shapes = 2000 + 700 * np.sin(np.linspace(0, 4, BANDS) * np.array([[1.0], [1.7], [2.4]]))
    light = rng.uniform(0.8, 1.2, (ROWS, COLS, 1))
    cube = (shapes[kind] * light + rng.normal(0, 20, (ROWS, COLS, BANDS))).astype(np.int16)
    cube[:40, 300:] = -1
    labels = np.where(rng.random((ROWS, COLS)) < 0.01, np.array([2, 7, 300])[kind], 0)
    labels[:40, 300:] = 0
    profile = {
        "driver": "GTiff", "height": ROWS, "width": COLS, "crs": "EPSG:32633",
        "transform": TRANSFORM,
    }  # fmt: skip
    with rasterio.open(
        folder / "flight.tif", "w", count=BANDS, dtype="int16", nodata=-1, **profile
    ) as raster:
        raster.write(np.moveaxis(cube, -1, 0))
        for band, nm in enumerate(np.linspace(450, 2400, BANDS), 1):
            raster.update_tags(
                band, wavelength=f"{nm:.1f}", wavelength_units="nm", bbl=int(band - 1 != BAD_BAND)
            )
    with rasterio.open(
        folder / "flight_labels.tif", "w", count=1, dtype="uint16", **profile
    ) as raster:
        raster.write(labels.astype(np.uint16), 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    dataset = folder / "runs" / "dataset.h5"
    prepare(
        PrepareSettings(
            sources=(str(folder / "flight.tif"),), output=dataset, unlabelled=200, cap=60
        )
    )
    train_m2(
        M2Settings(
            dataset=dataset, output=folder / "runs" / "m2", m1=None, latent=2, hidden=(16,),
            epochs=1, supervised_epochs=2, device="cpu",
        )
    )  # fmt: skip
    classify(
        ClassifySettings(
            scenes=(str(folder / "flight.tif"),), model=folder / "runs" / "m2",
            output=folder / "flight_classes.tif", confidence=True, entropy=True, device="cpu",
        )
    )  # fmt: skip
    torch.set_num_threads(threads)
    return Project(folder, cube)


@pytest.fixture(scope="session")
def serving() -> Callable[[Shown], AbstractContextManager[str]]:
    """Serve a page by another thread; gives its address, for a `with`."""
    return _serving


@contextmanager
def _serving(found: Shown) -> Iterator[str]:
    server = uvicorn.Server(configuration(found, TOKEN))
    with _listening(0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/{TOKEN}/"
        finally:
            server.should_exit = True
            thread.join()
