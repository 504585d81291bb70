"""Label planes in text: one line a row, blanks, commas, semicolons or tabs between values.

Values are numbers or, where one is none, class names, which a CSV may quote and leave empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hsi_ssl.cells import rows_of
from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.encoding import decoded
from hsi_ssl.scenes.format import Format
from hsi_ssl.scenes.scene import Array, Scene

SUFFIXES = {".txt", ".csv", ".tsv"}
DELIMITERS = "\t;,"
FRACTION = re.compile(r"[-+]?\d*\.\d*[1-9]\d*(e[-+]?\d+)?", re.IGNORECASE)

Table = list[list[str]]


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Refuse: text holds no cube.

    Raises
    ------
    SceneError
        Always.
    """
    raise SceneError(f"{path} is text, which holds no cube; give the scene in another format")


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)`, or `(n,)` of a single column; text has no nodata value.

    Of what stands between values there may be doubt where these are names; `shape`, that of the
    scene, decides.

    Raises
    ------
    SceneError
        A line has another length than the first; measurements stand beside names.
    SceneNotFoundError
        A `variable` is asked for.
    """
    if variable is not None:
        raise SceneNotFoundError(f"{path} holds one array without a name; leave out --variable")
    try:
        lines = decoded(path.read_bytes()).splitlines()
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error
    head = next((line for line in lines if line.strip()), "")
    delimiter = next((d for d in ",;\t" if d in head), None)
    try:
        values: Array = np.loadtxt(lines, delimiter=delimiter, comments="#", ndmin=2)
    except ValueError:
        values = _names(lines, shape, path)
    return (values[:, 0] if values.shape[1] == 1 else values), None


def _names(lines: list[str], shape: tuple[int, int] | None, path: Path) -> Array:
    """The table of names `(rows, cols)` that the lines hold."""
    every = [line for line in lines if not line.startswith("#")]
    lines = [line for line in every if line.strip()]
    try:
        tables = list(_tables(lines))
    except ValueError as error:
        raise SceneError(f"{path} is no table ({error}); expected codes or class names") from error
    even = [
        table
        for table in tables
        if len({len(row) for row in table}) == 1 and (len(table[0]) > 1 or len(tables) == 1)
    ]
    exact = [table for table in even if (len(table), len(table[0])) == shape]
    if not exact and shape is not None and len(every) == shape[0] * shape[1]:
        exact = [[[line] for line in every]]  # names may have blanks in them, or be missing
    table = next(iter(exact or even), None)
    if table is None:
        counts = [len(row) for row in tables[0]]
        i = next(i for i, n in enumerate(counts) if n != counts[0])
        raise SceneError(
            f"{path}: {counts[0]} values in the first row, {counts[i]} in row {i + 1}; expected "
            "equally many codes or names in each, one line a row of pixels"
        )
    table = [[cell.strip() for cell in row] for row in table]
    measured = next(filter(FRACTION.fullmatch, sorted({c for row in table for c in row})), None)
    if measured is not None:
        raise SceneError(
            f"{path} is no table of numbers, and {measured} is no class name; expected codes or "
            "names of classes"
        )
    return np.array(table, str)


def _tables(lines: list[str]) -> Iterator[Table]:
    """The cells of all lines, by each of what may stand between them that does."""
    for delimiter in DELIMITERS:
        if any(delimiter in line for line in lines):
            yield rows_of(lines, delimiter)
    yield [line.split() for line in lines]


FORMAT = Format("text", lambda head: head.path.suffix.lower() in SUFFIXES, open_cube, read_plane)
