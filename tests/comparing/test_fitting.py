from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.comparing import classifiers
from hsi_ssl.comparing.baselines import BASELINES
from hsi_ssl.comparing.fitting import fit_baseline, folds_of, some_of_each
from hsi_ssl.errors import SettingsError

LINEAR = ("logistic", "lda")
DEFAULTS = "defaults: too few pixels for folds"


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_ssl.comparing.classifiers.TREES", 20)


def rings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, one inside the other: no straight line parts them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.where(y, 3.0, 1.0) + rng.normal(0, 0.2, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), y


@pytest.mark.slow
@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("name", list(BASELINES))
def test_each_baseline_learns_what_it_can(name: str) -> None:
    x, y = rings(200, 0)
    x_new, y_new = rings(200, 1)
    accuracy = float(np.mean(fit_baseline(name, x, y, seed=0).predict(x_new) == y_new))
    if name in LINEAR:
        assert accuracy < 0.7
        squared = fit_baseline(name, x**2, y, seed=0).predict(x_new**2)
        assert np.mean(squared == y_new) > 0.97
    else:
        assert accuracy > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svm", "label-spreading"])
def test_kernels_suit_any_scale_and_their_width_is_tuned(name: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 6, (300, 1))
    y = (np.floor(x[:, 0] * 2) % 2).astype(int)  # twelve stripes: a narrow kernel is needed
    x_new = rng.uniform(0, 6, (300, 1))
    y_new = (np.floor(x_new[:, 0] * 2) % 2).astype(int)
    for scale in (1e-3, 1.0, 1e4):
        found = fit_baseline(name, scale * x, y, seed=0).predict(scale * x_new)
        assert np.mean(found == y_new) > 0.9


@pytest.mark.slow
@pytest.mark.usefixtures("few_trees")
def test_same_seed_same_answer() -> None:
    x, y = rings(120, 0)
    x = x + np.random.default_rng(5).normal(0, 0.8, x.shape)
    x_new, _ = rings(300, 1)
    for name in BASELINES:
        first, second = (fit_baseline(name, x, y, seed=3).predict(x_new) for _ in range(2))
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
@pytest.mark.usefixtures("few_trees")
def test_a_class_of_one_pixel_is_no_obstacle() -> None:
    x, y = rings(60, 0)
    x, y = np.vstack([x, [[20.0, 20.0]]]), np.append(y, 2)
    for name in BASELINES:
        fitted = fit_baseline(name, x, y, seed=0)
        assert fitted.predict(x).shape == (61,)
        tuned = "nothing to tune" if name == "gaussian-process" else "5 folds by pixel"
        assert fitted.tuned.startswith(tuned)


@pytest.mark.parametrize("labels", [2, 3])
def test_three_labels_a_class_are_enough_to_tune(labels: int) -> None:
    x, y = np.repeat([[0.0, 0], [3, 0], [0, 3]], labels, axis=0), np.repeat([0, 1, 2], labels)
    x = x + np.random.default_rng(0).normal(0, 0.1, x.shape)
    for name in ("logistic", "lda", "svm", "label-spreading"):
        fitted = fit_baseline(name, x, y, seed=0)
        enough = labels > 2
        assert fitted.tuned == ("3 folds by pixel" if enough else DEFAULTS)
        assert bool(fitted.settings) == enough
        np.testing.assert_array_equal(fitted.predict(x), y)


def test_one_label_a_class_leaves_the_defaults() -> None:
    fitted = fit_baseline("svm", np.eye(3), np.arange(3), seed=0)
    assert fitted.tuned == DEFAULTS
    assert fitted.settings == {}
    np.testing.assert_array_equal(fitted.predict(np.eye(3)), [0, 1, 2])


def test_nothing_is_said_of_names_that_nobody_knows() -> None:
    with pytest.raises(SettingsError, match="svn"):
        fit_baseline("svn", np.eye(3), np.arange(3), seed=0)


