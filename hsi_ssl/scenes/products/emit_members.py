"""The files of an EMIT granule: which of them belong together, and what its mask flags.

They are called alike, EMIT_L2A_RFL_<version>_<time>_<orbit>_<scene>.nc; one that was renamed is
known by its attribute `flight_line`, which all have in common.
"""

from __future__ import annotations

import glob
import re
from functools import partial
from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import plain_text
from hsi_ssl.scenes.layers import CIRRUS, CLOUD, WATER, Layer
from hsi_ssl.scenes.product import Candidate
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.scene import Bools

BANDS_AT = "sensor_band_parameters/"
CUBES = {"reflectance": "L2A_RFL", "radiance": "L1B_RAD"}
"""Arrays that are cubes, and what their files are called."""
MEMBERS = {
    "mask": (f"{BANDS_AT}mask_bands", ("L2A_RFL", "L1B_RAD")),
    "reflectance_uncertainty": (f"{BANDS_AT}wavelengths", ("L2A_RFL",)),
    "obs": (f"{BANDS_AT}observation_bands", ("L1B_RAD", "L2A_RFL")),
}
"""Arrays of the other files, what stands beside them there, and the files that hold the cube."""
NAMED = re.compile(r"(EMIT_)(L1B_RAD|L1B_OBS|L2A_RFLUNCERT|L2A_RFL|L2A_MASK)(_.+)", re.IGNORECASE)
ALIKE = ("flight_line", "time_coverage_start")
"""Attributes that tell an acquisition."""
SPACECRAFT = "spacecraft"
WORDS = {"spacecraft": SPACECRAFT, "cirrus": CIRRUS, "cloud": CLOUD, "water": WATER}
"""Words in the names of a mask's flags, and the layers that they are: clouds dilated too."""
STRIP = 64
"""Rows of a mask that are read at a time."""


def cube_in(names: frozenset[str]) -> str | None:
    """The array of an EMIT file that is a cube."""
    return next((name for name in CUBES if name in names), None)


def member_in(names: frozenset[str]) -> str | None:
    """What an EMIT file without a cube holds, by the names in it; None for other files."""
    return next((one for one, (by, _) in MEMBERS.items() if {one, by} <= names), None)


def cube_beside(path: Path, member: str) -> Path:
    """The file of the cube that a file of a `member` belongs to.

    Raises
    ------
    SceneError
        It is not in the same folder, or is of another acquisition.
    """
    names = MEMBERS[member][1]
    match = NAMED.fullmatch(path.name)
    if match is not None:
        for name in names:
            for there in Candidate(path).members(glob.escape(f"{match[1]}{name}{match[3]}")):
                refuse_mixed(there, path)
                return there
    for there in _renamed_beside(path):
        if cube_in(Candidate(there).hdf5) and _same(there, path):
            return there
    called = f"{match[1]}{names[0]}{match[3]}" if match else f"EMIT_{names[0]}_<...>.nc"
    raise SceneError(
        f"{path} is the {member.replace('_', ' ')} of an EMIT granule, whose cube {called} is not "
        "beside it; get that file too"
    )


def mask_beside(path: Path) -> Path | None:
    """The mask of a cube's file, None where there is none in its folder.

    Raises
    ------
    SceneError
        What is called as its mask is of another acquisition.
    """
    match = NAMED.fullmatch(path.name)
    if match is not None:
        for there in Candidate(path).members(glob.escape(f"{match[1]}L2A_MASK{match[3]}")):
            refuse_mixed(path, there)
            return there
    for there in _renamed_beside(path):
        if member_in(Candidate(there).hdf5) == "mask" and _same(there, path):
            return there
    return None


def _renamed_beside(path: Path) -> list[Path]:
    """Files that may belong to one whatever they are called: where its name tells, renamed ones."""
    told = NAMED.fullmatch(path.name) is not None
    beside = (there for there in Candidate(path).members("*.nc") if there != path)
    return [there for there in beside if not (told and NAMED.fullmatch(there.name))]


def refuse_mixed(cube: Path, member: Path) -> None:
    """Raise `SceneError` where two files that are called alike are of two acquisitions."""
    ours, theirs = _told(cube), _told(member)
    for name in ALIKE:
        if name in ours and name in theirs and ours[name] != theirs[name]:
            raise SceneError(
                f"{member} is of another acquisition than {cube.name} ({name} {theirs[name]}, not "
                f"{ours[name]}), though it is called as if it were of the same; get both again"
            )


def layers_of(mask: Path, cube: Path, size: tuple[int, int]) -> dict[str, Layer]:
    """What a mask flags of a cube of `size` rows and columns.

    Raises
    ------
    SceneError
        The mask has other rows or columns, or other bands than names of them.
    """
    with opened(mask) as file:
        array, named = file.get("mask"), file.get(MEMBERS["mask"][0])
        names = [] if named is None else [plain_text(one) for one in np.ravel(named[()])]
        shape = getattr(array, "shape", None)
        if shape != (*size, len(names)):
            raise SceneError(
                f"{mask} has a mask of {shape} and {len(names)} names of its bands; expected "
                f"{size[0]} x {size[1]} pixels, as {cube.name} has, and a name a band: get both "
                "again"
            )
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        layer = next((one for word, one in WORDS.items() if word in name.lower()), None)
        if layer is not None and "flag" in name.lower():
            found.setdefault(layer, []).append(i)
    return {
        layer: Layer(
            partial(_flagged, mask, bands),
            f"{' and '.join(names[i] for i in bands)} of {mask.name}",
        )
        for layer, bands in found.items()
    }


def _flagged(mask: Path, bands: list[int]) -> Bools:
    """Pixels that one of these bands flags."""
    with opened(mask) as file:
        array = file["mask"]
        found: Bools = np.zeros(array.shape[:2], bool)
        for first in range(0, len(found), STRIP):
            rows = slice(first, first + STRIP)
            found[rows] = (array[rows][..., bands] > 0).any(axis=-1)
    return found


def _told(path: Path) -> dict[str, str]:
    with opened(path) as file:
        return {name: plain_text(file.attrs[name]) for name in ALIKE if name in file.attrs}


def _same(one: Path, other: Path) -> bool:
    """Whether two files say that they are of one acquisition."""
    ours, theirs = _told(one), _told(other)
    both = [name for name in ALIKE if name in ours and name in theirs]
    return bool(both) and all(ours[name] == theirs[name] for name in both)
