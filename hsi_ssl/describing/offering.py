"""What a folder offers whoever begins: scenes, labels for them, fields that may name the class."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hsi_ssl.catalog.entries import entry
from hsi_ssl.datasets.store import is_dataset
from hsi_ssl.describing.description import counted
from hsi_ssl.errors import HsiSslError, SceneError, SceneNotFoundError
from hsi_ssl.labels.class_fields import TYPES, class_field, different_values
from hsi_ssl.labels.finding import (
    CUBES,
    PICTURES,
    Finder,
    Found,
    files_in,
    is_our_mask,
    links_to_nothing,
)
from hsi_ssl.labels.layer_classes import BY_LAYER
from hsi_ssl.labels.layers import LayerFacts, listed
from hsi_ssl.labels.sources import DRILL_CORE, DRILL_CORE_ENTRY
from hsi_ssl.labels.vectors import is_part, is_vector, layers_at
from hsi_ssl.scenes.opening import open_as
from hsi_ssl.scenes.reading import AS_THEY_ARE, Reading
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

LEAST_BANDS = 4
"""Of what is taken for a scene; pictures have three, label rasters one."""
MOST_TOLD = 3
"""Files that are told where something is missing."""


class SceneOffer(NamedTuple):
    """A scene, and the labels that are found for it by themselves: a file's name, "inside", ""."""

    path: Path
    shape: tuple[int, int, int]
    labels: str

    @property
    def in_words(self) -> str:
        """For people."""
        rows, cols, bands = self.shape
        return f"{self.path.name}: {rows} x {cols} pixels, {bands} bands"


class LabelOffer(NamedTuple):
    """Labels to take: the `path` for `labels` in the settings, None where they are found anyway.

    `fields` are those that may name the class, the likeliest first, each in words.
    """

    path: str | None
    in_words: str
    fields: dict[str, str]


@dataclass
class Offer:
    """All that a folder offers; `left_out`: files that are none of it, and why."""

    folder: Path
    scenes: list[SceneOffer] = field(default_factory=list)
    labels: list[LabelOffer] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def missing(self) -> str | None:
        """What there must be to begin, in words; None where it is all there."""
        if not self.scenes:
            there = "; ".join([one.in_words for one in self.labels][:MOST_TOLD])
            kinds, why = ", ".join(sorted(CUBES)), "; ".join(self.left_out[:MOST_TOLD])
            several = any("--variable" in one for one in self.left_out)
            return (
                f"no scene in {self.folder}: expected a cube of {LEAST_BANDS} bands or more "
                f"({kinds}, or data with an ENVI .hdr beside), found "
                f"{there or ('none' if why else 'nothing that is known')}"
                f"{f' (left out: {why})' if why else ''}; name the folder that holds yours"
                f"{', take one array by `hsi-ssl prepare FILE --variable NAME`' * several}, or "
                "`hsi-ssl demo` shows the way on a scene that is at hand"
            )
        if not self.labels:
            name = self.scenes[0].path
            more = f" ({'; '.join(self.left_out[:MOST_TOLD])})" if self.left_out else ""
            return (
                f"no labels for {name.name} in {self.folder}{more}: expected polygons, lines or "
                f"points with a field of class names (labels.gpkg, drawn in QGIS), or a raster of "
                f"class numbers called {name.stem}_labels.tif; a few dozen pixels a class will do"
            )
        return None


