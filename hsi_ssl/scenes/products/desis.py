"""DESIS, levels 1B, 1C and 2A: a folder with `*-METADATA.xml`, `*-SPECTRAL_IMAGE.tif` and layers.

By DLR's DESIS Product Specification (PAV-DLR-ICD-003) as the public readers EnMAP-Box, ACOLITE,
fluomapper and SatelliteDataSources.jl know it. `specific/bandCharacterisation/band` tells
`bandNumber`, `wavelengthCenterOfBand`, `wavelengthWidthOfBand`, `gainOfBand` and `offsetOfBand` of
each of 235 bands, or fewer where some were summed: radiance in mW/(cm2 sr um) or reflectance =
DN gain + offset. -32768 is background. Levels 1C and 2A lie on a map grid; level 1B is in sensor
geometry, and neither image nor metadata tell a place of its pixels.

Level 2A brings `QL_QUALITY-2`, a band each for shadow, land, snow, haze over land, haze over water,
cloud over land, cloud over water and water (then aerosol and water vapour); strict leaves out
clouds, haze and shadow. `QL_QUALITY`, a plane for each band, is not used: no public source says
what its values mean.

Where sources disagree
----------------------
EnMAP-Box takes wavelengths and gains from the ENVI header beside the image, others from the
metadata; the header is not always kept, so the metadata count. `band` occurs in
`interiorOrientation` of the metadata, too, where it tells no wavelength: who searches the whole
text finds twice as many. A header or GeoTIFF of level 1B may carry a transform: a north-up grid
that the image does not lie on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.layers import (
    CLOUD,
    CLOUD_SHADOW,
    DOUBTFUL,
    HAZE,
    SNOW,
    WATER,
    Layer,
    any_of,
    doubtful,
)  # fmt: skip
from hsi_ssl.scenes.product import Candidate, Product, Quality, Wanted
from hsi_ssl.scenes.products.members import (
    METADATA,
    Delivery,
    Named,
    delivery_at,
    files_of,
    layer,
    open_member,
)
from hsi_ssl.scenes.products.told import Tags, in_order, with_told
from hsi_ssl.scenes.products.xml_metadata import read_xml, text_at
from hsi_ssl.scenes.scene import Bools, Grid, Scene
from hsi_ssl.scenes.units import Kind

KINDS: dict[str, Kind] = {"L1B": "radiance", "L1C": "radiance", "L2A": "reflectance"}
TAGS = Tags("wavelengthCenterOfBand", "wavelengthWidthOfBand", "gainOfBand", "offsetOfBand")
NODATA = -32768
QUALITY = "QL_QUALITY-2"
LAYERS = {CLOUD: (5, 6), CLOUD_SHADOW: (0,), HAZE: (3, 4), SNOW: (2,), WATER: (7,)}
"""Layer -> the bands of `QL_QUALITY-2` that tell it, from 0."""
FLAGS = 8
"""Bands of `QL_QUALITY-2` that are flags."""


def _tells(root: Element) -> bool:
    return any((one.text or "").strip().upper() == "DESIS" for one in root.iter("mission"))


NAMED = Named(
    "DESIS",
    re.compile(r"DESIS-HSI-(?P<level>L1B|L1C|L2A)-DT\d+_\d+-\d{8}T\d{6}-V\d+", re.IGNORECASE),
    _tells,
)


def main(candidate: Candidate) -> Path | None:
    """The spectral image."""
    delivery = delivery_at(candidate, NAMED)
    return None if delivery is None else next(iter(delivery.images.values()))


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open an image with all that its metadata and layers say.

    Raises
    ------
    SceneError
        Metadata are broken or of another number of bands; a layer has not the image's pixels.
    """
    delivery = delivery_at(Candidate(path), NAMED)
    if delivery is None:
        raise SceneError(f"{path} is no DESIS product any more; unpack it again")
    metadata = delivery.files[METADATA]
    root = read_xml(metadata)
    level = _level(root, delivery)
    bands = root.findall("specific/bandCharacterisation/band")
    time = next((one.text for one in root.iter("startTime")), None)
    scene = open_member(path)
    try:
        scene = with_told(
            scene, in_order(bands, [one.findtext("bandNumber") or "" for one in bands]), TAGS,
            metadata=metadata, kind=KINDS.get(level), nodata=NODATA, time=time,
        )  # fmt: skip
        scene = replace(scene, format=f"DESIS {level}".strip())
        if level == "L1B":
            scene = _in_sensor_geometry(scene)
        return _with_quality(scene, delivery, wanted.quality)
    except BaseException:
        scene.close()
        raise


def _level(root: Element, delivery: Delivery) -> str:
    """`L2A`, say: by the delivered name, else by the metadata."""
    named = NAMED.beginning.fullmatch(delivery.of[:-1])
    if named is not None:
        return named["level"].upper()
    told = " ".join(
        filter(None, (text_at(root, place) for place in ("base/level", "base/format", "base/name")))
    )
    found = re.search(r"L?(1B|1C|2A)", told, re.IGNORECASE)
    return "" if found is None else f"L{found[1].upper()}"


def _in_sensor_geometry(scene: Scene) -> Scene:
    """Without a transform, which would be none of level 1B's; control points stay."""
    note = (
        f"{scene.path.name}: level 1B is in sensor geometry, and no place of its pixels is told; "
        "level 1C has one"
    )
    grid = Grid(
        scene.grid.crs if scene.grid.control_points else None,
        control_points=scene.grid.control_points,
        rpcs=scene.grid.rpcs,
    )
    origins = replace(scene.origins, crs=None, transform=None)
    return replace(scene, grid=grid, notes=(*scene.notes, note), origins=origins)


def _with_quality(scene: Scene, delivery: Delivery, quality: Quality) -> Scene:
    """The scene with the layers of its product, and where it is strict without what they doubt."""
    layers: dict[str, Layer] = {}
    if QUALITY in delivery.files:
        path, size = delivery.files[QUALITY], (scene.rows, scene.cols)
        with open_member(path) as planes:
            if planes.bands < FLAGS:
                raise SceneError(
                    f"{path} has {planes.bands} bands; expected {FLAGS} flags and more: get the "
                    "product again"
                )
        layers = {
            name: layer(path, size, partial(_flagged, bands), QUALITY)
            for name, bands in LAYERS.items()
        }
    if quality == "lenient":
        return replace(scene, layers=layers)
    hiding = doubtful(layers)
    lacking = ", ".join(name for name in DOUBTFUL if name not in hiding)
    note = f"{scene.path.name}: no layer tells {lacking}: --quality strict leaves it in"
    scene = replace(scene, layers=layers, notes=(*scene.notes, note))
    names = (f"{', '.join(hiding)} of {QUALITY} (--quality strict)",) if hiding else ()
    return without(scene, any_of(hiding.values()), names)


def _flagged(bands: tuple[int, ...], scene: Scene) -> Bools:
    found: Bools = np.asarray((scene.read()[..., bands] > 0).any(axis=-1))
    return found


PRODUCT = Product("DESIS", main, open_cube, members=partial(files_of, named=NAMED))
