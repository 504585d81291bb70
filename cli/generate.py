"""`hsi-ssl generate`: what the generative part has learnt of each class."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .output import Terminal


@click.command("generate", short_help="Generate spectra: styles, analogies, reconstructions.")
@click.argument("run", type=options.FILE, required=False)
@click.option("--output", "-o", type=options.FILE, help="Folder [default: RUN/generated].")
@click.option("--dataset", type=options.FILE, help="Dataset of real spectra [default: RUN's own].")
@click.option(
    "--pixel",
    "pixels",
    type=(str, int, int),
    multiple=True,
    metavar="SCENE ROW COL",
    help="A real spectrum to start from, of a scene file or catalog name, counted from 0; several "
    "may be given [default: a validation pixel a class].",
)
@options.data
@options.seed
@options.device
@options.overwrite
@options.common
def command(
    run: Path | None,
    output: Path | None,
    dataset: Path | None,
    pixels: tuple[tuple[str, int, int], ...],
    data: tuple[Path, ...],
    seed: int | None,
    device: str | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Draw what the classifier in RUN [runs/m2] has learnt to generate.

    Styles: each class while its two most active latent units move over the quantiles of their
    prior. Analogies: real spectra as if they were of every class. Interpolations between them, and
    reconstructions with the band in which 90 % of measurements would lie. A PNG and a CSV each, in
    the file's units; absorption features are marked at their wavelengths.

    \b
    hsi-ssl generate
    hsi-ssl generate runs/m2 --pixel core.h5 120 35 --pixel core.h5 80 200 -o generated/
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.datasets.store import open_dataset
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.inference.classifier import load_classifier
    from hsi_ssl.inference.generation import Generator
    from hsi_ssl.inference.lineage import dataset_of
    from hsi_ssl.inference.worth import poor_in_words
    from hsi_ssl.maps.real_spectra import active_pool, of_dataset, of_scenes
    from hsi_ssl.reports.generation import write_generated

    settings = options.read_project(project).m2
    run = run or settings.output
    folder = output or run / "generated"
    with claimed(folder):
        refuse_existing(folder, overwrite)
        classifier = load_classifier(run, device or settings.device)
        generator = Generator(classifier, settings.seed if seed is None else seed)
        known = open_dataset(dataset or dataset_of(classifier.card, run, data))
        pool = active_pool(known, classifier, run)
        if pixels:
            measured = of_scenes(pixels, classifier, terminal)
        else:
            measured = of_dataset(known, generator)
        written = write_generated(generator, measured, pool, folder, overwrite=overwrite)
    poor = poor_in_words(classifier.card)
    if poor is not None:
        terminal.warn(poor)
    terminal.result(
        {"output": str(folder), "files": [str(path) for path in written]},
        f"wrote {folder}: {', '.join(path.name for path in written)}",
    )
