"""EnMAP, levels 1B, 1C and 2A: a folder with `*-METADATA.XML`, `*-SPECTRAL_IMAGE.TIF` and layers.

By metadata of products of DLR's ground segment (schemas 00.02.00 and later), read beside the public
readers SNAP (optical toolbox), EnPT and EnMAP-Box. `level_X/specific/bandCharacterisation/bandID`
tells `wavelengthCenterOfBand`, `FWHMOfBand`, `GainOfBand` and `OffsetOfBand` of each band: radiance
in W/(m2 sr nm) or reflectance = DN gain + offset. Levels 1C and 2A have one image, bands sorted by
wavelength, on a map grid; `expectedChannelsList` of `vnirProductQuality` and `swirProductQuality`
number the bands of each detector, from 1. Level 1B has an image of each detector, VNIR's bands
first in the metadata. Images come as GeoTIFF (also cloud-optimised, `_COG`), BSQ, BIL, BIP, JP2.

What its quality layers say is in `enmap_quality.py`.

Where sources disagree
----------------------
EnMAP-Box takes a number of `expectedChannelsList` for a band's place from 0 where it asks at which
wavelength the overlap ends, and from 1 elsewhere; numbers begin with 1.
`backgroundValue` says 0 in metadata of level 2A too, whose images hold -32768 there (so SNAP).
Images of level 1B carry a north-up transform in degrees: a fit to the corners of a scene that is
turned, with pixels from south to north, which EnMAP-Box mends and others ignore. Here RPC count,
at the scene's mean height. By the same RPC both detectors lie some 20 rows apart in level 1B, so
that one is read at a time: stacked, bands of a pixel would be of two places.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt
from rasterio.rpc import RPC

from hsi_ssl.cells import whole_number
from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.detectors import without_overlap
from hsi_ssl.scenes.products.enmap_quality import with_quality
from hsi_ssl.scenes.products.members import (
    DETECTORS,
    METADATA,
    Delivery,
    Named,
    delivery_at,
    files_of,
    open_member,
)  # fmt: skip
from hsi_ssl.scenes.products.rational import coefficients, offset, placed_at
from hsi_ssl.scenes.products.told import Tags, in_order, with_told
from hsi_ssl.scenes.products.xml_metadata import number_at, read_xml, text_at
from hsi_ssl.scenes.readers.cf_grid import wgs84
from hsi_ssl.scenes.scene import Bools, Grid, Scene
from hsi_ssl.scenes.stacked import StackedReader
from hsi_ssl.scenes.units import Kind

KINDS: dict[str, Kind] = {"L1B": "radiance", "L1C": "radiance", "L2A": "reflectance"}
TAGS = Tags("wavelengthCenterOfBand", "FWHMOfBand", "GainOfBand", "OffsetOfBand")
NODATA = -32768
"""Background of level 2A, where its image does not say so."""
EMPTY_MEAN = -1_000_000.0
"""`mean` in `bandStatistics` of a band that holds nothing."""


def _tells(root: Element) -> bool:
    return root.tag == "level_X" and (text_at(root, "specific/mission") or "").upper() == "ENMAP"


NAMED = Named(
    "EnMAP",
    re.compile(
        r"ENMAP\d\d-_*L(?:1B|1C|2A)-DT\d+_\d{8}T\d{6}Z_\d+_V\d+_\d{8}T\d{6}Z", re.IGNORECASE
    ),
    _tells,
)


class _Bands(NamedTuple):
    """What metadata tell of the bands of an image: elements, and each one's detector or -1."""

    told: list[Element]
    owner: npt.NDArray[np.int64]


