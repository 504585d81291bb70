"""Measured spectra as a library: values at the bands that count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import SpectralLibrary, spectrum
from hsi_ssl.scenes.scene import Scene

ALL_PIXELS = "all pixels"
"""Name of the mean of all, which can be taken for what is mixed into each."""


def as_library(
    path: Path, spectra: dict[str, npt.NDArray[Any]], wavelengths_nm: Any, *notes: str
) -> SpectralLibrary:
    """Spectra `(bands,)` by their names.

    Raises
    ------
    LibraryError
        Nobody knows their wavelengths.
    """
    if wavelengths_nm is None:
        raise LibraryError(
            f"{path} tells no wavelengths, by which a library is compared: add them to its header, "
            "or write the spectra as a CSV whose first column holds them"
        )
    centres = np.asarray(wavelengths_nm, np.float64)
    known = np.isfinite(centres)
    found = [
        spectrum(name, name, centres[known], values[known]) for name, values in spectra.items()
    ]
    return SpectralLibrary(path, tuple(found), notes, format="measured")


def physical(scene: Scene, raw: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Raw values `(..., bands)` in the scene's unit, those of bad bands NaN."""
    values = raw.astype(np.float64)
    if scene.units is not None:
        values = values * scene.units.scale + scene.units.offset
    values[..., ~scene.good] = np.nan
    return values
