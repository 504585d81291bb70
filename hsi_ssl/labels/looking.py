"""Which pixels of scenes are looked at: by the user's masks, laid on scenes by their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.area import Area, marked
from hsi_ssl.labels.finding import is_our_mask
from hsi_ssl.labels.labelling import LabelledScene, layer_is_placed, raster_is_placed
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.legends import legend_of
from hsi_ssl.labels.pairing import label_files, paired
from hsi_ssl.labels.vectors import is_vector
from hsi_ssl.masks.codes import LOOK, NAMES
from hsi_ssl.scenes.masked import masked
from hsi_ssl.scenes.opening import is_raster, open_scene
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import Watcher

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Marked(Protocol):
    """Some pixels of a scene."""

    def mask(self, rows: slice, cols: slice) -> Bools:
        """Which of a window are marked, `(r, c)`."""

    def at(self, rows: Ints, cols: Ints) -> Bools:
        """Which of single pixels are marked, `(n,)`."""


MASKED_TAG = "MASKED_BY"
"""Tag of maps that names the masks by which pixels were left out."""
AUTO = Path("auto")
"""In the place of a mask: the one that is proposed."""
KEPT = 16
"""Windows whose mask is kept at hand, since they are asked for more than once."""
GLANCE = 64
"""Rows and columns of a mask that tell which values it holds."""
STRIP = 2**20
"""Pixels of labels that are masked at a time, or of a mask in which one is looked for."""


@dataclass(frozen=True, eq=False)
class Masks:
    """Where all of `within` and none of `without` mark a scene; `names` are those of the masks.

    An entry of `within` holds areas of which one suffices: pieces of one mask.
    """

    within: Sequence[Sequence[Marked]]
    without: Sequence[Marked]
    names: tuple[str, ...]
    _window: object = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_window", lru_cache(KEPT)(self._looked))

    def mask(self, rows: slice, cols: slice) -> Bools:
        """Which pixels of a window are looked at, `(r, c)`."""
        found: Bools = self._window(rows.start, rows.stop, cols.start, cols.stop)  # type: ignore[operator]
        return found

    def at(self, rows: Ints, cols: Ints) -> Bools:
        """Which of single pixels are looked at, `(n,)`."""
        found = np.ones(len(rows), bool)
        for pieces in self.within:
            found &= np.any([area.at(rows, cols) for area in pieces], axis=0)
        for area in self.without:
            found &= ~area.at(rows, cols)
        return found

    def _looked(self, top: int, bottom: int, left: int, right: int) -> Bools:
        rows, cols = slice(top, bottom), slice(left, right)
        found = np.ones((bottom - top, right - left), bool)
        for pieces in self.within:
            found &= np.any([area.mask(rows, cols) for area in pieces], axis=0)
        for area in self.without:
            found &= ~area.mask(rows, cols)
        found.flags.writeable = False
        return found


class Plane:
    """The pixels that a plane `(rows, cols)` in memory marks."""

    def __init__(self, plane: Bools) -> None:
        self._plane = plane

    def mask(self, rows: slice, cols: slice) -> Bools:
        """Which pixels of a window are marked, `(r, c)`."""
        return self._plane[rows, cols]

    def at(self, rows: Ints, cols: Ints) -> Bools:
        """Which of single pixels are marked, `(n,)`."""
        found: Bools = self._plane[rows, cols]
        return found


def looked_at(
    scenes: Sequence[Scene], reading: Reading, watcher: Watcher, *, needed: bool = True
) -> list[Scene | None]:
    """The scenes with all that is not to be looked at as if it held no measurement.

    None for a scene of which nothing is to be looked at, which is said. Unless it is `needed`, that
    may be all of them.

    Raises
    ------
    SceneNotFoundError, SceneError, VectorError, LabelError
        A mask cannot be read, fits no scene, or marks nothing that could be looked at.
    """
    if not reading.mask and not reading.mask_out:
        return list(scenes)
    files = [path for path in reading.mask if path != AUTO]
    within = _areas(files, scenes, "--mask", watcher)
    without = _areas(reading.mask_out, scenes, "--mask-out", watcher)
    found: list[Scene | None] = []
    for scene, inside, outside in zip(scenes, within, without, strict=True):
        if files and not inside:
            watcher.say(f"left out {scene.path}: no mask says to look at anything in it")
            found.append(None)
            continue
        areas: list[Sequence[Marked]] = [list(inside.values())] if files else []
        names = [path.name for path in (*inside, *outside)]
        if AUTO in reading.mask:
            areas.append([Plane(_proposed(scene, watcher) == LOOK)])
            names.append(str(AUTO))
        looked = Masks(areas, list(outside.values()), tuple(names))
        if not _any(looked, scene):
            watcher.say(f"left out {scene.path}: its masks leave nothing of it to look at")
            found.append(None)
            continue
        found.append(masked(scene, looked))
    if needed and not any(found):
        raise _nothing_left(scenes[0], reading)
    return found


def masks_of(
    scenes: Sequence[Scene], reading: Reading, watcher: Watcher
) -> list[tuple[tuple[Path, ...], tuple[Path, ...]] | None]:
    """The user's masks, as `mask` and `mask_out`, that mark each scene, by place and name alone.

    None for a scene in which no mask says to look at anything, which is said.

    Raises
    ------
    SceneNotFoundError, SceneError, VectorError, LabelError
        As `looked_at`.
    """
    files = [path for path in reading.mask if path != AUTO]
    within = _areas(files, scenes, "--mask", watcher)
    without = _areas(reading.mask_out, scenes, "--mask-out", watcher)
    auto = tuple(path for path in reading.mask if path == AUTO)
    found: list[tuple[tuple[Path, ...], tuple[Path, ...]] | None] = []
    for scene, inside, outside in zip(scenes, within, without, strict=True):
        if files and not inside:
            watcher.say(f"left out {scene.path}: no mask says to look at anything in it")
            found.append(None)
        else:
            found.append(((*inside, *auto), tuple(outside)))
    if not any(found):
        raise _nothing_left(scenes[0], reading)
    return found


def _nothing_left(scene: Scene, reading: Reading) -> LabelError:
    given = " and ".join(str(path) for path in (*reading.mask, *reading.mask_out))
    return LabelError(
        f"{given} leaves nothing of {scene.path} to look at; give masks that leave some of its "
        "pixels"
    )


def _any(looked: Masks, scene: Scene) -> bool:
    """Whether anything of a scene is looked at; reads masks only as far as the first such pixel."""
    high = max(1, STRIP // scene.cols)
    strips = (slice(top, min(top + high, scene.rows)) for top in range(0, scene.rows, high))
    return any(looked.mask(rows, slice(0, scene.cols)).any() for rows in strips)


def without_masked(source: LabelledScene, watcher: Watcher) -> LabelledScene:
    """A labelled scene without the labels of pixels that are not looked at, which is said."""
    scene = source.scene
    planes = [source.labels, source.train_labels, source.test_labels]
    if scene.looked is None or all(plane is None for plane in planes):
        return source
    lost = 0
    high = max(1, STRIP // scene.cols)
    for top in range(0, scene.rows, high):
        rows = slice(top, min(top + high, scene.rows))
        hidden = ~scene.looked.mask(rows, slice(0, scene.cols))
        for plane in planes:
            if plane is not None:
                lost += int(np.count_nonzero(plane[rows][hidden]))
                plane[rows][hidden] = 0
        if source.polygons is not None:
            source.polygons[rows][hidden] = -1
    if lost:
        watcher.say(f"{scene.path.name}: {lost:,} labelled pixels are masked and left out")
    return source


def _areas(
    given: Sequence[Path], scenes: Sequence[Scene], option: str, watcher: Watcher
) -> list[dict[Path, Area]]:
    """The areas that the user's files mark on each scene, by file."""
    found: list[dict[Path, Area]] = [{} for _ in scenes]
    if not given:
        return found
    files = label_files(given, option, watcher, masks=True)
    mine = paired(scenes, files, _is_placed, option, watcher)
    for path in dict.fromkeys(path for some in mine for path, _ in some):
        _tell_values(path, option, watcher)
        numbers = [i for i, some in enumerate(mine) if path in {p for p, _ in some}]
        # One that was met in a folder may be for a scene that is not asked about.
        areas = marked(path, [scenes[i] for i in numbers], watcher, needed=not files[path])
        for i, area in zip(numbers, areas, strict=True):
            if area is not None:
                found[i][path] = area
    return found


def _tell_values(path: Path, option: str, watcher: Watcher) -> None:
    """Say where a mask holds several values, so that all but 0 count alike; told by some pixels."""
    if is_vector(path) or not is_raster(path) or is_our_mask(path):
        return
    with open_scene(path) as raster:
        rows, cols = (
            np.unique(np.linspace(0, size - 1, GLANCE).astype(np.int64))
            for size in (raster.rows, raster.cols)
        )
        values = np.unique(raster.thinned(rows, cols, [0]))
        values = values[(values != 0) & np.isfinite(values)]
        if raster.nodata is not None:
            values = values[values != raster.nodata]
    if len(values) > 1 and legend_of(path).names.get(LOOK) != NAMES[LOOK]:
        few = listed(values.tolist(), len(values))
        watcher.say(f"{option}: {path.name} holds {few}: all that is not 0 is taken alike")


def _is_placed(path: Path) -> bool:
    return layer_is_placed(path) if is_vector(path) else raster_is_placed(path)


def _proposed(scene: Scene, watcher: Watcher) -> npt.NDArray[np.uint8]:
    from hsi_ssl.masks.propose import propose_mask

    return propose_mask(scene, watcher)
