"""`hsi-ssl info`: what a scene, labels, a class map, a library, a dataset, a run, a report is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .output import Terminal

if TYPE_CHECKING:
    from hsi_ssl.scenes.product import Overlap, Quality


@click.command("info", short_help="What a scene, map, library, dataset, run or report is.")
@click.argument("path", type=options.FILE)
@click.option("--variable", help="Name of the array inside a file that holds several.")
@options.axes
@options.overlap
@options.quality
@options.nodata
@options.common
def command(
    path: Path,
    variable: str | None,
    axes: str | None,
    overlap: Overlap | None,
    quality: Quality | None,
    nodata: float | None,
    project: object,
    terminal: Terminal,
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
    from hsi_ssl.scenes.reading import Reading

    reading = Reading(
        variable,
        axes=axes,
        overlap=overlap or "both",
        quality=quality or "lenient",
        nodata=nodata,
    )
    values, lines = describe(path, reading)
    terminal.result(values, *lines)
