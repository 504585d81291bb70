"""`hsi-ssl distil`: a small, fast network learns what a trained classifier says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal


@click.command("distil", short_help="Teach a small network what a trained classifier says.")
@click.argument("run", type=options.FILE, required=False)
@click.argument("dataset", type=options.FILE, required=False)
@click.option("-o", "--output", type=options.FILE, default="runs/student", show_default=True)
@click.option("--hidden", type=options.WIDTHS, help="Hidden layers of the student [default: 64].")
@click.option("--temperature", type=float, help="Of both in the cost [default: 2].")
@click.option("--epochs", type=int, help="[default: 100]")
@click.option("--seed", type=int, default=0, show_default=True)
@options.data
@options.device
@options.resume
@options.overwrite
@options.common
def command(
    project: Path | None,
    terminal: Terminal,
    *,
    run: Path | None,
    dataset: Path | None,
    output: Path,
    temperature: float | None,
    data: tuple[Path, ...],
    resume: bool,
    overwrite: bool,
    **given: Any,
) -> None:
    """Let a student learn the outputs of the classifier in RUN [runs/m2].

    On all pixels that it may learn from of DATASET [the one that RUN learnt from], labelled or not:
    min sum_i L(b(x_i), a(x_i)). The student is a run like any other, to evaluate and to classify
    large scenes with; it says how often it agrees with its teacher, and how much faster it is.

    \b
    hsi-ssl distil runs/m2
    hsi-ssl classify --model runs/student
    """
    options.refuse_together(resume=resume, overwrite=overwrite)
    from hsi_ssl.checking import checked
    from hsi_ssl.inference.checkpoint import load_run
    from hsi_ssl.inference.lineage import dataset_of
    from hsi_ssl.settings import M2Settings
    from hsi_ssl.training.m2_stage import train_m2

    teacher = run or options.read_project(project).m2.output
    known = dataset or dataset_of(load_run(teacher, "m2")[0], teacher, data)
    usual = {"hidden": (64,), "epochs": 100}
    asked = {name: value for name, value in given.items() if value is not None}
    own = {} if temperature is None else {"temperature": temperature}
    fixed = {"model": "student", "m1": None, "teacher": teacher, "options": own}
    places = {"dataset": known, "output": output}
    settings = checked(M2Settings, {**usual, **asked, **fixed, **places}, where="options")
    card = train_m2(settings, resume=resume, overwrite=overwrite, watcher=terminal)
    metrics = card["metrics"]
    terminal.result(
        {
            "run": str(settings.output),
            "teacher": card["teacher"]["model"],
            "validation": card["label_sets"][0]["metrics"]["validation"],
            **metrics,
        },
        f"wrote {settings.output}; now: hsi-ssl evaluate {settings.output}, "
        f"hsi-ssl classify --model {settings.output}",
    )
