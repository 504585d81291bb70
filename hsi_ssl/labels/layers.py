"""What a layer of drawn labels holds, whatever form of file it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

Place = Literal["map", "pixel", "either"]
"""Coordinates on the ground, those of pixels (x: column, y: row, pixel (r, c) the unit square from
(c, r) to (c + 1, r + 1)), or numbers of which only a scene can tell which they are."""
MOST_LISTED = 5


@dataclass(frozen=True)
class LayerFacts:
    """What a layer says of itself; `kind` of geometry and types of `fields` in GDAL's words.

    `image` is the picture that its features were drawn on, where the file names one. `colours` are
    those that the file or its style gives to classes, `#rrggbb` by the class's name or number.
    """

    path: Path
    name: str
    kind: str
    crs: str | None
    assumed: bool
    features: int
    fields: Mapping[str, str]
    place: Place = "map"
    image: str | None = None
    image_shape: tuple[int, int] | None = None
    """Rows and columns of the picture, where the file tells them."""
    colours: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    """What a style calls classes that are numbers."""
    notes: tuple[str, ...] = ()
    """What was guessed, to be told to the user once."""
    missing: tuple[str, ...] = ()
    """Names of files that belong to a shapefile and are not there."""


class Features(NamedTuple):
    """Features as a file has them, all `(n,)`: numbers, geometries valid or not, values of a field.

    Geometries are of two dimensions, None where a feature has none.
    """

    ids: npt.NDArray[np.int64]
    geometries: npt.NDArray[Any]
    values: npt.NDArray[Any] | None


@dataclass(frozen=True)
class Layer:
    """The features of a layer that have a geometry, all arrays `(n,)`.

    `ids` are the numbers by which QGIS shows features; `geometries` are valid and of two
    dimensions; `values` are those of the field asked for (None where a feature has none). `crs` is
    WKT or a name such as EPSG:4326, None where the file has none; `assumed` where the format, not
    the file, tells it. `place`, `colours`, `names`, `image_shape` and `missing` as in `LayerFacts`.
    """

    path: Path
    name: str
    crs: str | None
    assumed: bool
    ids: npt.NDArray[np.int64] = field(repr=False)
    geometries: npt.NDArray[Any] = field(repr=False)
    values: npt.NDArray[Any] | None = field(repr=False)
    place: Place = "map"
    colours: Mapping[str, str] = field(default_factory=dict, repr=False)
    names: Mapping[int, str] = field(default_factory=dict, repr=False)
    image_shape: tuple[int, int] | None = None
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def listed(self, which: npt.NDArray[Any]) -> str:
        """Ids of some features, for people: the first few of many."""
        return listed_ids(self.ids[which])


def repaired(geometries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Valid geometries of what is left of these, empty where nothing is."""
    found: npt.NDArray[Any] = shapely.make_valid(
        geometries, method="structure", keep_collapsed=False
    )
    return found


def listed(names: Iterable[object], n: int, between: str = ", ") -> str:
    """The first few of `n`, for people."""
    few = between.join(str(name) for name, _ in zip(names, range(MOST_LISTED), strict=False))
    return f"{few} and {n - MOST_LISTED} more" if n > MOST_LISTED else few


def listed_ids(ids: npt.NDArray[np.int64]) -> str:
    """The first few numbers, for people."""
    return listed(ids, len(ids))
