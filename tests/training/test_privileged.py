"""A teacher that sees what a second sensor saw, and a student that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hearing import Hears
from rasterio.transform import Affine

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.privileged import beside
from hsi_ssl.datasets.store import open_dataset
from hsi_ssl.errors import DatasetError, SceneError
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.settings import M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2

ROWS, COLS = 48, 40
PLACE = Affine(5.0, 0.0, 300_000.0, 0.0, -5.0, 7_400_000.0)
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a cube `(bands, rows, cols)`, by default at the same place."""

    def one(name: str, cube: Any, transform: Affine = PLACE) -> Path:
        path = tmp_path / name
        with rasterio.open(
            path, "w", driver="GTiff", height=cube.shape[1], width=cube.shape[2],
            count=len(cube), dtype=cube.dtype, crs="EPSG:32719", transform=transform, nodata=0,
        ) as raster:  # fmt: skip
            raster.write(cube)
        return path

    return one


@pytest.fixture
def made(write: Write) -> dict[str, Any]:
    """A scene that hardly tells its two classes apart, and a second one that does."""
    rng = np.random.default_rng(0)
    labels = (1 + (np.arange(COLS) // 8) % 2).astype(np.uint8)[None].repeat(ROWS, 0)
    tells = np.where(labels == 1, 1.0, -1.0)
    light = rng.uniform(0.9, 1.1, (ROWS, COLS))
    shape = np.linspace(1, 2, 8)[:, None, None]
    first = 3000 * shape * light + 120 * tells * np.sin(4 * shape)
    first = first + rng.normal(0, 200, (8, ROWS, COLS))
    second = 2000 * light + 600 * tells * np.cos(3 * shape[:5]) + rng.normal(0, 50, (5, ROWS, COLS))
    write("labels.tif", labels[None])
    scene = write("scene.tif", first.astype(np.uint16))
    return {
        "scene": scene,
        "second": second.astype(np.float32),
        "labels": scene.parent / "labels.tif",
    }


def prepared(made: dict[str, Any], second: Path, **more: Any) -> Path:
    output = Path(made["scene"]).parent / "runs" / "dataset.h5"
    asked = {"split": "blocks", "block": 8, "per_class": 12, "unlabelled": 400, "guard": 0}
    prepare(
        PrepareSettings(
            sources=(str(made["scene"]),), labels=(made["labels"],), output=output,
            privileged=(second,), **{**asked, **more},
        )
    )  # fmt: skip
    return output


def test_beside_the_dataset_lies_one_of_both_sensors(made: dict[str, Any], write: Write) -> None:
    first = open_dataset(prepared(made, write("second.tif", made["second"])))
    both = open_dataset(beside(first.path))
    assert (first.bands, both.bands) == (8, 13)
    for name in ("label", "part", "scene", "pixel"):
        np.testing.assert_array_equal(getattr(first, name), getattr(both, name))
    spectra = both.spectra()
    np.testing.assert_array_equal(spectra[:, :8], first.spectra())
    row, col = first.pixel.T
    np.testing.assert_array_equal(spectra[:, 8:], made["second"][:, row, col].T)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("smaller", "has 40 x 40 pixels and"),
        ("elsewhere", "lies elsewhere than"),
        ("a hole", "has no measurement at row"),
    ],
)
def test_a_second_scene_of_other_pixels_is_refused_and_nothing_is_written(
    made: dict[str, Any], write: Write, change: str, said: str
) -> None:
    cube, place = made["second"].copy(), PLACE
    if change == "smaller":
        cube = cube[:, :40]
    elif change == "elsewhere":
        place = Affine(5.0, 0.0, 300_015.0, 0.0, -5.0, 7_400_000.0)
    else:
        cube[:, ::3] = 0
    with pytest.raises(SceneError, match=said):
        prepared(made, write("second.tif", cube, place))
    left = made["scene"].parent / "runs"
    assert not left.exists() or not list(left.iterdir())


@pytest.mark.slow
def test_the_teacher_sees_both_sensors_and_the_student_one(
    made: dict[str, Any], write: Write, hears: Hears
) -> None:
    output = prepared(made, write("second.tif", made["second"]))
    folder = output.parent
    small = {"m1": None, "hidden": (16,), "epochs": 60, "device": "cpu", "patience": 60}
    teacher = train_m2(
        M2Settings(dataset=beside(output), output=folder / "teacher", model="perceptron", **small)
    )
    knows = teacher["label_sets"][0]["metrics"]["validation"]["macro_f1"]
    student = train_m2(
        M2Settings(
            dataset=output, output=folder / "student", model="student",
            teacher=folder / "teacher", options={"labels": 1.0}, **small,
        ),
        watcher=hears,
    )  # fmt: skip
    assert knows > 0.95
    assert student["architecture"]["width"] == 8
    assert student["teacher"]["dataset"]["path"] == str(beside(output))
    assert any("asking perceptron" in line for line in hears.said)
    assert not hears.warned
    raw = open_dataset(output).spectra(np.arange(5))
    assert load_classifier(folder / "student", "cpu").posterior(raw).shape == (5, 2)


@pytest.mark.slow
def test_a_teacher_of_other_pixels_is_refused(made: dict[str, Any], write: Write) -> None:
    output = prepared(made, write("second.tif", made["second"]))
    folder = output.parent
    small = {"m1": None, "hidden": (4,), "epochs": 1, "device": "cpu"}
    train_m2(
        M2Settings(dataset=beside(output), output=folder / "teacher", model="perceptron", **small)
    )
    other = folder / "other.h5"
    prepare(
        PrepareSettings(
            sources=(str(made["scene"]),), labels=(made["labels"],), output=other, split="blocks",
            block=8, per_class=12, unlabelled=400, guard=0, seed=3,
        )
    )  # fmt: skip
    with pytest.raises(DatasetError, match="of other pixels"):
        train_m2(
            M2Settings(
                dataset=other, output=folder / "student", model="student",
                teacher=folder / "teacher", **small,
            )
        )  # fmt: skip


@pytest.mark.slow
def test_teacher_and_student_at_once(made: dict[str, Any], write: Write) -> None:
    output = prepared(made, write("second.tif", made["second"]))
    small = {"m1": None, "hidden": (16,), "epochs": 20, "device": "cpu"}
    asked = {"dataset": output, "model": "joint-student", **small}
    card = train_m2(M2Settings(output=output.parent / "joint", **asked))
    assert (card["architecture"]["width"], card["architecture"]["width_both"]) == (8, 13)
    columns = (output.parent / "joint" / "metrics.csv").read_text().splitlines()[0]
    assert {"term_teacher", "term_imitation"} <= set(columns.split(","))
    raw = open_dataset(output).spectra(np.arange(5))
    assert load_classifier(output.parent / "joint", "cpu").posterior(raw).shape == (5, 2)
    beside(output).unlink()
    with pytest.raises(DatasetError, match="with --privileged CUBE"):
        train_m2(M2Settings(output=output.parent / "again", **asked))
    assert not (output.parent / "again").exists()
