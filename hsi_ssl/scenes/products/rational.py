"""Scenes in sensor geometry that are placed by rational polynomial coefficients (RPC).

They tell row and column of a place with its height. With the scene's mean height a place for each
pixel follows, which is off where the ground lies higher or lower. Terms are in the order of RPC00B
(NIMA, The Compendium of Controlled Extensions for NITF), which GDAL takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import rasterio
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from hsi_ssl.scenes.geolocation import Geolocation

EXACT = 0.001
"""Pixels by which a place that GDAL finds may be off; its own choice is a tenth."""
SMALLEST = 4
"""Rows and columns that a curve through a net needs."""
NODES = 33
"""Rows and columns of a net in which places are sought: in between they change evenly."""


def coefficients(told: Mapping[str, float | None]) -> RPC | None:
    """RPC of numbers named `ROW_OFF`, `ROW_NUM_01`, ...; None where one is missing."""
    named = {key.upper(): value for key, value in told.items() if value is not None}

    def twenty(name: str) -> list[float]:
        return [named[f"{name}_{i:02d}"] for i in range(1, 21)]

    try:
        return RPC(
            height_off=named["HEIGHT_OFF"], height_scale=named["HEIGHT_SCALE"],
            lat_off=named["LAT_OFF"], lat_scale=named["LAT_SCALE"],
            long_off=named["LONG_OFF"], long_scale=named["LONG_SCALE"],
            line_off=named["ROW_OFF"], line_scale=named["ROW_SCALE"],
            samp_off=named["COL_OFF"], samp_scale=named["COL_SCALE"],
            line_num_coeff=twenty("ROW_NUM"), line_den_coeff=twenty("ROW_DEN"),
            samp_num_coeff=twenty("COL_NUM"), samp_den_coeff=twenty("COL_DEN"),
        )  # fmt: skip
    except KeyError:
        return None


def placed_at(rpc: RPC, rows: int, cols: int, height: float) -> Geolocation | None:
    """Longitudes and latitudes of pixels on a plain at `height` metres; None where none is."""
    if min(rows, cols) < SMALLEST:
        return None
    down, along = (np.unique(np.linspace(0, size - 1, min(size, NODES))) for size in (rows, cols))
    row, col = (plane.ravel() for plane in np.meshgrid(down, along, indexing="ij"))
    with _transformer(rpc, height) as transformer:
        found = transformer.xy(row, col)  # whole numbers are centres, as in RPC00B
    x, y = (np.reshape(one, (len(down), len(along))).astype(np.float64) for one in found)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    from scipy.interpolate import RectBivariateSpline  # slow to import

    x, y = (
        np.asarray(RectBivariateSpline(down, along, plane)(np.arange(rows), np.arange(cols)))
        for plane in (x, y)
    )
    return Geolocation(x, y)


def offset(one: RPC, other: RPC, at: tuple[int, int], height: float) -> tuple[float, float]:
    """Rows and columns by which `other` sees the place at a pixel of `one` further on."""
    with _transformer(one, height) as first, _transformer(other, height) as second:
        x, y = (float(np.ravel(value)[0]) for value in first.xy([at[0]], [at[1]]))
        row, col = (float(np.ravel(value)[0]) for value in second.rowcol([x], [y], op=float))
    return row - at[0] - 0.5, col - at[1] - 0.5


@contextmanager
def _transformer(rpc: RPC, height: float) -> Iterator[RPCTransformer]:
    options = {"rpc_height": height, "rpc_pixel_error_threshold": EXACT}
    with rasterio.Env(), RPCTransformer(rpc, **options) as transformer:
        yield transformer
