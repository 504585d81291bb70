"""Masks as files: which pixels of scenes to look at, on the scenes' own grids."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.claims import claimed
from hsi_ssl.errors import SceneError, SettingsError
from hsi_ssl.files import refuse_taken
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.maps.class_map import class_map, is_envi, outputs, refuse_inputs
from hsi_ssl.maps.map_grid import say_where
from hsi_ssl.maps.places import claims_of, map_paths
from hsi_ssl.masks.codes import COLOURS, MASK_TAG, NAMES, TOLD
from hsi_ssl.masks.propose import propose_mask
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

MASK_ENDING = "_mask.tif"
"""What is put to a scene's name to name its mask."""
NOTHING = "no data"
"""Name of code 0."""
PIECE = 2**20
"""Pixels written at a time."""


@dataclass(frozen=True)
class Masked:
    """A mask that was written: where, pixels by code, seconds, and what was decided."""

    mask: Path
    counts: dict[int, int]
    seconds: float
    decided: str

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "mask": str(self.mask),
            "counts": {str(code): n for code, n in self.counts.items()},
            "seconds": round(self.seconds, 3),
            "decided": self.decided,
        }


class _Listening(Watcher):
    """Passes on what it hears, and remembers the last sentence."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self.last = ""

    def progress(self, what: str, done: float, total: float) -> None:
        """Pass it on."""
        self._watcher.progress(what, done, total)

    def say(self, sentence: str) -> None:
        """Remember it, and pass it on."""
        self.last = sentence
        self._watcher.say(sentence)


def make_masks(
    scenes: Sequence[Scene],
    output: Path | None = None,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[Masked]:
    """Propose and write the mask of each scene; `output` is a file, or a folder for several.

    Raises
    ------
    SettingsError
        Two masks would be one file, or it is not named as a GeoTIFF.
    OutputError
        A mask exists and `overwrite` is false, is the scene, or cannot be written.
    SceneError
        A scene has no valid pixel.
    """
    paths = map_paths(scenes, output, ending=MASK_ENDING)
    for path in paths:
        if is_envi(path):
            raise SettingsError(f"a mask is a GeoTIFF: name it {path.stem}.tif, not {path.name}")
        refuse_inputs(outputs(path).values(), [scene.path for scene in scenes])
    with claimed(*claims_of(paths)):
        for path in paths:
            refuse_taken(outputs(path).values(), overwrite)
        return [
            _made(scene, path, overwrite=overwrite, watcher=watcher)
            for scene, path in zip(scenes, paths, strict=True)
        ]


def _made(scene: Scene, path: Path, *, overwrite: bool, watcher: Watcher) -> Masked:
    started = time.perf_counter()
    listening = _Listening(watcher)
    mask = propose_mask(scene, listening)
    if not mask.any():
        raise SceneError(f"{scene.path} has no valid pixel; check its nodata value and bands")
    say_where(scene, watcher)
    counts = write_mask(path, scene, mask, overwrite=overwrite)
    return Masked(path, counts, time.perf_counter() - started, listening.last)


def mask_labels(mask: npt.NDArray[np.uint8]) -> LabelSet:
    """Names and colours of a mask's codes; those that only a product tells, where they occur."""
    codes = [code for code in NAMES if code not in TOLD or (mask == code).any()]
    return LabelSet("mask", tuple(LabelClass(code, NAMES[code], COLOURS[code]) for code in codes))


def write_mask(
    path: Path, scene: Scene, mask: npt.NDArray[np.uint8], *, overwrite: bool = False
) -> dict[int, int]:
    """Write a mask `(rows, cols)` of a scene as a GeoTIFF; pixels by code.

    Beside it lie what lies beside class maps: names, a style for QGIS, a legend, a picture.

    Raises
    ------
    OutputError
        As `class_map`.
    """
    labels = mask_labels(mask)
    index = np.full(max(NAMES) + 1, -1, np.int64)
    index[[one.code for one in labels.classes]] = np.arange(len(labels.classes))
    with class_map(
        path,
        rows=scene.rows,
        cols=scene.cols,
        grid=scene.grid,
        ortho=scene.ortho,
        label_set=labels,
        tags={MASK_TAG: "1", "SCENE": scene.path.name},
        rest=NOTHING,
        overwrite=overwrite,
    ) as writer:
        step = max(1, PIECE // scene.cols)
        for row in range(0, scene.rows, step):
            rows = slice(row, min(row + step, scene.rows))
            writer.write(rows, slice(0, scene.cols), index[mask[rows]])
        return writer.counts
