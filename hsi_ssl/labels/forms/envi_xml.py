"""Regions of interest as ENVI 5 saves them: polygons, lines and points as XML.

The layout, from files and programs that read them (no schema is published)::

    <RegionsOfInterest version="1.1">
      <Region name="grass" color="0,255,0">
        <GeometryDef>
          <CoordSysStr>PROJCS[...], GEOGCS[...] or none</CoordSysStr>
          <Polygon>
            <Exterior><LinearRing><Coordinates>x y x y ...</Coordinates></LinearRing></Exterior>
            <Interior><LinearRing><Coordinates>...</Coordinates></LinearRing></Interior>
          </Polygon>
          <LineString><Coordinates>...</Coordinates></LineString>
          <Point><Coordinates>x y x y ...</Coordinates></Point>

A region may have several `GeometryDef`, each of its own CRS, and `Point` several points. Sources:
"XML, KML and ENVI 5.1" (digital-geography.com), ROI_Parse of NV5's GeoJSON tasks for ENVI, and
swectral (`envi_roi_coords`). CRSs are ESRI's WKT.

`none` stands for coordinates in pixels, those of a picture without a map. Where they begin is
nowhere said of this file, but of ENVI's file coordinates, which they are: "the first file
coordinate is 0", and file and map coordinates are equal where there is no projection (ENVI Help,
ENVI_CONVERT_FILE_COORDINATES); ENVI Help tells corners, edges and centres of pixels apart ("ROI
Pixel Inclusion Background"); and polygons about whole pixels in `.roi` files of ENVI Classic (of
the IEEE GRSS Data Fusion Contest 2013) lie on whole numbers from 0, where the table beside them
counts pixels from 1. So (0, 0) is the outer corner of the first pixel and y goes down. Programs of
others differ by half a pixel (some write whole numbers for centres): it is said.

Regions may also be lists of pixels or thresholds. Their elements are not documented: they are
refused by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import shapely
from rasterio import Env
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.documents import hex_colour, xml_of
from hsi_ssl.labels.forms.drawn import CLASS, Drawn
from hsi_ssl.labels.forms.shapes import Floats, areas, line
from hsi_ssl.labels.layers import listed

ROOT = "RegionsOfInterest"
NO_CRS = {"", "none"}
FARTHEST = 1e12
"""No coordinate of a map or of pixels is beyond."""
SHOWN = 60
"""Letters of WKT that are shown."""


class _Shape(NamedTuple):
    """An element with coordinates, and the name of its region."""

    region: str | None
    kind: str
    rings: list[Floats]


def read(file: Path) -> Drawn:
    """The regions of a file as one layer, the field `class` their names.

    Raises
    ------
    VectorError
        It is broken, holds nothing that is drawn, or coordinates of several kinds.
    """
    regions = xml_of(file).findall("Region")
    if not regions:
        raise VectorError(f"{file} has no region; draw one, and save the file again")
    shapes: list[_Shape] = []
    systems: dict[str, None] = {}
    colours: dict[str, str] = {}
    for region in regions:
        name = region.get("name")
        if colour := hex_colour((region.get("color") or "").split(",")):
            colours.setdefault(name or "", colour)
        for part in region:
            if part.tag != "GeometryDef":
                raise VectorError(
                    f"{file}: region {name} holds <{part.tag}>, which is not read: expected "
                    "polygons, lines or points; in ENVI convert the region to geometry, or save "
                    "it in ENVI Classic with File, Output ROIs to ASCII"
                )
            some = _shapes(file, name, part)
            if some:
                systems[" ".join((part.findtext("CoordSysStr") or "").split())] = None
            shapes += some
    if not shapes:
        raise VectorError(f"{file}: none of {len(regions)} region(s) has any geometry; draw some")
    crs, place, notes = _system(file, list(systems))
    geometries, owner = _geometries(shapes)
    names = np.array([shape.region for shape in shapes], object)[owner]
    return Drawn(
        name=file.stem,
        geometries=geometries,
        fields={CLASS: names},
        crs=crs,
        place="map" if place else "pixel",
        colours=colours,
        notes=notes,
    )


def _shapes(file: Path, name: str | None, part: ElementTree.Element) -> list[_Shape]:
    """The shapes of a definition of geometry."""
    found = []
    for element in part:
        if element.tag == "CoordSysStr":
            continue
        kind = element.tag.removeprefix("Multi")
        if kind not in {"Polygon", "LineString", "Point"}:
            raise VectorError(
                f"{file}: region {name} holds <{element.tag}>, which is not read: expected "
                "<Polygon>, <LineString> or <Point>"
            )
        # <MultiPolygon><Polygon>... and <Polygon>...
        members = [e for e in element.iter(kind) if e is not element] or [element]
        for member in members:
            texts = [
                *member.findall("Exterior//Coordinates"),
                *member.findall("Interior//Coordinates"),
            ]
            if kind != "Polygon":
                texts = list(member.iter("Coordinates"))
            rings = [_coordinates(file, name, e.text or "") for e in texts]
            found.append(_Shape(name, kind, rings))
    return found


def _coordinates(file: Path, name: str | None, text: str) -> Floats:
    """Points `(n, 2)` of numbers between blanks; also between commas, as some programs write."""
    try:
        numbers = np.array(text.replace(",", " ").split(), np.float64)
    except ValueError as error:
        raise VectorError(
            f"{file}: region {name} has coordinates that are no numbers ({error}); save it again"
        ) from error
    if not (np.abs(numbers) < FARTHEST).all():
        raise VectorError(f"{file}: region {name} has coordinates that lie nowhere; save it again")
    if len(numbers) % 2:
        raise VectorError(
            f"{file}: region {name} has {len(numbers)} numbers for coordinates: expected pairs, x "
            "and y; save it again"
        )
    return numbers.reshape(-1, 2)


def _geometries(shapes: list[_Shape]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int64]]:
    """Geometries in the file's order, each point one of its own, and the shape of each."""
    polygons = [(i, ring) for i, s in enumerate(shapes) if s.kind == "Polygon" for ring in s.rings]
    filled = areas([ring for _, ring in polygons], [i for i, _ in polygons], len(shapes))
    found: list[object] = []
    owner: list[int] = []
    for i, shape in enumerate(shapes):
        if shape.kind == "Polygon":
            parts = [filled[i]]
        elif shape.kind == "LineString":
            parts = [line(xy) for xy in shape.rings]
        else:
            parts = [point for xy in shape.rings for point in shapely.points(xy)]
        found += parts
        owner += [i] * len(parts)
    geometries = np.empty(len(found), object)
    geometries[:] = found
    return geometries, np.array(owner, np.int64)


