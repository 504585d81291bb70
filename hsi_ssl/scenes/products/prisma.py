"""PRISMA, levels 1, 2B, 2C and 2D: one HDF-EOS5 file (`.he5`) with a cube of each detector.

By ASI's PRISMA Products Specification Document, read beside the public readers prismaread,
EnMAP-Box and SNAP's PRISMA toolbox. `HDFEOS/SWATHS/PRS_<level>_HCO/Data Fields` (HRC in level 1
alone: detectors not brought onto each other) hold `VNIR_Cube` and `SWIR_Cube`, (rows, bands, cols)
uint16, whose bands run from long wavelengths to short ones. Attributes of the file tell
`List_Cw_Vnir`, `List_Fwhm_Vnir` and `List_Cw_Vnir_Flags`, 0 for bands that are not used, and the
like of SWIR. `KDP_AUX/Cw_Vnir_Matrix`, (columns, bands) as public scripts index it, holds the
wavelengths of each detector column: how far they vary (smile) is told, never mended.

Where sources disagree
----------------------
Scale of level 2: L2Scale<Detector>Min + DN (Max - Min) / 65535 in the specification and most
readers. EnMAP-Box's importer divides by 65535 alone, which is the same only while Min is 0 and Max
is 1; files have other ends, so the specification counts.
Scale of level 1: DN / ScaleFactor - Offset, W/(sr m2 um).
Corners of level 2D: `Product_ULcorner_easting` and the like are pixel centres, as the extent of a
scene of n pixels is (n - 1) pixel sizes; some readers take them for edges, half a pixel off.
DN 0: nothing measured where it is 0 in all bands; in single bands, those where water absorbs
everything, retrieval failed, or at level 1 a radiance was rounded to 0.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Order
from hsi_ssl.scenes.geolocation import Geolocation
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.detectors import Detector, stacked
from hsi_ssl.scenes.products.prisma_quality import layers_of, strict
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.cf_grid import wgs84
from hsi_ssl.scenes.readers.hdf5 import cube_reader
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.reprojecting import reprojected
from hsi_ssl.scenes.scene import Floats, Grid, Scene
from hsi_ssl.scenes.smile import smile_in_words
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.units import Kind, Units, units_of
from hsi_ssl.scenes.wavelengths import band_facts

AXES: Order = (ROWS, BANDS, COLS)
SWATH = re.compile(r"HDFEOS/SWATHS/PRS_(L1|L2B|L2C|L2D)_(HCO|HRC)")
DETECTORS = ("VNIR", "SWIR")
KINDS: dict[str, Kind] = {
    "L1": "radiance", "L2B": "radiance", "L2C": "reflectance", "L2D": "reflectance",
}  # fmt: skip
SAME_PLACE = 2.0
"""Pixels by which corners and latitudes may differ before that is said."""


class _Swath(NamedTuple):
    path: str
    level: str
    corrected: bool
    """Whether detectors were brought onto each other."""

    @property
    def fields(self) -> str:
        return f"{self.path}/Data Fields"

    def cube(self, detector: str) -> str:
        return f"{self.fields}/{detector}_Cube"


def main(candidate: Candidate) -> Path | None:
    """The file itself, or the only one in a folder that is called as it is."""
    if candidate.is_folder:
        if not candidate.path.resolve().name.upper().startswith("PRS_L"):
            return None
        files = candidate.members("PRS_*.he5")
        if not files:
            raise SceneError(
                f"{candidate.path} is called as a PRISMA product is and holds no .he5 file; unpack "
                "the product again"
            )
        if len(files) > 1:
            raise SceneError(
                f"{candidate.path} holds {len(files)} PRISMA files, {files[0].name} and others; "
                "give one of them"
            )
        return files[0]
    found = any(_swath_in(name) for name in candidate.hdf5)
    return candidate.path if found else None


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open both detectors, or the one whose cube the user names, as one cube.

    Raises
    ------
    SceneError
        A detector's cube is missing, or they have other rows or columns, or other wavelengths than
        bands.
    """
    with opened(path) as file, ExitStack() as on_error:
        swath = _swath(file, path)
        names: tuple[str, ...] = DETECTORS
        if wanted.variable is not None:
            names = (wanted.variable.split("/")[-1].split("_")[0],)
        sizes = {name: _shape(file, swath, name, path) for name in names}
        rows, _, cols = next(iter(sizes.values()))
        for name, size in sizes.items():
            if (size[0], size[2]) != (rows, cols):
                raise SceneError(
                    f"{path} holds {rows} x {cols} pixels of {names[0]} and {size[0]} x {size[2]} "
                    f"of {name}; expected one grid: get the file again"
                )
        detectors: list[Detector] = []
        notes: list[str] = []
        for name in names:
            reader = cube_reader(path, swath.cube(name), AXES)
            on_error.callback(reader.close)
            detector, said = _detector(file, swath, name, reader, path)
            detectors.append(detector)
            notes += said
        together = stacked(detectors, wanted.overlap, name=path.name)
        grid, from_where, of_place = _place(file, swath, rows, cols, names)
        notes += [*together.notes, *of_place]
        if not swath.corrected:
            notes.append(
                f"{path.name}: detectors are not brought onto each other (HRC): SWIR lies up to "
                "some pixels beside VNIR, and nothing is shifted"
            )
        taken = time_among(file.attrs)
        scene = Scene(
            path,
            f"PRISMA {swath.level}",
            rows,
            cols,
            len(together.wavelengths_nm),
            detectors[0].reader.dtype,
            together.reader,
            together.wavelengths_nm,
            together.fwhm_nm,
            together.good,
            units=together.units,
            grid=grid,
            acquired=taken.at,
            block=together.block,
            layers=layers_of(file, swath.fields, (rows, cols)),
            notes=tuple(notes),
            origins=Origins(
                axes=Origin("PRISMA's specification", "rows, bands, cols"),
                wavelengths=Origin("the attributes List_Cw_Vnir and List_Cw_Swir", "in nm"),
                bad_bands=Origin("the attributes List_Cw_Vnir_Flags and List_Cw_Swir_Flags"),
                crs=from_where,
                transform=from_where,
                acquired=taken.origin,
            ),
        )
        if wanted.quality == "strict":
            scene = strict(scene, swath.fields, names)
        on_error.pop_all()
    return scene


