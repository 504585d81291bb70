"""Regions of interest as ENVI saves them: XML of ENVI 5, tables of ENVI Classic.

What is a form of which program:

- `.xml` of ENVI 5, see `envi_xml`;
- text of ENVI Classic ("ENVI Output of ROIs"), see `envi_text`;
- `.roi` of ENVI Classic, binary, whose first bytes are `JoeB`. Its layout is not published; it is
  refused, with what to save instead. So is `.roi` of ImageJ, another program's (`Iout`).
"""

from __future__ import annotations

from pathlib import Path

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms import envi_text, envi_xml
from hsi_ssl.labels.forms.documents import beginning, root_name
from hsi_ssl.labels.forms.drawn import Drawn, drawn, layer_named
from hsi_ssl.labels.layers import Features, LayerFacts

BINARY, IMAGEJ = b"JoeB", b"Iout"
TEXTS = {".txt", ".asc", ".roi"}


def takes(file: Path) -> bool:
    """Whether it is XML of regions of interest, such a table, or a `.roi` of whatever kind."""
    suffix = file.suffix.lower()
    if suffix == ".xml":
        return root_name(file) == envi_xml.ROOT
    if suffix not in TEXTS:
        return False
    return suffix == ".roi" or envi_text.is_table(beginning(file))


def layers(file: Path, path: Path) -> list[LayerFacts]:
    """The regions as one layer with the field `class`, a region's name.

    Raises
    ------
    VectorError
        The file is broken, binary, without any region, or mixes coordinates of maps and pixels.
    """
    return [layer.facts(path) for layer in drawn(_read, file)]


def features(file: Path, facts: LayerFacts, column: str | None) -> Features:
    """All features of the layer."""
    return layer_named(drawn(_read, file), facts).features(column)


def _read(file: Path) -> list[Drawn]:
    if file.suffix.lower() == ".xml":
        return [envi_xml.read(file)]
    start = beginning(file)
    if envi_text.is_table(start):
        return [envi_text.read(file)]
    if start.startswith(BINARY):
        raise VectorError(
            f"{file} is a binary file of ENVI Classic, which is not read; open it in the ROI Tool "
            "of ENVI Classic and choose File, Output ROIs to ASCII, with pixel locations; or open "
            "it in the Region of Interest (ROI) Tool of ENVI 5 and save it as .xml"
        )
    if start.startswith(IMAGEJ):
        raise VectorError(
            f"{file} is a region of ImageJ, which is not read; draw the labels in QGIS, or give "
            "them as a raster"
        )
    raise VectorError(
        f"{file} is no ROI file that is known: expected a table of ENVI Classic (ROI Tool, File, "
        "Output ROIs to ASCII); save the regions again"
    )
