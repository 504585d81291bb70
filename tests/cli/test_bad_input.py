"""Bad input, whatever the command: one sentence, exit code 2, no traceback, nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import torch
from scipy.io import savemat

from hsi_ssl.datasets.store import Dataset

Refused = Callable[..., str]


def core(path: Path, *, rows: int = 32, cols: int = 32, **changes: Any) -> Path:
    """A small cube in the drill-core format, of two minerals in quarters."""
    rng = np.random.default_rng(0)
    labels = np.zeros((rows, cols), np.int32)
    labels[: rows // 2] = 2
    labels[rows // 2 :] = 5
    data = rng.integers(100, 4000, (rows, cols, 8)).astype(np.uint16)
    arrays = {"data": data, "labels": labels, **changes}
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[f"hsimage/{name}"] = array
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    return tmp_path


@pytest.fixture
def refused(hsi_ssl: Callable[..., Any], project: Path) -> Refused:
    def call(*arguments: object) -> str:
        before = tree(project)
        ran = hsi_ssl(*arguments)
        assert ran.code == 2, (ran.out, ran.err)
        assert ran.err.startswith("Error: "), ran.err
        assert "Traceback" not in ran.err
        assert len(ran.err.strip().splitlines()) == 1, ran.err
        assert tree(project) == before
        return str(ran.err)

    return call


def test_missing_file(refused: Refused) -> None:
    assert "nowhere.h5" in refused("prepare", "nowhere.h5")
    assert "nowhere.h5" in refused("info", "nowhere.h5")
    assert "nowhere.h5" in refused("balance", "nowhere.h5")
    assert "hsi-ssl prepare" in refused("train-m1", "nowhere.h5")


@pytest.mark.parametrize("kind", ["h5", "tif", "mat"])
def test_truncated_file(refused: Refused, project: Path, kind: str) -> None:
    path = project / f"cube.{kind}"
    data = np.random.default_rng(0).integers(1, 4000, (64, 64, 20)).astype(np.uint16)
    if kind == "h5":
        core(path, rows=64, cols=64)
    elif kind == "mat":
        savemat(path, {"cube": data}, do_compression=True)
    else:
        with rasterio.open(
            path, "w", driver="GTiff", height=64, width=64, count=20, dtype="uint16",
            crs="EPSG:32719", transform=rasterio.Affine(5, 0, 0, 0, -5, 0),
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(data, -1, 0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    labels = project / "labels.npy"
    np.save(labels, np.repeat([1, 2], 32)[:, None] * np.ones((1, 64), np.int16))
    assert path.name in refused("prepare", path, "--labels", labels)


def test_no_such_data_set_inside(refused: Refused, project: Path) -> None:
    sentence = refused("prepare", core(project / "a.h5"), "--variable", "hsimage/cube")
    assert "hsimage/cube" in sentence


def test_label_map_of_another_shape(refused: Refused, project: Path) -> None:
    np.save(project / "labels.npy", np.ones((31, 32), np.int16))
    path = core(project / "a.h5")
    sentence = refused("prepare", path, "--labels", project / "labels.npy")
    assert "31" in sentence
    assert "32" in sentence


@pytest.mark.parametrize(("value", "word"), [(-3, "-3"), (2.5, "2.5")])
def test_negative_or_fractional_labels(
    refused: Refused, project: Path, value: float, word: str
) -> None:
    labels = np.full((32, 32), 2, np.float32)
    labels[4, 5] = value
    assert word in refused("prepare", core(project / "a.h5", labels=labels))


def test_no_labelled_pixel_and_one_class_only(refused: Refused, project: Path) -> None:
    nothing = core(project / "a.h5", labels=np.zeros((32, 32), np.int32))
    assert "label" in refused("prepare", nothing)
    one = core(project / "b.h5", labels=np.full((32, 32), 7, np.int32))
    assert "one class" in refused("prepare", one)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_cube_without_a_measurement(refused: Refused, project: Path, value: float) -> None:
    data = np.full((32, 32, 8), value, np.float32)
    refused("prepare", core(project / "a.h5", data=data))


@pytest.mark.slow
def test_output_exists(refused: Refused, project: Path, hsi_ssl: Callable[..., Any]) -> None:
    path = core(project / "a.h5")
    assert hsi_ssl("prepare", path, "--unlabelled", "100").code == 0
    assert "--overwrite" in refused("prepare", path)
    assert hsi_ssl("prepare", path, "--unlabelled", "100", "--overwrite").code == 0


def test_an_output_that_is_a_source_or_a_folder_destroys_nothing(
    refused: Refused, project: Path
) -> None:
    path = core(project / "a.h5")
    assert "is a source" in refused("prepare", path, "-o", path, "--overwrite")
    (project / "runs").mkdir()
    (project / "runs" / "thesis.txt").write_text("years of work")
    assert "is a folder" in refused("prepare", path, "-o", "runs", "--overwrite")


def test_a_settings_file_that_is_a_folder(refused: Refused) -> None:
    assert "name a TOML file" in refused("prepare", "--project", ".")


def test_output_in_a_place_that_cannot_be_written(refused: Refused, project: Path) -> None:
    (project / "file").write_text("")
    path = core(project / "a.h5")
    assert "cannot write" in refused("prepare", path, "-o", project / "file" / "d.h5")
    assert "/sys/kernel" in refused("prepare", path, "-o", "/sys/kernel/d.h5")


@pytest.mark.slow
def test_training_into_a_place_that_cannot_be_written(
    refused: Refused, tiny_dataset: Dataset, project: Path
) -> None:
    shutil.copy(tiny_dataset.path, project / "d.h5")
    (project / "file").write_text("")
    small = ("--hidden", "4", "--latent", "2", "--epochs", "1")
    assert "cannot write" in refused("train-m1", "d.h5", "-o", "/sys/kernel/m1", *small)
    assert "name a folder" in refused("train-m1", "d.h5", "-o", "file", *small)


def test_unknown_key_in_the_settings_file(refused: Refused, project: Path) -> None:
    (project / "hsi-ssl.toml").write_text("[prepare]\ncapp = 300\n")
    for command in ("prepare", "train-m1", "train-m2", "classify"):
        assert "did you mean cap?" in refused(command)


def test_gpu_asked_and_absent(refused: Refused, tiny_dataset: Dataset, project: Path) -> None:
    shutil.copy(tiny_dataset.path, project / "d.h5")
    device = f"cuda:{torch.cuda.device_count()}"
    assert "--device auto" in refused("train-m1", "d.h5", "--device", device)
    assert "--device auto" in refused("train-m2", "d.h5", "--no-m1", "--device", device)


def test_broken_dataset(refused: Refused, tiny_dataset: Dataset, project: Path) -> None:
    whole = tiny_dataset.path.read_bytes()
    (project / "d.h5").write_bytes(whole[: len(whole) // 2])
    assert "hsi-ssl prepare" in refused("train-m1", "d.h5")
    (project / "text.h5").write_text("not HDF5")
    assert "hsi-ssl prepare" in refused("train-m2", "text.h5")


@pytest.mark.slow
def test_other_number_of_bands_at_classify(
    refused: Refused, hsi_ssl: Callable[..., Any], tiny_dataset: Dataset, project: Path
) -> None:
    shutil.copy(tiny_dataset.path, project / "d.h5")
    small = ("--hidden", "8", "--latent", "2", "--epochs", "1")
    assert hsi_ssl("train-m2", "d.h5", "--no-m1", *small).code == 0
    sentence = refused("classify", core(project / "a.h5"))
    assert "12" in sentence
    assert "8" in sentence


def test_classify_without_a_model_or_a_scene(refused: Refused, project: Path) -> None:
    assert "hsi-ssl train-m2" in refused("classify", core(project / "a.h5"))
    assert "no scene to classify" in refused("classify")
