"""Names and colours of the codes of label rasters: what lies in the file and beside it.

Asked in this order, the first that names anything counts: the tag CLASSES of our own maps, a cell
array of names in a MATLAB file (from code 1, or 0 where the first stands for no class), a CSV
beside (`NAME.classes.csv`, `NAME.csv`), a QGIS style (`NAME.qml`, paletted renderer), a colour map
(`NAME.clr`: value, red, green, blue, name), and what GDAL knows: attribute table, category names
(of ENVI the header's `class names`), colour table. rasterio has no functions for names: they
stand in a VRT that GDAL makes of the raster in memory, attribute tables in `NAME.aux.xml` alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio.shutil
from defusedxml.ElementTree import fromstring
from rasterio.io import DatasetReader, MemoryFile

from hsi_ssl.cells import records_of, whole_number
from hsi_ssl.errors import LabelError, SceneError
from hsi_ssl.json_text import parsed
from hsi_ssl.labels.colours import hex_of
from hsi_ssl.labels.no_class import is_no_class
from hsi_ssl.labels.qgis_styles import palette, whole, xml_root
from hsi_ssl.scenes.encoding import decoded
from hsi_ssl.scenes.opening import is_raster
from hsi_ssl.scenes.readers.envi import data_of
from hsi_ssl.scenes.readers.gdal_errors import FAILURES
from hsi_ssl.scenes.readers.gdal_opening import looked_into
from hsi_ssl.scenes.readers.matlab import cell_texts
from hsi_ssl.scenes.virtual import is_virtual

CLASSES_TAG = "CLASSES"
"""Tag of our maps with the names by code, for a map that has lost what lay beside it."""
CLR = re.compile(r"\s*(-?\d+)\s+(\d+)\s+(\d+)\s+(\d+)(?:\s+(\d+))?(?:\s+(.*))?")
CODE = {"code", "value", "id", "val", "pixel"}
NAME = {"name", "class", "label", "class_name", "classname", "category", "description"}
LISTS = {
    "class_names", "classnames", "classes", "class_name", "labels", "label_names", "labelnames",
    "names", "categories", "gt_names",
}  # fmt: skip
"""What lists of names are called in MATLAB files."""
COLOUR = {"colour", "color", "hex", "rgb"}
VALUE_USAGE, NAME_USAGE = "5", "2"
"""GDAL's GFU_MinMax (value) and GFU_Name."""


@dataclass(frozen=True)
class Legend:
    """Names and colours `#rrggbb` by a raster's own codes, and in words where they are from."""

    names: Mapping[int, str]
    colours: Mapping[int, str]
    source: str | None


def legend_of(path: Path) -> Legend:
    """All that lies in or beside a raster; empty where nothing does.

    Raises
    ------
    LabelError
        A style or a table beside it is broken.
    """
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    sources: list[str] = []
    for source, (more_names, more_colours) in _sources(Path(path)):
        if more_names and not names:
            names.update(more_names)
            sources.append(source)
        for code, colour in more_colours.items():
            colours.setdefault(code, colour)
    return Legend(names, colours, sources[0] if sources else None)


def legend_file(path: Path) -> Legend:
    """The legend that a user gives: a CSV, a `.qml` or a `.clr`.

    Raises
    ------
    LabelError
        There is no such file, or it is broken or names no class.
    """
    if not path.is_file():
        raise LabelError(f"no file {path}; expected a CSV with columns code, name and colour")
    names, colours = _read(path)
    if not names and not colours:
        raise LabelError(f"{path}: expected columns code, name and colour, found no class")
    return Legend(names, colours, str(path))


Found = tuple[dict[int, str], dict[int, str]]


def _sources(path: Path) -> Iterable[tuple[str, Found]]:
    inside: tuple[Found, Found] | None = None
    if is_raster(path):
        inside = _inside(path)
        yield "tag", inside[0]
    if path.suffix.lower() == ".mat":
        yield path.name, (_counted(cell_texts(path, LISTS)), {})
    if not is_virtual(path):
        for suffix in (".classes.csv", ".csv", ".qml", ".clr"):
            for beside in {path.with_suffix(suffix): 0, Path(f"{path}{suffix}"): 0}:
                if beside.is_file() and beside != path and _is_legend(beside):
                    yield beside.name, _read(beside)
    if inside is not None:
        if not is_virtual(path):
            yield f"{path.name}.aux.xml", _of_pam(Path(f"{data_of(path)}.aux.xml"))
        yield path.name, inside[1]


def _counted(names: Sequence[str]) -> dict[int, str]:
    """Names by code: from 1, or from 0 where the first is that of no class."""
    first = 0 if names and is_no_class(names[0]) else 1
    return {code: name for code, name in enumerate(names, start=first) if name.strip()}


def _is_legend(path: Path) -> bool:
    """Whether a file beside a raster tells of codes; other tables may lie there too."""
    if path.suffix != ".csv":
        return True
    head = _text(path).split("\n", 1)[0].lower()
    columns = {c.strip().strip('"') for c in re.split("[,;\t]", head)}
    return bool(columns & CODE) and bool(columns & (NAME | COLOUR | {"red", "r"}))


def _read(path: Path) -> Found:
    suffix = path.suffix.lower()
    if suffix == ".qml":
        return palette(xml_root(_text(path), str(path)))
    return _clr(path) if suffix == ".clr" else _csv(path)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror}") from error
    return decoded(data)


