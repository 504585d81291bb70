"""Pixels of a scene that its product's own quality layers say hold no measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.masked import MaskedReader
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.scene import Bools, Scene


class Hidden:
    """A plane `(rows, cols)` of pixels to hide, read when it is first needed."""

    def __init__(self, plane: Callable[[], Bools], names: tuple[str, ...]) -> None:
        self._read, self.names = plane, names

    def mask(self, rows: slice, cols: slice) -> Bools:
        """Which pixels of a window are seen, `(r, c)`."""
        return ~self._plane[rows, cols]

    def at(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Bools:
        """Which single pixels are seen, `(n,)`."""
        found: Bools = ~self._plane[rows, cols]
        return found

    @cached_property
    def _plane(self) -> Bools:
        return self._read()


def without(scene: Scene, plane: Callable[[], Bools], names: tuple[str, ...]) -> Scene:
    """The scene with nothing measured where `plane ()` is True; `names` say in words what hides.

    It is no mask of the user's: the product itself says that there is nothing to see.
    """
    if not names:
        return scene
    nothing = scene.nodata
    if nothing is None:
        nothing = np.nan if scene.dtype.kind == "f" else 0
    before = () if scene.origins.mask is None else (scene.origins.mask.where,)
    origin = Origin(" and ".join((*before, *names)))
    return replace(
        scene,
        reader=MaskedReader(scene.reader, Hidden(plane, names), nothing),
        origins=replace(scene.origins, mask=origin),
    )
