"""Tables and whole numbers in texts that anybody may have written: read, or refused."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable

DIGITS = 18
"""Of whole numbers that 64 bits hold."""
WHOLE = re.compile(rf"[-+]?[0-9]{{1,{DIGITS}}}")


def rows_of(lines: Iterable[str], delimiter: str = ",") -> list[list[str]]:
    """The cells of the lines of a CSV, quoted ones without their quotes.

    Raises
    ------
    ValueError
        A line ends within, or a cell is longer than is any of a table.
    """
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        raise ValueError(
            f"a line breaks off within, or a cell has more than {csv.field_size_limit():,} letters"
        ) from None


def records_of(
    lines: Iterable[str], delimiter: str = ","
) -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns of a CSV, and its other lines by them; what a line lacks is empty.

    Lines without any cell are left out, and so are cells beyond the columns.

    Raises
    ------
    ValueError
        As `rows_of`.
    """
    rows = [row for row in rows_of(lines, delimiter) if row]
    names = rows[0] if rows else []
    return names, [
        {name: row[i] if i < len(row) else "" for i, name in enumerate(names)} for row in rows[1:]
    ]


def whole_number(text: str) -> int | None:
    """The whole number that a text is in digits, sign and blanks around it; None for others.

    Texts with more digits than 64 bits hold are none: Python refuses thousands of them, and no
    array takes them.
    """
    text = text.strip()
    return int(text) if WHOLE.fullmatch(text) else None
