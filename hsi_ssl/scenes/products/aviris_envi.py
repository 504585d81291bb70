"""AVIRIS-NG and its kin as ENVI files, seen by the sensor, with what places them beside.

By JPL's AVIRIS-NG and AVIRIS-3 Distribution Documents. Files of one flight line begin with the same
name, ang<date>t<time>; what follows says what they hold: reflectance (`rfl`, `corr`) or radiance
(`rdn`), float32, -9999 where nothing was measured; `glt`, a lookup table (`lookup.py`), sample and
line, on a grid that may be turned; `igm`, easting and northing of each pixel in the CRS
of that grid; `loc`, its longitude and latitude; `obs`, its geometry. Delivered cubes are mostly
orthorectified: their header tells their place, and they need nothing of this. So are files that end
in `_ort`, unless they are what a lookup table is made of (`ort_glt`, `ort_igm`).

Where only a table is there, pixels are placed by the cells that show them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.lookup import Numbers, Table
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.bad_bands import with_nothing, without_empty_bands
from hsi_ssl.scenes.products.seen import by_coordinates, seen_at
from hsi_ssl.scenes.products.swaths import NO_PLACE, Located
from hsi_ssl.scenes.readers import envi
from hsi_ssl.scenes.readers.cf_grid import wgs84
from hsi_ssl.scenes.scene import Grid, Scene
from hsi_ssl.scenes.units import Kind, units_of

FLIGHT = re.compile(
    r"(ang|prm)\d{8}t\d{6}|av[35]\d{8}t\d{6}|f\d{6}t\d\dp\d\dr\d\d|emit\d{8}t\d{6}"
    r"|emit_l\d\w_[a-z]+_\d{3}_\d{8}t\d{6}_\d+_\d+",
    re.IGNORECASE,
)
SENSORS = {"ang": "AVIRIS-NG", "av3": "AVIRIS-3", "av5": "AVIRIS-5", "prm": "PRISM"}
CUBES: dict[str, Kind] = {"rfl": "reflectance", "corr": "reflectance", "refl": "reflectance",
         "reflectance": "reflectance", "rdn": "radiance", "radiance": "radiance"}  # fmt: skip
PLACES = ("glt", "igm", "loc")
ASIDE = frozenset({
    "obs", "unc", "uncertainty", "h2o", "atm", "cloud", "bandmask", "ql", "state", "lbl", "subs",
    "lut", "elev",
})  # fmt: skip
"""Words in the names of a flight's files that hold something else."""
OURS = frozenset({
    "classes", "confidence", "entropy", "novelty", "probabilities", "p", "units", "features",
    "mask", "labels", "label", "gt", "truth", "annotations", "annotation",
})  # fmt: skip
"""Words in the names of maps and labels, which are none of it."""
NOTHING = -9999.0
WINDOW = 2**20
"""Pixels of coordinates that are read together."""


def main(candidate: Candidate) -> Path | None:
    """The data of the cube: itself, that beside what places it, or the only one in its folder.

    None for what no flight's name begins, and for what holds something else.
    """
    path = candidate.path.resolve() if candidate.is_folder else candidate.path
    flight = FLIGHT.match(path.name)
    if flight is None:
        return None
    if candidate.is_folder:
        cubes = _files(candidate, flight[0])["cube"]
        return _one(cubes, candidate.path, flight[0]) if cubes else None
    kind = kind_of(candidate.path, flight[0])
    if kind is None or not _is_envi(candidate.path):
        return None
    if kind == "cube":
        return envi.data_of(candidate.path)
    found = _files(candidate, flight[0])
    if kind == "other":  # by itself where nothing else is there
        return _one(found["cube"], candidate.path, flight[0]) if found["cube"] else None
    if not found["cube"]:
        raise SceneError(
            f"{candidate.path} places the pixels of the flight {flight[0]}, whose cube is not "
            "beside it; get that file too"
        )
    return _one(found["cube"], candidate.path, flight[0])


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open a cube, placed by its header, else by what lies beside it.

    Raises
    ------
    SceneError
        What places it is of other pixels, or there are several of a kind.
    """
    del wanted  # no flags come with it
    scene = envi.open_cube(path)
    flight = FLIGHT.match(scene.path.name)
    assert flight is not None
    try:
        scene = _as_delivered(scene, flight[0])
        if not scene.grid.placed:
            scene = _placed(scene, flight[0])
        return scene if scene.origins.bad_bands is not None else without_empty_bands(scene)
    except BaseException:
        scene.close()
        raise


def _as_delivered(scene: Scene, flight: str) -> Scene:
    """With what the product says where the header does not."""
    sensor = SENSORS.get(flight[:3].lower(), "")
    scene = replace(scene, format=f"{sensor} {scene.format}".lstrip())
    if scene.nodata is None and scene.dtype.kind == "f":
        scene = with_nothing(scene, NOTHING)
    if scene.units is None:
        kinds = {CUBES[word] for word in _words(scene.path, flight) if word in CUBES}
        if len(kinds) == 1:
            scene = replace(scene, units=units_of(scene.bands, kind=kinds.pop(), source=""))
    return scene


def kind_of(path: Path, flight: str) -> str | None:
    """What a file of a flight holds by its name: `cube`, `glt`, `igm`, `loc` or `other`.

    None for maps, labels and what says nothing of that.
    """
    words = _words(path, flight)
    if OURS & set(words):
        return None
    if "glt" in words:
        return "glt"
    for place in ("igm", "loc"):
        if place in words:  # loc_ort is on the grid
            return place if "ort" not in words[words.index(place) :] else "other"
    if ASIDE & set(words):
        return "other"
    return "cube" if set(CUBES) & set(words) else None


def _words(path: Path, flight: str) -> list[str]:
    """Words of a file's name behind that of its flight, in small letters."""
    found = [word for word in re.split(r"[\W_]+", path.name[len(flight) :].lower()) if word]
    return found[:-1] if found[-1:] == ["hdr"] else found


