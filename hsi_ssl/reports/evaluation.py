"""What a trained classifier is worth: scores on pixels it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.balance import Balance, Guesser, balance_of_dataset, guess
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import DatasetError, LabelError, ModelError
from hsi_ssl.inference.checkpoint import model_name
from hsi_ssl.inference.classifier import Classifier, Rule, load_classifiers
from hsi_ssl.inference.dataset_prior import among_neighbours, strength_of
from hsi_ssl.inference.extractor import check_bands
from hsi_ssl.inference.lineage import seen_elsewhere
from hsi_ssl.inference.surroundings import medians_among
from hsi_ssl.inference.worth import poor_in_words
from hsi_ssl.labels.label_set import LabelSet, codes_to_indices, indices_to_codes
from hsi_ssl.reports.class_maps import ClassMap, open_class_map
from hsi_ssl.reports.clusters import ClusterAndLabel, cluster_and_label
from hsi_ssl.reports.differences import Difference
from hsi_ssl.reports.intervals import Intervals, Tallies, intervals, tallied
from hsi_ssl.reports.map_accuracy import MapAccuracy, accuracy_on_dataset
from hsi_ssl.reports.metrics import (
    REJECT,
    Calibration,
    Scores,
    calibrate,
    listed,
    number,
    score_posterior,
    sharpened,
    words,
)
from hsi_ssl.watcher import SILENT, Watcher

BLOCK = 65_536
"""Pixels read and classified at a time."""
SAME_NM = 1.0
"""Wavelengths this near are the same band."""
RULES: dict[Rule, str] = {
    "classifier": "the classifier q(y|x)",
    "bayes": "Bayes' rule with the generative part",
}
PARTS = {"train": Part.TRAIN, "validation": Part.VALIDATION, "test": Part.TEST}


@dataclass(frozen=True)
class Evaluation:
    """Scores of a run on one part of a dataset; `by_rule` for both ways to predict.

    `intervals` are those of `scores`, of `tallies`, None where no pixel is scored; `uncalibrated`
    is what its calibration would be without the run's temperature, None where that is 1.
    `classifier` is what was scored, `maps` what `with_maps` and `against` what `with_runs` adds.
    `rejected`: share of the pixels of labelled classes whose p-value of novelty is at most
    `REJECT`, None where the run's validation pixels are too few to tell. `spatial`: strength of the
    Potts prior that the pixels were scored with, which leaves no calibrated probabilities. `data`:
    folders in which the dataset's scenes are looked for.
    """

    run: Path
    dataset: Path
    part: str
    card: dict[str, Any]
    rule: Rule
    by_rule: dict[Rule, Scores]
    balance: Balance
    warnings: tuple[str, ...]
    intervals: Intervals | None = None
    uncalibrated: Calibration | None = None
    clusters: ClusterAndLabel | None = None
    rejected: float | None = None
    classifier: Classifier | None = None
    maps: tuple[MapAccuracy, ...] = ()
    spatial: float = 0.0
    tallies: Tallies | None = None
    against: tuple[Difference, ...] = ()
    data: tuple[Path, ...] = ()

    @property
    def scores(self) -> Scores:
        """By the rule that the run predicts with."""
        return self.by_rule[self.rule]

    @property
    def label_set(self) -> LabelSet:
        """The classes, in the order of the confusion matrix."""
        return self.balance.label_set

    @property
    def guesser(self) -> Guesser:
        """What always answering the commonest class of this part scores."""
        return guess(self.scores.totals.tolist(), self.label_set)

    @property
    def model_name(self) -> str:
        """M2, GM-DGM, M1+M2 or M1+GM-DGM."""
        return model_name(self.card)

    @property
    def temperature(self) -> float:
        """At which probabilities are calibrated, 1 where they are as the network gives them."""
        return 1.0 if self.spatial else float(self.card.get("temperature", {}).get(self.rule, 1.0))

    @property
    def predicted_by(self) -> str:
        """How classes were found, in words."""
        prior = f", with a Potts prior of strength {self.spatial:g} on neighbouring pixels"
        return RULES[self.rule] + (prior if self.spatial else "")

    def to_json(self) -> dict[str, Any]:
        """Give what `hsi-ssl evaluate --json` prints and metrics.json holds."""
        scores, raw = self.scores, self.uncalibrated
        return {
            "run": str(self.run),
            "dataset": str(self.dataset),
            "model": self.model_name,
            "part": self.part,
            "n": scores.n,
            "n_test": sum(c.test or 0 for c in self.balance.classes),
            **scores.headline(),
            "calibration": {
                "temperature": self.temperature,
                "ece_uncalibrated": number(scores.ece if raw is None else raw.ece),
            },
            "intervals": None if self.intervals is None else self.intervals.to_json(),
            "rule": self.rule,
            "spatial": self.spatial,
            "by_rule": {rule: found.headline() for rule, found in self.by_rule.items()},
            "majority": {
                "code": self.guesser.label.code,
                "oa": self.guesser.oa,
                "balanced_accuracy": self.guesser.balanced_accuracy,
                "macro_f1": self.guesser.macro_f1,
            },
            "classes": [
                {
                    "code": c.label.code,
                    "name": c.label.name,
                    "train": c.train,
                    "validation": c.validation,
                    "test": c.test,
                    "precision": number(scores.precision[k]),
                    "recall": number(scores.recall[k]),
                    "f1": number(scores.f1[k]),
                    **({} if self.intervals is None else self.intervals.of(k)),
                }
                for k, c in enumerate(self.balance.classes)
            ],
            "confusion": scores.confusion.tolist(),
            **({} if scores.in_none is None else {"in_free_slots": scores.in_none.tolist()}),
            **({} if self.clusters is None else {"cluster_and_label": self.clusters.to_json()}),
            **(
                {}
                if self.rejected is None
                else {"novelty": {"level": REJECT, "rejected": self.rejected}}
            ),
            **({} if not self.maps else {"areas": [one.to_json() for one in self.maps]}),
            **({} if not self.against else {"against": [d.to_json() for d in self.against]}),
            "warnings": list(self.warnings),
        }


def evaluate(
    run: Path,
    dataset: Dataset,
    *,
    part: str = "test",
    spatial: float | str = 0.0,
    name_slots: bool = False,
    device: str = "auto",
    watcher: Watcher = SILENT,
) -> Evaluation:
    """Score the classifier of a run folder on a part (train, validation, test) of a dataset.

    Of one label set: the model's, or the dataset's where the model knows several. Where it has free
    slots the dataset may have further classes; their pixels are scored with `name_slots` only, when
    each free slot is named after the class most common in it. With `spatial`, a strength, learnt or
    tuned, under a Potts prior over the dataset's pixels.

    Raises
    ------
    ModelError
        There is no classifier in `run`, or its bands or classes are not the dataset's, or
        `name_slots` is asked of one without free slots; no strength was tuned.
    DatasetError
        The part has no pixels; the dataset lacks the model's label set; both have several.
    DeviceError
        The device is not there.
    """
    found = evaluate_each(
        run,
        dataset,
        part=part,
        spatial=spatial,
        name_slots=name_slots,
        device=device,
        watcher=watcher,
    )
    if len(found) > 1:
        raise DatasetError(
            f"{run} and {dataset.path} both hold several label sets, one is needed here: name it "
            "with --label-set"
        )
    return found[0]


def evaluate_each(
    run: Path,
    dataset: Dataset,
    *,
    part: str = "test",
    spatial: float | str = 0.0,
    name_slots: bool = False,
    device: str = "auto",
    watcher: Watcher = SILENT,
) -> list[Evaluation]:
    """As `evaluate`, of each label set that both know."""
    known = [label_set.name for label_set in dataset.label_sets]
    classifiers = load_classifiers(run, device)
    several = len(classifiers) > 1
    shared = [c for c in classifiers if c.label_set.name in known] if several else classifiers
    found = []
    for classifier in shared or classifiers:
        one = dataset
        if several or len(known) > 1:
            one = dataset.one(classifier.label_set.name)
        strength = strength_of(classifier.card, spatial)
        found.append(
            _evaluation(
                run,
                classifier,
                classifier.rules,
                one,
                part,
                watcher,
                strength=strength,
                name_slots=name_slots,
            )
        )
    return found


def with_maps(
    evaluations: Sequence[Evaluation],
    paths: Sequence[Path],
    *,
    ignore: tuple[int, ...] = (),
    watcher: Watcher = SILENT,
) -> list[Evaluation]:
    """Add class maps, each judged by its own values at the pixels that were scored.

    `evaluations` are those of one run on one dataset, of a label set each. A map that says of which
    label set it is is judged by that alone, and left out where no evaluation is of it; another by
    each whose classes it has. Values of `ignore` stand for nothing in maps.

    Raises
    ------
    SceneNotFoundError, SceneError
        A file is missing, broken or no class map.
    LabelError
        A map holds other classes, or lies on none of the pixels.
    """
    dataset = open_dataset(evaluations[0].dataset, data=evaluations[0].data)
    maps: list[list[MapAccuracy]] = [[] for _ in evaluations]
    left_out: list[str] = []
    for path in paths:
        with open_class_map(path, ignore) as found:
            own = found.tags.get("LABEL_SET")
            refused: list[LabelError] = []
            judged = False
            for one, mine in zip(evaluations, maps, strict=True):
                if own not in (None, one.label_set.name):
                    continue
                try:
                    mine.append(_judged(found, one, dataset))
                except LabelError as error:
                    if own is not None or len(evaluations) == 1:
                        raise
                    refused.append(error)
                    continue
                judged = True
                for note in mine[-1].notes:
                    watcher.say(note)
        if refused and not judged:
            raise refused[0]
        if not judged:
            left_out.append(
                f"{path.name} is left out: it is a map of the label set {own}, the scores are of "
                f"{listed([one.label_set.name for one in evaluations])}"
            )
    return [
        replace(
            one,
            maps=tuple(mine),
            warnings=(
                *one.warnings,
                *(said for found in mine for said in found.words()),
                *(left_out if one is evaluations[0] else ()),
            ),
        )
        for one, mine in zip(evaluations, maps, strict=True)
    ]


def _judged(found: ClassMap, evaluation: Evaluation, dataset: Dataset) -> MapAccuracy:
    """A map by the pixels of the part that was scored, of the dataset's classes."""
    if len(dataset.label_sets) > 1:
        dataset = dataset.one(evaluation.label_set.name)
    rows = dataset.rows(PARTS[evaluation.part])
    return accuracy_on_dataset(found, dataset.label_set, dataset, rows, evaluation.part)


