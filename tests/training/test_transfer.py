"""An extractor that starts from one of another sensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hsi_ssl.checking import choices
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import DatasetError, ModelError, SettingsError, UnitsError
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.scenes.resampling import resampling
from hsi_ssl.settings import M1Settings, M2Settings, PrepareSettings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.transfer import other_sensor, transferred
from hsi_ssl.watcher import SILENT

FINER = np.linspace(950, 2550, 30)


def seen_by(
    dataset: Dataset, path: Path, wavelengths: Any = FINER, factor: float = 1.0, **meta: Any
) -> Dataset:
    """The same pixels as a sensor with other bands sees them."""
    old = np.array(dataset.wavelengths_nm)
    spectra = np.stack([np.interp(wavelengths, old, s) for s in dataset.spectra().astype(float)])
    spectra = (factor * spectra).astype(np.float32)
    learnt = spectra[np.isin(dataset.part, (Part.TRAIN, Part.POOL))]
    bands = len(wavelengths)
    new = {
        "bands": bands,
        "used_bands": list(range(bands)),
        "wavelengths_nm": np.asarray(wavelengths).tolist(),
        "scaling": fit_scaler("standard", learnt, components=bands).to_card(),
    }
    return write_dataset(
        path,
        spectra=spectra,
        label=dataset.label,
        part=dataset.part,
        scene=dataset.scene,
        pixel=dataset.pixel,
        neighbours=dataset.neighbours,
        unit=dataset.unit,
        meta={**dataset.meta, **new, **meta},
    )


def settings(dataset: Dataset, run: Path, **more: Any) -> M1Settings:
    small = {"latent": 6, "hidden": (32,), "batch": 64, "epochs": 2, "device": "cpu"}
    return M1Settings(dataset=dataset.path, output=run, **{**small, **more})


def test_resampled_and_scaled_in_one_step(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    other = seen_by(tiny_dataset, tmp_path / "other.h5")
    source = load_m1(m1_run, "cpu")
    assert other_sensor(source.card, other)
    assert not other_sensor(source.card, tiny_dataset)
    scaler = transferred(source, m1_run, other, SILENT)
    raw = other.spectra(np.arange(50))
    by_hand = raw @ resampling(FINER, None, source.card["wavelengths_nm"], None).weights
    expected = source.scaler.transform(by_hand)
    np.testing.assert_allclose(scaler.transform(raw), expected, atol=2e-3)
    again = scaler.transform(scaler.inverse(expected).astype(np.float32))
    np.testing.assert_allclose(again, expected, atol=2e-3)


def test_frozen_it_gives_the_features_that_it_gave_there(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    other = seen_by(tiny_dataset, tmp_path / "other.h5")
    card = train_m1(settings(other, tmp_path / "m1"), init_from=m1_run, frozen=True)
    assert card["training"]["stopped"] == "frozen"
    assert card["init_from"]["wavelengths_nm"] == tiny_dataset.wavelengths_nm
    here, there = load_m1(tmp_path / "m1", "cpu"), load_m1(m1_run, "cpu")
    some = np.arange(0, 1200, 7)
    now, then = (e.features(d.spectra(some))[0] for e, d in ((here, other), (there, tiny_dataset)))
    active = then.std(0) > 0.9  # well above the noise, which another sensor has its own of
    assert active.any()
    for a, b in zip(now[:, active].T, then[:, active].T, strict=True):
        assert np.corrcoef(a, b)[0, 1] > 0.95


@pytest.mark.slow
def test_fine_tuned_it_is_better_here_and_a_classifier_stands_on_it(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    other = seen_by(tiny_dataset, tmp_path / "other.h5")
    frozen = train_m1(settings(other, tmp_path / "a"), init_from=m1_run, frozen=True)
    tuned = train_m1(settings(other, tmp_path / "b"), init_from=m1_run)
    names = ("bound_validation",)
    assert all(tuned["metrics"][n] > frozen["metrics"][n] for n in names)
    found = train_m2(
        M2Settings(
            dataset=other.path, output=tmp_path / "m2", m1=tmp_path / "b", model="perceptron",
            hidden=(16,), epochs=20, device="cpu",
        )
    )  # fmt: skip
    assert found["label_sets"][0]["metrics"]["validation"]["macro_f1"] > 0.9


def test_what_cannot_be_resampled_is_refused(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    source = load_m1(m1_run, "cpu")
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"wavelengths_nm": None}, "knows no wavelengths to resample by"),
        ({"wavelengths": np.linspace(1400, 2550, 20)}, "has no band within a step of it"),
        ({"wavelengths": np.linspace(1000, 2500, 5)}, "do not tell the 12 columns"),
    )
    for n, (asked, said) in enumerate(cases):
        other = seen_by(tiny_dataset, tmp_path / f"{n}.h5", **asked)
        with pytest.raises(ModelError, match=said):
            transferred(source, m1_run, other, SILENT)
        with pytest.raises(ModelError, match=said):
            train_m1(settings(other, tmp_path / "run"), init_from=m1_run)
    assert not (tmp_path / "run").exists()


def test_other_units_are_refused_with_the_factor(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    from hsi_ssl.datasets.learnt_numbers import LearntNumbers

    source = load_m1(m1_run, "cpu")
    numbers = LearntNumbers.of(tiny_dataset.spectra(), None).to_card()
    remembers = type(source)({**source.card, "numbers": numbers}, source.model, source.device)
    other = seen_by(tiny_dataset, tmp_path / "other.h5", factor=1e-4)
    with pytest.raises(UnitsError, match=r"0\.0001 times as much"):
        transferred(remembers, m1_run, other, SILENT)
    same = seen_by(tiny_dataset, tmp_path / "same.h5")
    transferred(remembers, m1_run, same, SILENT)


def test_frozen_needs_a_run_and_the_scaling_is_not_to_be_asked_for(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="name it with --init-from"):
        train_m1(settings(tiny_dataset, tmp_path / "run"), frozen=True)
    assert "resampled" not in choices(PrepareSettings, "scaling")
    with pytest.raises(ValidationError, match="no such scaling; there are noise, mnf"):
        PrepareSettings(scaling="resampled")
    with pytest.raises(DatasetError, match="of another sensor"):
        fit_scaler("resampled", tiny_dataset.spectra(np.arange(50)), components=3)
