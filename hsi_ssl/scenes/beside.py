"""The files beside a cube's own that reading it depends on, by which it is known again.

Headers, masks and what else GDAL lists with a raster, the sources of a virtual one, and the members
of its product. Overviews and GDAL's `.aux.xml` are left out: programs that only look at a scene
write them, and what they say of its bands, numbers and place is read from the open scene.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import is_raster
from hsi_ssl.scenes.products import product_at
from hsi_ssl.scenes.readers.envi import find_header
from hsi_ssl.scenes.readers.gdal_opening import looked_into
from hsi_ssl.scenes.readers.vrt_sources import sources_of
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.scenes.wavelengths import headers_beside

LOOKED_AT = (".aux.xml", ".ovr")
"""Endings of what programs write beside a scene that they show."""


def files_beside(path: Path) -> list[Path]:
    """All of them, in the order of their names; none of scenes on servers and in archives."""
    found: dict[Path, None] = {}
    if not is_virtual(path):
        _add(path, found)
    return sorted(one for one in found if one != path)


def _add(path: Path, found: dict[Path, None]) -> None:
    """Add a file with all that it is read with."""
    found[path] = None
    for member in _members(path):
        found.setdefault(member)
        _headers(member, found)
    if path.is_dir():
        return
    _headers(path, found)
    for source in sources_of(path):
        if source not in found and source.exists():
            _add(source, found)
    for one in _listed(path):
        if one.is_file() and not one.name.lower().endswith(LOOKED_AT):
            found.setdefault(one)


def _headers(path: Path, found: dict[Path, None]) -> None:
    header = find_header(path)
    for one in (*headers_beside(path), *([] if header is None else [header])):
        if one.is_file():
            found.setdefault(one)


def _listed(path: Path) -> list[Path]:
    """What GDAL lists with a raster; nothing where it cannot open it by itself."""
    with suppress(SceneError):
        if is_raster(path):
            with looked_into(path) as dataset:
                return [Path(name) for name in dataset.files]
    return []


def _members(path: Path) -> Iterable[Path]:
    """Members of the product whose cube a file holds."""
    try:
        found = product_at(path)
        return () if found is None else found.product.members(path)
    except SceneError:  # who opens it says so
        return ()