def _is_envi(path: Path) -> bool:
    return path.suffix.lower() == ".hdr" or envi.find_header(path) is not None


def _files(candidate: Candidate, flight: str) -> dict[str, list[Path]]:
    """Data files of a flight in the same folder, by what they hold."""
    found: dict[str, list[Path]] = {"cube": [], **{place: [] for place in PLACES}}
    for path in candidate.members(f"{flight}*"):
        kind = kind_of(path, flight)
        if kind not in found or path.suffix.lower() == ".hdr" or envi.find_header(path) is None:
            continue
        found[kind].append(path)
    return found


def _one(cubes: list[Path], path: Path, flight: str) -> Path:
    """The only cube of reflectance, or else of radiance."""
    for kind in ("reflectance", "radiance"):
        words = {word for word, one in CUBES.items() if one == kind}
        found = [cube for cube in cubes if words & set(_words(cube, flight))]
        if len(found) == 1:
            return found[0]
        if found:
            break
    raise SceneError(
        f"{path} stands for several cubes of the flight {flight}, {found[0].name} and "
        f"{found[1].name} among them; give one of these"
    )


def _placed(scene: Scene, flight: str) -> Scene:
    """The scene with the place that files beside it tell."""
    files = _files(Candidate(scene.path), flight)
    for kind in PLACES:
        if len(files[kind]) > 1:
            raise SceneError(
                f"{scene.path} has {files[kind][0].name} and {files[kind][1].name} beside it; "
                f"expected one {kind}: keep the one of this cube"
            )
    size = (scene.rows, scene.cols)
    grid, table = _table(files["glt"][0]) if files["glt"] else (None, None)
    own = Located(notes=() if table is not None else (NO_PLACE,))
    for kind in ("loc", "igm"):
        if files[kind] and own.grid.geolocation is None:
            crs = wgs84() if kind == "loc" else None if grid is None else grid.crs
            own = _coordinates(files[kind][0], size, crs)
    place = seen_at(own, table, grid, size)
    found = replace(
        scene,
        grid=place.grid,
        ortho=place.ortho,
        notes=(*scene.notes, *place.notes),
        origins=replace(scene.origins, crs=place.origin, transform=place.origin),
    )
    lost = place.lost
    return found if lost is None else without(found, lambda: lost, ("missing coordinates",))


def _table(path: Path) -> tuple[Grid, Table]:
    """A lookup table of two bands, sample and line, and its grid."""
    with envi.open_cube(path) as scene:
        if scene.bands < 2:  # noqa: PLR2004
            raise SceneError(f"{path} has 1 band; expected a lookup table, sample and line")
        grid, rows, cols = scene.grid, scene.rows, scene.cols

    def read(rows: slice, cols: slice) -> tuple[Numbers, Numbers]:
        with envi.open_cube(path) as scene:
            window = scene.read(rows, cols)
        return window[..., 1], window[..., 0]

    return grid, Table(path, path.name, rows, cols, read)


def _coordinates(path: Path, size: tuple[int, int], crs: str | None) -> Located:
    """Each pixel's coordinates, of the first two bands of a file."""
    with envi.open_cube(path) as scene:
        if (scene.rows, scene.cols) != size or scene.bands < 2:  # noqa: PLR2004
            raise SceneError(
                f"{path} has {scene.rows} x {scene.cols} pixels of {scene.bands} bands; expected "
                f"coordinates of the cube's {size[0]} x {size[1]}: take both from one product"
            )
        planes = np.empty((2, *size))
        for rows, cols in scene.windows(WINDOW):
            planes[:, rows, cols] = np.moveaxis(scene.read(rows, cols)[..., :2], -1, 0)
        crs = crs or scene.grid.crs
    return by_coordinates(planes[0], planes[1], crs, path.name)


def members(path: Path) -> list[Path]:
    """What places the pixels of the flight."""
    flight = FLIGHT.match(path.name)
    files = {} if flight is None else _files(Candidate(path), flight[0])
    return [path for place in PLACES for path in files.get(place, ())]


PRODUCT = Product("AVIRIS in ENVI files", main, open_cube, flags=False, members=members)
