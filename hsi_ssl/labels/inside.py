"""Labels that are an array in a file of several: `scene.mat:labels`."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = {".mat", ".h5", ".hdf5", ".he5", ".nc", ".npz"}


def array_in(path: Path) -> tuple[Path, str | None]:
    """The file and the array that a path such as `scene.mat:gt` names; None for other paths."""
    before, colon, after = str(path).rpartition(":")
    if colon and after and not path.exists():
        file = Path(before)
        if file.suffix.lower() in SUFFIXES and file.is_file():
            return file, after
    return path, None
