"""Masks of simulated cores, of cores drawn by other rules, and of scenes without background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cores
import numpy as np
import numpy.typing as npt
import pytest
from hearing import Hears
from scipy import ndimage

from hsi_ssl.labels.sources import resolve
from hsi_ssl.masks.codes import CLOUD, GLINT, LOOK, NO_DATA, SHADOW
from hsi_ssl.masks.propose import propose_mask
from hsi_ssl.scenes import simulate
from hsi_ssl.scenes.drillcore import INDEX, Box
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import LARGEST

Plane = npt.NDArray[Any]


def _simulated(seed: int, rows: int = 160, cols: int = 240) -> tuple[Box, Any]:
    box = simulate.box_of(0, rows=rows, cols=cols, seed=seed)
    cube = np.concatenate(list(simulate.render(box, seed=seed, index=0)))
    return box, cores.held(cube, simulate.WAVELENGTHS_NM)


def _sound(box: Box) -> Plane:
    """Core that lies in no crack: it gets at least half of the light of what is around."""
    around = ndimage.median_filter(box.light, (15, 3))
    return np.asarray((box.prevailing != INDEX["wood"]) & (box.light > 0.65 * around))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_simulated_cores(seed: int) -> None:
    box, scene = _simulated(seed)
    mask = propose_mask(scene)
    masked, there = mask == SHADOW, mask != NO_DATA
    wood = box.prevailing == INDEX["wood"]
    assert masked[wood & there].mean() > 0.97
    sound = _sound(box) & there
    for mineral in np.unique(box.prevailing[sound]):
        lost = masked[sound & (box.prevailing == mineral)]
        assert lost.sum() <= max(1, 0.01 * lost.size), mineral


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tray", "more"),
    [
        ("timber", {}),
        ("black plastic", {"dark": True}),
        ("white plastic", {"dark": True, "tilt": 0.03}),
        ("grey paint", {"sticks": 3}),
        ("light wood", {"dark": True, "horizontal": True}),
        ("light wood", {"sticks": 5, "noise": 0.012, "tilt": -0.04}),
    ],
)
def test_other_cores(tray: str, more: dict[str, Any]) -> None:
    core = cores.core(11, tray=tray, **more)
    masked = propose_mask(core.scene) == SHADOW
    pure = ~core.mixed
    assert masked[(core.material == cores.TRAY) & pure].mean() > 0.97
    for k, name in enumerate(core.names, 1):
        lost = masked[(core.material == k) & pure & core.sound]
        assert lost.mean() <= 0.01, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tray", "more"),
    [
        ("grey plastic", {"dark": True}),
        ("white plastic", {"dark": True}),
        ("grey plastic", {"dark": True, "tilt": 0.03}),
        ("grey plastic", {"dark": True, "horizontal": True}),
    ],
)
def test_floors_in_other_light_than_walls(tray: str, more: dict[str, Any]) -> None:
    core = cores.core(31, rows=200, cols=260, tray=tray, film=0.08, **more)
    masked = propose_mask(core.scene) == SHADOW
    pure = ~core.mixed
    assert masked[(core.material == cores.TRAY) & pure].mean() > 0.95
    for k, name in enumerate(core.names, 1):
        lost = masked[(core.material == k) & pure & core.sound]
        assert lost.mean() <= 0.01, name


@pytest.mark.slow
def test_a_tray_that_looks_like_core_is_said() -> None:
    for tray, alike in (("grey plastic", True), ("timber", False)):
        ear = Hears()
        core = cores.core(32, tray=tray)
        masked = propose_mask(core.scene, ear) == SHADOW
        assert ("much like some of the core" in ear.said[0]) == alike
        assert masked[(core.material == cores.TRAY) & ~core.mixed].mean() > 0.9
        for k, name in enumerate(core.names, 1):
            lost = masked[(core.material == k) & ~core.mixed & core.sound]
            assert lost.mean() <= 0.03, name


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"crop": (slice(20, 130), slice(0, 190))}, {"tilt": 0.03}, {}])
def test_core_like_the_tray_beside_gaps_stays(more: dict[str, Any]) -> None:
    core = cores.core(112, tray="grey plastic", dark=True, **more)
    masked = propose_mask(core.scene) == SHADOW
    assert masked[(core.material == cores.TRAY) & ~core.mixed].mean() > 0.97
    lost = masked[(core.material == 1 + core.names.index("silica")) & ~core.mixed & core.sound]
    assert lost.mean() <= 0.08  # of 14.5 to 18 % while gaps took all that touched them


def test_lanes_that_cannot_be_told_from_what_lies_between_are_said() -> None:
    rng = np.random.default_rng(0)
    same = ndimage.gaussian_filter(rng.standard_normal((120, 90)), 2) > -0.03
    same[:, [0, 1, 29, 30, 59, 60, 88, 89]] = True
    silica, dolomite = (cores.spectrum(cores.ROCKS[name]) for name in ("silica", "dolomite"))
    spectra = np.where(same[..., None], silica, dolomite)
    spectra *= np.exp(0.02 * rng.standard_normal(spectra.shape))
    ear = Hears()
    mask = propose_mask(cores.held((4000 * spectra).astype(np.uint16), cores.NM), ear)
    assert (mask == LOOK).all()
    assert "cannot be told from what lies between" in ear.said[0]


@pytest.mark.slow
def test_patches_as_dark_as_a_black_tray_stay() -> None:
    core = cores.core(33, tray="black plastic", dark=True, film=0.08)
    masked = propose_mask(core.scene) == SHADOW
    assert masked[(core.material == cores.TRAY) & ~core.mixed].mean() > 0.98
    lost = masked[(core.material == len(core.names)) & ~core.mixed & core.sound]
    assert lost.size > 100
    assert lost.mean() <= 0.02


@pytest.mark.slow
def test_a_stick_without_its_tray(hears: Hears) -> None:
    core = cores.core(5, sticks=2, crop=(slice(8, 140), slice(22, 75)), gaps=False)
    assert (core.material != cores.TRAY).all()
    assert (propose_mask(core.scene, hears) == LOOK).all()
    assert len(hears.said) == 1
    assert "no background found" in hears.said[0]
    assert "100.0 % to look at" in hears.said[0]


def test_nothing_is_masked_in_a_landscape() -> None:
    with resolve(("indian-pines",), labelled=False) as sources:
        assert (propose_mask(sources.scenes[0].scene) == LOOK).all()


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("salinas-a/SalinasA_corrected.mat", None),
        ("enmap-potsdam/scene.tif", None),
        ("toulouse/images.h5", "asph"),
        ("toulouse/images.h5", "veg"),
    ],
)
def test_nothing_is_masked_in_real_landscapes(
    real_data: Callable[[str], Path], name: str, variable: str | None
) -> None:
    with open_scene(real_data(name), variable=variable) as scene:
        mask = propose_mask(scene)
        for rows, cols in scene.windows(4096):
            valid = scene.valid(scene.read(rows, cols))
            assert ((mask[rows, cols] == LOOK) == valid).all()


def test_no_data() -> None:
    core = cores.core(7, rows=90, cols=99, sticks=2)
    cube = core.scene.read()
    cube[:5] = 0
    cube[40, 30, 77] = 65535
    cube[10:12, 50] = 0
    mask = propose_mask(cores.held(cube, cores.NM, nodata=65535.0))
    empty = np.zeros(mask.shape, bool)
    empty[:5] = empty[40, 30] = empty[10:12, 50] = True
    assert ((mask == NO_DATA) == empty).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_as_large_as_they_come_are_looked_at(dtype: str) -> None:
    """They are what damaged files hold; sums and squares of them are infinite."""
    rng = np.random.default_rng(0)
    cube = (10.0 ** rng.uniform(-38, 38, (24, 16, 9))).astype(dtype)
    cube[0, :3, :2] = np.finfo(dtype).max
    mask = propose_mask(cores.held(cube, np.linspace(1000, 2500, 9)))
    np.testing.assert_array_equal(mask == NO_DATA, (cube > LARGEST).any(axis=-1))


@pytest.mark.slow
def test_values_as_they_come() -> None:
    core = cores.core(12)
    cube = core.scene.read()
    expected = propose_mask(core.scene)
    for other in (cube.astype(np.float32) / 4000, cube.astype(">i4"), cube.astype(np.float64)):
        mask = propose_mask(cores.held(other, cores.NM))
        assert (mask == expected).mean() > 0.999


@pytest.mark.slow
def test_windows_do_not_matter() -> None:
    core = cores.core(13)
    whole = propose_mask(core.scene)
    tiled = replace(core.scene, block=(50, 40))
    assert (propose_mask(tiled) == whole).mean() > 0.995


@pytest.mark.parametrize("shape", [(1, 1, 5), (3, 200, 8), (40, 40, 1), (30, 30, 2), (20, 20, 40)])
def test_scenes_too_small_to_tell(shape: tuple[int, int, int]) -> None:
    cube = np.random.default_rng(0).integers(1, 4000, shape).astype(np.uint16)
    assert (propose_mask(cores.held(cube)) == LOOK).all()


def test_nothing_but_nodata() -> None:
    assert (propose_mask(cores.held(np.zeros((30, 20, 10), np.float32))) == NO_DATA).all()


@pytest.mark.slow
def test_glints() -> None:
    core = cores.core(14, tray="timber")
    cube = core.scene.read()
    rng = np.random.default_rng(1)
    rock = np.argwhere((core.material > 0) & ~core.mixed & ~core.shadow)
    at, far = rng.choice(rock, (2, 20))
    cube[at[:, 0], at[:, 1], 20:60] = 65535  # saturated in several bands
    cube[far[:, 0], far[:, 1]] = 9000 + rng.integers(-200, 200, (20, cube.shape[2]))
    dead = (core.material > 0) & (np.arange(cube.shape[1]) == 100)
    cube[:, 100, 30] = 20_000  # a dead detector element is no glint
    mask = propose_mask(cores.held(cube, cores.NM))
    glint = np.zeros(mask.shape, bool)
    for places in (at, far):
        glint[tuple(places.T)] = True
    assert ((mask == GLINT) == glint).all()
    assert (mask[dead] == GLINT).mean() < 0.1


def _landscape(rng: np.random.Generator, nm: npt.NDArray[np.float64]) -> Plane:
    """Fields of plants and soil, as seen through an atmosphere with water in it."""
    at = [400, 550, 660, 700, 750, 1300, 1450, 1650, 1940, 2200, 2500]
    of_plant = [0.03, 0.08, 0.04, 0.08, 0.45, 0.45, 0.2, 0.28, 0.06, 0.15, 0.06]
    plant = np.interp(nm, at, of_plant)
    soil = np.interp(nm, [400, 900, 1650, 2200, 2500], [0.06, 0.2, 0.3, 0.28, 0.24])
    share = rng.random((90 // 15, 90 // 15)).repeat(15, 0).repeat(15, 1)[..., None]
    ground = share * plant + (1 - share) * soil
    return np.asarray(ground * np.exp(0.1 * rng.standard_normal((90, 90, 1))))


def test_clouds() -> None:
    rng = np.random.default_rng(3)
    nm = np.linspace(400, 2500, 150)
    vapour = sum(
        depth * np.exp(-(((nm - centre) / 30) ** 2))
        for centre, depth in ((940, 0.4), (1135, 0.5), (1400, 2.5), (1880, 3.0))
    )
    reflectance = _landscape(rng, nm)
    r, c = np.indices((90, 90))
    cloud = (r - 30) ** 2 + (c - 50) ** 2 < 15**2
    roof = (abs(r - 70) < 6) & (abs(c - 20) < 6)
    reflectance[cloud | roof] = 0.7
    path = np.where(cloud, 0.25, 1.0)[..., None]
    seen = reflectance * np.exp(-vapour * path)
    seen += 0.003 * rng.standard_normal(seen.shape)
    cube = (seen * 10_000).clip(1, None).astype(np.uint16)
    mask = propose_mask(cores.held(cube, nm))
    assert (mask[cloud] == CLOUD).mean() > 0.97
    assert (mask[~cloud] == LOOK).all()
    assert (propose_mask(cores.held(cube)) != CLOUD).all()
    swir = nm > 1000
    assert (propose_mask(cores.held(cube[..., swir].copy(), nm[swir])) != CLOUD).all()


def test_values_out_of_the_ordinary() -> None:
    rng = np.random.default_rng(0)
    cube = rng.random((40, 50, 30))
    strange = cube.copy()
    strange[3, 3, 3] = 1e29
    for values in (
        rng.normal(0, 1, cube.shape).astype(np.float32),
        rng.integers(7, 9, cube.shape).astype(np.uint16),
        (cube > 0.5).astype(np.uint8) * 255,
        strange,
    ):
        assert (propose_mask(cores.held(values)) == LOOK).all()
    for values in (np.full(cube.shape, 7, np.uint16), -np.ones(cube.shape, np.float32)):
        assert (propose_mask(cores.held(values)) == NO_DATA).all()
    cube[rng.random(cube.shape[:2]) < 0.3] = np.nan
    assert ((propose_mask(cores.held(cube)) == NO_DATA) == np.isnan(cube[..., 0])).all()
