"""Scenes that are no files of this machine: on a server (https://...) or inside an archive.

GDAL reads them by windows under names of its own: `/vsicurl/https://...`, `/vsizip/archive.zip/...`
and the like. A `Path` joins double slashes (`https:/host/x.tif`); `gdal_name` parts them again.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.files import fingerprint, folder_fingerprint
from hsi_ssl.scenes.scene import Scene

SCHEME = re.compile(r"\b(https?|ftp):/+", re.IGNORECASE)
SYSTEM = re.compile(r"/vsi[a-z0-9_]+/")
FINGERPRINT_PIXELS = 4
"""Rows and columns of pixels by which a scene is known again; each pixel may cost a request."""


def is_virtual(path: Path) -> bool:
    """Whether only GDAL can open what is at `path`: a web address or a name of its own."""
    name = path.as_posix()
    return SYSTEM.match(name) is not None or SCHEME.match(name) is not None


def gdal_name(path: Path) -> str:
    """What GDAL calls `path`; ordinary paths stay as they are."""
    if not is_virtual(path):
        return str(path)
    name = SCHEME.sub(r"\1://", path.as_posix())
    system = SYSTEM.match(name)
    if system is None:
        return f"/vsicurl/{name}"
    inside = name[system.end() :]
    if inside.startswith("vsi") or _holds_file(Path(inside)):
        return name
    # Once /vsizip//home/me/archive.zip/scene.tif.
    return f"{system[0]}/{inside}" if _holds_file(Path("/") / inside) else name


def shown(path: Path) -> str:
    """`path` as people write it."""
    return gdal_name(path).removeprefix("/vsicurl/") if is_virtual(path) else str(path)


def identity(scene: Scene) -> dict[str, Any]:
    """`size` in bytes and `fingerprint` of a scene's file, by which it is known again.

    Of a virtual one no size is known; its fingerprint is taken from a few pixels.
    """
    if scene.path.is_dir():
        size, found = folder_fingerprint(scene.path)
        return {"size": size, "fingerprint": found}
    if not is_virtual(scene.path):
        return {"size": scene.path.stat().st_size, "fingerprint": fingerprint(scene.path)}
    rows, cols = (
        np.linspace(0, side - 1, FINGERPRINT_PIXELS).round().astype(np.int64)
        for side in (scene.rows, scene.cols)
    )
    about = f"{scene.rows} {scene.cols} {scene.bands} {scene.dtype}"
    spectra = scene.pixels(*(place.ravel() for place in np.meshgrid(rows, cols)))
    digest = hashlib.sha256(about.encode() + spectra.tobytes())
    return {"size": None, "fingerprint": digest.hexdigest()}


def _holds_file(path: Path) -> bool:
    """Whether a part of the path, from its beginning, is a file: the archive."""
    return any(part.is_file() for part in (path, *path.parents))
