"""`hsi-ssl train-m2`: the classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal
from .watching import watched


@click.command("train-m2", short_help="Train the classifier, on spectra or on M1's features.")
@click.argument("dataset", type=options.FILE, required=False)
@click.option("-o", "--output", type=options.FILE, help="Run folder [default: runs/m2].")
@click.option("--label-set", help="Of a dataset with several: only this one.")
@click.option("--samples", type=int, help="Of z a pixel, in the bound [default: 1].")
@click.option("--m1", type=options.FILE, help="Run folder of M1 [default: runs/m1].")
@click.option("--no-m1", is_flag=True, help="M2 on spectra instead of M1's features.")
@click.option(
    "--model",
    type=options.Choice("M2Settings", "model"),
    help="gm-dgm: each class is a Gaussian in the space of z; others know q(y|x) alone "
    "[default: m2].",
)
@click.option(
    "--option",
    "own",
    type=options.ASSIGNED,
    multiple=True,
    help="An option of the model's own; may be given several times.",
)
@click.option("--teacher", type=options.FILE, help="Run that --model student learns from.")
@click.option(
    "--privileged-by",
    type=click.Choice(["separate", "joint"]),
    help="Learn from a second sensor, too: after a --teacher that saw both, or with it at once.",
)
@click.option("--free-slots", type=int, help="Slots for what nobody has labelled [default: 0].")
@click.option("--alpha", type=float, help="Weight of the classification term, in units of N.")
@click.option(
    "--stop-gradient",
    type=float,
    help="Share of the unlabelled bound's gradient that is stopped before q(y|x) [default: 1].",
)
@click.option(
    "--spatial/--no-spatial",
    default=None,
    help="Let neighbouring unlabelled pixels tell q(y|x) their class, or not.",
)
@click.option(
    "--unlabelled/--no-unlabelled",
    default=None,
    help="Learn from unlabelled pixels too, or from labelled ones alone, to compare with.",
)
@click.option("--latent", type=int, help="Latent units.")
@click.option("--hidden", type=options.WIDTHS, help="Hidden layers, for example 500-500.")
@click.option(
    "--predict",
    type=options.Choice("M2Settings", "predict"),
    help="q(y|x), Bayes' rule, or the better on validation pixels.",
)
@click.option("--bayes-samples", type=int, help="Samples of z for Bayes' rule.")
@click.option(
    "--balanced/--as-they-come",
    default=None,
    help="Draw labelled batches equally over classes, or as the pixels come.",
)
@click.option("--batch-labelled", type=int, help="Labelled pixels a step.")
@click.option("--batch-unlabelled", type=int, help="Unlabelled pixels a step.")
@click.option(
    "--supervised-epochs",
    type=int,
    help="Of the part that comes first, on labelled pixels alone; --epochs are those of the whole "
    "after it [default: 20].",
)
@options.training
@options.common
def command(
    project: Path | None,
    terminal: Terminal,
    *,
    m1: Path | None,
    no_m1: bool,
    own: tuple[tuple[str, bool | int | float | str], ...],
    privileged_by: str | None,
    resume: bool,
    overwrite: bool,
    watch: bool,
    tensorboard: Path | None,
    **given: Any,
) -> None:
    """Train the classifier on the labelled and unlabelled pixels of DATASET [runs/dataset.h5].

    Of a dataset with several label sets one model for all, unless one is named; the settings file
    says on what each depends (generation, inference).

    On the features of the M1 in runs/m1 (M1+M2), or with --no-m1 on spectra (M2). First on the
    labelled pixels alone, then with the unlabelled ones; validation pixels choose the better of the
    two, the state that is kept and the rule to predict by.

    --model names other classifiers, which know q(y|x) and nothing of spectra: docs/schemes.md.

    \b
    hsi-ssl train-m2
    hsi-ssl train-m2 --no-m1 --no-spatial -o runs/m2-spectra
    hsi-ssl train-m2 --no-m1 --no-unlabelled -o runs/labels-alone
    """
    options.refuse_together(m1=m1, no_m1=no_m1)
    options.refuse_together(resume=resume, overwrite=overwrite)
    settings = options.read_project(project).m2
    given["options"] = {**settings.options, **dict(own)} or None
    if privileged_by is not None:
        options.refuse_together(model=given["model"], privileged_by=privileged_by)
        given |= _privileged(privileged_by, given["teacher"] or settings.teacher, given["options"])
    settings = options.override(settings, m1=m1, **given)
    if no_m1:
        settings = settings.model_copy(update={"m1": None})
    from hsi_ssl.inference.checkpoint import model_name
    from hsi_ssl.training.m2_stage import train_m2
    from hsi_ssl.training.processes import joined

    with (
        joined(terminal) as processes,
        watched(settings.output, terminal, page=watch, tensorboard=tensorboard),
    ):
        card = train_m2(
            settings,
            resume=resume,
            overwrite=overwrite,
            watcher=terminal,
            draw=options.drawing(settings.output),
            processes=processes,
        )
    training, metrics = card["training"], card["metrics"]
    run, known = settings.output, options.read_project(project)
    usual, of_dataset = known.m2.output, options.if_other("", settings.dataset, known.m2.dataset)
    named = options.if_other("", run, None if of_dataset else usual) + of_dataset
    each = [
        {
            "label_set": one["classes"]["name"],
            "rule": one["rule"],
            **{k: one["metrics"][k] for k in ("validation", "predicted_classes")},
        }
        for one in card["label_sets"]
    ]
    terminal.result(
        {
            "run": str(settings.output),
            "model": model_name(card),
            **(each[0] if len(each) == 1 else {"label_sets": each}),
            **{k: metrics[k] for k in ("supervised", "gained", "kept") if k in metrics},
            **{k: training[k] for k in ("epochs", "seconds", "spectra_per_second", "device")},
        },
        f"wrote {run}; now: hsi-ssl evaluate{named}, "
        f"hsi-ssl classify{options.if_other('--model', run, usual)}",
    )


def _privileged(
    by: str, teacher: Path | None, own: dict[str, bool | int | float | str] | None
) -> dict[str, Any]:
    """Model, and its options, of one of the two ways to learn from what maps will not have."""
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.training.teacher import saw_second_sensor

    if by == "joint":
        if teacher is not None:
            raise SettingsError(
                "--privileged-by joint trains its own teacher: leave out --teacher, or take "
                "--privileged-by separate"
            )
        return {"model": "joint-student"}
    if teacher is None:
        raise SettingsError(
            "--privileged-by separate learns from a run that saw both sensors: train one on the "
            "dataset that `prepare --privileged` wrote, and name it with --teacher"
        )
    if not saw_second_sensor(teacher):
        raise SettingsError(
            f"the teacher in {teacher} saw no second sensor: train it on the dataset that "
            "`prepare --privileged` wrote, or take --model student"
        )
    return {"model": "student", "options": {"labels": 1.0, **(own or {})}}