def _swath_in(name: str) -> re.Match[str] | None:
    return SWATH.fullmatch(name)


def _swath(file: h5py.File, path: Path) -> _Swath:
    """That with co-registered detectors where there is one."""
    swaths = file["HDFEOS/SWATHS"]
    found = [m for name in swaths if (m := _swath_in(f"HDFEOS/SWATHS/{name}"))]
    found.sort(key=lambda match: match[2])
    if not found:
        raise SceneError(f"{path} holds no hyperspectral swath of PRISMA; get the file again")
    return _Swath(found[0][0], found[0][1], found[0][2] == "HCO")


def _shape(file: h5py.File, swath: _Swath, detector: str, path: Path) -> tuple[int, int, int]:
    cube = file.get(swath.cube(detector))
    if not isinstance(cube, h5py.Dataset) or cube.ndim != len(AXES):
        raise SceneError(
            f"{path} is a PRISMA product of level {swath.level} without {detector}_Cube (rows, "
            "bands, cols); get the file again, or name another cube with --variable"
        )
    rows, bands, cols = cube.shape
    return rows, bands, cols


def _detector(
    file: h5py.File, swath: _Swath, name: str, reader: BoxReader, path: Path
) -> tuple[Detector, tuple[str, ...]]:
    """A detector, and what is to be said of its lists."""
    bands = reader.shape[2]
    centres, widths, flags = (
        _listed(file, f"List_{what}_{name.title()}{end}", bands)
        for what, end in (("Cw", ""), ("Fwhm", ""), ("Cw", "_Flags"))
    )
    if centres is None:
        raise SceneError(
            f"{path} tells no wavelength for each of {bands} bands of {name}: expected so many in "
            f"its attribute List_Cw_{name.title()}; get the file again"
        )
    unused = centres <= 0
    facts = band_facts(
        bands, where=path.name, wavelengths=np.where(unused, np.nan, centres), units="nm",
        fwhm=widths,
    )  # fmt: skip
    nm = facts.wavelengths_nm
    if nm is None:
        raise SceneError(
            f"{path} lists {np.count_nonzero(~unused)} wavelengths for {bands} bands of {name}; "
            "expected one for most of them: get the file again"
        )
    good = ~unused if flags is None else ~unused & (flags != 0)
    said: tuple[str, ...] = ()
    if unused.any():
        said = (f"{name}: {np.count_nonzero(unused)} of {bands} bands are not used (0 nm)",)
    smile = _smile(file, name, bands)
    if smile is not None:
        said = (*said, smile)
    units = _units(file, swath, name, bands)
    return Detector(name, reader, nm, facts.fwhm_nm, good, units), said


def _smile(file: h5py.File, name: str, bands: int) -> str | None:
    """How far wavelengths vary over columns, where the file tells those of each."""
    where = f"KDP_AUX/Cw_{name.title()}_Matrix"
    matrix = file.get(where)
    if not isinstance(matrix, h5py.Dataset) or matrix.ndim != 2 or bands not in matrix.shape:  # noqa: PLR2004
        return None
    values = matrix[()] if matrix.shape[1] == bands else matrix[()].T
    return smile_in_words(values, name, where=where, used=f"those of List_Cw_{name.title()}")