def test_unlabelled_pixels_carry_labels_along() -> None:
    """Two arcs, three labels on each near its first third: beyond, the other arc's are nearer."""
    rng = np.random.default_rng(0)
    t = rng.uniform(0, np.pi, 400)
    y = np.arange(400) % 2
    x = np.where(y, [1 - np.cos(t), 0.4 - np.sin(t)], [np.cos(t), np.sin(t)]).T
    x += rng.normal(0, 0.03, x.shape)
    near = [np.flatnonzero(y == k)[np.abs(t[y == k] - 1).argsort()[:3]] for k in (0, 1)]
    labelled = np.concatenate(near)
    alone, together = (
        fit_baseline("label-spreading", x[labelled], y[labelled], seed=0, pool=pool)
        for pool in (None, x)
    )
    assert np.mean(alone.predict(x) == y) < 0.9
    assert np.mean(together.predict(x) == y) > 0.97


def test_label_spreading_answers_where_no_label_reaches() -> None:
    x, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
    found = fit_baseline("label-spreading", x, y, seed=0).predict(np.array([[-1e6], [1e6]]))
    np.testing.assert_array_equal(found, [0, 1])


def test_folds_hold_out_whole_units() -> None:
    y, unit = np.repeat([0, 1, 2], 30), np.repeat(np.arange(18), 5)
    folds, words = folds_of(y, unit, seed=0, kind="polygon")
    assert words == "5 folds by polygon"
    for train, held_out in folds:
        assert not set(unit[train]) & set(unit[held_out])
        assert set(y[train]) == {0, 1, 2}
    np.testing.assert_array_equal(np.sort(np.concatenate([b for _, b in folds])), np.arange(90))


def test_folds_are_by_pixel_where_a_class_has_one_unit() -> None:
    y, unit = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 2, 3, 4, 5], [5, 5, 5, 5, 10, 0])
    folds, words = folds_of(y, unit, seed=0, kind="block")
    assert words == "5 folds by pixel, a class has too few blocks"
    assert all(set(y[train]) == {0, 1, 2} for train, _ in folds)
    assert folds_of(y, np.arange(30), seed=0, kind="pixel")[1] == "5 folds by pixel"


def test_some_of_each_keeps_the_rare_and_limits_the_common() -> None:
    y = np.repeat([0, 1, 2], [1000, 100, 3])
    places = some_of_each(y, np.random.default_rng(0), total=180)
    counts = np.bincount(y[places])
    assert (np.diff(places) > 0).all()
    assert counts.sum() <= 180
    assert counts[1] >= 75
    assert counts[2] == 3


@pytest.mark.slow
def test_svm_and_forest_reach_the_published_accuracy(
    real_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Indian Pines, the fixed 695-pixel split: SVM 72.4, forest 69.8 (Hong et al. 2021).

    A fifth of our trees reach it, and more are no worse.
    """
    assert classifiers.TREES >= 100
    monkeypatch.setattr(classifiers, "TREES", 100)
    import rasterio
    from tensorly.datasets import load_indian_pines

    folder = real_data("indian-pines-split")
    maps = []
    for name in ("IndianTR123_temp123.tif", "IndianTE123_temp123.tif"):
        with rasterio.open(folder / name) as file:
            maps.append(file.read(1))
    train, test = maps
    cube = np.asarray(load_indian_pines().tensor, np.float64)
    x, y = cube[train > 0], train[train > 0].astype(int) - 1
    x_test, y_test = cube[test > 0], test[test > 0].astype(int) - 1
    mean, sd = x.mean(0), x.std(0)
    svm = fit_baseline("svm", (x - mean) / sd, y, seed=0).predict((x_test - mean) / sd)
    assert 0.70 < np.mean(svm == y_test) < 0.77
    forest = fit_baseline("forest", x, y, seed=0).predict(x_test)
    assert 0.67 < np.mean(forest == y_test) < 0.73
