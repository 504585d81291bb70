"""Regions of interest as ENVI Classic writes them to text: a table of their pixels.

The layout (ROI Tool, File, Output ROIs to ASCII)::

    ; ENVI Output of ROIs (4.4) [Sun Feb 07 09:41:07 2010]
    ; Number of ROIs: 2
    ; File Dimension: 357 x 321
    ;
    ; ROI name: water
    ; ROI rgb value: {0, 0, 255}
    ; ROI npts: 3
    ;
    ; ROI name: forest
    ...
    ;   ID    X    Y       Map X       Map Y        Lat       Lon   B1   B2
        1   12   30   ...

Regions come one after the other, an empty line between them; which columns there are is the
writer's choice. The file of the IEEE GRSS Data Fusion Contest 2013, widely used, begins with a name
of its own and has each region's table after its header. The dimension is that of the picture,
columns x rows. X and Y count from 1: that file says so ("X=1, Y=1 -> Upper-Left Corner"), peppy
("ENVI roi coordinates start from 1, not zero"; peppy.hsi.envi.TextROI) and cgROI of the Coyote
library agree.

Which point of a pixel `Map X` and `Lat` name is nowhere said (in the contest's file it seems to be
the upper left corner), so that they could name the pixel beside it: they are not used, and a table
without X and Y is refused.

Pixels of a region that touch, also at corners, are one feature (a point in the middle of each):
they were drawn together, and are nearly copies of each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hsi_ssl.cells import whole_number
from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.documents import BYTE_ORDER_MARKS, contents, hex_colour
from hsi_ssl.labels.forms.drawn import CLASS, Drawn
from hsi_ssl.labels.layers import listed

Ints = npt.NDArray[np.int64]

REMARK = re.compile(r"^[ \t]*[;:](.*)$", re.MULTILINE)  # a colon: Coyote's cgROI, once
KNOWN = re.compile(
    r"\s*(?:(ROI name|ROI rgb value|ROI npts|File Dimensions?|Number of ROIs)\s*:)\s*(.*?)\s*",
    re.IGNORECASE,
)
MARK = re.compile(rb"^[ \t]*;[ \t]*(?:ENVI Output of ROIs|ROI name[ \t]*:)", re.MULTILINE)
SIZE = re.compile(r"(\d+)\s*x\s*(\d+)", re.IGNORECASE)
NUMBER = re.compile(r"[\d.]+")
TWO_WORDS = re.compile(r"\b(Map|Geo|File|Pixel)\s+(?=[XY]\b)", re.IGNORECASE)
BESIDE = ((0, 1), (1, -1), (1, 0), (1, 1))
"""Rows and columns to half of a pixel's neighbours; it is itself beside the others."""


@dataclass
class _Region:
    """A region as announced, and what its table holds: X and Y `(n, 2)`, from 1."""

    name: str
    colour: str | None = None
    points: int | None = None
    xy: Ints = field(default_factory=lambda: np.empty((0, 2), np.int64))


def is_table(start: bytes) -> bool:
    """Whether a file that begins so is such a table."""
    if start[:2] in BYTE_ORDER_MARKS:
        start = start.replace(b"\0", b"")[2:]
    start = start.removeprefix(b"\xef\xbb\xbf")
    return b"\0" not in start and start.lstrip().startswith(b";") and MARK.search(start) is not None


def read(file: Path) -> Drawn:
    """The regions of a table as one layer, the field `class` their names.

    Raises
    ------
    VectorError
        It has no X and Y, was cut short, or contradicts itself.
    """
    text, notes = _text(file)
    regions, shape = _regions(file, text)
    if not any(len(region.xy) for region in regions):
        raise VectorError(
            f"{file} has no pixel in {len(regions)} region(s); draw some, and write it again"
        )
    xy = np.concatenate([region.xy for region in regions])
    _refuse_outside(file, xy, shape)
    geometries, names = [], []
    for region in regions:
        patches = _patches(region.xy - 1)
        geometries.append(patches)
        names += [region.name or None] * len(patches)
    colours: dict[str, str] = {}
    for region in regions:
        if region.colour is not None:
            colours.setdefault(region.name, region.colour)
    return Drawn(
        name=file.stem,
        geometries=np.concatenate(geometries),
        fields={CLASS: np.array(names, object)},
        image_shape=shape,
        colours=colours,
        notes=notes,
    )


def _text(file: Path) -> tuple[str, tuple[str, ...]]:
    """What a file says, and what was guessed of its encoding."""
    raw = contents(file)
    mark = BYTE_ORDER_MARKS.get(raw[:2], "utf-8-sig")
    try:
        return raw.decode(mark).replace("\r\n", "\n").replace("\r", "\n"), ()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n"), (
        f"{file.name} is not in UTF-8: its names are taken for Windows-1252",
    )


