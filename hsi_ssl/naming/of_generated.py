"""The middle style of each class in a folder that `hsi-ssl generate` wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hsi_ssl.libraries.library import SpectralLibrary
from hsi_ssl.libraries.reading import open_library

STYLES = "styles.csv"
MIDDLE = ", quantile 0.5"
"""How the names of spectra end that stand in the middle of the prior of the unit that is moved."""
UNIT = ", unit of z "


def is_generated(folder: Path) -> bool:
    """Whether `generate` wrote it."""
    return (folder / STYLES).is_file()


def of_generated(folder: Path) -> SpectralLibrary:
    """One spectrum a class: all units of z where the class's spectra have them on average.

    Raises
    ------
    LibraryError
        The table is broken, or of bands without wavelengths.
    """
    whole = open_library(folder / STYLES)
    found = {
        one.name.partition(UNIT)[0]: one
        for one in reversed(whole.spectra)
        if one.name.endswith(MIDDLE)
    }
    middle = [replace(one, name=name, material=name) for name, one in reversed(found.items())]
    note = f"the middle style of each class in {folder / STYLES}; name the file to have them all"
    return replace(whole, spectra=tuple(middle), notes=(*whole.notes, note))
