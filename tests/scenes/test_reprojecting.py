"""Points that are no places do not cost the others theirs."""

from __future__ import annotations

import numpy as np
from rasterio.crs import CRS

from hsi_ssl.scenes.reprojecting import reprojected

DEGREES, UTM = CRS.from_epsg(4326), CRS.from_epsg(32633)


def test_what_is_no_place_is_infinite_and_the_others_are_where_they_are() -> None:
    lon = [13.0, 13.1, np.nan, 1e4, 14.0]
    lat = [51.0, 91.0, 51.0, 51.0, 52.0]
    x, y = reprojected(DEGREES, UTM, lon, lat)
    assert np.isfinite(x).tolist() == [True, False, False, False, True]
    back = reprojected(UTM, DEGREES, x, y)
    np.testing.assert_allclose(np.stack(back)[:, [0, 4]], [[13, 14], [51, 52]], atol=1e-9)


def test_a_point_that_proj_refuses_costs_itself_alone() -> None:
    x = np.array([400_000.0, 1e300, 500_000.0, -1e200])
    lon, lat = reprojected(UTM, DEGREES, x, np.full(4, 5e6))
    assert np.isfinite(lon).tolist() == [True, False, True, False]
    assert np.isfinite(lat[[0, 2]]).all()


def test_no_points_at_all() -> None:
    assert [len(one) for one in reprojected(DEGREES, UTM, [], [])] == [0, 0]
