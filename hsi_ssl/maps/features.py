"""M1's features of a whole scene or of a dataset's pixels, as a file for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rasterio.windows import Window

import hsi_ssl
from hsi_ssl.datasets.hdf5_writing import writing_hdf5
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import SceneError
from hsi_ssl.files import written_beside
from hsi_ssl.hidden import DRAFT
from hsi_ssl.inference.extractor import Extractor, check_bands
from hsi_ssl.maps.bands import ModelBands
from hsi_ssl.maps.fitting import fitted
from hsi_ssl.maps.map_grid import onto_map_grid, say_where
from hsi_ssl.maps.rasters import draft, optimised, raster_errors, read_back
from hsi_ssl.scenes.readers.gdal_opening import gdal_settings
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

WINDOW = 16_384
"""Pixels at a time: their features take 100 times less memory than a small scene."""


def scene_features(
    scene: Scene,
    extractor: Extractor,
    output: Path,
    *,
    resample: bool = False,
    force: bool = False,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> int:
    """Write the features of every pixel as a GeoTIFF; returns the valid pixels.

    J float32 bands, described as `mean 1`..., and where features are distributions J more,
    `log-variance 1`..., on the scene's grid, that of its lookup table where it has one, NaN where
    it has no measurement.
    Memory does not grow with the scene.

    Raises
    ------
    BandsError
        The scene's bands are not M1's and may not be resampled.
    UnitsError
        Its numbers are in another unit, and it is not forced.
    SceneError
        No pixel is valid.
    OutputError
        The output exists and `overwrite` is false, or cannot be written.
    """
    bands = ModelBands.from_card(extractor.card)
    match = fitted(scene, bands, resample=resample, force=force, watcher=watcher)
    say_where(scene, watcher)
    names = [f"{what} {j + 1}" for what in extractor.parts for j in range(extractor.model.units)]
    tags = {"TIFFTAG_SOFTWARE": f"hsi-ssl {hsi_ssl.__version__}", "SCENE": scene.path.name}
    valid_pixels, done = 0, 0
    with written_beside(output, overwrite=overwrite) as beside, gdal_settings():
        drafted = beside.with_name(beside.name + DRAFT)
        with (
            raster_errors(output),
            draft(
                drafted, scene.grid, tags, height=scene.rows, width=scene.cols,
                count=len(names), dtype="float32", nodata=np.nan,
            ) as raster,
        ):  # fmt: skip
            for i, name in enumerate(names, 1):
                raster.set_band_description(i, name)
            for rows, cols in scene.windows(WINDOW):
                window = scene.read(rows, cols)
                spectra, flat = match.brought(window, scene.nodata)
                valid = flat.reshape(window.shape[:2])
                planes = np.full((*valid.shape, len(names)), np.nan, np.float32)
                planes[valid] = extractor.columns(spectra)
                raster.write(np.moveaxis(planes, -1, 0), window=Window.from_slices(rows, cols))
                valid_pixels += int(valid.sum())
                done += valid.size
                watcher.progress(f"features of {scene.name}", done, scene.rows * scene.cols)
        if not valid_pixels:
            raise SceneError(f"{scene.path} has no valid pixel; check its nodata value and bands")
        with raster_errors(output):
            if scene.ortho is not None:
                onto_map_grid(drafted, scene.ortho)
            optimised(drafted, beside, overview_resampling="average", predictor="YES", level="1")
            read_back(beside)
    return valid_pixels


def dataset_features(
    dataset: Dataset, extractor: Extractor, output: Path, *, run: Path, overwrite: bool = False
) -> int:
    """Write the features of a dataset's pixels as HDF5; returns their number.

    `/mean (n, J)` and, where features are distributions, `/logvar (n, J)` float32, beside `/label`,
    `/split`, `/scene` and `/pixel` as in the dataset; the attribute `classes` (JSON) names them, a
    list of several label sets.

    Raises
    ------
    ModelError
        M1 was trained on other bands.
    OutputError
        The output exists and `overwrite` is false, or cannot be written.
    """
    check_bands(extractor.card, dataset, run)
    units = extractor.model.units
    parts = ("mean", "logvar")[: len(extractor.parts)]
    with (
        written_beside(output, overwrite=overwrite) as beside,
        writing_hdf5(beside) as (file, disk),
    ):
        places = [file.create_dataset(n, (len(dataset), units), "f4") for n in parts]
        for first in range(0, len(dataset), WINDOW):
            rows = np.arange(first, min(first + WINDOW, len(dataset)))
            columns = extractor.columns(dataset.spectra(rows))
            for i, place in enumerate(places):
                place[rows[0] : rows[-1] + 1] = columns[:, i * units : (i + 1) * units]
            disk.check()
        cards = [label_set.to_card() for label_set in dataset.label_sets]
        alone = len(cards) == 1
        file["label"], file["split"] = dataset.label if alone else dataset.y, dataset.part
        file["scene"], file["pixel"] = dataset.scene, dataset.pixel
        file.attrs["classes"] = json.dumps(cards[0] if alone else cards)
    return len(dataset)
