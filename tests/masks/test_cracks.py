"""Cracks told from dark minerals, in scenes as an eye sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.masks.cracks import find_cracks
from hsi_ssl.masks.sketch import MIDDLE, PER_LN, PER_NOISE

Plane = npt.NDArray[Any]
SHAPES = 5


def _seen(light: Plane, shape: Plane) -> Plane:
    """Bytes of ln brightness and of one shape's units of noise `(rows, cols)`, with noise."""
    rng = np.random.default_rng(0)
    seen = np.full((*light.shape, 1 + SHAPES), float(MIDDLE))
    seen[..., 0] += PER_LN * (light + 0.04 * rng.standard_normal(light.shape))
    seen[..., 1] += PER_NOISE * shape
    seen[..., 1:] += PER_NOISE * 0.5 * rng.standard_normal((*light.shape, SHAPES))
    return seen.round().clip(0, 255).astype(np.uint8)


def _planes() -> tuple[Plane, Plane]:
    return np.zeros((60, 60)), np.zeros((60, 60))


def _found(light: Plane, shape: Plane) -> Plane:
    return find_cracks(_seen(light, shape), np.ones(light.shape, bool))


def test_a_crack() -> None:
    light, shape = _planes()
    light[30:32, 10:50] = np.log(0.45)
    found = _found(light, shape)
    assert found[30:32, 10:50].mean() > 0.95
    found[30:32, 10:50] = False
    assert not found.any()


def test_a_crack_where_two_rocks_meet() -> None:
    light, shape = _planes()
    shape[31:] = 12.0
    shape[30:32] = 6.0
    light[30:32, 10:50] = np.log(0.45)
    assert _found(light, shape)[30:32, 10:50].mean() > 0.9


def test_a_vein_of_another_mineral_is_none() -> None:
    light, shape = _planes()
    light[30:32, 10:50] = np.log(0.45)
    shape[30:32, 10:50] = 12.0
    assert not _found(light, shape).any()


def test_where_a_patch_of_a_dark_mineral_ends_is_none() -> None:
    light, shape = _planes()
    patch = np.zeros(light.shape, bool)
    patch[20:32, 20:32] = True
    patch[32:36, 24:26] = patch[25:27, 16:20] = True
    patch[20:32, 32:34] = True
    light[patch] = np.log(0.2)
    assert not _found(light, shape).any()


def test_dark_flanks_of_round_core_hide_no_cracks() -> None:
    light, shape = _planes()
    light[:, 5:55] = 1.5 * np.log(np.sqrt(1 - np.linspace(-0.97, 0.97, 50) ** 2))
    light[30:32] += np.log(0.45)
    rock = np.zeros(light.shape, bool)
    rock[:, 5:55] = True
    found = find_cracks(_seen(light, shape), rock)
    assert found[30:32, 5:55].mean() > 0.8
    found[30:32] = False
    assert not found.any()
