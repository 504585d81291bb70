"""`hsi-ssl train-m1`: features from every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal


@click.command("train-m1", short_help="Train M1, the feature extractor, on every pixel.")
@click.argument("dataset", type=options.FILE, required=False)
@click.option("-o", "--output", type=options.FILE, help="Run folder [default: runs/m1].")
@click.option("--latent", type=int, help="Latent units.")
@click.option("--hidden", type=options.WIDTHS, help="Hidden layers, for example 500-500.")
@click.option("--activation", type=click.Choice(["relu", "softplus", "tanh", "silu", "gelu"]))
@click.option("--likelihood", type=click.Choice(["gaussian", "bernoulli", "continuous-bernoulli"]))
@click.option("--sd-floor", type=float, help="Smallest standard deviation of the likelihood.")
@click.option("--batch", type=int, help="Spectra a step.")
@options.training
@click.option("--init-from", type=options.FILE, help="Run folder of an M1 to start from.")
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
    init_from: Path | None,
    import_anglepy: Path | None,
    resume: bool,
    overwrite: bool,
    **given: Any,
) -> None:
    """Train M1 on the training pixels and the unlabelled pool of DATASET [runs/dataset.h5].

    Writes a run folder: weights, card, training log and a figure of generated spectra that grows
    better. Says how many latent units are in use, and warns when the model has collapsed.

    \b
    hsi-ssl train-m1
    hsi-ssl train-m1 --resume
    hsi-ssl train-m1 --import-anglepy OLD_RUN -o runs/m1-2016
    """
    options.refuse_together(resume=resume, overwrite=overwrite)
    options.refuse_together(resume=resume, init_from=init_from, import_anglepy=import_anglepy)
    settings = options.override(options.read_project(project).m1, **given)
    if import_anglepy is not None:
        from hsi_ssl.training.anglepy import import_m1

        card = import_m1(import_anglepy, settings.output, overwrite=overwrite, watcher=terminal)
    else:
        from hsi_ssl.training.m1_stage import train_m1

        card = train_m1(
            settings,
            resume=resume,
            overwrite=overwrite,
            init_from=init_from,
            watcher=terminal,
            draw=options.drawing(settings.output),
        )
    training, metrics = card["training"], card["metrics"]
    terminal.result(
        {
            "run": str(settings.output),
            **{k: training[k] for k in ("epochs", "seconds", "spectra_per_second", "device")},
            **{k: metrics[k] for k in ("bound_train", "bound_validation")},
            **{k: metrics[k] for k in ("active_units", "kl_per_unit", "collapsed")},
        },
        f"wrote {settings.output}; now: hsi-ssl train-m2",
    )
