"""The report on a trained classifier: one page to show, the same numbers as JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.checksums import sealed
from hsi_ssl.datasets.asked import prepare_command
from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.files import written_beside
from hsi_ssl.inference.checkpoint import METRICS
from hsi_ssl.inference.discovered import load_discovered, map_classes
from hsi_ssl.labels.label_set import LabelClass
from hsi_ssl.reports.areas import Z
from hsi_ssl.reports.differences import named
from hsi_ssl.reports.evaluation import PARTS, RULES, Evaluation
from hsi_ssl.reports.evaluation_figures import (
    calibration_figure,
    training_figure,
    worth_of_unlabelled,
)
from hsi_ssl.reports.html import data_uri, page
from hsi_ssl.reports.intervals import WORDS
from hsi_ssl.reports.metrics import REJECT, Scores
from hsi_ssl.reports.model_figures import GENERATED, MEASURED, class_spectra, latent_figure
from hsi_ssl.reports.model_maps import glance
from hsi_ssl.reports.next_steps import after_evaluation
from hsi_ssl.reports.scene_pictures import Mapped, ScenePictures, dataset_pictures
from hsi_ssl.reports.side_by_side import draw_side_by_side

CONFUSIONS_LISTED = 5
SIDE_BY_SIDE = "side_by_side.png"
"""Maps of the runs that are compared, in the report's folder."""
SCENES_SHOWN = 4
"""Those with the most pixels scored."""


@dataclass(frozen=True)
class Confusion:
    """`count` pixels of class `true` taken for `taken`: `share` of the true class's pixels."""

    true: LabelClass
    taken: LabelClass
    count: int
    share: float


def largest_confusions(evaluation: Evaluation) -> list[Confusion]:
    """List the most frequent mistakes, by pixels."""
    wrong, totals = evaluation.scores.confusion.copy(), evaluation.scores.totals
    np.fill_diagonal(wrong, 0)
    classes = evaluation.label_set.classes
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_LISTED]
    return [
        Confusion(classes[i], classes[j], int(wrong[i, j]), float(wrong[i, j] / totals[i]))
        for i, j in (divmod(int(place), len(classes)) for place in order)
        if wrong[i, j] > 0
    ]


