"""Which scenes are to be mapped and where their maps go, by names and places alone.

No scene stays open: each is opened by the task that maps it. Only masks, an area and a mosaic need
to know where all scenes lie; then each is looked at and closed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hsi_ssl.errors import HsiSslError, SceneNotFoundError, SettingsError
from hsi_ssl.labels.area import areas
from hsi_ssl.labels.finding import Finder, Found, named_again
from hsi_ssl.labels.looking import AUTO, masks_of
from hsi_ssl.labels.sources import open_found
from hsi_ssl.maps.mosaic import check_mosaic, is_mosaic
from hsi_ssl.maps.places import map_paths
from hsi_ssl.maps.windows import asked_layers
from hsi_ssl.scenes.names import name_of
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings


SHOWN = 3
"""Files that a sentence names."""


@dataclass(frozen=True)
class Wanted:
    """A scene to be mapped.

    `found` says where it lies; `source` how it is named in its map's settings; `masks` are those
    that mark it; `scene` is given where it is open already, and `sight` what was seen of its place.
    """

    found: Found
    source: str
    masks: tuple[tuple[Path, ...], tuple[Path, ...]] = ((), ())
    scene: Scene | None = field(default=None, repr=False)
    sight: Scene | None = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        """The scene's file."""
        return self.found.cube if self.scene is None else self.scene.path

    @property
    def name(self) -> str:
        """As `Scene.name`."""
        return name_of(self.path)

    def settings(self, settings: ClassifySettings) -> ClassifySettings:
        """The settings of `classify` for this scene alone."""
        mask, mask_out = self.masks
        return settings.model_copy(
            update={"scenes": (self.source,), "mask": mask, "mask_out": mask_out}
        )


@dataclass(frozen=True)
class Plan:
    """Scenes with the places of their maps, in an order that does not depend on the user's.

    `failed`: sources and scenes that cannot be had, and why.
    """

    wanted: tuple[Wanted, ...]
    outputs: tuple[Path, ...]
    failed: tuple[tuple[str, Exception], ...]


def planned(
    settings: ClassifySettings, watcher: Watcher, scenes: Sequence[Scene] | None = None
) -> Plan:
    """The plan for what the settings name, or for scenes that are open.

    Raises
    ------
    HsiSslError
        What is wrong with all scenes together: two maps would be one file, no mask or area marks
        any of them, no mosaic can hold them, the shard is none.
    """
    share = None if settings.shard is None else parsed_shard(settings.shard)
    mosaic = settings.output is not None and is_mosaic(settings.output)
    if share is not None and settings.output is not None and mosaic:
        folder = settings.output.with_suffix("")
        raise SettingsError(
            f"a shard knows only its own maps, and {settings.output} is a mosaic of all: give the "
            f"shards -o {folder}, and afterwards, without --shard, -o {settings.output}, which "
            "finds their maps and makes the mosaic"
        )
    failed: list[tuple[str, Exception]] = []
    if scenes is None:
        wanted = _wanted(settings, failed, watcher)
    else:
        wanted = [Wanted(Found(one.path), str(one.path), scene=one, sight=one) for one in scenes]
    reading = settings.reading
    files = [path for path in (*reading.mask, *reading.mask_out) if path != AUTO]
    masks = (reading.mask, reading.mask_out)
    wanted = [replace(one, masks=masks) for one in wanted]
    if files or settings.area is not None or mosaic:
        wanted = _seen(wanted, reading, failed, watcher)
    if files and wanted:
        of_each = masks_of(_sights(wanted), reading, watcher)
        paired = zip(wanted, of_each, strict=True)
        wanted = [replace(one, masks=some) for one, some in paired if some is not None]
    if settings.area is not None and wanted:
        parts = areas(settings.area, _sights(wanted), watcher)
        wanted = [one for one, part in zip(wanted, parts, strict=True) if part is not None]
    if not files:
        wanted = _without_namesakes(wanted, settings, failed, watcher)
    outputs = map_paths(wanted, settings.output, settings.format)
    if mosaic and wanted and settings.output is not None:
        inputs = [one.path for one in wanted]
        inputs += [path for path in (settings.wavelengths, settings.area, *files) if path]
        check_mosaic(settings.output, _sights(wanted), asked_layers(settings), inputs)
    plan = Plan(tuple(wanted), tuple(outputs), tuple(failed))
    return plan if share is None else _shard(plan, *share, watcher)


