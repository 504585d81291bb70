"""Small cubes and vector layers at places on the ground, as files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning

NORTH_UP = rasterio.Affine(30, 0, 365_000, 0, -30, 5_810_000)
"""Where `write_cube` puts its cubes, in UTM zone 33."""
DRIVERS = {
    ".gpkg": "GPKG",
    ".shp": "ESRI Shapefile",
    ".geojson": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".gdb": "OpenFileGDB",
    ".tab": "MapInfo File",
    ".mif": "MapInfo File",
    ".sqlite": "SQLite",
    ".geojsonl": "GeoJSONSeq",
}


def write_layer(
    path: Path,
    geometries: Sequence[Any],
    fields: dict[str, Sequence[Any]] | None = None,
    *,
    crs: str | None = "EPSG:32633",
    layer: str | None = None,
    kind: str = "Unknown",
    append: bool = False,
) -> Path:
    """Write geometries as a vector layer, by default with a field `class` of 1, 2, ..."""
    fields = {"class": range(1, len(geometries) + 1)} if fields is None else fields
    columns = [
        np.array(values, object if len(values) and isinstance(values[0], str | None) else None)
        for values in fields.values()
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a layer without CRS is what some tests want
        pyogrio.raw.write(
            path,
            shapely.to_wkb(np.array([*geometries, None], object)[:-1]),
            columns,
            list(fields),
            layer=layer,
            geometry_type=kind,
            crs=crs,
            driver=DRIVERS[path.suffix],
            append=append,
        )
    return path


def write_cube(
    path: Path,
    rows: int = 20,
    cols: int = 24,
    *,
    crs: str | None = "EPSG:32633",
    transform: rasterio.Affine | None = NORTH_UP,
    bands: int = 6,
    **more: Any,
) -> Path:
    """Write a small cube as a GeoTIFF; by default of 30 m pixels in UTM zone 33."""
    values = np.random.default_rng(0).integers(1, 4000, (bands, rows, cols)).astype(np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", height=rows, width=cols, count=len(values),
            dtype="uint16", crs=crs, transform=transform, **more,
        ) as file:  # fmt: skip
            file.write(values)
    return path


def on_ground(geometry: Any, transform: rasterio.Affine = NORTH_UP) -> Any:
    """Bring a geometry from pixel coordinates (x: column, y: row) to the ground of `write_cube`."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return shapely.transform(geometry, lambda xy: xy @ [[a, d], [b, e]] + [c, f])
