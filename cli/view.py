"""`hsi-ssl view`: maps and scenes in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .output import Terminal


@click.command("view", short_help="Look at maps and scenes in the browser.")
@click.argument("targets", metavar="[MAP...|RUN]", type=options.FILE, nargs=-1)
@click.option("--scene", type=options.FILE, help="Scene of the map, where it cannot be found.")
@click.option("--model", type=options.FILE, help="Run folder, where it cannot be found.")
@options.data
@click.option("--label-set", metavar="NAME", help="Which, of a run that has several.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, help="[default: any that is free]"
)
@click.option("--no-browser", is_flag=True, help="Only tell the address.")
@options.common
def command(
    targets: tuple[Path, ...],
    scene: Path | None,
    model: Path | None,
    data: tuple[Path, ...],
    label_set: str | None,
    port: int,
    no_browser: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Show class maps, or the scenes that RUN [runs/m2] learnt from, until Ctrl-C.

    Scene, labels, map and confidence lie over each other, to fade between; the legend switches
    classes on and off. A click on a pixel shows its spectrum over its class's range, its
    probabilities and its nearest training pixels. The page is for this machine alone, at an
    address that nobody can guess. Very large scenes are quicker, and sharper from afar, once
    `gdaladdo -ro SCENE 4 16 64` has given them overviews.

    \b
    hsi-ssl view scene_classes.tif
    hsi-ssl view runs/m2
    hsi-ssl view map.tif --scene flight.dat --model runs/m2 --port 8000 --no-browser
    """
    import webbrowser

    from hsi_ssl.view.server import serve
    from hsi_ssl.view.shown import shown

    targets = targets or (options.read_project(project).classify.model,)
    with shown(
        targets, scene=scene, model=model, label_set=label_set, data=data, watcher=terminal
    ) as found:

        def ready(url: str) -> None:
            terminal.result({"url": url}, f"{url}  (Ctrl-C ends it)")
            if not no_browser:
                webbrowser.open(url)

        terminal.if_stopped("the page is closed; the same command opens it again")
        serve(found, port=port, ready=ready)
