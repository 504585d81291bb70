"""PACE OCI, level 2: surface reflectance (SFREFL) and other suites with cubes, in sensor geometry.

By NASA's OCSSW, whose l2gen writes these netCDF-4 files (`l2_generic.c`, `l2_flags.h`), read beside
the PACE tutorials of NASA's Ocean Biology group. `/geophysical_data/rhos` is (lines, pixels,
wavelengths), packed integers with `scale_factor` and `add_offset` or floats; in suites of ocean
colour `Rrs`. `/sensor_band_parameters/wavelength_3d` are the cube's wavelengths in nm,
`/navigation_data/longitude` and `latitude` the places of pixels, `/geophysical_data/l2_flags` bits
that its `flag_masks` and `flag_meanings` name. Files of other sensors of that layout (HICO) are
read alike.

Where sources disagree
----------------------
Wavelengths: `wavelength_3d` of newer files are whole nanometres; `wavelength` beside the cube then
has their decimals, and goes before. `/sensor_band_parameters/wavelength` lists all bands of the
sensor, not those of the cube.
Flags: masks of ocean colour (OB.DAAC's level 3) also leave out land, turbid water and coccoliths:
those are what a scene shows, and hide nothing here. `ATMFAIL` is a failure of the correction over
water, of which `Rrs` is made and `rhos` is not: it hides pixels of `Rrs` and `nLw` alone.
`PRODFAIL` says that any product of the suite failed, not this one: it hides none.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import PLAIN, plain_text
from hsi_ssl.scenes.layers import CLOUD, GLINT, SNOW, Layer
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.swaths import Cube, cube_scene, located
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.readers.hdf5_metadata import listed
from hsi_ssl.scenes.scene import Bools, Scene
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.units import Kind
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts, finest

GEOPHYSICAL, BANDS, NAVIGATION = "geophysical_data", "sensor_band_parameters", "navigation_data"
KINDS: dict[str, Kind] = {
    "rhos": "reflectance", "Rrs": "reflectance", "rhot": "reflectance",
    "nLw": "radiance", "Lt": "radiance",
}  # fmt: skip
"""Cubes, the one that counts first where a file has several, and what their numbers are."""
WAVELENGTHS = (
    f"{GEOPHYSICAL}/wavelength",
    f"{BANDS}/wavelength_3d",
    f"{GEOPHYSICAL}/wavelength_3d",
)
FLAGS = f"{GEOPHYSICAL}/l2_flags"
CORRECTED = ("Rrs", "nLw")
"""Cubes that the correction over water makes."""
WRONG = ("NAVFAIL", "BOWTIEDEL")
UNCORRECTED = "ATMFAIL"
DOUBTFUL = (
    "CLDICE", "STRAYLIGHT", "HIGLINT", "HILT", "HISATZEN", "HISOLZEN", "ATMWARN", "NAVWARN",
)  # fmt: skip
"""Clouds or ice, light from beside, glint, saturation, low sun or view, warnings."""
LAYERS = {"CLDICE": CLOUD, "HIGLINT": GLINT, "SEAICE": SNOW}
ALL = 2**32 - 1
"""Bits of a flag, whatever its sign."""


def main(candidate: Candidate) -> Path | None:
    """The file itself, where it has one of the cubes."""
    names = candidate.hdf5
    groups = {f"{NAVIGATION}/longitude", BANDS} <= names
    return candidate.path if groups and any(map(names.__contains__, _paths())) else None


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open the cube that the user names, else `rhos`, else `Rrs` and so on.

    Raises
    ------
    SceneError
        It is no cube, or has other wavelengths or places than bands or pixels.
    """
    with opened(path) as file:
        asked = None if wanted.variable is None else wanted.variable.strip("/").split("/")[-1]
        name = asked or next(one for one in KINDS if f"{GEOPHYSICAL}/{one}" in file)
        cube = file.get(f"{GEOPHYSICAL}/{name}")
        if not isinstance(cube, h5py.Dataset) or cube.ndim != len(PLAIN):
            raise SceneError(
                f"{path} holds no cube {name} (lines, pixels, wavelengths); name another with "
                "--variable"
            )
        rows, cols, bands = cube.shape
        facts = _wavelengths(file, bands, path)
        place = located(
            file, f"{NAVIGATION}/longitude", f"{NAVIGATION}/latitude", (rows, cols), path
        )
        bits, told = _bits(file, wanted, (rows, cols), path)
        said = [plain_text(file.attrs.get(one, "")) for one in ("platform", "instrument")]
        sensor = " ".join(said) if all(said) else "PACE OCI"
        taken = time_among(file.attrs)
    return cube_scene(
        Cube(
            path,
            (f"{GEOPHYSICAL}/{name}",),
            PLAIN,
            Origin("l2gen's layout", "lines, pixels, bands"),
        ),
        f"{sensor} L2 {name}",
        facts,
        place,
        kind=KINDS.get(name),
        taken=taken,
        notes=told,
        layers={
            layer: _layer(path, [bits[flag]], flag)
            for flag, layer in LAYERS.items()
            if flag in bits
        },
        hiding=_hiding(path, name, wanted, bits),
    )


