from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.wavelength_tables import csv_facts
from hsi_ssl.scenes.wavelengths import (
    BandFacts,
    band_facts,
    envi_facts,
    imagery_facts,
    tagged_facts,
    unit_in,
    with_facts,
)


@pytest.mark.parametrize(
    ("values", "units", "expected"),
    [
        ([0.4, 2.5], "Micrometers", [400, 2500]),
        ([0.4, 2.5], "um", [400, 2500]),
        (["0.4", " 2.5 "], "microns", [400, 2500]),
        ([400, 2500], "Nanometers", [400, 2500]),
        ([400, 2500], "nm", [400, 2500]),
        ([4000, 25000], "Angstroms", [400, 2500]),
        (np.array([0.4363, 2.402], np.float32), "µm", [436.3, 2402]),
    ],
)
def test_units(values: object, units: str, expected: list[float]) -> None:
    facts = band_facts(2, where="x", wavelengths=values, units=units)
    assert facts.wavelengths_nm is not None
    assert facts.wavelengths_nm.tolist() == expected
    assert facts.notes == ()


@pytest.mark.parametrize(
    ("values", "expected", "word"),
    [
        ([0.4, 2.5], [400, 2500], "micrometres"),
        ([8.0, 99.9], [8000, 99900], "micrometres"),
        ([99.9, 100.0], [99.9, 100], "nanometres"),
        ([400, 2500], [400, 2500], "nanometres"),
    ],
)
@pytest.mark.parametrize("units", [None, "", "Unknown"])
def test_units_guessed(
    values: list[float], expected: list[float], word: str, units: str | None
) -> None:
    facts = band_facts(2, where="the file", wavelengths=values, units=units, fwhm=[0.1, 0.2])
    assert facts.wavelengths_nm is not None
    assert facts.wavelengths_nm.tolist() == expected
    factor = 1000 if word == "micrometres" else 1
    assert facts.fwhm_nm is not None
    assert facts.fwhm_nm.tolist() == [0.1 * factor, 0.2 * factor]
    (note,) = facts.notes
    assert "the file" in note
    assert f"taken as {word}" in note


@pytest.mark.parametrize(
    "values", [[400], [400, 500, 600], [400, "x"], [0, 0], [400, np.nan], [-1, 2], None, []]
)
def test_lists_that_are_not_whole_say_nothing(values: object) -> None:
    facts = band_facts(2, where="x", wavelengths=values, units="nm", fwhm=[5, 5])
    assert facts.wavelengths_nm is None
    assert facts.fwhm_nm is None
    assert facts.notes == ()


def test_tags_of_any_case() -> None:
    tags = [{"Wavelength": f"{w}", "WAVELENGTH_UNITS": "Micrometers", "bbl": b} for w, b in
            ((0.5, "1"), (0.6, "0"))]  # fmt: skip
    facts = tagged_facts(tags, where="x")
    assert facts.wavelengths_nm is not None
    assert facts.wavelengths_nm.tolist() == [500, 600]
    assert facts.fwhm_nm is None
    assert facts.good is not None
    assert facts.good.tolist() == [True, False]


def test_one_band_without_a_tag_spoils_the_source() -> None:
    assert tagged_facts([{"wavelength": "500"}, {}], where="x").wavelengths_nm is None
    assert imagery_facts([{"CENTRAL_WAVELENGTH_UM": "0.5"}, {}]).wavelengths_nm is None


def test_envi_fields_as_lists_and_texts() -> None:
    for header in (
        {"wavelength": ["0.5", "0.6"], "wavelength units": "um", "bbl": ["1", "0"]},
        {"wavelength": "{ 0.5, 0.6 }", "wavelength_units": "um", "bbl": "{\n1, 0}"},
    ):
        facts = envi_facts(header, 2, where="x")
        assert facts.wavelengths_nm is not None
        assert facts.wavelengths_nm.tolist() == [500, 600]
        assert facts.good is not None
        assert facts.good.tolist() == [True, False]


def test_the_first_source_counts_for_each_fact() -> None:
    first = BandFacts(np.array([1.0]), None, None, ("first",))
    second = BandFacts(np.array([2.0]), np.array([0.5]), np.array([False]), ("second",))
    both = first.else_from(second)
    assert both.wavelengths_nm is not None
    assert both.wavelengths_nm.tolist() == [1]
    assert both.fwhm_nm is None  # widths go with their own centres
    assert both.good is not None
    assert both.good.tolist() == [False]
    assert both.notes == ("first",)
    assert BandFacts(notes=("left out",)).else_from(second).notes == ("left out", "second")


