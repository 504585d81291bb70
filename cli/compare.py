"""`hsi-ssl compare`: well-known classifiers on the same pixels."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .output import Terminal

NAMES = ("svm", "forest", "knn", "logistic")


@click.command("compare", short_help="Baselines beside ours: SVM, forest, kNN, logistic.")
@click.argument("dataset", type=options.FILE, required=False)
@click.option("-o", "--output", type=options.FILE, default=Path("runs/compare"), show_default=True)
@click.option("--label-set", help="Of a dataset with several.")
@click.option("--m1", type=options.FILE, help="M1 for features [default: runs/m1 if there].")
@click.option("--m2", type=options.FILE, help="Classifier beside [default: runs/m2 if there].")
@click.option("--methods", help=f"Comma-separated, of {', '.join(NAMES)} [default: all].")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--per-class",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Training pixels a class, at most.",
)
@options.overwrite
@options.common
def command(
    dataset: Path | None,
    output: Path,
    label_set: str | None,
    m1: Path | None,
    m2: Path | None,
    methods: str | None,
    seeds: int,
    per_class: int,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Score well-known classifiers on DATASET [runs/dataset.h5], on several kinds of features.

    They learn from the training pixels only (settings by cross-validation) and are scored once on
    the test pixels. Writes compare.csv and compare.json.
    """
    from dataclasses import asdict

    from hsi_ssl.datasets.store import open_dataset
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.reports.baselines import METHODS, compare, table, write_comparison

    settings = options.read_project(project)
    chosen = [m for m in METHODS if methods is None or m in methods.split(",")]
    unknown = sorted(set(methods.split(",")) - set(METHODS)) if methods else []
    if unknown:
        raise SettingsError(f"no method {', '.join(unknown)}; there are: {', '.join(METHODS)}")
    refuse_existing(output, overwrite)
    path = dataset or settings.m2.dataset
    results = compare(
        open_dataset(path, label_set),
        methods=chosen,
        m1=m1 or _if_there(settings.m1.output),
        m2=m2 or _if_there(settings.m2.output),
        seeds=seeds,
        per_class=per_class,
        watcher=terminal,
    )
    write_comparison(results, output, dataset=path, overwrite=overwrite)
    terminal.result(
        {"dataset": str(path), "results": [asdict(r) for r in results], "output": str(output)},
        "",
        *table(results),
        f"wrote {output}",
    )


def _if_there(run: Path) -> Path | None:
    return run if (run / "model.json").exists() else None
