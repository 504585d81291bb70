"""`hsi-ssl suggest`: the pixels that a person should label next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal

SHOWN = 5
"""Suggestions that are told; the others are in the file."""


@click.command("suggest", short_help="Tell which pixels to label next.")
@click.argument("run", type=options.FILE)
@click.argument("scene", metavar="SCENE|DATASET")
@click.option("-n", "--n", "count", type=click.IntRange(min=1), default=50, show_default=True)
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    default=Path("suggestions.gpkg"),
    show_default=True,
    help="GeoPackage.",
)
@click.option(
    "--radius",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="At most one in so many pixels around.",
)
@click.option("--resample", is_flag=True, help="Bring a scene's other bands to the model's.")
@options.force
@options.reading
@options.seed
@options.device
@options.overwrite
@options.common
def command(
    run: Path,
    scene: str,
    count: int,
    output: Path,
    radius: int,
    resample: bool,
    force: bool,
    seed: int | None,
    device: str | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
    **given: Any,
) -> None:
    """Tell which pixels of a scene would help the classifier RUN most, once they have a label.

    They are uncertain, typical of the scene and unlike each other. Points, in the scene's CRS, with
    the fields class (to be filled in), guess, probability, second_guess and reason, and a style for
    QGIS. Of a DATASET of one scene it is that scene, and labelled pixels and those around are left
    out. `prepare` takes the points back, with --labels old.gpkg --labels suggestions.gpkg; those
    without class stay unlabelled.

    \b
    hsi-ssl suggest runs/m2 flight.tif
    hsi-ssl suggest runs/m2 runs/dataset.h5 -n 30 -o next.gpkg
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.inference.classifier import load_classifier
    from hsi_ssl.inference.discovered import load_discovered
    from hsi_ssl.labels.sources import resolve
    from hsi_ssl.suggesting.labelled import scene_and_labelled
    from hsi_ssl.suggesting.layer import write_suggestions
    from hsi_ssl.suggesting.suggest import suggest

    settings = options.read_project(project)
    with claimed(output):
        refuse_existing(output, overwrite)
        classifier = load_classifier(run, device or settings.m2.device)
        name, labelled = scene_and_labelled(scene)
        with resolve(
            (name,), reading=options.reading_of(given), labelled=False, watcher=terminal
        ) as sources:
            if len(sources.scenes) > 1:
                raise SettingsError(f"{scene} holds {len(sources.scenes)} scenes; name one of them")
            opened = sources.scenes[0].scene
            found = suggest(
                opened,
                classifier,
                count,
                radius=radius,
                labelled=labelled,
                discovered=load_discovered(run, classifier.card),
                resample=resample,
                force=force,
                seed=seed or 0,
                watcher=terminal,
            )
            files = write_suggestions(output, opened, found, overwrite=overwrite)
    if len(found) < count:
        terminal.warn(
            f"{len(found)} of {count} pixels found that are more than {radius} pixels apart"
        )
    terminal.result(
        {
            "suggestions": [{**vars(one), "reason": one.reason} for one in found],
            "files": [str(path) for path in files],
        },
        *(f"row {s.row}, col {s.col}: {s.reason}" for s in found[:SHOWN]),
        f"wrote {output}, {len(found)} points: fill in the field class, then "
        f"`hsi-ssl prepare ... --labels OLD --labels {output}`",
    )
