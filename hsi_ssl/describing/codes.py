"""Pixels by code, and names of coordinate systems, as values and in words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from hsi_ssl.describing.description import counted
from hsi_ssl.labels.label_set import UNLABELLED_CODE


def counts_of(codes: npt.NDArray[np.int64]) -> Counter[int]:
    """Labelled pixels by code."""
    values, counts = np.unique(codes, return_counts=True)
    found = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    del found[UNLABELLED_CODE]
    return found


def by_text(counts: Counter[int] | None) -> dict[str, int] | None:
    """Counts as JSON has them, in the order of codes."""
    return None if counts is None else {str(code): n for code, n in sorted(counts.items())}


def count_lines(counts: Counter[int], pixels: int, names: dict[int, str]) -> list[str]:
    """How many pixels are labelled, and a line for each code, with its name where it has one."""
    total = counts.total()
    lines = [f"{total} of {pixels} pixels labelled, {counted(len(counts), 'class', 'classes')}:"]
    for code, n in sorted(counts.items()):
        lines.append(f"{code:8}  {n:10}  {names.get(code, '')}".rstrip())
    return lines


def crs_name(crs: str | None) -> str | None:
    """`EPSG:n` where the system, a WKT or a name, is one of those, else as it is."""
    if crs is None:
        return None
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        code = CRS.from_user_input(crs).to_epsg()
    except CRSError:  # whoever places something by it says so
        return crs
    return crs if code is None else f"EPSG:{code}"
