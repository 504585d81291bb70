"""What a dataset says of the scenes that it was made of, labels or none."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np

from hsi_ssl import __version__
from hsi_ssl.datasets.bands import Bands, Bools
from hsi_ssl.labels.labelling import LabelledScene
from hsi_ssl.labels.sources import Sources
from hsi_ssl.scenes.virtual import identity


def facts_of(sources: Sources, used: Bools, bands: Bands) -> dict[str, Any]:
    """The part of a dataset's `meta` on its scenes and on those of their bands that are `used`.

    `bands`: of all bands, as `same_bands` gives them.
    """
    wavelengths, fwhm = bands
    return {
        "version": __version__,
        "title": sources.title,
        "sources": [source_card(source) for source in sources.scenes],
        "bands": sources.scenes[0].scene.bands,
        "used_bands": np.flatnonzero(used).tolist(),
        "wavelengths_nm": None if wavelengths is None else wavelengths[used].tolist(),
        "fwhm_nm": None if fwhm is None else fwhm[used].tolist(),
    }


def source_card(source: LabelledScene) -> dict[str, Any]:
    """What the dataset remembers of a scene, to find it again and to know it."""
    scene = source.scene
    return {
        "name": scene.name,
        "path": str(scene.path),
        "labels_paths": [str(path) for path in source.labels_paths],
        **identity(scene),
        "rows": scene.rows,
        "cols": scene.cols,
        "bands": scene.bands,
        "dtype": str(scene.dtype),
        "crs": scene.grid.crs,
        "transform": scene.grid.transform,
        "control_points": [astuple(point) for point in scene.grid.control_points],
        "sensor_geometry": scene.grid.geolocation is not None,
        "format": scene.format,
        "masks": [] if scene.looked is None else list(scene.looked.names),
    }
