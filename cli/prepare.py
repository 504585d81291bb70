"""`hsi-ssl prepare`: labelled cubes to a dataset, and its label balance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
SHARE_OR_NONE = click.FloatRange(0, 1, max_open=True)


@click.command("prepare", short_help="Make a dataset of labelled cubes.")
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("-o", "--output", type=options.FILE, help="Dataset [default: runs/dataset.h5].")
@options.labels
@click.option("--label-set", help="Which of the source's label sets; several with commas.")
@options.reading
@click.option(
    "--exclude",
    multiple=True,
    metavar="RANGES",
    callback=lambda ctx, param, texts: ",".join(texts) if texts else None,
    help="Wavelengths to leave out, in nm, ends included: 1350-1450,1800-1950; or 1.35-1.45um.",
)
@click.option(
    "--resample",
    is_flag=True,
    default=None,
    help="Bring scenes with other bands to those of the first, by wavelength and width.",
)
@click.option("--cap", type=int, help="Training pixels a class, at most [default: 5000].")
@click.option("--per-class", type=int, help="Few labels: so many a class in all, instead of cap.")
@click.option("--unlabelled", type=int, help="Pixels in the unlabelled pool [default: 100000].")
@click.option("--tile", type=int, help="Side of the pool's tiles [default: 8]; 1: lone pixels.")
@click.option(
    "--split",
    type=options.Choice("PrepareSettings", "split"),
    help="What goes to a part as a whole [default: scenes if there are five, else blocks].",
)
@click.option("--validation", type=SHARE_OR_NONE, help="Share of validation pixels [default: 0.2].")
@click.option("--test", type=SHARE, help="Share of test pixels [default: 0.2].")
@click.option("--block", type=int, help="Side of the blocks [default: as large as classes allow].")
@click.option("--guard", type=int, help="Pixels left out between parts [default: 1].")
@click.option("--train-labels", type=options.FILE, multiple=True, help="Published training map.")
@click.option("--test-labels", type=options.FILE, multiple=True, help="Published test map.")
@click.option(
    "--transductive",
    is_flag=True,
    default=None,
    help="Let models see the spectra, not the labels, of validation and test pixels.",
)
@click.option(
    "--scaling",
    type=options.Choice("PrepareSettings", "scaling"),
    help="[default: noise; max for pictures]",
)
@click.option("--components", type=int, help="Components of noise and mnf [default: 30].")
@options.workers
@options.seed
@click.option(
    "--privileged",
    type=options.FILE,
    multiple=True,
    help="Cube of a second sensor of the same pixels, for a teacher; one for each scene.",
)
@options.overwrite
@options.common
def command(project: Path | None, terminal: Terminal, *, overwrite: bool, **given: Any) -> None:
    """Make a dataset of SOURCEs: names from `hsi-ssl catalog list`, folders, or files.

    Decides from the labels which pixels to take, reads only those, and writes the dataset and a
    report on its label balance beside it (runs/dataset_balance).

    \b
    hsi-ssl prepare indian-pines
    hsi-ssl prepare cores/ --label-set lithology --cap 2000
    hsi-ssl prepare cores/ --label-set mineralogy,lithology
    hsi-ssl prepare scene.tif --labels classes.tif --split blocks
    hsi-ssl prepare flight.hdr --labels classes.tif --exclude 1350-1450,1800-1950
    hsi-ssl prepare scene.tif --labels polygons.gpkg --label-field class --split polygons
    hsi-ssl prepare scene.tif --labels shapefiles/ --label-field @layer
    """
    given = options.vectors_are_labels(given)
    stages = options.read_project(project)
    settings = options.override(stages.prepare, **given)

    from hsi_ssl.claims import claimed
    from hsi_ssl.datasets.balance import balance_folder
    from hsi_ssl.datasets.prepare import preparing, sources_of
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.reports.balance_page import report_label_sets

    folder = balance_folder(settings.output)
    with claimed(settings.output, folder):
        for output in (settings.output, folder):
            refuse_existing(output, overwrite)
        with (
            sources_of(settings, watcher=terminal) as sources,
            preparing(
                sources, settings, also=[folder], overwrite=overwrite, watcher=terminal
            ) as dataset,
        ):
            beside = balance_folder(dataset.path)
            found = report_label_sets(dataset, beside, sources=sources, watcher=terminal)
            rows, split = len(dataset), dataset.meta["split"]["kind"]
    reports = [(balance, folder / page.relative_to(beside)) for balance, page in found]
    lines = []
    for balance, _ in reports:
        prefix = f"{balance.label_set.name}: " if len(reports) > 1 else ""
        for warning in balance.warnings:
            terminal.warn(prefix + warning)
        width = max(len(name) for name in balance.label_set.names)
        head = balance.label_set.name if len(reports) > 1 else "class"
        lines += [
            f"{head:{width}} {'labelled':>9} {'train':>7} {'valid.':>7} {'test':>7}",
            *(
                f"{c.label.name:{width}} {c.count:9} {c.train:7} {c.validation:7} {c.test:7}"
                for c in balance.classes
            ),
            f"{balance.pool} unlabelled pixels to learn from"
            + (", those with other labels only among them" if len(reports) > 1 else ""),
        ]
    # What the next command takes by itself need not be named.
    named = "" if settings.output == stages.m1.dataset else f" {settings.output}"
    each = [{**balance.to_json(), "report": str(page)} for balance, page in reports]
    pages = " and ".join(str(page) for _, page in reports)
    terminal.result(
        {
            "dataset": str(settings.output),
            "rows": rows,
            "split": split,
            **(each[0] if len(each) == 1 else {"label_sets": each}),
        },
        *lines,
        f"wrote {settings.output} and {pages}; now: hsi-ssl train-m1{named}",
    )
