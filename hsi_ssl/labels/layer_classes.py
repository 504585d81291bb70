"""Classes told by names of layers and files, where people keep one layer, or one file, a class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.layers import Layer, LayerFacts, listed
from hsi_ssl.labels.vectors import layers_at, vector_file
from hsi_ssl.watcher import SILENT, Watcher

BY_LAYER = "@layer"
"""What takes the place of a field's name: the class is the layer's name."""
DATABASES = {".gpkg", ".gdb", ".sqlite"}
LAYERED = DATABASES | {".kml", ".kmz", ".zip"}
"""Suffixes of files whose layers have names that people gave; of others the file has."""
DOCUMENT = re.compile(r"\.km[lz]$", re.IGNORECASE)
"""What Google Earth leaves at the end of a document's name."""
AGAIN = re.compile(r" \(#\d+\)$")
"""What GDAL puts behind the name of a folder that has been there before."""


def layers_of_classes(path: Path) -> list[LayerFacts]:
    """All layers with geometries of a file, or the one that the path names, each with its own path.

    Raises
    ------
    SceneNotFoundError, VectorError
        As `layers_at`.
    """
    found = layers_at(path)
    if len(found) == 1:
        return found
    return [replace(facts, path=Path(f"{path}:{facts.name}")) for facts in found]


def classed_by_layer(layers: Sequence[Layer], watcher: Watcher = SILENT) -> list[Layer]:
    """The layers with the class of every feature as its value: what its layer or file is called.

    Raises
    ------
    LabelError
        Layers of several files are all called alike.
    """
    classes = [_class_of(layer) for layer in layers]
    different = list(dict.fromkeys(classes))
    if len(different) == 1 and len({vector_file(layer.path) for layer in layers}) > 1:
        raise LabelError(
            f"{BY_LAYER} takes the names of layers as classes, and all {len(layers)} are called "
            f"{different[0]}; call each after its class, or name the field that holds the class "
            "with --label-field"
        )
    watcher.say(f"names of layers are the classes: {listed(different, len(different))}")
    return [
        replace(layer, values=np.full(len(layer), name, object))
        for layer, name in zip(layers, classes, strict=True)
    ]


def _class_of(layer: Layer) -> str:
    file = vector_file(layer.path)
    suffix = file.suffix.lower()
    if suffix not in LAYERED:
        return file.stem
    if suffix in DATABASES:
        return layer.name
    if suffix == ".zip":
        return PurePosixPath(layer.name).name
    return AGAIN.sub("", DOCUMENT.sub("", layer.name))
