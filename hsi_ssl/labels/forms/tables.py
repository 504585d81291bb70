"""Points in a table: longitude and latitude, map coordinates, rows and columns, or WKT.

Which they are is told by the columns' names; of plain x and y the scene decides. Commas, semicolons
or tabs stand between values; decimal commas are read where they do not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hsi_ssl.cells import rows_of
from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.drawn import Drawn, drawn, layer_named
from hsi_ssl.labels.layers import Features, LayerFacts, Place, listed
from hsi_ssl.scenes.encoding import decoded

Floats = npt.NDArray[np.float64]

SUFFIXES = {".csv", ".tsv", ".txt"}
HEAD = 4096
DEGREES = "EPSG:4326"
LON = {"longitude", "lon", "long", "lng", "laenge", "länge", "x_wgs84", "lon_wgs84"}
LAT = {"latitude", "lat", "breite", "y_wgs84", "lat_wgs84"}
EAST = {"easting", "east", "x_coord", "xcoord", "x_utm", "utm_x", "utm_e", "rechtswert", "point_x"}
NORTH = {"northing", "north", "y_coord", "ycoord", "y_utm", "utm_y", "utm_n", "hochwert", "point_y"}
COL = {"col", "column", "cols", "sample", "pixel_x", "px", "j"}
ROW = {"row", "rows", "line", "pixel_y", "py", "i"}
PLAIN_X, PLAIN_Y = {"x"}, {"y"}
WKT = {"wkt", "wkt_geom", "geometry", "geom", "the_geom"}
CRS_COLUMNS = {"crs", "srid", "epsg", "srs"}


@dataclass(frozen=True)
class _Kind:
    """Pairs of names that mean one kind of coordinates."""

    x: set[str]
    y: set[str]
    place: Place
    crs: str | None
    words: str


KINDS = (
    _Kind(LON, LAT, "map", DEGREES, "longitude and latitude (WGS 84)"),
    _Kind(EAST, NORTH, "map", None, "map coordinates"),
    _Kind(COL, ROW, "pixel", None, "columns and rows"),
    _Kind(PLAIN_X, PLAIN_Y, "either", None, "x and y"),
)


def takes(file: Path) -> bool:
    """Whether it is text whose first line names coordinates."""
    if file.suffix.lower() not in SUFFIXES or not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            head = _decoded(opened.read(HEAD))
    except OSError:
        return False
    try:
        columns = _columns(head)
    except ValueError:
        return False
    return bool(_candidates(columns)) or any(_plain(c) in WKT for c in columns)


def layers(file: Path, path: Path) -> list[LayerFacts]:
    """The points as one layer; columns of coordinates are no fields.

    Raises
    ------
    VectorError
        Two pairs of columns may be the coordinates; a line cannot be read.
    """
    # Map coordinates of a table are the scene's own; `assumed` says so.
    return [
        LayerFacts(**{**vars(d.facts(path)), "assumed": d.place == "map" and d.crs is None})
        for d in drawn(_read, file)
    ]


def features(file: Path, facts: LayerFacts, column: str | None) -> Features:
    """All points, with the values of one column."""
    return layer_named(drawn(_read, file), facts).features(column)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4 and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8-sig")
        return decoded(data)


def _delimiter(head: str) -> str:
    line = next(iter(head.splitlines()), "")
    return max((",", ";", "\t", "|"), key=line.count)


def _columns(head: str) -> list[str]:
    return next(iter(rows_of(head.splitlines()[:1], _delimiter(head))), [])


def _plain(column: str) -> str:
    """A column's name without units and blanks: `Longitude (deg)` is longitude."""
    return re.sub(r"[\s_-]+", "_", re.sub(r"[(\[].*", "", column).strip().lower()).strip("_")


def _candidates(columns: Sequence[str]) -> list[tuple[_Kind, str, str]]:
    """Kinds of coordinates that the columns name, with the two columns of each."""
    found = []
    for kind in KINDS:
        xs = [c for c in columns if _plain(c) in kind.x]
        ys = [c for c in columns if _plain(c) in kind.y]
        if len(xs) == 1 and len(ys) == 1:
            found.append((kind, xs[0], ys[0]))
    return found


