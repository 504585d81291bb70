"""Suggestions on a scene: where they lie, what they say, and back through `prepare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio.raw
import pytest
import rasterio
import shapely
from click.testing import CliRunner, Result
from rasterio.transform import Affine

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.errors import DatasetError, OutputError, SceneError
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.labels.vector_grid import on_grid
from hsi_ssl.labels.vectors import layer_facts, read_layer
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import M2Settings
from hsi_ssl.suggesting.layer import write_suggestions
from hsi_ssl.suggesting.suggest import Suggestion, suggest
from hsi_ssl.training.m2_stage import train_m2

pytestmark = pytest.mark.slow


ROTATED = Affine(20.0, 5.0, 300_000.0, 5.0, -20.0, 7_400_000.0)
BLUR = slice(12, 18)
"""Columns in which quartz runs into kaolinite."""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "m2"
    train_m2(
        M2Settings(
            dataset=tiny_dataset.path, output=folder, m1=None, latent=2, hidden=(16,), epochs=20,
            experts=(0.5,), predict="classifier", device="cpu",
        )
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def classifier(run: Path) -> Classifier:
    return load_classifier(run, "cpu")


@pytest.fixture
def cube(tiny_dataset: Dataset) -> npt.NDArray[np.uint16]:
    """The tiny scene, 40 x 30 x 12, in which two classes run into each other."""
    found = tiny_dataset.spectra().reshape(40, 30, 12).astype(float)
    one, other = found[:, :10].mean((0, 1)), found[:, 10:20].mean((0, 1))
    share = np.linspace(0.35, 0.65, BLUR.stop - BLUR.start)[:, None]
    found[:, :12], found[:, 18:] = one, other
    found[:, BLUR] = (1 - share) * one + share * other
    return (found + np.random.default_rng(0).normal(0, 25, found.shape)).astype(np.uint16)


def written(
    folder: Path, cube: npt.NDArray[Any], dataset: Dataset, name: str = "scene.tif", **grid: Any
) -> Path:
    path = folder / name
    rows, cols, bands = cube.shape
    profile = {"driver": "GTiff", "height": rows, "width": cols, "count": bands}
    with rasterio.open(path, "w", dtype=cube.dtype, **profile, **grid) as raster:
        raster.write(np.moveaxis(cube, -1, 0))
        for band, wavelength in enumerate(dataset.wavelengths_nm or [], 1):
            raster.update_tags(band, wavelength=str(wavelength), wavelength_units="nm")
    return path


@pytest.fixture
def scene(tmp_path: Path, cube: npt.NDArray[np.uint16], tiny_dataset: Dataset) -> Path:
    return written(tmp_path, cube, tiny_dataset, crs="EPSG:32719", transform=ROTATED)


def test_suggestions_lie_where_classes_run_into_each_other(
    scene: Path, classifier: Classifier
) -> None:
    with open_scene(scene) as opened:
        found = suggest(opened, classifier, 6, radius=3)
        again = suggest(opened, classifier, 6, radius=3)
    assert found == again
    assert len(found) == 6
    inside = [BLUR.start - 1 <= s.col <= BLUR.stop for s in found]
    assert np.mean(inside) >= 0.8
    for s in found:
        assert 1 >= s.probability >= s.second_probability >= 0
        assert 0 < s.common <= 1
        assert s.guess in s.reason
    places = np.array([[s.row, s.col] for s in found])
    apart = np.abs(places[:, None] - places[None]).max(-1)
    assert (apart + 99 * np.eye(6) > 3).all()


def test_labelled_pixels_and_those_around_are_left_out(scene: Path, classifier: Classifier) -> None:
    labelled = np.argwhere(np.ones((30, 30), bool))  # the upper rows
    with open_scene(scene) as opened:
        found = suggest(opened, classifier, 5, radius=4, labelled=labelled)
        assert all(s.row > 33 for s in found)
        with pytest.raises(SceneError, match="smaller --radius"):
            suggest(opened, classifier, 5, radius=12, labelled=labelled)


def test_pixels_without_measurement_are_never_suggested(
    tmp_path: Path, cube: npt.NDArray[np.uint16], tiny_dataset: Dataset, classifier: Classifier
) -> None:
    cube[:, 10:20] = 0
    with open_scene(written(tmp_path, cube, tiny_dataset)) as opened:
        found = suggest(opened, classifier, 40, radius=2)
    assert all(not 10 <= s.col < 20 for s in found)


SUGGESTED = [
    Suggestion(3, 7, "quartz", 0.5, "kaolinite", 0.4, 0.3),
    Suggestion(39, 29, "white mica", 0.6, "quartz", 0.4, 0.1),
]


@pytest.mark.parametrize("placed", [True, False])
def test_points_are_read_back_at_their_pixels(
    placed: bool, tmp_path: Path, cube: npt.NDArray[np.uint16], tiny_dataset: Dataset
) -> None:
    grid = {"crs": "EPSG:32719", "transform": ROTATED} if placed else {}
    path = tmp_path / "s.gpkg"
    with open_scene(written(tmp_path, cube, tiny_dataset, **grid)) as opened:
        assert write_suggestions(path, opened, SUGGESTED) == [path, tmp_path / "s.qml"]
        facts = layer_facts(path)
        layer = read_layer(facts, "class")
        found = shapely.get_coordinates(on_grid(layer, opened))
    np.testing.assert_allclose(found, [[7.5, 3.5], [29.5, 39.5]], atol=1e-6)
    assert (facts.crs is not None) == placed
    assert layer.values is not None
    assert all(value is None for value in layer.values)
    assert list(facts.fields) == [
        "id", "class", "guess", "probability", "second_guess", "second_probability", "reason",
        "row", "col",
    ]  # fmt: skip
    assert "&quot;class&quot;" in (tmp_path / "s.qml").read_text()


def test_nothing_is_replaced_unasked(
    tmp_path: Path, cube: npt.NDArray[np.uint16], tiny_dataset: Dataset
) -> None:
    with open_scene(written(tmp_path, cube, tiny_dataset)) as opened:
        with pytest.raises(OutputError, match="a GeoPackage: name it s"):
            write_suggestions(tmp_path / "s.shp", opened, SUGGESTED)
        (tmp_path / "s.qml").touch()
        with pytest.raises(OutputError, match="exists already"):
            write_suggestions(tmp_path / "s.gpkg", opened, SUGGESTED)
        assert not (tmp_path / "s.gpkg").exists()
        write_suggestions(tmp_path / "s.gpkg", opened, SUGGESTED, overwrite=True)


def _answer(path: Path, answers: dict[int, str]) -> None:
    """Fill in the class of some points, by id, as a person would."""
    meta, _, geometry, columns = pyogrio.raw.read(path)
    fields = [str(name) for name in meta["fields"]]
    columns[fields.index("class")] = np.array(
        [answers.get(int(i)) for i in columns[fields.index("id")]], object
    )
    pyogrio.raw.write(
        path, geometry, list(columns), fields, layer="suggestions", driver="GPKG",
        geometry_type="Point", crs=meta["crs"],
    )  # fmt: skip


def test_prepare_takes_them_back_beside_the_labels_of_before(
    scene: Path, run: Path, tmp_path: Path
) -> None:
    result = call("suggest", run, scene, "-n", 4, "-o", tmp_path / "new.gpkg", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["suggestions"]
    assert len(found) == 4
    _answer(tmp_path / "new.gpkg", {1: "quartz", 2: "kaolinite"})  # two stay empty
    boxes = [shapely.box(c, -38, c + 4, -2) for c in (1, 22)]
    ground = [shapely.transform(b, _on_ground) for b in boxes]
    pyogrio.raw.write(
        tmp_path / "old.gpkg", shapely.to_wkb(ground),
        [np.array(["quartz", "kaolinite"], object)], ["class"], driver="GPKG",
        geometry_type="Polygon", crs="EPSG:32719",
    )  # fmt: skip
    dataset = tmp_path / "both.h5"
    result = call(
        "prepare", scene, "--labels", tmp_path / "old.gpkg", "--labels", tmp_path / "new.gpkg",
        "--split", "pixels", "--unlabelled", 0, "-o", dataset, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    both = open_dataset(dataset)
    names = both.label_set.names
    at = {(int(r), int(c)): names[k] for (r, c), k in zip(both.pixel, both.label, strict=True)}
    for s, name in zip(found, ("quartz", "kaolinite"), strict=False):
        assert at[s["row"], s["col"]] == name
    assert all((s["row"], s["col"]) not in at for s in found[2:])
    assert len(at) == 2 * 36 * 4 + 2
    # Of that dataset, labelled pixels are left out.
    result = call("suggest", run, dataset, "-n", 9, "-o", tmp_path / "next.gpkg", "--json")
    assert result.exit_code == 0, result.output
    known = both.pixel[np.isin(both.part, (Part.TRAIN, Part.VALIDATION, Part.TEST))]
    for s in json.loads(result.stdout)["suggestions"]:
        assert np.abs(known - (s["row"], s["col"])).max(1).min() > 5


def _on_ground(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    a, b, c, d, e, f = tuple(ROTATED)[:6]
    col, row = xy[:, 0], -xy[:, 1]
    return np.stack([a * col + b * row + c, d * col + e * row + f], axis=1)


def test_a_dataset_of_several_scenes_is_no_scene(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    sources = tiny_dataset.meta["sources"]
    meta = {**tiny_dataset.meta, "sources": [*sources, {**sources[0], "name": "other"}]}
    two = tiny_dataset
    write_dataset(
        tmp_path / "two.h5", spectra=two.spectra(), label=two.label, part=two.part,
        scene=two.scene, pixel=two.pixel, neighbours=two.neighbours, unit=two.unit, meta=meta,
    )  # fmt: skip
    result = call("suggest", run, tmp_path / "two.h5", "-o", tmp_path / "s.gpkg")
    assert isinstance(result.exception, DatasetError)
    assert "name one of them" in str(result.exception)
