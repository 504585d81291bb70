"""Pieces that look like a tray: lit evenly, as a floor is, or as round core."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.masks.floors import lit_as
from hsi_ssl.masks.lanes import Lanes
from hsi_ssl.masks.sketch import MIDDLE, PER_LN

ROWS, COLS = 120, 100
STRIPS = ((5, 45), (55, 95))
GAP, PATCH = slice(50, 62), slice(62, 84)


def _stick() -> tuple[Lanes, npt.NDArray[np.float64]]:
    """Two sticks between lanes, and ln brightness across them where core is round."""
    lane = np.ones(COLS, bool)
    fall = np.zeros(COLS)
    for first, last in STRIPS:
        lane[first:last] = False
        fall[first:last] = np.log(0.4 + 0.6 * np.sqrt(1 - np.linspace(-0.96, 0.96, 40) ** 2))
    return Lanes(True, 0.0, lane, STRIPS), fall


def _seen(ln: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    noisy = ln + np.random.default_rng(0).normal(0, 0.02, ln.shape)
    return np.round(MIDDLE + PER_LN * noisy).astype(np.uint8)[..., None]


def test_core_beside_a_gap_is_no_part_of_it() -> None:
    lanes, fall = _stick()
    ln = np.broadcast_to(fall, (ROWS, COLS)).copy()
    ln[GAP] = -0.2
    label = np.zeros((ROWS, COLS), np.int32)
    label[GAP, 7:43] = 1
    label[PATCH, 7:25] = 1
    even, as_core = lit_as(_seen(ln), lanes, label, 1)
    assert even[52:60, 7:43].all()
    assert not as_core[52:60, 7:43].any()
    assert as_core[65:84, 7:25].all()
    assert not even[65:84, 7:25].any()
    assert not (even | as_core)[label == 0].any()


@pytest.mark.parametrize("rows", [slice(0, 4), slice(ROWS - 4, ROWS)])
def test_sticks_do_not_tell_of_each_other(rows: slice) -> None:
    lanes, fall = _stick()
    ln = np.broadcast_to(fall, (ROWS, COLS)).copy()
    ln[rows, 7:43] = -0.2
    label = np.zeros((ROWS, COLS), np.int32)
    label[rows, 7:43] = 1
    label[:4, 57:93] = 2
    label[-4:, 57:93] = 3
    even, as_core = lit_as(_seen(ln), lanes, label, 3)
    assert even[label == 1].all()
    assert as_core[label > 1].all()


def test_where_core_is_flat_all_are_lit_evenly() -> None:
    lanes, _ = _stick()
    label = np.zeros((ROWS, COLS), np.int32)
    label[10:20, 10:30] = 1
    even, as_core = lit_as(_seen(np.zeros((ROWS, COLS))), lanes, label, 1)
    assert (even == (label == 1)).all()
    assert not as_core.any()
