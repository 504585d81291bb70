from __future__ import annotations

import json
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.envi_header import (
    esri_wavelengths,
    fields_of,
    for_gdal,
    is_envi_header,
    is_esri_header,
    is_library,
    layout_of,
    listed,
    read_header,
)

PLAIN = {
    "samples": "4",
    "lines": "3",
    "bands": "2",
    "data type": "12",
    "interleave": "bil",
    "byte order": "1",
    "header offset": "8",
}


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("ENVI\nsamples = 4\n", "samples", "4"),
        ("ENVI\n  Data_Type=12", "data type", "12"),
        ("ENVI\nwavelength = {1, 2}\n", "wavelength", "{1, 2}"),
        ("ENVI\nwavelength =\n {1,\n 2\n}\nbands = 2", "wavelength", "{1,\n 2\n}"),
        ("ENVI\ndescription = {\n a = 1\n b {c} d}\nbands = 2", "bands", "2"),
        ("ENVI\ndescription = {\n a = 1\n b {c} d}\nbands = 2", "description",
         "{\n a = 1\n b {c} d}"),
        ("ENVI\ndescription = { a { b }\nbands = 2", "bands", "2"),
        ("ENVI\nbbl = {1,\n; only the first\n0}\n", "bbl", "{1,\n\n0}"),
        ("ENVI\n; samples = 7\nsamples = 4\n", "samples", "4"),
        ("ENVI\nwavelength = { 1, 2\nbands = 2", "bands", "2"),
        ("ENVI\nbands = 1\nbands = 2", "bands", "2"),
        ("ENVI\nmap info = {UTM, units=Meters, rotation=30}\n", "map info",
         "{UTM, units=Meters, rotation=30}"),
        ("ENVI\nband names = {" + "x" * 50_000 + "}\nbands = 2", "bands", "2"),
    ],
)  # fmt: skip
def test_fields(text: str, name: str, value: str) -> None:
    assert fields_of(text)[name] == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(tmp_path: Path, encoding: str, ending: str) -> None:
    text = "ENVI\ndescription = {Grünstein,\n µm}\nwavelength units = µm\n"
    path = tmp_path / "x.hdr"
    path.write_bytes(text.replace("\n", ending).encode(encoding))
    assert is_envi_header(path)
    assert not is_esri_header(path)
    found = read_header(path)
    assert found == {"description": "{Grünstein,\n µm}", "wavelength units": "µm"}


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ("{1, 2,3}", ["1", "2", "3"]),
        ("{ 1,\n 2\n}", ["1", "2"]),
        ("{,1,2,}", ["1", "2"]),
        ("{1,,2}", ["1", "", "2"]),
        ("{400.5 1e3\n -2}", ["400.5", "1e3", "-2"]),
        ("{one name}", ["one name"]),
        ("5", ["5"]),
        ("{}", []),
        ("", []),
    ],
)
def test_lists(value: str, entries: list[str]) -> None:
    assert listed(value) == entries


def test_a_layout() -> None:
    found = layout_of(PLAIN, Path("x.hdr"))
    assert (found.rows, found.cols, found.bands) == (3, 4, 2)
    assert found.dtype == np.dtype(">u2")
    assert (found.interleave, found.offset, found.compressed) == ("bil", 8, False)
    assert found.size == 8 + 4 * 3 * 2 * 2
    assert found.notes == ()


def test_a_missing_byte_order_is_little_and_said_where_it_matters() -> None:
    without = {name: value for name, value in PLAIN.items() if name != "byte order"}
    found = layout_of(without, Path("x.hdr"))
    assert found.dtype == np.dtype("<u2")
    assert found.notes == ("x.hdr tells no byte order: taken as little-endian",)
    assert layout_of(without | {"data type": "1"}, Path("x.hdr")).notes == ()


