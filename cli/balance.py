"""`hsi-ssl balance`: how many labelled pixels each class has, and what that means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .output import Terminal

if TYPE_CHECKING:
    from hsi_ssl.datasets.balance import Balance

SOURCES_REPORT = Path("runs/balance")


@click.command("balance", short_help="Report on the label balance of scenes or of a dataset.")
@click.argument("sources", metavar="[SOURCE or DATASET]...", nargs=-1)
@click.option(
    "--report",
    type=options.FILE,
    help="Folder [default: beside the dataset, or runs/balance; replaced].",
)
@options.labels
@click.option("--label-set", help="Which of the source's label sets, for example lithology.")
@click.option("--variable", help="Name of the cube in a file that holds several arrays.")
@options.data
@options.axes
@options.overwrite
@options.common
def command(
    report: Path | None,
    data: tuple[Path, ...],
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
    **given: Any,
) -> None:
    """Count the labels of SOURCEs (catalog names, folders, files) or of a prepared DATASET.

    Without argument, of the dataset [runs/dataset.h5] or, before prepare, of the settings file's
    sources. Writes a page to show, balance.csv and balance.png.

    \b
    hsi-ssl balance indian-pines
    hsi-ssl balance cores/ --label-set lithology --report lithology
    hsi-ssl balance runs/dataset.h5
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.datasets.balance import balance_folder
    from hsi_ssl.datasets.prepare import sources_of
    from hsi_ssl.datasets.store import is_dataset, open_dataset
    from hsi_ssl.datasets.whereabouts import warn_of_missing
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.reports.balance_page import report_dataset, report_sources

    given = options.vectors_are_labels(given)
    sources = given.pop("sources")
    settings = options.read_project(project).prepare
    if not sources and not any(given.values()) and is_dataset(settings.output):
        sources = (str(settings.output),)
    if len(sources) == 1 and is_dataset(Path(sources[0])):
        if given["labels"] or given["variable"]:
            raise SettingsError(
                f"{sources[0]} is a prepared dataset with labels of its own: leave out --labels "
                "and --variable, or name the scenes"
            )
        dataset = open_dataset(Path(sources[0]), given["label_set"], data=data)
        warn_of_missing(dataset, terminal)
        default = balance_folder(dataset.path)
        # A report in its usual place follows from the dataset: it may always be made again.
        folder = report or default
        with claimed(folder):
            balance, page = report_dataset(
                dataset, folder, overwrite=overwrite or report is None, watcher=terminal
            )
    else:
        settings = options.override(settings, sources=sources, **given)
        if len(settings.label_sets) > 1:
            raise SettingsError(
                "the balance of scenes is that of one label set: name one with --label-set"
            )
        folder = report or SOURCES_REPORT
        with claimed(folder), sources_of(settings, watcher=terminal) as found:
            balance, page = report_sources(
                found,
                folder,
                overwrite=overwrite or report is None,
                watcher=terminal,
            )
    for sentence in balance.warnings:
        terminal.warn(sentence)
    terminal.result({**balance.to_json(), "report": str(page)}, *_table(balance), f"wrote {page}")


def _table(balance: Balance) -> list[str]:
    """The labels of each class, and what always guessing the commonest would score."""
    width = max(5, *(len(name) for name in balance.label_set.names))
    guesser = balance.guesser
    return [
        f"{'code':>5}  {'class':{width}} {'labelled':>9} {'share':>7} {'scenes':>6}",
        *(
            f"{c.label.code:5}  {c.label.name:{width}} {c.count:9,} "
            f"{100 * c.count / balance.total:6.2f}% {len(c.by_scene):6}"
            for c in balance.classes
        ),
        f"{balance.total:,} labelled pixels, {balance.unlabelled:,} "
        f"({100 * balance.unlabelled_share:.1f} %) without label; "
        f"commonest to rarest {balance.imbalance_ratio:,.1f} : 1",
        f"always guessing {guesser.label.name}: overall accuracy {100 * guesser.oa:.1f} %, "
        f"balanced {100 * guesser.balanced_accuracy:.1f} %, "
        f"macro-F1 {100 * guesser.macro_f1:.1f} %",
    ]
