"""The estimators are what scikit-learn's users expect."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from fields import SMALL, Fields
from little_work import few_steps
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_classifiers_classes, parametrize_with_checks

import hsi_ssl
from hsi_ssl import M1Features, SemiSupervisedClassifier

M1 = M1Features(latent=2, hidden=(8,), epochs=3, device="cpu", random_state=0)
CLASSIFIER = SemiSupervisedClassifier(**SMALL)


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each epoch; what is to be told apart is told apart by then."""
    few_steps(monkeypatch, 12)


def beyond_us(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, M1Features):
        return {}
    return {
        "check_classifiers_classes": "takes -1 for a class, which is no label here as for "
        "scikit-learn's semi-supervised estimators, which are let off by name; passes with "
        "unlabelled=None"
    }


@pytest.mark.slow
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [M1, CLASSIFIER], expected_failed_checks=beyond_us
)
def test_scikit_learn_finds_nothing_wrong(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
def test_minus_one_is_a_class_where_nothing_stands_for_no_label() -> None:
    made = clone(CLASSIFIER).set_params(unlabelled=None)
    check_classifiers_classes("SemiSupervisedClassifier", made)


@pytest.mark.slow
def test_unlabelled_spectra_are_learnt_from(fields: Fields) -> None:
    made = clone(CLASSIFIER).fit(fields.X, fields.y)
    assert made.classes_.tolist() == [3, 7]
    assert made.score(fields.X, fields.classes) > 0.7
    sources = made.card_["dataset"]["sources"]
    assert len(sources) == 1
    assert not made.card_["settings"]["spatial"]
    # Names serve as classes, and None or text as no label.
    named = np.where(fields.y == 3, "quartz", np.where(fields.y == 7, "mica", ""))
    other = clone(CLASSIFIER).set_params(unlabelled="").fit(fields.X, named)
    assert other.classes_.tolist() == ["mica", "quartz"]
    assert set(other.predict(fields.X[:50])) <= {"mica", "quartz"}


@pytest.mark.slow
def test_m1_features_feed_other_estimators(fields: Fields) -> None:
    labelled = fields.y >= 0
    y = fields.y[labelled]
    X = fields.X[labelled] + 2 * (y[:, None] == 7)  # brighter, too
    one = clone(M1).set_params(epochs=40, scaling="standard", learning_rate=0.02)
    pipeline = make_pipeline(one, LogisticRegression())
    search = GridSearchCV(pipeline, {"m1features__latent": [1, 3]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8
    stacked = clone(CLASSIFIER).set_params(m1=clone(M1)).fit(fields.X, fields.y)
    assert stacked.card_["m1"]["settings"]["epochs"] == 3
    assert stacked.get_params()["m1__latent"] == 2


@pytest.mark.slow
def test_a_seed_gives_the_same_again(fields: Fields) -> None:
    p = [clone(CLASSIFIER).fit(fields.X, fields.y).predict_proba(fields.X) for _ in range(2)]
    assert np.array_equal(*p)


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_what_is_fitted_survives_pickling(
    way: str, spatial: SemiSupervisedClassifier, fields: Fields, tmp_path: Path
) -> None:
    if way == "pickle":
        again = pickle.loads(pickle.dumps(spatial))
    else:
        joblib.dump(spatial, tmp_path / "made.joblib")
        again = joblib.load(tmp_path / "made.joblib")
    theirs, ours = (
        made.predict_proba(fields.X, positions=fields.positions) for made in (again, spatial)
    )
    assert np.array_equal(theirs, ours)
    assert not hasattr(pickle.loads(pickle.dumps(clone(spatial))), "classes_")


def test_neighbours_help_where_fields_are_large(
    spatial: SemiSupervisedClassifier, fields: Fields
) -> None:
    spatial = copy.deepcopy(spatial)
    with pytest.warns(hsi_ssl.HsiSslWarning, match="predicts without"):
        alone = spatial.predict(fields.X)
    together = spatial.predict(fields.X, positions=fields.positions)
    wrong = [np.mean(found != fields.classes) for found in (alone, together)]
    assert wrong[1] < 0.7 * wrong[0]
    with warnings.catch_warnings():  # once is enough
        warnings.simplefilter("error")
        spatial.predict(fields.X)


@pytest.mark.slow
def test_positions_travel_with_x_through_cross_validation(fields: Fields) -> None:
    labelled = fields.y >= 0
    X = np.column_stack([fields.positions, fields.X])[labelled]
    made = SemiSupervisedClassifier(
        **SMALL, scaling="standard", spatial=1.0, position_columns=(0, 1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", hsi_ssl.HsiSslWarning)
        found = cross_val_predict(made, X, fields.y[labelled], cv=2)
    assert np.mean(found == fields.y[labelled]) > 0.6
    given = SemiSupervisedClassifier(**SMALL, scaling="standard", spatial=1.0)
    given.fit(fields.X, fields.y, positions=fields.positions)
    carried = made.fit(np.column_stack([fields.positions, fields.X]), fields.y)
    assert np.array_equal(
        carried.predict_proba(np.column_stack([fields.positions, fields.X])),
        given.predict_proba(fields.X, positions=fields.positions),
    )
    beside = ColumnTransformer([("m1", clone(M1), slice(2, 8))], remainder="passthrough")
    kept = make_pipeline(beside, made.set_params(position_columns=(-2, -1)))
    found = kept.fit(np.column_stack([fields.positions, fields.X]), fields.y).predict(
        np.column_stack([fields.positions, fields.X])
    )
    assert found.shape == (1600,)


@pytest.mark.slow
def test_without_its_prior_cross_validation_says_so(fields: Fields) -> None:
    made = SemiSupervisedClassifier(**SMALL, scaling="standard", spatial=1.0)
    labelled = fields.y >= 0
    with pytest.warns(hsi_ssl.HsiSslWarning, match="position_columns"):
        cross_val_predict(
            made, fields.X[labelled], fields.y[labelled], cv=2,
            params={"positions": fields.positions[labelled]},
        )  # fmt: skip


def test_validation_pixels_keep_away_from_training_pixels(fields: Fields, tmp_path: Path) -> None:
    from hsi_ssl.datasets.store import Part
    from hsi_ssl.library.arrays import dataset_of_arrays, label_set_of
    from hsi_ssl.library.positions import as_positions
    from hsi_ssl.library.telling import TELLING

    dataset = dataset_of_arrays(
        tmp_path / "dataset.h5", fields.X, np.where(fields.classes == 3, 0, 1),
        label_set_of([3, 7]), positions=as_positions(fields.positions, 1600), validation=0.2,
        scaling="noise", components=6, wavelengths_nm=None, seed=0, watcher=TELLING,
    )  # fmt: skip
    train, validation = (dataset.pixel[dataset.rows(p)] for p in (Part.TRAIN, Part.VALIDATION))
    apart = np.abs(train[:, None].astype(int) - validation[None]).max(-1).min()
    assert apart > 1
    assert 0.1 < len(validation) / 1600 < 0.3
    assert dataset.meta["split"]["kind"] == "blocks"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"spatial": "strong"}, "spatial 'strong'"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"settings": {"epochs": 3}}, "epochs cannot be given here"),
        ({"settings": {"alfa": 3}}, "did you mean alpha"),
        ({"m1": M1Features(scaling="standard")}, "the same of both"),
        ({"position_columns": (0, 9)}, "no column 9"),
        ({"position_columns": (0,)}, "two columns"),
    ],
)
def test_unfit_parameters_are_refused(
    change: dict[str, Any], sentence: str, fields: Fields
) -> None:
    with pytest.raises(hsi_ssl.HsiSslError, match=sentence):
        clone(CLASSIFIER).set_params(**change).fit(fields.X, fields.y)


