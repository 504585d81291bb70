"""Products that are folders of members, named alike: `<acquisition>-METADATA.XML` and so on.

Such are EnMAP's and DESIS's. Members of one acquisition begin alike and may lie beside those of
another; folders are called as users like. Where users took the common beginning away, or gave
another, the metadata tell whose they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.layers import Layer
from hsi_ssl.scenes.product import Candidate
from hsi_ssl.scenes.products.xml_metadata import read_xml
from hsi_ssl.scenes.readers import envi, geotiff
from hsi_ssl.scenes.scene import Bools, Scene

METADATA, IMAGE = "METADATA", "SPECTRAL_IMAGE"
DETECTORS = ("VNIR", "SWIR")
RAW = {".bsq", ".bil", ".bip"}
IMAGES = (".tif", ".tiff", ".geotiff", ".bsq", ".bil", ".bip", ".jp2", ".jpeg2000")
"""Suffixes of members that are rasters, those first that count where there are several."""
SUFFIXES = {*IMAGES, ".xml", ".hdr", ".jpg", ".jpeg", ".png"}
"""Suffixes of members."""
NAME = re.compile(
    r"(?P<of>|.*[-_])"
    r"(?P<what>METADATA|HISTORY|LOG|THUMBNAIL|SPECTRAL_IMAGE(?:_VNIR|_SWIR)?|QL_[A-Z_]+?(?:-2)?)"
    r"(?:_COG)?(?P<suffix>\.[A-Z0-9]+)",
    re.IGNORECASE,
)


class Named(NamedTuple):
    """How members of a product are known: by how their names begin, or by their metadata.

    `beginning` matches all that stands before the hyphen in delivered names.
    """

    product: str
    beginning: re.Pattern[str]
    tells: Callable[[Element], bool]


class Delivery(NamedTuple):
    """The members of one acquisition: `files` by what they are, in capitals; `of` begins them."""

    folder: Path
    of: str
    files: dict[str, Path]

    @property
    def images(self) -> dict[str, Path]:
        """Its spectral images, one for all bands (key "") or one a detector."""
        keys = {f"{IMAGE}_{name}" if name else IMAGE: name for name in ("", *DETECTORS)}
        return {name: self.files[key] for key, name in keys.items() if key in self.files}


def delivery_at(candidate: Candidate, named: Named) -> Delivery | None:
    """The delivery that a folder holds or that a file belongs to; None where it is none.

    Also None for a folder that holds several whole ones: each of them counts by itself.

    Raises
    ------
    SceneError
        The metadata or the image of it are missing, or are another acquisition's.
    """
    own = None if candidate.is_folder else _parts(candidate.path)
    if own is None and not candidate.is_folder:
        return None
    every = _deliveries(candidate.folder)
    ours = {of: one for of, one in every.items() if _is(one, named)}
    if own is not None:
        found = ours.get(own[0].lower())
        if found is None:
            return None
    else:
        whole = [one for one in ours.values() if one.images and METADATA in one.files]
        some = whole or [one for one in ours.values() if one.images or METADATA in one.files]
        if len(whole) > 1 or not some:
            return None
        found = some[0]
    _refuse_mixed_up(found, ours, named)
    return found


def files_of(path: Path, named: Named) -> list[Path]:
    """All members of the delivery that an image is of."""
    found = delivery_at(Candidate(path), named)
    return [] if found is None else list(found.files.values())


def open_member(path: Path) -> Scene:
    """Open a member that is a raster; errors as of its format."""
    return envi.open_cube(path) if path.suffix.lower() in RAW else geotiff.open_cube(path)


def layer(path: Path, size: tuple[int, int], true: Callable[[Scene], Bools], said: str) -> Layer:
    """A quality layer: `true` makes its plane of the open member; `said` as `Layer.source`.

    Raises
    ------
    SceneError
        The member is broken, or has not `size` rows and columns.
    """
    with open_member(path) as scene:
        if (scene.rows, scene.cols) != size:
            raise SceneError(
                f"{path} has {scene.rows} x {scene.cols} pixels and the product's image has "
                f"{size[0]} x {size[1]}; expected one grid: get the product again"
            )

    def read() -> Bools:
        with open_member(path) as scene:
            return true(scene)

    return Layer(read, said)


def _parts(path: Path) -> tuple[str, str, str] | None:
    """What a member's name begins with, what it is, and its suffix; None for other files.

    A VRT, say, that somebody made of a member, stands for itself.
    """
    found = NAME.fullmatch(path.name)
    if found is None or found["suffix"].lower() not in SUFFIXES:
        return None
    return found["of"], found["what"].upper(), found["suffix"].lower()


def _deliveries(folder: Path) -> dict[str, Delivery]:
    """All that lie in a folder, by how their members begin, in small letters."""
    found: dict[str, Delivery] = {}
    for path in sorted(folder.iterdir()):
        parts = _parts(path)
        if parts is None or not path.is_file():
            continue
        of, what, suffix = parts
        files = found.setdefault(of.lower(), Delivery(folder, of, {})).files
        if suffix == ".xml" if what == METADATA else suffix in IMAGES:
            known = files.get(what)
            if known is None or _rank(path) < _rank(known):
                files[what] = path
    return found


def _rank(path: Path) -> tuple[bool, int]:
    """Plain files go before cloud-optimised copies, and suffixes by `IMAGES`."""
    suffix = path.suffix.lower()
    return path.stem.upper().endswith("_COG"), IMAGES.index(suffix) if suffix in IMAGES else 0


def _is(one: Delivery, named: Named) -> bool:
    """Whether it is one of the product."""
    if named.beginning.fullmatch(one.of[:-1]):
        return True
    return METADATA in one.files and _told(one.files[METADATA], named)


def _told(metadata: Path, named: Named) -> bool:
    """Whether metadata are the product's; broken ones are nobody's."""
    try:
        return named.tells(read_xml(metadata))
    except SceneError:
        return False


def _refuse_mixed_up(found: Delivery, ours: dict[str, Delivery], named: Named) -> None:
    """Refuse a delivery without metadata or image, or of whose members some are another's."""
    place, others = found.folder, [one for one in ours.values() if one is not found]
    for what, there in ((METADATA, METADATA in found.files), (IMAGE, bool(found.images))):
        if there:
            continue
        end = f"{found.of}{what}{'.XML' if what == METADATA else '.TIF'}"
        other = next((one for one in others if _lone(one, what)), None)
        if other is not None:
            raise SceneError(
                f"{place} holds members of two {named.product} acquisitions: {what} of "
                f"{other.of[:-1]} and others of {found.of[:-1]}; expected {end}: put those of one "
                "acquisition together"
            )
        called = f" {found.of[:-1]}" if found.of else ""
        raise SceneError(
            f"{place} holds part of the {named.product} product{called} without its {what}; "
            f"expected {end} beside: unpack the product again"
            + (", or rename the image to read it by itself" if what == METADATA else "")
        )
    for other in others:
        strange = [] if other.images else [key for key in other.files if key not in found.files]
        if strange:
            raise SceneError(
                f"{place} holds members of two {named.product} acquisitions: {strange[0]} of "
                f"{other.of[:-1]} and others of {found.of[:-1]}; put those of one acquisition "
                "together"
            )


def _lone(one: Delivery, what: str) -> bool:
    """Whether a delivery has this member, and not all that it would be whole with."""
    has = METADATA in one.files, bool(one.images)
    return not all(has) and has[0 if what == METADATA else 1]
