"""The label-balance report: one page to show, the table as CSV, the bars as PNG."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from hsi_ssl.datasets.balance import (
    FEW,
    Balance,
    balance_of_dataset,
    balance_of_sources,
    codes_of,
    unique_names,
)
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import HsiSslError
from hsi_ssl.files import fingerprint, refuse_existing, written_beside
from hsi_ssl.reports.figures import GREY, PART_COLOURS, paint, percent, style, write_png
from hsi_ssl.reports.html import page, picture_uri
from hsi_ssl.reports.thumbnails import composite, see_through, shrink_codes, shrinking, shrunk
from hsi_ssl.scenes.labels import UNLABELLED_CODE, LabelSet, codes_to_indices, indices_to_codes
from hsi_ssl.scenes.opening import open_scene, read_label_plane
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.scenes.sources import Sources

SIDE = 480
"""Longest side of a thumbnail in cells."""
READ_BYTES = 2**30
"""What the thumbnails of all scenes together may read, roughly."""
READ_BYTES_SCENE = 64 * 2**20
WIDE = 1.6
"""Pictures longer than this many times their height take the width of the page."""


@dataclass(frozen=True)
class View:
    """One picture of a scene; `cells` are to stay sharp when enlarged."""

    caption: str
    uri: str
    cells: bool = True


@dataclass(frozen=True)
class ScenePictures:
    """A scene as the page shows it."""

    name: str
    about: str
    wide: bool
    views: tuple[View, ...]


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
    pictures = [] if dataset.meta["image_like"] else _dataset_pictures(dataset, sources, watcher)
    title = f"{dataset.meta['title']} ({dataset.path})"
    return balance, write_balance_report(
        balance, pictures, folder, title=title, overwrite=overwrite
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
                    budget=_budget(len(sources.scenes)),
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
    overwrite: bool = False,
) -> Path:
    """Write index.html, balance.csv and balance.png to `folder`, all or nothing.

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
        html = page("balance.html", balance=balance, title=title, pictures=pictures, few=FEW)
        (beside / "index.html").write_text(html, encoding="utf-8")
        write_balance_csv(balance, beside / "balance.csv")
        draw_balance(balance, beside / "balance.png", title)
    return folder / "index.html"


def scene_pictures(
    name: str,
    shape: tuple[int, int],
    label_set: LabelSet,
    codes: npt.NDArray[Any],
    *,
    scene: Scene | None = None,
    pixels: tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]] | None = None,
    budget: int = READ_BYTES_SCENE,
) -> ScenePictures:
    """Make the pictures of a scene: composite, labels, and which pixels are used for what.

    Parameters
    ----------
    shape
        Rows and columns of the scene.
    codes
        Its label plane `(rows, cols)`.
    scene
        The cube, for the composite; without it there is none.
    pixels
        Positions `(n, 2)` and parts `(n,)` of the pixels in the dataset; before `prepare` None.
    budget
        Bytes of the cube to read, roughly.
    """
    rows, cols = shape
    step = shrinking(rows, cols, SIDE)
    turned = rows > WIDE * cols
    about = [f"{rows:,} x {cols:,} pixels, {percent((codes != UNLABELLED_CODE).mean())} labelled"]
    if turned:
        about.append("turned: its top is at the left")
    pictures = []
    if scene is not None:
        picture, bands = composite(scene, SIDE, budget)
        pictures.append((f"bands {_band_names(scene, bands)}", picture, False))
    small = shrink_codes(codes, step)
    painted = see_through(paint(small, label_set), small != UNLABELLED_CODE)
    pictures.append(("labels", painted, True))
    if pixels is not None:
        pictures.append(("what each pixel is used for", _parts_picture(shape, step, *pixels), True))
    views = tuple(
        View(caption, picture_uri(picture.swapaxes(0, 1) if turned else picture), cells)
        for caption, picture, cells in pictures
    )
    wide = max(shape) > WIDE * min(shape)
    return ScenePictures(name, "; ".join(about), wide, views)


