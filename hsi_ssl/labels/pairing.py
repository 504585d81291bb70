"""Which of the user's label files are for which scene: by their names, else by their place."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.finding import (
    CUBES,
    LABELS,
    OUR_MAP,
    PICTURES,
    is_our_mask,
    links_in_words,
    links_to_nothing,
)
from hsi_ssl.labels.forms.shape_sets import ZIP, sets_in
from hsi_ssl.labels.inside import array_in
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.vectors import is_part, is_vector, vector_file
from hsi_ssl.scenes.names import name_of, short_name
from hsi_ssl.scenes.readers.envi import find_header
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.watcher import SILENT, Watcher

OTHERS = {".img", ".txt", ".rst"}
"""Suffixes of rasters that are labels where they lie in a folder of labels, with those known."""
FIRST = re.compile(r"(labels?|gt|ground[-_ ]?truth|annotations?|masks?)[-_ .]+(.*)", re.IGNORECASE)
"""Words for labels at the beginning of a name: `label_001`."""
_NUMBERED = re.compile(r"\.\d")
OF_SCENES = re.compile(
    r"(?:(?:images?|img|scenes?|cubes?|hsi|data)[-_ .]+)?(.*?)"
    r"(?:[-_ .]+(?:images?|img|scenes?|cubes?|hsi|data))?",
    re.IGNORECASE,
)
"""Words for scenes about a name: `image_001`, `tile_3_cube`."""


def label_files(
    given: Sequence[Path], option: str, watcher: Watcher = SILENT, *, masks: bool = False
) -> dict[Path, bool]:
    """The label files of what the user names: files, folders, patterns such as `labels/*.tif`.

    True for those that were met in a folder or by a pattern, which need not be for any scene.
    Masks that hsi-ssl proposed lie in folders beside labels and are none; with `masks` they are
    what is looked for.

    Raises
    ------
    LabelError
        A folder holds none, a pattern fits none.
    VectorError
        A ZIP holds no shapefile.
    """
    found: dict[Path, bool] = {}
    for path in given:
        if path.is_dir() and not is_vector(path):
            inside = sorted(p for p in path.iterdir() if p.is_file() and _may_be_labels(p, masks))
            if lost := links_to_nothing(path):
                watcher.warn(f"{option}: left out {links_in_words(lost)}")
            if not inside:
                raise LabelError(
                    f"{option}: no label raster and no vector layer in the folder {path}; name a "
                    "folder with labels"
                )
            found |= dict.fromkeys(inside, True)
        elif glob.has_magic(str(path)) and not path.exists() and not is_virtual(path):
            fit = _whole(sorted(map(Path, glob.glob(str(path)))))
            if not fit:
                raise LabelError(f"{option}: no file fits {path}; expected label files")
            found |= dict.fromkeys(fit, True)
        else:
            found |= dict.fromkeys(_whole([path]), False)
    return found


def _whole(paths: Sequence[Path]) -> list[Path]:
    """The same, with a shapefile in the place of its members, once.

    Raises
    ------
    VectorError
        A ZIP holds no shapefile.
    """
    for path in paths:
        if path.suffix.lower() == ZIP and path.is_file() and not is_vector(path):
            sets_in(path)  # says what there is
    return list(dict.fromkeys(vector_file(p) if is_part(p) else p for p in paths))


def _may_be_labels(path: Path, masks: bool) -> bool:
    if path.name.startswith(".") or path.suffix.lower() in {".hdr", ".qml", ".clr"}:
        return False
    if is_our_mask(path):  # or its picture or legend
        return masks and path.suffix.lower() in {".tif", ".tiff"}
    if is_vector(path):
        return not is_part(path)
    return path.suffix.lower() in CUBES | PICTURES | OTHERS or find_header(path) is not None


def paired(
    scenes: Sequence[Scene],
    files: Mapping[Path, bool],
    is_placed: Callable[[Path], bool],
    option: str,
    watcher: Watcher = SILENT,
    *,
    in_order: bool = True,
) -> list[list[tuple[Path, bool]]]:
    """The files of each scene, and whether each was chosen by place alone.

    A file that bears a scene's name is for that scene. Others are for all scenes that they lie on,
    where both have a place; for the only scene; or, where no name tells and there are as many as
    scenes, for one scene each in the order given, which is said, unless `in_order` is False.

    Raises
    ------
    LabelError
        Nothing tells which scene a file is for; a name fits several.
    """
    mine: list[list[tuple[Path, bool]]] = [[] for _ in scenes]
    rest = []
    for path in files:
        fit = named(path, scenes)
        if len(fit) > 1:
            names = (str(scenes[i].path) for i in fit)
            raise LabelError(
                f"{option}: {path} bears the name of several scenes ({listed(names, len(fit))}); "
                "call it after one of them"
            )
        if fit:
            mine[fit[0]].append((path, False))
        else:
            rest.append(path)
    lost = []
    for path in rest:
        if len(files) == 1 and len(scenes) == 1:
            mine[0].append((path, False))
        elif any(scene.grid.placed for scene in scenes) and is_placed(path):
            for scene, some in zip(scenes, mine, strict=True):
                if scene.grid.placed:
                    some.append((path, True))
        else:
            lost.append(path)
    if not lost:
        return mine
    if any(mine) and all(files[path] for path in lost):
        watcher.say(
            f"{option}: left out {listed(lost, len(lost))}: no scene is called so, and nothing "
            "tells where they lie"
        )
        return mine
    if len(scenes) == 1 and not any(mine):
        return [[(path, False) for path in lost]]
    if in_order and len(lost) == len(scenes) and not any(mine):
        pairs = (f"{p.name} for {s.path.name}" for p, s in zip(lost, scenes, strict=True))
        watcher.warn(
            f"{option}: no name and no place tells which labels are for which scene; taken in the "
            f"order given: {listed(pairs, len(lost))}"
        )
        return [[(path, False)] for path in lost]
    scene = scenes[0]
    raise LabelError(
        f"{option}: nothing tells which of {len(scenes)} scenes {listed(lost, len(lost))} is for: "
        f"expected files with the scenes' names ({scene.name}_labels{lost[0].suffix}), with a "
        "place, or one a scene"
    )


class Named(Protocol):
    """What has a name that files may bear."""

    @property
    def name(self) -> str:
        """Without suffixes."""


def named(path: Path, scenes: Sequence[Named]) -> list[int]:
    """Numbers of the scenes whose name a label file bears, exactly or but for such words.

    Where none is so, that of the only scene of which one of the two has a longer name, from a dot
    on: `scene.v2.tif` for `scene.h5`, but not `flight.2.tif` for `flight.h5`, or for `flight.1.h5`.
    """
    stem = name_of(vector_file(array_in(path)[0])).lower()
    fit = _bearing(stem, [scene.name.lower() for scene in scenes])
    if fit or _NUMBERED.search(stem):
        return fit
    short = _bearing(short_name(stem), [short_name(scene.name.lower()) for scene in scenes])
    return [i for i in short if len(short) == 1 and ("." not in stem or "." not in scenes[i].name)]


def _bearing(stem: str, names: Sequence[str]) -> list[int]:
    """Numbers of the names that a label file's bears."""
    exact = [i for i, name in enumerate(names) if name == stem]
    if exact:
        return exact
    key = _plain(stem)
    fit = [i for i, name in enumerate(names) if name == key]
    if fit or not key:
        return fit
    return [i for i, name in enumerate(names) if _scene_key(name) == key]


def _plain(stem: str) -> str:
    """The name of a label file without words for labels."""
    if match := LABELS.fullmatch(stem):
        stem = match[1]
    elif match := FIRST.fullmatch(stem):
        stem = match[2]
    return stem.removesuffix(OUR_MAP).strip("-_ .")


def _scene_key(name: str) -> str:
    match = OF_SCENES.fullmatch(name)
    return (match[1] if match else name).strip("-_ .")
