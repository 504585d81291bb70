"""A model and a scene in different units: the same map, or a refusal that names what lies between.

The factors, offsets and gains are applied here by hand to the scene that the model knows.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hearing import Hears

from hsi_ssl.datasets.learnt_numbers import LearntNumbers
from hsi_ssl.errors import UnitsError
from hsi_ssl.inference.checkpoint import save_card
from hsi_ssl.maps.classify import classify
from hsi_ssl.scenes.units import Units
from hsi_ssl.settings import ClassifySettings

BANDS = 12
GAINS = np.random.default_rng(1).uniform(0.5, 2, BANDS)
ONE, NONE = np.ones(BANDS), np.zeros(BANDS)
Run = Callable[[Units | None], Path]


@pytest.fixture
def run(tiny_run: Path, cube: npt.NDArray[np.uint16], tmp_path: Path) -> Run:
    """The run as if it had learnt from files that told these units."""

    def told(units: Units | None) -> Path:
        folder = tmp_path / "run"
        shutil.copytree(tiny_run, folder)
        card = json.loads((folder / "model.json").read_text())
        card["numbers"] = LearntNumbers.of(cube.reshape(-1, BANDS), units).to_card()
        save_card(folder, card)
        return folder

    return told


@pytest.fixture
def plain(run: Run, cube: npt.NDArray[np.uint16], write_scene: Callable[..., Path]) -> Any:
    """The map of the scene that the run knows."""
    return lambda model: mapped(write_scene(cube, name="known.tif"), model)


def mapped(scene: Path, model: Path, hears: Hears | None = None, **asked: Any) -> Any:
    output = scene.with_name(f"{scene.stem}_map.tif")
    settings = ClassifySettings(
        scenes=(str(scene),), model=model, output=output, device="cpu", **asked
    )
    classify(settings, overwrite=True, watcher=hears or Hears())
    with rasterio.open(output) as raster:
        return raster.read(1)


def tell(path: Path, scale: Any, offset: Any) -> Path:
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = list(scale), list(offset)
    return path


SAID = Units(1e-4 * GAINS, NONE - 0.1, None, "scale and offset of the bands")


@pytest.mark.parametrize(
    ("scale", "offset"),
    [
        (1e-4 * ONE, NONE),
        (1e-4 * ONE, NONE - 0.1),
        (2e-4 * GAINS[::-1], NONE + 0.05),
    ],
)
def test_both_say_their_unit_the_same_map(
    run: Run, cube: Any, write_scene: Callable[..., Path], plain: Any, scale: Any, offset: Any
) -> None:
    model = run(SAID)
    reflectance = cube * SAID.scale + SAID.offset
    raw = ((reflectance - offset) / scale).astype(np.float32)
    scene = tell(write_scene(raw, name="other.tif"), scale, offset)
    hears = Hears()
    found = mapped(scene, model, hears)
    assert (found == plain(model)).mean() > 0.999
    assert "not in the range" not in hears.all


@pytest.mark.parametrize("factor", [1e-4, 1e-2, 10, 1000])
def test_neither_says_it_and_a_factor_is_named(
    run: Run, cube: Any, write_scene: Callable[..., Path], plain: Any, factor: float
) -> None:
    model = run(None)
    scene = write_scene((cube * float(factor)).astype(np.float32), name="other.tif")
    with pytest.raises(UnitsError, match=f"--scale {1 / factor:g} "):
        mapped(scene, model)
    assert not scene.with_name("other_map.tif").exists()
    np.testing.assert_array_equal(mapped(scene, model, scale=1 / factor), plain(model))


def test_a_model_that_says_it_and_a_silent_scene_in_physical_numbers(
    run: Run, cube: Any, write_scene: Callable[..., Path], plain: Any
) -> None:
    """--scale 1 says that its numbers are physical: gains and offset of the model are undone."""
    model = run(SAID)
    scene = write_scene((cube * SAID.scale + SAID.offset).astype(np.float32), name="other.tif")
    with pytest.raises(UnitsError, match="--scale 1 "):
        mapped(scene, model)
    assert (mapped(scene, model, scale=1.0) == plain(model)).mean() > 0.999


def test_a_scene_that_says_it_and_a_silent_model(
    run: Run, cube: Any, write_scene: Callable[..., Path], plain: Any
) -> None:
    """Its own scale makes its numbers those that were learnt from: it is applied, and said."""
    model = run(None)
    raw = (cube / (1e3 * GAINS) + 0.1).astype(np.float32)
    scene = tell(write_scene(raw, name="other.tif"), 1e3 * GAINS, -100 * GAINS)
    hears = Hears()
    assert (mapped(scene, model, hears) == plain(model)).mean() > 0.999
    assert "by its own scale" in hears.all


def test_a_scale_that_numbers_do_not_need_is_not_applied(
    run: Run, cube: Any, write_scene: Callable[..., Path], plain: Any
) -> None:
    model = run(None)
    scene = tell(write_scene(cube, name="other.tif"), 1e-4 * ONE, NONE)
    hears = Hears()
    np.testing.assert_array_equal(mapped(scene, model, hears), plain(model))
    assert "taken as they are" in hears.all


def test_a_scale_that_was_applied_and_kept_is_noticed_without_a_word_of_reflectance(
    run: Run, cube: Any, write_scene: Callable[..., Path], plain: Any
) -> None:
    model = run(SAID)
    raw = (cube * SAID.scale + SAID.offset).astype(np.float32)
    scene = tell(write_scene(raw, name="other.tif"), 1e-4 * ONE, NONE)
    with pytest.raises(UnitsError, match=r"applied it and kept it.* pass --scale 1 "):
        mapped(scene, model)
    assert (mapped(scene, model, scale=1.0) == plain(model)).mean() > 0.999


def test_a_scale_of_the_user_s_is_not_said_to_be_the_file_s(
    run: Run, cube: Any, write_scene: Callable[..., Path]
) -> None:
    hears = Hears()
    mapped(write_scene(cube, name="other.tif"), run(None), hears, scale=1.0)
    assert "tells a scale" not in hears.all


def test_gains_that_nobody_tells_are_refused_with_numbers(
    run: Run, cube: Any, write_scene: Callable[..., Path]
) -> None:
    model = run(None)
    raw = (cube * np.geomspace(1e-5, 1e-2, BANDS)).astype(np.float32)
    scene = write_scene(raw, name="other.tif")
    with pytest.raises(UnitsError, match=r"no single factor.*--force"):
        mapped(scene, model)
    hears = Hears()
    mapped(scene, model, hears, force=True)
    assert "going on, as asked" in hears.all


def test_a_wrong_scale_is_refused(run: Run, cube: Any, write_scene: Callable[..., Path]) -> None:
    scene = write_scene(cube, name="other.tif")
    with pytest.raises(UnitsError, match=r"with --scale 0\.01"):
        mapped(scene, run(None), scale=0.01)


def test_an_offset_that_nobody_tells_is_worth_a_warning(
    run: Run, cube: Any, write_scene: Callable[..., Path]
) -> None:
    hears = Hears()
    mapped(write_scene(cube + np.uint16(3000), name="other.tif"), run(None), hears)
    assert "another offset" in hears.all


def test_radiance_is_no_reflectance(run: Run, cube: Any, write_scene: Callable[..., Path]) -> None:
    scene = write_scene(cube, name="other.tif")
    with rasterio.open(scene, "r+") as raster:
        raster.units = ["W m-2 sr-1 um-1"] * BANDS
    with pytest.raises(UnitsError, match="holds radiance and the model learnt from reflectance"):
        mapped(scene, run(Units(ONE, NONE, "reflectance", "")))


def test_radiance_in_another_unit_is_refused_though_both_tell_a_scale(
    run: Run, cube: Any, write_scene: Callable[..., Path], plain: Any
) -> None:
    """1 W/m2/um/sr = 0.1 uW/cm2/nm/sr, and each file's scale makes its own of raw numbers."""
    model = run(Units(0.01 * ONE, NONE, "radiance", "scale and offset of the bands"))
    scene = tell(write_scene(cube, name="other.tif"), 1e-3 * ONE, NONE)
    with rasterio.open(scene, "r+") as raster:
        raster.units = ["uW/(cm^2*nm*sr)"] * BANDS
    with pytest.raises(UnitsError, match=r"0\.1 times that.*--scale 0\.01"):
        mapped(scene, model)
    np.testing.assert_array_equal(mapped(scene, model, scale=0.01), plain(model))
    hears = Hears()
    mapped(scene.rename(scene.with_name("forced.tif")), model, hears, force=True)
    assert "going on, as asked" in hears.all


