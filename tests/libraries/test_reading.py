"""Libraries in every format, written here by other programs' own means, and broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from spectral.database import EcostressDatabase
from spectral.io.envi import SpectralLibrary as EnviLibrary

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.libraries.telling import is_library

NANOMETRES = np.linspace(400, 2500, 211)
VALUES = np.linspace(0.1, 0.9, 211)

ECOSTRESS = """Name: {name}
Type: {kind}
Class: {klass}
Subclass: none
Particle Size: {grain}
Sample No.: {number}
Owner: nobody
Wavelength Range: All
Origin: here
Collected by: us
Description: made for a test
Geologic age: none
Measurement: {measurement}
First Column: X
Second Column: Y
X Units: Wavelength (micrometers)
Y Units: Reflectance (percent)
First X Value: 2.5
Last X Value: 0.4
Number of X Values: 211
Additional Information: none

{rows}
"""


def write_ecostress(folder: Path, number: str, **given: str) -> None:
    fields = {
        "name": "Alunite",
        "kind": "mineral",
        "klass": "sulfate",
        "grain": "fine",
        "measurement": "Reflectance",
    } | given
    rows = "\n".join(
        f"{nm / 1000:.4f}\t{100 * v:.3f}" for nm, v in zip(NANOMETRES[::-1], VALUES, strict=True)
    )
    name = f"mineral.sulfate.none.{number}.jpl.perkin.spectrum.txt"
    (folder / name).write_text(ECOSTRESS.format(**fields, number=number, rows=rows))


def database(folder: Path) -> Path:
    path = folder / "ecostress.db"
    made = EcostressDatabase.create(str(path), str(folder))
    made.db.close()
    return path


def test_ecostress_as_spectral_builds_it(tmp_path: Path) -> None:
    write_ecostress(tmp_path, "S-12")
    write_ecostress(tmp_path, "R-1", name="Construction Asphalt", kind="manmade", grain="none")
    write_ecostress(tmp_path, "T-1", name="Calcite", measurement="transmittance")
    found = open_library(database(tmp_path))
    by_name = {s.name: s for s in found.spectra}
    assert set(by_name) == {"Alunite S-12 fine", "Construction Asphalt R-1"}
    assert by_name["Alunite S-12 fine"].material == "Alunite"
    assert by_name["Construction Asphalt R-1"].material == "Construction Asphalt"
    sample = by_name["Alunite S-12 fine"]
    assert sample.wavelengths_nm == pytest.approx(NANOMETRES, abs=1e-2)
    assert sample.reflectance == pytest.approx(100 * VALUES[::-1], abs=1e-2)


def test_an_empty_or_strange_database_is_refused(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "none").mkdir()
    write_ecostress(tmp_path, "T-1", measurement="transmittance")
    with pytest.raises(LibraryError, match="holds no reflectance"):
        open_library(database(tmp_path))
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE birds (name TEXT)")
    connection.close()
    with pytest.raises(LibraryError, match="no ECOSTRESS database of spectral"):
        open_library(other)


@pytest.mark.parametrize("named", ["lab.sli", "lab.hdr"])
@pytest.mark.parametrize(("unit", "factor"), [("Micrometers", 1000), ("Nanometers", 1)])
def test_envi(tmp_path: Path, named: str, unit: str, factor: float) -> None:
    header = {
        "wavelength": [f"{nm / factor:.5f}" for nm in NANOMETRES],
        "wavelength units": unit,
        "spectra names": ["Alunite  A", "Calcite B"],
    }
    values = np.stack([VALUES, VALUES[::-1]])
    values[1, 7] = -1.23e34
    EnviLibrary(values, header).save(str(tmp_path / "lab"))
    found = open_library(tmp_path / named)
    assert [s.name for s in found.spectra] == ["Alunite A", "Calcite B"]
    assert [s.material for s in found.spectra] == ["Alunite A", "Calcite B"]
    assert found.spectra[0].wavelengths_nm == pytest.approx(NANOMETRES, abs=1e-2)
    assert found.spectra[0].reflectance == pytest.approx(VALUES)
    assert np.flatnonzero(np.isnan(found.spectra[1].reflectance)).tolist() == [7]


ENVI_HEADER = (
    "ENVI\nsamples = {samples}\nlines = 2\nbands = 1\nheader offset = 4\n"
    "file type = ENVI Spectral Library\ndata type = 4\ninterleave = bsq\nbyte order = 1\n"
    "wavelength units = {unit}\nwavelength = {{{wavelengths}}}\nspectra names = {{{names}}}\n"
)


def write_envi(folder: Path, header: str, data: str, encoding: str = "utf-8", **given: str) -> Path:
    fields = {
        "samples": str(len(VALUES)),
        "unit": "nm",
        "wavelengths": ", ".join(map(str, NANOMETRES)),
        "names": "Alunite, Calcite",
    } | given
    (folder / header).write_bytes(ENVI_HEADER.format(**fields).encode(encoding))
    numbers = np.stack([VALUES, VALUES[::-1]]).astype(">f4").tobytes()
    (folder / data).write_bytes(b"head" + numbers)
    return folder / data


@pytest.mark.parametrize(("header", "data"), [("LIB.HDR", "LIB.SLI"), ("lib.sli.hdr", "lib.sli")])
@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252"])
def test_envi_as_tools_write_it(tmp_path: Path, header: str, data: str, encoding: str) -> None:
    microns = ", ".join(f"{nm / 1000:.4f}" for nm in NANOMETRES)
    write_envi(
        tmp_path, header, data, encoding, unit="µm", wavelengths=microns, names="Grünstein, Calcite"
    )
    for name in (header, data):
        found = open_library(tmp_path / name)
        assert [s.name for s in found.spectra] == ["Grünstein", "Calcite"]
        assert found.spectra[1].wavelengths_nm == pytest.approx(NANOMETRES, abs=0.1)
        assert found.spectra[1].reflectance == pytest.approx(VALUES[::-1])


def test_a_band_without_wavelength_is_left_out_of_a_library(tmp_path: Path) -> None:
    odd = ", ".join(["0", *map(str, NANOMETRES[1:])])
    found = open_library(write_envi(tmp_path, "lib.hdr", "lib.sli", wavelengths=odd))
    assert found.spectra[0].wavelengths_nm.tolist() == NANOMETRES[1:].tolist()
    assert found.spectra[0].reflectance == pytest.approx(VALUES[1:])
    (note,) = found.notes
    assert "which counts as bad" in note


def test_an_envi_library_with_another_number_of_names(tmp_path: Path) -> None:
    path = write_envi(tmp_path, "lib.hdr", "lib.sli", names="one, two, three")
    with pytest.raises(LibraryError, match="names 3 spectra where there are 2"):
        open_library(path)


def test_envi_that_is_broken_or_a_cube(tmp_path: Path) -> None:
    (tmp_path / "alone.sli").write_bytes(b"\0" * 100)
    with pytest.raises(LibraryError, match="no ENVI header beside"):
        open_library(tmp_path / "alone.sli")
    EnviLibrary(VALUES[None], {"spectra names": ["Alunite"]}).save(str(tmp_path / "nameless"))
    with pytest.raises(LibraryError, match="no wavelength for each band"):
        open_library(tmp_path / "nameless.sli")
    header = {"wavelength": NANOMETRES.tolist(), "spectra names": ["Alunite"]}
    EnviLibrary(VALUES[None], header).save(str(tmp_path / "cut"))
    (tmp_path / "cut.sli").write_bytes(b"\0" * 10)
    with pytest.raises(LibraryError, match="no readable ENVI spectral library"):
        open_library(tmp_path / "cut.sli")


def csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "mine.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_with_units_and_empty_cells(tmp_path: Path) -> None:
    text = "wavelength_um;alunite_1;alunite_2\n1.0;0.5;0.4\n2.0;;0.5\n2.5;0.7;nan\n"
    found = open_library(csv(tmp_path, text))
    assert [s.material for s in found.spectra] == ["alunite_1", "alunite_2"]
    assert found.spectra[0].wavelengths_nm.tolist() == [1000, 2000, 2500]
    assert found.spectra[0].reflectance == pytest.approx([0.5, np.nan, 0.7], nan_ok=True)
    assert found.notes == ()


SAME = {
    "points": "wavelength_nm,oak leaf,soil\n1000,0.5,0.25\n1500.5,0.75,\n2000,0.5,0.5\n",
    "semicolons and decimal commas": (
        "wavelength_nm;oak leaf;soil\r\n1000,0;0,5;0,25\r\n1500,5;0,75;\r\n2000;0,5;0,5\r\n"
    ),
    "semicolons after every row": (
        "wavelength_nm;oak leaf;soil;\n1000;0.5;0.25;\n1500.5;0.75;n/a;\n2000;0.5;0.5;\n"
    ),
    "tabs": "wavelength_nm\toak leaf\tsoil\n1000\t0.5\t0.25\n1500.5\t0.75\t\n2000\t0.5\t0.5\n",
    "tabs and decimal commas": (
        "wavelength_nm\toak leaf\tsoil\n1000\t0,5\t0,25\n1500,5\t0,75\tNA\n2000\t0,5\t0,5\n"
    ),
    "quoted decimal commas": (
        'wavelength_nm,oak leaf,soil\n"1000","0,5","0,25"\n"1500,5","0,75",\n2000,"0,5","0,5"\n'
    ),
    "blanks after commas": (
        "wavelength_nm, oak leaf, soil\n1000, 0.5, 0.25\n1500.5, 0.75, \n2000, 0.5, 0.5\n"
    ),
    "comments, empty lines, a row of units": (
        "# measured in May\n\nWavelength,oak leaf,soil\nnm,-,-\n% lamp 2\n1000,0.5,0.25\n,,\n"
        "1500.5,0.75,\n2000,0.5,0.5\n"
    ),
    "a title above": (
        "Spectra of May\nwavelength_nm,oak leaf,soil\n1000,0.5,0.25\n1500.5,0.75,\n2000,0.5,0.5\n"
    ),
    "along rows": "nm;1000;1500,5;2000\noak leaf;0,5;0,75;0,5\nsoil;0,25;;0,5\n",
}


@pytest.mark.parametrize("text", SAME.values(), ids=list(SAME))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_as_programs_write_it(tmp_path: Path, text: str, encoding: str) -> None:
    found = open_library(csv(tmp_path, text, encoding))
    assert [(s.name, s.material) for s in found.spectra] == [
        ("oak leaf", "oak leaf"),
        ("soil", "soil"),
    ]
    assert found.spectra[1].wavelengths_nm.tolist() == [1000, 1500.5, 2000]
    assert found.spectra[0].reflectance.tolist() == [0.5, 0.75, 0.5]
    assert found.spectra[1].reflectance == pytest.approx([0.25, np.nan, 0.5], nan_ok=True)
    assert found.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        "wavelength_nm oak soil\n1000 0.5 0.25\n2000   0.5 nan\n",
        "wavelength_nm  oak  soil\n 1000  0,5  0,25\n 2000  0,5  -\n",
        "# wavelength_nm oak soil\n1.0e+03 5e-01 2.5e-01\n2.0e+03 5e-01 nan\n",
    ],
)
def test_csv_with_blanks(tmp_path: Path, text: str) -> None:
    found = open_library(csv(tmp_path, text))
    assert [s.name for s in found.spectra] == ["oak", "soil"]
    assert found.spectra[0].reflectance.tolist() == [0.5, 0.5]
    assert found.spectra[1].reflectance == pytest.approx([0.25, np.nan], nan_ok=True)


def test_csv_of_western_windows(tmp_path: Path) -> None:
    path = csv(tmp_path, "Wellenl\u00e4nge [\u00b5m];Kr\u00e4uter\n1,0;0,5\n2,0;0,4\n", "cp1252")
    found = open_library(path)
    assert found.spectra[0].name == "Kr\u00e4uter"
    assert found.spectra[0].wavelengths_nm.tolist() == [1000, 2000]
    assert found.notes == ()


@pytest.mark.parametrize(
    "text", ["1000,0.5\n1500,0.75\n", "1000;0,5\n1500;0,75", "1000\t0.5\n1500 0.75"]
)
def test_csv_without_names_has_that_of_its_file(tmp_path: Path, text: str) -> None:
    found = open_library(csv(tmp_path, text))
    assert [s.name for s in found.spectra] == ["mine"]
    assert found.spectra[0].wavelengths_nm.tolist() == [1000, 1500]
    assert found.spectra[0].reflectance.tolist() == [0.5, 0.75]


def test_several_spectra_without_names_are_counted(tmp_path: Path) -> None:
    found = open_library(csv(tmp_path, "1000,0.5,0.4\n1500,0.75,0.3\n"))
    assert [s.name for s in found.spectra] == ["mine 1", "mine 2"]
    assert found.notes[0] == (
        "mine.csv has no first row of names: its 2 spectra are called mine 1 to mine 2"
    )


def test_names_that_occur_twice_are_both_kept(tmp_path: Path) -> None:
    found = open_library(csv(tmp_path, "wavelength_nm,oak,oak\n1000,0.5,0.4\n1500,0.75,0.3\n"))
    assert [s.material for s in found.spectra] == ["oak", "oak"]
    assert [s.reflectance[0] for s in found.spectra] == [0.5, 0.4]


def test_a_csv_that_says_so_is_one_of_minerals(tmp_path: Path) -> None:
    rows = "wavelength_nm,alunite 1,alunite 2,calcite+talc 3\n1000,0.5,0.4,0.3\n1500,0.7,0.3,0.2\n"
    plain = open_library(csv(tmp_path, rows))
    assert [s.material for s in plain.spectra] == ["alunite 1", "alunite 2", "calcite+talc 3"]
    assert not any(s.mixture for s in plain.spectra)
    said = open_library(csv(tmp_path, "# from the USGS spectral library 7\n" + rows))
    assert [s.material for s in said.spectra] == ["Alunite", "Alunite", "Calcite+talc"]
    assert [s.mixture for s in said.spectra] == [False, False, True]


def test_csv_without_unit_says_what_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("wavelength,alunite\n1.0,0.5\n2.0,0.4\n")
    found = open_library(path)
    assert found.spectra[0].wavelengths_nm.tolist() == [1000, 2000]
    assert "taken as micrometres" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected a first row of names"),
        ("wavelength\n1\n", "expected a first row of names"),
        ("wavelength,a\n1,x\n", "'x' in row 2 is no number"),
        ("wavelength,a\n1,2,3\n", "row 2 has 3 cells"),
        ("wavelength,a\n,2\n", "no wavelength in every row"),
        ("wavelength,,b\n1,2,3\n", "found an empty name"),
        ("wavelength;a\n1,0;0,5\n2,0;0.5\n", "'0.5' in row 3 is no number"),
        ("wavelength,a\n", "no row of numbers below its names"),
        ("just a letter\nto a friend\n", "is no number"),
    ],
)
def test_broken_csv(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(LibraryError, match=sentence):
        open_library(path)


def test_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no spectral library"):
        open_library(tmp_path / "nothing.sli")
    with pytest.raises(LibraryError, match="cannot be read"):
        open_library(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"\0\1\2")
    with pytest.raises(LibraryError, match="is no spectral library"):
        open_library(tmp_path / "x.bin")


def test_usgs_splib06(real_data: Callable[[str], Path]) -> None:
    found = open_library(real_data("usgs-splib06/s06av95a_envi.sli"))
    assert len(found.spectra) == 1365
    named = {s.material for s in found.spectra}
    assert {"Alunite", "Chlorite", "Gypsum", "Calcite+Talc"} <= named
    alunite = next(s for s in found.spectra if s.name.startswith("Alunite GDS84"))
    assert (np.diff(alunite.wavelengths_nm) >= 0).all()
    assert alunite.wavelengths_nm[[0, -1]] == pytest.approx([383.15, 2508.2])
    assert np.nanmax(alunite.reflectance) < 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE Spectra SET XData = 'no'", "spectra as bytes"),
        ("UPDATE Samples SET Name = x'ff'", "expected texts"),
        ("UPDATE Spectra SET YData = x'00000000'", "211 wavelengths and 1 values"),
        ("UPDATE Spectra SET XData = x'0000'", "0.5 wavelengths"),
    ],
)
def test_a_database_with_other_cells_is_refused(tmp_path: Path, change: str, words: str) -> None:
    import sqlite3

    write_ecostress(tmp_path, "S-12")
    path = database(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(LibraryError, match=words):
        open_library(path)


NM = np.arange(350.0, 2501.0, 10.0)
SED = """Comment: plot 7
Version: 2.2
Instrument: PSR+3500_SN1
Measurement: REFLECTANCE
Columns [4]:
Data:
Wvl\tRad. (Ref.)\tRad. (Target)\tReflect. %
"""
SIG = """/*** Spectra Vista SIG Data ***/
name= plot7.sig
instrument= HI: 1182053
units= Radiance, Radiance
data=
"""
ECOSTRESS_TEXT = """Name: Quartz SiO2
Type: mineral
Particle Size: Coarse
First Column: X
Second Column: Y
X Units: Wavelength (micrometers)
Y Units: Reflectance (percent)