def test_one_band_needs_no_interleave() -> None:
    without = {name: value for name, value in PLAIN.items() if name != "interleave"}
    assert layout_of(without | {"bands": "1"}, Path("x.hdr")).bands == 1


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"samples": None}, "x.hdr has no samples; expected"),
        ({"lines": None}, "x.hdr has no lines; expected"),
        ({"bands": None}, "x.hdr has no bands; expected"),
        ({"data type": None}, "x.hdr has no data type; expected"),
        ({"data type": "7"}, "data type = 7 is none of ENVI's; expected one of 1, 2"),
        ({"interleave": None}, "has no interleave, .* expected interleave = bsq, bil or bip"),
        ({"interleave": "tiled"}, "has interleave = tiled, .* expected interleave"),
        ({"interleave": "tiled", "bands": "1"}, "has interleave = tiled"),
        ({"byte order": "intel"}, r"byte order = intel; expected 0 \(little-endian\)"),
        ({"lines": "many"}, "x.hdr is broken: lines = many; expected a whole number from 1"),
        ({"lines": "0"}, "lines = 0; expected a whole number from 1"),
        ({"lines": "2.5"}, "lines = 2.5; expected a whole number"),
        ({"lines": "inf"}, "lines = inf; expected a whole number"),
        ({"header offset": "-1"}, "header offset = -1; expected a whole number from 0"),
        ({"major frame offsets": "{0, 12}"}, "major frame offsets = {0, 12}, .* does not read"),
    ],
)
def test_refusals(changed: dict[str, str | None], sentence: str) -> None:
    fields = {name: value for name, value in (PLAIN | changed).items() if value is not None}
    with pytest.raises(SceneError, match=sentence) as caught:
        layout_of(fields, Path("x.hdr"))
    assert len(str(caught.value).splitlines()) == 1


def test_numbers_as_people_write_them() -> None:
    fields = PLAIN | {"samples": " 4 ; columns", "lines": "{3}", "interleave": "BIL"}
    assert layout_of(fields, Path("x.hdr")) == layout_of(PLAIN, Path("x.hdr"))


def test_what_gdal_is_handed_says_the_same() -> None:
    fields = PLAIN | {"band names": "{" + ", ".join(f"band {i}" for i in range(5000)) + "}"}
    text = for_gdal(fields, layout_of(fields, Path("x.hdr")))
    assert max(map(len, text.splitlines())) < 10_000
    again = fields_of(text)
    assert listed(again.pop("band names")) == listed(fields.pop("band names"))
    assert again == fields


def test_library() -> None:
    assert is_library({"file type": "ENVI Spectral Library"})
    assert is_library({"file type": "{envi spectral  library}"})
    assert not is_library({"file type": "ENVI Standard"})


def test_esri(tmp_path: Path) -> None:
    path = tmp_path / "x.hdr"
    text = "LAYOUT BIL\nNROWS 3\nNCOLS 4\nNBANDS 2\nWAVELENGTHS\n400.5\n500\nWAVELENGTHS_END\n"
    path.write_text(text)
    assert is_esri_header(path)
    assert not is_envi_header(path)
    assert esri_wavelengths(text) == ["400.5", "500"]
    assert esri_wavelengths("NROWS 3\n") is None
    assert not is_esri_header(tmp_path / "missing.hdr")


def test_a_large_header_takes_little_time() -> None:
    numbers = np.round(np.linspace(400, 2500, 2000), 4).tolist()
    text = "ENVI\n" + "".join(
        f"{name} = {{{', '.join(map(str, numbers))}}}\n" for name in ("wavelength", "fwhm")
    )
    as_json = json.dumps([numbers, numbers])

    def parsed() -> list[list[float]]:
        return [[*map(float, listed(value))] for value in fields_of(text).values()]

    def seconds(what: Callable[[], object]) -> float:
        return timeit.timeit(what, timer=time.process_time, number=3)

    assert parsed() == [numbers, numbers]
    # In turns, so that a neighbour that takes the cache for a while spoils both.
    turns = [(seconds(parsed), seconds(lambda: json.loads(as_json))) for _ in range(50)]
    own, known = map(min, zip(*turns, strict=True))
    assert own < 3 * known


@pytest.mark.parametrize("broken", ["{" * 3000, "a = {" * 3000, "= \n" * 3000, " " * 30_000 + "\n"])
def test_a_broken_header_takes_little_time(broken: str) -> None:
    assert timeit.timeit(lambda: fields_of("ENVI\n" + broken), number=1) < 2
