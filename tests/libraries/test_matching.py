"""Naming spectra: the minimum against an independent solver, mixtures, samples of one mineral."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import Resampled, resample
from hsi_ssl.libraries.matching import (
    BACKGROUND,
    REFERENCE_NM,
    SHARE,
    Match,
    angles_to,
    best_matches,
    in_words,
    shapes,
    spectral_angles,
    verdict,
)
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.scenes.drillcore import MATERIALS
from hsi_ssl.scenes.minerals import LIQUID_WATER, MINERALS
from hsi_ssl.scenes.simulate import REFLECTANCE_ONE, WAVELENGTHS_NM, box_of, render

W = np.linspace(1000, 2500, 120)


def of_minerals(*names: str) -> Resampled:
    """A library of each mineral in two grain sizes."""
    grains = (0.8, 1.3)
    return Resampled(
        tuple(f"{name} {grain}" for name in names for grain in grains),
        tuple(name for name in names for _ in grains),
        np.stack([MINERALS[name].reflectance(W, grain) for name in names for grain in grains]),
        (),
    )


LIBRARY = of_minerals("alunite", "calcite", "gypsum", "kaolinite", "muscovite", "quartz")


def test_the_nearest_mixture_is_the_one_that_a_solver_finds() -> None:
    rng = np.random.default_rng(0)
    spectra = np.exp(rng.normal(0, 0.1, (6, len(W))).cumsum(axis=1) / 5)
    background = np.exp(rng.normal(0, 0.1, len(W)).cumsum() / 5)
    angles, shares = angles_to(spectra, W, LIBRARY, background=background)
    continuum = np.stack([np.ones(len(W)), REFERENCE_NM / W], axis=1)

    def left(values: np.ndarray) -> np.ndarray:
        return np.asarray(values - continuum @ np.linalg.lstsq(continuum, values, rcond=None)[0])

    for i, spectrum in enumerate(spectra):
        y = left(np.log(spectrum))
        for j, sample in enumerate(LIBRARY.reflectance):
            A = np.stack([left(np.log(sample)), left(np.log(background))], axis=1)
            low, high = np.array([SHARE, BACKGROUND]).T
            found = lsq_linear(A, y, bounds=(low, high), tol=1e-12)
            sine = np.linalg.norm(A @ found.x - y) / np.linalg.norm(y)
            assert angles[i, j] == pytest.approx(np.degrees(np.arcsin(sine.clip(max=1))), abs=0.02)
            assert shares[i, j] == pytest.approx(found.x[0], abs=0.01)


@pytest.mark.parametrize("name", ["alunite", "calcite", "gypsum", "kaolinite", "muscovite"])
def test_light_and_slope_and_background_do_not_hide_a_mineral(name: str) -> None:
    background = np.exp(
        np.mean([np.log(MINERALS[n].reflectance(W)) for n in ("muscovite", "quartz")], axis=0)
    )
    lamp = 0.3 * np.exp(0.2 * (1000 / W - 0.6))
    mixed = lamp * MINERALS[name].reflectance(W) ** 0.55 * background**0.45
    found = best_matches(mixed, W, LIBRARY, background=background)[0]
    assert found[0].material == name
    assert found[0].angle < 5
    # Grain size and share are one number: strength of absorption.
    assert found[0].share == pytest.approx(0.55 / float(found[0].name.split()[1]), abs=0.2)


def test_the_runner_up_is_another_material() -> None:
    found = best_matches(MINERALS["alunite"].reflectance(W), W, LIBRARY, count=4)[0]
    assert found[0].material == "alunite"
    assert len({match.material for match in found}) == 4
    assert [m.angle for m in found] == sorted(m.angle for m in found)


def test_how_far_a_name_is_to_be_trusted() -> None:
    def found(*angles: float) -> list[Match]:
        return [Match(f"s{i}", f"m{i}", angle, 0.5, i) for i, angle in enumerate(angles)]

    cases = {(5.0, 8.0): "clear", (5.0, 6.2): "likely", (5.0, 5.1): "open", (50.0, 80.0): "none"}
    for angles, expected in cases.items():
        assert verdict(found(*angles)) == expected
    assert verdict(found(5.0)) == "open"
    assert verdict([]) == "none"
    assert in_words(found(5.0, 8.0)) == "like m0 (5.0°), runner-up m1 (8.0°)"
    assert in_words(found(5.0, 5.1)) == "like m0 (5.0°) or m1 (5.1°)"
    assert in_words(found(50.0, 80.0)) == "like nothing in the library"


def test_a_library_spectrum_is_compared_where_it_has_values() -> None:
    holed = LIBRARY.reflectance.copy()
    holed[0, 40:50] = np.nan
    measured = LIBRARY.reflectance[:1].copy()
    measured[:, 40:50] *= 0.5
    angles, _ = angles_to(measured, W, Resampled(LIBRARY.names, LIBRARY.materials, holed, ()))
    assert angles[0, 0] < 0.1
    assert angles[0, 1] > 10


def test_what_varies_within_groups_counts_less() -> None:
    """Water films that come and go over a scene would make montmorillonite of muscovite."""
    library = of_minerals("montmorillonite", "muscovite", "quartz")
    water = np.exp(-0.3 * LIQUID_WATER.log_absorption(W))
    wet = MINERALS["muscovite"].reflectance(W) * water
    assert best_matches(wet, W, library)[0][0].material == "montmorillonite"
    rng = np.random.default_rng(0)
    films = np.log(water) * rng.normal(0, 1, (300, 1)) + rng.normal(0, 0.01, (300, len(W)))
    scatter = np.cov(shapes(np.exp(films), W), rowvar=False)
    found = best_matches(wet, W, library, scatter=scatter)[0]
    assert found[0].material == "muscovite"


def test_scatter_alike_in_all_directions_changes_nothing() -> None:
    spectra = 0.6 * MINERALS["alunite"].reflectance(W)[None] + 0.1
    plain = angles_to(spectra, W, LIBRARY)
    same = angles_to(spectra, W, LIBRARY, scatter=3.0 * np.eye(len(W)))
    assert same[0] == pytest.approx(plain[0])
    assert same[1] == pytest.approx(plain[1])


def test_clipped_bands_and_flat_spectra_give_numbers() -> None:
    clipped = MINERALS["gypsum"].reflectance(W)
    clipped[-5:] = 0
    angles, shares = angles_to(np.stack([clipped, np.ones(len(W))]), W, LIBRARY)
    assert np.isfinite(angles).all()
    assert np.isfinite(shares).all()
    assert angles[1] == pytest.approx(90)


def test_too_few_bands() -> None:
    with pytest.raises(LibraryError, match="needs 8 bands or more"):
        angles_to(np.ones((1, 5)), W[:5], LIBRARY)


def test_spectral_angles_are_those_of_vectors() -> None:
    found = spectral_angles([[1.0, 0.0], [2.0, 2.0]], [[5.0, 0.0], [0.0, 1.0]])
    assert found == pytest.approx(np.array([[0, 90], [45, 45]]))


@pytest.mark.slow
def test_simulated_minerals_are_named_from_measured_ones(
    real_data: Callable[[str], Path],
) -> None:
    """Means of the pixels where a mineral prevails, in four scenes with all that is mixed in."""
    total = np.zeros((len(MATERIALS), len(WAVELENGTHS_NM)))
    count = np.zeros(len(MATERIALS))
    for index in range(4):
        box = box_of(index, rows=128, cols=192, seed=5)
        cube = np.concatenate(list(render(box, seed=5, index=index))).reshape(-1, 268)
        good = (cube > 0).all(axis=1)
        prevailing = box.prevailing.ravel()
        for k in range(len(MATERIALS)):
            here = cube[good & (prevailing == k)]
            total[k] += here.sum(axis=0, dtype=np.float64) / REFLECTANCE_ONE
            count[k] += len(here)
    background = total.sum(axis=0) / count.sum()
    wanted = [i for i, name in enumerate(MATERIALS) if name != "wood" and count[i] >= 20]
    library = resample(open_library(real_data("usgs-splib06/s06av95a_envi.hdr")), WAVELENGTHS_NM)
    found = best_matches(
        total[wanted] / count[wanted, None], WAVELENGTHS_NM, library, background=background
    )
    right = [
        MATERIALS[i] == matches[0].material.lower()
        for i, matches in zip(wanted, found, strict=True)
    ]
    assert len(wanted) >= 11
    assert np.mean(right) >= 0.8