def parsed_shard(text: str) -> tuple[int, int]:
    """The number of a shard, counted from 1, and of how many: `2/3`.

    Raises
    ------
    SettingsError
        It is none.
    """
    number, slash, of = text.partition("/")
    try:
        i, n = int(number), int(of)
    except ValueError:
        i, n = 0, 0
    if not slash or not 1 <= i <= n:
        raise SettingsError(
            f"expected a shard such as 1/3, 2/3 or 3/3, counted from 1, found {text!r}: an array "
            "of n jobs gives them 1/n to n/n"
        )
    return i, n


def _shard(plan: Plan, number: int, of: int, watcher: Watcher) -> Plan:
    """Every `of`-th scene, from the one of that number on; sources that fail are the first's."""
    mine = slice(number - 1, None, of)
    watcher.say(f"shard {number} of {of}: {len(plan.wanted[mine])} of {len(plan.wanted)} scenes")
    return Plan(plan.wanted[mine], plan.outputs[mine], plan.failed if number == 1 else ())


def _wanted(
    settings: ClassifySettings, failed: list[tuple[str, Exception]], watcher: Watcher
) -> list[Wanted]:
    """Each cube that the sources hold once; a source that fails is kept, unless it is the only."""
    cubes: dict[Path, Wanted] = {}
    finder = Finder(None, watcher)
    for source in finder.scenes_among(settings.scenes):
        try:
            _, some = finder.find(source)
        except HsiSslError as error:
            if len(settings.scenes) == 1:
                raise
            failed.append((source, error))
            continue
        for one in some:
            cubes.setdefault(one.cube.resolve(), Wanted(one, named_again(source, one)))
    return sorted(cubes.values(), key=lambda one: (one.path.name, str(one.path)))


def _seen(
    wanted: Sequence[Wanted],
    reading: Reading,
    failed: list[tuple[str, Exception]],
    watcher: Watcher,
) -> list[Wanted]:
    """Those that are scenes, each with what tells of its place, and closed again."""
    found = []
    plain = replace(reading, mask=(), mask_out=())
    for number, one in enumerate(wanted):
        if one.scene is not None:
            found.append(one)
            continue
        try:
            scene = open_found(one.found, plain, _Warned(watcher))
        except HsiSslError as error:
            if len(wanted) == 1:
                raise
            failed.append((str(one.path), error))
            continue
        if scene is not None:
            with scene:
                found.append(replace(one, sight=_sight(scene)))
        watcher.progress("where scenes lie", number + 1, len(wanted))
    if not found and not failed:
        raise nothing_found([str(one.path) for one in wanted])
    return found


class _Warned(Watcher):
    """Hears warnings alone: notes are told where a scene is mapped."""

    def __init__(self, watcher: Watcher) -> None:
        self.warn = watcher.warn  # type: ignore[method-assign]


def _sight(scene: Scene) -> Scene:
    """What of a scene tells where it lies, without what takes memory for each band."""
    return replace(
        scene, wavelengths_nm=None, fwhm_nm=None, good=np.ones(0, bool), units=None, layers={},
        label_reader=None, notes=(),
    )  # fmt: skip


def _sights(wanted: Sequence[Wanted]) -> list[Scene]:
    return [one.sight for one in wanted if one.sight is not None]


def _without_namesakes(
    wanted: list[Wanted],
    settings: ClassifySettings,
    failed: list[tuple[str, Exception]],
    watcher: Watcher,
) -> list[Wanted]:
    """The same without files of a folder that are no cubes, where a cube has the same name."""
    twice = {name for name, n in Counter(one.name for one in wanted).items() if n > 1}
    if not any(one.name in twice and one.found.searched for one in wanted):
        return wanted
    doubtful = [one for one in wanted if one.name in twice and one.sight is None]
    seen = {one.path for one in _seen(doubtful, settings.reading, failed, watcher)}
    return [one for one in wanted if one not in doubtful or one.path in seen]


def nothing_found(paths: Sequence[str]) -> SceneNotFoundError:
    """The error where not one file is a cube."""
    return SceneNotFoundError(f"no cube can be read in {', '.join(paths[:SHOWN])}")
