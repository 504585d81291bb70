"""Free slots that look like a labelled class."""

from __future__ import annotations

import numpy as np

from hsi_ssl.discovery.likeness import parts_of_classes
from hsi_ssl.discovery.tally import tally

WAVELENGTHS = np.linspace(1000, 2500, 40)


def band(centre: float, depth: float) -> np.ndarray:
    return -depth * np.exp(-(((WAVELENGTHS - centre) / 60) ** 2))


def test_a_slot_with_a_class_s_absorption_is_part_of_it_and_another_is_not() -> None:
    # Slots: two classes (2200 and 2330 nm), then a shallower 2200 nm and one at 1750 nm.
    rng = np.random.default_rng(0)
    shapes = [band(2200, 0.30), band(2330, 0.30), band(2200, 0.24), band(1750, 0.30)]
    slot = np.repeat(np.arange(4), 400)
    strength = rng.normal(1, 0.25, (len(slot), 1))
    logarithm = strength * np.array(shapes)[slot] + rng.normal(0, 0.3, (len(slot), 1))
    spectra = np.exp(logarithm + rng.normal(0, 0.01, (len(slot), 40)) - 1)
    total, _ = tally(spectra, np.eye(4)[slot], (), WAVELENGTHS.tolist())
    found = parts_of_classes(total, 2, WAVELENGTHS)
    assert list(found) == [2]
    assert found[2][0] == 0
    assert parts_of_classes(total, 4, WAVELENGTHS) == {}
