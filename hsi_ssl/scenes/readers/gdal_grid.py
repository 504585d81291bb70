"""Where the pixels of a raster that GDAL has opened lie."""

from __future__ import annotations

from rasterio.io import DatasetReader

from hsi_ssl.scenes.scene import Grid, GroundPoint


def grid_of(dataset: DatasetReader) -> Grid:
    """CRS, transform, control points and RPCs, as far as it has them."""
    points, points_crs = dataset.gcps
    crs = dataset.crs or points_crs
    a, b, c, d, e, f = (value + 0.0 for value in dataset.transform[:6])  # no minus zeros
    # Where a file has no transform, rasterio gives the identity.
    placed = not dataset.transform.is_identity
    return Grid(
        crs=crs.to_wkt() if crs else None,
        transform=(a, b, c, d, e, f) if placed else None,
        control_points=tuple(
            GroundPoint(p.row, p.col, p.x, p.y, 0.0 if p.z is None else p.z) for p in points
        ),
        rpcs=dict(dataset.tags(ns="RPC")) or None,
    )
