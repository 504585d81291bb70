"""What NEON's HDF5 files say beside their cube: place, bad bands, days, weather.

By NEON.DOC.000761, and NEON-Data-Skills for what revision .002 changed: `Metadata/
Coordinate_System` holds ENVI's `Map_Info` and `EPSG Code`; `Metadata/Ancillary_Imagery` holds
planes.

Where sources disagree
----------------------
`Weather_Quality_Indicator`: in revision .001 (rows, cols, 3), colours: green for less than a tenth
of the sky under clouds, yellow up to a half, red for more; in .002 (rows, cols), 1, 2 and 3 for the
same, which Google Earth Engine's catalog lists as 0, 1 and 2.
`Haze_Cloud_Water_Map` has 22 classes, but what NEON-Data-Skills prints of a file of revision .002
is a copy of `Dark_Dense_Vegetation_Classification`, so that land would be cirrus: it is not used.
The plane of days is called `Acqusition_Date` in files and `Acquisition_Date` in documents.
Rotation in `Map_Info` is ENVI's, counterclockwise in degrees, about the reference pixel; GDAL reads
it otherwise (`findings/envi-rotated-map-info.sh`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError

from hsi_ssl.cells import whole_number
from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import plain_text
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.readers.cf_grid import Placed
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.scene import Bools, Grid
from hsi_ssl.scenes.wavelengths import BandFacts

SYSTEM = "Metadata/Coordinate_System"
PLANES = "Metadata/Ancillary_Imagery"
WEATHER = "Weather_Quality_Indicator"
DAYS = ("Acqusition_Date", "Acquisition_Date")
WINDOW = re.compile(r"Band_Window_\d+_Nanometers")
WATER = ((1340.0, 1445.0), (1790.0, 1955.0))
"""Windows in nm in which water vapour leaves nothing to measure."""
NAMED = re.compile(r"_(\d{8})_(\d{6})_")
"""Day and time in the name of a flight line's file."""
CLOUDY = (2, 3)
"""A tenth to a half, and more than a half, of the sky under clouds."""
COLOURS = 3
BRIGHT = 127
"""In colours: yellow and red have more red than this, green less."""


class NeonTaken(NamedTuple):
    """When a cube was measured; `notes` where that is not all of it."""

    at: datetime | None = None
    origin: Origin | None = None
    notes: tuple[str, ...] = ()


def place_of(group: h5py.Group) -> Placed:
    """The grid of a cube's group."""
    name = Path(group.file.filename).name
    system = group.get(SYSTEM)
    if not isinstance(system, h5py.Group):
        return Placed(notes=(f"{name} tells no place of its pixels",))
    texts = {
        key: plain_text(item[()])
        for key, item in system.items()
        if isinstance(item, h5py.Dataset) and item.size
    }
    transform = _transform(texts.get("Map_Info", ""))
    crs, named = _crs(texts)
    return Placed(
        Grid(crs, transform),
        crs_from=None if crs is None else Origin(f"{named} in {SYSTEM}"),
        transform_from=None if transform is None else Origin(f"Map_Info in {SYSTEM}"),
    )


def good_bands(group: h5py.Group, facts: BandFacts) -> BandFacts:
    """Bad are bands within one of the group's windows, or those of water where it has none."""
    nm = facts.wavelengths_nm
    if nm is None:
        return BandFacts()
    told = [
        tuple(np.ravel(value).tolist())
        for name, value in group.attrs.items()
        if WINDOW.fullmatch(name) and np.size(value) == 2  # noqa: PLR2004
    ]
    good: Bools = np.ones(len(nm), bool)
    for low, high in told or WATER:
        good &= ~((nm >= low) & (nm <= high))
    if told:
        return BandFacts(
            good=good, good_from=Origin("the attributes Band_Window_1_Nanometers, ...")
        )
    return BandFacts(good=good, good_from=Origin("NEON's windows of water vapour", guessed=True))


def taken_at(group: h5py.Group, path: Path) -> NeonTaken:
    """The day in the planes of a mosaic, the first of several; else day and time in its name."""
    for name in DAYS:
        plane = group.get(f"{PLANES}/{name}")
        if not isinstance(plane, h5py.Dataset) or plane.dtype.kind not in "iu":
            continue
        days = [day for one in np.unique(plane[()]).tolist() if (day := _day(str(one)))]
        if days:
            told = ", ".join(f"{day:%Y-%m-%d}" for day in days)
            note = f"{path.name}: its pixels were measured on {len(days)} days: {told}"
            return NeonTaken(
                days[0], Origin(f"{name} in {PLANES}", "a day, no time"),
                (note,) if len(days) > 1 else (),
            )  # fmt: skip
    named = NAMED.search(path.name)
    at = None if named is None else _day("".join(named.groups()))
    return NeonTaken(at, None if at is None else Origin("the name of the file"))


def weather_in(group: h5py.Group, size: tuple[int, int]) -> str | None:
    """Where in the file the weather of each pixel is, for a cube of `size`; None for nowhere.

    Raises
    ------
    SceneError
        It has other rows or columns.
    """
    plane = group.get(f"{PLANES}/{WEATHER}")
    if not isinstance(plane, h5py.Dataset):
        return None
    shape = plane.shape
    if shape[:2] != size or shape[2:] not in {(), (1,), (COLOURS,)}:
        raise SceneError(
            f"{group.file.filename} holds {WEATHER} of {' x '.join(map(str, shape))} and a cube of "
            f"{size[0]} x {size[1]} pixels; expected one grid: get the file again"
        )
    return str(plane.name)


def clouded(path: Path, weather: str) -> Bools:
    """Pixels `(rows, cols)` that were measured while a tenth of the sky or more was cloudy."""
    with opened(path) as file:
        values = file[weather][()]
    if values.ndim > 2 and values.shape[2] == COLOURS:  # noqa: PLR2004
        return np.asarray(values[..., 0] > BRIGHT)
    return np.isin(values.reshape(values.shape[:2]), CLOUDY)


def _day(text: str) -> datetime | None:
    """`20220623` or `20220623160154`; None for anything else."""
    for form in ("%Y%m%d", "%Y%m%d%H%M%S"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _crs(texts: dict[str, str]) -> tuple[str | None, str]:
    for name in ("EPSG Code", "Coordinate_System_String"):
        text = texts.get(name, "").strip()
        try:
            code = whole_number(text)
            crs = CRS.from_wkt(text) if code is None else CRS.from_string(f"EPSG:{code}")
            return str(crs.to_wkt()), name
        except CRSError:
            continue
    return None, ""


def _transform(map_info: str) -> tuple[float, float, float, float, float, float] | None:
    """The grid of ENVI's `map info`: projection, reference column and row (from 1), x, y, sizes."""
    fields = [field.strip() for field in map_info.split(",")]
    told = [field.partition("=")[2] for field in fields if field.lower().startswith("rotation")]
    try:
        col, row, x, y, width, height = (float(field) for field in fields[1:7])
        turn = np.deg2rad(float(told[0])) if told else 0.0
    except ValueError:
        return None
    cos, sin = (round(float(value), 15) for value in (np.cos(turn), np.sin(turn)))
    a, b, d, e = width * cos, height * sin, width * sin, -height * cos
    left, top = col - 1, row - 1
    return (a, b, x - left * a - top * b, d, e, y - left * d - top * e)
