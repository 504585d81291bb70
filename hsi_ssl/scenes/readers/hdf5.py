"""HDF5: the 2016 drill-core cubes, and any file with one cube in it.

The 2016 layout: `/hsimage/data` (rows, cols, bands) uint16 and `/hsimage/labels` (rows, cols);
further label planes may lie beside. In any other file `axes.py` decides which axis of the only
three-dimensional array holds the bands. MATLAB's v7.3 files are HDF5 with all axes reversed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.axes import (
    BANDS,
    COLS,
    ROWS,
    Asked,
    Decided,
    Dimension,
    Order,
    decide,
)
from hsi_ssl.scenes.format import Format
from hsi_ssl.scenes.measured import Decoding, decoding
from hsi_ssl.scenes.origins import Origins
from hsi_ssl.scenes.readers import matlab_cells, matlab_sparse
from hsi_ssl.scenes.readers.boxes import BoxReader, memory_order
from hsi_ssl.scenes.readers.cf import number_type
from hsi_ssl.scenes.readers.cf_grid import Placed, UpsideDown, placed, turned
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.readers.hdf5_file import BROKEN, left_open, objects_in, opened
from hsi_ssl.scenes.readers.hdf5_metadata import (
    attributes_of,
    band_facts_of,
    dimensions_of,
    grid_mapping_of,
    is_netcdf,
    measured_of,
    units_of_cube,
    wavelength_vectors,
)
from hsi_ssl.scenes.readers.laid_out import LaidOutReader
from hsi_ssl.scenes.scene import Array, CubeReader, Grid, Scene
from hsi_ssl.scenes.times import Taken, time_among
from hsi_ssl.scenes.wavelengths import with_facts

MATLAB, DRILL_CORE = "MATLAB", "drill-core HDF5"
DRILL_CORE_CUBE = "hsimage/data"
DRILL_CORE_LABELS = "hsimage/labels"
LARGEST_CACHE, SMALLEST_CACHE = 400 * 2**20, 2**20
"""Bytes of unpacked chunks kept; HDF5's own choice is the smaller."""
FULLY_READ_FIRST = 0.75
"""Share of a cache's chunks among which those that were read whole give way first. With 1 HDF5
removes none that were read in part (`findings/chunk-cache-without-end.sh`)."""
LARGEST_CHUNK = 2**30
"""Bytes of a packed chunk, unpacked."""
LARGE_PLANE = 2**16
"""Pixels of a chunk that windows take in parts."""
NUMBERS = "iufb"
"""Kinds of numpy types that are numbers (or yes and no, in a label plane)."""


def open_cube(
    path: Path,
    variable: str | None = None,
    asked: Asked = Asked(),  # noqa: B008
    *,
    reverse: bool = False,
) -> Scene:
    """Open the cube `variable`, by default the only one of the file; with `reverse`, MATLAB's axes.

    Raises
    ------
    SceneError
        The file is broken; it holds no cube or several; the cube has not three dimensions; an axis
        is a series; what the file says leaves two orders of the axes.
    SceneNotFoundError
        It holds no `variable`.
    """
    with opened(path) as file:
        arrays = numeric_arrays(file, reverse=reverse)
        if variable is None and len(arrays.get(DRILL_CORE_CUBE, ())) == CUBE:
            variable = DRILL_CORE_CUBE
        name = _chosen(arrays, variable, path=path, dimensions=CUBE, reverse=reverse)
        cube = file[name]
        dimensions = dimensions_of(cube, reverse=reverse)
        decided = _decided(file, cube, arrays, dimensions, asked, reverse=reverse)
        rows, cols, bands = decided.sizes(arrays[name])
        where = placed(dimensions, decided, grid_mapping_of(cube))
        taken = time_among(file.attrs)
        stored = number_type(attributes_of(cube), cube.dtype)
        native = stored.newbyteorder("=")
        how = decoding(native, [measured_of(cube, native, default=is_netcdf(file))] * bands)
        facts = band_facts_of(file, cube, arrays, bands, dimensions[decided.order.index(BANDS)])
        labels = _own_labels(name, arrays, decided, reverse=reverse)
        axes: Order = decided.order[::-1] if reverse else decided.order
        scene_of = partial(
            Scene,
            path=path,
            format=MATLAB if reverse else DRILL_CORE if name == DRILL_CORE_CUBE else "HDF5",
            rows=rows,
            cols=cols,
            bands=bands,
            dtype=how.dtype,
            nodata=how.nodata,
            units=units_of_cube(cube, bands),
            grid=where.grid,
            acquired=taken.at,
            label_reader=None
            if labels is None
            else partial(
                read_plane, path, _shown(labels, reverse), reverse=reverse,
                as_cube=decided, upside_down=where.upside_down,
            ),
            notes=(*decided.notes, *where.notes),
            origins=_origins(decided, how, where, taken),
        )  # fmt: skip
    reader = cube_reader(path, name, axes)
    inner: CubeReader = UpsideDown(reader, rows) if where.upside_down else reader
    scene = scene_of(reader=how.through(inner), block=reader.piece[:2])
    return with_facts(scene, facts)


