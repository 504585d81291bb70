"""Reading spectral libraries: ENVI (.sli), ECOSTRESS as `spectral`'s database, CSV."""

from __future__ import annotations

import warnings
from array import array
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsi_ssl.errors import LibraryError, SceneNotFoundError
from hsi_ssl.libraries.library import LibrarySpectrum, SpectralLibrary, spectrum
from hsi_ssl.libraries.names import is_mixture, materials, names_minerals
from hsi_ssl.libraries.tables import WIDE, read_table
from hsi_ssl.scenes.readers.envi import pair
from hsi_ssl.scenes.wavelengths import (
    band_facts,
    envi_facts,
    is_envi_header,
    unit_in,
)

SQLITE = b"SQLite format 3\0"


def open_library(path: Path) -> SpectralLibrary:
    """Read a library whole: an ENVI library or its header, an ECOSTRESS database, a CSV.

    Raises
    ------
    LibraryError
        There is no such file, or it is broken or none of these.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except FileNotFoundError:
        raise LibraryError(f"no spectral library {path}") from None
    except OSError as error:
        raise LibraryError(f"{path} cannot be read: {error.strerror}") from error
    if start.startswith(SQLITE):
        return _ecostress(path)
    if path.suffix.lower() == ".sli" or is_envi_header(path):
        return _envi(path)
    if b"\0" in start and not start.startswith(WIDE):
        raise LibraryError(
            f"{path} is no spectral library; expected ENVI (.sli beside its .hdr), an ECOSTRESS "
            "database made by spectral, or a CSV with a column of wavelengths"
        )
    return _csv(path)


def _envi(path: Path) -> SpectralLibrary:
    """An ENVI library, given by its data or its header."""
    from spectral.io.envi import SpectralLibrary as EnviLibrary
    from spectral.io.envi import open as open_envi
    from spectral.io.envi import read_envi_header

    try:
        header, data = (path, path.with_suffix(".sli")) if _sli(path) else pair(path)
        with warnings.catch_warnings():  # upper-case names in headers are harmless
            warnings.simplefilter("ignore")
            found = open_envi(str(header), str(data))
            fields = read_envi_header(str(header))
    except SceneNotFoundError as error:
        raise LibraryError(str(error)) from None
    except Exception as error:  # spectral lets numpy's and Python's own through
        raise LibraryError(f"{path} is no readable ENVI spectral library ({error})") from error
    if not isinstance(found, EnviLibrary):
        raise LibraryError(f"{path} is an ENVI cube, no spectral library; give the library's file")
    values = np.asarray(found.spectra, np.float64)
    facts = envi_facts(fields, values.shape[1], where=header.name)
    if facts.wavelengths_nm is None:
        raise LibraryError(f"{header} gives no wavelength for each band; add them to the header")
    says = str(fields.get("description", ""))
    library = _on_one_grid(path, found.names, facts.wavelengths_nm, values, facts.notes, says=says)
    return replace(library, format="ENVI", unit=fields.get("wavelength units"))


def _sli(path: Path) -> bool:
    return path.suffix.lower() == ".hdr" and path.with_suffix(".sli").is_file()


def _csv(path: Path) -> SpectralLibrary:
    """A table of text (`hsi_ssl/libraries/tables.py`).

    The unit may stand in the first column's name (`wavelength_um`); empty cells are missing.
    """
    table = read_table(path)
    facts = band_facts(
        len(table.wavelengths), where=path.name, wavelengths=table.wavelengths, units=table.unit
    )
    if facts.wavelengths_nm is None:
        raise LibraryError(f"{path}: the first column holds no wavelength in every row")
    notes = (*table.notes, *facts.notes)
    library = _on_one_grid(
        path, list(table.names), facts.wavelengths_nm, table.values, notes, says=table.says
    )
    return replace(library, format="table of text", unit=table.unit)


def _on_one_grid(
    path: Path,
    names: list[str],
    wavelengths_nm: np.ndarray[tuple[int], np.dtype[np.float64]],
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    notes: tuple[str, ...],
    says: str = "",
) -> SpectralLibrary:
    """A library whose spectra share their wavelengths; `says` is what it says of itself."""
    names = [" ".join(name.split()) for name in names]
    of_minerals = names_minerals(names, path.name, says)
    found = (
        spectrum(name, material, wavelengths_nm, row, mixture=of_minerals and is_mixture(material))
        for name, material, row in zip(
            names, materials(names) if of_minerals else names, values, strict=True
        )
    )
    return SpectralLibrary(path, tuple(found), notes)


def _ecostress(path: Path) -> SpectralLibrary:
    """A database that `spectral.database.EcostressDatabase.create` made: reflectances only."""
    import sqlite3

    from spectral.database import EcostressDatabase

    query = (
        "SELECT Samples.Name, Samples.Type, Samples.ParticleSize, Samples.SampleNum, XUnit, "
        "XData, YData FROM Spectra JOIN Samples USING (SampleID) "
        "WHERE Measurement LIKE 'reflect%' ORDER BY SpectrumID"
    )
    rows: list[tuple[str, str, str, str, str, bytes, bytes]] = []
    try:
        database = EcostressDatabase(str(path.absolute()))
        try:
            rows = database.cursor.execute(query).fetchall()
        finally:
            database.db.close()
    except sqlite3.Error as error:
        raise LibraryError(
            f"{path} is no ECOSTRESS database of spectral ({error}); make one with "
            "spectral.database.EcostressDatabase.create"
        ) from error
    # Of soils, rocks and man-made materials the first word says little ("Construction Asphalt").
    minerals = iter(materials([row[0] for row in rows if row[1].lower() == "mineral"]))
    found: list[LibrarySpectrum] = []
    notes: Counter[str] = Counter()
    for name, kind, grain, number, unit, x, y in rows:
        material = next(minerals) if kind.lower() == "mineral" else name
        centres = np.array(array("f", x), np.float64)
        facts = band_facts(len(centres), where=path.name, wavelengths=centres, units=unit_in(unit))
        notes.update(facts.notes)
        if facts.wavelengths_nm is not None:
            label = " ".join(word for word in (name, number, grain) if word and word != "none")
            mixture = kind.lower() == "mineral" and is_mixture(material)
            found.append(
                spectrum(label, material, facts.wavelengths_nm, array("f", y), mixture=mixture)
            )
    if not found:
        raise LibraryError(f"{path} holds no reflectance spectrum")
    unit = rows[0][4]
    return SpectralLibrary(path, tuple(found), tuple(notes), format="ECOSTRESS", unit=unit)
