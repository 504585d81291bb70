"""`hsi-ssl demo`: the whole way, on data that is there after installing."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from pathlib import Path

import click

from . import options
from .asking import agreed, asks
from .output import Terminal
from .steps import run_step
from .stopping import advise


@click.command("demo", short_help="The whole way on a real scene, in a few minutes.")
@click.argument("recipe", default="indian-pines")
@click.option(
    "-o", "--output", type=options.FILE, default=Path("demo"), show_default=True, help="Folder."
)
@options.overwrite
@options.common
def command(
    recipe: str, output: Path, overwrite: bool, project: Path | None, terminal: Terminal
) -> None:
    """Run RECIPE from labelled cube to class map and report, and say where they are.

    Each step is the command of that name, as you would type it.
    """
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.os_errors import os_errors
    from hsi_ssl.recipes import recipe_text

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
        for step in (
            ["init", recipe, *again],
            ["prepare", *again],
            ["train-m1", *again],
            ["train-m2", *again],
            ["classify", *again],
        ):
            run_step(step, terminal)
        maps = sorted(Path().glob("*_classes.tif"))
        shown = [part for p in maps for part in ("--map", str(p))]
        run_step(["evaluate", *shown], terminal)
    seconds = time.monotonic() - started
    found = {
        "report": os.fspath(output / "runs" / "m2" / "report" / "index.html"),
        "balance": os.fspath(output / "runs" / "dataset_balance" / "index.html"),
        "maps": [os.fspath(output / p) for p in maps],
        "seconds": seconds,
    }
    terminal.result(
        found,
        "",
        f"done in {seconds:.0f} s. Open these:",
        f"  report         {found['report']}",
        f"  label balance  {found['balance']}",
        *(f"  class map      {p} (and its .png)" for p in found["maps"]),  # type: ignore[attr-defined]
        "Look at the map over its scene, and click on pixels, in the browser:",
        f"  hsi-ssl view {shlex.join(found['maps'])}",  # type: ignore[arg-type]
        "Then your own scenes:",
        "  hsi-ssl start FOLDER",
    )
    if maps and asks(terminal) and agreed("Open it now?"):
        run_step(["view", *map(str, found["maps"])], terminal)  # type: ignore[call-overload]
