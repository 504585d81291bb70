"""Spectra of field spectrometers as their programs save them in text: one target a file.

Spectra Vista's `.sig` and Spectral Evolution's `.sed`: lines of `name= value` or `Name: value`,
then wavelength in nm, radiance of the panel, of the target, reflectance in per cent; columns of a
`.sed` have titles (`Wvl`, `Reflect. %`) and may be others. ECOSTRESS and ASTER text: `Name: value`,
then wavelength and reflectance.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple

SIG = "/*** Spectra Vista SIG Data"
SED = re.compile(r"^Columns \[\d+\]:\s*$", re.MULTILINE)
SED_DATA = re.compile(r"^Data:\s*$", re.MULTILINE)
ECOSTRESS = re.compile(r"^X Units:.*\((\w+)\)", re.MULTILINE)
NAME = re.compile(r"^Name:[ \t]*(\S.*)$", re.MULTILINE)
PREAMBLE = 4096


class FieldSpectrum(NamedTuple):
    """The rows of a spectrum, `(wavelength, value)`, its unit and its name, if told."""

    rows: list[tuple[float, float]]
    unit: str
    name: str | None


def field_spectrum(text: str) -> FieldSpectrum | None:
    """The spectrum of such a text; None of others.

    Raises
    ------
    ValueError
        It holds radiance or counts alone; what its columns are is told.
    """
    head = text[:PREAMBLE]
    told = ECOSTRESS.search(head)
    if told is not None:
        name = NAME.search(head)
        return FieldSpectrum(_rows(text, 0, 1), told[1], None if name is None else name[1].strip())
    if text.startswith(SIG):
        return FieldSpectrum(_rows(text, 0, 3), "nm", None)
    start = SED_DATA.search(head)
    if start is None or not SED.search(head):
        return None
    titles = [cell.strip() for cell in text[start.end() :].lstrip().split("\n", 1)[0].split("\t")]
    wavelength, value = (_titled(titles, wanted) for wanted in ("Wvl", "Reflect"))
    if wavelength is None or value is None:
        raise ValueError(f"it holds no reflectance by wavelength, only {', '.join(titles)}")
    return FieldSpectrum(_rows(text[start.end() :], wavelength, value, len(titles)), "nm", None)


def _titled(titles: list[str], wanted: str) -> int | None:
    return next((i for i, title in enumerate(titles) if title.startswith(wanted)), None)


def _rows(text: str, first: int, last: int, width: int | None = None) -> list[tuple[float, float]]:
    """Two of each line of so many numbers; by default of as many as are needed."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            numbers = [float(cell) for cell in line.split()]
            if len(numbers) == (width or last + 1):
                found.append((numbers[first], numbers[last]))
    return found
