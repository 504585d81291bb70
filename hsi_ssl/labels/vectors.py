"""Vector layers (GeoPackage, Shapefile, GeoJSON, FlatGeobuf): features, valid and flat."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely

from hsi_ssl.errors import SceneNotFoundError, VectorError
from hsi_ssl.scenes.virtual import gdal_name, is_virtual, shown
from hsi_ssl.watcher import SILENT, Watcher

SUFFIXES = {".gpkg", ".shp", ".geojson", ".json", ".fgb"}
QGIS_LAYER = re.compile(r"(?P<file>[^|]+)\|layername=(?P<layer>[^|]+).*")
"""How QGIS names a layer of a file that holds several."""
MOST_LISTED = 5


@dataclass(frozen=True)
class Layer:
    """The features of a layer that have a geometry, all arrays `(n,)`.

    `ids` are the numbers by which QGIS shows features; `geometries` are valid and of two
    dimensions; `values` are those of the field asked for (None where a feature has none). `crs` is
    WKT or a name such as EPSG:4326, None where the file has none; `assumed` where the format, not
    the file, tells it.
    """

    path: Path
    name: str
    crs: str | None
    assumed: bool
    ids: npt.NDArray[np.int64] = field(repr=False)
    geometries: npt.NDArray[Any] = field(repr=False)
    values: npt.NDArray[Any] | None = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def listed(self, which: npt.NDArray[Any]) -> str:
        """Ids of some features, for people: the first few of many."""
        return _listed_ids(self.ids[which])


@dataclass(frozen=True)
class LayerFacts:
    """What a layer says of itself; `kind` of geometry and types of `fields` in GDAL's words."""

    path: Path
    name: str
    kind: str
    crs: str | None
    assumed: bool
    features: int
    fields: dict[str, str]


def is_vector(path: Path) -> bool:
    """Whether a path (`file.gpkg`, `file.gpkg:layer`) names a vector file, by its suffix."""
    return _parted(path)[0].suffix.lower() in SUFFIXES


def vector_file(path: Path) -> Path:
    """The file of a path that may name a layer in it."""
    return _parted(path)[0]


def beside(path: Path, suffix: str) -> Path:
    """A file of the same name beside a vector file; in this folder for one on a server."""
    file = vector_file(path)
    return (Path(file.name) if is_virtual(file) else file).with_suffix(suffix)


def layers_at(path: Path) -> list[LayerFacts]:
    """The layers with geometries of a file, or the one that the path names in it.

    `file.gpkg:layer`, or `file.gpkg|layername=layer` as in QGIS, names a layer.

    Raises
    ------
    SceneNotFoundError
        There is no such file.
    VectorError
        It is broken, or has no such layer, or none with geometries.
    """
    file, name = _parted(path)
    if not file.exists() and not is_virtual(file):
        raise SceneNotFoundError(f"no file {file}; expected polygons, lines or points")
    with _gdal(file) as opened:
        layers = {n: kind for n, kind in pyogrio.list_layers(opened).tolist() if kind is not None}
    if not layers:
        raise VectorError(
            f"{file} has no layer with geometries; expected polygons, lines or points"
        )
    if name is not None and name not in layers:
        known = ", ".join(f"{n} ({kind})" for n, kind in layers.items())
        raise VectorError(f"{file} has no layer {name} with geometries; it has {known}")
    with _gdal(file) as opened:
        each = [
            pyogrio.read_info(opened, layer=one, force_feature_count=True)
            for one in ([name] if name is not None else layers)
        ]
    return [_facts(path, info) for info in each]


def layer_facts(path: Path) -> LayerFacts:
    """Of the only layer with geometries of a file, or of the one that the path names in it.

    Raises
    ------
    SceneNotFoundError
        There is no such file.
    VectorError
        As `layers_at`; the file has several layers and none is named.
    """
    found = layers_at(path)
    if len(found) > 1:
        known = ", ".join(f"{facts.name} ({facts.kind})" for facts in found)
        raise VectorError(
            f"{path} has several layers: {known}; name one as {path.name}:{found[0].name}"
        )
    return found[0]


