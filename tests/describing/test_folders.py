from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from placed_files import write_cube, write_layer
from scipy.io import savemat

from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import open_dataset, writing_dataset
from hsi_ssl.describing.telling import describe
from hsi_ssl.errors import ModelError, SceneNotFoundError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.scenes.reading import Reading

LABELS = LabelSet(
    "minerals", (LabelClass(3, "calcite", "#ff0000"), LabelClass(32, "epidote", "#00ff00"))
)

SOURCE = {"name": "core", "path": "core.h5", "rows": 9, "cols": 8, "format": "HDF5"}
SOURCE |= {"fingerprint": "0" * 64}


def text_of(path: Path) -> str:
    return "\n".join((*describe(path).lines, ""))


def dataset(path: Path) -> Path:
    spectra = np.random.default_rng(0).random((6, 4)).astype(np.float32)
    label = np.array([0, 1, 1, 0, -1, -1], np.int16)
    with writing_dataset(path, bands=4, dtype=spectra.dtype) as writer:
        writer.append(spectra)
        writer.finish(
            label=label,
            part=np.array([0, 0, 1, 2, 3, 3], np.uint8),
            scene=np.zeros(6, np.int16),
            pixel=np.zeros((6, 2), np.int32),
            neighbours=np.full((6, 8), -1, np.int32),
            meta={
                "title": "two minerals",
                "sources": [SOURCE],
                "bands": 5,
                "used_bands": [0, 1, 2, 4],
                "wavelengths_nm": [400, 500, 600, 800],
                "label_set": LABELS.to_card(),
                "scaling": fit_scaler("standard", spectra, components=4).to_card(),
                "split": {"kind": "blocks", "block": 8, "guard": 1, "rare": []},
                "transductive": False,
                "image_like": False,
                "fwhm_nm": None,
                "seed": 3,
            },
        )
    return path


def test_dataset(tmp_path: Path) -> None:
    path = dataset(tmp_path / "dataset.h5")
    found = describe(path).values
    assert found["kind"] == "dataset"
    assert found["pixels"] == 6
    assert found["parts"] == {"train": 2, "validation": 1, "test": 1, "pool": 2}
    assert found["classes"] == [
        {"code": 3, "name": "calcite", "train": 1, "validation": 0, "test": 1},
        {"code": 32, "name": "epidote", "train": 1, "validation": 1, "test": 0},
    ]
    assert found["sources"][0]["path"] == "core.h5"
    text = text_of(path)
    assert "6 pixels x 4 of 5 bands: train 2, validation 1, test 1, pool 2" in text
    assert "split by blocks, scaling standard, seed 3" in text


@pytest.mark.slow
def test_run_folders(tmp_path: Path) -> None:
    from hsi_ssl.settings import M1Settings, M2Settings
    from hsi_ssl.training.m1_stage import train_m1
    from hsi_ssl.training.m2_stage import train_m2

    path = dataset(tmp_path / "dataset.h5")
    assert len(open_dataset(path)) == 6
    m1, m2 = tmp_path / "m1", tmp_path / "m2"
    small = {"dataset": path, "latent": 2, "hidden": (3,), "epochs": 1}
    train_m1(M1Settings(**small, output=m1))
    train_m2(M2Settings(**small, output=m2, m1=None))
    found = describe(m1).values
    assert (found["kind"], found["model"], found["bands"]) == ("run", "M1", 5)
    assert found["classes"] == []
    assert found["training"]["epochs"] == 1
    found = describe(m2).values
    assert found["model"] == "M2"
    assert found["classes"] == [{"code": 3, "name": "calcite"}, {"code": 32, "name": "epidote"}]
    text = text_of(m2)
    assert "learnt on two minerals" in text
    assert "2 latent units, 16 components a class, gaussian likelihood" in text
    assert "class 32: epidote" in text
    (m2 / "model.json").write_text("{")
    with pytest.raises(ModelError, match="broken"):
        describe(m2)