def _regions(file: Path, text: str) -> tuple[list[_Region], tuple[int, int] | None]:
    """Regions with their pixels, and the picture's rows and columns."""
    regions: list[_Region] = []
    pending: list[_Region] = []
    tables: list[str] = []
    columns: list[str] | None = None
    announced: int | None = None
    shape: tuple[int, int] | None = None

    def settle() -> None:
        """Hand what was read to the regions that were announced before it."""
        if tables:
            _fill(file, pending, "\n".join(tables), columns)
            pending.clear()
            tables.clear()

    remarks = list(REMARK.finditer(text))
    ends = [*(remark.start() for remark in remarks[1:]), len(text)]
    for remark, end in zip(remarks, ends, strict=True):
        match = KNOWN.fullmatch(remark[1])
        key, value = (match[1].lower(), match[2]) if match else ("", remark[1])
        if key == "roi name":
            settle()
            regions.append(_Region(value))
            pending.append(regions[-1])
        elif key == "roi rgb value" and regions:
            regions[-1].colour = hex_colour(NUMBER.findall(value))
        elif key == "roi npts" and regions:
            regions[-1].points = whole_number(value)
        elif key.startswith("file dimension"):
            size = SIZE.search(value)
            rows, cols = (whole_number(size[i]) if size else None for i in (2, 1))
            shape = None if rows is None or cols is None else (rows, cols)
        elif key == "number of rois":
            announced = whole_number(value)
        elif not match and (names := _columns(value)) is not None:
            columns = names
        if (table := text[remark.end() : end]).strip():
            tables.append(table)
    settle()
    lacking = [region.name for region in pending if region.points]
    if lacking or (announced is not None and announced != len(regions)):
        found = len(regions) - len(lacking)
        raise VectorError(
            f"{file} announces {announced or len(regions)} region(s) and holds the pixels of "
            f"{found}; it was perhaps cut short: write it again"
        )
    return regions, shape


def _columns(remark: str) -> list[str] | None:
    """Names of columns in capitals, `Map X` as MAPX; None of a remark that names none."""
    words = TWO_WORDS.sub(r"\1", remark).replace(",", " ").upper().split()
    return words if words and {"ID", "X", "Y", "LAT", "B1", "MAPX"} & set(words) else None


def _fill(file: Path, pending: list[_Region], table: str, columns: list[str] | None) -> None:
    """Give the rows of a table to the regions that it is of, in their order."""
    if not pending:
        raise VectorError(f"{file} has a table before any '; ROI name:'; write it again")
    if columns is None or not {"X", "Y"} <= set(columns):
        there = f"has {listed(columns, len(columns))}" if columns else "names no columns"
        raise VectorError(
            f"{file}: expected the columns X and Y, its table {there}; in the ROI Tool of ENVI "
            "Classic choose File, Output ROIs to ASCII, and edit the output so that it holds "
            "pixel locations"
        )
    lines = [line for line in table.replace(",", " ").split("\n") if line.strip()]
    xy = _numbers(file, lines, columns.index("X"), columns.index("Y"))
    if len(pending) == 1 and pending[0].points is None:
        pending[0].points = len(xy)
    if any(region.points is None for region in pending):
        raise VectorError(
            f"{file} does not say how many pixels its regions have ('; ROI npts:'); write it again"
        )
    points = [region.points or 0 for region in pending]
    if sum(points) != len(xy):
        raise VectorError(
            f"{file} announces {sum(points)} pixels of "
            f"{listed([r.name for r in pending], len(pending))} and holds {len(xy)}; "
            "perhaps it was cut short: write it again"
        )
    for region, some in zip(pending, np.split(xy, np.cumsum(points)[:-1]), strict=True):
        region.xy = some


def _numbers(file: Path, lines: list[str], x: int, y: int) -> Ints:
    """X and Y `(n, 2)` of the lines of a table."""
    last = max(x, y) + 1
    rows = [line.split(None, last) for line in lines]
    short = next((i for i, row in enumerate(rows) if len(row) < last), None)
    if short is None and len(lines[-1].split()) < len(lines[0].split()):
        short = len(lines) - 1
    if short is not None:
        raise VectorError(
            f"{file}: a row of its table has fewer columns than others ({lines[short].strip()!r}); "
            "it was perhaps cut short: write it again"
        )
    try:
        found = np.array([(row[x], row[y]) for row in rows]).astype(np.float64)
    except ValueError as error:
        raise VectorError(f"{file}: X and Y are no numbers; write the file again") from error
    whole = np.isfinite(found) & (np.floor(found) == found) & (np.abs(found) < 2**31)
    if not whole.all():
        odd = found[~whole.all(axis=1)][0]
        raise VectorError(
            f"{file}: X {odd[0]:g}, Y {odd[1]:g}; expected whole numbers, columns and rows"
        )
    return found.astype(np.int64)


def _refuse_outside(file: Path, xy: Ints, shape: tuple[int, int] | None) -> None:
    """Raise `VectorError` where pixels are not those of a picture that is counted from 1."""
    if xy.min() < 1:
        raise VectorError(
            f"{file}: X and Y reach down to {xy.min()}; expected counts from 1, as ENVI's are"
        )
    if shape is not None and (xy > shape[::-1]).any():
        x, y = xy.max(axis=0)
        raise VectorError(
            f"{file}: X and Y reach {x} and {y} on a picture that it says has {shape[1]} columns "
            f"and {shape[0]} rows; write the file again"
        )


def _patches(pixels: Ints) -> npt.NDArray[np.object_]:
    """Points in the middle of pixels `(n, 2)`, column and row: those that touch as one geometry."""
    if not len(pixels):
        return np.empty(0, object)
    wide = int(pixels[:, 0].max()) + 2  # one more, so that rows do not touch at their ends
    keys = np.unique(pixels[:, 1] * wide + pixels[:, 0])
    first, second = [], []
    for down, right in BESIDE:
        neighbour = keys + down * wide + right
        place = np.searchsorted(keys, neighbour)
        place[place == len(keys)] = 0
        touch = np.flatnonzero(keys[place] == neighbour)
        first.append(touch)
        second.append(place[touch])
    pairs = np.concatenate(first), np.concatenate(second)
    graph = coo_array((np.ones(len(pairs[0]), bool), pairs), shape=(len(keys), len(keys)))
    number = connected_components(graph, directed=False)[1]
    order = np.argsort(number, kind="stable")
    row, col = np.divmod(keys[order], wide)
    points = shapely.points(col + 0.5, row + 0.5)
    patches: npt.NDArray[np.object_] = shapely.multipoints(points, indices=number[order])
    return patches
