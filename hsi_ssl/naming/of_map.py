"""Mean spectra of the classes of a map, over the scene that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hsi_ssl.errors import HsiSslError, SceneNotFoundError
from hsi_ssl.libraries.library import SpectralLibrary
from hsi_ssl.maps.finding import (
    legend_of,
    on_pixels,
    opened_map,
    opened_scene,
    scene_places,
    settings_of,
    tags_of,
)
from hsi_ssl.naming.measured import ALL_PIXELS, as_library, physical
from hsi_ssl.scenes.scene import valid_spectra
from hsi_ssl.watcher import Watcher

WINDOW = 65_536
"""Pixels read at a time."""


def is_map(path: Path) -> bool:
    """Whether a file is a raster of one band of codes."""
    try:
        opened_map(path).close()
    except HsiSslError:
        return False
    return True


def of_map(
    path: Path, scene: Path | None, data: Sequence[Path], watcher: Watcher
) -> SpectralLibrary:
    """The mean over the pixels of each class, and over all of them, by windows.

    Raises
    ------
    SceneNotFoundError
        The scene that the map was made of is not there.
    SceneError
        It is another; the map is no class map.
    LibraryError
        The scene tells no wavelengths.
    """
    tags = tags_of(path)
    settings = settings_of(path, tags)
    places = scene_places(path, tags, settings, scene, None, data)
    names = {one.code: one.name for one in legend_of(path)[0]}
    with opened_map(path) as raster, opened_scene(places[0], settings, None, watcher) as opened:
        codes_of = on_pixels(path, raster, opened)
        sums: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
        counts: dict[int, int] = {}
        done, pixels = 0, opened.rows * opened.cols
        for rows, cols in opened.windows(WINDOW):
            raw = opened.read(rows, cols).reshape(-1, opened.bands)
            codes = codes_of.read(rows, cols)[..., 0].ravel()
            valid = valid_spectra(raw[:, opened.good], opened.nodata)
            for code in np.unique(codes[valid]).tolist():
                here = valid & (codes == code)
                counts[code] = counts.get(code, 0) + int(here.sum())
                total = raw[here].sum(axis=0, dtype=np.float64)
                sums[code] = sums.get(code, 0) + total
            done += len(raw)
            watcher.progress(f"look at {opened.name}", done, pixels)
        means = {
            names.get(code, f"class {code}"): physical(opened, sums[code] / counts[code])
            for code in sorted(sums)
            if code
        }
        if means:
            of_all = sum(sums.values()) / sum(counts.values())
            means[ALL_PIXELS] = physical(opened, np.asarray(of_all))
        if not means:
            raise SceneNotFoundError(
                f"{path} has no class on a pixel of {places[0]} that holds a measurement: name a "
                "map of this scene"
            )
        note = f"means of {len(means) - 1} classes of {path.name} over {opened.name}"
        return as_library(path, means, opened.wavelengths_nm, note)
