"""Scalings of each spectrum by itself, its level thrown away: `snv` and `continuum`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.noise import Floats
from hsi_ssl.datasets.scaling import BLOCK, Numbers, Sample, Scaler, or_one


class _OfShape(Scaler):
    """`axis (bands,)`: wavelengths in nm, or band numbers."""

    invertible = False

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """The bands' wavelengths, or numbers where these are not known."""
        known = sample.wavelengths
        axis = np.arange(sample.bands) if known is None else np.asarray(known)
        return {"axis": axis.astype(np.float64)}

    @property
    def width(self) -> int:
        """Columns of the scaled spectra."""
        return len(self.numbers["axis"])

    def transform(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scaled spectra, see `Scaler`."""
        scaled = np.empty(raw.shape, np.float32)
        for first in range(0, len(raw), BLOCK):
            block = raw[first : first + BLOCK].astype(np.float64)
            scaled[first : first + BLOCK] = self.shape(block)
        return scaled

    @abstractmethod
    def shape(self, spectra: Floats) -> Floats:
        """What is left of spectra `(n, bands)` without their level."""


class StandardNormalVariate(_OfShape):
    """Each spectrum to mean 0 and standard deviation 1 (Barnes et al. 1989)."""

    kind = "snv"

    def shape(self, spectra: Floats) -> Floats:
        """Standard normal variates."""
        return standard_normal_variate(spectra)


class ContinuumRemoved(_OfShape):
    """Each spectrum divided by its upper convex hull (Clark and Roush 1984)."""

    kind = "continuum"

    def shape(self, spectra: Floats) -> Floats:
        """1 at the hull, below in absorptions."""
        return continuum_removed(spectra, self.numbers["axis"])


def standard_normal_variate(spectra: Floats) -> Floats:
    """Each spectrum of `(n, bands)` minus its mean, divided by its standard deviation."""
    centred = spectra - spectra.mean(axis=1, keepdims=True)
    found: Floats = centred / or_one(centred.std(axis=1, keepdims=True))
    return found


def continuum_removed(spectra: Floats, axis: Floats) -> Floats:
    """Each spectrum of `(n, bands)` divided by its upper convex hull over `axis (bands,)`.

    1 at the hull, below in absorptions; 1 where the hull is not positive.
    """
    order = np.argsort(axis, kind="stable")
    x, y = axis[order], spectra[:, order]
    hull = _hull_vertices(x, y)
    number = np.arange(len(x))
    left = np.maximum.accumulate(np.where(hull, number, 0), axis=1)
    right = np.where(hull, number, len(x) - 1)[:, ::-1]
    right = np.minimum.accumulate(right, axis=1)[:, ::-1]
    low, high = np.take_along_axis(y, left, axis=1), np.take_along_axis(y, right, axis=1)
    way = (x - x[left]) / or_one(x[right] - x[left])
    continuum = low + way * (high - low)
    removed = np.empty_like(y)
    removed[:, order] = np.divide(y, continuum, out=np.ones_like(y), where=continuum > 0)
    return removed


def _hull_vertices(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Which points of each row of `y (n, bands)` are vertices of its upper convex hull.

    Andrew's monotone chain, all rows side by side: a stack of vertices a row, from whose top
    points are popped that lie on or under the line from the one below them to the new point.
    """
    n, bands = y.shape
    rows = np.arange(n)
    stack = np.zeros((n, bands), np.intp)
    top = np.zeros(n, np.intp)
    for j in range(1, bands):
        open_rows = rows[top > 0]
        while len(open_rows):
            at = top[open_rows]
            a, b = stack[open_rows, at - 1], stack[open_rows, at]
            ya, yb = y[open_rows, a], y[open_rows, b]
            under = (yb - ya) * (x[j] - x[a]) <= (y[open_rows, j] - ya) * (x[b] - x[a])
            open_rows = open_rows[under]
            top[open_rows] -= 1
            open_rows = open_rows[top[open_rows] > 0]
        top += 1
        stack[rows, top] = j
    hull = np.zeros((n, bands), bool)
    on_stack = np.arange(bands) <= top[:, None]
    hull[np.nonzero(on_stack)[0], stack[on_stack]] = True
    return hull
