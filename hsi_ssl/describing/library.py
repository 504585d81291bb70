"""What a spectral library holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hsi_ssl.describing.description import Description, counted
from hsi_ssl.libraries.reading import open_library

FIRST = 8
"""Names shown to people."""


def describe_library(path: Path) -> Description:
    """Describe a spectral library, as `match` reads it.

    Raises
    ------
    LibraryError
        It is broken.
    """
    library = open_library(path)
    spectra = library.spectra
    grids = {s.wavelengths_nm.tobytes(): s.wavelengths_nm for s in spectra}
    low = min(float(x[0]) for x in grids.values())
    high = max(float(x[-1]) for x in grids.values())
    bands = sorted({len(x) for x in grids.values()})
    one = next(iter(grids.values())) if len(grids) == 1 else None
    materials = list(dict.fromkeys(s.material for s in spectra))
    known = [s.reflectance[np.isfinite(s.reflectance)] for s in spectra]
    known = [values for values in known if len(values)]
    values_from = min((float(v.min()) for v in known), default=None)
    values_to = max((float(v.max()) for v in known), default=None)
    mixtures = sum(s.mixture for s in spectra)
    values = {
        "kind": "library",
        "format": library.format,
        "path": str(path),
        "spectra": len(spectra),
        "names": [s.name for s in spectra],
        "materials": len(materials),
        "mixtures": mixtures,
        "bands": bands[0] if len(bands) == 1 else bands,
        "range_nm": [low, high],
        "wavelengths_nm": None if one is None else one.tolist(),
        "unit": library.unit,
        "values": [values_from, values_to],
        "notes": list(library.notes),
    }
    span = counted(bands[0], "band") if len(bands) == 1 else f"{bands[0]} to {bands[-1]} bands"
    unit = f" (in the file: {library.unit})" if library.unit else ""
    mixed = f", {counted(mixtures, 'mixture')}" if mixtures else ""
    more = f" and {len(spectra) - FIRST} more" if len(spectra) > FIRST else ""
    lines = [
        f"{path}: spectral library, {library.format}",
        f"{counted(len(spectra), 'spectrum', 'spectra')} of "
        f"{counted(len(materials), 'material')}{mixed}",
        f"{span}, wavelengths {low:.1f} to {high:.1f} nm{unit}"
        + ("" if one is not None else f", {len(grids)} sets of bands"),
    ]
    if values_from is None:
        lines.append("no value is a positive number")
    else:
        lines.append(f"values {values_from:.4g} to {values_to:.4g}")
    lines.append("names: " + ", ".join(s.name for s in spectra[:FIRST]) + more)
    return Description(values, lines + [f"note: {note}" for note in library.notes])
