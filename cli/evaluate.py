"""`hsi-ssl evaluate`: scores on pixels that the model never saw."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from . import options
from .output import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hsi_ssl.labels.rules import LabelRules
    from hsi_ssl.reports.clusters import ClusterAndLabel
    from hsi_ssl.reports.differences import Difference
    from hsi_ssl.reports.evaluation import Evaluation
    from hsi_ssl.reports.map_accuracy import MapAccuracy

OF_MODELS = (
    "part", "against", "cluster_and_label", "spatial", "tune_spatial", "data", "device",
)  # fmt: skip
"""Options that are for a run and its dataset."""


@click.command("evaluate", short_help="Score a classifier and write a report.")
@click.argument("run", type=options.FILE, required=False)
@click.argument("dataset", type=options.FILE, required=False)
@click.option(
    "--part",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    show_default=True,
    help="Pixels to score.",
)
@click.option(
    "--report",
    type=options.FILE,
    help="Folder [default: RUN/report, replaced; with --reference MAP_accuracy].",
)
@click.option(
    "--map",
    "maps",
    type=options.FILE,
    multiple=True,
    help="Class map, of whatever model or product: judged by its own values, its areas estimated; "
    "or a PNG to show.",
)
@click.option(
    "--against",
    type=options.FILE,
    multiple=True,
    help="Another run of the same dataset, scored on the same pixels: what RUN has more, and maps "
    "side by side.",
)
@click.option(
    "--reference",
    type=options.FILE,
    help="Judge maps by these points, polygons or raster, without any RUN or DATASET.",
)
@click.option(
    "--cluster-and-label",
    is_flag=True,
    help="Also: name each free slot after the true class most common in it, and score that.",
)
@click.option(
    "--spatial",
    metavar="BETA",
    help="Score under a Potts prior: its strength, learnt or tuned [default: 0].",
)
@click.option(
    "--tune-spatial",
    is_flag=True,
    help="First choose its strength on DATASET's validation pixels, for `--spatial tuned`.",
)
@options.data
@options.device
@options.overwrite
@options.label_rules
@options.common
def command(
    run: Path | None,
    dataset: Path | None,
    part: str,
    report: Path | None,
    maps: tuple[Path, ...],
    against: tuple[Path, ...],
    reference: Path | None,
    cluster_and_label: bool,
    spatial: str | None,
    tune_spatial: bool,
    data: tuple[Path, ...],
    device: str | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
    ignore_codes: list[int] | None,
    **rules: Any,
) -> None:
    """Score the classifier RUN [runs/m2] on the test pixels of DATASET [runs/dataset.h5].

    Writes a report: a page with scores, their 95 % confidence intervals and those of guessing,
    the confusion matrix, the calibration and how the model was trained; the numbers as
    metrics.json, scores.csv, per_class.csv, confusion.csv and, with --map, areas.csv.
    A pixel in a free slot counts as wrong; classes without training label are left out, unless
    --cluster-and-label scores them.

    With --reference, class maps of whatever origin are judged by labels that are given: accuracies
    with their intervals, and areas with their errors.

    \b
    hsi-ssl evaluate
    hsi-ssl evaluate runs/m2 --part validation --json
    hsi-ssl evaluate --spatial tuned
    hsi-ssl evaluate --against runs/labels-alone
    hsi-ssl evaluate --map scene_classes.tif --map other_product.tif
    hsi-ssl evaluate --map other_product.tif --reference points.gpkg --label-field class
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.datasets.store import open_dataset
    from hsi_ssl.datasets.whereabouts import warn_of_missing
    from hsi_ssl.files import refuse_existing

    _check_maps(maps)
    if reference is not None:
        _refuse_run(run, dataset, maps)
        by = _rules_of(rules, ignore_codes)
        _by_reference(maps, reference, by, report, overwrite=overwrite, terminal=terminal)
        return
    _refuse_rules(rules)
    from hsi_ssl.inference.checkpoint import refuse_changed
    from hsi_ssl.reports.against import with_runs
    from hsi_ssl.reports.evaluation import evaluate_each, with_maps
    from hsi_ssl.reports.evaluation_page import write_evaluation_reports
    from hsi_ssl.training.tuned_prior import tune_run

    settings = options.read_project(project).m2
    strength = _strength(spatial)
    run = run or settings.output
    own = run / ("report" if part == "test" else f"report-{part}")
    folder = report or own
    # The report inside the run follows from the run: it may always be made again.
    overwrite = overwrite or folder == own
    pictures = [path for path in maps if path.suffix.lower() == ".png"]
    rasters = [path for path in maps if path not in pictures]
    with claimed(folder):
        refuse_existing(folder, overwrite)
        opened = open_dataset(dataset or settings.dataset, data=data)
        warn_of_missing(opened, terminal)
        if tune_spatial:
            tune_run(run, opened, device or settings.device, terminal)
        found = evaluate_each(
            run,
            opened,
            part=part,
            spatial=strength,
            name_slots=cluster_and_label,
            device=device or settings.device,
            watcher=terminal,
        )
        if against:
            found = with_runs(
                found,
                against,
                opened,
                spatial=strength,
                device=device or settings.device,
                watcher=terminal,
            )
        if rasters:
            found = with_maps(found, rasters, ignore=tuple(ignore_codes or ()), watcher=terminal)
        refuse_changed(run, found[0].card)
        for other in found[0].against:
            refuse_changed(other.run, other.card)
        pages = write_evaluation_reports(found, folder, maps=pictures, overwrite=overwrite)
    _tell(found, pages, part, terminal)