def main(candidate: Candidate) -> Path | None:
    """The spectral image; of level 1B that which is named, else VNIR's."""
    delivery = delivery_at(candidate, NAMED)
    if delivery is None:
        return None
    images = list(delivery.images.values())
    return candidate.path if candidate.path in images else images[0]


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open an image with all that its metadata and layers say.

    Raises
    ------
    SceneError
        Metadata are broken, another acquisition's or of another number of bands; a layer has not
        the image's pixels; a detector is asked for that has no image of its own.
    """
    delivery = delivery_at(Candidate(path), NAMED)
    if delivery is None:
        raise SceneError(f"{path} is no EnMAP product any more; unpack it again")
    metadata = delivery.files[METADATA]
    root = read_xml(metadata)
    _refuse_other(root, delivery)
    detector = _detector(path, delivery, wanted.variable)
    image = delivery.images[detector]
    scene = open_member(image)
    try:
        bands = _bands(root, detector)
        scene = _with_facts(scene, root, bands, wanted, metadata)
        scene = _placed(scene, root, bands) if detector else scene
        return _in_order(with_quality(scene, delivery.files, detector, wanted.quality))
    except BaseException:
        scene.close()
        raise


def _refuse_other(root: Element, delivery: Delivery) -> None:
    """Refuse metadata that call themselves another acquisition's than their members."""
    own = (text_at(root, "metadata/name") or "").rpartition(f"-{METADATA}")[0]
    of = delivery.of[:-1]
    if NAMED.beginning.fullmatch(of) and own and own.upper() != of.upper():
        raise SceneError(
            f"{delivery.files[METADATA]} says that it is of {own}; expected the metadata of {of}: "
            "put members of one acquisition together"
        )


def _detector(path: Path, delivery: Delivery, variable: str | None) -> str:
    """Which detector's image is read; "" for one of both."""
    images = delivery.images
    if variable is None:
        return next((name for name, image in images.items() if image == path), next(iter(images)))
    name = variable.strip("/").split("/")[-1]
    if name not in images:
        raise SceneError(
            f"{path} has no image of {name} alone, but {', '.join(i.name for i in images.values())}"
            "; leave --variable out: --overlap tells whose bands count where both detectors see"
        )
    return name


def _bands(root: Element, detector: str) -> _Bands:
    """The bands of an image, in its order."""
    told = root.findall("specific/bandCharacterisation/bandID")
    told = in_order(told, [one.get("number", "") for one in told])
    owner = np.full(len(told), -1)
    if detector:
        owner = (np.arange(len(told)) >= _firsts(root)[1]).astype(np.int64)
        which = owner == DETECTORS.index(detector)
        told, owner = [one for one, w in zip(told, which, strict=True) if w], owner[which]
    else:
        listed = [_listed(root, name) for name in DETECTORS]
        # EnPT leaves bands out and keeps the lists: those tell nothing then.
        if np.array_equal(np.sort(np.concatenate(listed)), np.arange(1, len(told) + 1)):
            for i, numbers in enumerate(listed):
                owner[numbers - 1] = i
    return _Bands(told, owner)


def _listed(root: Element, detector: str) -> npt.NDArray[np.int64]:
    """Numbers of a detector's bands among all, from 1."""
    place = f"specific/{detector.lower()}ProductQuality/expectedChannelsList"
    each = map(whole_number, (text_at(root, place) or "").split(","))
    return np.array([number for number in each if number is not None], np.int64)


def _with_facts(
    scene: Scene, root: Element, bands: _Bands, wanted: Wanted, metadata: Path
) -> Scene:
    """The scene with what metadata say of bands, numbers and time."""
    level = (text_at(root, "base/level") or text_at(root, "specific/code") or "").upper()
    scene = with_told(
        scene, bands.told, TAGS, metadata=metadata, kind=KINDS.get(level),
        nodata=NODATA if level == "L2A" else None,
        time=text_at(root, "base/temporalCoverage/startTime"),
    )  # fmt: skip
    assert scene.wavelengths_nm is not None
    empty = _empty(root, bands)
    good, notes = without_overlap(
        scene.wavelengths_nm, scene.good & ~empty, bands.owner, DETECTORS, wanted.overlap,
        name=scene.path.name,
    )  # fmt: skip
    if wanted.overlap != "both" and (bands.owner < 0).all():
        raise SceneError(
            f"{metadata} does not say which bands are VNIR's and which SWIR's "
            "(expectedChannelsList); leave --overlap out"
        )
    origin = Origin("bandStatistics in METADATA.XML") if empty.any() else None
    return replace(
        scene,
        format=f"EnMAP {level}",
        good=good,
        notes=(*scene.notes, *notes),
        origins=replace(scene.origins, bad_bands=origin),
    )


