"""Class maps on disk, ours and those of others: their values by windows, their names, their areas.

A map is a raster of one band whose values are codes; 0, its nodata value and NaN stand for "not
classified". What values mean is told by what lies in or beside it (`labels.legends`), in our maps
by the tag CLASSES too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.transform import Affine

from hsi_ssl.closing import Closes
from hsi_ssl.errors import SceneError
from hsi_ssl.labels.codes import Nothing, Numbering
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.legends import CLASSES_TAG, legend_of, tagged_names
from hsi_ssl.labels.looking import MASKED_TAG
from hsi_ssl.labels.no_class import is_no_class
from hsi_ssl.reports.figures import paint
from hsi_ssl.reports.html import picture_uri
from hsi_ssl.reports.thumbnails import see_through, shrinking
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers.envi import data_of
from hsi_ssl.scenes.readers.gdal_opening import looked_into
from hsi_ssl.scenes.scene import Array, Grid, Scene

SIDE = 900
"""Longest side of a map's picture in cells, at most."""
WINDOW = 2**22
"""Pixels of a map that are counted at a time."""
SQUARE_METRES = 10_000
"""In a hectare."""

Numbers = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class ClassMap(Closes):
    """An open map. Close it, or use it in a `with`.

    `names` and `colours` are what it says of its values; `declared` are the names that our own
    maps carry in themselves, also of classes that no label set has (rejected pixels, groups that
    were discovered); `zero`: it declares another value to stand for nothing, so that 0 may be a
    class. `notes`: what was guessed.
    """

    path: Path
    scene: Scene = field(repr=False)
    tags: Mapping[str, str] = field(repr=False)
    names: Mapping[int, str]
    colours: Mapping[int, str]
    declared: Mapping[int, str]
    zero: bool
    notes: tuple[str, ...]
    _nothing: Nothing = field(repr=False)
    _numbering: Numbering = field(default_factory=Numbering, repr=False)

    @property
    def rows(self) -> int:
        """Pixels downwards."""
        return self.scene.rows

    @property
    def cols(self) -> int:
        """Pixels across."""
        return self.scene.cols

    @property
    def grid(self) -> Grid:
        """Where they lie."""
        return self.scene.grid

    @cached_property
    def pixels(self) -> dict[int, int]:
        """How many pixels have each value that occurs, those that stand for nothing left out.

        Counted by windows, whatever the map's size. From then on `values` is whole.

        Raises
        ------
        SceneError
            A value is no code; the file is broken.
        """
        counts = np.zeros(1, np.int64)
        for rows, cols in self.scene.windows(WINDOW):
            more = np.bincount(self.window(rows, cols).ravel())
            size = max(len(counts), len(more))
            counts = np.pad(counts, (0, size - len(counts)))
            counts[: len(more)] += more
        return {
            value: int(n)
            for value, n in zip(self._numbering.values, counts[1:].tolist(), strict=True)
        }

    @property
    def values(self) -> list[int]:
        """Values met so far, in the order of the numbers 1, 2, ... that `window` gives."""
        return self._numbering.values

    def window(self, rows: slice, cols: slice) -> Numbers:
        """Numbers `(r, c)` of the values of a window, 0 where there is none.

        Raises
        ------
        SceneError
            A value is no code; the file is broken.
        """
        found = self.scene.read(rows, cols)[..., 0]
        self._refuse_measurements(found, rows.start, cols.start)
        return self._numbering.of(found, self._nothing, self.path, (rows.start, cols.start))

    def _refuse_measurements(self, values: Array, row: int, col: int) -> None:
        if values.dtype.kind == "u" or not values.size:
            return
        bad = values < 0
        if values.dtype.kind == "f":
            bad |= (values != np.floor(values)) | np.isinf(values)
            bad &= ~np.isnan(values)
            if self._nothing.nodata is not None:
                bad &= values != values.dtype.type(self._nothing.nodata)
        if not bad.any():
            return
        # Of what stands for nothing there may be much, of other values none.
        for value in np.unique(values[bad]).tolist():
            if not self._nothing.holds(value):
                place = np.argwhere(values == value)[0] + [row, col]
                raise SceneError(
                    f"{self.path} is no class map: it holds {value:g} at row {place[0]}, column "
                    f"{place[1]}; expected whole numbers from 0 (not classified) on; declare what "
                    "stands for nothing as its nodata value, or name a class map"
                )

    def picture(self, label_set: LabelSet, code_of: Mapping[int, int]) -> str:
        """Draw the map from its overviews, in the colours of a label set; as a data URI.

        `code_of`: the code of each value that is a class.
        """
        step = shrinking(self.rows, self.cols, SIDE)
        thin = np.arange(0, self.rows, step), np.arange(0, self.cols, step)
        raw = self.scene.thinned(*thin, [0])[..., 0]
        # Overviews of other programs may hold means of codes: these are no class.
        values, where = np.unique(raw, return_inverse=True)
        codes = [code_of.get(value, UNLABELLED_CODE) for value in values.tolist()]
        plane = np.array(codes, np.int64)[where].reshape(raw.shape)
        return picture_uri(see_through(paint(plane, label_set), plane > 0))

    @property
    def hectares(self) -> float | None:
        """Of a pixel; None without a projected CRS and a transform."""
        if self.grid.crs is None or self.grid.transform is None:
            return None
        crs = CRS.from_wkt(self.grid.crs)
        if not crs.is_projected:
            return None
        metres = float(crs.linear_units_factor[1])
        across = abs(float(Affine(*self.grid.transform).determinant))
        return across * metres**2 / SQUARE_METRES

    def close(self) -> None:
        """Release the file."""
        self.scene.close()


