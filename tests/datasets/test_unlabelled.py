"""Spectra drawn from scenes without labels: each valid pixel as likely, nothing read twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hsi_ssl.datasets.store import Part
from hsi_ssl.datasets.unlabelled import draw_unlabelled
from hsi_ssl.labels.sources import resolve


def test_as_many_valid_pixels_as_wanted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cube = rng.integers(100, 4000, (30, 40, 6)).astype(np.uint16)
    cube[:, :10] = 0
    np.save(tmp_path / "scene.npy", cube)
    with resolve([str(tmp_path / "scene.npy")], labelled=False) as sources:
        some = draw_unlabelled(sources, tmp_path / "some.h5", pixels=100, scaling="standard")
        every = draw_unlabelled(sources, tmp_path / "all.h5", pixels=10_000, scaling="standard")
    assert len(some) == 100
    assert len(every) == 900
    for found in (some, every):
        assert (found.part == Part.POOL).all()
        assert (found.label == -1).all()
        assert len(np.unique(found.pixel, axis=0)) == len(found)
        assert (found.pixel[:, 1] >= 10).all()
        assert (found.spectra() == cube[tuple(found.pixel.T)]).all()
    assert not len(every.label_set)
    np.testing.assert_allclose(every.scaled(every.rows(Part.POOL)).mean(0), 0, atol=1e-4)