def _empty(root: Element, bands: _Bands) -> Bools:
    """Bands that hold nothing, by the statistics of the product."""
    means = {
        one.get("number"): (number_at(one, "mean"), number_at(one, "stdDeviation"))
        for one in root.findall("product/bandStatistics/bandID")
    }
    nothing = (EMPTY_MEAN, 0.0)
    return np.array([means.get(one.get("number")) == nothing for one in bands.told], bool)


def _in_order(scene: Scene) -> Scene:
    """The scene with bands sorted by wavelength, as products of levels 1C and 2A have them."""
    nm = scene.wavelengths_nm
    assert nm is not None
    order = np.argsort(nm, kind="stable")
    if (order == np.arange(len(order))).all():
        return scene
    return replace(
        scene,
        reader=StackedReader([scene.reader], [scene.bands], order),
        wavelengths_nm=nm[order],
        fwhm_nm=None if scene.fwhm_nm is None else scene.fwhm_nm[order],
        good=scene.good[order],
        units=None if scene.units is None else scene.units.of_bands(order),
    )


def _placed(scene: Scene, root: Element, bands: _Bands) -> Scene:
    """A scene of level 1B, in sensor geometry: placed by its RPC, with the other detector said."""
    rpc = {name: _rpc(root, one) for name, one in zip(DETECTORS, _firsts(root), strict=True)}
    own = rpc[DETECTORS[int(bands.owner[0])]]
    height = number_at(root, "specific/meanGroundElevation") or 0.0
    located = None if own is None else placed_at(own, scene.rows, scene.cols, height)
    vnir, swir = (rpc[name] for name in DETECTORS)
    apart = "at places that are not told"
    if vnir is not None and swir is not None:
        down, along = offset(vnir, swir, (scene.rows // 2, scene.cols // 2), height)
        apart = f"{abs(down):.1f} rows and {abs(along):.1f} columns apart"
    notes = [
        f"{scene.path.name}: level 1B has an image of each detector, which see a place {apart}: "
        "one of them is read (--variable VNIR or SWIR); level 1C has both on one grid"
    ]
    origins = scene.origins
    grid = Grid()
    if located is None:
        notes.append(f"{scene.path.name}: in sensor geometry; its metadata tell no place of pixels")
        origins = replace(origins, crs=None, transform=None)
    else:
        notes.append(
            f"{scene.path.name}: in sensor geometry: placed by its RPC as if all ground lay at "
            f"{height:.0f} m, its mean height"
        )
        grid = Grid(wgs84(), geolocation=located)
        origin = Origin("RPC in its METADATA.XML")
        origins = replace(origins, crs=origin, transform=origin)
    return replace(scene, grid=grid, notes=(*scene.notes, *notes), origins=origins)


def _firsts(root: Element) -> tuple[int, int]:
    """Numbers of the first bands of both detectors of level 1B, from 0."""
    channels = number_at(root, "product/image/vnir/channels")
    return 0, int(channels or number_at(root, "specific/numberOfVNIRBands") or 0)


def _rpc(root: Element, band: int) -> RPC | None:
    every = root.findall("product/navigation/RPC/bandID")
    if band >= len(every):
        return None
    return coefficients({one.tag: number_at(every[band], one.tag) for one in every[band]})


PRODUCT = Product(
    "EnMAP", main, open_cube, DETECTORS, detectors=True, members=partial(files_of, named=NAMED)
)
