"""Drawn labels (polygons, lines, points) of any form: features, valid and flat."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import shapely

from hsi_ssl.errors import SceneNotFoundError, VectorError
from hsi_ssl.labels.forms import Form, form_of, ogr, shapefile
from hsi_ssl.labels.forms.shape_sets import SHAPES, head
from hsi_ssl.labels.forms.unread import not_read
from hsi_ssl.labels.layer_styles import with_style
from hsi_ssl.labels.layers import Layer, LayerFacts, listed_ids, repaired
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.watcher import SILENT, Watcher

QGIS_LAYER = re.compile(r"(?P<file>[^|]+)\|layername=(?P<layer>[^|]+).*")
"""How QGIS names a layer of a file that holds several."""


def is_vector(path: Path) -> bool:
    """Whether a path (`file.gpkg`, `file.gpkg:layer`) names a file of drawn labels."""
    return form_of(_parted(path)[0]) is not None


def vector_file(path: Path) -> Path:
    """The file of a path that may name a layer in it; of any member of a shapefile its `.shp`."""
    return _parted(path)[0]


def is_part(path: Path) -> bool:
    """Whether a file only goes with another: a member of a shapefile beside its `.shp`."""
    return shapefile.takes(path) and path.suffix.lower() != SHAPES


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
    try:
        found = _form(file).layers(file, path)
        if not found:
            raise VectorError(
                f"{file} has no layer with geometries; expected polygons, lines or points"
            )
    except VectorError as error:
        why = not_read(file)
        raise error if why is None else VectorError(why) from None
    if name is None:
        return found
    chosen = [facts for facts in found if facts.name == name]
    if not chosen:
        known = ", ".join(f"{facts.name} ({facts.kind})" for facts in found)
        raise VectorError(f"{file} has no layer {name} with geometries; it has {known}")
    return chosen


def layer_facts(path: Path, otherwise: str = "") -> LayerFacts:
    """Of the only layer with geometries of a file, or of the one that the path names in it.

    `otherwise` is what else may be done than to name one, in words that end the refusal.

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
            f"{otherwise}"
        )
    return found[0]


def read_layer(facts: LayerFacts, column: str | None = None, watcher: Watcher = SILENT) -> Layer:
    """Features of a layer, with the values of one field and the colours that QGIS shows them in.

    Geometries that are not valid are repaired, features without a geometry left out; both is said
    with their ids.

    Raises
    ------
    VectorError
        The layer is broken, or has no feature with a geometry.
    """
    file = vector_file(facts.path)
    ids, geometries, values = _form(file).features(file, facts, column)
    styled = with_style(file, facts, column, watcher)
    if not len(ids):
        raise VectorError(f"{facts.path} is empty: expected one feature or more, found none")
    with np.errstate(invalid="ignore"):
        xy, owner = shapely.get_coordinates(geometries, return_index=True)
        finite = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
        finite[owner[~np.isfinite(xy).all(axis=1)]] = False
        broken = finite & ~shapely.is_valid(geometries)
    geometries[broken] = repaired(geometries[broken])
    kept = finite & ~shapely.is_empty(geometries)
    found = Layer(
        path=facts.path,
        name=facts.name,
        crs=facts.crs,
        assumed=facts.assumed,
        ids=ids[kept],
        geometries=geometries[kept],
        values=None if values is None else values[kept],
        place=facts.place,
        colours=styled.colours,
        names=styled.names,
        image_shape=facts.image_shape,
        missing=facts.missing,
    )
    for note in facts.notes:
        watcher.say(note)
    if (broken & kept).any():
        watcher.warn(
            f"{facts.path}: repaired the geometry of {np.count_nonzero(broken & kept)} feature(s) "
            f"that was not valid: {listed_ids(ids[broken & kept])}"
        )
    if not kept.all():
        lacking = "without a geometry that has any extent and is of a known kind"
        if not kept.any():
            raise VectorError(f"{facts.path}: every feature is {lacking}; draw them again")
        watcher.warn(
            f"{facts.path}: {np.count_nonzero(~kept)} feature(s) {lacking}, left out: "
            f"{listed_ids(ids[~kept])}"
        )
    return found


def _form(file: Path) -> Form:
    """The form that reads a file; where none takes it, GDAL says what is wrong with it."""
    return form_of(file) or ogr


def _parted(path: Path) -> tuple[Path, str | None]:
    """The file and the layer that a path names."""
    file, layer = path, None
    if match := QGIS_LAYER.fullmatch(str(path)):
        file, layer = Path(match["file"]), match["layer"]
    elif not path.exists():
        parts = str(path).split(":")  # a layer's name may have colons too
        for n in range(len(parts) - 1, 0, -1):
            before, after = Path(":".join(parts[:n])), ":".join(parts[n:])
            if after and form_of(before) is not None:
                file, layer = before, after
                break
    return (head(file) if shapefile.takes(file) else file), layer
