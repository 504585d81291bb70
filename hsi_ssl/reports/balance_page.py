"""The label-balance report: one page to show, the table as CSV, the bars as PNG."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hsi_ssl.datasets.balance import (
    FEW,
    Balance,
    balance_of_dataset,
    balance_of_sources,
    codes_of,
)
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.files import refuse_existing, written_beside
from hsi_ssl.hidden import visible
from hsi_ssl.reports.figures import GREY, plain_numbers, style, write_png
from hsi_ssl.reports.html import page
from hsi_ssl.reports.next_steps import after_balance
from hsi_ssl.reports.scene_pictures import (
    ScenePictures,
    dataset_pictures,
    reading_budget,
    scene_pictures,
)
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.labels.sources import Sources


def report_dataset(
    dataset: Dataset,
    folder: Path,
    *,
    sources: Sources | None = None,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> tuple[Balance, Path]:
    """Write the balance report of a dataset; returns the balance and the page's path.

    `sources` are those that the dataset was made of, if they are still open. Without them, scenes
    and label maps are looked for where they were; of those that are gone, the pixels in the
    dataset are shown.

    Raises
    ------
    OutputError
        As `write_balance_report`.
    """
    refuse_existing(folder, overwrite)
    balance = balance_of_dataset(dataset)
    pictures = (
        [] if dataset.meta["image_like"] else dataset_pictures(dataset, sources, watcher=watcher)
    )
    title = f"{dataset.meta['title']} ({visible(str(dataset.path))})"
    return balance, write_balance_report(
        balance,
        pictures,
        folder,
        title=title,
        dataset=Path(visible(str(dataset.path))),
        overwrite=overwrite,
    )


def report_label_sets(
    dataset: Dataset,
    folder: Path,
    *,
    sources: Sources | None = None,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[tuple[Balance, Path]]:
    """Write the balance report of each label set of a dataset, as `report_dataset`.

    One label set's report is in `folder`; of several, each is in a folder of its name in there.
    """
    if len(dataset.label_sets) == 1:
        return [
            report_dataset(dataset, folder, sources=sources, overwrite=overwrite, watcher=watcher)
        ]
    found = []
    with written_beside(folder, overwrite=overwrite) as beside:
        beside.mkdir()
        for i, label_set in enumerate(dataset.label_sets):
            one, name = dataset.one(label_set.name), label_set.name
            labelled = None if sources is None else sources.by_label_set[i]
            balance, page = report_dataset(one, beside / name, sources=labelled, watcher=watcher)
            found.append((balance, folder / name / page.name))
    return found


def report_sources(
    sources: Sources, folder: Path, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> tuple[Balance, Path]:
    """Write the balance report of labelled scenes, before `prepare`; returns as `report_dataset`.

    Raises
    ------
    LabelError
        Not one pixel is labelled.
    OutputError
        As `write_balance_report`.
    """
    refuse_existing(folder, overwrite)
    balance = balance_of_sources(sources)
    pictures = []
    if not sources.image_like:
        for i, source in enumerate(sources.scenes):
            watcher.progress("drawing scenes", i, len(sources.scenes))
            pictures.append(
                scene_pictures(
                    balance.scenes[i],
                    (source.scene.rows, source.scene.cols),
                    balance.label_set,
                    codes_of(source),
                    scene=source.scene,
                    budget=reading_budget(len(sources.scenes)),
                )
            )
        watcher.progress("drawing scenes", len(pictures), len(pictures))
    return balance, write_balance_report(
        balance, pictures, folder, title=sources.title, overwrite=overwrite
    )


def write_balance_report(
    balance: Balance,
    pictures: Sequence[ScenePictures],
    folder: Path,
    *,
    title: str,
    dataset: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write index.html, balance.csv and balance.png to `folder`, all or nothing.

    `dataset`: where the dataset lies; None before there is one.

    Returns
    -------
    The page's path.

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is false, or cannot be written.
    """
    with written_beside(folder, overwrite=overwrite) as beside:
        beside.mkdir()
        html = page(
            "balance.html",
            balance=balance,
            title=title,
            pictures=pictures,
            few=FEW,
            steps=after_balance(balance, dataset),
        )
        (beside / "index.html").write_text(html, encoding="utf-8")
        write_balance_csv(balance, beside / "balance.csv")
        draw_balance(balance, beside / "balance.png", title)
    return folder / "index.html"


def write_balance_csv(balance: Balance, path: Path) -> None:
    """Write one line a class: counts found, kept, in each part, and found in each scene."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["code", "name", "count", "share", "kept", "train", "validation", "test", "scenes"]
            + [f"count in {name}" for name in balance.scenes]
        )
        for c in balance.classes:
            writer.writerow(
                [c.label.code, c.label.name, c.count, f"{c.count / balance.total:.6f}"]
                + [c.kept, c.train, c.validation, c.test, len(c.by_scene)]
                + [c.by_scene.get(i, 0) for i in range(len(balance.scenes))]
            )


def draw_balance(balance: Balance, path: Path, title: str) -> None:
    """Write the bars of pixels per class on a logarithmic scale, commonest class first."""
    classes = sorted(balance.classes, key=lambda c: -c.count)
    colours = [c.label.colour for c in classes]
    places = np.arange(len(classes))
    with style():
        figure = Figure(figsize=(7.5, 0.9 + 0.27 * len(classes)), layout="constrained")
        axes = figure.subplots()
        counts = [c.count for c in classes]
        axes.barh(places, counts, color=colours, alpha=0.38 if balance.prepared else 1, height=0.7)
        if balance.prepared:
            axes.barh(places, [c.kept or 0 for c in classes], color=colours, height=0.7)
            axes.legend(
                handles=[
                    Patch(facecolor=GREY, alpha=0.38, label="labelled"),
                    Patch(facecolor=GREY, label="kept in the dataset"),
                ],
                loc="lower right",
            )
        for place, count in zip(places, counts, strict=True):
            axes.annotate(
                f"{count:,}",
                (count, place),
                (4, 0),
                textcoords="offset points",
                va="center_baseline",
            )
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
        axes.set_xlim(1, max(counts) * 4)
        axes.set_yticks(places, [f"{c.label.name}  {c.label.code}" for c in classes])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.invert_yaxis()
        axes.set_xlabel("pixels, logarithmic scale")
        axes.set_title(title)
        write_png(figure, path)
