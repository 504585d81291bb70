"""Spectra in tables of text, as spreadsheets, instruments and other programs write them.

Wavelengths run down the first column, then one column a spectrum; or along the first row, then one
row a spectrum. Cells lie between commas, semicolons, tabs or blanks; decimals follow a point or a
comma; names may be missing; lines that begin with `#`, `%`, `!` or `//` are comments.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.cells import rows_of
from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.field_spectra import PREAMBLE, field_spectrum
from hsi_ssl.scenes.wavelengths import NANOMETRES, singular, unit_in

COMMENTS = ("#", "%", "!", "//")
WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How text of 16 bits begins, `Unicode text` of spreadsheets."""
MISSING = {"", "-", "--", "na", "n/a", "#n/a", "nan", "null", "none"}
FORMS = (
    ("\t", "."),
    ("\t", ","),
    (";", "."),
    (";", ","),
    (",", "."),
    (",", ","),
    (None, "."),
    (None, ","),
)
"""What is between cells (None: blanks) and before decimals, in the order in which it is tried."""
TITLES = (
    "wave",
    "wl",
    "wvl",
    "lambda",
    "wellenl",
    "longueur",
    "longitud",
    "lunghezza",
    "band center",
)
"""How names of columns of wavelengths begin."""
ENOUGH = 200
"""Lines from which the form is told."""
FEWEST = 2
"""Columns: wavelengths and a spectrum."""


@dataclass(frozen=True)
class Table:
    """Spectra `values (spectra, bands)` at `wavelengths (bands,)` in `unit`, as the file has them.

    `says` is what its comments say, `named` whether the first column is called wavelengths or the
    like; `notes` is what was made up.
    """

    names: tuple[str, ...]
    wavelengths: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    unit: str | None
    says: str
    named: bool = False
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Read a table of spectra.

    Raises
    ------
    LibraryError
        It is no text, or has cells that are no numbers, rows of too many cells, no spectrum.
    """
    text = _text(path)
    try:
        field = field_spectrum(text)
    except ValueError as error:
        raise LibraryError(
            f"{path}: {error}; expected reflectance: save it with that of the target"
        ) from error
    if field is not None and field.rows:
        wavelengths, values = np.array(field.rows).T
        name = field.name or path.stem
        return Table((name,), wavelengths, values[None], field.unit, text[:PREAMBLE], named=True)
    lines = list(enumerate(text.splitlines(), start=1))
    comments = [line.strip() for _, line in lines if line.strip().startswith(COMMENTS)]
    kept = [(i, s) for i, s in lines if s.strip(" \t;,") and not s.strip().startswith(COMMENTS)]
    try:
        delimiter, decimal = _form([line for _, line in kept])
        rows = [(i, _cells(line, delimiter)) for i, line in kept]
        rows = _without_index(rows, decimal) if rows else rows
    except ValueError as error:
        raise LibraryError(f"{path} is no CSV of spectra: {error}; save it again") from error
    width = max((len(cells) for _, cells in rows), default=0)
    if width < FEWEST:
        raise LibraryError(
            f"{path} is no CSV of spectra: expected a first row of names, wavelength first and "
            "then one for each spectrum, and numbers below"
        )
    titles_of_names = _along_rows(rows, decimal)
    if titles_of_names:
        (_, head), *rows = rows
        data = [(i, cells[titles_of_names:]) for i, cells in rows]
        wavelengths = head[titles_of_names:]
        values = _numbers(path, [(0, wavelengths), *data], len(wavelengths), decimal)
        names = tuple(_joined(head, cells[:titles_of_names]) for _, cells in rows)
        return Table(
            names, values[0], values[1:], _unit(head[0]), " ".join(comments), _is_title(head[0])
        )
    start = next((k for k, (_, cells) in enumerate(rows) if _is_number(cells[0], decimal)), 1)
    data = rows[start:]
    if not data:
        raise LibraryError(f"{path} has no row of numbers below its names")
    titles = [cells for _, cells in rows[:start] if len(cells) > 1]
    wanted = len(data[0][1])
    unit = next((cells[0] for cells in titles if _is_unit(cells[0])), None)
    titles = [cells for cells in titles if not _is_unit(cells[0])] or titles
    if not titles:
        titles = _titles_in_comments(comments, wanted, delimiter)
    fitting = [cells for cells in titles if len(cells) == wanted]
    notes: tuple[str, ...] = ()
    if titles:
        head = (fitting or titles)[-1]
        if not all(head[1:]):
            raise LibraryError(
                f"{path} is no CSV of spectra: expected a first row of names, one for each of the "
                f"{len(head) - 1} columns of spectra, found an empty name"
            )
    elif wanted == FEWEST:
        head = ["", path.stem]
    else:
        head = ["", *(f"{path.stem} {k}" for k in range(1, wanted))]
        notes = (
            f"{path.name} has no first row of names: its {wanted - 1} spectra are called "
            f"{head[1]} to {head[-1]}",
        )
    values = _numbers(path, data, len(head), decimal)
    return Table(
        tuple(head[1:]),
        values[:, 0],
        values[:, 1:].T,
        unit or _unit(head[0]),
        " ".join(comments),
        unit is not None or _is_title(head[0]),
        notes,
    )


def _text(path: Path) -> str:
    """The file's text: UTF-8, or 16 bits where it says so, else that of Western Windows."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LibraryError(f"{path} cannot be read: {error.strerror}") from error
    for encoding in ("utf-16",) if content.startswith(WIDE) else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            problem = error
    raise LibraryError(f"{path} is no CSV of spectra ({problem})")