def _system(file: Path, systems: list[str]) -> tuple[str | None, bool, tuple[str, ...]]:
    """The CRS, if any, whether coordinates are those of a map, and what was guessed."""
    found: list[str | None] = []
    plain = [system for system in systems if system.lower() in NO_CRS]
    for system in systems:
        if system.lower() not in NO_CRS and (crs := _crs(file, system)) not in found:
            found.append(crs)
    if not found:
        note = (
            f"{file.name} has no CRS: its coordinates are taken for columns and rows, counted from "
            "0 at the outer corner of the first pixel, as in ENVI"
        )
        return None, False, (note,)
    if plain or len(found) > 1:
        kinds = [*((crs or "no place")[:SHOWN] for crs in found), *(["pixels"] if plain else [])]
        raise VectorError(
            f"{file} has coordinates of {len(kinds)} kinds ({listed(kinds, len(kinds))}); save the "
            "regions of each image in a file of their own"
        )
    return found[0], True, ()


def _crs(file: Path, wkt: str) -> str | None:
    """A CRS as EPSG's where it is exactly that, else as WKT; None for one that lies nowhere."""
    with Env():  # else GDAL prints what it thinks of it
        try:
            crs = CRS.from_wkt(wkt)
            code = crs.to_epsg()
            exact = code is not None and CRS.from_epsg(code) == crs
            text: str = crs.to_wkt()
        except CRSError as error:
            raise VectorError(
                f"{file} has a CRS that PROJ does not know ({wkt[:SHOWN]}...); save the "
                "regions over an image in a common one"
            ) from error
    if text.startswith(("LOCAL_CS", "ENGCRS", "ENGINEERINGCRS")):
        return None
    return f"EPSG:{code}" if exact else text
