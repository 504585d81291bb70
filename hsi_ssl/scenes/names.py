"""What a scene is called, after its file; what other files that go with it bear in their names."""

from __future__ import annotations

import re
from pathlib import PurePath

PACKINGS = {".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".7z"}
"""Endings before which another one tells what is packed."""
_NUMBER = re.compile(r"\.\d")


def name_of(path: PurePath) -> str:
    """The name of a file without its ending, and without that of what is packed: `scene.dat.gz`.

    What begins with a digit ends no name: `flight.1.tif` is `flight.1`, as is `flight.1`.
    """
    name = path.name
    while True:
        ending = PurePath(name).suffix
        if not ending or (_NUMBER.match(ending) and ending.lower() not in PACKINGS):
            return name
        name = name.removesuffix(ending)
        if ending.lower() not in PACKINGS:
            return name


def short_name(name: str) -> str:
    """A name as far as its first dot."""
    return name.split(".", maxsplit=1)[0] or name
