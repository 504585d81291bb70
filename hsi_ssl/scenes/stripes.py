"""Stripes of push-brooms: columns that differ from both of their neighbours beyond noise.

Each column of a push-broom is seen by elements of its own, one a band. Where one has another gain
or offset, or is dead, the difference from the columns on both sides has one sign all along the
scene. An edge of a field differs from one side alone, and what lies across the scene changes along
it: sixteen groups of rows, from end to end, tell how sure the mean of the difference is. A line of
the scene that is one pixel wide and runs along one column from end to end looks the same.

Nothing is repaired: that is for who knows the sensor. Scenes that were resampled to a map grid have
their stripes at an angle, where nothing is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.readers.laid_out import FEW, lays_out
from hsi_ssl.scenes.scene import Array, Bools, Floats, Scene, shapeless
from hsi_ssl.scenes.virtual import is_virtual

Ints = npt.NDArray[np.int64]

GROUPS, ROWS = 16, 8
"""Groups of rows that are looked at, and rows in each, of small scenes fewer."""
GROUPS_LEAST, ROWS_LEAST, COLS_LEAST = 6, 4, 8
BYTES, VALUES = 2**26, 3 * 2**22
"""To read and to hold, at most: within a second of what files give."""
SURE = 6.0
"""Standard errors beyond which a difference, from either side, is none of noise or texture."""
FAINT = 1e-3
"""Of the signal; what is less is no matter."""
ROUNDING = 0.05
"""The least standard error of means of whole numbers."""


class Stripes(NamedTuple):
    """What was found at columns `(n,)` and bands `(n,)`, both from 0, one pair an element.

    `strength (n,)` is how far each is from its nearer neighbour, in units of the band's median
    signal. `rows` and `bands_seen` tell how many were looked at.
    """

    columns: Ints
    bands: Ints
    strength: Floats
    rows: int
    bands_seen: int

    def __bool__(self) -> bool:
        return len(self.columns) > 0


def stripes(scene: Scene) -> Stripes | None:
    """Columns that differ from both neighbours, by a bounded sample; None where too little is seen.

    Not looked at are scenes that are no files of this machine, and those of few rows or columns.
    """
    each = min(ROWS, scene.rows // GROUPS)
    if is_virtual(scene.path) or each < ROWS_LEAST or scene.cols < COLS_LEAST:
        return None
    groups, bands = _sampled(scene, each)
    if len(groups) < GROUPS_LEAST or not len(bands):
        return None
    means, some = [], []
    for values in _values(scene, groups, bands):
        means.append(_middle(np.diff(values, axis=1)))
        some.append(np.abs(values[::4, ::4]).reshape(-1, len(bands)))
    together = np.concatenate(some)
    together = together[np.isfinite(together).all(axis=1)]
    if not len(together):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        found, strength = _found(np.stack(means), np.median(together, axis=0), scene.dtype)
    columns, at = np.nonzero(found)
    return Stripes(columns + 1, bands[at], strength[found], len(groups) * each, len(bands))


def _found(means: Floats, signal: Floats, dtype: np.dtype[np.generic]) -> tuple[Bools, Floats]:
    """Which inner columns are stripes, `(cols - 2, bands)`, and by how much.

    `means (groups, cols - 1, bands)`: of the step from each column to the next; NaN where not all
    of a group's rows hold a measurement.
    """
    n = np.isfinite(means).sum(axis=0)
    means = np.where(np.isfinite(means), means, np.nan)
    step = np.where(n > 0, np.nansum(means, axis=0) / np.maximum(n, 1), np.nan)
    spread = np.nansum((means - step) ** 2, axis=0)
    error = np.sqrt(spread / np.maximum(n - 1, 1) / np.maximum(n, 1))
    error[n < GROUPS_LEAST] = np.nan
    seen = np.isfinite(error)
    usual = np.array(
        [np.median(e[s]) if s.any() else np.inf for e, s in zip(error.T, seen.T, strict=True)]
    )
    least = ROUNDING if dtype.kind in "iu" else np.finfo(np.float32).eps * np.maximum(signal, 0)
    error = np.where(seen, np.maximum(np.maximum(error, usual), least), np.inf)
    left, right = step[:-1], -step[1:]
    sure = np.minimum(np.abs(left) / error[:-1], np.abs(right) / error[1:])
    strength = np.minimum(np.abs(left), np.abs(right)) / signal
    return (left * right > 0) & (sure > SURE) & (strength > FAINT), strength


def _sampled(scene: Scene, each: int) -> tuple[list[Ints], Ints]:
    """Groups of `each` rows that follow each other, from end to end of the scene, and bands.

    They follow the pieces that the file hands out: fewer of those, and fewer bands, are taken where
    they are large.
    """
    high = max(min(scene.block[0], scene.rows), each)
    line = scene.cols * scene.dtype.itemsize
    pieces = scene.rows // high + (scene.rows % high >= each)
    some = int(np.clip(BYTES // (high * line * scene.bands), 1, min(GROUPS, pieces)))
    groups = []
    for piece in ((np.arange(some) + 0.5) * pieces / some).astype(int):
        first, last = piece * high, min((piece + 1) * high, scene.rows)
        parts = min(-(-GROUPS // some), (last - first) // each)
        for part in np.array_split(np.arange(first, last), max(1, parts)):
            if len(part) >= each:
                start = part[0] + (len(part) - each) // 2
                groups.append(np.arange(start, start + each))
    good = np.flatnonzero(scene.good)
    read, held = some * high * line, len(groups) * each * scene.cols
    most = max(8, min(BYTES // max(read, 1), VALUES // max(held, 1)))
    if lays_out(scene.reader):
        most = min(most, FEW)
    if len(good) > most:
        good = good[np.linspace(0, len(good) - 1, most).round().astype(int)]
    return groups, good


def _values(scene: Scene, groups: list[Ints], bands: Ints) -> Iterator[npt.NDArray[np.float32]]:
    """Values `(rows, cols, bands)` of each group, NaN where nothing was measured."""
    if lays_out(scene.reader):  # in one call, so that each piece is unpacked once
        columns = np.arange(scene.cols)
        whole = scene.thinned(np.concatenate(groups), columns, bands.tolist())
        each: Iterable[Array] = np.split(whole, len(groups))
    else:
        each = (_group(scene, rows, bands) for rows in groups)
    for raw in each:
        values = raw.astype(np.float32)
        if scene.nodata is not None:
            values[raw == scene.nodata] = np.nan
        values[~np.isfinite(values)] = np.nan
        values[shapeless(raw)] = np.nan
        yield values


def _group(scene: Scene, rows: Ints, bands: Ints) -> Array:
    if len(bands) == scene.bands:
        return scene.read(slice(int(rows[0]), int(rows[-1]) + 1))
    return scene.thinned(rows, np.arange(scene.cols), bands.tolist())


def _middle(steps: npt.NDArray[np.float32]) -> Floats:
    """Means over rows `(cols - 1, bands)` without the lowest and the highest quarter of them."""
    ordered = np.sort(steps, axis=0)
    quarter = len(ordered) // 4
    found: Floats = ordered[quarter : len(ordered) - quarter].mean(axis=0, dtype=np.float64)
    found[np.isnan(ordered[-1])] = np.nan
    return found
