"""What `info` tells of a scene's numbers themselves, by a bounded sample of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hsi_ssl.describing.description import counted, runs_of
from hsi_ssl.errors import UnitsError
from hsi_ssl.scenes.fills import undeclared
from hsi_ssl.scenes.sample import sample
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.stripes import Stripes, stripes
from hsi_ssl.scenes.units import refuse_scaled_twice
from hsi_ssl.scenes.virtual import is_virtual

COLUMNS = 8
"""Runs of columns with stripes that are told."""


class Looked(NamedTuple):
    """What was found: `stripes` as JSON, None where nobody looked; `lines` and `notes`."""

    stripes: dict[str, Any] | None = None
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def looked_at(scene: Scene) -> Looked:
    """Stripes of a cube, and numbers that its scale makes odd."""
    notes = _odd_numbers(scene)
    found = stripes(scene) if scene.bands > 1 else None
    if found is None:
        return Looked(notes=notes)
    lines = (_stripes_line(found, scene),) if found else ()
    return Looked(_stripes(found), lines, notes)


def _odd_numbers(scene: Scene) -> tuple[str, ...]:
    """What is odd about a scene's numbers; of a scene that is not on this machine nobody looks."""
    if is_virtual(scene.path):
        return ()
    bands = np.flatnonzero(scene.good)
    found = sample(scene, bands)
    notes = tuple(said for said in undeclared(scene, found) if said is not None)
    try:
        if len(found.spectra):
            refuse_scaled_twice(scene, found.spectra, bands)
    except UnitsError as error:
        return (*notes, str(error))
    return notes


def _stripes(found: Stripes) -> dict[str, Any]:
    """Columns and bands from 0; strengths in units of a band's median signal."""
    return {
        "columns": np.unique(found.columns).tolist(),
        "bands": np.unique(found.bands).tolist(),
        "strength": float(np.median(found.strength)) if found else None,
        "strongest": float(found.strength.max()) if found else None,
        "rows_seen": found.rows,
        "bands_seen": found.bands_seen,
    }


def _stripes_line(found: Stripes, scene: Scene) -> str:
    """Which columns differ from their neighbours, in which bands, and by how much."""
    columns, bands = np.unique(found.columns), np.unique(found.bands)
    usual, most = float(np.median(found.strength)), float(found.strength.max())
    shown = runs_of(columns).split(", ")
    more = f" and {len(shown) - COLUMNS} more" if len(shown) > COLUMNS else ""
    seen = (
        ""
        if found.bands_seen == np.count_nonzero(scene.good)
        else f" of {found.bands_seen} looked at"
    )
    return (
        f"stripes: {counted(len(columns), 'column')} ({', '.join(shown[:COLUMNS])}{more}) "
        f"{'differs' if len(columns) == 1 else 'differ'} from both neighbours beyond noise, in "
        f"{counted(len(bands), 'band')}{seen} ({runs_of(bands)}), by {usual:.2%} of the "
        f"signal, {most:.2%} at most; nothing is repaired"
    )
