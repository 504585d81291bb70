"""Where what a map or a dataset names lies, and what a map says of itself.

Files are looked for as they are named there, from the current folder, and from the folder of the
map or run and those above it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.datasets.whereabouts import is_same, missing_in_words, place_of, within
from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.files import fingerprint
from hsi_ssl.json_text import parsed
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelClass
from hsi_ssl.labels.legends import CLASSES_TAG, tagged_names
from hsi_ssl.labels.sources import in_catalog, resolve
from hsi_ssl.maps.class_map import named_as_map
from hsi_ssl.maps.mosaic import is_mosaic
from hsi_ssl.maps.rasters import unlocated
from hsi_ssl.maps.records import scene_recorded
from hsi_ssl.plain import checked
from hsi_ssl.scenes.laid_back import laid_back, on_map_grid_of
from hsi_ssl.scenes.names import name_of, short_name
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.product import Overlap, Quality
from hsi_ssl.scenes.products import product_at
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import Watcher

FOLDERS_ABOVE = 3
"""Runs lie in `runs/` of a project, maps in it or in a folder of it."""


def maps_in(path: Path) -> list[Path]:
    """The maps that a mosaic shows together, or the map itself."""
    if not is_mosaic(path) or not path.is_file():
        return [path]
    with unlocated(), rasterio.open(path) as raster:
        found = [Path(name) for name in raster.files if named_as_map(Path(name))]
    return found or [path]


def bases_of(target: Path) -> list[Path]:
    """Folders from which relative paths may have been meant."""
    return [Path(), *target.resolve().parents[:FOLDERS_ABOVE]]


def first_there(path: Path | str, bases: Iterable[Path]) -> Path | None:
    """The first of the bases' files or folders of that name that is there."""
    return next((base / path for base in bases if (base / path).exists()), None)


def sources_of(dataset: Dataset, bases: list[Path], watcher: Watcher) -> list[Path]:
    """The scenes that a dataset was made of, those that are there.

    Raises
    ------
    SceneNotFoundError
        None is.
    """
    found = []
    gone = []
    for number, source in enumerate(dataset.meta["sources"]):
        path = place_of(source, dataset) or first_there(source["path"], bases)
        if path is None or not _may_be_scene(path):
            gone.append(number)
        else:
            found.append(path)
    if not found:
        raise SceneNotFoundError(
            f"none of the scenes of {dataset.path} is there; name one with --scene, or the folder "
            "that holds them with --data"
        )
    if gone:
        watcher.warn(f"left out: {missing_in_words(dataset, gone)}")
    return found


def places_of(
    name: str | None, settings: dict[str, Any], dataset: Dataset | None, bases: list[Path]
) -> list[Path]:
    """Files that may be the scene `name` of a map: as classified, beside the map, as learnt."""
    if not name:
        return []
    given = [Path(s) for s in settings.get("scenes", ())]
    wanted = [path for path in given if _is_called(path, name)]
    # Of a product another member may have been given, or its folder.
    wanted += [place for path in given for place in (path / name, path.parent / name)]
    wanted += [Path(name)]
    if dataset is not None:
        for source in dataset.meta["sources"]:
            path = Path(source["path"])
            if _is_called(path, name):
                wanted.append(place_of(source, dataset) or path)
    found = (first_there(path, bases) for path in wanted)
    places = [path for path in found if path is not None and _may_be_scene(path)]
    if not places:
        for source in filter(in_catalog, dict.fromkeys(settings.get("scenes", ()))):
            with resolve([source], labelled=False) as known:
                places += [s.scene.path for s in known.scenes if _is_called(s.scene.path, name)]
    return places


def scene_places(
    path: Path,
    tags: dict[str, str],
    settings: dict[str, Any],
    scene: Path | None,
    dataset: Dataset | None,
    data: Iterable[Path],
) -> list[Path]:
    """Where the scene of a map may lie, the likeliest place first; there is one at least.

    The one given; else as `places_of`; else in the folders `data`, as `places_in`.

    Raises
    ------
    SceneNotFoundError
        It is nowhere there.
    SceneError
        The folders hold only others of its name.
    """
    name = tags.get("SCENE")
    places = [scene] if scene else places_of(name, settings, dataset, bases_of(path))
    places = places or places_in(data, name, path)
    if not places:
        raise SceneNotFoundError(
            f"the scene that {path} was made of, {name or 'which it does not name'}, is not there; "
            "name it with --scene, or the folder that holds it with --data"
        )
    return places


def places_in(folders: Iterable[Path], name: str | None, map_path: Path) -> list[Path]:
    """Files of the folders that are the scene `name` of a map, by what its record tells of it.

    Raises
    ------
    SceneError
        There are only others of that name.
    """
    found = [path for folder in folders for path in within(folder, name)] if name else []
    found = [path for path in found if _may_be_scene(path)]
    known = scene_recorded(map_path)
    same = [path for path in found if known is None or is_same(path, known)]
    if found and not same:
        raise SceneError(
            f"{found[0]} is another file than the {name} that {map_path} was made of: name the "
            "folder of that one with --data, or, to see the map over this one, give --scene"
        )
    return same


def _may_be_scene(path: Path) -> bool:
    """Whether it is a file, or a folder that is a scene, such as a Zarr store."""
    return path.is_file() or product_at(path) is not None


