"""`hsi-ssl evaluate`: scores on pixels that the model never saw."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .output import Terminal

if TYPE_CHECKING:
    from hsi_ssl.reports.clusters import ClusterAndLabel
    from hsi_ssl.reports.evaluation import Evaluation


@click.command("evaluate", short_help="Score a classifier and write a report.")
@click.argument("run", type=options.FILE, required=False)
@click.argument("dataset", type=options.FILE, required=False)
@click.option(
    "--split",
    "part",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    show_default=True,
    help="Pixels to score.",
)
@click.option("--report", type=options.FILE, help="Folder [default: RUN/report, replaced].")
@click.option(
    "--map",
    "maps",
    type=options.FILE,
    multiple=True,
    help="Class map that `classify` wrote: shown, and areas estimated; or a PNG to show.",
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
@options.device
@options.overwrite
@options.common
def command(
    run: Path | None,
    dataset: Path | None,
    part: str,
    report: Path | None,
    maps: tuple[Path, ...],
    cluster_and_label: bool,
    spatial: str | None,
    tune_spatial: bool,
    device: str | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Score the classifier RUN [runs/m2] on the test pixels of DATASET [runs/dataset.h5].

    Writes a report: a page with scores, their 95 % confidence intervals and those of guessing,
    the confusion matrix, the calibration and how the model was trained; the numbers as
    metrics.json, scores.csv, per_class.csv, confusion.csv and, with --map, areas.csv.
    A pixel in a free slot counts as wrong; classes without training label are left out, unless
    --cluster-and-label scores them.

    \b
    hsi-ssl evaluate
    hsi-ssl evaluate runs/m2 --split validation --json
    hsi-ssl evaluate --spatial tuned
    """
    from hsi_ssl.datasets.store import open_dataset
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.reports.evaluation import evaluate_each, with_maps
    from hsi_ssl.reports.evaluation_page import write_evaluation_reports
    from hsi_ssl.settings import prior_strength
    from hsi_ssl.training.tuned_prior import tune_run

    settings = options.read_project(project).m2
    try:
        strength = prior_strength(spatial or 0.0)
    except ValueError as error:
        raise SettingsError(f"--spatial: {error} (found {spatial!r})") from None
    run = run or settings.output
    own = run / ("report" if part == "test" else f"report-{part}")
    folder = report or own
    # The report inside the run follows from the run: it may always be made again.
    overwrite = overwrite or folder == own
    refuse_existing(folder, overwrite)
    for path in maps:
        if not path.is_file():
            raise SettingsError(f"no map {path}; make one with `hsi-ssl classify`")
    pictures = [path for path in maps if path.suffix.lower() == ".png"]
    rasters = [path for path in maps if path not in pictures]
    opened = open_dataset(dataset or settings.dataset)
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
    found = [with_maps(one, rasters) for one in found]
    pages = write_evaluation_reports(found, folder, maps=pictures, overwrite=overwrite)
    each, lines = [], []
    for one, page in zip(found, pages, strict=True):
        label_set = f"{one.label_set.name}: " if len(found) > 1 else ""
        for sentence in one.warnings:
            terminal.warn(label_set + sentence)
        scores, guesser, between = one.scores, one.guesser, _between(one)
        each.append({**one.to_json(), "report": str(page)})
        lines += [
            f"{label_set}{one.model_name} on {one.card['dataset']['title']}: {scores.n:,} {part} "
            f"pixels, by {one.predicted_by}",
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
            f"report: {page}",
        ]
    by_set = {one.label_set.name: answer for one, answer in zip(found, each, strict=True)}
    terminal.result(each[0] if len(each) == 1 else {"label_sets": by_set}, *lines)


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
    from hsi_ssl.reports.evaluation import REJECT

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
