from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.describing.telling import describe
from hsi_ssl.errors import HsiSslError


def text_of(path: Path) -> str:
    return "\n".join((*describe(path).lines, ""))


BANDS_NM = np.linspace(400, 2500, 40)


def library_csv(path: Path, names: tuple[str, ...]) -> Path:
    rows = [";".join(("wavelength_um", *names))]
    rows += [
        ";".join(f"{v:.4f}".replace(".", ",") for v in (nm / 1000, *np.full(len(names), nm / 5000)))
        for nm in BANDS_NM
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_library_of_text(tmp_path: Path) -> None:
    path = library_csv(tmp_path / "own.csv", ("oak", "oak", *(f"s{i}" for i in range(10))))
    found = describe(path).values
    assert (found["kind"], found["format"], found["unit"]) == ("library", "table of text", "um")
    assert (found["spectra"], found["materials"], found["bands"]) == (12, 11, 40)
    assert found["names"][:3] == ["oak", "oak", "s0"]
    assert found["range_nm"] == pytest.approx([400, 2500])
    assert found["wavelengths_nm"] == pytest.approx(BANDS_NM, abs=0.06)
    lines = describe(path).lines
    assert lines == [
        f"{path}: spectral library, table of text",
        "12 spectra of 11 materials",
        "40 bands, wavelengths 400.0 to 2500.0 nm (in the file: um)",
        "values 0.08 to 0.5",
        "names: oak, oak, s0, s1, s2, s3, s4, s5 and 4 more",
    ]


def test_library_without_names_and_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "target.csv"
    path.write_text("".join(f"{nm:.1f},{nm / 9999:.4f}\n" for nm in BANDS_NM))
    assert describe(path).values["names"] == ["target"]
    assert "carry no unit: taken as nanometres" in text_of(path)
    path.write_text("".join(f"{200 + i},{i % 3}\n" for i in range(20)))
    assert describe(path).values["kind"] == "labels"
    path.write_text("wavelength,fwhm\n400,5\n500,6\n")
    assert describe(path).values["kind"] != "library"


@pytest.mark.parametrize("named", ["lab.sli", "lab.hdr"])
def test_library_of_envi(tmp_path: Path, named: str) -> None:
    from spectral.io.envi import SpectralLibrary as EnviLibrary

    header = {
        "wavelength": [f"{nm / 1000:.5f}" for nm in BANDS_NM],
        "wavelength units": "Micrometers",
        "spectra names": ["Alunite GDS84 s06av95a=a", "Calcite+Talc PC9 s06av95a=b"],
    }
    EnviLibrary(np.full((2, 40), 0.5), header).save(str(tmp_path / "lab"))
    found = describe(tmp_path / named).values
    assert (found["kind"], found["format"], found["unit"]) == ("library", "ENVI", "Micrometers")
    assert (found["spectra"], found["mixtures"]) == (2, 1)
    assert "2 spectra of 2 materials, 1 mixture" in text_of(tmp_path / named)
    (tmp_path / "lab.sli").write_bytes(b"\0")
    with pytest.raises(HsiSslError, match=r"no readable ENVI spectral library|lab\.sli has 1"):
        describe(tmp_path / named)


def test_library_of_ecostress(tmp_path: Path) -> None:
    import sqlite3
    from array import array

    path = tmp_path / "ecostress.db"
    with sqlite3.connect(path) as file:
        file.execute(
            "CREATE TABLE Samples (SampleID INT, Name TEXT, Type TEXT, ParticleSize TEXT, "
            "SampleNum TEXT)"
        )
        file.execute(
            "CREATE TABLE Spectra (SpectrumID INT, SampleID INT, Measurement TEXT, XUnit TEXT, "
            "XData BLOB, YData BLOB)"
        )
        for i, (name, first) in enumerate((("Alunite", 0), ("Calcite", 10))):
            x = array("f", BANDS_NM[first:] / 1000).tobytes()
            y = array("f", np.full(40 - first, 50.0)).tobytes()
            file.execute(
                "INSERT INTO Samples VALUES (?, ?, 'mineral', 'none', ?)", (i, name, f"S-{i}")
            )
            file.execute(
                "INSERT INTO Spectra VALUES (?, ?, 'reflectance', 'Wavelength (micrometers)', "
                "?, ?)",
                (i, i, x, y),
            )
    file.close()
    found = describe(path).values
    assert (found["kind"], found["format"], found["bands"]) == ("library", "ECOSTRESS", [30, 40])
    assert found["wavelengths_nm"] is None
    assert "30 to 40 bands, wavelengths 400.0 to 2500.0 nm" in text_of(path)
    assert "2 sets of bands" in text_of(path)
