from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner, Result
from rasterio.transform import Affine

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import BandsError, DeviceError, ModelError, OutputError, SceneNotFoundError
from hsi_ssl.settings import M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2

NORTH_UP = Affine(5.0, 0.0, 300_000.0, 0.0, -5.0, 7_400_000.0)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def wrote(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def run(m2_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of M2, in a folder of this module's own."""
    return Path(shutil.copytree(m2_run, tmp_path_factory.mktemp("runs") / "m2"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder, and we are in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scenes(tiny_dataset: Dataset, project: Path) -> Path:
    """A folder of two scenes; the first column of the second has no data."""
    folder = project / "flights"
    folder.mkdir()
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0)
    for name, first in (("north", 0), ("south", 1)):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", height=40, width=30, count=12,
            dtype="uint16", crs="EPSG:32719", transform=NORTH_UP,
        ) as raster:  # fmt: skip
            raster.write(np.where(np.arange(30) < first, 0, cube).astype(np.uint16))
            for band, wavelength in enumerate(tiny_dataset.wavelengths_nm or (), 1):
                raster.update_tags(band, wavelength=str(wavelength), wavelength_units="nm")
    return folder


@pytest.mark.slow
def test_one_scene_and_the_promised_keys(run: Path, scenes: Path, project: Path) -> None:
    result = wrote("classify", scenes / "south.tif", "--model", run, "--confidence", "--json")
    found = json.loads(result.stdout)
    keys = "map label_set pixels classified in_free_slots seconds pixels_per_second counts rejected"
    assert set(found) == {*keys.split(), "peak_memory_mb"}
    assert (found["map"], found["pixels"], found["classified"]) == ("south_classes.tif", 1200, 1160)
    assert found["counts"]["0"] == 40
    assert set(found["counts"]) == {"0", "2", "7", "32"}
    names = ("tif", "tif.aux.xml", "qml", "csv", "png", "record.json")
    assert {p.name for p in project.glob("south*")} == {
        *(f"south_classes.{ending}" for ending in names),
        "south_classes_confidence.tif",
    }
    with rasterio.open(project / "south_classes.tif") as raster:
        assert raster.crs.to_epsg() == 32719
        assert raster.transform == NORTH_UP
        codes = raster.read(1)
    assert not codes[:, 0].any()
    assert codes[:, 1:].all()


@pytest.mark.slow
def test_a_folder_of_scenes_to_a_folder_of_maps(run: Path, scenes: Path, project: Path) -> None:
    result = wrote("classify", scenes, "--model", run, "-o", "maps", "--json")
    found = json.loads(result.stdout)["scenes"]
    assert [f["map"] for f in found] == ["maps/north_classes.tif", "maps/south_classes.tif"]
    assert (project / "maps" / "south_classes.tif").exists()
    words = wrote("classify", scenes, "--model", run, "-o", "maps", "--overwrite").output
    assert "wrote maps/north_classes.tif: 1,200 of 1,200 pixels classified" in words


@pytest.mark.slow
def test_the_settings_file_says_what_to_classify(run: Path, scenes: Path, project: Path) -> None:
    (project / "hsi-ssl.toml").write_text(
        f'[classify]\nscenes = ["flights/north.tif"]\nmodel = "{run}"\nentropy = true\n'
    )
    wrote("classify")
    assert (project / "north_classes_entropy.tif").exists()
    wrote("classify", "flights/south.tif", "-o", "there/map.tif")
    assert (project / "there" / "map_entropy.tif").exists()
    assert not (project / "south_classes.tif").exists()


def test_mistakes_write_nothing(run: Path, scenes: Path, project: Path) -> None:
    north = scenes / "north.tif"
    with rasterio.open(north) as raster, rasterio.open(
        project / "eleven.tif", "w", **{**raster.profile, "count": 11}
    ) as fewer:  # fmt: skip
        fewer.write(raster.read()[:11])
    before = set(project.rglob("*"))
    for expected, sentence, arguments in (
        (BandsError, "has 11 bands", ("eleven.tif", "--model", run)),
        (SceneNotFoundError, "nowhere.tif", ("nowhere.tif", "--model", run)),
        (ModelError, "no model in nowhere", (north, "--model", "nowhere")),
        (DeviceError, "cuda:7", (north, "--model", run, "--device", "cuda:7")),
        (OutputError, "part of the path is a file", (north, "--model", run, "-o", north / "maps")),
    ):
        result = call("classify", *arguments)
        assert isinstance(result.exception, expected), result.exception
        assert sentence in str(result.exception)
        assert set(project.rglob("*")) == before


def test_a_map_that_is_there_stays(run: Path, scenes: Path, project: Path) -> None:
    (project / "north_classes.tif").write_text("precious")
    result = call("classify", scenes / "north.tif", "--model", run)
    assert isinstance(result.exception, OutputError)
    assert "--overwrite" in str(result.exception)
    assert (project / "north_classes.tif").read_text() == "precious"
    assert not (project / "north_classes.csv").exists()


@pytest.mark.slow
def test_a_real_scene_keeps_its_place_and_its_gaps(
    real_data: Callable[[str], Path], project: Path
) -> None:
    from hsi_ssl.datasets.prepare import prepare

    scene = real_data("enmap-potsdam") / "scene.tif"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    prepare(PrepareSettings(sources=("enmap-potsdam",), per_class=30, unlabelled=500))
    train_m2(M2Settings(m1=None, device="cpu", hidden=(16,), latent=2, epochs=2))
    torch.set_num_threads(threads)
    wrote("classify", scene, "-o", "map.tif")
    with rasterio.open(scene) as own, rasterio.open("map.tif") as found:
        assert found.crs.to_epsg() == 32633
        assert found.transform == own.transform
        # Bands 131 to 136 are flagged bad; three pixels of water are zero in all others.
        good = [b for b in own.indexes if own.tags(b).get("bbl", "1") != "0"]
        values = own.read(good)
        measured = (values != own.nodata).all(0) & (values != 0).any(0)
        np.testing.assert_array_equal(found.read(1) != 0, measured)
        assert 0.5 < measured.mean() < 0.7


@pytest.mark.slow
def test_labels_that_a_pattern_fits_are_no_scenes_that_fail(run: Path, scenes: Path) -> None:
    with rasterio.open(
        scenes / "north_labels.tif", "w", driver="GTiff", height=40, width=30, count=1,
        dtype="uint8", crs="EPSG:32719", transform=NORTH_UP,
    ) as raster:  # fmt: skip
        raster.write(np.ones((1, 40, 30), np.uint8))
    (scenes / "outline.gpkg").touch()
    both = sorted(scenes.glob("*"))
    result = wrote("classify", *both, "--model", run)
    assert result.output.count("left out, since they are no scenes") == 1
    assert result.output.count("wrote ") == 2
    alone = call("classify", scenes / "north_labels.tif", "--model", run)
    assert isinstance(alone.exception, BandsError)
