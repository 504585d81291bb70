"""The prior's strength chosen on validation pixels, and datasets scored with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import DatasetError, ModelError
from hsi_ssl.inference.checkpoint import CARD
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.inference.dataset_prior import among_neighbours, strength_of
from hsi_ssl.reports.evaluation import evaluate
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.tuned_prior import STRENGTHS, tune_run, tuned_prior
from hsi_ssl.watcher import SILENT

pytestmark = pytest.mark.slow


ROWS, COLS = 40, 30


@pytest.fixture(scope="module")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "m2"
    train_m2(
        M2Settings(
            dataset=tiny_dataset.path, output=folder, m1=None, latent=2, hidden=(16,), epochs=5,
            experts=(0.5,), predict="classifier", device="cpu",
        )
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def classifier(run: Path) -> Classifier:
    return load_classifier(run, "cpu")


def made(tiny: Dataset, folder: Path, truth: npt.NDArray[np.int16], noise: float) -> Dataset:
    """A scene of `truth` (its pixels row by row), every spectrum one of the tiny dataset's.

    Rows 0 to 9 train, 10 to 24 validate, 25 to 29 are the pool, the others are to test on.
    """
    rng = np.random.default_rng(0)
    own, known = tiny.spectra(), tiny.label
    rows = np.array([rng.choice(np.flatnonzero(known == k)) for k in truth])
    noisy = own[rows] + rng.normal(0, noise, (len(rows), own.shape[1]))
    pixel = np.indices((ROWS, COLS)).reshape(2, -1).T.astype(np.int32)
    part = np.digitize(pixel[:, 0], (10, 25, 30))
    of = np.array([Part.TRAIN, Part.VALIDATION, Part.POOL, Part.TEST], np.uint8)[part]
    return write_dataset(
        folder / "made.h5",
        spectra=noisy.clip(1).astype(np.uint16),
        label=np.where(of == Part.POOL, -1, truth).astype(np.int16),
        part=of,
        scene=np.zeros(len(of), np.int16),
        pixel=pixel,
        neighbours=neighbour_table(np.zeros(len(of), np.int16), pixel),
        unit=np.where(of == Part.POOL, -1, pixel[:, 0]).astype(np.int32),
        meta=tiny.meta,
        overwrite=True,
    )


@pytest.fixture
def fields(tiny_dataset: Dataset, tmp_path: Path) -> Dataset:
    """Three broad fields in much noise."""
    truth = np.tile(np.arange(COLS) // 10, ROWS).astype(np.int16)
    return made(tiny_dataset, tmp_path, truth, 800)


def test_on_fields_in_noise_neighbours_help(classifier: Classifier, fields: Dataset) -> None:
    found = tuned_prior(classifier, fields)
    assert found is not None
    assert found["strength"] >= 0.25
    assert found["pixels"] == 15 * COLS
    assert found["tried"] == list(STRENGTHS)
    assert max(found["macro_f1"]) > found["macro_f1"][0] + 0.02
    assert found["strength"] == STRENGTHS[int(np.argmax(found["macro_f1"]))]


def test_where_each_pixel_is_another_class_the_prior_stays_away(
    classifier: Classifier, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    truth = np.random.default_rng(1).integers(3, size=ROWS * COLS).astype(np.int16)
    found = tuned_prior(classifier, made(tiny_dataset, tmp_path, truth, 150))
    assert found is not None
    assert found["strength"] == 0
    assert found["macro_f1"][-1] < found["macro_f1"][0] - 0.1


def test_pixels_to_test_on_have_no_part_in_the_choice(
    classifier: Classifier, fields: Dataset, tmp_path: Path
) -> None:
    before = tuned_prior(classifier, fields)
    spectra, test = fields.spectra(), fields.part == Part.TEST
    spectra[test] = spectra[test][::-1]
    label = np.where(test, 2 - fields.label, fields.label).astype(np.int16)
    changed = write_dataset(
        tmp_path / "changed.h5", spectra=spectra, label=label, part=fields.part,
        scene=fields.scene, pixel=fields.pixel, neighbours=fields.neighbours, unit=fields.unit,
        meta=fields.meta,
    )  # fmt: skip
    assert tuned_prior(classifier, changed) == before


def test_only_pixels_within_reach_are_needed(classifier: Classifier, fields: Dataset) -> None:
    p = classifier.uncalibrated.posterior(fields.spectra())
    whole = classifier.among_neighbours(p, fields.neighbours, strength=0.8)
    for rows in (fields.rows(Part.TEST), np.array([5, 333])):
        (some,) = among_neighbours(classifier, fields, rows, (0.8,))
        np.testing.assert_allclose(some, whole[rows], atol=1e-5)


def test_scores_with_the_prior_say_so(run: Path, fields: Dataset) -> None:
    alone = evaluate(run, fields, device="cpu")
    with_prior = evaluate(run, fields, spatial=1.0, device="cpu")
    assert with_prior.scores.oa > alone.scores.oa
    assert (alone.spatial, with_prior.spatial) == (0, 1)
    assert with_prior.to_json()["spatial"] == 1
    assert "Potts prior of strength 1" in with_prior.predicted_by
    assert "Potts" not in alone.predicted_by


def test_a_run_is_tuned_on_another_dataset(run: Path, fields: Dataset) -> None:
    text = (run / CARD).read_text()
    try:
        (own,) = json.loads(text)["label_sets"]
        assert own["spatial_tuned"]["strength"] == 0  # nobody has neighbours there
        tune_run(run, fields, "cpu", SILENT)
        classifier = load_classifier(run, "cpu")
        assert classifier.card["spatial_tuned"] == tuned_prior(classifier, fields)
        tuned = strength_of(classifier.card, "tuned")
        assert tuned > 0
        assert evaluate(run, fields, spatial="tuned", device="cpu").spatial == tuned
    finally:
        (run / CARD).write_text(text)


def test_what_cannot_be_tuned_is_said(
    run: Path, classifier: Classifier, fields: Dataset, tmp_path: Path
) -> None:
    part = np.where(fields.part == Part.VALIDATION, Part.TEST, fields.part).astype(np.uint8)
    without = replace(fields, part=part)
    assert tuned_prior(classifier, without) is None
    before = (run / CARD).read_text()
    with pytest.raises(DatasetError, match="no validation pixels to choose the strength"):
        tune_run(run, without, "cpu", SILENT)
    assert (run / CARD).read_text() == before
    card = {**classifier.card, "spatial_tuned": None}
    with pytest.raises(ModelError, match="--tune-spatial"):
        strength_of(card, "tuned")
    assert strength_of(card, 0.3) == 0.3
    assert strength_of(card, "learnt") == card["spatial_strength"]