def _is_called(path: Path, name: str) -> bool:
    """Whether a file has that name, with or without its ending, or without all from a dot on."""
    return name in (path.name, name_of(path), short_name(path.name))


def opened_map(path: Path) -> Scene:
    """A class map as a raster of one band.

    Raises
    ------
    SceneNotFoundError, SceneError
        It is not there, or no raster of one band of codes.
    """
    raster = open_scene(path)
    if raster.bands == 1 and raster.dtype.kind in "iu":
        return raster
    raster.close()
    raise SceneError(
        f"{path} is no class map: expected one band of codes, found {raster.bands} of "
        f"{raster.dtype}; `hsi-ssl classify` makes one"
    )


def opened_scene(
    path: Path, settings: dict[str, Any], dataset: Dataset | None, watcher: Watcher
) -> Scene:
    """A scene, with the variable, axes, wavelengths and scale that it was opened with before.

    Raises
    ------
    SceneNotFoundError, SceneError
        It is not there or cannot be read.
    """
    meta = {} if dataset is None else dataset.meta["settings"]
    wavelengths = settings.get("wavelengths")
    return (
        resolve(
            [str(path)],
            reading=Reading(
                settings.get("variable") or meta.get("variable"),
                Path(wavelengths) if wavelengths and Path(wavelengths).exists() else None,
                settings.get("scale") or meta.get("scale"),
                axes=settings.get("axes") or meta.get("axes"),
                overlap=settings.get("overlap") or meta.get("overlap") or "both",
                quality=settings.get("quality") or meta.get("quality") or "lenient",
                nodata=meta.get("nodata") if settings.get("nodata") is None else settings["nodata"],
            ),
            labelled=False,
            watcher=watcher,
        )
        .scenes[0]
        .scene
    )


def on_pixels(path: Path, raster: Scene, scene: Scene) -> Scene:
    """A map, or a layer of it, pixel by pixel as its scene is seen.

    Where it lies on the map grid of the scene's lookup table, it is laid back on the pixels.

    Raises
    ------
    SceneError
        It is not of that scene.
    """
    if scene.ortho is not None and on_map_grid_of(scene, raster):
        return laid_back(raster, scene.ortho, (scene.rows, scene.cols))
    if (raster.rows, raster.cols) != (scene.rows, scene.cols):
        raise SceneError(
            f"{path} has {raster.rows} x {raster.cols} pixels, {scene.path} has {scene.rows} x "
            f"{scene.cols}: it was made of another scene; name that one with --scene"
        )
    return raster


def pixels_by_code(raster: Scene) -> dict[int, int]:
    """How many pixels of a class map have each code that occurs."""
    codes, counts = np.unique(raster.read(), return_counts=True)
    return dict(zip(codes.tolist(), counts.tolist(), strict=True))


def number_in(scene: Scene, dataset: Dataset | None) -> int | None:
    """A scene's number in the dataset, by its content."""
    if dataset is None or not scene.path.is_file():
        return None
    prints = [source["fingerprint"] for source in dataset.meta["sources"]]
    own = fingerprint(scene.path)
    return prints.index(own) if own in prints else None


def tags_of(path: Path) -> dict[str, str]:
    """What `classify` wrote into a map: SCENE, MODEL, SETTINGS and so on; as `opened_map`."""
    with opened_map(path), unlocated(), rasterio.open(path) as raster:
        found: dict[str, str] = raster.tags()
        return found


@dataclass(frozen=True)
class _Opening:
    """Of the settings of `classify` in a map: those that its scene is opened with again."""

    scenes: list[str] = field(default_factory=list)
    variable: str | None = None
    wavelengths: str | None = None
    axes: str | None = None
    overlap: Overlap | None = None
    quality: Quality | None = None
    nodata: float | None = None


def settings_of(path: Path, tags: dict[str, str]) -> dict[str, Any]:
    """The settings that a map was made with.

    Raises
    ------
    SceneError
        They are broken.
    """
    try:
        settings: dict[str, Any] = parsed(tags.get("SETTINGS") or "{}")
        checked(_Opening, settings)
    except ValueError as error:
        raise SceneError(f"{path}: its tag SETTINGS is broken ({error}); classify again") from error
    return settings


def legend_of(path: Path) -> tuple[list[LabelClass], dict[int, int] | None]:
    """A map's classes and pixels by code: of the CSV beside it, else of its palette."""
    try:
        with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        counts = {int(row["code"]): int(row["pixels"]) for row in rows}
        named = [row for row in rows if int(row["code"]) != UNLABELLED_CODE]
        return [LabelClass(int(r["code"]), r["name"], r["colour"]) for r in named], counts
    except (OSError, KeyError, ValueError):
        pass
    with unlocated(), rasterio.open(path) as raster:
        names = tagged_names(raster.tags().get(CLASSES_TAG, "{}"))
        try:
            palette = raster.colormap(1)
        except ValueError:
            return [], None
    return [
        LabelClass(
            code, names.get(code, f"class {code}"), "#{:02x}{:02x}{:02x}".format(*colour[:3])
        )
        for code, colour in palette.items()
        if code != UNLABELLED_CODE and (code in names or any(colour[:3]))
    ], None
