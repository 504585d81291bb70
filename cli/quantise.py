"""`hsi-ssl quantise`: spectra told by a few prototypes, on a map or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal

LEARNING = (
    "method", "rows", "cols", "grid", "kernel", "start", "units", "takes", "epochs", "pixels",
    "planes", "library", "seed",
)  # fmt: skip
"""Options that say what is learnt."""


@click.command("quantise", short_help="Tell spectra by a few prototypes: a self-organising map.")
@click.argument("sources", metavar="DATASET|SCENE...", nargs=-1)
@click.option("--method", metavar="NAME", help="som, or kohonen, without a map [default: som].")
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    help="Run folder [default: runs/METHOD]; with --model a map or a folder.",
)
@click.option("--rows", type=int, help="Of the map's units [default: 12].")
@click.option("--cols", type=int, help="Of the map's units [default: 12].")
@click.option(
    "--grid", type=options.Choice("QuantiseSettings", "grid"), help="[default: hexagonal]"
)
@click.option(
    "--kernel",
    type=options.Choice("QuantiseSettings", "kernel"),
    help="How much a unit learns of what another won [default: gaussian].",
)
@click.option(
    "--start",
    type=options.Choice("QuantiseSettings", "start"),
    help="Of a map: along the principal directions, or at drawn spectra [default: principal].",
)
@click.option("--units", type=int, help="Of kohonen [default: 20].")
@click.option(
    "--takes",
    type=options.Choice("QuantiseSettings", "takes"),
    help="Of kohonen: how much the winner takes [default: most].",
)
@click.option("--epochs", type=int, help="How often all spectra are seen [default: 20].")
@click.option("--pixels", type=int, help="Of scenes: spectra to learn from [default: 200000].")
@click.option(
    "--plane",
    "planes",
    metavar="RANGE",
    multiple=True,
    help="Wavelengths whose mean the page shows on the map, 2180-2220 say [default: six groups].",
)
@click.option(
    "--model", type=options.FILE, help="Learn nothing: map SCENEs by the units of this run."
)
@click.option("--library", type=options.FILE, help="Spectra of known materials, to name units by.")
@options.reading
@options.seed
@options.device
@options.overwrite
@options.common
def command(project: Path | None, terminal: Terminal, *, overwrite: bool, **given: Any) -> None:
    """Learn prototypes of the spectra of a DATASET, or of SCENEs, without looking at labels.

    A run folder with a page: of a map its U-matrix, density, component planes, where labelled
    pixels lie; tables of units and their mean spectra. Of scenes also a map each, whose classes
    are the units. It is for exploring; the page says what it depends on.

    \b
    hsi-ssl quantise runs/dataset.h5
    hsi-ssl quantise scene.tif --rows 20 --cols 20 --plane 2180-2220 -o runs/som20
    hsi-ssl quantise scene.tif --method kohonen --units 12 --library s06av95a_envi.sli
    hsi-ssl quantise other.tif --model runs/som20
    """
    for name in LEARNING:
        options.refuse_together(model=given["model"], **{name: given[name]})
    from hsi_ssl.quantising.quantise import map_by_units, quantise

    settings = options.override(options.read_project(project).quantise, **given)
    if settings.model is not None:
        maps = map_by_units(settings, overwrite=overwrite, watcher=terminal)
        told = {"run": str(settings.model), "maps": [str(path) for path in maps]}
        terminal.result(told, *(f"map: {path}" for path in maps))
        return
    made = quantise(settings, overwrite=overwrite, watcher=terminal)
    terminal.result(
        made.to_json(),
        *(f"map: {path}" for path in made.maps),
        f"report: {made.page}",
        f"wrote {made.run}",
    )
