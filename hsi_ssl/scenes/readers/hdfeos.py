"""HDF-EOS5: what the text `StructMetadata` of a file says of its data fields.

By the HDF-EOS Library User's Guide for HDF-EOS5: swaths and grids lie in `/HDFEOS/SWATHS` and
`/HDFEOS/GRIDS`; `/HDFEOS INFORMATION/StructMetadata.0`, `.1`, ... hold one text in the Object
Description Language, with the names of each field's dimensions in `DimList`.
"""

from __future__ import annotations

import re

import h5py

from hsi_ssl.scenes.axes import plain_text

INFORMATION = "HDFEOS INFORMATION"
FIELD = re.compile(r"/HDFEOS/(?:SWATHS|GRIDS)/([^/]+)/(?:Data|Geolocation) Fields/([^/]+)")
FACT = re.compile(r"^\s*(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)
ENTRY = re.compile(
    r"^\s*(SwathName|GridName|DataFieldName|GeoFieldName|DimList)\s*=\s*(\(.*?\)|.*?)\s*$",
    re.MULTILINE | re.DOTALL,
)


def dimension_names(array: h5py.Dataset) -> list[str]:
    """The names of a field's dimensions in their order; nothing of what is no such field."""
    place = FIELD.fullmatch(array.name)
    information = array.file.get(INFORMATION)
    if place is None or not isinstance(information, h5py.Group):
        return []
    structure = field = ""
    for name, value in ENTRY.findall(_text(information)):
        if name == "DimList":
            if (structure, field) == place.groups():
                return re.findall(r'"([^"]*)"', value)
        elif name in {"SwathName", "GridName"}:
            structure = value.strip('"')
        else:
            field = value.strip('"')
    return []


def grid_facts(file: h5py.File, name: str) -> dict[str, str]:
    """What the text says of the grid of that name, such as `XDim` and `UpperLeftPointMtrs`.

    Of the grid as a whole, not of its dimensions and fields; nothing where there is none.
    """
    information = file.get(INFORMATION)
    if not isinstance(information, h5py.Group):
        return {}
    for part in re.split(r"^\s*GROUP\s*=\s*GRID_\d+", _text(information), flags=re.MULTILINE)[1:]:
        own = re.split(r"^\s*(?:END_)?GROUP\s*=", part, flags=re.MULTILINE)[0]
        facts = {key: value.strip('"') for key, value in FACT.findall(own)}
        if facts.get("GridName") == name:
            return facts
    return {}


def _text(information: h5py.Group) -> str:
    """The parts of the text, which are cut at 32,000 bytes, in their order."""
    parts = {
        int(name.rpartition(".")[2]): plain_text(item[()])
        for name, item in information.items()
        if re.fullmatch(r"StructMetadata\.\d+", name) and isinstance(item, h5py.Dataset)
    }
    return "".join(parts[number].rstrip("\0") for number in sorted(parts))