def _evaluation(
    run: Path,
    chosen: Classifier,
    rules: Sequence[Rule],
    dataset: Dataset,
    part: str,
    watcher: Watcher,
    *,
    strength: float,
    name_slots: bool,
) -> Evaluation:
    rows = _rows_to_score(run, chosen, dataset, part, name_slots=name_slots)
    own = chosen.label_set
    codes = indices_to_codes(dataset.label[rows], dataset.label_set)
    truth = codes_to_indices(codes, own).astype(np.int64)
    known = truth >= 0
    by_rule: dict[Rule, Scores] = {}
    for i, rule in enumerate(rules):
        progress = partial(_progress, watcher, i * len(rows), len(rules) * len(rows))
        posterior = _posterior(replace(chosen, rule=rule), dataset, rows, strength, progress)
        by_rule[rule] = score_posterior(truth[known], posterior[known], chosen.free_slots)
        if rule == chosen.rule:
            of_rule = posterior
    watcher.progress("evaluating", len(rules) * len(rows), len(rules) * len(rows))
    limits = uncalibrated = clusters = tallies = None
    if known.any():
        found = of_rule[known].argmax(1)
        tallies = tallied(truth[known], found, dataset.unit[rows[known]], len(own))
        limits = intervals(tallies, dataset.unit_kind)
        if chosen.temperature != 1 and not strength:
            raw = sharpened(of_rule[known], chosen.temperature)
            uncalibrated = calibrate(truth[known], raw)
    if name_slots:
        clusters = cluster_and_label(of_rule.argmax(1), codes, own.codes, chosen.free_slots)
    poor = poor_in_words(chosen.card)
    warnings = (
        *(() if poor is None else (poor,)),
        *_strange_dataset(chosen.card, dataset, part),
        *_without_slot(codes[~known], dataset.label_set, part, named=name_slots),
        *words(by_rule[chosen.rule], own.names, part),
        *(() if limits is None else _uncertain(limits, own, dataset)),
    )
    balance = balance_of_dataset(dataset)
    mine = tuple(c for c in balance.classes if c.label.code in own.codes)
    return Evaluation(
        run,
        dataset.path,
        part,
        chosen.card,
        chosen.rule,
        by_rule,
        replace(balance, label_set=own, classes=mine),
        warnings,
        limits,
        uncalibrated,
        clusters,
        _rejected(chosen, dataset, rows[known]),
        chosen,
        spatial=strength,
        tallies=tallies,
        data=dataset.data,
    )