def _check_maps(maps: Sequence[Path]) -> None:
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.scenes.virtual import is_virtual

    for path in maps:
        if not (path.is_file() or is_virtual(path)):
            raise SettingsError(f"no map {path}; make one with `hsi-ssl classify`")


def _refuse_rules(rules: dict[str, Any]) -> None:
    from hsi_ssl.errors import SettingsError

    for name, value in rules.items():
        if value is not None:
            raise SettingsError(f"{_option(name)} is for --reference; give one, or leave it out")


def _strength(spatial: str | None) -> float | str:
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.settings import prior_strength

    try:
        return prior_strength(spatial or 0.0)
    except ValueError as error:
        raise SettingsError(f"--spatial: {error} (found {spatial!r})") from None


def _tell(
    found: Sequence[Evaluation], pages: Sequence[Path], part: str, terminal: Terminal
) -> None:
    """Warnings and scores of each label set."""
    each, lines = [], []
    for one, page in zip(found, pages, strict=True):
        label_set = f"{one.label_set.name}: " if len(found) > 1 else ""
        for sentence in one.warnings:
            terminal.warn(label_set + sentence)
        each.append({**one.to_json(), "report": str(page)})
        lines += [label_set + _head(one, part), *_scores(one), f"report: {page}"]
    by_set = {one.label_set.name: answer for one, answer in zip(found, each, strict=True)}
    terminal.result(each[0] if len(each) == 1 else {"label_sets": by_set}, *lines)


def _rules_of(rules: dict[str, Any], ignore_codes: list[int] | None) -> LabelRules:
    """How labels of a reference are taken, of the options that were given."""
    from hsi_ssl.labels.rules import USUAL_RULES, LabelRules

    given = {name: value for name, value in rules.items() if value is not None}
    given |= {"field": given.pop("label_field", None), "ignore": tuple(ignore_codes or ())}
    return LabelRules(**{**vars(USUAL_RULES), **given})


def _head(one: Evaluation, part: str) -> str:
    return (
        f"{one.model_name} on {one.card['dataset']['title']}: {one.scores.n:,} {part} "
        f"pixels, by {one.predicted_by}"
    )


def _scores(one: Evaluation) -> list[str]:
    """Scores beside those of guessing, and what else was measured, a line each."""
    scores, guesser, between = one.scores, one.guesser, _between(one)
    return [
        f"  overall accuracy   {100 * scores.oa:5.1f} %{between['oa']}  "
        f"(guessing: {100 * guesser.oa:.1f})",
        f"  average accuracy   {100 * scores.aa:5.1f} %{between['aa']}  "
        f"(guessing: {100 * guesser.balanced_accuracy:.1f})",
        f"  macro-F1           {100 * scores.macro_f1:5.1f} %{between['macro_f1']}  "
        f"(guessing: {100 * guesser.macro_f1:.1f})",
        f"  kappa              {100 * scores.kappa:5.1f} %{between['kappa']}",
        f"  calibration error  {100 * (scores.ece or 0):5.1f} %{_uncalibrated(one)}",
        *(() if one.rejected is None else (_novelty(one.rejected),)),
        *(_words(one.clusters) if one.clusters else ()),
        *(_map_line(m) for m in one.maps),
        *(line for other in one.against for line in _beside(one, other)),
    ]


def _beside(one: Evaluation, other: Difference) -> list[str]:
    """What a run scores more than another, in two lines."""
    from hsi_ssl.reports.differences import named

    return [
        f"against {other.run} ({other.named}; here {named(one.card)}), on the same pixels:",
        f"  overall accuracy   {other.in_words('oa')}",
        f"  macro-F1           {other.in_words('macro_f1')}, {other.verdict}",
    ]


def _refuse_run(run: Path | None, dataset: Path | None, maps: Sequence[Path]) -> None:
    """Raise `SettingsError` if something is given beside --reference that it has no use for."""
    from hsi_ssl.errors import SettingsError

    for what, path in (("RUN", run), ("DATASET", dataset)):
        if path is not None:
            raise SettingsError(
                f"--reference judges maps without any RUN or DATASET, found {what} {path}: leave "
                "it out, or leave out --reference to judge by the dataset's pixels"
            )
    context = click.get_current_context()
    for name in OF_MODELS:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise SettingsError(
                f"{_option(name)} is for a RUN and its DATASET, --reference has none: leave out "
                "one of them"
            )
    if not maps:
        raise SettingsError("--reference judges class maps: name one or several with --map")


