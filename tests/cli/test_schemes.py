"""Other schemes of training, as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from typed import next_steps

from hsi_ssl.datasets.store import Dataset, write_dataset

pytestmark = pytest.mark.slow

SMALL = ("--hidden", "16", "--epochs", "8", "--batch-labelled", "30", "--batch-unlabelled", "200")


@pytest.fixture(autouse=True)
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset) -> Path:
    """A project's folder with the tiny dataset, which we are in, and the scene of its pixels."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "dataset.h5").symlink_to(tiny_dataset.path)
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0)
    transform = rasterio.transform.Affine(5.0, 0.0, 300_000.0, 0.0, -5.0, 7_400_000.0)
    with rasterio.open(
        "north.tif", "w", driver="GTiff", height=40, width=30, count=12, dtype="uint16",
        crs="EPSG:32719", transform=transform,
    ) as raster:  # fmt: skip
        raster.write(cube.astype(np.uint16))
        for band, wavelength in enumerate(tiny_dataset.wavelengths_nm or (), 1):
            raster.update_tags(band, wavelength=str(wavelength), wavelength_units="nm")
    return tmp_path / "north.tif"


def test_another_classifier_is_a_run_like_any_other(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl("train-m2", "--model", "perceptron", "--no-m1", *SMALL, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["model"] == "perceptron"
    assert found["predicted_classes"] == 3
    ran = hsi_ssl("evaluate", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["macro_f1"] > 0.9
    assert list(found["by_rule"]) == ["classifier"]
    ran = hsi_ssl("info", "runs/m2")
    assert "perceptron, trained" in ran.out
    ran = hsi_ssl("classify", "north.tif", "--novelty", "--spatial", "tuned", "--stac", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["classified"] == 1200
    ran = hsi_ssl("suggest", "runs/m2", "north.tif", "-n", "3")
    assert ran.code == 0, ran.err
    ran = hsi_ssl("generate")
    assert ran.code == 2
    assert "knows q(y|x) alone" in ran.err
    ran = hsi_ssl("classify", "north.tif", "--novelty", "--novelty-by", "likelihood", "-o", "l.tif")
    assert ran.code == 2
    assert "needs a model of spectra, which perceptron is not" in ran.err
    assert not Path("l.tif").exists()


def test_unknown_models_and_options_are_named(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl("train-m2", "--model", "forest", "--no-m1")
    assert ran.code == 2
    assert "is not one of m2, gm-dgm, perceptron" in ran.err
    Path("hsi-ssl.toml").write_text('[m2]\nmodel = "forest"\n')
    ran = hsi_ssl("train-m2", "--no-m1")
    assert ran.code == 2
    assert "no such model; there are m2, gm-dgm, perceptron" in ran.err


@pytest.mark.parametrize(
    ("model", "more", "terms"),
    [
        ("autoencoder", ("--option", "weight=3"), {"reconstruction", "cross_entropy"}),
        ("gan", (), {"cross_entropy", "measured", "generated", "feature_matching"}),
    ],
)
def test_joint_auto_encoder_and_gan(
    hsi_ssl: Callable[..., Any], model: str, more: tuple[str, ...], terms: set[str]
) -> None:
    small = ("--no-m1", "--latent", "4", *SMALL)
    ran = hsi_ssl("train-m2", "--model", model, *more, *small, "--json")
    assert ran.code == 0, ran.err
    card = json.loads(Path("runs/m2/model.json").read_text())
    assert card["metrics"]
    columns = Path("runs/m2/metrics.csv").read_text().splitlines()[0].split(",")
    assert {f"term_{term}" for term in terms} <= set(columns)
    assert Path("runs/m2/figures/generated.png").is_file()
    ran = hsi_ssl("evaluate", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["macro_f1"] > 0.8


def test_a_gan_draws_spectra_of_an_extractors_features(hsi_ssl: Callable[..., Any]) -> None:
    assert hsi_ssl("train-m1", "--extractor", "pca", "--latent", "3").code == 0
    ran = hsi_ssl("train-m2", "--model", "gan", *SMALL)
    assert ran.code == 0, ran.err
    assert Path("runs/m2/figures/generated.png").is_file()


def test_a_student_is_distilled_from_a_run(hsi_ssl: Callable[..., Any]) -> None:
    assert hsi_ssl("train-m2", "--model", "perceptron", "--no-m1", *SMALL).code == 0
    ran = hsi_ssl("distil", "--hidden", "8", "--epochs", "20", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert found["teacher"] == "perceptron"
    assert found["agreement"] > 0.9
    assert found["student_pixels_per_second"] > 0
    ran = hsi_ssl("evaluate", "runs/student", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["macro_f1"] > 0.9
    commands = next_steps(Path("runs/student/report/index.html"))
    assert commands[0] == "hsi-ssl evaluate runs/student --against runs/m2"
    ran = hsi_ssl("classify", "north.tif", "--model", "runs/student", "--json")
    assert ran.code == 0, ran.err
    ran = hsi_ssl("distil")
    assert ran.code == 2
    assert "holds a trained model; pass --overwrite" in ran.err
    teacher = Path("runs/m2/model.json").read_text()
    ran = hsi_ssl("distil", "runs/m2", "-o", "runs/../runs/m2", "--overwrite")
    assert ran.code == 2
    assert "is the run to learn from, and would be lost" in ran.err
    assert Path("runs/m2/model.json").read_text() == teacher


def test_who_needs_a_teacher_and_who_does_not(hsi_ssl: Callable[..., Any]) -> None:
    assert hsi_ssl("train-m2", "--model", "perceptron", "--no-m1", *SMALL).code == 0
    for model, said in (("student", "name its run with --teacher"), ("gan", "no use for a teacher"),
                        ("m2", "no use for a teacher")):  # fmt: skip
        teacher = () if model == "student" else ("--teacher", "runs/m2")
        ran = hsi_ssl("train-m2", "--no-m1", "--model", model, *teacher, "-o", "runs/other")
        assert ran.code == 2
        assert said in ran.err
        assert not Path("runs/other").exists()


def test_features_start_from_another_sensor(
    hsi_ssl: Callable[..., Any], tiny_dataset: Dataset
) -> None:
    small = ("--hidden", "8", "--latent", "3", "--epochs", "2")
    assert hsi_ssl("train-m1", *small).code == 0
    meta = {**tiny_dataset.meta, "wavelengths_nm": np.linspace(990, 2520, 12).tolist()}
    columns = ("label", "part", "scene", "pixel", "neighbours", "unit")
    values = {name: getattr(tiny_dataset, name) for name in columns}
    write_dataset(Path("other.h5"), spectra=tiny_dataset.spectra(), meta=meta, **values)
    ran = hsi_ssl("train-m1", "other.h5", "--init-from", "runs/m1", *small, "-o", "runs/tuned")
    assert ran.code == 0, ran.err
    assert "are resampled to the 12" in ran.out
    card = json.loads(Path("runs/tuned/model.json").read_text())
    assert card["scaling"]["kind"] == "resampled"
    frozen = ("train-m1", "other.h5", "--frozen", *small, "-o", "runs/frozen")
    ran = hsi_ssl(*frozen, "--init-from", "runs/m1")
    assert ran.code == 0, ran.err
    ran = hsi_ssl(*frozen, "--overwrite")
    assert ran.code == 2
    assert "name it with --init-from" in ran.err
    ran = hsi_ssl("train-m2", "other.h5", "--m1", "runs/tuned", "--model", "perceptron", *SMALL)
    assert ran.code == 0, ran.err
    write_dataset(Path("silent.h5"), spectra=tiny_dataset.spectra(),
                  meta={**meta, "wavelengths_nm": None, "bands": 13}, **values)  # fmt: skip
    ran = hsi_ssl("train-m1", "silent.h5", "--init-from", "runs/m1", *small, "-o", "runs/silent")
    assert ran.code == 2
    assert "knows no wavelengths to resample by" in ran.err
    assert not Path("runs/silent").exists()


def test_one_model_of_two_label_sets(hsi_ssl: Callable[..., Any], two_label_sets: Dataset) -> None:
    asked = ("train-m2", two_label_sets.path, "--no-m1", *SMALL, "--epochs", "20")
    ran = hsi_ssl(*asked, "--model", "perceptron")
    assert ran.code == 2
    assert "learns one label set, the dataset has 2" in ran.err
    ran = hsi_ssl(*asked, "--model", "multi-task", "--latent", "8", "--json")
    assert ran.code == 0, ran.err
    assert [one["label_set"] for one in json.loads(ran.out)["label_sets"]] == [
        "mineralogy", "lithology",
    ]  # fmt: skip
    ran = hsi_ssl("evaluate", "runs/m2", two_label_sets.path, "--json")
    assert ran.code == 0, ran.err
    assert all(one["macro_f1"] > 0.8 for one in json.loads(ran.out)["label_sets"].values())


def test_a_second_sensor_for_the_teacher(
    hsi_ssl: Callable[..., Any], tiny_dataset: Dataset
) -> None:
    with rasterio.open("north.tif") as first:
        profile, cube = first.profile, first.read()
    labels = (1 + np.arange(30) // 10).astype(np.uint8)[None].repeat(40, 0)
    with rasterio.open("classes.tif", "w", **{**profile, "count": 1, "dtype": "uint8"}) as raster:
        raster.write(labels[None])
    for name, second in (("second.tif", cube[:5] + 1), ("small.tif", cube[:5, :30])):
        size = {"count": 5, "height": second.shape[1]}
        with rasterio.open(name, "w", **{**profile, **size}) as raster:
            raster.write(second)
    asked = ("prepare", "north.tif", "--labels", "classes.tif", "--per-class", "20", "-o", "d.h5")
    ran = hsi_ssl(*asked, "--privileged", "small.tif")
    assert ran.code == 2
    assert "has 30 x 30 pixels and" in ran.err
    assert not [p.name for p in Path().glob("d*")]
    ran = hsi_ssl(*asked, "--privileged", "north.tif")
    assert ran.code == 2
    assert "is the scene itself" in ran.err
    ran = hsi_ssl(*asked, "--privileged", "second.tif")
    assert ran.code == 0, ran.err
    teach = ("train-m2", "d_privileged.h5", "--model", "perceptron", "--no-m1", *SMALL)
    assert hsi_ssl(*teach, "-o", "teacher").code == 0
    ran = hsi_ssl("evaluate", "teacher", "d_privileged.h5", "--json")
    assert ran.code == 0, ran.err
    learn = ("train-m2", "d.h5", "--teacher", "teacher", "--no-m1", *SMALL)
    ran = hsi_ssl(*learn, "--privileged-by", "separate", "-o", "student")
    assert ran.code == 0, ran.err
    assert "asking perceptron in teacher" in ran.out
    card = json.loads(Path("student/model.json").read_text())
    assert card["model"] == "student"
    assert card["settings"]["options"] == {"labels": 1.0}
    for words, said in (
        ((*learn, "--privileged-by", "joint"), "joint trains its own teacher"),
        ((*learn, "--privileged-by", "separate", "--model", "gan"), "contradict each other"),
        (("train-m2", "d.h5", "--no-m1", "--privileged-by", "separate"), "saw both sensors"),
        (
            ("train-m2", "d.h5", "--no-m1", "--privileged-by", "separate", "--teacher", "student"),
            "saw no second sensor",
        ),
    ):
        ran = hsi_ssl(*words, "-o", "other")
        assert ran.code == 2
        assert said in ran.err
    assert not Path("other").exists()
    assert hsi_ssl("classify", "north.tif", "--model", "student", "-o", "map.tif").code == 0
