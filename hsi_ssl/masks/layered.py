"""Quality layers of a product as classes of its scene's mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsi_ssl.masks.codes import CIRRUS, CLOUD, GLINT, HAZE, NO_DATA, SHADOW
from hsi_ssl.scenes import layers
from hsi_ssl.scenes.scene import Scene

CODES = {
    layers.CLOUD_SHADOW: SHADOW,
    layers.GLINT: GLINT,
    layers.HAZE: HAZE,
    layers.CIRRUS: CIRRUS,
    layers.CLOUD: CLOUD,
}
"""Layer -> code; where several are True, the last counts."""


def lay_layers(mask: npt.NDArray[np.uint8], scene: Scene) -> str:
    """Put the layers of a scene's product over what is proposed; says which, `""` for none.

    What holds no measurement stays no data.
    """
    taken = [name for name in CODES if name in scene.layers]
    there = mask != NO_DATA
    for name in taken:
        mask[scene.layers[name].read() & there] = CODES[name]
    if not taken:
        return ""
    sources = dict.fromkeys(scene.layers[name].source for name in taken)
    return f"{', '.join(taken)} as the product's own {', '.join(sources)} say"