def _listed(file: h5py.File, name: str, bands: int) -> Floats | None:
    """A list of the file's attributes, one number a band; those of used bands alone count too."""
    values = np.ravel(np.asarray(file.attrs.get(name, ()), np.float64))
    if len(values) != bands:
        values = values[values > 0]
    return values if len(values) == bands else None


def _units(file: h5py.File, swath: _Swath, name: str, bands: int) -> Units | None:
    """What numbers mean; None where an end of the scale is not told."""

    def told(attribute: str) -> float | None:
        value = np.ravel(file.attrs.get(attribute, ()))
        return float(value[0]) if len(value) else None

    detector, kind = name.title(), KINDS[swath.level]
    if swath.level == "L1":
        factor, offset = told(f"ScaleFactor_{detector}"), told(f"Offset_{detector}")
        if not factor:
            return None
        return units_of(
            bands, scale=1 / factor, offset=-(offset or 0.0), kind=kind, source="ScaleFactor"
        )
    low, high = told(f"L2Scale{detector}Min"), told(f"L2Scale{detector}Max")
    if low is None or high is None:
        return None
    return units_of(bands, scale=(high - low) / 65535, offset=low, kind=kind, source="L2Scale")


def _place(
    file: h5py.File, swath: _Swath, rows: int, cols: int, names: tuple[str, ...]
) -> tuple[Grid, Origin | None, tuple[str, ...]]:
    """Where pixels lie: level 2D on a map grid by its corners, others in sensor geometry."""
    located = _located(file, swath, (rows, cols), names)
    corners = {
        key: float(np.ravel(file.attrs[f"Product_{key[:2]}corner_{key[2:]}"])[0])
        for key in ("ULeasting", "ULnorthing", "LReasting", "LRnorthing")
        if f"Product_{key[:2]}corner_{key[2:]}" in file.attrs
    }
    if swath.level == "L2D" and len(corners) == 4 and rows > 1 and cols > 1:  # noqa: PLR2004
        across = (corners["LReasting"] - corners["ULeasting"]) / (cols - 1)
        down = (corners["LRnorthing"] - corners["ULnorthing"]) / (rows - 1)
        code = int(np.ravel(file.attrs.get("Epsg_Code", [0]))[0])
        crs = _wkt(code)
        if across > 0 > down and crs is not None:
            left, top = corners["ULeasting"] - across / 2, corners["ULnorthing"] - down / 2
            grid = Grid(crs, (across, 0.0, left, 0.0, down, top))
            origin = Origin("the attributes Epsg_Code and Product_ULcorner_easting, ...")
            return grid, origin, _contradicted(grid, located, rows, cols)
    if located is None:
        return Grid(), None, ("the file tells no place of its pixels",)
    note = "in sensor geometry: pixels have latitudes and longitudes, and stay where they are"
    return Grid(wgs84(), geolocation=located), Origin("its Latitude and Longitude"), (note,)


def _located(
    file: h5py.File, swath: _Swath, size: tuple[int, int], names: tuple[str, ...]
) -> Geolocation | None:
    """Latitudes and longitudes of pixels; at level 1 each detector has its own: the first's."""
    fields = file.get(f"{swath.path}/Geolocation Fields")
    if not isinstance(fields, h5py.Group):
        return None
    for end in ("", *(f"_{name}" for name in names)):
        planes = [fields.get(f"{what}{end}") for what in ("Longitude", "Latitude")]
        if all(isinstance(one, h5py.Dataset) and one.shape == size for one in planes):
            x, y = (np.asarray(one, np.float64) for one in planes)
            if np.isfinite(x).all() and np.isfinite(y).all() and np.ptp(x) > 0 < np.ptp(y):
                return Geolocation(x, y)
    return None


def _contradicted(grid: Grid, located: Geolocation | None, rows: int, cols: int) -> tuple[str, ...]:
    """A note where a pixel's latitude and longitude lie elsewhere than the corners put it."""
    if located is None or grid.crs is None or grid.transform is None:
        return ()
    from rasterio.crs import CRS

    at = [(0, 0), (0, cols - 1), (rows - 1, 0), (rows - 1, cols - 1)]
    x, y = ([float(plane[place]) for place in at] for plane in (located.x, located.y))
    east, north = reprojected(CRS.from_epsg(4326), CRS.from_wkt(grid.crs), x, y)
    a, _, c, _, e, f = grid.transform
    off = max(
        max(abs((px - c) / a - 0.5 - col), abs((py - f) / e - 0.5 - row))
        for (row, col), px, py in zip(at, east, north, strict=True)
    )
    if off <= SAME_PLACE:
        return ()
    return (
        f"corners and latitudes of the file differ by up to {off:.0f} pixels: the corners count",
    )


def _wkt(code: int) -> str | None:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        return str(CRS.from_epsg(code).to_wkt())
    except CRSError:
        return None


PRODUCT = Product(
    "PRISMA", main, open_cube, tuple(f"{name}_Cube" for name in DETECTORS), detectors=True
)
