"""Smile of push-brooms: the wavelength of a band that changes over the columns of its detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.resampling import SAID_NM


def smile_in_words(matrix: npt.ArrayLike, name: str, *, where: str, used: str) -> str | None:
    """How far wavelengths `(columns, bands)` in nm vary over columns, 0 where there is none.

    `name` is the detector's, `where` tells them and `used` is what the scene takes; None where they
    vary by no more than rounding.
    """
    nm = np.asarray(matrix, np.float64)
    nm = np.where(np.isfinite(nm) & (nm > 0), nm, np.nan)
    nm = nm[:, np.isfinite(nm).any(axis=0)]
    if not nm.size:
        return None
    spread = np.nanmax(nm, axis=0) - np.nanmin(nm, axis=0)
    if spread.max() <= SAID_NM:
        return None
    return (
        f"{name}: the wavelength of a band varies over columns by up to {spread.max():.2g} nm "
        f"(smile, {where}), {np.median(spread):.2g} nm in the middle of bands; {used} are used for "
        "all columns"
    )
