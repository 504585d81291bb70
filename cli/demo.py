"""`hsi-ssl demo`: the whole way, on data that is there after installing."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import click

from . import options
from .asking import agreed, asks
from .output import Terminal
from .steps import run_step
from .stopping import advise

REPORT = "runs/m2/report"
ALONE = "runs/labels-alone"
"""Run of the model that learns from labelled pixels alone."""


@click.command("demo", short_help="The whole way on a real scene, in a few minutes.")
@click.argument("recipe", default="demo")
@click.option(
    "-o", "--output", type=options.FILE, default=Path("demo"), show_default=True, help="Folder."
)
@options.overwrite
@options.common
def command(
    recipe: str, output: Path, overwrite: bool, project: Path | None, terminal: Terminal
) -> None:
    """Run RECIPE from labelled cube to class map and report, and say where they are.

    Each step is the command of that name, as you would type it. Where a recipe sets no validation
    pixels aside, which else tell what unlabelled pixels are worth, M2 is also trained on the
    labelled ones alone, and test pixels tell.
    """
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.os_errors import os_errors
    from hsi_ssl.recipes import recipe_text
    from hsi_ssl.reports.evaluation_page import SIDE_BY_SIDE
    from hsi_ssl.settings import load_project

    if project is not None:
        raise SettingsError("demo takes its settings from the RECIPE; leave out --project")
    recipe_text(recipe)
    refuse_existing(output / options.DEFAULT_PROJECT, overwrite)
    with os_errors(output):
        output.mkdir(parents=True, exist_ok=True)
    if "HSI_SSL_DATA" in os.environ:  # it may be relative, and we leave this folder
        os.environ["HSI_SSL_DATA"] = os.path.abspath(os.environ["HSI_SSL_DATA"])
    again = ["--overwrite"] if overwrite else []
    started = time.monotonic()
    advise(f"hsi-ssl demo {recipe} -o {output} --overwrite begins again", fixed=True)
    with contextlib.chdir(output):
        run_step(["init", recipe, *again], terminal)
        beside = [] if load_project(options.DEFAULT_PROJECT).prepare.validation else [ALONE]
        for step in (
            ["prepare", *again],
            *(["train-m2", "--no-m1", "--no-unlabelled", "-o", run, *again] for run in beside),
            ["train-m1", *again],
            ["train-m2", *again],
            ["classify", *again],
        ):
            run_step(step, terminal)
        maps = sorted(Path().glob("*_classes.tif"))
        shown = [part for p in maps for part in ("--map", str(p))]
        shown += [part for run in beside for part in ("--against", run)]
        run_step(["evaluate", *shown], terminal)
        side_by_side = Path(REPORT, SIDE_BY_SIDE)
        worth = _worth(Path(REPORT, "metrics.json")) if beside else {}
    seconds = time.monotonic() - started
    found = {
        "report": os.fspath(output / REPORT / "index.html"),
        "balance": os.fspath(output / "runs" / "dataset_balance" / "index.html"),
        "maps": [os.fspath(output / p) for p in maps],
        **({"side_by_side": os.fspath(output / side_by_side), **worth} if beside else {}),
        "seconds": seconds,
    }
    terminal.result(
        found,
        "",
        *_told(worth),
        f"done in {seconds:.0f} s. Open these:",
        *([f"  maps abreast   {found['side_by_side']}"] if beside else []),
        f"  report         {found['report']}",
        f"  label balance  {found['balance']}",
        *(f"  class map      {p} (and its .png)" for p in found["maps"]),
        "Look at the map over its scene, and click on pixels, in the browser:",
        f"  hsi-ssl view {shlex.join(found['maps'])}",
        "Then your own scenes:",
        "  hsi-ssl start FOLDER",
    )
    if maps and asks(terminal) and agreed("Open it now?"):
        run_step(["view", *map(str, found["maps"])], terminal)


def _worth(metrics: Path) -> dict[str, Any]:
    """What metrics.json says that unlabelled pixels are worth."""
    found = json.loads(metrics.read_text(encoding="utf-8"))
    (other,) = found["against"]
    return {
        "n_test": found["n"],
        "macro_f1": found["macro_f1"],
        "labels_alone": other["macro_f1"],
        "difference": other["difference"]["macro_f1"],
        "interval": other["intervals"]["macro_f1"],
    }


def _told(worth: dict[str, Any]) -> list[str]:
    """The same in words."""
    if not worth:
        return []
    then, now, more = (100 * worth[of] for of in ("labels_alone", "macro_f1", "difference"))
    between = worth["interval"]
    spread = "" if between is None else f" (95 % interval {_points(between)})"
    return [
        "",
        f"Macro-F1 on {worth['n_test']:,} test pixels: {then:.1f} % by labelled pixels alone, "
        f"{now:.1f} % with unlabelled ones: {more:+.1f} points{spread}.",
    ]


def _points(between: list[float]) -> str:
    return " to ".join(f"{100 * limit:+.1f}" for limit in between)
