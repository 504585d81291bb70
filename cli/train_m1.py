"""`hsi-ssl train-m1`: features from every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal
from .watching import watched


@click.command("train-m1", short_help="Train M1, the feature extractor, on every pixel.")
@click.argument("dataset", type=options.FILE, required=False)
@click.option("-o", "--output", type=options.FILE, help="Run folder [default: runs/m1].")
@click.option(
    "--extractor",
    type=options.Choice("M1Settings", "extractor"),
    help="Of features [default: vae, M1].",
)
@click.option(
    "--option",
    "own",
    type=options.ASSIGNED,
    multiple=True,
    help="An option of the extractor's own, such as penalty=0.01; may be given several times.",
)
@click.option("--latent", type=int, help="Units: features a pixel.")
@click.option("--hidden", type=options.WIDTHS, help="Hidden layers, for example 500-500.")
@click.option("--activation", type=options.Choice("M1Settings", "activation"))
@click.option("--likelihood", type=options.Choice("M1Settings", "likelihood"))
@click.option("--sd-floor", type=float, help="Smallest standard deviation of the likelihood.")
@click.option("--batch", type=int, help="Spectra a step.")
@options.training
@click.option(
    "--init-from",
    type=options.FILE,
    help="Run folder to start from, whose networks are of the same widths; spectra of another "
    "sensor are resampled to its bands.",
)
@click.option("--frozen", is_flag=True, help="With --init-from: keep its weights as they are.")
@click.option(
    "--import-anglepy",
    type=options.FILE,
    help="Import weights of the 2016 work (v_best and w_best .ndict.tar.gz) instead of training.",
)
@options.common
def command(
    project: Path | None,
    terminal: Terminal,
    *,
    own: tuple[tuple[str, bool | int | float | str], ...],
    init_from: Path | None,
    frozen: bool,
    import_anglepy: Path | None,
    resume: bool,
    overwrite: bool,
    watch: bool,
    tensorboard: Path | None,
    **given: Any,
) -> None:
    """Train M1 on the training pixels and the unlabelled pool of DATASET [runs/dataset.h5].

    Writes a run folder: weights, card, training log and a figure of generated spectra that grows
    better. Says how many latent units are in use, and warns when the model has collapsed.

    Another --extractor takes the place of M1: principal components, auto-encoders of many kinds.
    What each is for, and its own options, stands in docs/extractors.md.

    \b
    hsi-ssl train-m1
    hsi-ssl train-m1 --resume
    hsi-ssl train-m1 --extractor denoising --option noise=0.2 -o runs/denoising
    hsi-ssl train-m1 --import-anglepy OLD_RUN -o runs/m1-2016
    """
    options.refuse_together(resume=resume, overwrite=overwrite)
    options.refuse_together(resume=resume, frozen=frozen)
    options.refuse_together(resume=resume, init_from=init_from, import_anglepy=import_anglepy)
    settings = options.read_project(project).m1
    given["options"] = {**settings.options, **dict(own)} or None
    settings = options.override(settings, **given)
    if import_anglepy is not None:
        from hsi_ssl.training.anglepy import import_m1

        options.refuse_several("train-m1 --import-anglepy")

        card = import_m1(import_anglepy, settings.output, overwrite=overwrite, watcher=terminal)
    else:
        from hsi_ssl.training.m1_stage import train_m1
        from hsi_ssl.training.processes import joined

        with (
            joined(terminal) as processes,
            watched(settings.output, terminal, page=watch, tensorboard=tensorboard),
        ):
            card = train_m1(
                settings,
                resume=resume,
                overwrite=overwrite,
                init_from=init_from,
                frozen=frozen,
                watcher=terminal,
                draw=options.drawing(settings.output),
                processes=processes,
            )
    training, metrics = card["training"], card["metrics"]
    run, usual = settings.output, options.read_project(project).m2
    named = options.if_other("", settings.dataset, usual.dataset)
    named += options.if_other("--m1", run, usual.m1)
    terminal.result(
        {
            "run": str(settings.output),
            **{k: training[k] for k in ("epochs", "seconds", "spectra_per_second", "device")},
            "extractor": card["extractor"],
            **{k: v for k, v in metrics.items() if k != "variance_per_unit"},
        },
        f"wrote {settings.output}; now: hsi-ssl train-m2{named}",
    )
