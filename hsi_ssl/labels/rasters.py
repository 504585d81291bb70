"""Label rasters of any format: read by windows where GDAL reads them, with place and names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hsi_ssl.closing import Closes
from hsi_ssl.errors import LabelError, SceneError
from hsi_ssl.labels import texts
from hsi_ssl.labels.arrays import PLANE, plane_of
from hsi_ssl.labels.codes import checked_codes
from hsi_ssl.labels.forms.unread import not_read
from hsi_ssl.labels.inside import array_in
from hsi_ssl.labels.legends import Legend, legend_file, legend_of
from hsi_ssl.scenes.opening import is_raster, open_scene, plane_grid, read_plane
from hsi_ssl.scenes.readers import geotiff
from hsi_ssl.scenes.readers.envi import data_of
from hsi_ssl.scenes.readers.gdal_opening import looked_into
from hsi_ssl.scenes.scene import Array, Grid, Scene

NO_LEGEND = Legend({}, {}, None)
MOST_PLANES = 1000
"""Bands of a raster that has one a class: of more it is a cube, or broken."""


@dataclass(frozen=True)
class LabelRaster(Closes):
    """A plane of raw values `(rows, cols)`, read by windows. Close it, or use it in a `with`.

    `nodata` is the value that the file declares to stand for nothing; `legend` has names and
    colours by raw value; `notes` is what was guessed. Where the file holds class names, `named` are
    these, and raw values count them from 1; they are good for this raster alone, and it has no
    legend.
    """

    path: Path
    rows: int
    cols: int
    grid: Grid
    window: Callable[[slice, slice], Array] = field(repr=False)
    nodata: float | None = None
    legend: Legend = NO_LEGEND
    notes: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    close: Callable[[], None] = field(default=lambda: None, repr=False)


def open_label_raster(
    path: Path,
    *,
    variable: str | None = None,
    shape: tuple[int, int] | None = None,
    legend: Path | None = None,
) -> LabelRaster:
    """Open a label raster; several bands are taken as one-hot planes or as a picture's colours.

    Parameters
    ----------
    variable
        As in `read_plane`; the path may name it too, `file.mat:name`.
    shape
        Rows and columns of the scene, which tell what an array without a place may be.
    legend
        File with names and colours that the user gives, instead of those that lie in or beside the
        raster; not asked of class names.

    Raises
    ------
    LabelError
        It is no plane of labels; the legend is broken.
    SceneNotFoundError, SceneError
        As in `open_scene`.
    """
    path, inside = array_in(Path(path))
    variable = variable or inside
    if (why := not_read(path)) is not None:
        raise LabelError(why)
    if not is_raster(path):
        values, nodata = read_plane(path, variable, shape)
        in_text = values.dtype.kind in texts.KINDS
        numbers = texts.numbered(values, path) if in_text else texts.Numbered(values)
        names = NO_LEGEND if numbers.names else _legend(path, legend)
        found = _of_array(
            path,
            numbers.values,
            shape,
            names,
            nodata=nodata,
            order=_order(path),
            grid=plane_grid(path, variable, shape) if values.ndim == PLANE else None,
        )
        return replace(found, named=numbers.names, notes=(*found.notes, *numbers.notes))
    scene = open_scene(path, variable=variable)
    try:
        names = _legend(path, legend)
        if scene.bands == 1:
            return LabelRaster(
                path,
                scene.rows,
                scene.cols,
                scene.grid,
                lambda rows, cols: scene.read(rows, cols)[..., 0],
                scene.nodata,
                names,
                close=scene.close,
            )
        if scene.bands > MOST_PLANES:
            raise LabelError(
                f"{path} has {scene.bands} bands; expected labels in one band, colours, or a band "
                f"for each of {MOST_PLANES} classes at most"
            )
        with scene:
            return _of_array(
                path,
                geotiff.colours(scene),
                (scene.rows, scene.cols),
                names,
                nodata=scene.nodata,
                grid=scene.grid,
                bands=_band_names(path),
            )
    except BaseException:
        scene.close()
        raise


def _legend(path: Path, given: Path | None) -> Legend:
    return legend_of(path) if given is None else legend_file(given)


def own_raster(scene: Scene) -> LabelRaster | None:
    """The label plane in a scene's own file, at the scene's place; None where there is none."""
    plane = scene.label_plane()
    if plane is None:
        return None
    values, nodata = plane
    shape = scene.rows, scene.cols
    legend = legend_of(scene.path)
    return _of_array(scene.path, values, shape, legend, nodata=nodata, grid=scene.grid)


def _of_array(
    path: Path,
    values: Array,
    shape: tuple[int, int] | None,
    legend: Legend,
    *,
    nodata: float | None,
    grid: Grid | None = None,
    order: Literal["C", "F"] = "C",
    bands: tuple[str, ...] = (),
) -> LabelRaster:
    plane = plane_of(values, shape, path=path, order=order, legend=legend, band_names=bands)
    rows, cols = plane.values.shape
    return LabelRaster(
        path,
        rows,
        cols,
        grid or Grid(),
        lambda r, c: plane.values[r, c],
        nodata,
        plane.legend,
        plane.notes,
    )


def _order(path: Path) -> Literal["C", "F"]:
    """MATLAB runs down columns."""
    return "F" if path.suffix.lower() == ".mat" else "C"


def _band_names(path: Path) -> tuple[str, ...]:
    try:
        with looked_into(data_of(path)) as raster:
            return tuple(name or "" for name in raster.descriptions)
    except SceneError:  # compressed, say
        return ()


def read_label_plane(
    path: Path,
    *,
    variable: str | None = None,
    shape: tuple[int, int] | None = None,
    ignore: tuple[int, ...] = (),
) -> npt.NDArray[np.int64]:
    """Codes `(rows, cols)` of a label raster of any format, as they are in the file.

    Class names count from 1 in their order. NaN, the raster's nodata value and the codes in
    `ignore` become 0; in IDX files the digit 0 becomes 10 (see `readers.idx`).

    Parameters
    ----------
    variable
        As in `read_plane`; the path may name it too, `file.mat:name`.
    shape
        Rows and columns of the scene that the labels belong to.

    Raises
    ------
    LabelError
        Another shape than the scene's, several bands, or values that are no codes.
    SceneNotFoundError, SceneError
        As in `open_scene`.
    """
    with open_label_raster(path, variable=variable, shape=shape) as raster:
        return plane_codes(raster, ignore=ignore, shape=shape)


def plane_codes(
    raster: LabelRaster, *, ignore: tuple[int, ...] = (), shape: tuple[int, int] | None = None
) -> npt.NDArray[np.int64]:
    """Codes of an open label raster, as `read_label_plane` gives them.

    Raises
    ------
    LabelError
        As there.
    """
    values = raster.window(slice(0, raster.rows), slice(0, raster.cols))
    return checked_codes(values, path=raster.path, nodata=raster.nodata, ignore=ignore, shape=shape)


def own_labels(scene: Scene) -> npt.NDArray[np.int64] | None:
    """Codes `(rows, cols)` of the label plane in a scene's own file, None where there is none.

    Raises
    ------
    LabelError
        It holds values that are no codes.
    """
    plane = scene.label_plane()
    return None if plane is None else checked_codes(plane[0], path=scene.path, nodata=plane[1])