def _read(file: Path) -> list[Drawn]:
    try:
        text = _decoded(file.read_bytes())
    except OSError as error:
        raise VectorError(f"{file} cannot be read: {error.strerror}") from error
    lines = text.splitlines()
    delimiter = _delimiter(text[:HEAD])
    try:
        rows = [row for row in rows_of(lines, delimiter) if any(c.strip() for c in row)]
    except ValueError as error:
        raise VectorError(f"{file} is no table: {error}; save it again") from error
    columns, rows = [c.strip() for c in rows[0]], rows[1:]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            raise VectorError(
                f"{file}, line {number}: {len(row)} values, expected {len(columns)} as in its "
                "first line; correct the line"
            )
    table = {c: np.array([row[i].strip() for row in rows], object) for i, c in enumerate(columns)}
    wkt = next((c for c in columns if _plain(c) in WKT), None)
    crs = _crs(table, file)
    if wkt is not None:
        geometries, used = _from_wkt(table[wkt], file), {wkt}
        kind, note = KINDS[1], f"{file.name}: the column {wkt} holds geometries"
    else:
        candidates = _candidates(columns)
        if len({(x, y) for _, x, y in candidates}) > 1:
            pairs = " and ".join(f"{x}, {y}" for _, x, y in candidates)
            # Degrees tell a place by themselves; others need the scene's CRS.
            if candidates[0][0].crs is None:
                raise VectorError(
                    f"{file} has several pairs of coordinates ({pairs}); leave the columns of one "
                    "pair"
                )
        kind, x, y = candidates[0]
        geometries, used = _points(table[x], table[y], kind, file), {x, y}
        used |= {c for _, *pair in candidates for c in pair}
        note = f"{file.name}: columns {x} and {y} are taken as {kind.words}"
        if kind.place == "pixel":
            note += ", counted from 0"
    fields = {
        c: np.array([value or None for value in values], object)
        for c, values in table.items()
        if c not in used and c and _plain(c) not in CRS_COLUMNS
    }
    return [
        Drawn(
            file.stem,
            geometries,
            fields,
            crs=crs or kind.crs,
            place=kind.place,
            notes=(note,),
        )
    ]


def _crs(table: dict[str, npt.NDArray[Any]], file: Path) -> str | None:
    """The CRS that a column names, the same in all lines."""
    column = next((c for c in table if _plain(c) in CRS_COLUMNS), None)
    if column is None:
        return None
    values = sorted({v for v in table[column] if v})
    if len(values) > 1:
        raise VectorError(
            f"{file}: column {column} names several CRS ({listed(values, len(values))}); save the "
            "points of each in a file of its own"
        )
    if not values:
        return None
    return f"EPSG:{values[0]}" if values[0].isdecimal() else str(values[0])


def _from_wkt(texts: npt.NDArray[Any], file: Path) -> npt.NDArray[Any]:
    found = np.full(len(texts), None, object)
    there = texts != ""
    try:
        found[there] = shapely.force_2d(shapely.from_wkt(texts[there]))
    except shapely.GEOSException as error:
        raise VectorError(f"{file} holds WKT that is broken ({error}); export it again") from error
    return found


def _points(
    xs: npt.NDArray[Any], ys: npt.NDArray[Any], kind: _Kind, file: Path
) -> npt.NDArray[Any]:
    x, y = _numbers(xs, file), _numbers(ys, file)
    there = np.isfinite(x) & np.isfinite(y)
    if kind.crs == DEGREES and ((np.abs(x[there]) > 180) | (np.abs(y[there]) > 90)).any():  # noqa: PLR2004
        at = np.flatnonzero(there & ((np.abs(x) > 180) | (np.abs(y) > 90)))[0]  # noqa: PLR2004
        raise VectorError(
            f"{file}, line {at + 2}: longitude {x[at]:g} and latitude {y[at]:g}; expected degrees, "
            "-180 to 180 and -90 to 90: call map coordinates easting and northing"
        )
    whole = (x[there] == np.floor(x[there])).all() and (y[there] == np.floor(y[there])).all()
    if kind.place == "pixel" and whole:  # the pixel itself: its middle
        x, y = x + 0.5, y + 0.5
    found = np.full(len(x), None, object)
    found[there] = shapely.points(x[there], y[there])
    return found


def _numbers(texts: npt.NDArray[Any], file: Path) -> Floats:
    """Numbers, with decimal commas too; NaN where nothing stands."""
    found = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        if not text:
            continue
        try:
            found[i] = float(text.replace(",", ".") if "," in text else text)
        except ValueError:
            raise VectorError(
                f"{file}, line {i + 2}: {text!r} is no coordinate; expected a number"
            ) from None
    return found