def _rows_to_score(
    run: Path, chosen: Classifier, dataset: Dataset, part: str, *, name_slots: bool
) -> npt.NDArray[np.int64]:
    """The pixels of a part, once it is sure that the run can be scored on them."""
    check_bands(chosen.card, dataset, run)
    _check_wavelengths(chosen.wavelengths_nm, dataset, run)
    _check_classes(chosen, dataset, run)
    if name_slots and not chosen.free_slots:
        raise ModelError(
            f"{run} has no free slots to name; train with --free-slots, or leave out "
            "--cluster-and-label"
        )
    rows = dataset.rows(PARTS[part])
    if not len(rows):
        raise DatasetError(
            f"{dataset.path} has no {part} pixels to score; evaluate another with --part, "
            "or prepare with another split"
        )
    return rows


def _progress(watcher: Watcher, before: int, total: int, done: int) -> None:
    watcher.progress("evaluating", before + done, total)


def _posterior(
    classifier: Classifier,
    dataset: Dataset,
    rows: npt.NDArray[np.int64],
    strength: float,
    progress: Callable[[int], None],
) -> npt.NDArray[np.float32]:
    """p(y|x) of a dataset's pixels, under a Potts prior of that strength."""
    if strength:
        (found,) = among_neighbours(classifier, dataset, rows, (strength,))
        return found
    blocks = []
    for first in range(0, len(rows), BLOCK):
        progress(first)
        blocks.append(classifier.posterior(dataset.spectra(rows[first : first + BLOCK])))
    return np.concatenate(blocks)