def _csv(path: Path) -> Found:
    lines = _text(path).splitlines() or [""]
    delimiter = next((d for d in (";", "\t") if d in lines[0]), ",")
    try:
        columns, table = records_of(lines, delimiter)
    except ValueError as error:
        raise LabelError(f"{path} is no table: {error}; save it again") from error
    keys = {key.strip().lower(): key for key in columns}
    code_key = next((keys[k] for k in keys if k in CODE), None)
    name_key = next((keys[k] for k in keys if k in NAME), None)
    colour_key = next((keys[k] for k in keys if k in COLOUR), None)
    parts = [keys.get(k) or keys.get(k[0]) for k in ("red", "green", "blue")]
    if code_key is None or (name_key is None and colour_key is None and None in parts):
        raise LabelError(
            f"{path}: expected columns code, name and colour, found "
            f"{', '.join(columns) or 'nothing'}"
        )
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    for line, row in enumerate(table, start=2):
        text = (row.get(code_key) or "").strip()
        if not text:
            continue
        code = whole_number(re.sub(r"\.0*$", "", text))
        if code is None:
            raise LabelError(f"{path}, line {line}: code {text!r}; expected a whole number")
        if name_key is not None and (row.get(name_key) or "").strip():
            names[code] = " ".join((row[name_key] or "").split())
        colour = None if colour_key is None else hex_of(row.get(colour_key) or "")
        if colour is None and None not in parts:
            colour = hex_of(",".join(row.get(str(p)) or "" for p in parts))
        if colour is not None:
            colours[code] = colour
    return names, colours


def _clr(path: Path) -> Found:
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    for line, text in enumerate(_text(path).splitlines(), start=1):
        match = CLR.fullmatch(text)
        code = None if match is None else whole_number(match[1])
        if match is None or code is None:
            if text.strip() and not text.lstrip().startswith("#"):
                raise LabelError(
                    f"{path}, line {line}: {text.strip()!r}; expected value, red, green, blue, name"
                )
            continue
        colour = hex_of(",".join(match.group(2, 3, 4)))
        if colour is not None:
            colours[code] = colour
        if match[6] and match[6].strip():
            names[code] = match[6].strip()
    return names, colours


def tagged_names(tag: str) -> dict[int, str]:
    """Names by code from the tag's value; none where it is broken."""
    try:
        return {int(code): str(name) for code, name in parsed(tag).items()}
    except (ValueError, AttributeError):
        return {}


def _inside(path: Path) -> tuple[Found, Found]:
    """What our tag says, and what GDAL knows."""
    try:
        with looked_into(data_of(path)) as raster:
            tag = raster.tags().get(CLASSES_TAG, "{}")
            return (tagged_names(tag), {}), _of_gdal(raster)
    except SceneError:  # what is wrong is told where the raster is read
        return ({}, {}), ({}, {})


def _of_gdal(raster: DatasetReader) -> Found:
    """Names and colours of the only band, as a VRT of it has them."""
    if raster.count != 1:
        return {}, {}
    try:
        with MemoryFile(ext=".vrt") as memory:
            rasterio.shutil.copy(raster, memory.name, driver="VRT")
            root = fromstring(decoded(memory.read()))
    except (*FAILURES, ET.ParseError, ValueError):
        return {}, {}
    return _of_band(root.find("VRTRasterBand"))


def _of_pam(path: Path) -> Found:
    """What GDAL keeps beside a raster: a VRT has no attribute table."""
    if not path.is_file():
        return {}, {}
    return _of_band(xml_root(_text(path), str(path)).find("PAMRasterBand"))


def _of_band(band: ET.Element | None) -> Found:
    if band is None:
        return {}, {}
    names = _table(band)
    if not names:
        texts = [(c.text or "").strip() for c in band.iterfind("CategoryNames/Category")]
        names = {code: text for code, text in enumerate(texts) if text}
    colours = {
        code: colour
        for code, entry in enumerate(band.iterfind("ColorTable/Entry"))
        if entry.get("c4", "255") != "0"
        and (colour := hex_of(",".join(entry.get(f"c{i}", "0") for i in (1, 2, 3))))
    }
    known = {code: c for code, c in colours.items() if not names or code in names}
    return names, known


def _table(band: ET.Element) -> dict[int, str]:
    """Names by value of an attribute table."""
    table = band.find("GDALRasterAttributeTable")
    if table is None:
        return {}
    usages = [
        (f.findtext("Usage") or "", f.findtext("Name") or "") for f in table.iter("FieldDefn")
    ]
    value = next((i for i, (usage, _) in enumerate(usages) if usage == VALUE_USAGE), None)
    if value is None:
        value = next((i for i, (_, name) in enumerate(usages) if name.lower() in CODE), None)
    named = next((i for i, (usage, _) in enumerate(usages) if usage == NAME_USAGE), None)
    if named is None:
        named = next((i for i, (_, name) in enumerate(usages) if name.lower() in NAME), None)
    if named is None:
        return {}
    found: dict[int, str] = {}
    for i, row in enumerate(table.iter("Row")):
        cells = [(cell.text or "").strip() for cell in row.iter("F")]
        cells += [""] * (len(usages) - len(cells))
        code = i if value is None else whole(cells[value])
        if code is not None and cells[named]:
            found[code] = cells[named]
    return found
