"""`hsi-ssl suggest`: the pixels that a person should label next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from . import options
from .output import Terminal

SHOWN = 5
"""Suggestions that are told; the others are in the file."""
OF_SUGGESTIONS = (
    "count", "radius", "resample", "force", "seed", "variable", "wavelengths", "axes", "overlap",
    "quality", "nodata", "scale", "mask", "mask_out",
)  # fmt: skip
"""Options that are for pixels to label next, not for labels to check."""


@click.command("suggest", short_help="Tell which pixels to label next.")
@click.argument("run", type=options.FILE)
@click.argument("scene", metavar="SCENE|DATASET")
@click.option("-n", "--n", "count", type=click.IntRange(min=1), default=50, show_default=True)
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    help="GeoPackage [default: suggestions.gpkg, with --check-labels labels_to_check.gpkg].",
)
@click.option(
    "--check-labels",
    is_flag=True,
    help="Of a DATASET: the labels that RUN contradicts, to be looked at again.",
)
@click.option(
    "--sure",
    type=click.FloatRange(0, 1, min_open=True),
    help="With --check-labels: probability of another class from which on [default: 0.9].",
)
@click.option(
    "--radius",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="At most one in so many pixels around.",
)
@options.data
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
    output: Path | None,
    check_labels: bool,
    sure: float | None,
    radius: int,
    data: tuple[Path, ...],
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

    With --check-labels, the labels of a DATASET that RUN contradicts with confidence, as outlines
    with the fields given, predicted, probability, label (what it was to the model: one that it
    learnt from it may know by heart) and reason, the worst first; a layer for each scene.

    \b
    hsi-ssl suggest runs/m2 flight.tif
    hsi-ssl suggest runs/m2 runs/dataset.h5 -n 30 -o next.gpkg
    hsi-ssl suggest runs/m2 runs/dataset.h5 --check-labels
    """
    _refuse_others(check_labels=check_labels)
    if check_labels:
        place = output or Path("labels_to_check.gpkg")
        _check_labels(
            run, Path(scene), place, sure, data, device, project, terminal, overwrite=overwrite
        )
        return
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
    output = output or Path("suggestions.gpkg")
    with claimed(output):
        refuse_existing(output, overwrite)
        classifier = load_classifier(run, device or settings.m2.device)
        name, labelled = scene_and_labelled(scene, data)
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


def _refuse_others(*, check_labels: bool) -> None:
    """Raise a usage error for an option that means nothing beside, or without, --check-labels."""
    context = click.get_current_context()
    other = OF_SUGGESTIONS if check_labels else ("sure",)
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in other:
            raise click.UsageError(
                f"{parameter.opts[-1]} means nothing {'with' if check_labels else 'without'} "
                "--check-labels: leave it out"
            )


def _check_labels(
    run: Path,
    path: Path,
    output: Path,
    sure: float | None,
    data: tuple[Path, ...],
    device: str | None,
    project: Path | None,
    terminal: Terminal,
    *,
    overwrite: bool,
) -> None:
    """Write what the classifier contradicts of a dataset's labels, and say it."""
    from contextlib import ExitStack

    from hsi_ssl.claims import claimed
    from hsi_ssl.datasets.balance import unique_names
    from hsi_ssl.datasets.store import is_dataset, open_dataset
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.inference.classifier import load_classifier
    from hsi_ssl.inference.discovered import load_discovered
    from hsi_ssl.suggesting.contradicted import SURE, check_labels
    from hsi_ssl.suggesting.labelled import scene_of
    from hsi_ssl.suggesting.layer import write_contradicted
    from hsi_ssl.suggesting.layer_files import refuse_layers
    from hsi_ssl.suggesting.suggest import column_names

    if path.exists() and not is_dataset(path):
        raise SettingsError(
            f"--check-labels is of a dataset, which holds labels, and {path} is none: name the one "
            "that `hsi-ssl prepare` made"
        )
    sure = SURE if sure is None else sure
    settings = options.read_project(project)
    with claimed(output), ExitStack() as opened:
        refuse_layers(output, "labels to check", overwrite)
        classifier = load_classifier(run, device or settings.m2.device)
        dataset = open_dataset(path, data=data)
        if len(dataset.label_sets) > 1:
            dataset = dataset.one(classifier.label_set.name)
        names = column_names(classifier, load_discovered(run, classifier.card))
        found = check_labels(run, classifier, names, dataset, sure=sure, watcher=terminal)
        layers = []
        scenes = unique_names([source["name"] for source in dataset.meta["sources"]])
        for number in sorted({one.scene for one in found.contradicted}):
            scene = opened.enter_context(scene_of(dataset, number))
            of_scene = [one for one in found.contradicted if one.scene == number]
            layers.append((scenes[number], scene, of_scene))
        files = write_contradicted(output, layers, overwrite=overwrite) if layers else []
    answers = [
        {
            **{k: v for k, v in vars(one).items() if k != "pixels"},
            "scene": scenes[one.scene],
            "pixels": one.pixels.tolist(),
            "reason": one.reason,
        }
        for one in found.contradicted
    ]
    terminal.result(
        {
            "labelled_pixels": found.pixels,
            "learnt_from": found.learnt,
            "contradicted": answers,
            "files": [str(file) for file in files],
        },
        found.in_words(sure),
        *(
            f"{scenes[one.scene]}, row {one.pixels[0, 0]}, col {one.pixels[0, 1]}: {one.reason}"
            for one in found.contradicted[:SHOWN]
        ),
        f"wrote {output}: look at each in QGIS, and mend the label where the model is right"
        if files
        else "nothing to look at, and nothing is written",
    )
