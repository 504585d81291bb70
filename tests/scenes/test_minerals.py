"""Simulated minerals against what is documented of them, and against measured spectra."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.libraries.library import resample
from hsi_ssl.libraries.matching import best_matches
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.scenes.minerals import LIQUID_WATER, MINERALS, Mineral

W = np.linspace(1000, 2500, 1501)
Floats = npt.NDArray[np.float64]


def without_hull(wavelengths: Floats, spectrum: Floats) -> Floats:
    """The spectrum divided by its upper convex hull."""
    hull: list[int] = []
    for i in range(len(spectrum)):
        while len(hull) > 1:
            a, b = hull[-2:]
            along = (spectrum[i] - spectrum[a]) * (wavelengths[b] - wavelengths[a])
            if (spectrum[b] - spectrum[a]) * (wavelengths[i] - wavelengths[a]) > along:
                break
            hull.pop()
        hull.append(i)
    return np.asarray(spectrum / np.interp(wavelengths, wavelengths[hull], spectrum[hull]))


@pytest.mark.parametrize(
    ("name", "centre"),
    [
        ("kaolinite", 2165),
        ("kaolinite", 2207),
        ("alunite", 2165),
        ("alunite", 1760),
        ("alunite", 2320),
        ("muscovite", 2205),
        ("muscovite", 2350),
        ("chlorite", 2253),
        ("chlorite", 2343),
        ("epidote", 2255),
        ("epidote", 2340),
        ("epidote", 1548),
        ("calcite", 2341),
        ("calcite", 1995),
        ("gypsum", 1449),
        ("gypsum", 1750),
        ("gypsum", 1945),
        ("jarosite", 2265),
        ("jarosite", 1850),
        ("montmorillonite", 1908),
        ("montmorillonite", 2210),
    ],
)
def test_reflectance_has_a_minimum_where_it_is_documented(name: str, centre: float) -> None:
    spectrum = MINERALS[name].reflectance(W)
    near = without_hull(W[abs(W - centre) <= 60], spectrum[abs(W - centre) <= 60])
    minima = np.flatnonzero((near[1:-1] < near[:-2]) & (near[1:-1] <= near[2:])) + 1
    found = W[abs(W - centre) <= 60][minima]
    assert abs(found - centre).min() <= 12


def test_the_model_is_the_formula() -> None:
    mineral = Mineral("one band", 0.5, 0.2, ((2200.0, 50.0, 0.3),))
    at_centre, at_half_width = np.log(mineral.reflectance(np.array([2000.0, 2200.0, 2225.0])))[1:]
    continuum = np.log(0.5) + 0.2 * (1000 / np.array([2200, 2225]) - 1000 / 1640)
    assert at_centre == pytest.approx(continuum[0] + np.log(1 - 0.3))
    assert at_half_width == pytest.approx(continuum[1] + np.log(1 - 0.3) / 2)


def test_bands_shift_with_chemistry_and_wings_from_outside_stay() -> None:
    mineral = Mineral("two bands", 0.5, 0.0, ((900.0, 400.0, 0.5), (2200.0, 50.0, 0.3)))
    shifted, still = mineral.log_absorption(W, 5.0), mineral.log_absorption(W)
    assert W[1000:][shifted[1000:].argmax()] == 2205
    assert shifted[W < 1500] == pytest.approx(still[W < 1500])


@pytest.mark.parametrize("mineral", [*MINERALS.values(), LIQUID_WATER], ids=lambda m: m.name)
def test_reflectance_is_a_fraction_and_falls_as_grains_grow(mineral: Mineral) -> None:
    fine, coarse = mineral.reflectance(W, 0.5), mineral.reflectance(W, 2.0)
    assert (fine > 0).all()
    assert (fine < 1).all()
    assert (coarse <= fine).all()


def test_iron_oxides_rise_and_quartz_is_featureless() -> None:
    for name in ("goethite", "hematite"):
        spectrum = MINERALS[name].reflectance(W)
        assert spectrum[W == 1300] > 1.3 * spectrum[W == 1000]
    assert without_hull(W, MINERALS["quartz"].reflectance(W)).min() > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["alunite", "calcite", "chlorite", "gypsum", "jarosite", "kaolinite", "muscovite"]
)
def test_the_nearest_measured_mineral_is_the_same(
    name: str, real_data: Callable[[str], Path]
) -> None:
    """Among all samples of the library that its spectra were fitted to."""
    bands = np.linspace(1000, 2450, 200)
    library = resample(open_library(real_data("usgs-splib06/s06av95a_envi.hdr")), bands)
    found = best_matches(MINERALS[name].reflectance(bands), bands, library)
    assert found[0][0].material.lower() == name
