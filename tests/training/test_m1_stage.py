"""train-m1: what it may see, what it reports, what it writes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hearing import Hears
from matplotlib.figure import Figure

from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import DatasetError, ModelError
from hsi_ssl.inference.checkpoint import load_run, save_card
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.reports.figures import write_png
from hsi_ssl.settings import M1Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.stage import Panels


def settings(dataset: Dataset, run: Path, **more: object) -> M1Settings:
    small = {"latent": 4, "hidden": (32,), "batch": 64, "epochs": 30, "patience": 50}
    return M1Settings(dataset=dataset.path, output=run, **{**small, **more})


def rewritten(dataset: Dataset, path: Path, **changes: Any) -> Dataset:
    arrays = {
        name: getattr(dataset, name) for name in ("label", "part", "scene", "pixel", "neighbours")
    }
    values: dict[str, Any] = {
        "spectra": dataset.spectra(),
        "meta": dataset.meta,
        **arrays,
        **changes,
    }
    return write_dataset(path, **values)


@pytest.mark.slow
def test_features_separate_classes_and_survive_saving(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    card = train_m1(settings(tiny_dataset, tmp_path / "m1"))
    assert card["metrics"]["active_units"] >= 2
    assert not card["metrics"]["collapsed"]
    rows = tiny_dataset.rows(Part.TEST)
    mean, logvar = load_m1(tmp_path / "m1", "cpu").features(tiny_dataset.spectra(rows))
    assert logvar is not None
    assert mean.shape == logvar.shape == (len(rows), 4)
    label = tiny_dataset.label[rows]
    centres = np.stack([mean[label == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(mean[:, None] - centres, axis=-1).argmin(1)
    assert np.mean(nearest == label) > 0.9


def test_test_and_validation_spectra_do_not_touch_the_weights(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    spectra = tiny_dataset.spectra()
    spectra[tiny_dataset.rows(Part.TEST)] = 7
    other = rewritten(tiny_dataset, tmp_path / "other.h5", spectra=spectra)
    one = train_m1(settings(tiny_dataset, tmp_path / "one", epochs=3))
    two = train_m1(settings(other, tmp_path / "two", epochs=3))
    assert one["weights_sha256"] == two["weights_sha256"]


def test_a_transductive_dataset_shows_the_test_spectra(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    meta = {**tiny_dataset.meta, "transductive": True}
    other = rewritten(tiny_dataset, tmp_path / "other.h5", meta=meta)
    one = train_m1(settings(tiny_dataset, tmp_path / "one", epochs=2))
    two = train_m1(settings(other, tmp_path / "two", epochs=2))
    assert one["weights_sha256"] != two["weights_sha256"]
    assert two["dataset"]["transductive"]


def test_bernoulli_refuses_values_outside_the_unit_interval(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"needs values in 0\.\.1, scaling standard gives"):
        train_m1(settings(tiny_dataset, tmp_path / "m1", likelihood="bernoulli"))
    assert not (tmp_path / "m1").exists()


def test_without_validation_pixels_some_are_held_out(tiny_dataset: Dataset, tmp_path: Path) -> None:
    part = np.where(tiny_dataset.part == Part.VALIDATION, Part.POOL, tiny_dataset.part)
    other = rewritten(tiny_dataset, tmp_path / "other.h5", part=part.astype(np.uint8))
    card = train_m1(settings(other, tmp_path / "m1", epochs=2))
    assert np.isfinite(card["metrics"]["bound_validation"])


@pytest.mark.slow
def test_collapse_is_said_in_words(tiny_dataset: Dataset, tmp_path: Path, hears: Hears) -> None:
    # A likelihood much wider than the data: nothing is worth encoding.
    card = train_m1(
        settings(tiny_dataset, tmp_path / "m1", sd_floor=50.0, epochs=20), watcher=hears
    )
    assert card["metrics"]["collapsed"]
    assert len(hears.warned) == 1
    assert hears.warned[0].startswith("M1 has collapsed: 0 of 4 latent units are active")


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "epochs"), [(5.0, 3), (1e-3, 60)])
def test_training_never_keeps_what_is_worse_than_the_best_linear_model(
    tiny_dataset: Dataset, tmp_path: Path, hears: Hears, rate: float, epochs: int
) -> None:
    start = settings(tiny_dataset, tmp_path / "start", epochs=1, learning_rate=1e-12)
    wild = settings(tiny_dataset, tmp_path / "wild", epochs=epochs, learning_rate=rate)
    linear = train_m1(start)["metrics"]["bound_validation"]
    card = train_m1(wild, watcher=hears)
    assert card["metrics"]["bound_validation"] > linear - 0.05
    assert (card["training"]["best_epoch"] == 0) == (rate > 1)
    assert any("before the first epoch" in line for line in hears.said) == (rate > 1)


@pytest.mark.slow
def test_init_from_starts_with_those_weights(tiny_dataset: Dataset, tmp_path: Path) -> None:
    first = train_m1(settings(tiny_dataset, tmp_path / "first", epochs=30))
    second = settings(tiny_dataset, tmp_path / "second", epochs=1, learning_rate=1e-9, warm_up=0)
    card = train_m1(second, init_from=tmp_path / "first")
    assert card["metrics"]["bound_validation"] == pytest.approx(
        first["metrics"]["bound_validation"], abs=0.01
    )
    with pytest.raises(ModelError, match=r"another architecture .* differ in latent; give") as told:
        train_m1(settings(tiny_dataset, tmp_path / "third", latent=5), init_from=tmp_path / "first")
    assert len(str(told.value).replace(str(tmp_path), "")) < 200
    logits = settings(tiny_dataset, tmp_path / "third", likelihood="bernoulli")
    with pytest.raises(ModelError, match=r"another architecture .* differ in likelihood; give"):
        train_m1(logits, init_from=tmp_path / "first")


@pytest.mark.slow
def test_another_floor_of_the_noise_keeps_what_features_say(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    first = train_m1(settings(tiny_dataset, tmp_path / "first", epochs=3, sd_floor=0.1))
    other = settings(tiny_dataset, tmp_path / "other", sd_floor=0.05)
    kept = train_m1(other, init_from=tmp_path / "first", frozen=True)["metrics"]
    for name in ("variance_per_unit", "kl_per_unit"):
        assert kept[name] == pytest.approx(first["metrics"][name])
    assert kept["explained_variance"] == pytest.approx(first["metrics"]["explained_variance"])


@pytest.mark.slow
def test_generated_spectra_are_drawn_in_the_files_units(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    drawn: list[tuple[Panels, list[float] | None, str]] = []
    train_m1(
        settings(tiny_dataset, tmp_path / "m1"),
        draw=lambda panels, wavelengths, unit: drawn.append((panels, wavelengths, unit)),
    )
    panels, wavelengths, unit = drawn[-1]
    titles = [title for title, _ in panels]
    assert titles[0] == "epoch 0"
    assert titles[-1] == "measured"
    assert len(titles) >= 5
    measured, last = panels[-1][1], panels[-2][1]
    assert 1000 < measured.mean() < 4000
    assert abs(last.mean() - measured.mean()) < 500
    assert wavelengths == tiny_dataset.wavelengths_nm
    assert unit == "measured value"


@pytest.mark.slow
def test_a_picture_that_cannot_be_drawn_is_said_and_ends_no_training(
    tiny_dataset: Dataset, tmp_path: Path, hears: Hears
) -> None:
    def draw(panels: Panels, wavelengths_nm: list[float] | None, unit: str) -> None:
        write_png(Figure(), tmp_path / "figure" / "x" / "generated.png")

    (tmp_path / "figure").touch()
    card = train_m1(settings(tiny_dataset, tmp_path / "m1", epochs=2), draw=draw, watcher=hears)
    assert card["training"]["epochs"] == 2
    assert load_m1(tmp_path / "m1", "cpu").card["weights_sha256"] == card["weights_sha256"]
    said = [s for s in hears.warned if s.startswith("the picture of generated spectra is left out")]
    assert said
    assert "a part of the path is a file" in said[0]


def test_a_dataset_without_pixels_to_learn_from_is_refused(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    part = np.full_like(tiny_dataset.part, Part.TEST)
    other = rewritten(
        tiny_dataset, tmp_path / "other.h5", part=part, label=np.abs(tiny_dataset.label)
    )
    with pytest.raises(DatasetError, match="0 pixels to learn from"):
        train_m1(settings(other, tmp_path / "m1"))


def test_broken_run_folders_are_refused_in_one_sentence(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "m1"
    train_m1(settings(tiny_dataset, run, epochs=1))
    with pytest.raises(ModelError, match="is needed"):
        load_run(run, "m2")
    with pytest.raises(ModelError, match="no model in"):
        load_run(tmp_path / "nowhere", "m1")
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-4] + b"\0\0\0\1")
    with pytest.raises(ModelError, match="is not the one"):
        load_run(run, "m1")
    (run / "model.safetensors").write_bytes(weights[:100])
    with pytest.raises(ModelError, match="is not the one"):
        load_run(run, "m1")
    (run / "model.safetensors").write_bytes(weights)
    card = json.loads((run / "model.json").read_text())
    card["architecture"]["latent"] = 9
    save_card(run, card)
    with pytest.raises(ModelError, match=r"do not fit the architecture .* train again") as told:
        load_m1(run)
    assert "\n" not in str(told.value)
    for name, wrong in (("extractor", "ours"), ("scaling", {**card["scaling"], "kind": "ours"})):
        save_card(run, {**card, name: wrong})
        with pytest.raises(ModelError, match=rf"made by {name} 'ours', which is not installed"):
            load_run(run, "m1")


def test_use_of_every_unit_is_in_the_card(tiny_dataset: Dataset, tmp_path: Path) -> None:
    card = train_m1(settings(tiny_dataset, tmp_path / "m1", epochs=2))
    assert len(card["metrics"]["kl_per_unit"]) == len(card["metrics"]["variance_per_unit"]) == 4
    assert card["used_bands"] == list(range(12))
    assert card["training"]["device"].startswith("cpu")
    assert torch.__version__ == card["torch"]
    assert dataclasses.asdict(load_m1(tmp_path / "m1").model.architecture)["width"] == 12