def _form(lines: list[str]) -> tuple[str | None, str]:
    """What is between cells and before decimals: the first form in which most lines are numbers."""
    lines = lines[:ENOUGH]

    def fits(form: tuple[str | None, str]) -> int:
        delimiter, decimal = form
        return sum(_is_row(_cells(line, delimiter), decimal) for line in lines)

    best = max(FORMS, key=fits)
    if fits(best):
        return best
    head = lines[0] if lines else ""
    return (max("\t;,", key=head.count) if any(d in head for d in "\t;,") else None), "."


def _is_row(cells: list[str], decimal: str) -> bool:
    """Whether cells are those of a row of numbers, behind a name perhaps."""
    first, *others = cells
    named = _is_number(first, decimal) or re.search(r"[^\W\d_]", first) is not None
    known = [cell for cell in others if not _is_missing(cell)]
    return named and bool(known) and all(_is_number(cell, decimal) for cell in known)


def _cells(line: str, delimiter: str | None) -> list[str]:
    """The cells of a line, without those after its last delimiter."""
    if delimiter is None:
        return line.split() or [""]
    line = line.strip(" \r\n")
    cells = [cell.strip() for cell in next(iter(rows_of([line], delimiter)), [""])]
    # Spreadsheets close every row with a delimiter; a missing last value is missing anyway.
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _without_index(rows: list[tuple[int, list[str]]], decimal: str) -> list[tuple[int, list[str]]]:
    """Without the numbers of rows, 0, 1, 2, ..., that pandas writes into a first column.

    Where wavelengths follow in the first row they are all the names that spectra have.
    """
    (_, head), *others = rows
    counted = all(cells[0] == str(n) for n, (_, cells) in enumerate(others))
    if not others or len(head) == 1 or head[0] or not counted:
        return rows
    if all(_is_number(cell, decimal) for cell in head[1:]):
        return [rows[0], *((i, [f"row {cells[0]}", *cells[1:]]) for i, cells in others)]
    if _is_title(head[1]) or not any(_is_number(cells[1], decimal) for _, cells in others):
        return [(i, cells[1:]) for i, cells in rows]
    return rows


def _along_rows(rows: list[tuple[int, list[str]]], decimal: str) -> int:
    """Columns of names, where wavelengths run along the first row and names down these; else 0."""
    (_, head), *others = rows
    names = next((i for i, cell in enumerate(head) if _is_number(cell, decimal)), 0)
    along = (
        len(head) - names >= FEWEST
        and bool(others)
        and all(_is_number(cell, decimal) for cell in head[names:])
        and not any(_is_number(cells[0], decimal) for _, cells in others)
    )
    return names if along else 0


def _joined(titles: list[str], cells: list[str]) -> str:
    """A spectrum's name of several cells: the first as it is, others with their titles."""
    more = (f"{title} {cell}" for title, cell in zip(titles[1:], cells[1:], strict=False))
    return ", ".join([cells[0], *more])


def _titles_in_comments(comments: list[str], wanted: int, delimiter: str | None) -> list[list[str]]:
    """Names in a comment, as numpy writes them: `# wavelength alunite calcite`."""
    found = [_cells(comment.lstrip("#%!/ "), delimiter) for comment in comments]
    return [cells for cells in found if len(cells) == wanted and all(cells) and _is_title(cells[0])]


def _numbers(
    path: Path, rows: list[tuple[int, list[str]]], width: int, decimal: str
) -> npt.NDArray[np.float64]:
    """The numbers `(rows, width)` of cells, NaN where one is missing."""
    table = np.full((len(rows), width), np.nan)
    for i, (line, cells) in enumerate(rows):
        if len(cells) > width:
            raise LibraryError(
                f"{path}: row {line} has {len(cells)} cells, the first {width}; names that hold "
                "what separates cells go between double quotes"
            )
        for j, cell in enumerate(cells):
            if _is_missing(cell):
                continue
            if not _is_number(cell, decimal):
                raise LibraryError(
                    f"{path}: {cell!r} in row {line} is no number; leave a missing value empty"
                )
            table[i, j] = float(cell.replace(decimal, "."))
    return table


def _is_missing(cell: str) -> bool:
    return cell.lower() in MISSING


def _is_number(cell: str, decimal: str) -> bool:
    if decimal == "," and "." in cell:
        return False
    try:
        return not math.isnan(float(cell.replace(decimal, ".")))
    except ValueError:
        return False


def _is_unit(cell: str) -> bool:
    """Whether a cell is a unit alone, as in a second row of titles."""
    return singular(cell.strip("()[]")) in NANOMETRES


def _is_title(cell: str) -> bool:
    """Whether a cell is what columns of wavelengths are called."""
    return cell.lower().startswith(TITLES) or _is_unit(cell)


def _unit(name: str) -> str | None:
    return name.strip("()[]") if _is_unit(name) else unit_in(name)
