"""Detectors of one product as one cube: bands in the order of their wavelengths.

Where two detectors see the same wavelengths, bands of both are used unless the user names the one
that counts there. Their rows and columns are the product's: nothing is shifted or resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.product import Overlap
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.scene import Bools, CubeReader, Floats
from hsi_ssl.scenes.stacked import StackedReader
from hsi_ssl.scenes.units import Units


class Detector(NamedTuple):
    """Bands of one detector: `wavelengths_nm (n,)` NaN where there is none, `good (n,)` flags."""

    name: str
    reader: BoxReader
    wavelengths_nm: Floats
    fwhm_nm: Floats | None
    good: Bools
    units: Units | None = None


class Stacked(NamedTuple):
    """All bands `(n,)` as one cube; `block` as a scene's, `notes` are to be told to the user."""

    reader: CubeReader
    block: tuple[int, int]
    wavelengths_nm: Floats
    fwhm_nm: Floats | None
    good: Bools
    units: Units | None
    notes: tuple[str, ...]


def stacked(detectors: Sequence[Detector], overlap: Overlap, *, name: str) -> Stacked:
    """One cube of the detectors of the product `name`, those without a wavelength last."""
    counts = [len(one.wavelengths_nm) for one in detectors]
    nm = np.concatenate([one.wavelengths_nm for one in detectors])
    good = np.concatenate([one.good for one in detectors])
    owner = np.repeat(np.arange(len(detectors)), counts)
    good, notes = without_overlap(
        nm, good, owner, [one.name for one in detectors], overlap, name=name
    )
    order = np.argsort(nm, kind="stable")
    widths = None
    if all(one.fwhm_nm is not None for one in detectors):
        widths = np.concatenate([one.fwhm_nm for one in detectors if one.fwhm_nm is not None])
    return Stacked(
        StackedReader([one.reader for one in detectors], counts, order),
        (detectors[0].reader.piece[0], detectors[0].reader.piece[1]),
        nm[order],
        None if widths is None else widths[order],
        good[order],
        _units(detectors, order),
        notes,
    )


def without_overlap(
    nm: Floats,
    good: Bools,
    owner: npt.NDArray[np.int64],
    names: Sequence[str],
    overlap: Overlap,
    *,
    name: str,
) -> tuple[Bools, tuple[str, ...]]:
    """Flags of good bands `(n,)` with `overlap` regarded, and what is to be told of it.

    `owner (n,)` numbers the detector of each band among `names`; -1 where nobody knows.
    """
    twice = _twice(nm, good, owner)
    if twice is None:
        return good, ()
    low, high = twice
    inside = good & (nm >= low) & (nm <= high)
    each = " and ".join(
        f"{np.count_nonzero(inside & (owner == i))} of {detector}"
        for i, detector in enumerate(names)
        if (inside & (owner == i)).any()
    )
    which = "all are used" if overlap == "both" else f"{overlap.upper()} alone is used there"
    note = (
        f"{name}: detectors overlap from {low:.1f} to {high:.1f} nm, {each} bands: {which} "
        "(--overlap both, vnir or swir)"
    )
    if overlap != "both":
        chosen = [i for i, detector in enumerate(names) if detector.lower() == overlap]
        good = good & (~inside | np.isin(owner, chosen))
    return good, (note,)


def _twice(nm: Floats, good: Bools, owner: npt.NDArray[np.int64]) -> tuple[float, float] | None:
    """From where to where two detectors, those next to each other, have good bands."""
    ends = [
        (float(nm[own].min()), float(nm[own].max()))
        for i in np.unique(owner[owner >= 0])
        if (own := (owner == i) & good & np.isfinite(nm)).any()
    ]
    ends.sort()
    shared = [(b[0], a[1]) for a, b in pairwise(ends) if b[0] <= a[1]]
    if not shared:
        return None
    return min(low for low, _ in shared), max(high for _, high in shared)


def _units(detectors: Sequence[Detector], order: np.ndarray) -> Units | None:
    """Scale and offset of all bands, where each detector tells its own."""
    told = [one.units for one in detectors if one.units is not None]
    if len(told) < len(detectors):
        return None
    kinds = {one.kind for one in told}
    return Units(
        np.concatenate([one.scale for one in told])[order],
        np.concatenate([one.offset for one in told])[order],
        kinds.pop() if len(kinds) == 1 else None,
        told[0].source,
    )
