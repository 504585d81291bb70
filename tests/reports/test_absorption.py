"""Absorption features are found where they were put."""

from __future__ import annotations

import numpy as np

from hsi_ssl.reports.absorption import absorptions

NM = np.linspace(1000, 2500, 301)


def dip(centre: float, depth: float) -> np.ndarray:
    found: np.ndarray = 1 - depth * np.exp(-0.5 * ((NM - centre) / 20) ** 2)
    return found


def test_features_have_their_place_and_depth_whatever_the_slope() -> None:
    spectrum = 5000 * (1 + (NM - 1000) / 3000) * dip(1400, 0.3) * dip(2200, 0.1) * dip(1800, 0.01)
    for order in (slice(None), slice(None, None, -1)):
        found = sorted(absorptions(spectrum[order], NM[order]), key=lambda a: a.wavelength_nm)
        assert [round(a.wavelength_nm) for a in found] == [1400, 2200]
        np.testing.assert_allclose([a.depth for a in found], [0.3, 0.1], atol=0.01)
        assert all(NM[order][a.band] == a.wavelength_nm for a in found)


def test_a_straight_line_and_values_below_zero_have_none() -> None:
    assert absorptions(2 * NM, NM) == []
    assert absorptions(dip(1400, 0.3) - 1, NM) == []


def test_a_single_band_is_no_feature() -> None:
    spectrum = 5000 * dip(2200, 0.2)
    spectrum[[50, 120]] = 2000, 9000
    (found,) = absorptions(spectrum, NM)
    assert abs(found.wavelength_nm - 2200) <= NM[1] - NM[0]
    assert abs(found.depth - 0.2) < 0.01


def test_a_minimum_beside_bands_that_are_left_out_is_none() -> None:
    spectrum = dip(1900, 0.5) * dip(2200, 0.1)
    assert [round(a.wavelength_nm) for a in absorptions(spectrum, NM)] == [1900, 2200]
    kept = (NM < 1905) | (NM > 2000)
    assert [round(a.wavelength_nm) for a in absorptions(spectrum[kept], NM[kept])] == [2200]
