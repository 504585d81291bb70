"""Maps as ENVI files: raw numbers, a header beside them, and what a header cannot hold.

GDAL writes numbers, georeference and colours. Done here is what it leaves wrong: names with commas
or braces, which would break the header's lists, codes without a class, and the temporary path that
it calls the file's description. Ground control points beyond four, units, tags and the attribute
table are in the `.aux.xml` that GDAL writes and reads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio
import rasterio.shutil
from defusedxml.ElementTree import fromstring

from hsi_ssl.errors import OutputError
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet
from hsi_ssl.maps.legend import UNCLASSIFIED
from hsi_ssl.maps.rasters import unlocated
from hsi_ssl.scenes.scene import Grid

ENVI_SUFFIX = ".img"
NO_CLASS = "(no class)"
"""Name of a code below the largest that no class has: a header's list has no gaps."""
SHEAR = 1e-6
"""Largest departure from a right angle that counts as rounding."""


def as_envi(drafted: Path, path: Path, label_set: LabelSet | None = None) -> None:
    """Copy a draft as ENVI and remove it; with `label_set`, as an ENVI classification.

    A draft of a classification has category names beside it (`.aux.xml`).
    """
    with unlocated():
        with rasterio.open(drafted) as raster:
            bands, units = raster.descriptions, raster.units
        rasterio.shutil.copy(drafted, path, driver="ENVI")
    drafted.unlink()
    header = path.with_suffix(".hdr")
    text = header.read_text(encoding="utf-8")
    text = _with_list(text, "description", path.name)
    # Without decimals it would be read as rows from south to north, which is refused here.
    text = re.sub(r"(?m)^(map info = .*rotation=180)\}$", r"\1.0}", text)
    text = _with_list(text, "band names", ",\n ".join(map(_plain, bands)))
    if label_set is not None:
        names = {c.code: c.name for c in label_set.classes} | {UNLABELLED_CODE: UNCLASSIFIED}
        listed = (_plain(names.get(code, NO_CLASS)) for code in range(max(names) + 1))
        text = _with_list(text, "class names", ",\n ".join(listed))
    header.write_text(text, encoding="utf-8")
    _corrected(path.with_name(path.name + ".aux.xml"), units)


def refuse_sheared(grid: Grid, path: Path) -> None:
    """Raise `OutputError` if an ENVI header cannot say where the pixels lie.

    It knows pixel sizes and one rotation: rows and columns at a right angle.
    """
    if grid.transform is None:
        return
    a, b, _, d, e, _ = grid.transform
    across = abs(a * b + d * e)
    if across > SHEAR * (a * a + d * d) or a * e - b * d > 0:
        raise OutputError(
            f"cannot write {path.name}: the scene's rows and columns are not at a right angle, or "
            "it is mirrored, which no ENVI header can say; write a GeoTIFF"
        )


def _with_list(header: str, field: str, content: str) -> str:
    """The header with `content` in the braces of a field that it has; they end with a line."""
    return re.sub(
        rf"(?ms)^{field} = {{.*?}}$", lambda _: f"{field} = {{\n {content}}}", header, count=1
    )


def _plain(name: str) -> str:
    """A name without what ends a header's list or an entry of it."""
    return " ".join(name.translate(str.maketrans(",{}", ";()")).split())


def _corrected(about: Path, units: Sequence[str | None]) -> None:
    """Give GDAL's .aux.xml the units that it leaves out, and take a former header out of it."""
    root: ET.Element = fromstring(about.read_text(encoding="utf-8"))
    for fields in root.findall("Metadata[@domain='ENVI']"):
        root.remove(fields)
    for band in root.findall("PAMRasterBand"):
        unit = units[int(band.get("band", "1")) - 1]
        if unit is not None:
            ET.SubElement(band, "UnitType").text = unit
    about.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