@pytest.mark.parametrize(
    ("positions", "sentence"),
    [
        ([[0, 0]], r"expected \(1600, 2\)"),
        (np.zeros((1600, 2)), "same position"),
        (np.random.default_rng(0).random((1600, 2)), "whole numbers"),
        (np.arange(3200).reshape(1600, 2) * 30_000, "not coordinates of a map"),
    ],
)
def test_unfit_positions_are_refused(positions: Any, sentence: str, fields: Fields) -> None:
    with pytest.raises(hsi_ssl.HsiSslError, match=sentence):
        clone(CLASSIFIER).fit(fields.X, fields.y, positions=positions)


def test_one_class_is_refused(fields: Fields) -> None:
    with pytest.raises(hsi_ssl.HsiSslError, match="two classes or more"):
        clone(CLASSIFIER).fit(fields.X, np.where(fields.y == 3, 3, -1))


@pytest.mark.slow
def test_what_is_saved_is_a_run(fields: Fields, tmp_path: Path) -> None:
    made = clone(CLASSIFIER).set_params(wavelengths_nm=np.linspace(500, 1000, 6))
    made.fit(fields.X, fields.y).save(tmp_path / "m2")
    run = hsi_ssl.load_run(tmp_path / "m2")
    assert np.array_equal(run.predict(fields.X), made.predict(fields.X))
    assert run.wavelengths_nm is not None
    with pytest.raises(hsi_ssl.HsiSslError, match="holds a trained model"):
        made.save(str(tmp_path / "m2"))
    features = clone(M1).fit(fields.X)
    features.save(tmp_path / "m1")
    from hsi_ssl.inference.extractor import load_m1

    ours = load_m1(tmp_path / "m1", "cpu").features(fields.X)[0]
    assert np.array_equal(ours, features.transform(fields.X))


@pytest.mark.slow
def test_another_extractor_takes_the_place_of_m1(fields: Fields) -> None:
    made = clone(M1).set_params(extractor="denoising", options={"noise": 0.3}, latent=3)
    features = made.fit_transform(fields.X)
    assert features.shape == (len(fields.X), 3)
    assert made.card_["extractor"] == "denoising"
    assert made.card_["architecture"]["noise"] == 0.3
    assert np.array_equal(pickle.loads(pickle.dumps(made)).transform(fields.X), features)
    for change, sentence in (
        ({"extractor": "sparse"}, "no such extractor; there are vae, pca"),
        ({"options": {"penalty": 1.0}}, "denoising auto-encoder has no option penalty: it has"),
        ({"settings": {"extractor": "ae"}}, "extractor cannot be given here"),
    ):
        with pytest.raises(hsi_ssl.HsiSslError, match=sentence):
            clone(made).set_params(**change).fit(fields.X)


def test_columns_of_a_data_frame_are_named(fields: Fields) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(fields.X, columns=[f"band {i}" for i in range(6)])
    frame["row"], frame["col"] = fields.positions.T
    made = SemiSupervisedClassifier(**SMALL, spatial=1.0, position_columns=["row", "col"])
    by_name = made.fit(frame, fields.y).predict_proba(frame)
    by_number = clone(made).set_params(position_columns=[6, 7]).fit(frame.to_numpy(), fields.y)
    assert np.array_equal(by_name, by_number.predict_proba(frame.to_numpy()))
    with pytest.raises(hsi_ssl.HsiSslError, match="no column 'line'"):
        clone(made).set_params(position_columns=["line", "col"]).fit(frame, fields.y)
