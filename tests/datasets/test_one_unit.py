"""Scenes of a dataset in one unit, through `prepare` on files that tell theirs in other ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hearing import Hears

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import UnitsError
from hsi_ssl.settings import PrepareSettings

ROWS, COLS, BANDS = 24, 24, 6
GAINS = np.linspace(1e-4, 2e-4, BANDS)
OFFSETS = np.linspace(-0.1, 0.0, BANDS)


def reflectance(seed: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    shapes = np.array([np.linspace(0.2, 0.6, BANDS), np.linspace(0.5, 0.3, BANDS)])
    classes = np.arange(COLS) * 2 // COLS
    found: npt.NDArray[np.float64] = shapes[classes] * rng.uniform(0.7, 1.3, (ROWS, COLS, 1))
    return found + rng.normal(0, 0.01, found.shape)


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """A dataset made of cubes, each with what it tells: scales, offsets, units of its bands."""

    def make(*cubes: tuple[npt.NDArray[Any], dict[str, Any]], **asked: Any) -> tuple[Dataset, str]:
        profile = {"driver": "GTiff", "height": ROWS, "width": COLS, "crs": "EPSG:32632"}
        names = []
        for i, (cube, told) in enumerate(cubes):
            place = rasterio.Affine(10, 0, 3e5 + i * 10 * COLS, 0, -10, 5e6)
            path = tmp_path / f"s{i}.tif"
            with rasterio.open(
                path, "w", count=BANDS, dtype=cube.dtype.name, transform=place, **profile
            ) as raster:
                raster.write(cube.transpose(2, 0, 1))
                for name, values in told.items():
                    setattr(raster, name, values)
            with rasterio.open(
                tmp_path / f"s{i}_labels.tif", "w", count=1, dtype="uint8", transform=place,
                **profile,
            ) as raster:  # fmt: skip
                raster.write(np.repeat((np.arange(COLS) * 2 // COLS + 1)[None], ROWS, 0), 1)
            names.append(str(path))
        hears = Hears()
        settings = PrepareSettings(
            sources=tuple(names), output=tmp_path / "d.h5", split="pixels", **asked
        )
        return prepare(settings, watcher=hears), hears.all

    return make


def digital(seed: int, scale: Any, offset: Any = 0.0) -> npt.NDArray[np.uint16]:
    found: npt.NDArray[np.uint16] = ((reflectance(seed) - offset) / scale).round().astype(np.uint16)
    return found


def told(scale: Any, offset: Any = 0.0) -> dict[str, Any]:
    one = np.ones(BANDS)
    return {"scales": list(scale * one), "offsets": list(offset * one)}


def test_numbers_stay_raw_where_all_files_tell_the_same(made: Any) -> None:
    dataset, _ = made(
        (digital(0, GAINS, OFFSETS), told(GAINS, OFFSETS)),
        (digital(1, GAINS, OFFSETS), told(GAINS, OFFSETS)),
    )
    assert dataset.spectra().dtype == np.uint16
    np.testing.assert_allclose(dataset.meta["numbers"]["scale"], GAINS)
    np.testing.assert_allclose(dataset.meta["numbers"]["offset"], OFFSETS)
    assert np.shape(dataset.meta["numbers"]["quantiles"]) == (7, BANDS)


def test_numbers_become_physical_where_files_tell_different_scales(made: Any) -> None:
    dataset, said = made(
        (digital(0, GAINS, OFFSETS), told(GAINS, OFFSETS)), (digital(1, 5e-5), told(5e-5))
    )
    assert "brought to one unit" in said
    spectra = dataset.spectra()
    assert spectra.dtype == np.float32
    for scene in (0, 1):
        rows = np.flatnonzero(dataset.scene == scene)
        wanted = reflectance(scene)[tuple(dataset.pixel[rows].T)]
        np.testing.assert_allclose(spectra[rows], wanted, atol=2e-4)
    np.testing.assert_array_equal(dataset.meta["numbers"]["scale"], 1)


def test_a_silent_file_is_in_the_raw_unit_of_the_others_if_its_numbers_are(made: Any) -> None:
    dataset, _ = made((digital(0, 1e-4), {}), (digital(1, 1e-4), told(1e-4)))
    assert dataset.spectra().dtype == np.uint16
    np.testing.assert_allclose(dataset.meta["numbers"]["scale"], 1e-4)


@pytest.mark.parametrize("tells", [{}, told(1e-2)])
def test_a_silent_file_in_another_unit_is_refused_with_the_factor(
    made: Any, tells: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UnitsError, match=r"s1\.tif are 10000 times those of .*s0\.tif"):
        made((reflectance(0).astype(np.float32), {}), (digital(1, 1e-4), tells))
    assert not (tmp_path / "d.h5").exists()


def test_a_silent_file_may_hold_what_the_others_scales_make_of_their_numbers(made: Any) -> None:
    """Reflectance as floats, of which no file tells a scale, beside integers that tell theirs."""
    dataset, said = made(
        (reflectance(0).astype(np.float32), {}),
        (digital(1, GAINS, OFFSETS), told(GAINS, OFFSETS)),
    )
    assert "brought to those of the scenes that tell none" in said
    spectra = dataset.spectra()
    for scene in (0, 1):
        rows = np.flatnonzero(dataset.scene == scene)
        wanted = reflectance(scene)[tuple(dataset.pixel[rows].T)]
        np.testing.assert_allclose(spectra[rows], wanted, atol=2e-4)
    np.testing.assert_array_equal(dataset.meta["numbers"]["scale"], 1)


def test_a_silent_file_beside_different_scales_is_refused(made: Any) -> None:
    with pytest.raises(UnitsError, match="tells no scale and the other scenes tell different"):
        made((digital(0, 1e-4), {}), (digital(1, 1e-4), told(1e-4)), (digital(2, 5e-5), told(5e-5)))


def test_reflectance_and_radiance_are_not_mixed(made: Any) -> None:
    units = {"units": ["reflectance"] * BANDS}, {"units": ["W m-2 sr-1 um-1"] * BANDS}
    with pytest.raises(UnitsError, match="expected scenes of one kind"):
        made((digital(0, 1e-4), units[0]), (digital(1, 1e-4), units[1]))


def test_a_scale_of_the_user_s_counts_for_all(made: Any) -> None:
    dataset, _ = made((digital(0, 1e-4), told(1e-4)), (digital(1, 1e-4), told(5e-5)), scale=1e-4)
    assert dataset.spectra().dtype == np.uint16
    np.testing.assert_allclose(dataset.meta["numbers"]["scale"], 1e-4)
    assert dataset.meta["numbers"]["source"] == "--scale 0.0001"


def test_numbers_that_their_scale_has_been_applied_to_are_refused(made: Any) -> None:
    tells = {**told(1e-4), "units": ["reflectance"] * BANDS}
    with pytest.raises(UnitsError, match=r"--scale 1 "):
        made((reflectance(0).astype(np.float32), tells))
    dataset, _ = made((reflectance(0).astype(np.float32), tells), scale=1.0)
    np.testing.assert_array_equal(dataset.meta["numbers"]["scale"], 1)
