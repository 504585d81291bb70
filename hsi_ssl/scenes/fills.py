"""Values that stand for "nothing measured" though the file does not say so.

A user names one (`--nodata`). Where nobody does, those that programs are known to write are looked
for in a sample of the scene and told: they are not left out unasked, since a number that occurs may
be one that was measured. What no instrument measures is nothing in any case (`valid_spectra`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.measured import Measured, decoding
from hsi_ssl.scenes.sample import Sample
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import Watcher

WRITTEN = (-9999.0, -999.0, -99999.0, -32768.0, -32767.0, -1e20, 1e20)
"""By instruments' software, GIS and climate models, for nothing measured."""
SHARE = 1e-4
"""Of a sample's numbers: a single one may be by chance."""
FEWEST = 5
NAMED = 3
"""Numbers that pixels have in all bands, at most."""


def without_value(scene: Scene, value: float) -> Scene:
    """The scene in which a raw value stands for nothing measured, beside what its file says.

    Raises
    ------
    SceneError
        The scene's numbers cannot be that value.
    """
    kind = scene.dtype
    if not _fits(value, kind):
        raise SceneError(
            f"{scene.path} holds numbers of {kind}, none of which can be {value:g}; expected a "
            "value that stands for no data in it: leave --nodata out, or name another"
        )
    own = () if scene.nodata is None else (scene.nodata,)
    said = scene.origins.nodata
    said_by = (f"--nodata {value:g}", *(() if said is None else (said.where,)))
    how = decoding(kind, [Measured((*own, value), said_by=said_by)] * scene.bands)
    return replace(
        scene,
        reader=how.through(scene.reader),
        dtype=how.dtype,
        nodata=how.nodata,
        origins=replace(scene.origins, nodata=how.origin),
    )


class Undeclared(NamedTuple):
    """What is to be said of numbers that stand for nothing, though no file says so; None if none.

    `taken`: of pixels that have one in all bands, which are left out; `doubtful`: of one among
    others, which is not.
    """

    taken: str | None
    doubtful: str | None


def undeclared(scene: Scene, found: Sample) -> Undeclared:
    """What a sample of all good bands tells."""
    return Undeclared(_alike(scene, found), _among_others(scene, found))


def tell_undeclared(scene: Scene, found: Sample, watcher: Watcher) -> None:
    """Say what was taken for no data, and warn of what may be."""
    told = undeclared(scene, found)
    if told.taken is not None:
        watcher.say(told.taken)
    if told.doubtful is not None:
        watcher.warn(told.doubtful)


def _alike(scene: Scene, found: Sample) -> str | None:
    if not len(found.alike):
        return None
    values, counts = np.unique(found.alike, return_counts=True)
    listed = ", ".join(f"{value:g}" for value in values[np.argsort(-counts)][:NAMED])
    more = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
    return (
        f"{scene.path.name}: {len(found.alike) / found.pixels:.1%} of the pixels looked at hold "
        f"one number in all bands ({listed}{more}): taken for no data or saturation"
    )


def _among_others(scene: Scene, found: Sample) -> str | None:
    raw, kind = found.spectra, scene.dtype
    values = [*WRITTEN]
    if kind.kind == "u" and kind.itemsize > 1:
        values.append(float(np.iinfo(kind).max))
    for value in values:
        if not _fits(value, kind):
            continue
        share = np.count_nonzero(raw == kind.type(value)) / max(1, raw.size)
        if share * raw.size >= FEWEST and share >= SHARE:
            return (
                f"{scene.path.name}: {share:.2%} of the numbers looked at are {value:g}, which "
                f"often stands for no data and here is not said to: pass --nodata {value:g} to "
                "leave such pixels out"
            )
    return None


def _fits(value: float, kind: np.dtype[Any]) -> bool:
    """Whether numbers of that type can be the value, as far as the type tells them apart."""
    if not np.isfinite(value):
        return False
    if kind.kind not in "iu":
        with np.errstate(over="ignore"):
            return bool(np.isfinite(kind.type(value)))
    ends = np.iinfo(kind)
    return value == int(value) and ends.min <= value <= ends.max