def open_class_map(path: Path, ignore: tuple[int, ...] = ()) -> ClassMap:
    """Open a class map; the values of `ignore` stand for nothing.

    Raises
    ------
    SceneNotFoundError, SceneError
        The file is missing, broken, or has several bands.
    LabelError
        What tells its names is broken.
    """
    scene = open_scene(path)
    try:
        if scene.bands != 1:
            raise SceneError(
                f"{path} has {scene.bands} bands, a class map has one: name a class map, such as "
                "`hsi-ssl classify` writes"
            )
        tags = _tags(path)
        declared = tagged_names(tags.get(CLASSES_TAG, "{}"))
        legend = legend_of(path)
        names = {**legend.names, **declared}
        empty = sorted(v for v, name in names.items() if v and is_no_class(name))
        zero = scene.nodata is not None and scene.nodata != UNLABELLED_CODE
        zero &= not is_no_class(names.get(UNLABELLED_CODE, "a class"))
        zero &= UNLABELLED_CODE not in ignore
        return ClassMap(
            path,
            scene,
            tags,
            {v: n for v, n in names.items() if v not in empty and (v or zero)},
            legend.colours,
            declared,
            zero,
            _notes(path, names, empty, tags.get(MASKED_TAG)),
            Nothing(scene.nodata, (*ignore, *empty), zero),
        )
    except BaseException:
        scene.close()
        raise


def _notes(
    path: Path, names: Mapping[int, str], empty: list[int], masks: str | None
) -> tuple[str, ...]:
    notes = []
    if empty:
        called = (f"{value} ({names[value]})" for value in empty)
        notes.append(f"{path.name}: {listed(called, len(empty))} is taken as not classified")
    if masks:
        notes.append(
            f"{path.name} was made under a mask ({masks}): areas are those of what was looked at"
        )
    return tuple(notes)


def _tags(path: Path) -> dict[str, str]:
    """What `classify` wrote into a map: MODEL_SHA256, LABEL_SET, SETTINGS, CLASSES."""
    try:
        with looked_into(data_of(path)) as raster:
            found: dict[str, str] = raster.tags()
            return found
    except SceneError:  # compressed ENVI data, say: nothing of ours
        return {}