"""


@pytest.mark.parametrize(
    ("name", "head", "line", "called", "unit"),
    [
        ("plot7.sed", SED, "{nm:.1f}\t1.2E-1\t3.4E-2\t{value:.3f}", "plot7", "nm"),
        ("plot7.sig", SIG, "{nm:.1f}  1204.5  310.1  {value:.3f}", "plot7", "nm"),
        ("q.spectrum.txt", ECOSTRESS_TEXT, "{um:.4f}\t{value:.3f}", "Quartz SiO2", "micrometers"),
    ],
)
def test_text_of_field_spectrometers(
    tmp_path: Path, name: str, head: str, line: str, called: str, unit: str
) -> None:
    values = 30 + 10 * np.sin(NM / 200)
    path = tmp_path / name
    lines = [line.format(nm=nm, um=nm / 1000, value=v) for nm, v in zip(NM, values, strict=True)]
    path.write_text(head + "\n".join(lines) + "\n")
    assert is_library(path)
    library = open_library(path)
    (one,) = library.spectra
    assert (one.name, library.unit) == (called, unit)
    np.testing.assert_allclose(one.wavelengths_nm, NM)
    np.testing.assert_allclose(one.reflectance, values, atol=1e-3)


def test_columns_of_a_field_spectrometer_are_those_of_their_titles(tmp_path: Path) -> None:
    five = SED.replace("[4]", "[5]").replace("Wvl", "Chan.#\tWvl")
    lines = [f"{i}\t{nm:.1f}\t1.2\t3.4\t{nm / 50:.2f}" for i, nm in enumerate(NM)]
    (tmp_path / "a.sed").write_text(five + "\n".join(lines) + "\n")
    (one,) = open_library(tmp_path / "a.sed").spectra
    np.testing.assert_allclose(one.wavelengths_nm, NM)
    np.testing.assert_allclose(one.reflectance, NM / 50)
    three = SED.replace("[4]", "[3]").replace("\tReflect. %", "")
    (tmp_path / "b.sed").write_text(three + "350.0\t1.2\t3.4\n" * 9)
    with pytest.raises(LibraryError, match=r"no reflectance .*, only Wvl, Rad. \(Ref.\)"):
        open_library(tmp_path / "b.sed")


def test_spectra_in_rows_that_pandas_has_numbered_keep_their_numbers(tmp_path: Path) -> None:
    head = ",".join(["", *(f"{nm:.1f}" for nm in NM)])
    rows = [",".join([str(i), *map(str, NM / 5000 * (i + 1))]) for i in range(3)]
    (tmp_path / "s.csv").write_text("\n".join([head, *rows]) + "\n")
    library = open_library(tmp_path / "s.csv")
    assert [one.name for one in library.spectra] == ["row 0", "row 1", "row 2"]
    np.testing.assert_allclose(library.spectra[2].wavelengths_nm, NM)
    np.testing.assert_allclose(library.spectra[2].reflectance, NM / 5000 * 3)


@pytest.mark.parametrize("wide", [True, False])
def test_numbers_of_rows_that_pandas_writes_are_no_spectrum(tmp_path: Path, wide: bool) -> None:
    spectra = {"oak": NM / 5000, "pine": NM / 9000}
    if wide:
        lines = (
            ["sample", *(f"{nm:.1f}" for nm in NM)],
            *([n, *map(str, v)] for n, v in spectra.items()),
        )
    else:
        each = zip(NM, *spectra.values(), strict=True)
        lines = ["wavelength", *spectra], *(list(map(str, one)) for one in each)
    path = tmp_path / "field.csv"
    path.write_text(
        "".join(",".join([str(i - 1) if i else "", *one]) + "\n" for i, one in enumerate(lines))
    )
    assert is_library(path)
    library = open_library(path)
    assert [one.name for one in library.spectra] == ["oak", "pine"]
    np.testing.assert_allclose(library.spectra[1].reflectance, NM / 9000)
