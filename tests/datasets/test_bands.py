from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hearing import Hears

from hsi_ssl.datasets.bands import in_bands_of_first, same_bands
from hsi_ssl.errors import BandsError
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Grid, Scene
from hsi_ssl.scenes.wavelengths import BandFacts, with_facts


def scene(*wavelengths: float) -> Scene:
    reader = ArrayReader(np.ones((2, 2, len(wavelengths))))
    bare = Scene(Path("x"), "test", *reader.shape, reader.dtype, reader)
    return with_facts(bare, BandFacts(np.array(wavelengths)))


def test_a_band_without_a_wavelength_is_no_other_band() -> None:
    scenes = [scene(400, np.nan, 600), scene(400, 500, 600), scene(400, np.nan, 600)]
    assert scenes[0].good.tolist() == [True, False, True]
    wavelengths, _ = same_bands(scenes)
    assert wavelengths is not None
    np.testing.assert_array_equal(wavelengths, [400, np.nan, 600])
    with pytest.raises(BandsError, match=r"band 3 lies at 600\.0 nm in x and at 700\.0 nm"):
        same_bands([*scenes, scene(400, np.nan, 700)])


def test_scenes_of_one_sensor_are_matched_within_a_nanometre_and_that_is_said() -> None:
    heard = Hears()
    nm = np.arange(400.0, 800.0, 10.0)
    first = replace(scene(*nm), path=Path("a.tif"))
    others = [replace(scene(*(nm + 0.3)), path=Path("b.tif")), scene(*(nm - 0.8))]
    wavelengths, _ = same_bands([first, *others], heard)
    assert wavelengths is not None
    np.testing.assert_array_equal(wavelengths, nm)
    assert heard.said == [
        "bands of 2 scenes lie up to 0.8 nm (x) from those of a.tif, and are taken as the same"
    ]
    with pytest.raises(BandsError, match=r"up to 1 nm: pass --resample"):
        same_bands([first, scene(*(nm + 3))])
    with pytest.raises(BandsError, match=r"has 39; .* pass --resample"):
        same_bands([first, scene(*nm[1:])])


def test_bands_without_wavelengths_beside_others_are_taken_by_position_and_that_is_said() -> None:
    heard = Hears()
    bare = [replace(scene(1, 2, 3), path=Path(name), wavelengths_nm=None) for name in ("a", "b")]
    wavelengths, _ = same_bands([*bare, scene(400, 500, 600)], heard)
    np.testing.assert_array_equal(wavelengths, [400, 500, 600])
    assert heard.said == [
        "a, b have no wavelengths: the 3 bands are taken by position for those of x"
    ]
    same_bands(bare, heard)
    assert len(heard.said) == 1


def test_only_scenes_with_other_bands_are_resampled() -> None:
    heard = Hears()
    nm = np.arange(400.0, 800.0, 10.0)
    scenes = [scene(*nm), scene(*(nm + 0.3)), replace(scene(*(nm + 3)), path=Path("c.tif"))]
    found = in_bands_of_first(scenes, (), heard)
    assert found[:2] == scenes[:2]
    assert heard.said == [
        "bands of c.tif are resampled to those of x by wavelength and width, at most 3.0 nm from a "
        "measured band"
    ]
    wavelengths, _ = same_bands(found, heard)
    np.testing.assert_array_equal(wavelengths, nm)
    np.testing.assert_allclose(found[2].read(), 1, rtol=1e-6)


def test_files_of_one_band_each_are_not_taken_for_scenes() -> None:
    place = (30.0, 0.0, 4e5, 0.0, -30.0, 5.6e6)
    here = [
        replace(scene(nm), path=Path(f"s2/{nm}.tif"), grid=Grid(transform=place))
        for nm in (490, 560)
    ]
    with pytest.raises(
        BandsError, match=r"2 of the scenes have one band .* -separate scene.vrt s2/\*"
    ):
        same_bands(here)
    there = replace(scene(490), grid=Grid(transform=(30.0, 0.0, 5e5, 0.0, -30.0, 5.6e6)))
    same_bands([here[0], there])
    same_bands([scene(490), scene(490)])  # which lie nowhere