def _dataset_pictures(
    dataset: Dataset, sources: Sources | None, watcher: Watcher
) -> list[ScenePictures]:
    cards = dataset.meta["sources"]
    pictures = []
    for i, (name, card) in enumerate(
        zip(unique_names([card["name"] for card in cards]), cards, strict=True)
    ):
        watcher.progress("drawing scenes", i, len(cards))
        rows = np.flatnonzero(dataset.scene == i)
        shape = card["rows"], card["cols"]
        with contextlib.ExitStack() as stack:
            codes: npt.NDArray[Any] | None = None
            scene: Scene | None = None
            if sources is not None:
                scene, codes = sources.scenes[i].scene, codes_of(sources.scenes[i])
            else:
                scene = _reopened(card)
                if scene is not None:
                    stack.enter_context(scene)
                    codes = _labels_again(scene, card, dataset)
            if codes is None:
                codes = np.zeros(shape, np.int64)
                place = dataset.pixel[rows]
                codes[place[:, 0], place[:, 1]] = indices_to_codes(
                    dataset.label[rows], dataset.label_set
                )
            pictures.append(
                scene_pictures(
                    name,
                    shape,
                    dataset.label_set,
                    codes,
                    scene=scene,
                    pixels=(dataset.pixel[rows], dataset.part[rows]),
                    budget=_budget(len(cards)),
                )
            )
    watcher.progress("drawing scenes", len(cards), len(cards))
    return pictures


def _reopened(card: dict[str, Any]) -> Scene | None:
    """The scene of a dataset's record, if its file is still there and still the same."""
    path = Path(card["path"])
    if not path.is_file() or fingerprint(path) != card["fingerprint"]:
        return None
    try:
        return open_scene(path)
    except HsiSslError:  # several arrays in the file, say: the report can do without
        return None


def _labels_again(
    scene: Scene, card: dict[str, Any], dataset: Dataset
) -> npt.NDArray[np.int64] | None:
    """The label plane of a dataset's record, its classes only; None where it is gone."""
    if dataset.meta["split"]["kind"] == "maps":
        return None  # the published maps are not on record
    try:
        if card["labels_path"] in {None, card["path"]}:
            plane = scene.labels()
        else:
            plane = read_label_plane(Path(card["labels_path"]), shape=(scene.rows, scene.cols))
    except HsiSslError:
        return None
    if plane is None:
        return None
    return indices_to_codes(codes_to_indices(plane, dataset.label_set), dataset.label_set)


def _budget(scenes: int) -> int:
    return min(READ_BYTES_SCENE, READ_BYTES // scenes)


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
        axes.set_xlim(1, max(counts) * 4)
        axes.set_yticks(places, [f"{c.label.name}  {c.label.code}" for c in classes])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.invert_yaxis()
        axes.set_xlabel("pixels, logarithmic scale")
        axes.set_title(title)
        write_png(figure, path)


def _parts_picture(
    shape: tuple[int, int],
    step: int,
    pixel: npt.NDArray[np.int32],
    part: npt.NDArray[np.uint8],
) -> npt.NDArray[np.uint8]:
    """Cells in their part's colour, the pool below the labelled pixels; transparent elsewhere."""
    small = np.zeros((*shrunk(*shape, step), 4), np.uint8)
    for kind in (Part.POOL, Part.TRAIN, Part.VALIDATION, Part.TEST):
        here = pixel[part == kind] // step
        small[here[:, 0], here[:, 1]] = (*bytes.fromhex(PART_COLOURS[kind][1:]), 255)
    return small


def _band_names(scene: Scene, bands: tuple[int, int, int]) -> str:
    if scene.wavelengths_nm is None:
        return ", ".join(str(band + 1) for band in bands)
    return ", ".join(f"{scene.wavelengths_nm[band]:.0f}" for band in bands) + " nm"
