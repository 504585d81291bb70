"""What a class map says at single pixels of scenes: laid on them by its place, or by position.

Only squares that hold such pixels are read, so memory is bounded whatever the map's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.reopening import reopened
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import LabelError
from hsi_ssl.labels.frames import Gridded, Place, between, crs_name, extent, ground_crs
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.laying import Laying
from hsi_ssl.labels.pairing import named
from hsi_ssl.reports.class_maps import ClassMap, Numbers
from hsi_ssl.scenes.names import name_of
from hsi_ssl.scenes.scene import Grid, GroundPoint

TILE = 256
"""Side in pixels of the squares that are read together."""
LEAST = 1e-3
"""Share of a pixel that the class of most of it must cover, where the map covers half of it."""
HALF = 0.5

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Read = Callable[[slice, slice], Numbers]


@dataclass(frozen=True)
class DatasetScene(Place):
    """A scene that a dataset was made of, as the dataset remembers it.

    `card`: of one in sensor geometry, whose file alone says where its pixels lie.
    """

    name: str = ""
    card: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AtPixels:
    """What a map has at n pixels: `number (n,)` of its value as `ClassMap.window`, 0 for none.

    `outside (n,)`: which of them lie beyond the map. `notes`: what is to be said of how it lies.
    """

    number: npt.NDArray[np.uint16] = field(repr=False)
    outside: Bools = field(repr=False)
    notes: tuple[str, ...] = ()


def dataset_scenes(dataset: Dataset) -> list[DatasetScene]:
    """The scenes of a dataset with their places."""
    return [
        DatasetScene(
            Path(card["path"] or card["name"]),
            card["rows"],
            card["cols"],
            Grid(
                card.get("crs"),
                None if card.get("transform") is None else tuple(card["transform"]),
                tuple(GroundPoint(*point) for point in card.get("control_points", ())),
            ),
            card["name"],
            card if card.get("sensor_geometry") else None,
        )
        for card in dataset.meta["sources"]
    ]


def at_dataset(
    found: ClassMap, dataset: Dataset, rows: Ints, part: str, label_set: str
) -> AtPixels:
    """What a map has at rows of a dataset, pixels of its `part`.

    Where map and scene both have a place, a pixel has the class that covers most of it, and none
    where the map covers less than half. Else pixels count row by row, and sizes must agree.

    Raises
    ------
    LabelError
        The map lies on none of these pixels, or nothing tells which scene it is of.
    """
    scenes, of = dataset_scenes(dataset), dataset.scene[rows]
    gone: list[str] = []
    used = np.unique(of).tolist()
    number = np.zeros(len(rows), np.uint16)
    outside = np.ones(len(rows), bool)
    notes: dict[str, list[str]] = {}
    placed = []
    for i in used if found.grid.placed else ():
        if scenes[i].card is not None and found.grid.transform is None:
            continue  # a map of the very pixels: control points are coarser
        scene = _with_place(scenes[i], dataset)
        if not scene.grid.placed:
            gone += [] if scene.card is None else [str(scene.path)]
            continue
        placed.append(i)
        here = of == i
        laid = _Laid(scene, found)
        number[here], outside[here] = laid.at(dataset.pixel[rows[here]])
        if not outside[here].all():
            for note in laid.notes():
                notes.setdefault(note, []).append(scenes[i].name)
    if gone and (outside.all() or not placed):
        _refuse_gone(found, scenes, gone)
    if outside.all():
        if len(placed) == len(used):
            raise LabelError(
                f"{found.path} lies on none of the {len(rows):,} {part} pixels of {dataset.path}: "
                f"it spans {extent(found)}, the scene {scenes[used[0]].path} "
                f"{extent(scenes[used[0]])}; name a map of these scenes, or check the CRS of both"
            )
        i = _by_position(found, scenes, dataset.path, label_set)
        here = of == i
        if not here.any():
            raise LabelError(
                f"{found.path} is a map of {scenes[i].name}, which has no {part} pixel in "
                f"{dataset.path}; name a map of {listed((scenes[j].name for j in used), len(used))}"
            )
        number[here] = gathered(found.window, dataset.pixel[rows[here]])
        outside[here] = False
        if scenes[i].card is not None:
            notes["row by row, column by column, as both are in sensor geometry"] = [scenes[i].name]
        elif found.grid.placed or scenes[i].grid.placed:
            which = "the scene" if found.grid.placed else "the map"
            notes[f"row by row, column by column, as {which} has no place"] = [scenes[i].name]
    said = (
        f"{found.path.name} is laid on {listed(names, len(names))} {how}"
        for how, names in notes.items()
    )
    left_out = (
        f"{found.path.name} is not laid on {path}: in sensor geometry, whose file alone says where "
        "pixels lie, and is not there any more"
        for path in gone
    )
    return AtPixels(number, outside, (*said, *left_out))


def _with_place(scene: DatasetScene, dataset: Dataset) -> DatasetScene:
    """The scene with the places of its pixels, where its file tells them and is still there."""
    if scene.card is None:
        return scene
    opened = reopened(scene.card, dataset)
    if opened is None:
        return scene
    with opened:
        return replace(scene, grid=opened.grid)


def _refuse_gone(found: ClassMap, scenes: Sequence[DatasetScene], gone: Sequence[str]) -> None:
    """Raise `LabelError` where a scene that is gone said where its pixels lie.

    A map of the very pixels, in sensor geometry too, needs no place.
    """
    if (found.rows, found.cols) in {(scene.rows, scene.cols) for scene in scenes}:
        return
    raise LabelError(
        f"{found.path} has a place, and the dataset's scene {gone[0]} is in sensor geometry: its "
        "file alone says where its pixels lie, and is not there any more, or another; put it back"
    )


class _Laid:
    """A map on the grid of a scene; both have a place."""

    def __init__(self, scene: Gridded, found: ClassMap) -> None:
        self._scene, self._map = scene, found
        self._between = between(scene, found)

        def covered(rows: slice, cols: slice) -> Numbers:
            return (found.window(rows, cols) > 0).astype(np.uint16)

        self._most = Laying(scene, found, found.window, LEAST)
        self._half = Laying(scene, found, covered, HALF)
        self._centre = Laying(scene, found, found.window, 0)
        self._tied = 0

    def at(self, pixel: npt.NDArray[Any]) -> tuple[Numbers, Bools]:
        """Numbers of the map's values at pixels `(n, 2)`, and which of these lie beyond the map."""
        xy = self._between(pixel[:, ::-1] + 0.5)
        with np.errstate(invalid="ignore"):
            inside = ((xy >= 0) & (xy < [self._map.cols, self._map.rows])).all(axis=1)
        number = gathered(self._read, pixel)
        return number, (number == 0) & ~inside

    def _read(self, rows: slice, cols: slice) -> Numbers:
        number = self._most.read(rows, cols)
        if self._most.copied:
            return number
        half = self._half.read(rows, cols) > 0
        number[~half] = 0
        tied = half & (number == 0)
        if tied.any():
            # Of classes that cover the same, that at the middle: leaving out what lies on borders
            # would flatter the map.
            number[tied] = self._centre.read(rows, cols)[tied]
        return number

    def notes(self) -> list[str]:
        """How it lies, where its pixels are not the scene's."""
        ours, theirs = self._scene, self._map
        if ours.grid == theirs.grid and (ours.rows, ours.cols) == (theirs.rows, theirs.cols):
            return []
        how = "pixel on pixel" if self._most.copied else "each pixel by what covers most of it"
        here, there = ground_crs(ours.grid), ground_crs(theirs.grid)
        if (here is None) != (there is None):
            which = "it has no CRS" if there is None else "the scene has none"
            how += f"; {which}, so coordinates are taken for those of {crs_name(here or there)}"
        return [f"by its place, {how}"]