def write_evaluation_reports(
    evaluations: Sequence[Evaluation],
    folder: Path,
    *,
    maps: Sequence[Path] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write a report for each label set, as `write_evaluation_report`; returns the pages' paths.

    One label set's report is in `folder`; of several, each is in a folder of its name in there.
    """
    if len(evaluations) == 1:
        return [write_evaluation_report(evaluations[0], folder, maps=maps, overwrite=overwrite)]
    pages = []
    with written_beside(folder, overwrite=overwrite) as beside:
        beside.mkdir()
        for one in evaluations:
            name = one.label_set.name
            page = write_evaluation_report(one, beside / name, maps=maps)
            pages.append(folder / name / page.name)
    return pages


def write_evaluation_report(
    evaluation: Evaluation, folder: Path, *, maps: Sequence[Path] = (), overwrite: bool = False
) -> Path:
    """Write index.html, metrics.json and scores, per_class and confusion as CSV, all or nothing.

    And side_by_side.png where the evaluation is compared with other runs.

    `maps` are PNG pictures to show beside the maps of the evaluation. Returns the page's path.

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is false, or cannot be written.
    """
    dataset = open_dataset(evaluation.dataset, data=evaluation.data)
    one = dataset.one(evaluation.label_set.name) if len(dataset.label_sets) > 1 else dataset
    scored = one.rows(PARTS[evaluation.part])
    classifier = evaluation.classifier
    html = partial(
        page,
        "evaluation.html",
        e=evaluation,
        own=named(evaluation.card),
        limits={} if evaluation.intervals is None else evaluation.intervals.to_json(),
        classes=evaluation.to_json()["classes"],
        kinds=WORDS,
        scores=evaluation.scores,
        guesser=evaluation.guesser,
        rules=RULES,
        level=REJECT,
        counts=_counts(evaluation.scores),
        heat=_counts(evaluation.scores) / evaluation.scores.totals[:, None].clip(min=1),
        by_code={c.code: c for c in one.label_set.classes},
        confusions=largest_confusions(evaluation),
        calibration=None
        if evaluation.scores.calibration is None
        else calibration_figure(evaluation.scores.calibration, evaluation.uncalibrated),
        steps=after_evaluation(evaluation, one),
        prepared=prepare_command(dataset.meta, evaluation.dataset),
        worth=worth_of_unlabelled(evaluation.card),
        training=training_figure(evaluation.run / METRICS, evaluation.card),
        latent=None if classifier is None else latent_figure(classifier, one, scored),
        spectra=[] if classifier is None else class_spectra(classifier, one, scored),
        hues={"measured": MEASURED, "generated": GENERATED},
        generated=_picture(evaluation.run / "figures" / "generated.png")
        if one.meta["image_like"]
        else None,
        scenes=_scenes(evaluation, one, scored),
        more_scenes=len(np.unique(one.scene[scored])) - SCENES_SHOWN,
        maps=[(path.stem, _picture(path)) for path in maps],
        z=Z,
        settings=_flat(evaluation.card["settings"]),
    )
    with written_beside(folder, overwrite=overwrite) as beside:
        beside.mkdir()
        drawn = draw_side_by_side(beside / SIDE_BY_SIDE, evaluation, one, scored)
        together = _picture(beside / SIDE_BY_SIDE) if drawn else None
        (beside / "index.html").write_text(html(together=together), encoding="utf-8")
        text = json.dumps(sealed(evaluation.to_json()), indent=1, allow_nan=False)
        (beside / "metrics.json").write_text(text + "\n", encoding="utf-8")
        _write_csv(beside / "scores.csv", _score_rows(evaluation))
        _write_csv(beside / "per_class.csv", _per_class_rows(evaluation))
        _write_csv(beside / "confusion.csv", _confusion_rows(evaluation))
        if evaluation.maps:
            _write_csv(beside / "areas.csv", _area_rows(evaluation))
    return folder / "index.html"


def _scenes(
    evaluation: Evaluation, dataset: Dataset, rows: npt.NDArray[np.int64]
) -> list[ScenePictures]:
    """Pictures of the scenes with the most scored pixels, the model's map of each among them."""
    if dataset.meta["image_like"]:
        return []
    mapped: Mapped | None = None
    # Of two sensors' bands no scene holds all.
    if evaluation.classifier is not None and "privileged" not in dataset.meta:
        found = load_discovered(evaluation.run, evaluation.card)
        classes = map_classes(evaluation.label_set, found)
        mapped = partial(glance, evaluation.classifier, classes)
    scenes, counts = np.unique(dataset.scene[rows], return_counts=True)
    most = np.sort(scenes[np.argsort(-counts, kind="stable")[:SCENES_SHOWN]])
    return dataset_pictures(dataset, only=most.tolist(), mapped=mapped)


def _counts(scores: Scores) -> npt.NDArray[np.int64]:
    """The confusion matrix `(K, K)`, and last what lies in free slots, where there are any."""
    if scores.in_none is None:
        return scores.confusion
    return np.concatenate([scores.confusion, scores.in_none[:, None]], axis=1)


def _picture(path: Path) -> str | None:
    return data_uri(path.read_bytes(), "png") if path.is_file() else None


def _flat(settings: dict[str, Any]) -> dict[str, str]:
    """Settings in words for a list: tuples joined, None as a dash."""
    return {
        key.replace("_", " "): "-".join(map(str, value))
        if isinstance(value, list | tuple)
        else "\N{EN DASH}"
        if value is None
        else str(value)
        for key, value in settings.items()
    }


def _score_rows(evaluation: Evaluation) -> Iterator[list[Any]]:
    """The single numbers with both limits of their intervals, empty where there is none."""
    limits = {} if evaluation.intervals is None else evaluation.intervals.to_json()
    yield ["score", "value", "low", "high"]
    for name, value in evaluation.scores.headline().items():
        yield [name, value, *(limits.get(name) or (None, None))]


def _per_class_rows(evaluation: Evaluation) -> Iterator[list[Any]]:
    classes = evaluation.to_json()["classes"]
    pairs = {f"{name}_interval": (f"{name}_low", f"{name}_high") for name in ("recall", "f1")}
    yield [column for key in classes[0] for column in pairs.get(key, (key,))]
    for c in classes:
        both = ((value or (None, None)) if key in pairs else (value,) for key, value in c.items())
        yield [value for some in both for value in some]


def _area_rows(evaluation: Evaluation) -> Iterator[list[Any]]:
    """Areas of the classes of each map; of further ones only what is mapped is known."""
    head = ["mapped", "estimated", "standard_error", "users_accuracy", "producers_accuracy"]
    yield ["map", "unit", "code", "name", *head]
    for one in evaluation.maps:
        answer = one.to_json()
        for c, label in zip(answer["classes"], one.label_set.classes, strict=True):
            numbers = [c[name] for name in head]
            yield [answer["map"], answer["unit"], c["code"], label.name, *numbers]
        for c in answer["further"]:
            yield [answer["map"], answer["unit"], c["code"], c["name"], c["mapped"], *4 * [None]]


def _confusion_rows(evaluation: Evaluation) -> Iterator[list[Any]]:
    """Rows are true, columns predicted classes, both by code; free slots last, where there are."""
    codes, scores = evaluation.label_set.codes.tolist(), evaluation.scores
    head = ["true code", "true name", *(f"predicted {code}" for code in codes)]
    yield head + (["free slots"] if scores.in_none is not None else [])
    for label, line in zip(evaluation.label_set.classes, _counts(scores).tolist(), strict=True):
        yield [label.code, label.name, *line]


def _write_csv(path: Path, rows: Iterator[list[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
