"""Free slots whose mean spectrum is that of a labelled class: part of it, nothing new."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsi_ssl.discovery.tally import Tally
from hsi_ssl.libraries.matching import in_units_of_scatter, shapes

ONE_DIRECTION = 0.7
"""Cosine between what tells both from the scene's mean, above which they may be one."""
NEAR = 1.5
"""Standard deviations of the scatter within slots between the means of what may be one."""


def parts_of_classes(
    total: Tally, classes: int, wavelengths_nm: npt.ArrayLike
) -> dict[int, tuple[int, float]]:
    """Free slots that look like a labelled class: slot -> (class, distance between the means).

    Shapes (`libraries.matching.shapes`) are compared in units of their scatter within slots, as
    pixels of one material differ by light, water and what is mixed in. Both must differ from the
    scene's mean in one direction, and from each other by little.
    """
    there = np.flatnonzero(total.shape_pixels)
    known, free = there[there < classes], there[there >= classes]
    if not len(known) or not len(free):
        return {}
    means = total.shapes / np.maximum(total.shape_pixels, 1)[:, None]
    middle = shapes(total.overall[None], wavelengths_nm)
    here, others = in_units_of_scatter(total.scatter, means[free] - middle, means[known] - middle)
    lengths = np.linalg.norm(here, axis=1)[:, None] * np.linalg.norm(others, axis=1)
    cosine = here @ others.T / np.maximum(lengths, 1e-300)
    apart = np.linalg.norm(here[:, None] - others, axis=2)
    alike = np.where((cosine > ONE_DIRECTION) & (apart < NEAR), apart, np.inf)
    nearest = alike.argmin(axis=1)
    return {
        int(slot): (int(known[k]), float(row[k]))
        for slot, k, row in zip(free, nearest, alike, strict=True)
        if np.isfinite(row[k])
    }