def _rejected(
    classifier: Classifier, dataset: Dataset, rows: npt.NDArray[np.int64]
) -> float | None:
    """Share of these pixels that `classify --reject` would reject, novel to the labelled ones.

    Of their surroundings, what lies among these pixels counts.
    """
    kept = classifier.novelty
    if kept is None or not len(rows) or len(kept.reference["classes"]) + 1 < 1 / REJECT:
        return None
    score = np.concatenate(
        [
            classifier.novelty_score(
                dataset.spectra(rows[first : first + BLOCK]), "classes", kept.samples
            )
            for first in range(0, len(rows), BLOCK)
        ]
    )
    around = medians_among(dataset.scene[rows], dataset.pixel[rows], score)
    return float(np.mean(kept.p_values(score, around, "classes") <= REJECT))


def _check_wavelengths(trained: list[float] | None, dataset: Dataset, run: Path) -> None:
    found = dataset.wavelengths_nm
    if trained is None or found is None:
        return
    apart = np.abs(np.subtract(trained, found))
    if apart.max() > SAME_NM:
        raise ModelError(
            f"{run} was trained on bands at {trained[0]:.0f} to {trained[-1]:.0f} nm, those of "
            f"{dataset.path} are at {found[0]:.0f} to {found[-1]:.0f} nm and differ by up to "
            f"{apart.max():.0f} nm: train again on this dataset"
        )


def _check_classes(trained: Classifier, dataset: Dataset, run: Path) -> None:
    ours, theirs = trained.label_set.codes.tolist(), dataset.label_set.codes.tolist()
    if not (set(ours) <= set(theirs) if trained.free_slots else ours == theirs):
        raise ModelError(
            f"{run} was trained on the classes with codes {ours}, {dataset.path} has {theirs}: "
            "they must be the same; train again on this dataset"
        )


def _without_slot(
    codes: npt.NDArray[np.int64], label_set: LabelSet, part: str, *, named: bool
) -> Iterator[str]:
    """Say which pixels the scores leave out, as the model has no labels of their class."""
    if len(codes):
        names = listed(label_set.occurring(codes).names)
        yield (
            f"{len(codes):,} {part} pixels of classes without training label are left out: {names}"
            f"{'' if named else '; --cluster-and-label scores them'}"
        )


def _uncertain(limits: Intervals, label_set: LabelSet, dataset: Dataset) -> Iterator[str]:
    yield from limits.words(
        label_set.names,
        by_scene=dataset.meta["split"]["kind"] == "scenes",
        pictures=dataset.meta["image_like"],
    )


def _strange_dataset(card: dict[str, Any], dataset: Dataset, part: str) -> Iterator[str]:
    """Warn where the run was trained on another draw of pixels: these need not be new to it."""
    if part == "train":
        return
    yield from seen_elsewhere(card, dataset, "the run")
    if card["m1"] is not None:
        yield from seen_elsewhere(card["m1"], dataset, "its M1")
    if dataset.meta["transductive"]:
        yield (
            f"the dataset is transductive: the spectra (not the labels) of the {part} pixels were "
            "there while training"
        )
