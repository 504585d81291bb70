"""From a path to a scene or a label plane: the file's own first bytes tell its format."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import DamagedSceneError, SceneError, SceneNotFoundError
from hsi_ssl.scenes.axes import Asked, order_of, told_by_itself
from hsi_ssl.scenes.fills import without_value
from hsi_ssl.scenes.format import Format, Head
from hsi_ssl.scenes.product import Overlap, Product, Quality, Wanted
from hsi_ssl.scenes.products import product_at, product_in, refuse_folder
from hsi_ssl.scenes.products.stac_item import lacks_item
from hsi_ssl.scenes.readers import FORMATS, geotiff
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.scene import Array, Grid, Scene
from hsi_ssl.scenes.units import scaled_by
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.scenes.wavelength_tables import csv_facts
from hsi_ssl.scenes.wavelengths import companion_facts, with_facts

NO_PLACE = "not a number, infinite, or of no area"
FEWEST_POINTS = 3
"""Control points that tell a place, a direction and a size."""


def open_scene(
    path: Path,
    *,
    variable: str | None = None,
    wavelengths: Path | None = None,
    axes: str | None = None,
    overlap: Overlap = "both",
    quality: Quality = "lenient",
    nodata: float | None = None,
) -> Scene:
    """Open a cube of any format or product, lazily; elsewhere than here, one that GDAL reads.

    Elsewhere is on a server or in an archive. A product may be named by its folder, its metadata or
    any of its members.

    Parameters
    ----------
    variable
        Name of the array inside an HDF5, MATLAB or netCDF file that holds several.
    wavelengths
        A CSV for files that do not tell (see `csv_facts`); one that does is believed.
    axes
        What the axes of the array are, such as `bands,rows,cols`, for formats that do not say it
        (HDF5, netCDF, MATLAB, NumPy); None: what evidence tells (see `axes.py`).
    overlap, quality
        How products are read: see `product.Wanted`.
    nodata
        A raw value that stands for nothing measured, beside those that the file tells.

    Raises
    ------
    SettingsError
        `axes` are not these three words.
    SceneNotFoundError
        There is no such file, or no `variable` in it.
    SceneError
        The file is empty, broken, of no known format, holds no cube or several; it is netCDF or
        HDF5 on a server or in an archive; `wavelengths` are not one a band; which axis of a cube
        holds its bands remains open; its numbers cannot be `nodata`.
    """
    path = Path(path)
    order = None if axes is None else order_of(axes)
    belongs = product_in if path.is_dir() else product_at
    member = None if is_virtual(path) else belongs(path, variable)
    asked = Asked(order, partial(_as_many, path, wavelengths))
    if member is not None:
        product = member.product
        scene = product.open_cube(member.main, Wanted(overlap, quality, variable, asked))
        unused = _unused(scene, product, overlap, quality)
        told = order is not None and not product.turned
        return _with_asked(scene, told, wavelengths, nodata, unused)
    chosen = _format(path)
    if chosen.open_turned is not None:
        scene = chosen.open_turned(path, variable, asked)
    else:
        scene = chosen.open_cube(path, variable)
    try:
        if scene.format != geotiff.ENVI:  # there the header is the scene's own
            scene = with_facts(scene, companion_facts(path, scene.bands))
    except BaseException:
        scene.close()
        raise
    told = order is not None and chosen.open_turned is None
    unused = _unused(scene, None, overlap, quality)
    lacking = lacks_item(path)
    unused = (*unused, *([lacking] if lacking else []))
    return _with_asked(scene, told, wavelengths, nodata, unused)


def open_as(path: Path, reading: Reading, variable: str | None = None) -> Scene:
    """Open a cube as a user wants it read, but for masks; raises as `open_scene`.

    `variable`: the array that is meant where he names none.
    """
    scene = open_scene(
        path,
        variable=reading.variable or variable,
        wavelengths=reading.wavelengths,
        axes=reading.axes,
        overlap=reading.overlap,
        quality=reading.quality,
        nodata=reading.nodata,
    )
    return scene if reading.scale is None else scaled_by(scene, reading.scale)


def _unused(
    scene: Scene, product: Product | None, overlap: Overlap, quality: Quality
) -> tuple[str, ...]:
    """What is to be told of settings that change nothing about a scene."""
    found = []
    if overlap != "both" and not (product is not None and product.detectors):
        found.append(
            f"{scene.path.name} does not tell which detector measured which band: --overlap is not "
            "used"
        )
    if quality == "strict" and not (product is not None and product.flags):
        found.append(f"{scene.path.name} has no quality layers: --quality strict hides nothing")
    return tuple(found)


def _with_asked(
    scene: Scene,
    axes_told: bool,
    wavelengths: Path | None,
    nodata: float | None,
    unused: tuple[str, ...],
) -> Scene:
    """The scene with the user's wavelengths where it has none of its own, and his nodata value.

    `axes_told`: it tells its own axes, which the user gives too. `unused`: what else is told of
    settings. Closed where that fails.
    """
    scene = _soundly_placed(scene)
    notes, name = (*scene.notes, *unused), scene.path.name
    if axes_told:
        notes = (*notes, told_by_itself(name))
    if wavelengths is not None and scene.wavelengths_nm is not None:
        notes = (*notes, f"{name} tells its own wavelengths: {wavelengths} is not used")
        wavelengths = None
    try:
        scene = replace(scene, notes=notes)
        if nodata is not None:
            scene = without_value(scene, nodata)
        if wavelengths is None:
            return scene
        return with_facts(scene, csv_facts(wavelengths, scene.bands))
    except BaseException:
        scene.close()
        raise


def _soundly_placed(scene: Scene) -> Scene:
    """The scene without a place that is none: of numbers that are not finite, say."""
    grid, notes = scene.grid, []
    if grid.transform is not None:
        a, b, _, d, e, _ = grid.transform
        area = a * e - b * d
        if not np.isfinite(grid.transform).all() or not np.isfinite(area) or not area:
            notes.append(f"what it tells of the place of its pixels is no place ({NO_PLACE})")
            grid = replace(grid, transform=None)
    points = [p for p in grid.control_points if np.isfinite((p.row, p.col, p.x, p.y, p.z)).all()]
    if len(points) < len(grid.control_points):
        notes.append(f"some of its ground control points are none ({NO_PLACE})")
        grid = replace(grid, control_points=tuple(points))
    if 0 < len(grid.control_points) < FEWEST_POINTS:
        notes.append(f"fewer than {FEWEST_POINTS} ground control points place nothing")
        grid = replace(grid, control_points=())
    if not notes:
        return scene
    said = tuple(f"{scene.path.name}: {note}: not used" for note in notes)
    origins = scene.origins if grid.placed else replace(scene.origins, transform=None)
    return replace(scene, grid=grid, origins=origins, notes=(*scene.notes, *said))


def _as_many(path: Path, wavelengths: Path | None, size: int) -> bool:
    """Whether the user's wavelengths, or those of a header beside a file, are so many."""
    if wavelengths is not None:
        with contextlib.suppress(SceneError):
            return csv_facts(wavelengths, size).wavelengths_nm is not None
        return False
    return companion_facts(path, size).wavelengths_nm is not None


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a raster of any format, and its nodata value.

    `variable` names the array inside an HDF5 or MATLAB file; by default `/hsimage/labels`, or the
    only plane (of `shape`).

    Raises
    ------
    LabelError
        It has several bands.
    SceneNotFoundError, SceneError
        As in `open_scene`.
    """
    path = Path(path)
    return _format(path).read_plane(path, variable, shape)


def plane_grid(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> Grid:
    """Where a plane lies that `read_plane` gives, where its file tells; arguments and errors alike.

    Of rasters (see `is_raster`) the scene tells it.
    """
    path = Path(path)
    told = _format(path).plane_grid
    return Grid() if told is None else told(path, variable, shape)


def _format(path: Path) -> Format:
    """The format of a file by its first bytes; where those say nothing, by what lies beside it."""
    if is_virtual(path):
        return geotiff.FORMAT
    if path.is_dir():
        refuse_folder(path)
    try:
        with path.open("rb") as file:
            start = file.read(128)
        hdf5_inside = h5py.is_hdf5(path)
    except FileNotFoundError:
        raise SceneNotFoundError(f"no file {path}") from None
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        raise DamagedSceneError(f"{path} is empty; get the file again")
    head = Head(path, start, hdf5_inside)
    return next((one for one in FORMATS.values() if one.takes(head)), geotiff.FORMAT)


def is_raster(path: Path) -> bool:
    """Whether a file is read as a raster, by windows and with the place that it may have.

    Raises
    ------
    SceneNotFoundError, SceneError
        As in `open_scene`.
    """
    return _format(Path(path)).by_windows