def test_runs_that_are_not_finished(tmp_path: Path) -> None:
    import torch

    from hsi_ssl.inference.checkpoint import STATE, save_state
    from hsi_ssl.training.m2_stage import SUPERVISED

    run = tmp_path / "m2"
    (run / "last").mkdir(parents=True)
    assert "run, unfinished, epoch 0" in text_of(run)
    progress = {"epoch": 7, "step": 70, "seconds": 12.5, "best_epoch": 5, "stopped": ""}
    save_state(run / SUPERVISED, {"a": torch.zeros(1)}, {"progress": progress, "identity": {}})
    assert "run, unfinished, epoch 7, supervised part" in text_of(run)
    save_state(run, {"a": torch.zeros(1)}, {"progress": progress | {"epoch": 9}, "identity": {}})
    found = describe(run).values
    assert (found["kind"], found["finished"], found["epoch"]) == ("run", False, 9)
    assert found["state_written"].startswith("20")
    text = text_of(run)
    assert "run, unfinished, epoch 9\n" in text
    assert "70 steps in 12 s, best epoch 5; state written 20" in text
    assert "--resume goes on with it" in text
    (run / STATE).write_bytes(b"half")
    with pytest.raises(ModelError, match=r"state\.safetensors is broken"):
        describe(run)


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        (
            {"metrics.json": {"run": "runs/m2", "model": "M2", "dataset": "d.h5", "part": "test",
                              "n": 60, "oa": 0.91, "macro_f1": 0.8, "kappa": None}},
            "evaluation",
            ["report of evaluate on runs/m2 (M2)", "60 pixels of d.h5, part test", "OA 0.910"],
        ),
        (
            {"metrics.json": {"map": "map.tif", "reference": "gt.tif", "n": 9, "oa": 0.5}},
            "map accuracy",
            ["accuracy of 1 map", "map.tif by gt.tif, 9 pixels", "OA 0.500"],
        ),
        (
            {"metrics.json": {"maps": [{"map": "a.tif", "reference": "gt.tif", "n": 9, "oa": None},
                                       {"map": "b.tif", "reference": "gt.tif", "n": 9}]}},
            "map accuracy",
            ["accuracy of 2 maps", "b.tif by gt.tif, 9 pixels", "no scores"],
        ),
        (
            {"groups.json": {"run": "runs/gm", "scenes": ["a", "b"], "groups": [{}],
                             "library": "usgs.sli"}},
            "discovery",
            ["report of discover on runs/gm", "1 group in 2 scenes, named by usgs.sli"],
        ),
        (
            {"compare.json": {"title": "Potsdam"}, "cells/none-svm-5-0.json": {}},
            "comparison",
            ["comparison on Potsdam, unfinished: 1 cell so far"],
        ),
        (
            {"compare.json": {"title": "Potsdam"}, "cells/none-svm-5-0.json": {},
             "cells/pca-svm-5-0.json": {},
             "table.json": {"lines": [{"extractor": "none", "classifier": "svm", "labels": 5},
                                      {"extractor": "pca", "classifier": "svm", "labels": 5}],
                            "answers": ["one seed"]}},
            "comparison",
            ["comparison of svm on none, pca, of Potsdam", "5 labels a class, 2 cells", "one seed"],
        ),
        (
            {"index.html": "<title>Label balance: a &amp; b</title>", "balance.csv": ""},
            "balance",
            ["report, Label balance: a & b"],
        ),
        (
            {"rock/metrics.json": {"run": "m", "n": 1}, "mineral/metrics.json": {"run": "m"}},
            "evaluation",
            [": 2 reports", "mineral: report of evaluate on m", "rock: report of evaluate on m"],
        ),
    ],
)  # fmt: skip
def test_reports(tmp_path: Path, files: dict[str, Any], kind: str, words: list[str]) -> None:
    for name, content in files.items():
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    found = describe(tmp_path).values
    assert (found["kind"], found["report"]) == ("report", kind)
    text = text_of(tmp_path)
    for word in words:
        assert word in text


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_report_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ModelError, match="make the report again"):
        describe(tmp_path)


def test_a_folder_of_scenes_names_them_and_their_labels(tmp_path: Path) -> None:
    write_cube(tmp_path / "a.tif")
    write_cube(tmp_path / "b.tif", bands=8)
    write_cube(tmp_path / "photo.tif", bands=3)
    write_layer(tmp_path / "a_labels.gpkg", [shapely.box(0, 0, 1, 1)], {"class": ["marl"]})
    found = describe(tmp_path)
    assert found.values["kind"] == "scenes"
    assert [(Path(s["path"]).name, s["bands"], s["labels"]) for s in found.values["scenes"]] == [
        ("a.tif", 6, "a_labels.gpkg"),
        ("b.tif", 8, None),
    ]
    text = text_of(tmp_path)
    assert f"{tmp_path}: folder of 2 scenes\na.tif: 20 x 24 pixels, 6 bands, labels a_lab" in text
    assert "b.tif: 20 x 24 pixels, 8 bands, no labels of its own" in text
    assert "left out: photo.tif has 3 bands" in text
    dataset(tmp_path / "prepared.h5")
    assert "left out: prepared.h5 is a dataset that was prepared\n" in text_of(tmp_path)
    (tmp_path / "prepared.h5").unlink()
    write_cube(tmp_path / "WHITEREF_a.tif")
    assert "left out: WHITEREF_a.tif is called a white or dark ref" in text_of(tmp_path)
    for i in range(30):
        (tmp_path / f"c{i:02}.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    assert "and 12 more" in text_of(tmp_path)


def test_a_folder_of_scenes_is_read_as_it_is_asked_for(tmp_path: Path) -> None:
    cube = np.ones((5, 6, 7), np.uint16)
    savemat(tmp_path / "two.mat", {"a": cube, "b": cube[:, :, :5]})
    with pytest.raises(SceneNotFoundError, match=r"it holds two\.mat \(left out: .* --variable\)"):
        describe(tmp_path)
    assert "two.mat: 5 x 6 pixels, 5 bands" in "\n".join(describe(tmp_path, Reading("b")).lines)
    turned = Reading("b", axes="bands,rows,cols")
    assert "two.mat: 6 x 5 pixels, 5 bands" in "\n".join(describe(tmp_path, turned).lines)


def test_a_folder_without_scenes_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(SceneNotFoundError, match="it is empty; give"):
        describe(tmp_path)
    (tmp_path / "flights").mkdir()
    write_layer(tmp_path / "a_labels.gpkg", [shapely.box(0, 0, 1, 1)])
    with pytest.raises(SceneNotFoundError, match=r"it holds a_labels\.gpkg, flights/; give a run"):
        describe(tmp_path)


def test_a_folder_called_as_a_data_set_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("salinas", "mine"):
        Path(name).mkdir()
        write_cube(Path(name, "a.tif"))
    assert (
        "take salinas for the catalog's, and ./salinas for" in describe(Path("salinas")).lines[-1]
    )
    assert describe(Path("mine")).values["notes"] == []
