from __future__ import annotations

import shlex
from pathlib import Path

from typed import parse

from hsi_ssl.comparing.grid import Grid, Result
from hsi_ssl.comparing.next_steps import after_comparison
from hsi_ssl.comparing.table import summary
from hsi_ssl.reports.next_steps import Step

DATA, OUT = Path("my data.h5"), Path("runs/compare")


def cells(extractor: str, classifier: str, *scores: float, labels: int = 10) -> list[Result]:
    return [
        Result(extractor, classifier, labels, seed, s, s, s, s) for seed, s in enumerate(scores)
    ]


def after(results: list[Result], classifiers: tuple[str, ...]) -> list[Step]:
    seeds = 1 + max(r.seed for r in results)
    extractors = tuple(dict.fromkeys(r.extractor for r in results))
    labels = tuple(dict.fromkeys(r.labels for r in results))
    grid = Grid(extractors, classifiers, labels, seeds)
    steps = list(after_comparison(summary(results), DATA, grid, OUT))
    for step in steps:
        for line in step.command.splitlines():
            parse(line)
    return steps


def test_a_model_that_is_level_with_the_best_is_to_be_trained() -> None:
    results = [
        *cells("pca", "svm", 0.90, 0.80, 0.85),
        *cells("pca", "m2", 0.89, 0.82, 0.83),
        *cells("none", "m2", 0.5, 0.4, 0.45),
    ]
    (step,) = after(results, ("svm", "m2"))
    assert "Train m2 on pca, which with 10 labels a class is not told apart from svm" in step.say
    first, second = map(shlex.split, step.command.splitlines())
    assert first[1:] == ["train-m1", "my data.h5", "--extractor", "pca", "-o", "runs/pca"]
    assert second[1:] == ["train-m2", "my data.h5", "--m1", "runs/pca", "-o", "runs/pca-m2"]


def test_where_no_model_is_level_that_is_said() -> None:
    results = [*cells("none", "lda", 0.9, 0.91), *cells("none", "m2", 0.5, 0.52)]
    (step,) = after(results, ("lda", "m2"))
    assert "No model of `train-m2` is level with lda on none" in step.say
    assert not step.command


def test_one_seed_asks_for_more() -> None:
    steps = after(cells("none", "gm-dgm", 0.8), ("gm-dgm",))
    assert steps[0].command.endswith("--classifiers gm-dgm --labels 10 --seeds 5")
    assert steps[1].command == "hsi-ssl train-m2 'my data.h5' --model gm-dgm --no-m1"


def test_more_labels_are_asked_for_where_they_gain() -> None:
    few, many = cells("none", "m2", 0.5, 0.52, labels=5), cells("none", "m2", 0.7, 0.72, labels=10)
    assert (
        "from 5 to 10 labels a class the highest macro-F1 rose by 20.0"
        in after([*few, *many], ("m2",))[-1].say
    )
    assert len(after([*few, *cells("none", "m2", 0.4, 0.63, labels=10)], ("m2",))) == 1


def test_what_could_not_be_trained_is_no_reason_to_train() -> None:
    refused = [Result("none", "m2", 5, 0, refused="too few")]
    (step,) = after(refused, ("m2",))
    assert "reasons stand in the table" in step.say
