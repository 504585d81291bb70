"""Reading spectral libraries: ENVI (.sli), ECOSTRESS as `spectral`'s database, CSV."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsi_ssl.errors import LibraryError, SceneError, SceneNotFoundError
from hsi_ssl.libraries.library import LibrarySpectrum, SpectralLibrary, spectrum
from hsi_ssl.libraries.names import is_mixture, materials, names_minerals
from hsi_ssl.libraries.tables import WIDE, read_table
from hsi_ssl.scenes.envi_header import (
    is_envi_header,
    is_library,
    layout_of,
    listed,
    read_header,
)
from hsi_ssl.scenes.readers.envi import pair
from hsi_ssl.scenes.wavelengths import (
    BandFacts,
    band_facts,
    envi_facts,
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
    try:
        header, data = pair(path)
        fields = read_header(header)
        layout = layout_of(fields, header)
    except SceneNotFoundError as error:
        raise LibraryError(str(error)) from None
    except SceneError as error:
        raise LibraryError(f"{path} is no readable ENVI spectral library ({error})") from error
    if not is_library(fields):
        raise LibraryError(f"{path} is an ENVI cube, no spectral library; give the library's file")
    size = data.stat().st_size
    if size < layout.size or layout.bands != 1 or layout.compressed or layout.dtype.kind == "c":
        raise LibraryError(
            f"{path} is no readable ENVI spectral library: expected {layout.size} bytes of real "
            f"numbers, not compressed, in one band, found {size} in {layout.bands}"
        )
    count = layout.rows * layout.cols
    raw = np.fromfile(data, layout.dtype, count, offset=layout.offset)
    values = raw.reshape(layout.rows, layout.cols).astype(np.float64)
    names = listed(fields.get("spectra names", "")) or [f"{i + 1}" for i in range(len(values))]
    if len(names) != len(values):
        raise LibraryError(
            f"{header} names {len(names)} spectra where there are {len(values)}; expected as many "
            "in `spectra names`, none of them with a comma"
        )
    facts = envi_facts(fields, values.shape[1], where=header.name)
    if facts.wavelengths_nm is None:
        raise LibraryError(f"{header} gives no wavelength for each band; add them to the header")
    says = str(fields.get("description", ""))
    library = _on_one_grid(path, names, facts, values, layout.notes, says=says)
    return replace(library, format="ENVI", unit=fields.get("wavelength units"))


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
    library = _on_one_grid(
        path, list(table.names), facts, table.values, table.notes, says=table.says
    )
    return replace(library, format="table of text", unit=table.unit)


def _on_one_grid(
    path: Path,
    names: list[str],
    facts: BandFacts,
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    notes: tuple[str, ...] = (),
    says: str = "",
) -> SpectralLibrary:
    """A library whose spectra share their wavelengths; `says` is what it says of itself.

    A band without a wavelength is left out.
    """
    assert facts.wavelengths_nm is not None
    known = np.isfinite(facts.wavelengths_nm)
    wavelengths = facts.wavelengths_nm[known]
    names = [" ".join(name.split()) for name in names]
    of_minerals = names_minerals(names, path.name, says)
    found = (
        spectrum(
            name, material, wavelengths, row[known], mixture=of_minerals and is_mixture(material)
        )
        for name, material, row in zip(
            names, materials(names) if of_minerals else names, values, strict=True
        )
    )
    return SpectralLibrary(path, tuple(found), (*notes, *facts.notes))


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
    told = (str, str, str | None, str | None, str, bytes, bytes)
    for row in rows:
        if not all(isinstance(value, kind) for value, kind in zip(row, told, strict=True)):
            raise LibraryError(
                f"{path}: expected texts, and spectra as bytes, in its tables; make it again with "
                "spectral.database.EcostressDatabase.create"
            )
        if len(row[5]) != len(row[6]) or len(row[5]) % 4:
            raise LibraryError(
                f"{path}: the spectrum of {row[0]} has {len(row[5]) / 4:g} wavelengths and "
                f"{len(row[6]) / 4:g} values; make the database again"
            )
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
            known = np.isfinite(facts.wavelengths_nm)
            measured = np.array(array("f", y))[known]
            mixture = kind.lower() == "mineral" and is_mixture(material)
            found.append(
                spectrum(label, material, facts.wavelengths_nm[known], measured, mixture=mixture)
            )
    if not found:
        raise LibraryError(f"{path} holds no reflectance spectrum")
    unit = rows[0][4]
    return SpectralLibrary(path, tuple(found), tuple(notes), format="ECOSTRESS", unit=unit)