def _by_position(
    found: ClassMap, scenes: Sequence[DatasetScene], dataset: Path, label_set: str
) -> int:
    """The scene of a dataset that a map is of, where no place tells.

    Raises
    ------
    LabelError
        No scene is of that size, or several are and the map's name tells of none.
    """
    stem = name_of(found.path).removesuffix(f"_{label_set}")
    by_name = named(Path(f"{stem}.tif"), scenes)
    size = found.rows, found.cols
    same = [
        i
        for i, scene in enumerate(scenes)
        if (scene.rows, scene.cols) == size and not (scene.grid.placed and found.grid.placed)
    ]
    if len(by_name) == 1 and by_name[0] not in same:
        one = scenes[by_name[0]]
        raise LabelError(
            f"{found.path} is {size[0]} x {size[1]} pixels, the scene {one.name} of {dataset} is "
            f"{one.rows} x {one.cols}, and there is no place for both: their sizes must agree; "
            "name the map of this scene"
        )
    chosen = [i for i in by_name if i in same] or same
    if len(chosen) == 1:
        return chosen[0]
    if same:
        raise LabelError(
            f"nothing tells which of {len(same)} scenes of {size[0]} x {size[1]} pixels "
            f"{found.path} is of ({listed((scenes[i].name for i in same), len(same))}): call it "
            f"{scenes[same[0]].name}_classes{found.path.suffix}, say"
        )
    sizes = sorted({(scene.rows, scene.cols) for scene in scenes})
    raise LabelError(
        f"{found.path} is {size[0]} x {size[1]} pixels, the scenes of {dataset} are "
        f"{listed((f'{r} x {c}' for r, c in sizes), len(sizes))}, and there is no place for both: "
        "their sizes must agree; name a map of these scenes"
    )


def gathered(read: Read, pixel: npt.NDArray[Any]) -> Numbers:
    """Values `(n,)` at pixels `(n, 2)`, read square by square."""
    found = np.zeros(len(pixel), np.uint16)
    tile = pixel // TILE
    order = np.lexsort((tile[:, 1], tile[:, 0]))
    ends = np.flatnonzero((np.diff(tile[order], axis=0) != 0).any(axis=1)) + 1
    for some in np.split(order, ends):
        here = pixel[some]
        low, high = here.min(axis=0), here.max(axis=0) + 1
        window = read(slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])))
        found[some] = window[here[:, 0] - low[0], here[:, 1] - low[1]]
    return found
