"""Scenes of a dataset, opened again as they were read for it, where their files are still there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import HsiSslError
from hsi_ssl.files import fingerprint
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.wavelengths import BandFacts, with_facts


def reopened(card: dict[str, Any], dataset: Dataset) -> Scene | None:
    """The scene of a dataset's record, if its file is still there and still the same.

    At the wavelengths that were known of its bands then, from the catalog say.
    """
    path = Path(card["path"])
    if not path.is_file() or fingerprint(path) != card["fingerprint"]:
        return None
    try:
        settings = dataset.meta["settings"]
        scene = open_scene(
            path,
            variable=settings.get("variable"),
            axes=settings.get("axes"),
            overlap=settings.get("overlap") or "both",
            quality=settings.get("quality") or "lenient",
        )
    except HsiSslError:  # several arrays in the file, say: reports can do without
        return None
    if dataset.wavelengths_nm is None or scene.bands != dataset.meta["bands"]:
        return scene
    used = dataset.meta["used_bands"]
    wavelengths, good = np.full(scene.bands, np.nan), np.zeros(scene.bands, bool)
    wavelengths[used], good[used] = dataset.wavelengths_nm, True
    return with_facts(scene, BandFacts(wavelengths, None, good))