def _facts(path: Path, info: dict[str, Any]) -> LayerFacts:
    crs = info["crs"]
    # What GeoPackages hold where QGIS says "no CRS".
    if crs is not None and re.match(r'\w+\["Undefined ', crs):
        crs = None
    return LayerFacts(
        path=path,
        name=info["layer_name"],
        kind=info["geometry_type"],
        crs=crs,
        assumed=info["driver"].startswith("GeoJSON"),
        features=int(info["features"]),
        fields=dict(zip(info["fields"].tolist(), info["ogr_types"], strict=True)),
    )


def read_layer(facts: LayerFacts, column: str | None = None, watcher: Watcher = SILENT) -> Layer:
    """Features of a layer, with the values of one field.

    Geometries that are not valid are repaired, features without a geometry left out; both is said
    with their ids. Heights are dropped, arcs become straight pieces.

    Raises
    ------
    VectorError
        The layer is broken, or has no feature with a geometry.
    """
    file = vector_file(facts.path)
    with _gdal(file) as opened:
        _, ids, wkb, values = pyogrio.raw.read(
            opened,
            layer=facts.name,
            columns=[] if column is None else [column],
            force_2d=True,
            return_fids=True,
        )
    if not len(ids):
        raise VectorError(f"{facts.path} is empty: expected one feature or more, found none")
    with np.errstate(invalid="ignore"):
        geometries = shapely.from_wkb(wkb, on_invalid="ignore")
        xy, owner = shapely.get_coordinates(geometries, return_index=True)
        finite = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
        finite[owner[~np.isfinite(xy).all(axis=1)]] = False
        broken = finite & ~shapely.is_valid(geometries)
    geometries[broken] = repaired(geometries[broken])
    kept = finite & ~shapely.is_empty(geometries)
    ids = np.asarray(ids, np.int64)
    found = Layer(
        path=facts.path,
        name=facts.name,
        crs=facts.crs,
        assumed=facts.assumed,
        ids=ids[kept],
        geometries=geometries[kept],
        values=None if column is None else values[0][kept],
    )
    if (broken & kept).any():
        watcher.warn(
            f"{facts.path}: repaired the geometry of {np.count_nonzero(broken & kept)} feature(s) "
            f"that was not valid: {_listed_ids(ids[broken & kept])}"
        )
    if not kept.all():
        lacking = "without a geometry that has any extent and is of a known kind"
        if not kept.any():
            raise VectorError(f"{facts.path}: every feature is {lacking}; draw them again")
        watcher.warn(
            f"{facts.path}: {np.count_nonzero(~kept)} feature(s) {lacking}, left out: "
            f"{_listed_ids(ids[~kept])}"
        )
    return found


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


def _listed_ids(ids: npt.NDArray[np.int64]) -> str:
    return listed(ids, len(ids))


def _parted(path: Path) -> tuple[Path, str | None]:
    """The file and the layer that a path names."""
    if match := QGIS_LAYER.fullmatch(str(path)):
        return Path(match["file"]), match["layer"]
    file, colon, layer = str(path).rpartition(":")
    if colon and layer and not path.exists() and Path(file).suffix.lower() in SUFFIXES:
        return Path(file), layer
    return path, None


@contextmanager
def _gdal(file: Path) -> Iterator[str]:
    """What GDAL calls a file, and its refusals as one sentence; its remarks are not for users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield gdal_name(file)
    except RuntimeError as error:  # the root of pyogrio's
        reason = str(error).split(";", maxsplit=1)[0].strip().rstrip(".")
        raise VectorError(
            f"{shown(file)} is broken or of no vector format that hsi-ssl knows ({reason}); save "
            "the layer again, as GeoPackage say"
        ) from error
