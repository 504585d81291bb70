"""Whether a file is a spectral library, before it is read as one."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.reading import SQLITE
from hsi_ssl.libraries.tables import Table, read_table
from hsi_ssl.scenes.envi_header import is_envi_header

SAYS = re.compile(rb"file\s+type\s*=\s*envi\s+spectral\s+library", re.IGNORECASE)
"""In an ENVI header."""
TEXT = {".csv", ".txt", ".tsv", ".dat", ".asc", ".sed", ".sig"}
HEAD = 65536
"""Bytes of an ENVI header in which the file type stands."""
FEWEST_ROWS = 8
"""Rows of numbers below which a table without names may be anything."""
PLAUSIBLE = ((0.2, 30.0), (200.0, 30_000.0))
"""Wavelengths: micrometres, nanometres."""
OF_BANDS = {"fwhm", "bbl", "wavelength"}
"""Columns of a list of bands, which holds no spectra."""


def is_library(path: Path) -> bool:
    """Whether a file is a spectral library: ENVI's by its header, ECOSTRESS's by its tables.

    A table of text is one if its first column, called so or without names, holds wavelengths.
    """
    if path.suffix.lower() == ".sli" or is_envi_header(path):
        return any(_says(header) for header in _headers(path))
    try:
        with path.open("rb") as file:
            start = file.read(len(SQLITE))
    except OSError:
        return False
    if start == SQLITE:
        return _has_spectra(path)
    if path.suffix.lower() not in TEXT:
        return False
    try:
        table = read_table(path)
    except LibraryError:
        return False
    return holds_wavelengths(table)


def holds_wavelengths(table: Table) -> bool:
    """Whether a table's first column can only be wavelengths: in order, of a plausible size."""
    x = table.wavelengths
    steps = np.diff(x)
    ordered = len(x) > 1 and bool((steps > 0).all() or (steps < 0).all())
    if not ordered or {name.strip().lower() for name in table.names} <= OF_BANDS:
        return False
    if not any(low <= x.min() and x.max() <= high for low, high in PLAUSIBLE):
        return False
    known = table.values[np.isfinite(table.values)]
    whole = bool(np.equal(known, np.round(known)).all())
    return table.named or (len(x) >= FEWEST_ROWS and not whole)


def _headers(path: Path) -> list[Path]:
    return [path, path.with_suffix(".hdr"), path.with_name(path.name + ".hdr")]


def _says(header: Path) -> bool:
    try:
        with header.open("rb") as file:
            start = file.read(HEAD)
    except OSError:
        return False
    return start.lstrip().startswith(b"ENVI") and SAYS.search(start) is not None


def _has_spectra(path: Path) -> bool:
    """Whether a database has the tables that `spectral` makes."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {"Samples", "Spectra"} <= {name for (name,) in rows}
    except sqlite3.Error:
        return False
