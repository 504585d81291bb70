"""netCDF with a variable a band, as ACOLITE and SNAP write it, is a cube."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from band_plane_files import NM, write_acolite
from delivered import bent, on_grid, reflectance

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.products import product_at

GROUND = on_grid(10, 12)


@pytest.mark.parametrize("south_up", [False, True])
def test_planes_by_wavelength_at_their_place(tmp_path: Path, south_up: bool) -> None:
    path = write_acolite(tmp_path / "PRISMA_L2R.nc", GROUND, south_up=south_up)
    with open_scene(path) as scene:
        assert scene.format == "netCDF of ACOLITE"
        assert (scene.rows, scene.cols, scene.bands) == (10, 12, 20)
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM)
        expected = reflectance(GROUND.codes, NM).astype(np.float32)
        np.testing.assert_array_equal(scene.read(), expected)
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        assert scene.grid.transform is not None
        left, top = GROUND.x[0, 0] - 15, GROUND.y[0, 0] + 15
        np.testing.assert_allclose(scene.grid.transform, (30, 0, left, 0, -30, top))
        assert scene.grid.crs is not None
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2021-05-01T10:10:10.500000+00:00"
        assert "bands are those of rhos; --variable chooses another: rhot" in scene.notes
    with open_scene(path, variable="rhot") as scene:
        np.testing.assert_array_equal(scene.read(), expected * 2)
    with pytest.raises(SceneError, match="several quantities"):
        open_scene(write_acolite(tmp_path / "q.nc", GROUND, quantities=("one", "other")))
    with pytest.raises(SceneError, match=r"no bands of chl; .* rhos \(20 bands\), rhot"):
        open_scene(path, variable="chl")


def test_pixels_with_latitudes_and_longitudes(tmp_path: Path) -> None:
    path = write_acolite(tmp_path / "swath.nc", bent(10, 12), projected=False)
    with open_scene(path) as scene:
        assert scene.grid.transform is None
        assert scene.grid.geolocation is not None
        assert scene.grid.geolocation.x.shape == (10, 12)


def test_snap_calls_wavelengths_otherwise(tmp_path: Path) -> None:
    path = write_acolite(tmp_path / "snap.nc", GROUND, quantities=("reflectance",), snap=True)
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, atol=1e-4)
        np.testing.assert_allclose(scene.fwhm_nm, 9.5)


def test_what_is_no_cube_of_planes(tmp_path: Path) -> None:
    path = write_acolite(tmp_path / "a.nc", GROUND)
    with h5py.File(path, "a") as file:
        file["cube"] = np.ones((10, 12, 5))
    assert product_at(path) is None  # the cube is what is meant
    path = write_acolite(tmp_path / "b.nc", GROUND, quantities=("rhos",))
    with h5py.File(path, "a") as file:
        attributes = dict(file["rhos_vnir_403"].attrs)
        del file["rhos_vnir_403"]
        file["rhos_vnir_403"] = np.ones((5, 6), np.float32)
        file["rhos_vnir_403"].attrs["wavelength"] = attributes["wavelength"]
    with pytest.raises(SceneError, match=r"rhos_vnir_403 \(5, 6\).*bands of one size and type"):
        open_scene(path)
