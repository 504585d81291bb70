"""Spectra of field spectrometers as their programs save them in text: one target a file.

Spectra Vista's `.sig` and Spectral Evolution's `.sed`: lines of `name= value` or `Name: value`,
then wavelength in nm, radiance of the panel, of the target, reflectance in per cent. ECOSTRESS and
ASTER text: `Name: value`, then wavelength and reflectance. The last column is the spectrum.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SIG = "/*** Spectra Vista SIG Data"
SED = re.compile(r"^Columns \[\d+\]:\s*$", re.MULTILINE)
SED_DATA = re.compile(r"^Data:\s*$", re.MULTILINE)
ECOSTRESS = re.compile(r"^X Units:.*\((\w+)\)", re.MULTILINE)
NAME = re.compile(r"^Name:[ \t]*(\S.*)$", re.MULTILINE)
PREAMBLE = 4096


class FieldSpectrum(NamedTuple):
    """The rows of a spectrum, `(wavelength, value)` as text, its unit and its name, if told."""

    rows: list[tuple[str, str]]
    unit: str
    name: str | None


def field_spectrum(text: str) -> FieldSpectrum | None:
    """The spectrum of such a text; None of others."""
    head = text[:PREAMBLE]
    told = ECOSTRESS.search(head)
    if told is not None:
        name = NAME.search(head)
        return FieldSpectrum(_rows(text), told[1], None if name is None else name[1].strip())
    start = SED_DATA.search(head)
    if text.startswith(SIG) or (start is not None and SED.search(head)):
        return FieldSpectrum(_rows(text), "nm", None)
    return None


def _rows(text: str) -> list[tuple[str, str]]:
    """First and last of lines of two or four numbers."""
    found = []
    for line in text.splitlines():
        cells = line.split()
        if len(cells) in (2, 4) and all(map(_is_number, cells)):
            found.append((cells[0], cells[-1]))
    return found


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
