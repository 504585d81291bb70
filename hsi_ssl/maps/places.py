"""Where maps go: a file for each scene and label set, and what stands in the way, told at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from hsi_ssl.errors import SettingsError
from hsi_ssl.files import refuse_taken
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.maps.class_map import (
    MAP_ENDING,
    Layer,
    is_envi,
    named_as_map,
    outputs,
    refuse_inputs,
)
from hsi_ssl.maps.envi import ENVI_SUFFIX, refuse_sheared
from hsi_ssl.maps.mosaic import is_mosaic
from hsi_ssl.maps.stac import item_path
from hsi_ssl.scenes.scene import Grid

Format = Literal["geotiff", "envi"]
SUFFIXES: dict[Format, str] = {"geotiff": ".tif", "envi": ENVI_SUFFIX}


class Called(Protocol):
    """What a scene's map is named after."""

    @property
    def path(self) -> Path:
        """The scene's file."""

    @property
    def name(self) -> str:
        """The file's name without endings."""


def map_paths(
    scenes: Sequence[Called],
    output: Path | None,
    format: Format | None = None,
    ending: str = MAP_ENDING,
) -> list[Path]:
    """Where the maps of the scenes go; `ending` is put to a scene's name to name its map.

    `output` is a file if it is named `.tif`, `.tiff` or `.img`, else a folder; None is the current
    one, and that of a mosaic `m.vrt` is `m`. In a folder, a map is called `<scene>_classes.tif`, or
    `.img` in the format envi; a scene's name is its file's without endings (`name_of`), or, where
    two would be the same, without the last one alone.

    Raises
    ------
    SettingsError
        Two maps would be one file; the file is named as of the other format, or of none.
    """
    if output is not None and named_as_map(output) and not output.is_dir():
        if len(scenes) > 1:
            raise SettingsError(f"{len(scenes)} scenes and one map {output}: name a folder instead")
        if format is not None and is_envi(output) != (format == "envi"):
            suffix = SUFFIXES[format]
            raise SettingsError(
                f"a map of format {format} ends in {suffix}: name it {output.stem}{suffix} rather "
                f"than {output.name}, or choose the other format"
            )
        return [output]
    if output is not None and is_mosaic(output):
        output = output.with_suffix("")
    elif output is not None and output.suffix[1:].isalpha() and not output.is_dir():
        raise SettingsError(
            f"expected a map (.tif, .img), a mosaic (.vrt) or a folder as output, found {output}: "
            f"name it {output.stem}.tif, or make the folder first"
        )
    names = [scene.name for scene in scenes]
    if len(set(names)) < len(names):
        names = [scene.path.stem for scene in scenes]
    ending = Path(ending).stem + SUFFIXES[format or "geotiff"]
    maps = [(output or Path()) / f"{name}{ending}" for name in names]
    for i, path in enumerate(maps):
        if path in maps[:i]:
            first = scenes[maps.index(path)]
            raise SettingsError(
                f"the maps of {first.path} and {scenes[i].path} would both be {path}: "
                "take them one by one with -o"
            )
    return maps


def of_label_set(path: Path, label_set: LabelSet, label_sets: int) -> Path:
    """Where the map of one of so many label sets goes; that of the only one at `path` itself."""
    return path if label_sets == 1 else path.with_name(f"{path.stem}_{label_set.name}{path.suffix}")


def claims_of(maps: Sequence[Path], layers: Sequence[Layer] = ()) -> list[Path]:
    """What is to be claimed for maps: their rasters, and for all formats the GeoTIFF's name.

    Maps of one name in two formats share legend, style and picture.
    """
    rasters = [outputs(path, layers)[name] for path in maps for name in ("map", *layers)]
    return [*rasters, *(path.with_suffix(SUFFIXES["geotiff"]) for path in maps)]


def check_place(
    path: Path,
    layers: Sequence[Layer],
    grid: Grid,
    inputs: Sequence[Path],
    *,
    stac: bool,
    overwrite: bool,
) -> None:
    """Refuse a map, or its STAC item, that could not be written, before any work is done.

    Raises
    ------
    OutputError
        A file of the map exists and may not be replaced, or is one of `inputs`; the format cannot
        tell the grid.
    """
    files = [*outputs(path, layers, grid).values(), *([item_path(path)] if stac else [])]
    refuse_inputs(files, inputs)
    refuse_taken(files, overwrite)
    if is_envi(path):
        refuse_sheared(grid, path)
