"""Wavelengths that the user gives: a table with a row a band, as people and programs write it.

Between values stand commas, semicolons, tabs or blanks, before decimals a point or, where no commas
lie between values, a comma. Columns have names, or it is told by their numbers which are
wavelengths: text that comes with a scene (`.spc` of AVIRIS, responses of GF-5) has none.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from hsi_ssl.cells import rows_of
from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts, unit_in

NAMES = ("wavelength", "wvl", "wl", "center", "centre", "lambda")
"""How names of the column begin."""
PLAUSIBLE = ((0.2, 30.0), (200.0, 30_000.0))
"""Micrometres, nanometres."""
WIDEST = 0.2
"""Of a wavelength: what is wider is no width of a band."""
AMBIGUOUS = re.compile(r"\d+,\d+")

Rows = list[list[str]]


def csv_facts(path: Path, bands: int) -> BandFacts:
    """Facts from a table: one row a band, a column `wavelength` and, if there, `fwhm` and `bbl`.

    The unit may stand in the name (`wavelength_um`). Without names, the first column of which all
    numbers are as large as wavelengths holds them, and the next one widths, if it may, which is
    noted; one row of numbers is a number a band.

    Raises
    ------
    SceneNotFoundError
        There is no such file.
    SceneError
        The file has no wavelength column, or not one wavelength for each of `bands` bands.
    """
    rows = _rows(path)
    names = [cell.lower() for cell in rows[0]] if rows else []
    note = ""
    if rows and all(_number(cell) is not None for cell in rows[0]):
        if len(rows) == 1:
            rows = [[cell] for cell in rows[0]]
        names = _told(rows)
        if len(names) > 1 and any(names):
            note = f"{path.name} names no columns: column {names.index('wavelength') + 1} is taken "
            note += "for wavelengths"
            note += ", the next one for widths (FWHM)" if "fwhm" in names else ""
    else:
        rows = rows[1:]

    def column(*words: str) -> tuple[str, list[str] | None]:
        for word in words:
            place = next((i for i, name in enumerate(names) if name.startswith(word)), None)
            if place is not None:
                return names[place], [row[place] if place < len(row) else "" for row in rows]
        return "", None

    name, wavelengths = column(*NAMES)
    if wavelengths is None:
        raise SceneError(
            f"{path} has no column `wavelength`; expected one row a band under that name"
        )
    facts = band_facts(
        bands,
        where=path.name,
        wavelengths=wavelengths,
        units=unit_in(name),
        fwhm=column("fwhm", "bandwidth")[1],
        bad_band_list=column("bbl")[1],
        wavelengths_from=f"the column {name} of {path.name}",
        good_from=f"the column bbl of {path.name}",
    )
    if facts.wavelengths_nm is None:
        raise SceneError(
            f"{path} does not give a wavelength for each band: expected {bands} positive numbers, "
            f"found {len(wavelengths)} rows"
        )
    return replace(facts, notes=(*facts.notes, note)) if note else facts


def _rows(path: Path) -> Rows:
    """The table's cells, without comments and empty lines; decimals follow a point."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SceneNotFoundError(f"no file {path} with wavelengths") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{path} is no CSV with wavelengths ({error})") from error
    lines = [line.strip(" ") for line in text.splitlines()]
    lines = [line for line in lines if line.strip(",;\t ") and not line.startswith("#")]
    if not lines:
        return []
    head, *others = lines
    one_name = bool(others) and len(re.split(r"[;\t, ]", head)) == 1 and _number(head) is None
    if all(AMBIGUOUS.fullmatch(line) for line in (others if one_name else lines)):
        raise SceneError(
            f"{path}: {lines[-1]} may be one number with a decimal comma, or two; expected decimal "
            "points, or a first row of names such as wavelength,fwhm"
        )
    delimiter = next((mark for mark in ";\t," if mark in head), None)
    try:
        if delimiter is None and all(_number(cell) is not None for cell in lines[-1].split()):
            rows = [line.split() for line in lines]
        else:
            rows = rows_of(lines, delimiter or ",")
    except ValueError as error:
        raise SceneError(f"{path} is no CSV with wavelengths: {error}; save it again") from error
    decimal = "." if delimiter == "," else ","
    rows = [[cell.strip().strip('"').replace(decimal, ".") for cell in row] for row in rows]
    most = max(len(row) - (not row[-1]) for row in rows)
    if most > len(rows[0]):
        raise SceneError(
            f"{path} has rows of {most} cells below a first one of {len(rows[0])}; expected a name "
            "for each column: add what is missing"
        )
    return rows


def _told(rows: Rows) -> list[str]:
    """Names for columns of numbers: which holds wavelengths, and which widths."""
    width = len(rows[0])
    if width == 1:
        return ["wavelength"]
    columns = [[_number(row[i]) if i < len(row) else None for row in rows] for i in range(width)]
    for i, values in enumerate(columns):
        known = [value for value in values if value is not None]
        fits = any(low <= min(known) and max(known) <= high for low, high in PLAUSIBLE)
        counted = known == [k + known[0] for k in range(len(known))] and known[0] in (0, 1)
        if len(known) < len(rows) or not fits or counted:
            continue
        names = ["wavelength" if k == i else "" for k in range(width)]
        if i + 1 < width:
            pairs = zip(columns[i + 1], known, strict=True)
            if all(v is not None and 0 < v <= WIDEST * centre for v, centre in pairs):
                names[i + 1] = "fwhm"
        return names
    return [""] * width


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