def test_a_scene_keeps_its_own_facts() -> None:
    reader = ArrayReader(np.ones((2, 2, 2)))
    scene = Scene(Path("x"), "test", 2, 2, 2, reader.dtype, reader)
    given = BandFacts(np.array([1.0, 2]), None, np.array([True, False]), ("guessed",))
    told = with_facts(scene, given)
    assert told.wavelengths_nm is not None
    assert told.wavelengths_nm.tolist() == [1, 2]
    assert told.good.tolist() == [True, False]
    assert told.notes == ("guessed",)
    again = with_facts(told, replace(given, wavelengths_nm=np.array([3.0, 4]), notes=("no",)))
    assert again.wavelengths_nm is not None
    assert again.wavelengths_nm.tolist() == [1, 2]
    assert again.notes == ("guessed",)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("500\n600\n", 1),
        ("wavelength_nm\n500\n600\n", 0),
        ("\ufeffwavelength_um,fwhm,bbl\n0.5,0.01,1\n\n0.6,0.02,0\n", 0),
        ("band,Wavelength (nm),FWHM\n1,500,10\n2,600,20\n", 0),
    ],
)
def test_csv(tmp_path: Path, text: str, notes: int) -> None:
    path = tmp_path / "bands.csv"
    path.write_text(text, encoding="utf-8")
    facts = csv_facts(path, 2)
    assert facts.wavelengths_nm is not None
    assert facts.wavelengths_nm.tolist() == [500, 600]
    assert len(facts.notes) == notes
    if "fwhm" in text.lower():
        assert facts.fwhm_nm is not None
        assert facts.fwhm_nm.tolist() == [10, 20]
    if "bbl" in text:
        assert facts.good is not None
        assert facts.good.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "widths", "noted"),
    [
        ("500.5\t10\n600.5\t20\n", True, "column 1 is taken for wavelengths, the next one for wid"),
        ("  500.5   10  0.03 1\n  600.5   20  0.03 2\n", True, "column 1 is taken"),
        ("1 500.5 10\n2 600.5 20\n", True, "column 2 is taken"),
        ("500.5,600.5\n", False, ""),
        ("band orband wl fwhm\n1 7 500.5 10\n2 8 600.5 20\n", True, ""),
        ("wavelength;fwhm\n500,5;10\n600,5;20\n", True, ""),
        ("Wavelength (um)\tFWHM\n0.5005\t0.010\n0.6005\t0.020\n", True, ""),
        ("# made by hand\n500.5\n600.5\n", False, ""),
        ("wavelength,fwhm\n500.5,10\n600.5\n", False, ""),
        ("\twavelength\tfwhm\n0\t500.5\t10\n1\t600.5\t20\n", True, ""),
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, text: str, widths: bool, noted: str) -> None:
    path = tmp_path / "bands.txt"
    path.write_text(text)
    facts = csv_facts(path, 2)
    assert facts.wavelengths_nm is not None
    np.testing.assert_allclose(facts.wavelengths_nm, [500.5, 600.5])
    assert (facts.fwhm_nm is not None) == widths
    if facts.fwhm_nm is not None:
        np.testing.assert_allclose(facts.fwhm_nm, [10, 20])
    told = [note for note in facts.notes if "is taken for wavelengths" in note]
    assert (noted in told[0]) if noted else not told


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("500\n", "expected 2 positive numbers, found 1 rows"),
        ("500\n600\n700\n", "found 3 rows"),
        ("500\nx\n", "expected 2 positive"),
        ("a,b\n1,2\n3,4\n", "no column `wavelength`"),
        ("500,5\n600,5\n", "may be one number with a decimal comma, or two"),
        ("wavelength\n500,5\n600,5\n", "may be one number with a decimal comma, or two"),
        ("wavelength fwhm\n1 500 5\n2 600 5\n", "rows of 3 cells below a first one of 2"),
        ("", "no column `wavelength`"),
    ],
)
def test_csv_that_does_not_fit(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bands.csv"
    path.write_text(text)
    with pytest.raises(SceneError, match=sentence):
        csv_facts(path, 2)


def test_csv_missing_or_binary(tmp_path: Path) -> None:
    with pytest.raises(SceneNotFoundError, match=r"no file .*bands\.csv"):
        csv_facts(tmp_path / "bands.csv", 2)
    (tmp_path / "bands.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SceneError, match="is no CSV"):
        csv_facts(tmp_path / "bands.csv", 2)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("wavelengths_um", "um"),
        ("wavelength (nm)", "nm"),
        ("Wavelength [Nanometers]", "nanometers"),
        ("wavelengths", None),
        ("wavelength_list", None),
    ],
)
def test_unit_in_a_name(name: str, unit: str | None) -> None:
    assert unit_in(name) == unit
