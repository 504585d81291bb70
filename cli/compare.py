"""`hsi-ssl compare`: extractors of features times classifiers, on the same few labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal

EXTRACTORS = "none,pca,vae"
CLASSIFIERS = (
    "logistic,lda,svm,knn,forest,extra-trees,gaussian-process,label-spreading,self-training,m2"
)


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "NAMES"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Parse one value."""
        found = tuple(name.strip() for name in value.split(","))
        if not all(found):
            self.fail(f"{value!r} is no list of names such as none,pca", param, ctx)
        return found


class Counts(click.ParamType[tuple[int, ...]]):
    """Numbers from 2 upwards with commas between them."""

    name = "COUNTS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse one value."""
        try:
            found = tuple(int(count) for count in value.split(","))
        except ValueError:
            found = ()
        if not found or min(found) < 2:  # noqa: PLR2004
            self.fail(f"{value!r} is no list of numbers from 2 upwards such as 5,10", param, ctx)
        return found


@click.command("compare", short_help="Extractors x classifiers: does PCA do, or a VAE?")
@click.argument("dataset", type=options.FILE, required=False)
@click.option("-o", "--output", type=options.FILE, default=Path("runs/compare"), show_default=True)
@click.option(
    "--extractors",
    type=Names(),
    default=EXTRACTORS,
    show_default=True,
    help="Of train-m1; none: scaled spectra; or run folders.",
)
@click.option(
    "--classifiers",
    type=Names(),
    default=CLASSIFIERS,
    show_default=True,
    help="Well-known ones, and models of train-m2.",
)
@click.option(
    "--labels", type=Counts(), default="5,10,20,50", show_default=True, help="A class, in all."
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--latent", type=int, help="Features of each extractor [default: as in [m1]].")
@click.option("--label-set", help="Of a dataset with several.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Cells at a time [default: one for two processors].",
)
@options.device
@options.overwrite
@options.common
def command(
    dataset: Path | None,
    output: Path,
    extractors: tuple[str, ...],
    classifiers: tuple[str, ...],
    labels: tuple[int, ...],
    seeds: int,
    latent: int | None,
    label_set: str | None,
    jobs: int | None,
    device: str | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Train and score every extractor with every classifier on a few labels of DATASET.

    DATASET is runs/dataset.h5 by default. Each seed draws labels among its training pixels; all
    others become unlabelled. Settings of classifiers are tuned on those labels by cross-validation;
    test pixels are always the same. Writes a page with table and figure (index.html) and one row a
    cell (compare.csv). What was interrupted goes on by the same command, and more seeds, labels,
    extractors and classifiers may be added.

    \b
    hsi-ssl compare --labels 10 --seeds 1 --classifiers logistic,svm,m2
    hsi-ssl compare -o runs/compare --jobs 8
    """
    import os
    from dataclasses import asdict

    from hsi_ssl.comparing.grid import Grid
    from hsi_ssl.comparing.running import compare
    from hsi_ssl.comparing.table import answers, text_table

    settings = options.read_project(project)
    m1 = options.override(settings.m1, latent=latent, device=device)
    m2 = options.override(settings.m2, device=device)
    path = dataset or settings.m2.dataset
    results = compare(
        path,
        output,
        Grid(extractors, classifiers, labels, seeds),
        m1,
        m2,
        label_set=label_set or settings.m2.label_set,
        jobs=jobs or max(1, (os.cpu_count() or 1) // 2),
        overwrite=overwrite,
        watcher=terminal,
    )
    terminal.result(
        {
            "dataset": str(path),
            "output": str(output),
            "results": [asdict(result) for result in results],
            "answers": answers(results),
        },
        *text_table(results),
        f"wrote {output}; look at {output / 'index.html'}",
    )