def _by_reference(
    maps: Sequence[Path],
    reference: Path,
    rules: LabelRules,
    report: Path | None,
    *,
    overwrite: bool,
    terminal: Terminal,
) -> None:
    """Judge maps by a reference, write the report and say what was found."""
    from hsi_ssl.claims import claimed
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.reports.reference import judge_maps, reference_words
    from hsi_ssl.reports.reference_page import (
        reference_folder,
        reference_json,
        table_names,
        write_reference_report,
    )

    folder = report or reference_folder(maps, reference)
    with claimed(folder):
        refuse_existing(folder, overwrite)
        table_names(maps)
        found = judge_maps(maps, reference, rules, terminal)
        page = write_reference_report(found, reference, folder, overwrite=overwrite)
    for sentence in dict.fromkeys(said for one in found for said in reference_words(one)):
        terminal.warn(sentence)
    answers = [{**reference_json(one, reference), "report": str(page)} for one in found]
    whole = {"maps": answers, "report": str(page)}
    if len(found) > 1:
        lines = [_map_line(one) for one in found]
    else:
        lines = _reference_lines(found[0], answers[0])
    terminal.result(
        answers[0] if len(answers) == 1 else whole,
        *(line.strip() for line in lines[:1]),
        *lines[1:],
        f"report: {page}",
    )


def _option(name: str) -> str:
    """What users call a parameter."""
    return f"--{name.replace('_', '-')}"


def _map_line(one: MapAccuracy) -> str:
    """A map's scores in one line."""
    between = one.intervals.to_json()["oa"]
    spread = "" if between is None else f" ({100 * between[0]:.1f} to {100 * between[1]:.1f})"
    return (
        f"  map {one.path.name}: overall accuracy {100 * one.scores.oa:.1f} %{spread} of "
        f"{one.n:,} {one.what} pixels, {100 * one.areas.oa:.1f} % of its area"
    )


def _reference_lines(one: MapAccuracy, answer: dict[str, Any]) -> list[str]:
    """The scores of one map against a reference."""
    from hsi_ssl.reports.areas import Z

    names = {
        "oa": "overall accuracy",
        "aa": "average accuracy",
        "macro_f1": "macro-F1",
        "kappa": "kappa",
    }
    lines = [f"{one.path.name} at {one.n:,} reference pixels, {len(one.label_set)} classes"]
    for key, name in names.items():
        between = answer["intervals"][key]
        spread = "" if between is None else f", {100 * between[0]:5.1f} to {100 * between[1]:5.1f}"
        value = "    -" if answer[key] is None else f"{100 * answer[key]:5.1f}"
        lines.append(f"  {name:18} {value} %{spread}")
    error = one.areas.oa_error
    spread = "" if math.isnan(error) else f" ± {100 * Z * error:.1f}"
    lines.append(f"  on the map's area  {100 * one.areas.oa:5.1f} %{spread}")
    return lines


def _between(one: Evaluation) -> dict[str, str]:
    """The intervals of the scores in words, the same width each."""
    found = {} if one.intervals is None else one.intervals.to_json()
    return {
        name: f", {100 * found[name][0]:5.1f} to {100 * found[name][1]:5.1f}"
        if found.get(name)
        else ""
        for name in ("oa", "aa", "macro_f1", "kappa")
    }


def _uncalibrated(one: Evaluation) -> str:
    if one.uncalibrated is None:
        return ""
    return f"  (uncalibrated: {100 * one.uncalibrated.ece:.1f}, temperature {one.temperature:.2f})"


def _novelty(rejected: float) -> str:
    from hsi_ssl.reports.metrics import REJECT

    return f"  would be rejected  {100 * rejected:5.1f} %  (by classify --reject {REJECT:g})"


def _words(clusters: ClusterAndLabel) -> tuple[str, ...]:
    used = sum(s.free and s.pixels > 0 for s in clusters.slots)
    return (
        f"free slots named after what lies in them, {used} of them in use:",
        f"  overall accuracy   {100 * clusters.oa:5.1f} %  (labelled classes "
        f"{_or_none(100 * clusters.oa_labelled, '.1f')}, others "
        f"{_or_none(100 * clusters.oa_unlabelled, '.1f')})",
        f"  adjusted Rand      {clusters.ari:7.2f}  (others "
        f"{_or_none(clusters.ari_unlabelled, '.2f')})",
    )


def _or_none(score: float, form: str) -> str:
    return "have no pixel" if math.isnan(score) else format(score, form)
