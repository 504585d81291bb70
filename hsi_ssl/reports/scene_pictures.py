"""Pictures of scenes for pages: like a photograph, labels, what each pixel is used for, a map."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.balance import codes_of, unique_names
from hsi_ssl.datasets.reopening import reopened
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import HsiSslError
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet, codes_to_indices, indices_to_codes
from hsi_ssl.labels.raster_labels import RasterSource, raster_labels
from hsi_ssl.labels.rules import USUAL_RULES, LabelRules
from hsi_ssl.reports.figures import PART_COLOURS, paint, percent
from hsi_ssl.reports.html import picture_uri
from hsi_ssl.reports.thumbnails import (
    colours_shown,
    composite,
    see_through,
    shrink_codes,
    shrinking,
    shrunk,
)
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.labels.sources import Sources

SIDE = 480
"""Longest side of a thumbnail in cells."""
READ_BYTES = 2**30
"""What the thumbnails of all scenes together may read, roughly."""
READ_BYTES_SCENE = 64 * 2**20
WIDE = 1.6
"""Pictures longer than this many times their height take the width of the page."""


Mapped = Callable[[Scene, int], tuple[str, npt.NDArray[np.uint8]]]
"""Of a scene and pixels a cell, a caption and a picture `(r, c, 4)` as `shrunk` gives."""


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


def scene_pictures(
    name: str,
    shape: tuple[int, int],
    label_set: LabelSet,
    codes: npt.NDArray[Any],
    *,
    scene: Scene | None = None,
    pixels: tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]] | None = None,
    mapped: Mapped | None = None,
    budget: int = READ_BYTES_SCENE,
) -> ScenePictures:
    """Make the pictures of a scene: composite, map, labels, and which pixels are used for what.

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
    mapped
        Makes a picture of a map of the scene, with its caption; without it there is none.
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
        pictures.append((colours_shown(scene, bands), picture, False))
        if mapped is not None:
            pictures.append((*mapped(scene, step), True))
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


def dataset_pictures(
    dataset: Dataset,
    sources: Sources | None = None,
    *,
    only: Collection[int] | None = None,
    mapped: Mapped | None = None,
    watcher: Watcher = SILENT,
) -> list[ScenePictures]:
    """Make the pictures of a dataset's scenes, `only` of those with these numbers.

    `sources` are those that the dataset was made of, if they are still open. Without them, scenes
    and label maps are looked for where they were; of those that are gone, the pixels in the
    dataset are shown.
    """
    cards = dataset.meta["sources"]
    names = unique_names([card["name"] for card in cards])
    numbers = range(len(cards)) if only is None else only
    pictures = []
    for done, i in enumerate(numbers):
        watcher.progress("drawing scenes", done, len(numbers))
        card, rows = cards[i], np.flatnonzero(dataset.scene == i)
        shape = card["rows"], card["cols"]
        with contextlib.ExitStack() as stack:
            scene: Scene | None
            if sources is not None:
                scene, codes = sources.scenes[i].scene, codes_of(sources.scenes[i])
            else:
                scene = reopened(card, dataset)
                if scene is not None:
                    stack.enter_context(scene)
                codes = label_plane(dataset, i, scene)
            pictures.append(
                scene_pictures(
                    names[i],
                    shape,
                    dataset.label_set,
                    codes,
                    scene=scene,
                    pixels=(dataset.pixel[rows], dataset.part[rows]),
                    mapped=mapped,
                    budget=reading_budget(len(numbers)),
                )
            )
    watcher.progress("drawing scenes", len(numbers), len(numbers))
    return pictures


def label_plane(dataset: Dataset, number: int, scene: Scene | None) -> npt.NDArray[np.int64]:
    """Codes `(rows, cols)` of a scene of a dataset: its label map, where `scene` can be had again.

    Else, or where that map is gone, the labels of the dataset's pixels.
    """
    card = dataset.meta["sources"][number]
    codes = None if scene is None else _labels_again(scene, card, dataset)
    if codes is None:
        codes = np.zeros((card["rows"], card["cols"]), np.int64)
        rows = np.flatnonzero(dataset.scene == number)
        place = dataset.pixel[rows]
        codes[place[:, 0], place[:, 1]] = indices_to_codes(dataset.label[rows], dataset.label_set)
    return codes


def _labels_again(
    scene: Scene, card: dict[str, Any], dataset: Dataset
) -> npt.NDArray[np.int64] | None:
    """The label plane of a dataset's record, its classes only; None where it is gone."""
    if dataset.meta["split"]["kind"] == "maps":
        return None  # the published maps are not on record
    settings = dataset.meta["settings"]
    rules = LabelRules(
        min_coverage=settings.get("min_coverage", USUAL_RULES.min_coverage),
        ignore=tuple(settings.get("ignore_codes", ())),
        zero_is_a_class=settings.get("zero_is_a_class", False),
    )
    recoded = {int(value): code for value, code in dataset.meta.get("recoded", {}).items()}
    sources = [
        RasterSource(
            None if path == card["path"] else _moved_along(path, card, scene), by_place=True
        )
        for path in card["labels_paths"]
        if path != card["path"] or scene.label_reader is not None
    ]
    try:
        found = raster_labels(
            [scene], [sources], rules, known=dataset.label_set.classes, fixed=recoded
        )
    except HsiSslError:
        return None
    plane = found.codes[0]
    if plane is None:
        return None
    return indices_to_codes(codes_to_indices(plane, dataset.label_set), dataset.label_set)


def _moved_along(labels: str, card: dict[str, Any], scene: Scene) -> Path:
    """Where a label map lies if it is not where it was: by its scene, as it lay by it then."""
    path = Path(labels)
    if path.exists():
        return path
    return scene.path.parent / os.path.relpath(path, Path(card["path"]).parent)


def reading_budget(scenes: int) -> int:
    """Bytes to read of each of so many scenes, roughly."""
    return min(READ_BYTES_SCENE, READ_BYTES // scenes)


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
