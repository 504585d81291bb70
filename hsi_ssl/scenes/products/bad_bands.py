"""What products do not say of what is no data: bands that hold nothing, a nodata value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.scene import Bools, Scene

ABSORBED = -0.01
"""What retrievals of JPL write where water vapour absorbs everything."""
ROWS, COLS = 32, 64
"""Of the pixels that are looked at."""


def without_empty_bands(scene: Scene) -> Scene:
    """The scene with bands as bad that are -0.01, or no data, wherever others hold something."""
    rows, cols = (
        np.unique(np.linspace(0, size - 1, n).astype(np.int64))
        for size, n in ((scene.rows, ROWS), (scene.cols, COLS))
    )
    spectra = scene.thinned(rows, cols, range(scene.bands)).reshape(-1, scene.bands)
    nothing: Bools = ~np.isfinite(spectra) | (spectra == scene.nodata)
    nothing |= np.isclose(spectra, ABSORBED, atol=1e-6)
    there = ~nothing.all(axis=1)
    empty: Bools = np.asarray(nothing[there].all(axis=0))
    if not there.any() or not empty.any():
        return scene
    note = (
        f"{scene.path.name} lists no good bands: {np.count_nonzero(empty)} that hold nothing, "
        f"or {ABSORBED:g}, wherever others hold something count as bad"
    )
    return replace(
        scene,
        good=scene.good & ~empty,
        notes=(*scene.notes, note),
        origins=replace(scene.origins, bad_bands=Origin("some of its pixels", guessed=True)),
    )


def with_nothing(scene: Scene, nodata: float) -> Scene:
    """The scene with the nodata value of its product's layout, of which the file says nothing."""
    origin = Origin("the product's layout", guessed=True)
    return replace(scene, nodata=nodata, origins=replace(scene.origins, nodata=origin))