def test_bands_are_interpolated_in_physical_numbers(
    run: Run,
    cube: Any,
    wavelengths: Any,
    write_scene: Callable[..., Path],
    plain: Any,
) -> None:
    """Each band of the scene has a gain of its own, so raw numbers must not be mixed."""
    model = run(SAID)
    between = np.linspace(wavelengths[0], wavelengths[-1], 3 * BANDS - 2)
    physical = cube * SAID.scale + SAID.offset
    dense = np.apply_along_axis(lambda s: np.interp(between, wavelengths, s), -1, physical)
    gains = np.random.default_rng(2).uniform(1e-4, 1e-3, len(between))
    raw = (dense / gains).astype(np.float32)[..., 1:-1]  # the model's ends lie between bands
    scene = tell(
        write_scene(raw, between[1:-1], name="other.tif"), gains[1:-1], np.zeros(len(between) - 2)
    )
    found = mapped(scene, model, resample=True)
    assert (found == plain(model)).mean() > 0.98


def test_a_run_that_remembers_nothing_is_applied_and_that_is_said(
    tiny_run: Path, cube: Any, write_scene: Callable[..., Path]
) -> None:
    hears = Hears()
    mapped(write_scene(cube, name="other.tif"), tiny_run, hears)
    assert "could not be checked" in hears.all


def test_a_scale_of_the_user_s_counts_for_a_run_that_remembers_nothing(
    tiny_run: Path, cube: Any, write_scene: Callable[..., Path], plain: Any
) -> None:
    scene = write_scene((cube * 1e-4).astype(np.float32), name="other.tif")
    found = mapped(scene, tiny_run, scale=1e4)
    assert (found == plain(tiny_run)).mean() > 0.999
