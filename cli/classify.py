"""`hsi-ssl classify`: scenes to georeferenced class maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal

# Not given is None, so that the settings file's value stands.
FLAG: dict[str, Any] = {"is_flag": True, "default": None}


@click.command("classify", short_help="Make class maps of scenes.")
@click.argument("scenes", metavar="[SCENE]...", nargs=-1)
@click.option("--model", type=options.FILE, help="Run folder of the classifier [default: runs/m2].")
@click.option(
    "-o", "--output", type=options.FILE, help="Map (.tif, .img), folder, or mosaic (.vrt)."
)
@click.option(
    "--format",
    type=options.Choice("ClassifySettings", "format"),
    help="Of the maps [default: as the output is named, else geotiff].",
)
@click.option(
    "--area", type=options.FILE, help="Polygons, or a raster: classify only what they mark."
)
@click.option("--stac", **FLAG, help="Also: a STAC Item, <map>.json.")
@click.option("--confidence", **FLAG, help="Also: probability of the most probable class.")
@click.option("--probabilities", **FLAG, help="Also: probability of each class, a band each.")
@click.option("--entropy", **FLAG, help="Also: entropy of the probabilities, in nats.")
@click.option("--novelty", **FLAG, help="Also: in nats, how little explains a pixel by itself.")
@click.option(
    "--p-value",
    **FLAG,
    help="Also: rank of a pixel and the 5 x 5 about it among validation pixels, low where novel.",
)
@click.option(
    "--reject",
    type=float,
    metavar="P",
    help="Pixels with that p-value <= P get a code of their own.",
)
@click.option(
    "--novelty-by",
    type=options.Choice("ClassifySettings", "novelty_by"),
    help="Novel to the labelled pixels, or to all that the model learnt from [default: classes].",
)
@click.option("--samples", type=int, help="Of z, for the likelihood [default: as in training].")
@click.option(
    "--spatial",
    metavar="BETA",
    help="Let neighbours agree: strength of a Potts prior, learnt or tuned [default: 0].",
)
@click.option("--resample", **FLAG, help="Bring a scene's other bands to the model's.")
@options.force
@options.reading
@click.option("--window", type=int, help="Pixels a core takes at a time [default: 65536].")
@options.workers
@click.option(
    "--shard", metavar="I/N", help="Of N shares of the scenes take the I-th, counted from 1."
)
@options.device
@options.overwrite
@options.common
def command(project: Path | None, terminal: Terminal, *, overwrite: bool, **given: Any) -> None:
    """Make the class map of each SCENE: a file, a folder, or a name from `hsi-ssl catalog list`.

    A map is a GeoTIFF on the scene's own grid, or on the map grid of its lookup table, 0 where the
    scene has no data; beside it lie its legend (.csv), a style for QGIS (.qml), a picture (.png).
    By default it is called <scene>_classes.tif and written to the current folder. A model of
    several label sets makes a map of each, <scene>_classes_<label set>.tif.

    --format envi writes ENVI classifications (.img, .hdr) with the same beside them. -o m.vrt makes
    one mosaic of scenes in one CRS; their maps lie in the folder m.

    A map that is there stays where its record (.record.json) says that it was made of the same; a
    scene that fails costs no other, and is told at the end (docs/many-scenes.md).

    \b
    hsi-ssl classify
    hsi-ssl classify flight.tif -o map.tif --confidence --spatial tuned
    hsi-ssl classify cores/ --model runs/m2 -o maps/
    hsi-ssl classify flight1.tif flight2.tif -o flights.vrt
    hsi-ssl classify core.h5 --reject 0.01
    hsi-ssl classify flight.tif --area quarry.gpkg
    hsi-ssl classify flights/ -o maps/ --workers 8
    """
    settings = options.override(options.read_project(project).classify, **given)

    from hsi_ssl.errors import ScenesError
    from hsi_ssl.maps.classify import classify

    try:
        found = classify(settings, overwrite=overwrite, watcher=terminal)
    except ScenesError as error:
        failed = [{"scene": name, "reason": reason} for name, reason in error.failed]
        terminal.result({"scenes": error.results, "failed": failed})
        raise
    results = [result.to_json() for result in found]
    terminal.result(
        results[0] if len(results) == 1 else {"scenes": results},
        *(
            f"wrote {r.map}: {r.classified:,} of {r.pixels:,} pixels classified, "
            f"{'' if r.rejected is None else f'{r.rejected:,} rejected, '}"
            f"{'' if r.masked is None else f'{r.masked:,} masked, '}"
            f"{r.pixels_per_second:,.0f} pixels/s"
            for r in found
            if not r.left
        ),
        *(f"wrote {path}, over them" for path in sorted({r.mosaic for r in found if r.mosaic})),
    )
