"""A map of a scene by its pixels' units, as a class map with palette, names and legend."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import SceneError
from hsi_ssl.inference.precision import quick_products
from hsi_ssl.inference.quantising import TrainedQuantiser
from hsi_ssl.labels.label_set import UNLABELLED, LabelClass, LabelSet
from hsi_ssl.labels.palette import distinct_colour
from hsi_ssl.maps.bands import BandMatch, ModelBands
from hsi_ssl.maps.class_map import class_map
from hsi_ssl.maps.fitting import fitted
from hsi_ssl.maps.map_grid import say_where
from hsi_ssl.maps.windows import Raw, in_threads
from hsi_ssl.quantising.units import Units, material
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import QuantiseSettings

CORNERS = np.array([[[0, 114, 178], [0, 158, 115]], [[204, 121, 167], [240, 180, 40]]], float)
"""Colours of a map's corners, between which those of its units lie: neighbours look alike."""


def unit_classes(trained: TrainedQuantiser, units: Units) -> LabelSet:
    """Units as classes, coded from 1 on: by row and column of a map, with a library's names."""
    count, card = trained.units, trained.card["architecture"]
    on_map = trained.card["method"] == "som"
    colours = lattice_colours(card["rows"], card["cols"]) if on_map else None
    classes = []
    for unit in range(count):
        name = f"unit {unit + 1}"
        if on_map:
            row, col = divmod(unit, card["cols"])
            name = f"unit {row + 1},{col + 1}"
        called = material(units.matches[unit]) if units.matches else None
        colour = distinct_colour(unit) if colours is None else colours[unit]
        classes.append(LabelClass(unit + 1, name if called is None else f"{name} {called}", colour))
    return LabelSet("units", tuple(classes))


def lattice_colours(rows: int, cols: int) -> list[str]:
    """Colours `#rrggbb` of a map's units, row after row, that change gradually over it."""
    down, across = (np.linspace(0, 1, n) if n > 1 else np.array([0.5]) for n in (rows, cols))
    sides = CORNERS[0] + down[:, None, None] * (CORNERS[1] - CORNERS[0])
    mixed = sides[:, None, 0] + across[:, None] * (sides[:, None, 1] - sides[:, None, 0])
    return ["#{:02x}{:02x}{:02x}".format(*c) for c in mixed.reshape(-1, 3).round().astype(int)]


def write_cluster_map(
    scene: Scene,
    trained: TrainedQuantiser,
    label_set: LabelSet,
    settings: QuantiseSettings,
    output: Path,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> Mapping[int, int]:
    """Write the map of a scene, by windows; returns pixels by code, 0: no measurement.

    Raises
    ------
    SceneError
        No pixel is valid.
    BandsError, UnitsError
        The scene's bands or numbers are not those that were learnt from.
    OutputError
        As `class_map`.
    """
    match = fitted(scene, ModelBands.from_card(trained.card), watcher=watcher)

    def look(rows: slice, cols: slice, window: Raw) -> tuple[slice, slice, npt.NDArray[np.int64]]:
        return rows, cols, _window(scene, match, trained, window)

    tags = {
        "SCENE": scene.path.name,
        "MODEL": str(settings.model or settings.run),
        "LABEL_SET": label_set.name,
        "SETTINGS": json.dumps(settings.model_dump(mode="json", exclude={"output"})),
    }
    say_where(scene, watcher)
    done = 0
    with class_map(
        output, rows=scene.rows, cols=scene.cols, grid=scene.grid, ortho=scene.ortho,
        label_set=label_set, tags=tags, overwrite=overwrite,
    ) as written:  # fmt: skip
        places = list(scene.windows(settings.window))
        with (
            quick_products(trained.device),
            contextlib.closing(in_threads(scene.read, look, places, trained.device)) as windows,
        ):
            for rows, cols, indices in windows:
                written.write(rows, cols, indices)
                done += indices.size
                watcher.progress(f"map {scene.name}", done, scene.rows * scene.cols)
        if written.counts[0] == scene.rows * scene.cols:
            raise SceneError(f"{scene.path} has no valid pixel; check its nodata and its bands")
        return written.counts


def _window(
    scene: Scene, match: BandMatch, trained: TrainedQuantiser, window: Raw
) -> npt.NDArray[np.int64]:
    """Units of the pixels `(r, c)` of a window, -1 without measurement."""
    spectra, valid = match.brought(window, scene.nodata)
    found = np.full(len(valid), UNLABELLED, np.int64)
    if valid.any():
        found[valid] = trained.assign(spectra)
    return found.reshape(window.shape[:2])
