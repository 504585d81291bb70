"""Maps for the report: of a scene at a glance, and class maps on disk with the areas in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from hsi_ssl.errors import SceneError
from hsi_ssl.labels.label_set import LabelSet, indices_to_codes
from hsi_ssl.maps.bands import ModelBands, match_bands
from hsi_ssl.maps.rasters import unlocated
from hsi_ssl.reports.areas import Areas
from hsi_ssl.reports.figures import paint
from hsi_ssl.reports.html import picture_uri
from hsi_ssl.reports.metrics import Ints
from hsi_ssl.reports.thumbnails import affordable, read_rows, see_through, shrinking, shrunk
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Grid, Scene, valid_spectra
from hsi_ssl.training.classifier import Classifier
from hsi_ssl.training.discovered import MapClasses

SIDE = 900
"""Longest side of a map's picture in cells, at most."""
WINDOW = 2**22
"""Pixels of a map that are counted at a time."""
BUDGET = 2**28
"""Bytes of a scene to read for a map at a glance, roughly."""
SQUARE_METRES = 10_000
"""In a hectare."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ReadMap:
    """A class map as a page shows it.

    `counts (K,)`: its pixels of each class; `hectares`: of a pixel, None without a projected CRS;
    `uri`: its picture; `tags`: what `classify` wrote into it.
    """

    path: Path
    counts: Ints
    hectares: float | None
    uri: str
    tags: dict[str, str]


@dataclass(frozen=True)
class MapAreas:
    """A class map, and the areas in it after the mistakes of the test pixels."""

    read: ReadMap
    label_set: LabelSet
    areas: Areas

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        codes = self.label_set.codes.tolist()
        return {"map": str(self.read.path), **self.areas.to_json(codes, self.read.hectares)}

    def words(self, card: dict[str, Any], spatial: float) -> Iterator[str]:
        """Say in sentences what the areas do not cover.

        `card`: of the model that was scored; `spatial`: strength of the prior in its scores.
        """
        name = self.read.path.name
        yield from (f"on {name} {said}" for said in self.areas.words(self.label_set.names))
        made_by = self.read.tags.get("MODEL_SHA256")
        if made_by is not None and made_by != card["weights_sha256"]:
            yield (
                f"the map {name} was made with another model: its areas rest on the mistakes of "
                "this one"
            )
        if json.loads(self.read.tags.get("SETTINGS", "{}")).get("spatial") and not spatial:
            yield (
                f"in {name} neighbours had a say, in the scores here they had none: it has other "
                "mistakes than its estimated areas allow for; score with --spatial too"
            )


def tags_of(path: Path) -> dict[str, str]:
    """What `classify` wrote into a map: MODEL_SHA256, LABEL_SET, SETTINGS.

    Raises
    ------
    SceneError
        GDAL cannot open it.
    """
    try:
        with unlocated(), rasterio.open(path) as raster:
            found: dict[str, str] = raster.tags()
            return found
    except RasterioError as error:
        raise SceneError(f"{path} is no class map: {error}") from error


def read_map(path: Path, label_set: LabelSet) -> ReadMap:
    """Count the pixels of a class map by windows, and draw it from its overviews.

    Raises
    ------
    SceneError
        The file is missing or no raster of one band, or no pixel has a class of the label set.
    """
    with open_scene(path) as scene:
        if scene.bands != 1:
            raise SceneError(
                f"{path} has {scene.bands} bands, a class map has one: name a map that "
                "`hsi-ssl classify` wrote"
            )
        found = np.zeros(0, np.int64)
        for rows, cols in scene.windows(WINDOW):
            values = scene.read(rows, cols).astype(np.int64).ravel()
            more = np.bincount(values[values >= 0])
            found = np.pad(found, (0, max(0, len(more) - len(found))))
            found[: len(more)] += more
        enough = max(len(found), int(label_set.codes.max()) + 1)
        counts = np.pad(found, (0, enough - len(found)))[label_set.codes]
        if not counts.any():
            raise SceneError(
                f"no pixel of {path} has one of the codes {label_set.codes.tolist()}: it is no map "
                "of these classes"
            )
        step = shrinking(scene.rows, scene.cols, SIDE)
        thin = np.arange(0, scene.rows, step), np.arange(0, scene.cols, step)
        codes = scene.thinned(*thin, [0])[..., 0].astype(np.int64)
        picture = see_through(paint(codes, label_set), codes > 0)
        hectares = _hectares(scene.grid)
    return ReadMap(path, counts, hectares, picture_uri(picture), tags_of(path))


def _hectares(grid: Grid) -> float | None:
    if grid.crs is None or grid.transform is None:
        return None
    crs = CRS.from_wkt(grid.crs)
    if not crs.is_projected:
        return None
    metres = float(crs.linear_units_factor[1])
    return abs(float(Affine(*grid.transform).determinant)) * metres**2 / SQUARE_METRES


def glance(
    classifier: Classifier, classes: MapClasses, scene: Scene, step: int
) -> tuple[str, Picture]:
    """Classify every `step`-th pixel of a scene in both directions: a caption and a picture.

    Raises
    ------
    BandsError
        The scene's bands are not the model's.
    """
    bands = ModelBands(classifier.bands, classifier.used_bands, classifier.wavelengths_nm)
    match = match_bands(scene, bands)
    rows, cols = shrunk(scene.rows, scene.cols, step)
    stride = affordable(scene, rows, BUDGET)
    codes = np.zeros((-(-rows // stride), cols), np.int64)
    for first, window in read_rows(scene, step * stride):
        thin = window[:, ::step]
        spectra = match.select(thin)
        valid = valid_spectra(spectra, scene.nodata)
        if valid.any():
            slots = classifier.posterior(match.interpolate(spectra[valid])).argmax(1)
            here = codes[first : first + len(thin)]
            here[valid.reshape(here.shape)] = indices_to_codes(
                classes.indices(slots), classes.label_set
            )
    caption = "map by this model, pixel by pixel"
    if step > 1:
        caption += f", one pixel in {step} each way"
    codes = codes.repeat(stride, axis=0)[:rows]
    return caption, see_through(paint(codes, classes.label_set), codes > 0)
