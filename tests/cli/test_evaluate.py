from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import torch
from click.testing import CliRunner, Result
from rasterio.transform import Affine

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import DatasetError, ModelError, OutputError, SettingsError

SMALL = (
    "--no-m1 --hidden 16 --latent 2 --epochs 10 --alpha 1 --batch-labelled 30 "
    "--batch-unlabelled 100 --device cpu"
)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run(m2_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of M2, in a folder of this module's own, where reports go."""
    return Path(shutil.copytree(m2_run, tmp_path_factory.mktemp("runs") / "m2"))


@pytest.mark.slow
def test_json_is_one_object_with_the_promised_keys(run: Path, tiny_dataset: Dataset) -> None:
    result = call("evaluate", run, tiny_dataset.path, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    keys = "oa aa kappa macro_f1 balanced_accuracy ece n_test classes confusion"
    assert set(keys.split()) <= found.keys()
    assert {"code", "name", "train", "test", "precision", "recall", "f1"} <= set(
        found["classes"][0]
    )
    assert found["report"] == str(run / "report" / "index.html")
    assert (run / "report" / "index.html").exists()


@pytest.mark.slow
def test_the_report_in_its_place_is_made_anew(run: Path, tiny_dataset: Dataset) -> None:
    for _ in range(2):
        assert call("evaluate", run, tiny_dataset.path).exit_code == 0
    assert call("evaluate", run, tiny_dataset.path, "--part", "validation").exit_code == 0
    assert (run / "report-validation" / "metrics.json").exists()


@pytest.mark.slow
def test_words_and_an_elsewhere_that_exists(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "shown"
    result = call("evaluate", run, tiny_dataset.path, "--report", elsewhere)
    assert "overall accuracy" in result.output
    assert "guessing" in result.output
    again = call("evaluate", run, tiny_dataset.path, "--report", elsewhere)
    assert isinstance(again.exception, OutputError)
    assert (
        call("evaluate", run, tiny_dataset.path, "--report", elsewhere, "--overwrite").exit_code
        == 0
    )


def test_mistakes_leave_nothing(tiny_dataset: Dataset, run: Path, tmp_path: Path) -> None:
    report = ("--report", tmp_path / "report")
    no_run = call("evaluate", tmp_path / "nowhere", tiny_dataset.path, *report)
    assert isinstance(no_run.exception, ModelError)
    assert "nowhere; make one with `hsi-ssl train-m2`" in str(no_run.exception)
    no_dataset = call("evaluate", run, tmp_path / "nowhere.h5", *report)
    assert isinstance(no_dataset.exception, DatasetError)
    no_picture = call("evaluate", run, tiny_dataset.path, "--map", "nowhere.png", *report)
    assert isinstance(no_picture.exception, SettingsError)
    assert not (tmp_path / "report").exists()


@pytest.fixture(scope="module")
def semi(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with free slots on the tiny dataset without labels of kaolinite; beside it the data."""
    folder = tmp_path_factory.mktemp("semi")
    part = tiny_dataset.part.copy()
    part[(part == Part.TRAIN) & (tiny_dataset.label == 1)] = Part.POOL
    names = ("label", "scene", "pixel", "neighbours")
    write_dataset(
        folder / "dataset.h5",
        spectra=tiny_dataset.spectra(),
        part=part,
        meta=tiny_dataset.meta,
        **{name: getattr(tiny_dataset, name) for name in names},
    )
    asked = (*SMALL.split(), "--model", "gm-dgm", "--free-slots", "3")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    result = call("train-m2", folder / "dataset.h5", "-o", folder / "run", *asked, "--json")
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model"] == "GM-DGM"
    return folder


@pytest.mark.slow
def test_free_slots_named_after_what_lies_in_them(semi: Path, tiny_dataset: Dataset) -> None:
    args = (semi / "run", semi / "dataset.h5", "--device", "cpu")
    plain = call("evaluate", *args, "--json")
    assert plain.exit_code == 0, plain.output
    found = json.loads(plain.stdout)
    assert [c["code"] for c in found["classes"]] == [2, 32]
    rows = tiny_dataset.rows(Part.TEST)
    assert found["n"] == np.count_nonzero(tiny_dataset.label[rows] != 1)
    assert np.sum(found["confusion"]) + sum(found["in_free_slots"]) == found["n"]
    assert any("classes without training label are left out: kaolinite" in w
               for w in found["warnings"])  # fmt: skip
    assert "cluster_and_label" not in found
    assert found["novelty"]["level"] == 0.01
    assert 0 <= found["novelty"]["rejected"] < 0.2
    shown = call("evaluate", *args)
    assert f"would be rejected  {100 * found['novelty']['rejected']:5.1f} %" in shown.output
    assert "would reject" in (semi / "run" / "report" / "index.html").read_text()

    named = json.loads(call("evaluate", *args, "--cluster-and-label", "--json").stdout)
    clusters = named["cluster_and_label"]
    assert clusters["oa"] > 0.8
    assert clusters["oa_unlabelled"] > 0.8
    assert [s["free"] for s in clusters["slots"]] == [False] * 2 + [True] * 3
    assert 7 in [s["code"] for s in clusters["slots"]]
    assert {k: v for k, v in named.items() if k != "cluster_and_label"} | {"warnings": 0} == (
        found | {"warnings": 0}
    )
    page = (semi / "run" / "report" / "index.html").read_text()
    assert "Free slots, named after what lies in them" in page
    words = call("evaluate", *args, "--cluster-and-label").output
    assert "free slots named after what lies in them" in words


def test_without_free_slots_there_is_nothing_to_name(run: Path, tiny_dataset: Dataset) -> None:
    asked = call("evaluate", run, tiny_dataset.path, "--cluster-and-label")
    assert isinstance(asked.exception, ModelError)
    assert "no free slots to name" in str(asked.exception)


@pytest.mark.slow
def test_the_prior_is_tuned_and_named(run: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    asked = ("--tune-spatial", "--spatial", "0.5", "--report", tmp_path / "report", "--json")
    result = call("evaluate", run, tiny_dataset.path, *asked)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["spatial"] == 0.5
    assert "Potts prior of strength 0.5" in (tmp_path / "report" / "index.html").read_text()
    assert "strength 0" in call("evaluate", run, tiny_dataset.path, "--spatial", "0.5").output
    result = call("evaluate", run, tiny_dataset.path, "--spatial", "much")
    assert isinstance(result.exception, SettingsError)
    assert "a strength from 0 to 10, learnt or tuned" in str(result.exception)


STRIPES = np.repeat(np.array([2, 7, 32], np.uint8), 10)[None].repeat(40, 0)
GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A class map with names, in UTM."""
    path = tmp_path / "product.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=40, width=30, dtype="uint8", nodata=0,
        crs="EPSG:32632", transform=GRID,
    ) as file:  # fmt: skip
        file.write(STRIPES, 1)
        file.update_tags(CLASSES=json.dumps({2: "quartz", 7: "kaolinite", 32: "white mica"}))
    return path


@pytest.mark.slow
def test_a_map_is_told_in_a_line(
    run: Path, tiny_dataset: Dataset, product: Path, tmp_path: Path
) -> None:
    asked = ("evaluate", run, tiny_dataset.path, "--map", product, "--report", tmp_path / "report")
    result = call(*asked)
    assert result.exit_code == 0, result.output
    assert "map product.tif: overall accuracy 100.0 % " in result.output
    assert "row by row, column by column, as the scene has no place" in result.output
    found = json.loads(call(*asked, "--overwrite", "--json").stdout)
    assert found["areas"][0]["accuracy"]["oa"] == 1


def test_maps_against_a_reference_need_no_run(
    product: Path, tmp_path: Path, write_layer: Callable[..., Path]
) -> None:
    places = [shapely.Point(*(GRID @ (c + 0.5, r + 0.5))) for r, c in ((0, 0), (1, 12), (2, 3))]
    fields = {"kind": ["Quartz", "kaolinite", "white_mica"], "note": ["a", "b", "c"]}
    layer = write_layer(tmp_path / "points.gpkg", places, fields, crs="EPSG:32632")
    asked = ("evaluate", "--map", product, "--reference", layer, "--label-field", "kind")
    result = call(*asked)
    assert result.exit_code == 0, result.output
    assert "product.tif at 3 reference pixels, 3 classes" in result.output
    assert "overall accuracy    66.7 %" in result.output
    assert (tmp_path / "product_accuracy" / "index.html").exists()
    assert isinstance(call(*asked).exception, OutputError)
    found = json.loads(call(*asked, "--overwrite", "--json").stdout)
    assert found["oa"] == pytest.approx(2 / 3)
    assert found["confusion"] == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    several = call(*asked, "--map", product, "--report", tmp_path / "two")
    assert isinstance(several.exception, SettingsError)
    other = product.with_name("other.tif")
    other.write_bytes(product.read_bytes())
    several = call(*asked, "--map", other, "--report", tmp_path / "two")
    assert several.exit_code == 0, several.output
    assert several.output.count("of 3 reference pixels") == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("runs/m2", "--map", "{map}"), "without any RUN or DATASET, found RUN runs/m2"),
        (("--map", "{map}", "--part", "test"), "--part is for a RUN and its DATASET"),
        (("--map", "{map}", "--spatial", "1"), "--spatial is for a RUN and its DATASET"),
        ((), "name one or several with --map"),
        (("--map", "nowhere.tif"), "no map nowhere.tif"),
        (("--map", "{map}", "--classes", "nowhere.csv"), "--classes: no file nowhere.csv"),
    ],
)
def test_what_does_not_go_with_a_reference(
    product: Path, tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    given = [one.format(map=product) for one in more]
    result = call("evaluate", *given, "--reference", product)
    assert isinstance(result.exception, SettingsError)
    assert said in str(result.exception)
    assert not list(tmp_path.glob("*_accuracy"))


def test_rules_of_a_reference_need_one(run: Path, tiny_dataset: Dataset) -> None:
    result = call("evaluate", run, tiny_dataset.path, "--label-field", "class")
    assert "--label-field is for --reference" in str(result.exception)


@pytest.mark.slow
def test_a_run_beside_one_of_labelled_pixels_alone(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    trained = call(
        "train-m2", tiny_dataset.path, "--no-unlabelled", "-o", alone, *SMALL.split(), "--seed", 1
    )
    assert trained.exit_code == 0, trained.output
    assert "0 unlabelled pixels" in trained.output
    assert "unlabelled pixels gained" not in trained.output
    report = tmp_path / "report"
    asked = ("evaluate", run, tiny_dataset.path, "--against", alone, "--report", report)
    result = call(*asked, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert f"against {alone} (M2, labelled pixels alone; here M2, with unlabelled" in result.output
    page = (report / "index.html").read_text()
    assert "Beside another run" in page
    assert json.loads((report / "metrics.json").read_text())["against"][0]["unlabelled"] is False
    itself = call(*asked, "--against", run, "--overwrite")
    assert isinstance(itself.exception, ModelError)