def offered(place: Path, watcher: Watcher = SILENT, reading: Reading = AS_THEY_ARE) -> Offer:
    """Look at a folder, or at a scene with what lies beside it; `reading` says how, but for masks.

    Raises
    ------
    SceneNotFoundError
        There is no such folder or file.
    """
    if not place.exists():
        raise SceneNotFoundError(f"there is no folder {place}; name the one that holds your scenes")
    folder = place if place.is_dir() else place.parent
    offer, finder = Offer(folder), Finder(None, SILENT)
    try:
        # With a dot before it, lest a folder called as a data set be the catalog's.
        found = finder.find(os.path.join(os.curdir, place))[1]
    except SceneNotFoundError:
        found = []
    offer.left_out += [
        f"{path.name} is called a white or dark reference" for path in finder.references_in(folder)
    ]
    offer.left_out += [
        f"{path.name} is a link to {os.readlink(path)}, which is not there"
        for path in links_to_nothing(folder)
    ]
    rasters: list[SceneOffer] = []
    for number, one in enumerate(found):
        watcher.progress(f"looking at {folder.resolve().name}", number, len(found))
        _look(one, offer, rasters, reading)
    watcher.progress(f"looking at {folder.resolve().name}", 1, 1)
    own = list(dict.fromkeys(scene.labels for scene in offer.scenes if scene.labels))
    if own:
        taken = listed(own, len(own)) if own != ["inside"] else "those inside the scenes"
        vector = [folder / name for name in own if name != "inside" and is_vector(folder / name)]
        fields = _layers(vector[0])[0].fields if vector and _layers(vector[0]) else {}
        offer.labels.append(LabelOffer(None, f"{taken} (found by the name)", fields))
    for path in files_in(folder):
        if path.name in own or path.suffix.lower() == ".json":
            continue
        if is_vector(path) and not is_part(path):
            layers = _layers(path)
            offer.labels += layers
            if not layers:
                offer.left_out.append(f"{path.name} has no layer that can be read")
        elif path.suffix.lower() in PICTURES and not is_our_mask(path):
            offer.left_out.append(f"{path.name} is a picture")
    for raster in rasters:
        offer.labels.append(
            LabelOffer(str(raster.path), f"{raster.path.name}: raster of class numbers", {})
        )
    return offer


def _look(found: Found, offer: Offer, rasters: list[SceneOffer], reading: Reading) -> None:
    """Take a file for a scene, for labels, or for neither."""
    if is_dataset(found.cube):
        offer.left_out.append(f"{found.cube.name} is a dataset that was prepared")
        return
    try:
        with open_as(found.cube, reading, found.variable) as scene:
            shape = scene.rows, scene.cols, scene.bands
            one = SceneOffer(found.cube, shape, _own_labels(found, scene))
            kind = scene.dtype.kind
    except (SceneError, SceneNotFoundError) as error:
        offer.left_out.append(str(error))
        return
    if shape[2] >= LEAST_BANDS:
        offer.scenes.append(one)
    elif shape[2] == 1 and kind in "iu":
        rasters.append(one)
    else:
        bands = counted(shape[2], "band")
        offer.left_out.append(f"{found.cube.name} has {bands}, too few for a scene")


def _own_labels(found: Found, scene: Scene) -> str:
    """The name of the file that holds a scene's labels, or `inside`."""
    if found.labels is not None:
        return found.labels.name
    known = found.known or (entry(DRILL_CORE_ENTRY) if scene.format == DRILL_CORE else None)
    inside = known is not None and known.label_set(None).variable is not None
    return "inside" if inside or scene.label_reader is not None else ""


def _layers(path: Path) -> list[LabelOffer]:
    """The layers of a file that may be labels."""
    try:
        found = layers_at(path)
    except HsiSslError:
        return []
    several = len(found) > 1
    each = [(facts, _fields(facts)) for facts in found]
    if several and all(BY_LAYER in fields for _, fields in each):
        names = listed([facts.name for facts in found], len(found))
        return [LabelOffer(str(path), f"{path.name}: a layer a class, {names}", each[0][1])]
    offers = []
    for facts, fields in each:
        name = f"{path}:{facts.name}" if several else str(path)
        of = f" {facts.name}," if several else ""
        said = f"{path.name}:{of} {counted(facts.features, 'feature')} ({facts.kind})"
        offers.append(LabelOffer(name, said, fields))
    return sorted(offers, key=lambda offer: BY_LAYER in offer.fields)


def _fields(facts: LayerFacts) -> dict[str, str]:
    """Fields that may name the class, the likeliest first, with some of their values."""
    usable = [name for name, kind in facts.fields.items() if kind in TYPES]
    found = {
        name: (facts.fields[name] != "OFTString", len(values), listed(values, len(values)))
        for name, values in different_values(facts, usable).items()
    }
    if not found:
        return {BY_LAYER: "the name of each layer is its class"}
    likely = None
    with contextlib.suppress(HsiSslError):  # several may
        likely = class_field(facts, None)
    names = sorted(found, key=lambda name: (name != likely, found[name][:2]))
    return {name: found[name][2] for name in names}
