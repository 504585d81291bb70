from __future__ import annotations

import math

import numpy as np
import pytest

from hsi_ssl.comparing.grid import Result
from hsi_ssl.comparing.table import (
    answers,
    by_chance,
    size,
    summary,
    text_table,
    told_apart,
)


def cells(extractor: str, classifier: str, *scores: float, labels: int = 5) -> list[Result]:
    return [
        Result(extractor, classifier, labels, seed, s, s, s, s, seconds=seed, bytes=1000)
        for seed, s in enumerate(scores)
    ]


def test_a_difference_is_one_beyond_its_standard_deviation() -> None:
    """Seeds are paired: a steady lead is one though both vary by more than it from draw to draw."""
    a, b = cells("vae", "svm", 0.5, 0.7, 0.9), cells("pca", "svm", 0.45, 0.66, 0.84)
    assert told_apart(a, b) == 1
    assert told_apart(b, a) == -1
    assert told_apart(cells("vae", "svm", 0.5, 0.7, 0.9), cells("pca", "svm", 0.6, 0.55, 0.9)) == 0
    assert told_apart(a, a) == 0
    assert told_apart(a[:1], b[:1]) is None
    assert told_apart(a, cells("pca", "svm", 0.4)) is None


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_chance_is_that_of_a_simulation(seeds: int) -> None:
    away = np.random.default_rng(0).normal(size=(100_000, seeds))
    apart = np.abs(away.mean(1)) > away.std(1, ddof=1)
    assert by_chance(seeds) == pytest.approx(apart.mean(), abs=0.005)


def test_means_spreads_and_marks() -> None:
    results = [
        *cells("none", "svm", 0.5, 0.6, 0.7),
        *cells("pca", "svm", 0.8, 0.9, 1.0),
        *cells("vae", "svm", 0.81, 0.87, 1.01),
        *cells("none", "svm", 0.9, 0.9, 0.9, labels=10),
    ]
    lines = summary(results)
    assert [(x.extractor, x.labels, x.mark) for x in lines] == [
        ("none", 5, ""),
        ("pca", 5, "best"),
        ("vae", 5, "level"),
        ("none", 10, "best"),
    ]
    mean, sd = lines[0].scores["macro_f1"]
    assert mean == pytest.approx(0.6)
    assert sd == pytest.approx(0.1)
    assert lines[0].seconds == 1
    text = text_table(results)
    assert sum("* highest" in line for line in text) == 2
    assert sum("= not told apart from it" in line for line in text) == 1


def test_answers_name_who_is_better_with_which_classifier() -> None:
    results = [
        *cells("none", "svm", 0.5, 0.6),
        *cells("pca", "svm", 0.8, 0.9),
        *cells("vae", "svm", 0.7, 0.81),
        *cells("none", "lda", 0.5, 0.6),
        *cells("pca", "lda", 0.6, 0.5),
        *cells("vae", "lda", 0.4, 0.51),
    ]
    assert answers(results) == [
        "5 labels a class, pca against scaled spectra: better with svm, not told apart with 1 "
        "classifier",
        "5 labels a class, vae against scaled spectra: better with svm, worse with lda",
        "5 labels a class, vae against pca: worse with svm, not told apart with 1 classifier",
    ]
    assert "one seed" in answers(results[::2])[0]


def test_what_was_refused_says_why() -> None:
    refused = Result("nmf", "svm", 5, 0, refused="needs values above 0")
    (other, line) = summary([*cells("none", "svm", 0.5), refused])
    assert (other.mark, line.mark, line.seeds) == ("best", "", 0)
    assert "not possible: needs values above 0" in "\n".join(text_table([refused]))


def test_an_undefined_score_is_a_dash() -> None:
    one = Result("none", "svm", 5, 0, 1.0, 1.0, 1.0, None)
    assert summary([one])[0].scores["kappa"] == (None, None)
    assert " - " in text_table([one])[3]
    assert math.isclose(summary([one])[0].scores["oa"][0] or 0, 1)


def test_sizes_in_words() -> None:
    assert [size(n) for n in (12, 3400, 5_600_000)] == ["12 B", "3.4 kB", "5.6 MB"]
