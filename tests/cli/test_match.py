"""`hsi-ssl match`: spectra of a CSV named by another."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsi_ssl.scenes.minerals import MINERALS

FINE = np.linspace(990, 2510, 400)
BANDS = np.linspace(1000, 2500, 90)


def write_csv(
    path: Path, wavelengths: np.ndarray, columns: dict[str, np.ndarray], says: str = ""
) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# {says}\n" if says else "")
        rows = csv.writer(file)
        rows.writerow(("wavelength_nm", *columns))
        rows.writerows(zip(wavelengths, *columns.values(), strict=True))
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    names = ("alunite", "calcite", "gypsum", "kaolinite", "muscovite", "quartz", "goethite")
    columns = {
        f"{name} {i}": MINERALS[name].reflectance(FINE, grain)
        for name in names
        for i, grain in enumerate((0.7, 1.0, 1.4))
    }
    return write_csv(tmp_path / "library.csv", FINE, columns, "named as in USGS libraries")


@pytest.fixture
def spectra(tmp_path: Path) -> Path:
    scene = np.mean([MINERALS[n].reflectance(BANDS) for n in ("quartz", "muscovite")], axis=0)
    columns = {
        name: 0.5 * MINERALS[name].reflectance(BANDS) + 0.5 * scene
        for name in ("alunite", "gypsum", "goethite")
    }
    return write_csv(tmp_path / "means.csv", BANDS, {**columns, "all pixels": scene})


def test_spectra_get_their_names_and_runners_up(
    hsi_ssl: Callable[..., Any], spectra: Path, library: Path, tmp_path: Path
) -> None:
    arguments = ("match", spectra, "--library", library, "--background", "all pixels", "--json")
    ran = hsi_ssl(*arguments, "-o", tmp_path / "out.csv")
    assert ran.code == 0, ran.err
    found = {named["spectrum"]: named["matches"] for named in json.loads(ran.out)["spectra"]}
    assert {name: matches[0]["material"] for name, matches in found.items()} == {
        name: name.capitalize() for name in ("alunite", "gypsum", "goethite")
    }
    for matches in found.values():
        assert len({match["material"] for match in matches}) == 3
        assert matches[0]["angle"] < matches[1]["angle"] <= matches[2]["angle"]
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 3
    assert float(rows[0]["angle_degrees"]) == pytest.approx(found["alunite"][0]["angle"], abs=1e-3)


def test_for_people(hsi_ssl: Callable[..., Any], spectra: Path, library: Path) -> None:
    ran = hsi_ssl("match", spectra, "--library", library, "--count", 2)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0].startswith("alunite: like Alunite (")


@pytest.mark.parametrize(
    ("background", "sentence"), [("nothing", "has no spectra called 'nothing'")]
)
def test_bad_input(
    hsi_ssl: Callable[..., Any], spectra: Path, library: Path, background: str, sentence: str
) -> None:
    ran = hsi_ssl("match", spectra, "--library", library, "--background", background)
    assert ran.code == 2
    assert sentence in ran.err
    assert hsi_ssl("match", spectra, "--library", library.with_name("no.csv")).code == 2
    ran = hsi_ssl("match", spectra, "--library", library, "-o", library)
    assert ran.code == 2
    assert "exists already" in ran.err


def test_spectra_outside_the_library_are_refused(
    hsi_ssl: Callable[..., Any], library: Path, tmp_path: Path
) -> None:
    far = write_csv(tmp_path / "far.csv", np.linspace(8000, 12000, 50), {"a": np.ones(50)})
    ran = hsi_ssl("match", far, "--library", library)
    assert ran.code == 2
    assert "covers the bands at 8000 to 12000 nm" in ran.err


def test_a_library_with_itself(hsi_ssl: Callable[..., Any], library: Path) -> None:
    ran = hsi_ssl("match", library, "--library", library, "--json")
    assert ran.code == 0, ran.err
    for named in json.loads(ran.out)["spectra"]:
        assert named["matches"][0]["angle"] < 1e-4
        assert named["left_out_nm"] == []


def test_noise_is_said(hsi_ssl: Callable[..., Any], tmp_path: Path) -> None:
    bands = np.arange(1000.0, 2501)
    rng = np.random.default_rng(0)
    level = np.where((bands > 1800) & (bands < 1960), 0.1, 0.0005)
    columns = {
        name: MINERALS[name].reflectance(bands) * (1 + level * rng.normal(0, 1, len(bands)))
        for name in ("gypsum", "calcite")
    }
    field = write_csv(tmp_path / "field.csv", bands, columns)
    ran = hsi_ssl("match", field, "--library", field)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("left out what is noise in 2 of 2 spectra of field.csv: 1")
    assert "gypsum: like gypsum (0.0°), runner-up calcite" in ran.out
    told = json.loads(hsi_ssl("match", field, "--library", field, "--json").out)
    assert "left out what is noise" in told["notes"][0]


def test_names_are_materials_where_no_library_says_otherwise(
    hsi_ssl: Callable[..., Any], spectra: Path, tmp_path: Path
) -> None:
    plain = write_csv(
        tmp_path / "plain.csv",
        FINE,
        {name: MINERALS[name.split()[0]].reflectance(FINE) for name in ("gypsum 1", "gypsum 2")},
    )
    ran = hsi_ssl("match", spectra, "--library", plain, "--json")
    (first, *_) = json.loads(ran.out)["spectra"]
    assert {match["material"] for match in first["matches"]} == {"gypsum 1", "gypsum 2"}
