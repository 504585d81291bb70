"""Scenes of a dataset, opened again as they were read for it, where their files are still there."""

from __future__ import annotations

from typing import Any

import numpy as np

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.datasets.whereabouts import place_of
from hsi_ssl.errors import HsiSslError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.scenes.wavelengths import BandFacts, with_facts


def reopened(card: dict[str, Any], dataset: Dataset) -> Scene | None:
    """The scene of a dataset's record, if its file is still to be found and still the same.

    At the wavelengths that were known of its bands then, from the catalog say.

    Raises
    ------
    DatasetError
        As `place_of`.
    """
    path = place_of(card, dataset)
    if path is None or is_virtual(path):
        return None
    try:
        settings = dataset.meta["settings"]
        scene = open_scene(
            path,
            variable=settings.get("variable"),
            axes=settings.get("axes"),
            overlap=settings.get("overlap") or "both",
            quality=settings.get("quality") or "lenient",
            nodata=settings.get("nodata"),
        )
    except HsiSslError:  # several arrays in the file, say: reports can do without
        return None
    if dataset.wavelengths_nm is None or scene.bands != dataset.meta["bands"]:
        return scene
    used = dataset.meta["used_bands"]
    wavelengths, good = np.full(scene.bands, np.nan), np.zeros(scene.bands, bool)
    wavelengths[used], good[used] = dataset.wavelengths_nm, True
    return with_facts(scene, BandFacts(wavelengths, None, good))
