"""netCDF-3: read past GDAL, whose driver knows one order of axes, so that all netCDF is one truth.

The variable that is a cube, what is said of it (see `cf_file.py`), where it lies (`cf_grid.py`) and
what of it is data (`cf.py`), as for netCDF-4 in `hdf5.py`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import PLAIN, Asked, Dimension, decide
from hsi_ssl.scenes.format import Format
from hsi_ssl.scenes.measured import decoding
from hsi_ssl.scenes.origins import Origins
from hsi_ssl.scenes.readers import cf
from hsi_ssl.scenes.readers.cf_file import CfFile, cf_units
from hsi_ssl.scenes.readers.cf_grid import UpsideDown, placed, turned
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.readers.classic import MAGIC, Header, Variable, header_of, values_of
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.scene import Array, CubeReader, Scene
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.wavelengths import with_facts


def open_cube(path: Path, variable: str | None = None, asked: Asked = Asked()) -> Scene:  # noqa: B008
    """Open the cube `variable`, by default the only one; of one band, where there are planes only.

    Raises
    ------
    SceneError
        The file is broken; it holds no cube or several; evidence leaves two orders of its axes.
    SceneNotFoundError
        It holds no `variable`.
    """
    header, file = _file(path)
    arrays = file.arrays
    try:
        name = choose(arrays, variable, path=path, dimensions=CUBE)
    except SceneError:
        if any(len(shape) == CUBE for shape in arrays.values()) and variable is None:
            raise
        name = choose(arrays, variable, path=path, dimensions=PLANE)
    cube = header.variables[name]
    if len(cube.shape) == PLANE:
        asked = Asked(PLAIN)
        cube = Variable(
            name, (*cube.dimensions, ""), (*cube.shape, 1), cube.dtype, cube.attributes,
            cube.offset, cube.step,
        )  # fmt: skip
    dimensions = file.dimensions(cube)
    decided = file.decided(cube, dimensions, asked)
    rows, cols, bands = decided.sizes(cube.shape)
    where = file.placed(cube, dimensions, decided)
    stored = cf.number_type(cube.attributes, cube.dtype)
    native = stored.newbyteorder("=")
    how = decoding(native, [cf.measured_values(cube.attributes, native, default=True)] * bands)
    reader = FlatReader(
        path, (rows, cols, bands), stored, offset=cube.offset, axes=decided.order, step=cube.step
    )
    inner: CubeReader = UpsideDown(reader, rows) if where.upside_down else reader
    planes = [
        n
        for n, v in header.variables.items()
        if n.lower() == "labels" and sorted(v.shape) == sorted((rows, cols))
    ]
    taken = time_among(header.attributes)
    scene = Scene(
        path=path,
        format="netCDF",
        rows=rows,
        cols=cols,
        bands=bands,
        dtype=how.dtype,
        reader=how.through(inner),
        nodata=how.nodata,
        units=cf_units(cube, bands),
        grid=where.grid,
        acquired=taken.at,
        block=reader.piece[:2],
        label_reader=partial(read_plane, path, planes[0]) if planes else None,
        notes=(*decided.notes, *where.notes),
        origins=Origins(
            axes=decided.origin,
            nodata=how.origin,
            crs=where.crs_from,
            transform=where.transform_from,
            acquired=taken.origin,
        ),
    )
    return with_facts(scene, file.band_facts(cube, dimensions, decided))


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label plane, north up, and its nodata value.

    Raises
    ------
    SceneError, SceneNotFoundError
        As for cubes.
    """
    header, file = _file(path)
    name = choose(file.arrays, variable, path=path, dimensions=PLANE, shape=shape)
    plane = header.variables[name]
    values = values_of(path, plane)
    values = values.view(cf.number_type(plane.attributes, values.dtype))
    # No default fill value: of labels it would say that their 0 is a class.
    how = decoding(
        values.dtype, [cf.measured_values(plane.attributes, values.dtype, default=False)]
    )
    values = how.clean(values[..., None])[..., 0]
    if values.ndim == PLANE:
        dimensions = [*file.dimensions(plane), Dimension(1, "band")]
        decided = decide((*values.shape, 1), Asked(), of=name, path=path, dimensions=dimensions)
        where = placed(dimensions, decided, None)
        values = turned(values, decided, upside_down=where.upside_down)
    return values, how.nodata


def _file(path: Path) -> tuple[Header, CfFile[Variable]]:
    """The header, and the file as `cf_file` sees it.

    Raises
    ------
    SceneError
        As `header_of`.
    """
    header = header_of(path)
    return header, CfFile(path, header.variables, header.attributes, partial(values_of, path))


FORMAT = Format(
    "netCDF-3",
    lambda head: head.start.startswith(MAGIC),
    open_cube,
    read_plane,
    open_cube,
    by_windows=True,
)
