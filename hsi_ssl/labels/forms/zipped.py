"""Shapefiles in a ZIP, as they are sent: each is a layer of it."""

from __future__ import annotations

from pathlib import Path

from hsi_ssl.labels.forms.shape_sets import ZIP, may_hold_sets, sets_in
from hsi_ssl.labels.forms.shapefile import facts_of, features_of
from hsi_ssl.labels.layers import Features, LayerFacts


def takes(file: Path) -> bool:
    """Whether it is a ZIP with members of shapefiles: scenes come in ZIPs too."""
    return file.suffix.lower() == ZIP and file.is_file() and may_hold_sets(file)


def layers(file: Path, path: Path) -> list[LayerFacts]:
    """A layer for each shapefile.

    Raises
    ------
    VectorError
        The ZIP or one of them is broken, or there is none.
    """
    return [facts_of(shapes, path) for shapes in sets_in(file)]


def features(file: Path, facts: LayerFacts, column: str | None) -> Features:
    """All features of one of them."""
    return features_of(next(s for s in sets_in(file) if s.name == facts.name), column)
