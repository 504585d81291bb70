"""`hsi-ssl mask`: which pixels of scenes are worth a look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal


@click.command("mask", short_help="Propose which pixels to look at.")
@click.argument("scenes", metavar="SCENE...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    help="GeoTIFF, or folder for several [default: <scene>_mask.tif].",
)
@options.reading
@options.overwrite
@options.common
def command(
    scenes: tuple[str, ...],
    output: Path | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
    **given: Any,
) -> None:
    """Propose which pixels of each SCENE are the thing that was asked about.

    A mask is a GeoTIFF on the scene's own grid: 1 look at, 2 shadow or background (the trays,
    gaps and deep cracks of drill core), 3 glint, 4 cloud, 0 no data; and what the quality layers of
    a product tell, 5 haze and 6 cirrus among it. Beside it lie its legend (.csv), a style for QGIS
    (.qml) and a picture (.png). It is made from the scene alone, without labels; where nothing is
    set apart clearly, all is to be looked at, and the reason is told.

    \b
    hsi-ssl mask core.h5
    hsi-ssl mask cores/ -o masks/
    hsi-ssl mask flight.tif -o flight_mask.tif --json
    """
    from hsi_ssl.labels.sources import resolve
    from hsi_ssl.maps.masks import make_masks

    reading = options.reading_of(given)
    with resolve(scenes, reading=reading, labelled=False, watcher=terminal) as sources:
        found = make_masks(
            [source.scene for source in sources.scenes],
            output,
            overwrite=overwrite,
            watcher=terminal,
        )
    results = [one.to_json() for one in found]
    terminal.result(
        results[0] if len(results) == 1 else {"scenes": results},
        *(
            f"wrote {one.mask}: {one.counts[1]:,} of {sum(one.counts.values()):,} pixels to look "
            f"at, {one.seconds:.1f} s"
            for one in found
        ),
    )
