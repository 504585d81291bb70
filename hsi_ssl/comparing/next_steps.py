"""What to do after a comparison, as its page says it first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from hsi_ssl.comparing.grid import NONE, Grid, is_run
from hsi_ssl.comparing.table import BEST, LEVEL, Line
from hsi_ssl.reports.next_steps import Step

SEEDS = 5
M2 = "m2"


def after_comparison(
    lines: Sequence[Line], dataset: Path, grid: Grid, folder: Path
) -> Iterator[Step]:
    """What to do after looking at a comparison, of which `lines` are the summary."""
    scored = [line for line in lines if line.scores.get("macro_f1", (None,))[0] is not None]
    if not scored:
        yield Step("Nothing could be trained: the reasons stand in the table.")
        return
    if grid.seeds == 1:
        yield Step(
            "Draw labels more than once before believing any difference.",
            _again(dataset, folder, grid, seeds=SEEDS),
        )
    most = max(line.labels for line in scored)
    here = [line for line in scored if line.labels == most]
    best = next(line for line in here if line.mark == BEST)
    level = [x for x in here if x.mark in (BEST, LEVEL) and x.classifier in grid.models]
    if level:
        one = max(level, key=_macro_f1)
        why = "scores highest" if one is best else f"is not told apart from {best.name}"
        yield Step(
            f"Train {one.name}, which with {most} labels a class {why}.", _training(one, dataset)
        )
    elif not grid.models:
        yield Step(
            "Compare a model that `train-m2` trains, too; classifiers of scikit-learn map no scene "
            "here.",
            _again(dataset, folder, grid, classifiers=(*grid.classifiers, M2)),
        )
    else:
        yield Step(
            f"No model of `train-m2` is level with {best.name} here: consider fitting that with "
            "scikit-learn on the dataset's spectra (`hsi_ssl.open_dataset`)."
        )
    fewer = [line for line in scored if line.labels < most]
    if fewer:
        before = max(line.labels for line in fewer)
        other = next(line for line in fewer if line.labels == before and line.mark == BEST)
        gained = _macro_f1(best) - _macro_f1(other)
        if gained > (best.scores["macro_f1"][1] or 0.0):
            yield Step(
                f"Label more: from {before} to {most} labels a class the highest macro-F1 rose by "
                f"{100 * gained:.1f} points, more than it varies from draw to draw."
            )


def _macro_f1(line: Line) -> float:
    return line.scores["macro_f1"][0] or 0.0


def _training(line: Line, dataset: Path) -> str:
    """The commands that train what a line is of, on all labels."""
    data, model = shlex.quote(str(dataset)), line.classifier
    train = f"hsi-ssl train-m2 {data}" + ("" if model == M2 else f" --model {model}")
    if line.extractor == NONE:
        return f"{train} --no-m1"
    if is_run(line.extractor):
        return f"{train} --m1 {shlex.quote(line.extractor)}"
    run = f"runs/{line.extractor}"
    return (
        f"hsi-ssl train-m1 {data} --extractor {line.extractor} -o {run}\n"
        f"{train} --m1 {run} -o runs/{line.extractor}-{model}"
    )


def _again(
    dataset: Path,
    folder: Path,
    grid: Grid,
    *,
    seeds: int = 0,
    classifiers: Sequence[str] = (),
) -> str:
    """The command that adds to a comparison what is not in it yet."""
    names = {
        "--extractors": ",".join(grid.extractors),
        "--classifiers": ",".join(classifiers or grid.classifiers),
        "--labels": ",".join(map(str, grid.labels)),
        "--seeds": str(seeds or grid.seeds),
    }
    words = [word for option in names.items() for word in option]
    return shlex.join(["hsi-ssl", "compare", str(dataset), "-o", str(folder), *words])
