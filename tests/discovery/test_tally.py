"""Sums over slots against a plain loop, whole and by windows."""

from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.discovery.tally import empty_tally, tally
from hsi_ssl.libraries.matching import shapes

RNG = np.random.default_rng(0)
SPECTRA = RNG.integers(0, 4000, (200, 7)).astype(np.uint16)
POSTERIOR = RNG.dirichlet(np.full(5, 0.3), 200).astype(np.float32)
OTHER = RNG.dirichlet(np.full(4, 0.3), 200).astype(np.float32)


def test_sums_are_those_of_a_loop() -> None:
    found, best = tally(SPECTRA, POSTERIOR, [OTHER])
    assert best.tolist() == POSTERIOR.argmax(1).tolist()
    for slot in range(5):
        here = best == slot
        assert found.pixels[slot] == here.sum()
        assert found.posterior[slot] == pytest.approx(POSTERIOR[here].sum(0), rel=1e-5)
        assert found.means[slot] == pytest.approx(SPECTRA[here].mean(0))
        assert found.deviations[slot] == pytest.approx(SPECTRA[here].std(0))
        for other in range(4):
            both = here & (OTHER.argmax(1) == other)
            assert found.shared[0][slot, other] == both.sum()
    assert found.overall == pytest.approx(SPECTRA.mean(0))


def test_windows_add_up_to_the_whole() -> None:
    whole, _ = tally(SPECTRA, POSTERIOR, [OTHER])
    sum_of_parts = empty_tally(5, 7, [4])
    for part in (slice(0, 60), slice(60, 61), slice(61, 200)):
        sum_of_parts += tally(SPECTRA[part], POSTERIOR[part], [OTHER[part]])[0]
    assert sum_of_parts.pixels.tolist() == whole.pixels.tolist()
    assert sum_of_parts.posterior == pytest.approx(whole.posterior)
    assert sum_of_parts.means == pytest.approx(whole.means)
    assert sum_of_parts.shared[0].tolist() == whole.shared[0].tolist()


def test_scatter_is_that_of_shapes_around_their_slots_mean() -> None:
    waves = np.linspace(1000, 2500, 7)
    found = empty_tally(5, 7, [4])
    for part in (slice(0, 90), slice(90, 200)):
        found += tally(SPECTRA[part] + 1, POSTERIOR[part], [OTHER[part]], waves.tolist())[0]
    left = shapes(SPECTRA + 1, waves)
    best = POSTERIOR.argmax(1)
    for slot in range(5):
        left[best == slot] -= left[best == slot].mean(0)
    assert found.scatter == pytest.approx(left.T @ left / 200)
    assert found.shape_pixels.tolist() == found.pixels.tolist()


def test_pixels_without_a_finite_answer_are_in_no_slot() -> None:
    unsure = POSTERIOR.copy()
    unsure[3] = np.nan
    found, best = tally(SPECTRA, unsure, [OTHER])
    assert best[3] == -1
    assert found.pixels.sum() == found.shared[0].sum() == 199


def test_empty_slots_have_no_mean() -> None:
    found, _ = tally(SPECTRA, np.eye(5, dtype=np.float32)[np.zeros(200, int)])
    assert np.isnan(found.means[1:]).all()
    assert np.isnan(found.deviations[1:]).all()