def _paths() -> list[str]:
    return [f"{GEOPHYSICAL}/{name}" for name in KINDS]


def _wavelengths(file: h5py.File, bands: int, path: Path) -> BandFacts:
    """Those of the cube, by the array that gives them most digits."""
    found = []
    for name in WAVELENGTHS:
        array = file.get(name)
        if isinstance(array, h5py.Dataset) and array.shape == (bands,):
            unit = plain_text(array.attrs.get("units", "nm")) or "nm"
            told = {"wavelengths": array[()], "units": unit, "wavelengths_from": name}
            facts = band_facts(bands, where=path.name, **told)
            if facts.wavelengths_nm is not None:
                found.append(facts)
    if not found:
        raise SceneError(
            f"{path} tells no wavelength for each of {bands} bands: expected so many in "
            f"{BANDS}/wavelength_3d; get the file again"
        )
    return finest(*found)


def _bits(
    file: h5py.File, wanted: Wanted, size: tuple[int, int], path: Path
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The bit of each flag by its name, and what is to be told."""
    array = file.get(FLAGS)
    if not isinstance(array, h5py.Dataset):
        lacking = f"{path.name} has no l2_flags: --quality strict hides nothing"
        return {}, (lacking,) if wanted.quality == "strict" else ()
    if array.shape != size:
        raise SceneError(
            f"{path} holds {size[0]} x {size[1]} pixels, and l2_flags of "
            f"{' x '.join(map(str, array.shape))}; get the file again"
        )
    names = plain_text(array.attrs.get("flag_meanings", "")).strip("\0").split()
    try:
        masks = np.ravel(listed(array.attrs.get("flag_masks", ()))).astype(np.int64) & ALL
    except ValueError:
        masks = np.empty(0, np.int64)
    if not names or len(names) != len(masks):
        return {}, (f"l2_flags has {len(names)} names for {len(masks)} bits: it hides nothing",)
    return dict(zip(names, masks.tolist(), strict=True)), ()


def _hiding(path: Path, name: str, wanted: Wanted, bits: dict[str, int]) -> dict[str, Layer]:
    """What hides pixels of a cube."""
    flags = [*WRONG, *([UNCORRECTED] if name in CORRECTED else [])]
    flags += DOUBTFUL if wanted.quality == "strict" else ()
    flags = [flag for flag in flags if flag in bits]
    if not flags:
        return {}
    words = f"{', '.join(flags)} of l2_flags"
    words += " (--quality strict)" if wanted.quality == "strict" else ""
    return {words: _layer(path, [bits[flag] for flag in flags], words)}


def _layer(path: Path, bits: list[int], source: str) -> Layer:
    return Layer(partial(_flagged, path, sum(bits)), source)


def _flagged(path: Path, bits: int) -> Bools:
    """Which pixels have one of these bits."""
    with opened(path) as file:
        found: Bools = (file[FLAGS][()].astype(np.int64) & bits) != 0
    return found


PRODUCT = Product("PACE OCI", main, open_cube, tuple(KINDS))
