"""A cube in a Zarr store, version 2 or 3: a folder, as xarray, rioxarray or GeoZarr tools write it.

Read as netCDF is: dimensions by their names, CF's coordinates, packing and grid mappings; and by
the conventions that GeoZarr is made of, `proj:` (`proj:code`, `proj:wkt2`, `proj:projjson`) and
`spatial:` (`spatial:transform` a, b, c, d, e, f of pixel corners), of an array or of the group that
it lies in. zarr reads the chunks; it is optional (`pip install 'hsi-ssl[zarr]'`).

Where sources disagree
----------------------
`spatial:transform` is of corners unless `spatial:registration` is `node`, which older drafts do not
know. `grid_mapping` may be missing beside a variable `spatial_ref`, which rioxarray finds by its
name: so does this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.scenes.axes import Decided, Dimension
from hsi_ssl.scenes.measured import Measured, decoding
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.readers import cf
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.cf_file import CfFile, cf_units
from hsi_ssl.scenes.readers.cf_grid import Placed, UpsideDown, placed
from hsi_ssl.scenes.readers.choosing import CUBE, choose
from hsi_ssl.scenes.readers.laid_out import LaidOutReader
from hsi_ssl.scenes.readers.zarr_store import (
    MEMBERS,
    ZarrReader,
    ZarrVariable,
    is_store,
    opened,
)
from hsi_ssl.scenes.scene import CubeReader, Scene
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.wavelengths import with_facts

MAPPINGS = ("spatial_ref", "crs")
"""What grid mappings are called where no array names one."""
LARGE_CHUNK = 2**16
"""Pixels of a chunk above which windows would unpack it again and again, for zarr keeps none."""
SIX = 6


def main(candidate: Candidate) -> Path | None:
    """The folder of the store, or of a group or array in one, or that whose metadata is named."""
    path = candidate.path
    if candidate.is_folder:
        return path if is_store(path) else None
    return path.parent if path.name in MEMBERS else None


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open the cube named by `wanted.variable`, by default the only one of the store.

    Raises
    ------
    HsiSslError
        zarr is not installed.
    SceneError
        The store is broken; it holds no cube or several; evidence leaves two orders of its axes.
    SceneNotFoundError
        It holds no such variable.
    """
    store = _store_of(path)
    inside = "".join(f"{name}/" for name in path.relative_to(store).parts)
    file = opened(store)
    arrays = {name: shape for name, shape in file.arrays.items() if f"{name}/".startswith(inside)}
    cube = file.variables[choose(arrays, wanted.variable, path=path, dimensions=CUBE)]
    dimensions = file.dimensions(cube)
    decided = file.decided(cube, dimensions, wanted.asked)
    rows, cols, bands = decided.sizes(cube.shape)
    where = _placed(file, cube, dimensions, decided)
    native = cube.dtype.newbyteorder("=")
    how = decoding(native, [_measured(cube, native)] * bands)
    reader: BoxReader = ZarrReader(store, cube, decided.order)
    if reader.piece[0] * reader.piece[1] > LARGE_CHUNK:
        reader = LaidOutReader(path, reader, reader.piece)
    inner: CubeReader = UpsideDown(reader, rows) if where.upside_down else reader
    taken = time_among({**file.attributes, **cube.attributes})
    scene = Scene(
        path=path,
        format=f"Zarr {cube.array.metadata.zarr_format}",
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


def _measured(cube: ZarrVariable, dtype: np.dtype[Any]) -> Measured:
    """What is no measurement: by attributes, and by what unwritten chunks hold."""
    found = cf.measured_values(cube.attributes, dtype, default=False)
    if cube.unwritten is None or cube.unwritten in found.fills:
        return found
    said = (*found.said_by, "the array's fill_value")
    return replace(found, fills=(*found.fills, cube.unwritten), said_by=said)


def _placed(
    file: CfFile[ZarrVariable],
    cube: ZarrVariable,
    dimensions: list[Dimension],
    decided: Decided,
) -> Placed:
    """By coordinates and grid mapping; else by the conventions `proj:` and `spatial:`."""
    if not cube.attributes.get("grid_mapping"):
        name = next((one for one in MAPPINGS if file.near(cube, one) is not None), None)
        if name is not None:
            attributes = {**cube.attributes, "grid_mapping": name}
            cube = replace(cube, attributes=attributes)
    found = file.placed(cube, dimensions, decided)
    told = _conventions({**cube.around, **cube.attributes})
    if found.grid.crs is None and "crs_wkt" in told:
        again = placed(dimensions, decided, {"crs_wkt": told["crs_wkt"]})
        crs_from = Origin("the attributes proj: (GeoZarr)")
        if again.grid.transform is not None:
            return again._replace(crs_from=crs_from)
        if "GeoTransform" in told:
            by_both = placed([replace(one, values=None) for one in dimensions], decided, told)
            mapped = Origin("the attribute spatial:transform (GeoZarr)")
            return by_both._replace(
                crs_from=crs_from, transform_from=mapped, upside_down=found.upside_down
            )
    return found


def _conventions(attributes: Mapping[str, Any]) -> dict[str, str]:
    """GeoZarr's attributes as a grid mapping's."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    found = {}
    projjson = attributes.get("proj:projjson")
    for told in (
        attributes.get("proj:wkt2"),
        attributes.get("proj:code"),
        json.dumps(projjson) if isinstance(projjson, dict) else projjson,
    ):
        if isinstance(told, str) and "crs_wkt" not in found:
            try:
                found["crs_wkt"] = str(CRS.from_user_input(told).to_wkt())
            except (CRSError, ValueError):  # of `EPSG:` and no number
                continue
    numbers = attributes.get("spatial:transform", attributes.get("proj:transform"))
    if isinstance(numbers, list) and len(numbers) >= SIX:
        try:
            a, b, c, d, e, f = map(float, numbers[:SIX])
        except (TypeError, ValueError):
            return found
        if attributes.get("spatial:registration") == "node":
            c, f = c - (a + b) / 2, f - (d + e) / 2
        found["GeoTransform"] = f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"
    return found


def _store_of(path: Path) -> Path:
    """The outermost store: what belongs to an array lies around it."""
    while is_store(path.parent):
        path = path.parent
    return path


def members(path: Path) -> list[Path]:
    """The store in which an array lies."""
    store = _store_of(path)
    return [] if store == path else [store]


PRODUCT = Product("Zarr", main, open_cube, None, turned=True, flags=False, members=members)
