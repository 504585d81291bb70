"""Quality layers of products: what a product itself says of its pixels, plane by plane, with names.

`hsi-ssl mask` makes classes of those in `DOUBTFUL` and of glint; `--quality strict` takes pixels
in which a doubtful one is True for no data. Others (snow, water) are told by `info` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from hsi_ssl.scenes.scene import Bools

CLOUD, CLOUD_SHADOW, HAZE, CIRRUS = "cloud", "cloud shadow", "haze", "cirrus"
SNOW, WATER, GLINT = "snow", "water", "glint"
DOUBTFUL = (CLOUD, CLOUD_SHADOW, HAZE, CIRRUS)
"""What lies between the sensor and the ground, or darkens it."""


class Layer(NamedTuple):
    """`read` gives a plane `(rows, cols)`, True where it is so; `source` is what says so."""

    read: Callable[[], Bools]
    source: str


Layers = Mapping[str, Layer]
"""By name: one of those above where it is such a thing, so that all products mean the same."""


def doubtful(layers: Layers) -> dict[str, Layer]:
    """Those of `DOUBTFUL` among them."""
    return {name: layers[name] for name in DOUBTFUL if name in layers}


def any_of(layers: Iterable[Layer]) -> Callable[[], Bools]:
    """What reads the plane of pixels in which at least one of some layers is True."""
    return partial(_united, tuple(layers))


def _united(layers: tuple[Layer, ...]) -> Bools:
    found = np.zeros((1, 1), bool)
    for layer in layers:
        found = found | layer.read()
    return found
