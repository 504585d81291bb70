"""`hsi-ssl quantise` from its arguments to its files, and the page in a browser."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from typed import next_steps

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.quantising import load_quantiser
from hsi_ssl.scenes.minerals import MINERALS

GRID = rasterio.Affine(5, 0, 300_000, 0, -5, 7_400_000)
SMALL = ("--rows", 3, "--cols", 4, "--epochs", 5)


def write_scene(path: Path, cube: np.ndarray[Any, Any]) -> None:
    """A cube `(rows, cols, bands)` as a GeoTIFF whose bands tell their wavelengths."""
    rows, cols, bands = cube.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=bands, dtype=cube.dtype,
        crs="EPSG:32719", transform=GRID,
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(cube, -1, 0))
        for band, nm in enumerate(np.linspace(1000, 2500, bands), 1):
            raster.update_tags(band, wavelength=f"{nm:.3f}", wavelength_units="nanometers")


@pytest.fixture
def project(tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset, and a scene of the same spectra whose first column has no measurement."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    shutil.copy(tiny_dataset.path, "d.h5")
    cube = tiny_dataset.spectra().reshape(40, 30, 12).copy()
    cube[:, 0] = 0
    write_scene(Path("scene.tif"), cube)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "given", "idle"),
    [
        ("som", ("--units", 5), "units"),
        ("kohonen", ("--rows", 3, "--grid", "hexagonal"), "grid, rows"),
    ],
)
def test_settings_of_another_method_are_left_aside_and_said(
    hsi_ssl: Callable[..., Any], project: Path, method: str, given: tuple[Any, ...], idle: str
) -> None:
    ran = hsi_ssl("quantise", "d.h5", "--method", method, *given, "--epochs", 1)
    assert ran.code == 0, ran.err
    assert f"{method} has no use for {idle}: left aside" in ran.out


@pytest.mark.slow
def test_of_a_dataset(
    hsi_ssl: Callable[..., Any], project: Path, tiny_dataset: Dataset, browser: Any
) -> None:
    ran = hsi_ssl("quantise", "d.h5", *SMALL, "--plane", "1000-1300", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["run"] == "runs/som"
    assert told["maps"] == []
    assert told["spectra"] == len(tiny_dataset.rows(Part.TRAIN, Part.POOL))
    trained = load_quantiser(Path("runs/som"))
    won = trained.assign(tiny_dataset.spectra(tiny_dataset.rows(Part.TRAIN, Part.POOL)))
    assert trained.model.hits.tolist() == np.bincount(won, minlength=12).tolist()
    with Path("runs/som/units.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["pixels"]) for row in table] == trained.model.hits.tolist()
    assert table[5]["name"] == "unit 2,2"
    looked = tiny_dataset.rows(Part.TRAIN, Part.VALIDATION)
    own = looked[tiny_dataset.label[looked] == 2]
    by_unit = np.bincount(trained.assign(tiny_dataset.spectra(own)), minlength=12)
    assert [int(row["class 32 white mica"]) for row in table] == by_unit.tolist()
    assert next_steps(Path("runs/som/index.html")) == [
        "hsi-ssl quantise SCENE --model runs/som",
        "hsi-ssl match runs/som/spectra.csv --library LIB",
        "hsi-ssl quantise d.h5 --method som --rows 3 --cols 4 --seed 1 -o runs/som-seed1",
    ]
    spectra = np.loadtxt("runs/som/spectra.csv", delimiter=",", skiprows=1)
    rows = tiny_dataset.rows(Part.TRAIN, Part.POOL)
    unit = int(won[0])
    mean = tiny_dataset.spectra(rows[won == unit]).mean(0)
    np.testing.assert_allclose(spectra[:, 1 + unit], mean, rtol=1e-5)

    for dark in (False, True):
        browser.open(project / "runs/som/index.html", width=400 if dark else 1200, dark=dark)
        assert browser.errors() == []
        assert browser.requests() == []
        assert browser.overflow() == 0
    # Four panels of the map, one plane, three classes, the spectra.
    assert browser.evaluate("document.querySelectorAll('svg').length") == 9
    text = browser.evaluate("document.body.innerText")
    assert "depends on its kernel" in text
    assert "topographic error" in text
    assert "1000 to 1273 nm" in text
    assert "$" not in text


@pytest.mark.slow
def test_of_a_scene_with_a_library(
    hsi_ssl: Callable[..., Any], project: Path, browser: Any, tiny_dataset: Dataset
) -> None:
    waves = np.linspace(990, 2510, 200)
    names = ("alunite", "gypsum", "calcite")
    table = np.column_stack([waves, *(MINERALS[name].reflectance(waves) for name in names)])
    head = ",".join(("wavelength_nm", *names))
    np.savetxt("library.csv", table, delimiter=",", header=head, comments="")
    ran = hsi_ssl(
        "quantise", "scene.tif", "--method", "kohonen", "--units", 5, "--epochs", 5,
        "--library", "library.csv", "-o", "out/units", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["maps"] == ["out/units/scene_units.tif"]
    assert next_steps(Path("out/units/index.html")) == [
        "hsi-ssl view out/units/scene_units.tif",
        "hsi-ssl quantise scene.tif --method kohonen --units 5 --seed 1 -o out/units-seed1",
    ]
    trained = load_quantiser(Path("out/units"))
    cube = tiny_dataset.spectra().reshape(40, 30, 12)
    with rasterio.open("out/units/scene_units.tif") as raster:
        assert raster.crs.to_epsg() == 32719
        assert raster.transform == GRID
        plane = raster.read(1)
        palette = raster.colormap(1)
    assert not plane[:, 0].any()
    expected = trained.assign(cube[:, 1:].reshape(-1, 12)).reshape(40, 29) + 1
    assert (plane[:, 1:] == expected).all()
    with Path("out/units/scene_units.csv").open(newline="") as file:
        legend = list(csv.DictReader(file))
    assert [row["code"] for row in legend] == ["0", "1", "2", "3", "4", "5"]
    assert int(legend[0]["pixels"]) == 40
    for row in legend[1:]:
        assert "#{:02x}{:02x}{:02x}".format(*palette[int(row["code"])][:3]) == row["colour"]
    browser.open(project / "out/units/index.html")
    assert browser.errors() == []
    assert browser.requests() == []
    assert "like " in browser.evaluate("document.body.innerText")
    assert [p.name for p in Path("out").iterdir()] == ["units"]

    write_scene(Path("other.tif"), cube[::-1].copy())
    ran = hsi_ssl("quantise", "other.tif", "--model", "out/units", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["maps"] == ["other_units.tif"]
    with rasterio.open("other_units.tif") as raster:
        again = raster.read(1)
        assert raster.colormap(1) == palette
    assert (again[::-1][:, 1:] == plane[:, 1:]).all()
    style = Path("out/units/scene_units.qml").read_text()
    assert Path("other_units.qml").read_text() == style
    for arguments, word in (
        (("other.tif", "--model", "out/units"), "exists already"),
        (("d.h5", "--model", "out/units"), "name scenes"),
        (
            ("other.tif", "--model", "out/units", "-o", "other.tif", "--overwrite"),
            "would replace other.tif",
        ),
        (("scene.tif", "--model", "out/units", "--units", 3), "--model and --units"),
        (("scene.tif", "--model", "nowhere"), "make one with `hsi-ssl quantise`"),
    ):
        ran = hsi_ssl("quantise", *arguments)
        assert ran.code == 2, arguments
        assert word in ran.err, (arguments, ran.err)
        assert not Path("scene_units.tif").exists()

    ran = hsi_ssl("info", "out/units")
    assert ran.code == 0, ran.err
    assert "units 5" in ran.out
    ran = hsi_ssl("classify", "scene.tif", "--model", "out/units")
    assert ran.code == 2
    assert "a quantiser, a classifier is needed" in ran.err


@pytest.mark.slow
def test_windows_do_not_matter(hsi_ssl: Callable[..., Any], project: Path) -> None:
    Path("hsi-ssl.toml").write_text("[quantise]\nwindow = 256\nrows = 2\ncols = 2\nepochs = 3\n")
    assert hsi_ssl("quantise", "scene.tif", "-o", "a").code == 0
    Path("hsi-ssl.toml").write_text("[quantise]\nrows = 2\ncols = 2\nepochs = 3\n")
    assert hsi_ssl("quantise", "scene.tif", "-o", "b").code == 0
    planes = []
    for run in ("a", "b"):
        with rasterio.open(f"{run}/scene_units.tif") as raster:
            planes.append(raster.read(1))
    assert (planes[0] == planes[1]).all()
    assert len(np.unique(planes[0])) == 5


@pytest.mark.slow
def test_one_class_and_bands_that_tell_nothing(
    hsi_ssl: Callable[..., Any], project: Path, tiny_dataset: Dataset
) -> None:
    cube = tiny_dataset.spectra().reshape(40, 30, 12)[:, :10].copy()
    cube[..., 3] = 700
    cube[..., 5] = cube[..., 4]
    write_scene(Path("one.tif"), cube)
    Path("hsi-ssl.toml").write_text("[quantise]\nscaling = 'standard'\n")
    ran = hsi_ssl("quantise", "one.tif", *SMALL)
    assert ran.code == 0, ran.err
    assert "1 of 12 scaled columns are constant" in ran.out
    assert "1 of 12 scaled columns are copies" in ran.err
    Path("hsi-ssl.toml").unlink()
    ran = hsi_ssl("quantise", "one.tif", *SMALL, "-o", "runs/by-noise")
    assert ran.code == 0, ran.err
    assert "copies" not in ran.err


@pytest.mark.slow
def test_mistakes(hsi_ssl: Callable[..., Any], project: Path) -> None:
    write_scene(Path("flat.tif"), np.full((6, 6, 12), 900 + np.arange(12), np.uint16))
    write_scene(Path("empty.tif"), np.zeros((6, 6, 12), np.uint16))
    (project / "there").mkdir()
    (project / "there" / "thesis.txt").write_text("years of work")
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    for arguments, word in (
        (("d.h5", "--rows", 40, "--cols", 40), "take fewer units (--rows and --cols)"),
        (("d.h5", "--method", "kohonen", "--units", 2000), "take fewer units (--units)"),
        (("d.h5", "--method", "lvq"), "train-m2 --model lvq"),
        (("d.h5", "--method", "gas"), "there are kohonen, som"),
        (("d.h5", "--plane", "400-500"), "no used band lies in 400-500 nm"),
        (("d.h5", "--plane", "red"), "no range of wavelengths"),
        (("d.h5", "--rows", 0), "rows"),
        (("d.h5", "scene.tif"), "give one dataset alone"),
        (("d.h5", "-o", "there"), "exists already"),
        (("d.h5", "-o", "there", "--overwrite"), "thesis.txt"),
        (("d.h5", "--library", "none.csv"), "none.csv"),
        (("d.h5", "--device", "tpu"), "unknown device"),
        ((), "nothing to quantise"),
        (("nowhere.tif",), "nowhere.tif"),
        (("flat.tif", "--rows", 2, "--cols", 2), "are equal"),
        (("empty.tif", "--rows", 2, "--cols", 2), "has no valid pixel"),
    ):
        ran = hsi_ssl("quantise", *arguments)
        assert ran.code == 2, (arguments, ran.out, ran.err)
        assert word in ran.err, (arguments, ran.err)
        assert len(ran.err.strip().splitlines()) == 1, ran.err
        assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before, arguments
