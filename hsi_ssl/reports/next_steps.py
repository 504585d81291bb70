"""What to do next, in a few sentences at the head of a report, the most useful first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hsi_ssl.datasets.balance import Balance
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.datasets.whereabouts import place_of
from hsi_ssl.reports.intervals import FEW
from hsi_ssl.reports.metrics import REJECT

if TYPE_CHECKING:
    from hsi_ssl.discovery.discover import Discovery
    from hsi_ssl.reports.evaluation import Evaluation
    from hsi_ssl.reports.map_accuracy import MapAccuracy

POOR = 0.6
"""F1 below which a class is named as one to label more of."""
FEW_TRAINED = 50
MOST_NAMED = 3
FEW_KNOWN = 50
"""Reference pixels of a class; Olofsson et al. (2014) ask for 50 to 100 a mapped class."""
UNLIKE = 5
"""So many times more rejected than expected: other pixels than those of validation."""


class Step(NamedTuple):
    """A sentence, and the command that does it, a line each, empty where there is none."""

    say: str
    command: str = ""


def after_evaluation(evaluation: Evaluation, dataset: Dataset) -> list[Step]:
    """What to do after looking at the scores of a run."""
    return list(_after_evaluation(evaluation, dataset))


def _after_evaluation(evaluation: Evaluation, dataset: Dataset) -> Iterator[Step]:
    scores, run = evaluation.scores, shlex.quote(str(evaluation.run))
    scene = _scene_of(dataset)
    guessed = evaluation.guesser.oa
    if scores.n and scores.oa <= guessed:
        yield Step(
            "It is no better than guessing: before anything else, look whether labels lie where "
            "they should and whether the bands are those of the scene.",
            f"hsi-ssl info {scene}",
        )
    teacher = evaluation.card.get("teacher")
    if teacher and not evaluation.against:
        yield Step(
            "See what this student lost of what its teacher knows, on the same pixels.",
            f"hsi-ssl evaluate {run} --against {shlex.quote(teacher['path'])}",
        )
    poor = _poor(evaluation)
    if poor:
        yield Step(
            f"Label more pixels of {poor}; the model can say which would help most.",
            "" if dataset.meta["image_like"] else f"hsi-ssl suggest {run} {scene}",
        )
    limits = evaluation.intervals
    if limits is not None and limits.units > 1 and limits.effective < FEW:
        yield Step(
            f"Label more places: the {evaluation.part} pixels lie in so few that the scores may be "
            "far off."
        )
    if evaluation.rejected is not None and evaluation.rejected > UNLIKE * REJECT:
        yield Step(
            "Look at what no class explains: many pixels are unlike those that it was validated "
            "on.",
            f"hsi-ssl classify {scene} --model {run} --reject {REJECT}",
        )
    if evaluation.maps:
        one = shlex.quote(str(evaluation.maps[0].path))
        yield Step("Look at the map beside the scene, pixel by pixel.", f"hsi-ssl view {one}")
    elif not dataset.meta["image_like"]:
        yield Step("Make the map.", f"hsi-ssl classify {scene} --model {run}")


def after_balance(balance: Balance, path: Path | None) -> list[Step]:
    """What to do after looking at the label balance of a dataset at `path`, None before."""
    found = []
    if not balance.prepared or path is None:
        return [Step("Make a dataset of it: parts, scaling, unlabelled pixels.", "hsi-ssl prepare")]
    named = [c for c in balance.classes if (c.train or 0) < FEW_TRAINED]
    if named:
        rarest = sorted(named, key=lambda c: c.train or 0)[:MOST_NAMED]
        told = ", ".join(f"{c.label.name} ({c.train or 0})" for c in rarest)
        found.append(Step(f"Label more of what has few training pixels, if you can: {told}."))
    untested = [c.label.name for c in balance.classes if not c.test]
    if untested:
        few = ", ".join(untested[:MOST_NAMED])
        found.append(
            Step(
                f"Nothing will be known of how well {few}"
                f"{' and others' if len(untested) > MOST_NAMED else ''} will be found: no test "
                "pixel. Label more places of it, or take smaller blocks (`--block`)."
            )
        )
    data = shlex.quote(str(path))
    found.append(
        Step(
            "Learn features from every pixel, labelled or not, and train the classifier on them.",
            f"hsi-ssl train-m1 {data}\nhsi-ssl train-m2 {data}",
        )
    )
    return found


def after_reference(found: Sequence[MapAccuracy]) -> list[Step]:
    """What to do after looking at how far class maps agree with a reference."""
    steps = []
    few = [f"{n} ({k})" for n, k in _least_known(found) if k < FEW_KNOWN]
    if few:
        steps.append(
            Step(
                f"Collect more of what the reference has least of: {', '.join(few[:MOST_NAMED])}; "
                "scores of so few pixels may be far off."
            )
        )
    worst = min(found, key=lambda one: one.scores.oa)
    steps.append(
        Step("Look at where it is wrong, pixel by pixel.", f"hsi-ssl view {_quoted(worst.path)}")
    )
    return steps


def _least_known(found: Sequence[MapAccuracy]) -> list[tuple[str, int]]:
    """Classes with the pixels that the reference has of them on all maps, the rarest first."""
    known: dict[str, int] = {}
    for one in found:
        for label, n in zip(one.label_set.classes, one.scores.totals.tolist(), strict=True):
            known[label.name] = known.get(label.name, 0) + n
    return sorted(((n, k) for n, k in known.items() if k), key=lambda pair: pair[1])


def after_discovery(found: Discovery, folder: Path, maps: Sequence[str]) -> list[Step]:
    """What to do after looking at groups; `maps` are the names of those in `folder`."""
    settings = found.settings
    run, steps = _quoted(settings.model), []
    again = f"hsi-ssl discover {shlex.join([str(settings.model), *settings.scenes])}"
    if not found.groups:
        return [
            Step(
                "Give what nobody has labelled more room: train with more free slots.",
                f"hsi-ssl train-m2 --free-slots {2 * max(1, found.classifier.free_slots)} "
                "-o runs/more-slots",
            )
        ]
    if maps:
        steps.append(
            Step("Look at where the groups lie.", f"hsi-ssl view {_quoted(folder / maps[0])}")
        )
    if not settings.also:
        steps.append(
            Step(
                "Train once more from another seed, and believe groups that both find.",
                f"hsi-ssl train-m2 --free-slots {found.classifier.free_slots} --seed 1 "
                f"-o runs/seed1\n{again} --also runs/seed1 --overwrite",
            )
        )
    if settings.library is None and found.classifier.wavelengths_nm is not None:
        steps.append(
            Step("Name the groups by a spectral library.", f"{again} --library LIB --overwrite")
        )
    steps.append(Step("Map them as classes of their own.", f"hsi-ssl classify SCENE --model {run}"))
    return steps


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _poor(evaluation: Evaluation) -> str:
    """Classes with the lowest scores, with what they learnt from, in words."""
    scores, classes = evaluation.scores, evaluation.balance.classes
    order = np.argsort(np.where(scores.present, np.nan_to_num(scores.f1), np.inf), kind="stable")
    low = [int(k) for k in order if scores.present[k] and np.nan_to_num(scores.f1[k]) < POOR]
    return ", ".join(
        f"{classes[k].label.name} (F1 {100 * np.nan_to_num(scores.f1[k]):.0f} %, "
        f"{classes[k].train or 0:,} to learn from)"
        for k in low[:MOST_NAMED]
    )


def _scene_of(dataset: Dataset) -> str:
    """The first scene's name in the catalog or path, for a command; SCENE where it is not known."""
    asked = dataset.meta.get("asked", {}).get("sources", [])
    plain = len(asked) == 1 and asked[0] == Path(asked[0]).stem
    if plain and not Path(asked[0]).exists():  # no file's nor folder's: the catalog's
        return shlex.quote(asked[0])
    card = dataset.meta["sources"][0]
    return shlex.quote(str(place_of(card, dataset) or card["path"] or "SCENE"))