def _origins(decided: Decided, how: Decoding, place: Placed, taken: Taken) -> Origins:
    return Origins(
        axes=decided.origin,
        nodata=how.origin,
        crs=place.crs_from,
        transform=place.transform_from,
        acquired=taken.origin,
    )


def read_plane(
    path: Path,
    variable: str | None = None,
    shape: tuple[int, int] | None = None,
    *,
    reverse: bool = False,
    as_cube: Decided | None = None,
    upside_down: bool = False,
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label plane, and its nodata value.

    Without `variable`, the 2016 layout's labels or the only plane (of `shape`, if given); of
    MATLAB's (`reverse`) also one of texts. A plane of which the file does not tell the axes lies as
    the cube beside it, whose axes are `as_cube` and whose first row is its last, if `upside_down`.

    Raises
    ------
    SceneError, SceneNotFoundError
        As for cubes.
    """
    with opened(path) as file:
        name, is_text = _plane(file, path, variable, shape, reverse=reverse)
        plane = file[name]
        if is_text:
            return matlab_cells.texts(file, name, path).T, None
        values = np.asarray(
            matlab_sparse.values(plane) if matlab_sparse.is_sparse(plane) else plane[()]
        )
        values = values.view(number_type(attributes_of(plane), values.dtype))
        # No default fill value: of labels it would say that their 0 is a class.
        how = decoding(values.dtype, [measured_of(plane, values.dtype)])
        values = how.clean(values[..., None])[..., 0]
        values = values.T if reverse else values
        own = None if reverse else _plane_place(plane, path)
        if own is not None:
            as_cube, upside_down = own[0], own[1].upside_down
        if as_cube is not None:
            values = turned(values, as_cube, upside_down=upside_down)
        return values, how.nodata


def plane_grid(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> Grid:
    """Where the pixels of a label plane lie, by its own coordinates; errors as for planes."""
    with opened(path) as file:
        name, _ = _plane(file, path, variable, shape, reverse=False)
        own = _plane_place(file[name], path)
        return Grid() if own is None else own[1].grid


def _plane(
    file: h5py.File,
    path: Path,
    variable: str | None,
    shape: tuple[int, int] | None,
    *,
    reverse: bool,
) -> tuple[str, bool]:
    """Name of the label plane that is meant, and whether it holds texts."""
    arrays = numeric_arrays(file, reverse=reverse)
    if variable is None and len(arrays.get(DRILL_CORE_LABELS, ())) == PLANE:
        variable = DRILL_CORE_LABELS
    texts = matlab_cells.shapes(file) if reverse else {}
    texts = {_shown(n, reverse): found for n, found in texts.items()}
    choosing = partial(
        _chosen, path=path, dimensions=PLANE, reverse=reverse, shape=shape, texts=texts
    )
    try:
        name = choosing(arrays, variable)
    except (SceneError, SceneNotFoundError):  # MATLAB's yes and no only where nothing else is
        more = numeric_arrays(file, reverse=reverse, logical=True)
        if more == arrays:
            raise
        name = choosing(more, variable)
    return name, _shown(name, reverse) in texts


def _plane_place(plane: h5py.Dataset, path: Path) -> tuple[Decided, Placed] | None:
    """Axes and place of a plane; None where the file does not tell its axes."""
    dimensions = dimensions_of(plane)
    if len(dimensions) != PLANE or all(one.role not in (ROWS, COLS) for one in dimensions):
        return None
    name = plane.name.strip("/")
    dimensions = [*dimensions, Dimension(1, "band")]
    decided = decide((*plane.shape, 1), Asked(), of=name, path=path, dimensions=dimensions)
    return decided, placed(dimensions, decided, grid_mapping_of(plane))


def _chosen(
    arrays: dict[str, tuple[int, ...]],
    variable: str | None,
    *,
    path: Path,
    dimensions: int,
    reverse: bool,
    shape: tuple[int, int] | None = None,
    texts: dict[str, tuple[int, ...]] | None = None,
) -> str:
    """Name in the file of the array meant; MATLAB's have points where HDF5's have slashes."""
    if reverse and variable is not None:
        variable = _shown(variable.strip("/"), reverse)
    shown = {_shown(name, reverse): found for name, found in arrays.items()}
    name = choose(shown, variable, path=path, dimensions=dimensions, shape=shape, texts=texts)
    return name.replace(".", "/") if reverse else name


def _shown(name: str, reverse: bool) -> str:
    return name.replace("/", ".") if reverse else name


def _decided(
    file: h5py.File,
    cube: h5py.Dataset,
    arrays: dict[str, tuple[int, ...]],
    dimensions: Sequence[Dimension],
    asked: Asked,
    *,
    reverse: bool,
) -> Decided:
    name = cube.name.strip("/")
    first, second, third = arrays[name]
    shown = _shown(name, reverse)
    planes = {n: found for n, found in arrays.items() if len(found) == PLANE and min(found) > 1}
    return decide(
        (first, second, third),
        asked,
        of=shown,
        path=Path(file.filename),
        dimensions=dimensions,
        vectors=[(_shown(n, reverse), size) for n, size in wavelength_vectors(file, cube, arrays)],
        planes={_shown(n, reverse): found for n, found in planes.items()},
    )


def _own_labels(
    name: str, arrays: dict[str, tuple[int, ...]], decided: Decided, *, reverse: bool
) -> str | None:
    """The plane `labels` beside a cube; of MATLAB's, the only plane of its shape."""
    sizes = tuple(n for n, axis in zip(arrays[name], decided.order, strict=True) if axis != BANDS)
    if reverse:
        planes = [n for n, shape in arrays.items() if shape == sizes]
        return planes[0] if len(planes) == 1 else None
    labels = "/".join((*name.split("/")[:-1], "labels"))
    return labels if arrays.get(labels) in (sizes, sizes[::-1]) else None


def numeric_arrays(
    file: h5py.File, *, reverse: bool = False, logical: bool = False
) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all arrays of numbers in the file; MATLAB's logical ones only if asked."""
    found: dict[str, tuple[int, ...]] = {}
    for name, item in objects_in(file).items():
        if reverse and matlab_sparse.is_sparse(item) and not name.startswith("#"):
            size = matlab_sparse.shape(item)
            if min(size) > 1:
                found[name] = size
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in NUMBERS or not item.size:
            continue
        if not reverse:
            found[name] = tuple(item.shape)
        elif matlab_cells.is_numbers(name, item, logical=logical):
            found[name] = tuple(item.shape[::-1])
    return found


def cube_reader(path: Path, name: str, axes: Order) -> BoxReader:
    """A reader of the array `name`, whose axes are `axes`, of an HDF5 file.

    Raises
    ------
    SceneError
        The file cannot be opened.
    """
    with opened(path) as file:
        cube = file[name]
        offset = _plain_offset(cube)
        stored = number_type(attributes_of(cube), cube.dtype)
        rows, cols, bands = (cube.shape[axes.index(axis)] for axis in (ROWS, COLS, BANDS))
    if offset is not None:
        return FlatReader(path, (rows, cols, bands), stored, offset=offset, axes=axes)
    reader = ChunkReader(path, name, axes=axes)
    return LaidOutReader(path, reader, reader.piece) if reader.unpacks_again else reader


class ChunkReader(BoxReader):
    """A cube stored in chunks, compressed or not: read through HDF5, each chunk about once."""

    def __init__(self, path: Path, name: str, *, axes: tuple[int, int, int]) -> None:
        self._path = path
        self._axes = axes
        with left_open(path) as self._file:
            self._cube = _cached(self._file, name, axes)
            chunks = self._cube.chunks or (1, *self._cube.shape[1:])
            # Where in the file's order rows, columns and bands are.
            places = [axes.index(axis) for axis in range(3)]
            shape, piece = (
                (sizes[places[0]], sizes[places[1]], sizes[places[2]])
                for sizes in (self._cube.shape, chunks)
            )
            self._stored = number_type(attributes_of(self._cube), self._cube.dtype)
            packed = self._cube.id.get_create_plist().get_nfilters() > 0
            if packed and np.prod(chunks, dtype=float) * self._cube.dtype.itemsize > LARGEST_CHUNK:
                raise SceneError(
                    f"{path} holds {name} in chunks of {' x '.join(map(str, chunks))} numbers, "
                    f"each of which is unpacked whole: expected at most {LARGEST_CHUNK // 2**30} "
                    "GB; repack it with smaller ones (h5repack -l)"
                )
            self.unpacks_again = packed and _kept(self._cube, axes) > LARGEST_CACHE
            """Whether windows unpack a chunk again that others have met."""
        super().__init__(shape, self._stored.newbyteorder("="), piece)

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        wanted = (rows, cols, bands)
        try:
            stored = self._cube[tuple(wanted[axis] for axis in self._axes)]
        except BROKEN as error:
            raise SceneError(
                f"{self._path} is broken: part of its cube cannot be read ({error}); "
                "get the file again"
            ) from error
        order = memory_order(self._axes)
        stored = stored.view(self._stored).transpose([self._axes.index(axis) for axis in order])
        found = np.ascontiguousarray(stored, self.dtype)
        return found.transpose([order.index(axis) for axis in range(3)])

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _cached(file: h5py.File, name: str, axes: Order) -> h5py.Dataset:
    """A cube with room for those of its chunks that windows meet more than once.

    Windows that are parts of a chunk, a whole band say, would each unpack it whole: of packed
    chunks those of all bands at one place are kept. Of chunks that are not packed each would read
    the whole into HDF5's own room: without any, HDF5 reads the parts that are wanted.
    """
    cube = file[name]
    if cube.chunks is None:
        return cube
    rows, cols, bands = (axes.index(axis) for axis in (ROWS, COLS, BANDS))
    deep = -(-cube.shape[bands] // cube.chunks[bands])
    if cube.id.get_create_plist().get_nfilters():
        size = max(SMALLEST_CACHE, _kept(cube, axes))
        if size > LARGEST_CACHE:
            return cube
    elif axes[2] == COLS and cube.chunks[rows] * cube.chunks[cols] >= LARGE_PLANE:
        size = 0
    else:
        return cube
    full_name = cube.name.encode()
    del cube  # one that is open would lend its cache to whoever opens it again
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    # Slots: a prime well above the chunks kept, or two that share one would push each other out.
    access.set_chunk_cache(max(10_007, 100 * deep + 1), size, FULLY_READ_FIRST)
    return h5py.Dataset(h5py.h5d.open(file.id, full_name, access))


def _kept(cube: h5py.Dataset, axes: Order) -> int:
    """Bytes of the chunks of all bands at one place."""
    if cube.chunks is None:
        return 0
    bands = axes.index(BANDS)
    deep = -(-cube.shape[bands] // cube.chunks[bands])
    return int(deep * np.prod(cube.chunks)) * int(cube.dtype.itemsize)


def _plain_offset(cube: h5py.Dataset) -> int | None:
    """Where in the file the cube's bytes begin, if they lie there in one piece as they are."""
    if cube.chunks is not None or cube.external is not None or cube.is_virtual:
        return None
    if cube.dtype.kind == "b":  # an enumeration, which only HDF5 should translate
        return None
    offset: int | None = cube.id.get_offset()
    return offset


FORMAT = Format("HDF5", lambda head: head.hdf5, open_cube, read_plane, open_cube, plane_grid)
