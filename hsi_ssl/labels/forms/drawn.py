"""Layers that a form of file reads whole, and keeps while the file stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.layers import Features, LayerFacts, Place

CLASS = "class"
"""What the field is called that holds the class, where the form has one of no name."""
TEXT = "OFTString"
REMEMBERED = 4
"""Files whose layers are kept: a form is asked for layers, then for each one's features."""


@dataclass(frozen=True)
class Drawn:
    """A layer as read: geometries and the values of each field, all `(n,)`.

    Values are text, None where a feature has none. `ids` are the numbers by which people find
    features, by default from 1 in the file's order. `image_shape` is the rows and columns of the
    picture that they were drawn on, where the file tells; all else as in `LayerFacts`.
    """

    name: str
    geometries: npt.NDArray[Any] = field(repr=False)
    fields: Mapping[str, npt.NDArray[Any]] = field(repr=False)
    ids: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    crs: str | None = None
    place: Place = "pixel"
    image: str | None = None
    image_shape: tuple[int, int] | None = None
    colours: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def facts(self, path: Path) -> LayerFacts:
        """What the layer says of itself."""
        return LayerFacts(
            path=path,
            name=self.name,
            kind=_kind(self.geometries),
            crs=self.crs,
            assumed=False,
            features=len(self.geometries),
            fields=dict.fromkeys(self.fields, TEXT),
            place=self.place,
            image=self.image,
            image_shape=self.image_shape,
            colours=self.colours,
            notes=self.notes,
        )

    def features(self, column: str | None) -> Features:
        """Its features, copied, with the values of one field."""
        ids = np.arange(1, len(self.geometries) + 1) if self.ids is None else self.ids.copy()
        values = None if column is None else self.fields[column].copy()
        return Features(ids.astype(np.int64), self.geometries.copy(), values)


Read = Callable[[Path], "list[Drawn]"]


def drawn(read: Read, file: Path) -> list[Drawn]:
    """What `read` makes of a file; remembered until the file changes.

    Raises
    ------
    VectorError
        As `read`; the file is gone.
    """
    try:
        state = file.stat()
    except OSError as error:
        raise VectorError(f"{file} cannot be read: {error.strerror}") from error
    return list(_remembered(read, file, (state.st_mtime_ns, state.st_size)))


def layer_named(layers: Iterable[Drawn], facts: LayerFacts) -> Drawn:
    """The one that facts were told of.

    Raises
    ------
    VectorError
        It is not there any more.
    """
    for layer in layers:
        if layer.name == facts.name:
            return layer
    raise VectorError(f"{facts.path} has changed: it has no layer {facts.name} any more")


@lru_cache(maxsize=REMEMBERED)
def _remembered(read: Read, file: Path, state: tuple[int, int]) -> list[Drawn]:
    return read(file)


def _kind(geometries: npt.NDArray[Any]) -> str:
    """The kind that all geometries have, in GDAL's words."""
    kinds = set(shapely.get_type_id(geometries).tolist()) - {-1}
    names = {kind.value: kind.name for kind in shapely.GeometryType}
    if len(kinds) != 1:
        return "Unknown"
    words = {"POINT": "Point", "LINESTRING": "LineString", "POLYGON": "Polygon"}
    words |= {f"MULTI{key}": f"Multi{word}" for key, word in words.items()}
    return words.get(names[kinds.pop()], "Unknown")
