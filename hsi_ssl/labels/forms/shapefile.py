"""Shapefiles: named by any member, also without some of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hsi_ssl.labels.forms import ogr
from hsi_ssl.labels.forms.shape_sets import ShapeSet, is_member, set_of
from hsi_ssl.labels.layers import Features, LayerFacts
from hsi_ssl.scenes.virtual import is_virtual


def takes(file: Path) -> bool:
    """Whether its suffix is one of a member; those on servers and in archives are GDAL's."""
    return is_member(file) and not is_virtual(file)


def layers(file: Path, path: Path) -> list[LayerFacts]:
    """The one layer of a shapefile.

    Raises
    ------
    VectorError
        Its `.shp` is not there, or it is broken.
    """
    return [facts_of(set_of(file), path)]


def features(file: Path, facts: LayerFacts, column: str | None) -> Features:
    """All features of the layer."""
    return features_of(set_of(file), column)


def facts_of(shapes: ShapeSet, path: Path) -> LayerFacts:
    """What a shapefile says of itself, as a layer of its name."""
    with ogr.spoken(shapes.file):
        facts = ogr.facts_in(shapes.source(), 0, path)
    return replace(facts, name=shapes.name, missing=shapes.missing)


def features_of(shapes: ShapeSet, column: str | None) -> Features:
    """All features of a shapefile."""
    with ogr.spoken(shapes.file):
        return ogr.features_in(shapes.source(), 0, column)
