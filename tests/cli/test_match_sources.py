"""`hsi-ssl match` of pixels, maps, runs and what other commands write."""

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

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.generation import Generator
from hsi_ssl.libraries.library import SpectralLibrary
from hsi_ssl.naming.spectra import spectra_of
from hsi_ssl.scenes.minerals import MINERALS

BANDS = np.linspace(1000, 2500, 60)
NAMES = ("gypsum", "kaolinite", "calcite")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    with (tmp_path / "library.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("wavelength_nm", *NAMES, "goethite", "muscovite"))
        spectra = [MINERALS[n].reflectance(BANDS) for n in (*NAMES, "goethite", "muscovite")]
        rows.writerows(zip(BANDS, *spectra, strict=True))
    return tmp_path / "library.csv"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Three minerals in stripes of ten columns, 20 x 30; scaled numbers, the first pixel empty."""
    kind = np.indices((20, 30))[1] // 10
    light = np.random.default_rng(0).uniform(0.8, 1.2, kind.shape)
    shapes = np.array([MINERALS[name].reflectance(BANDS) for name in NAMES])
    values = np.round((shapes[kind] * light[..., None] + 0.1) * 10_000).astype(np.int16)
    values[0, 0] = -1
    with rasterio.open(
        tmp_path / "scene.tif", "w", driver="GTiff", height=20, width=30, count=60, dtype="int16",
        nodata=-1,
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(values, -1, 0))
        raster.scales, raster.offsets = (1e-4,) * 60, (-0.1,) * 60
        for band, nm in enumerate(BANDS, 1):
            raster.update_tags(band, wavelength=f"{nm:.2f}", wavelength_units="nm")
    return tmp_path / "scene.tif"


@pytest.fixture
def mapped(scene: Path) -> Path:
    """A class map of the scene, as another program would make it, its scene being named."""
    path = scene.with_name("scene_classes.tif")
    codes = (np.indices((20, 30))[1] // 10 + 1).astype(np.uint8)
    codes[5:8, 5:25] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=20, width=30, count=1, dtype="uint8", nodata=0
    ) as raster:
        raster.write(codes, 1)
        named = {str(k + 1): name for k, name in enumerate(NAMES)}
        raster.update_tags(SCENE="scene.tif", CLASSES=json.dumps(named))
        raster.write_colormap(1, {k: (k * 50, 90, 20) for k in range(4)})
    return path


def best(text: str) -> dict[str, str]:
    """The nearest material of each spectrum."""
    return {s["spectrum"]: s["matches"][0]["material"] for s in json.loads(text)["spectra"]}


def by_name(found: SpectralLibrary) -> dict[str, Any]:
    return {one.name: one.reflectance for one in found.spectra}


def test_pixels_of_a_scene(hsi_ssl: Callable[..., Any], scene: Path, library: Path) -> None:
    ran = hsi_ssl("match", scene, "--at", "3,4", "--at", "0,29", "--library", library, "--json")
    assert ran.code == 0, ran.err
    assert best(ran.out) == {"row 3, col 4": "gypsum", "row 0, col 29": "calcite"}
    found = by_name(spectra_of(scene, at=[(3, 4)]))["row 3, col 4"]
    shape = MINERALS["gypsum"].reflectance(BANDS)
    assert np.ptp(found / shape) < 0.01  # the offset is taken away, or it would not be one factor
    for place, sentence in (
        ("20,3", "outside"),
        ("0,0", "no measurement"),
        ("a", "row and column"),
    ):
        ran = hsi_ssl("match", scene, "--at", place, "--library", library)
        assert ran.code == 2
        assert sentence in ran.err
    ran = hsi_ssl("match", scene, "--library", library)
    assert ran.code == 2
    assert "with --at ROW,COL" in ran.err


def test_classes_of_a_map(
    hsi_ssl: Callable[..., Any], mapped: Path, scene: Path, library: Path, tmp_path: Path
) -> None:
    ran = hsi_ssl("match", mapped, "--library", library, "--background", "all pixels", "--json")
    assert ran.code == 0, ran.err
    assert best(ran.out) == {name: name for name in NAMES}
    with rasterio.open(mapped) as codes, rasterio.open(scene) as cube:
        here = (codes.read(1) == 1) & (cube.read(1) != -1)
        mean = cube.read()[:, here].mean(axis=1) * 1e-4 - 0.1
    np.testing.assert_allclose(by_name(spectra_of(mapped))["gypsum"], mean, rtol=1e-9)
    (tmp_path / "far").mkdir()
    shutil.move(scene, tmp_path / "far/other.tif")
    ran = hsi_ssl("match", mapped, "--library", library)
    assert ran.code == 2
    assert "the scene that" in ran.err
    ran = hsi_ssl("match", mapped, "--library", library, "--scene", tmp_path / "far/other.tif")
    assert ran.code == 0, ran.err
    ran = hsi_ssl("match", library, "--library", library, "--scene", mapped)
    assert ran.code == 2
    assert "leave it out" in ran.err


def test_classes_of_a_run(
    hsi_ssl: Callable[..., Any], m2_run: Path, tiny_dataset: Dataset, tmp_path: Path, library: Path
) -> None:
    run = tmp_path / "runs/m2"
    shutil.copytree(m2_run, run)
    found = by_name(spectra_of(run))
    learnt = (tiny_dataset.part == 0) & (tiny_dataset.label == 1)
    mean = tiny_dataset.spectra(np.flatnonzero(learnt)).mean(axis=0)
    np.testing.assert_allclose(found["kaolinite"], mean, rtol=1e-6)
    assert list(found) == ["quartz", "kaolinite", "white mica", "all pixels"]
    ran = hsi_ssl("match", run, "--library", library)
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) >= 4


def test_a_run_whose_dataset_is_gone_generates(
    m2_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hsi_ssl.naming import of_run

    def gone(card: object, run: Path, data: object) -> Path:
        return tmp_path / "gone.h5"

    monkeypatch.setattr(of_run, "dataset_of", gone)
    library = spectra_of(m2_run)
    found = by_name(library)
    assert list(found) == ["quartz", "kaolinite", "white mica"]
    assert "its dataset is gone" in library.notes[0]
    drawn = Generator(load_classifier(m2_run, "cpu")).sampled(2, of_run.DRAWN)
    np.testing.assert_allclose(found["white mica"], drawn.mean(axis=0))


@pytest.mark.slow
def test_what_generate_writes(
    hsi_ssl: Callable[..., Any], m2_run: Path, tiny_dataset: Dataset, tmp_path: Path, library: Path
) -> None:
    folder = tmp_path / "generated"
    ran = hsi_ssl("generate", m2_run, "--dataset", tiny_dataset.path, "-o", folder)
    assert ran.code == 0, ran.err
    found = by_name(spectra_of(folder))
    assert list(found) == ["quartz", "kaolinite", "white mica"]
    whole = by_name(spectra_of(folder / "styles.csv"))
    assert len(whole) == 3 * 2 * 7
    assert "quartz, unit of z 1, quantile 0.025" in whole
    measured = by_name(spectra_of(folder / "reconstructions.csv"))
    assert sum(", what measured" in name for name in measured) == 3
    for path in (folder, *folder.glob("*.csv")):
        ran = hsi_ssl("match", path, "--library", library, "--json")
        assert ran.code == 0, (path, ran.err)


def test_folders_that_hold_no_spectra_are_refused(
    hsi_ssl: Callable[..., Any], library: Path, tmp_path: Path
) -> None:
    ran = hsi_ssl("match", tmp_path, "--library", library)
    assert ran.code == 2
    assert "holds no spectra" in ran.err
