from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import DatasetError, OutputError
from hsi_ssl.reports.baselines import (
    METHODS,
    Method,
    compare,
    fit_baseline,
    some_of_each,
    table,
    write_comparison,
)


def rings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes, one inside the other: no straight line parts them."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.where(y, 3.0, 1.0) + rng.normal(0, 0.2, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), y


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns_what_it_can(method: Method) -> None:
    x, y = rings(200, 0)
    x_new, y_new = rings(200, 1)
    accuracy = float(np.mean(fit_baseline(method, x, y, seed=0).predict(x_new) == y_new))
    if method == "logistic":
        assert accuracy < 0.7
        squared = fit_baseline(method, x**2, y, seed=0).predict(x_new**2)
        assert np.mean(squared == y_new) > 0.97
    else:
        assert accuracy > 0.97


@pytest.mark.slow
def test_the_svm_suits_any_scale_and_tunes_its_width() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 6, (300, 1))
    y = (np.floor(x[:, 0] * 2) % 2).astype(int)  # twelve stripes: a narrow kernel is needed
    x_new = rng.uniform(0, 6, (300, 1))
    y_new = (np.floor(x_new[:, 0] * 2) % 2).astype(int)
    for scale in (1e-3, 1.0, 1e4):
        found = fit_baseline("svm", scale * x, y, seed=0).predict(scale * x_new)
        assert np.mean(found == y_new) > 0.9


@pytest.mark.slow
def test_same_seed_same_answer() -> None:
    x, y = rings(120, 0)
    x = x + np.random.default_rng(5).normal(0, 0.8, x.shape)
    x_new, _ = rings(300, 1)
    for method in METHODS:
        first, second = (fit_baseline(method, x, y, seed=3).predict(x_new) for _ in range(2))
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_a_class_of_one_pixel_is_no_obstacle() -> None:
    x, y = rings(60, 0)
    x, y = np.vstack([x, [[20.0, 20.0]]]), np.append(y, 2)
    for method in METHODS:
        assert fit_baseline(method, x, y, seed=0).predict(x).shape == (61,)


def test_some_of_each_keeps_the_rare_and_limits_the_common() -> None:
    y = np.repeat([0, 1, 2], [1000, 100, 3])
    places = some_of_each(y, np.random.default_rng(0), per_class=50)
    assert np.bincount(y[places]).tolist() == [50, 50, 3]
    assert (np.diff(places) > 0).all()
    places = some_of_each(y, np.random.default_rng(0), total=180)
    counts = np.bincount(y[places])
    assert counts.sum() <= 180
    assert counts[1] >= 75
    assert counts[2] == 3


@pytest.mark.slow
def test_table_of_a_dataset(tiny_dataset: Dataset, run: Path, tmp_path: Path) -> None:
    methods: tuple[Method, ...] = ("knn", "logistic")
    results = compare(tiny_dataset, methods=methods, m2=run, seeds=2, per_class=30)
    assert [(r.method, r.features) for r in results] == [
        ("M2", "own"),
        ("knn", "standardised bands"),
        ("logistic", "standardised bands"),
        ("knn", "scaling standard"),
        ("logistic", "scaling standard"),
        ("knn", "12 principal components"),
        ("logistic", "12 principal components"),
    ]
    ours, *others = results
    assert (ours.seeds, ours.oa_sd) == (1, None)
    for result in others:
        assert result.train <= 90
        assert result.seeds == 2
        assert result.oa_sd is not None
        assert result.oa is not None
        assert result.oa > 0.85
    lines = table(results)
    assert len(lines) == 8
    assert len({len(line) for line in lines}) == 1

    write_comparison(results, tmp_path / "compare", dataset=tiny_dataset.path)
    card = json.loads((tmp_path / "compare/compare.json").read_text())
    assert [r["oa"] for r in card["results"]] == [r.oa for r in results]
    with (tmp_path / "compare/compare.csv").open() as file:
        assert [row["method"] for row in csv.DictReader(file)] == [r.method for r in results]
    with pytest.raises(OutputError, match="--overwrite"):
        write_comparison(results, tmp_path / "compare", dataset=tiny_dataset.path)


@pytest.mark.slow
def test_validation_pixels_are_not_learnt_from(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """With nonsense for validation labels and spectra, the table stays the same."""
    spectra = tiny_dataset.spectra().copy()
    label = tiny_dataset.label.copy()
    rows = tiny_dataset.rows(Part.VALIDATION)
    spectra[rows] = 65535 - spectra[rows]
    label[rows] = (label[rows] + 1) % 3
    spoilt = write_dataset(
        tmp_path / "spoilt.h5",
        spectra=spectra,
        label=label,
        part=tiny_dataset.part,
        scene=tiny_dataset.scene,
        pixel=tiny_dataset.pixel,
        neighbours=tiny_dataset.neighbours,
        meta=tiny_dataset.meta,
    )
    one, other = (compare(d, methods=["knn"]) for d in (tiny_dataset, spoilt))
    assert [r.oa for r in one] == [r.oa for r in other]
    assert [r.macro_f1 for r in one] == [r.macro_f1 for r in other]


def test_no_test_pixels_is_refused(tiny_dataset: Dataset, tmp_path: Path) -> None:
    part = np.where(tiny_dataset.part == Part.TEST, Part.VALIDATION, tiny_dataset.part)
    other = write_dataset(
        tmp_path / "d.h5",
        spectra=tiny_dataset.spectra(),
        label=tiny_dataset.label,
        part=part.astype(np.uint8),
        scene=tiny_dataset.scene,
        pixel=tiny_dataset.pixel,
        neighbours=tiny_dataset.neighbours,
        meta=tiny_dataset.meta,
    )
    with pytest.raises(DatasetError, match="no test pixels"):
        compare(other)


@pytest.mark.slow
def test_svm_and_forest_reach_the_published_accuracy(real_data: Callable[[str], Path]) -> None:
    """Indian Pines, the fixed 695-pixel split: SVM 72.4, forest 69.8 (Hong et al. 2021)."""
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
