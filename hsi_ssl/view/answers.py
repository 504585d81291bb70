"""What the page asks for, answered: descriptions and clicks as JSON values, tiles as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsi_ssl.datasets.store import Part
from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.reports.thumbnails import composite_bands
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.view.pixel import Inspector
from hsi_ssl.view.shown import Shown, ShownScene
from hsi_ssl.view.tiles import Marks, Tiles

CACHED_TILES = 256
"""A quarter of a megabyte each, at most."""
PARTS = {Part.TRAIN: "training", Part.VALIDATION: "validation", Part.TEST: "test"}
SCENE, MAP, LABELS = "scene", "map", "labels"
MOST_ASKED = 3
"""Bands in a picture."""


@dataclass(frozen=True)
class Answers:
    """Answers about what is shown. Any thread may ask.

    Raises
    ------
    IndexError, KeyError
        There is no such scene, layer, tile, band, pixel or class.
    """

    shown: Shown

    def __post_init__(self) -> None:
        # Now, so that no two threads make them twice, each with a lock of its own.
        _ = self._inspector, self._tiles, self._marks, self._cached_tile

    @cached_property
    def overview(self) -> dict[str, Any]:
        """What the page shows at first: names, classes, scenes to choose from."""
        s = self.shown
        return {
            "title": s.title,
            "scenes": [
                {"name": name, "path": str(one.scene.path)}
                for name, one in zip(
                    _names([o.map or o.scene for o in s.scenes]), s.scenes, strict=True
                )
            ],
            "classes": [vars(c) for c in s.classes],
            "columns": s.columns,
            "labelled": 0 if s.classifier is None else len(s.classifier.label_set),
            "spatial": s.spatial,
            "dataset": s.dataset is not None,
            "parts": {int(part): name for part, name in PARTS.items()},
        }

    def scene(self, number: int) -> dict[str, Any]:
        """Size, tiles, bands, layers and place on the ground of a scene."""
        one = self._one(number)
        scene, tiles = one.scene, self._tiles[number, SCENE]
        waves = scene.wavelengths_nm
        marks = self._marks[number]
        counts = {} if marks is None else {p: int((marks.parts == p).sum()) for p in PARTS}
        return {
            "rows": scene.rows,
            "cols": scene.cols,
            "depth": tiles.tiling.depth,
            "bands": [
                {"band": int(b), "nm": None if waves is None else round(float(waves[b]), 2)}
                for b in np.flatnonzero(scene.good)
            ],
            "composite": composite_bands(scene),
            "map": one.map is not None,
            "counts": one.counts,
            "labels": {int(p): n for p, n in counts.items() if n},
            "measures": [
                {"name": name, "limits": self._tiles[number, name].limits(name)}
                for name, _ in one.measures
            ],
            "transform": scene.grid.transform,
            "crs": _crs_name(scene.grid.crs),
            "wavelengths_nm": self._inspector.wavelengths_nm(scene),
        }

    def tile(
        self, number: int, layer: str, zoom: int, x: int, y: int, numbers: Sequence[int]
    ) -> bytes:
        """A tile of a layer; `numbers` are the bands of a picture, or the parts of the labels."""
        found: bytes = self._cached_tile(number, layer, zoom, x, y, tuple(numbers[:MOST_ASKED]))
        return found

    def pixel(self, number: int, row: int, col: int) -> dict[str, Any]:
        """All that is known of a pixel.

        Raises
        ------
        BandsError
            The scene lacks the model's bands.
        """
        one, ask = self._one(number), self._inspector
        raw, valid = ask.spectrum(one.scene, row, col)
        posterior = ask.posterior(raw) if valid else None
        label = None if one.number is None else ask.known(one.number, row, col)
        return {
            "row": row,
            "col": col,
            "valid": valid,
            "spectrum": _numbers(raw) if valid else None,
            "map": None if one.map is None else int(one.map.pixels([row], [col])[0, 0]),
            "measures": {
                name: _numbers(raster.pixels([row], [col])[0])[0] for name, raster in one.measures
            },
            "label": None
            if label is None
            else {"code": self._codes[label[0]], "part": PARTS.get(label[1])},
            "probabilities": None if posterior is None else _numbers(posterior),
            "neighbours": [
                {
                    "scene": self._number_shown(n.scene),
                    "scene_name": self._source_names[n.scene],
                    "row": n.row,
                    "col": n.col,
                    "code": self._codes[n.index],
                    "distance": n.distance,
                    "spectrum": n.spectrum,
                }
                for n in (ask.neighbours(raw) if valid else [])
            ],
        }

    def class_range(self, code: int) -> dict[str, Any]:
        """Quantiles of a class's training spectra, band by band; None where there are none."""
        found = (
            self._inspector.class_range(self._codes.index(code)) if code in self._codes else None
        )
        return {"code": code, "quantiles": None if found is None else found.tolist()}

    @cached_property
    def _inspector(self) -> Inspector:
        return Inspector(self.shown.classifier, self.shown.dataset)

    @cached_property
    def _codes(self) -> list[int]:
        """Codes of the dataset's classes by index."""
        dataset = self.shown.dataset
        return [] if dataset is None else dataset.label_set.codes.tolist()

    @cached_property
    def _source_names(self) -> list[str]:
        dataset = self.shown.dataset
        return [] if dataset is None else [s["name"] for s in dataset.meta["sources"]]

    @cached_property
    def _tiles(self) -> dict[tuple[int, str], Tiles]:
        return {
            (i, name): Tiles(raster)
            for i, one in enumerate(self.shown.scenes)
            for name, raster in ((SCENE, one.scene), (MAP, one.map), *one.measures)
            if raster is not None
        }

    @cached_property
    def _marks(self) -> list[Marks | None]:
        """The dataset's labelled pixels, scene by scene."""
        data = self.shown.dataset
        found: list[Marks | None] = []
        for one in self.shown.scenes:
            if data is None or one.number is None:
                found.append(None)
                continue
            here = (data.scene == one.number) & (data.label != UNLABELLED)
            rows, cols = data.pixel[here].T.astype(np.int64)
            codes = data.label_set.codes[data.label[here]]
            found.append(Marks(rows, cols, codes, data.part[here]))
        return found

    @cached_property
    def _cached_tile(self) -> Any:
        return lru_cache(maxsize=CACHED_TILES)(self._tile)

    def _tile(
        self, number: int, layer: str, zoom: int, x: int, y: int, numbers: tuple[int, ...]
    ) -> bytes:
        self._one(number)
        if layer == LABELS:
            marks = self._marks[number]
            if marks is None:
                raise KeyError(layer)
            tiling = self._tiles[number, SCENE].tiling
            return _words(marks.tile(tiling, zoom, x, y, numbers))
        tiles = self._tiles[number, layer]
        if layer == SCENE:
            if len(numbers) not in (1, MOST_ASKED):
                raise IndexError("a picture has one band or three")
            return tiles.picture(zoom, x, y, numbers).tobytes()
        if layer == MAP:
            return _words(tiles.codes(zoom, x, y))
        return _words(tiles.measure(zoom, x, y, tiles.limits(layer)))

    def _one(self, number: int) -> ShownScene:
        if not 0 <= number < len(self.shown.scenes):
            raise IndexError(f"no scene {number}")
        return self.shown.scenes[number]

    def _number_shown(self, number: int) -> int | None:
        """Where the dataset's scene is among those shown."""
        shown = [one.number for one in self.shown.scenes]
        return shown.index(number) if number in shown else None


def _words(tile: npt.NDArray[np.uint16]) -> bytes:
    return tile.astype("<u2").tobytes()


def _numbers(values: npt.NDArray[Any]) -> list[float | None]:
    """As JSON has them: None for what is no number."""
    return [v if np.isfinite(v) else None for v in values.tolist()]


def _crs_name(wkt: str | None) -> str | None:
    """EPSG code, or name, of a CRS."""
    if wkt is None:
        return None
    try:
        crs = CRS.from_wkt(wkt)
        code = crs.to_epsg()
    except CRSError:
        return "the scene's own coordinates"
    return f"EPSG:{code}" if code else wkt.split('"')[1] if '"' in wkt else "its own coordinates"


def _names(rasters: Sequence[Scene]) -> list[str]:
    """Names to choose by: rasters of one name with the folder they are in."""
    names = [raster.name for raster in rasters]
    return [
        name if names.count(name) == 1 else "/".join(raster.path.resolve().parts[-2:])
        for name, raster in zip(names, rasters, strict=True)
    ]
