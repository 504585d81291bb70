"""`hsi-ssl info`: what a scene, labels, a class map, a library, a dataset, a run, a report is."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .output import Terminal


@click.command("info", short_help="What a scene, map, library, dataset, run or report is.")
@click.argument("path", type=options.FILE)
@click.option("--variable", help="Name of the array inside a file that holds several.")
@options.axes
@options.common
def command(
    path: Path, variable: str | None, axes: str | None, project: object, terminal: Terminal
) -> None:
    """Tell what is at PATH: size, bands, wavelengths, coordinates, labels, classes.

    Of a scene it says what each of these is taken from, and what was guessed.

    \b
    hsi-ssl info scene.tif
    hsi-ssl info images.h5 --variable asph
    hsi-ssl info polygons.gpkg
    hsi-ssl info s06av95a_envi.sli
    hsi-ssl info runs/dataset.h5
    hsi-ssl info runs/m2
    """
    from hsi_ssl.describing.telling import describe

    values, lines = describe(path, variable=variable, axes=axes)
    terminal.result(values, *lines)
