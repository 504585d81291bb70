"""A run beside others: all are scored on the same pixels, and their differences told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import LabelError, ModelError
from hsi_ssl.reports.differences import NAMES, Difference
from hsi_ssl.reports.evaluation import Evaluation, evaluate_each
from hsi_ssl.reports.intervals import differences
from hsi_ssl.watcher import SILENT, Watcher


def with_runs(
    evaluations: Sequence[Evaluation],
    runs: Sequence[Path],
    dataset: Dataset,
    *,
    spatial: float | str = 0.0,
    device: str = "auto",
    watcher: Watcher = SILENT,
) -> list[Evaluation]:
    """Add what the run of `evaluations`, of a label set each, scores more than each of `runs`.

    Raises
    ------
    ModelError
        One of `runs` is no run, the run itself, or was trained on another dataset.
    LabelError
        It knows other label sets or classes.
    """
    found = list(evaluations)
    for run in runs:
        if run.resolve() == found[0].run.resolve():
            raise ModelError(f"{run} cannot be compared with itself: name another run")
        theirs = evaluate_each(
            run, dataset, part=found[0].part, spatial=spatial, device=device, watcher=watcher
        )
        _check_dataset(found[0], theirs[0])
        by_set = {one.label_set.name: one for one in theirs}
        ours = [one.label_set.name for one in found]
        if ours != list(by_set):
            raise LabelError(
                f"{found[0].run} is scored on the label sets {', '.join(ours)}, {run} on "
                f"{', '.join(by_set)}: compare runs of the same"
            )
        found = [
            replace(one, against=(*one.against, difference(one, by_set[one.label_set.name])))
            for one in found
        ]
    return found


def difference(ours: Evaluation, theirs: Evaluation) -> Difference:
    """What our run scores more than theirs, both of the same label set and part of a dataset.

    Raises
    ------
    LabelError
        Their classes differ.
    """
    codes, others = (one.label_set.codes.tolist() for one in (ours, theirs))
    if codes != others:
        raise LabelError(
            f"{ours.run} knows the classes {codes}, {theirs.run} {others}: scores of other classes "
            "cannot be compared; train both on the same"
        )
    limits = dict.fromkeys(NAMES)
    if ours.tallies is not None and theirs.tallies is not None:
        limits = {k: v for k, v in differences(ours.tallies, theirs.tallies).items() if k in NAMES}
    away = {name: getattr(ours.scores, name) - getattr(theirs.scores, name) for name in NAMES}
    return Difference(theirs.run, theirs.card, theirs.scores, away, limits, theirs.classifier)


def _check_dataset(ours: Evaluation, theirs: Evaluation) -> None:
    mine, other = ours.card["dataset"], theirs.card["dataset"]
    if mine["draw"] != other["draw"]:
        raise ModelError(
            f"{ours.run} was trained on {mine['path']}, {theirs.run} on another draw of pixels "
            f"({other['path']}), which may hold what the other is tested on: train both on one "
            "dataset"
        )
