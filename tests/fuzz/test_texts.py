"""Any text at all, given to what reads texts: values, or the one error of that reader."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from hsi_ssl.cells import records_of, rows_of, whole_number
from hsi_ssl.cli.output import LONGEST, STEERING, one_line, readable
from hsi_ssl.errors import HsiSslError
from hsi_ssl.json_text import parsed
from hsi_ssl.labels.class_codes import remembered
from hsi_ssl.labels.colours import hex_of
from hsi_ssl.labels.legends import legend_file
from hsi_ssl.labels.qgis_styles import xml_root
from hsi_ssl.labels.vectors import is_vector, layers_at
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.scenes.envi_header import read_header
from hsi_ssl.scenes.wavelength_tables import csv_facts
from hsi_ssl.settings import load_project

EXAMPLES = settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
CELLS = st.one_of(
    st.integers().map(str), st.floats().map(str), st.sampled_from(["", "nan", "1e999", "9" * 5000]),
    st.text(max_size=12),
)  # fmt: skip


def tables(*heads: str) -> SearchStrategy[str]:
    """Tables under such a first line, with any cells; or any text."""
    lines = st.lists(st.lists(CELLS, max_size=5).map(",".join), max_size=6).map("\n".join)
    return st.one_of(st.text(), st.tuples(st.sampled_from(heads), lines).map("\n".join))


def lines(*keys: str) -> SearchStrategy[str]:
    """Lines of `key = value`, under known keys and others, with any values."""
    pair = st.tuples(st.sampled_from(keys) | st.text(max_size=5), CELLS).map(" = ".join)
    return st.lists(pair, max_size=12).map("\n".join)


HEADERS = lines(
    "samples", "lines", "bands", "data type", "interleave", "byte order", "header offset", "bbl",
    "wavelength", "wavelength units", "map info", "coordinate system string", "fwhm",
).map("ENVI\n{}".format)  # fmt: skip
TOMLS = lines("[prepare]\ncap", "[m1]\nlatent", "[m2]\nhidden", "[classify]\nspatial", "seed")
READERS: dict[str, tuple[str, SearchStrategy[str], Callable[[Path], Any]]] = {
    "ENVI header": ("s.hdr", HEADERS, read_header),
    "wavelengths": ("w.csv", tables("wavelength,fwhm,bbl", "wavelength_um"),
                    lambda p: csv_facts(p, 3)),
    "settings": ("s.toml", TOMLS, load_project),
    "codes": ("c.csv", tables("code,name,colour", "code;name"), lambda p: remembered([p])),
    "legend": ("l.csv", tables("code,name", "value;r;g;b"), legend_file),
    "colours": ("l.clr", tables("1 0 0 0 255 x"), legend_file),
    "library": ("l.csv", tables("wavelength_nm,a,b", "um;a"), open_library),
    "points": ("p.csv", tables("lon,lat,class", "row,col", "wkt,class"),
               lambda p: layers_at(p) if is_vector(p) else None),
    "regions": ("r.txt", lines("; ENVI Output of ROIs\n; ROI name: a\n; ROI npts: 1\n; X Y\n1"),
                lambda p: layers_at(p) if is_vector(p) else None),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_any_text_is_read_or_refused(name: str) -> None:
    file, texts, read = READERS[name]

    @EXAMPLES
    @given(texts)
    def check(text: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            with contextlib.suppress(HsiSslError):
                read(path)

    check()


@EXAMPLES
@given(st.text(), st.sampled_from(",;\t"))
def test_rows_are_cells_or_a_value_error(text: str, delimiter: str) -> None:
    with contextlib.suppress(ValueError):
        rows = rows_of(text.splitlines(), delimiter)
        assert all(isinstance(cell, str) for row in rows for cell in row)
        names, records = records_of(text.splitlines(), delimiter)
        assert all(set(record) == set(names) for record in records)


def test_a_cell_longer_than_any_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 131,072 letters"):
        rows_of(["x" * 200_000 + ",1"])
    with pytest.raises(ValueError, match="breaks off"):
        rows_of(["a\rb,c"])


@EXAMPLES
@given(st.integers())
def test_whole_numbers_of_64_bits_are_read(number: int) -> None:
    assert whole_number(f" {number} ") == (number if abs(number) < 10**18 else None)


@pytest.mark.parametrize("text", ["", "²", "1.0", "1e3", "true", "1_000", "٣", "9" * 5000, "--1"])
def test_other_texts_are_no_whole_numbers(text: str) -> None:
    assert whole_number(text) is None


@EXAMPLES
@given(st.text())
def test_colours_are_six_digits_or_none(text: str) -> None:
    found = hex_of(text)
    assert found is None or (found[0] == "#" and int(found[1:], 16) < 1 << 24)


@EXAMPLES
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
                    lambda one: st.lists(one) | st.dictionaries(st.text(), one)))  # fmt: skip
def test_json_is_read_as_it_was_written_or_refused(values: Any) -> None:
    with contextlib.suppress(ValueError):
        assert parsed(json.dumps(values)) == values


@EXAMPLES
@given(st.text())
def test_styles_are_xml_or_refused(text: str) -> None:
    with contextlib.suppress(HsiSslError):
        xml_root(text, "a style")


@pytest.mark.parametrize(
    "entity", ['<!ENTITY z "zz">', '<!ENTITY z SYSTEM "file:///a">', '<!ENTITY % z "zz">']
)
def test_styles_with_entities_are_refused(entity: str) -> None:
    with pytest.raises(HsiSslError, match="declares entities"):
        xml_root(f"<!DOCTYPE qgis [{entity}]><qgis>&z;</qgis>", "a style")


@EXAMPLES
@given(st.text())
def test_nothing_that_is_said_steers_a_terminal(text: str) -> None:
    assert STEERING.search(readable(text)) is None
    assert len(one_line(text * 50).splitlines()) <= 1
    assert len(one_line(text * 500)) <= LONGEST


def test_what_steers_is_shown_and_what_is_endless_is_cut() -> None:
    assert one_line("a\x1b[31mb\nc\u202ed") == "a\\x1b[31mb c\\u202ed"
    assert len(readable("9" * 5000)) < 700
    assert readable("Grünstein µm ²") == "Grünstein µm ²"
