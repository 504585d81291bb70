"""Which axis of an array holds the bands: decided by evidence, in a fixed order.

What the user says goes first; then what the file calls its axes: names of dimensions, and the
attributes of their coordinates (CF conventions 1.11, 4 "Coordinate types" and 5 "Coordinate
systems"; NetCDF Users Guide, "Coordinate variables"); then wavelengths, of which there are as many
as bands; then planes beside the cube, which have its rows and columns; then the last axis, where
nothing speaks against it. Where two readings remain, neither is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hsi_ssl.errors import SceneError, SettingsError
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.promises import refuse_absurd
from hsi_ssl.scenes.scene import Floats

WORDS = ("rows", "cols", "bands")
ROWS, COLS, BANDS = range(3)
Order = tuple[int, int, int]
"""What the first, second and third axis of an array are: `ROWS`, `COLS` or `BANDS`."""
PLAIN: Order = (ROWS, COLS, BANDS)
IN_FILE_ORDER: tuple[Order, ...] = (PLAIN, (ROWS, BANDS, COLS), (BANDS, ROWS, COLS))
ALL_ORDERS: tuple[Order, ...] = (
    *IN_FILE_ORDER, (COLS, ROWS, BANDS), (COLS, BANDS, ROWS), (BANDS, COLS, ROWS),
)  # fmt: skip
SERIES = 3
"""The role of an axis of times, levels or realizations, along which there is no spectrum."""

NAMES: tuple[frozenset[str], ...] = (
    frozenset(
        "y row rows nrow nrows line lines nlines lat latitude northing downtrack along alongtrack "
        "ydim track".split()
    ),
    frozenset(
        "x col cols ncol ncols column columns sample samples nsamples lon longitude easting "
        "crosstrack across acrosstrack xdim pixel pixels".split()
    ),
    frozenset(
        "wavelength wavelengths wl wls wvl wavelen lambda radiationwavelength wavenumber "
        "band bands nband nbands channel channels spectral".split()
    ),
    frozenset(
        "time times date level lev z t realization realisation ensemble member month year".split()
    ),
)
"""Words that dimensions are called by: rows, columns, bands, series."""
SAMPLES = frozenset({"sample", "samples"})
"""Columns of line scanners; beside an axis that is columns, a collection of images."""
AXIS = {"Y": ROWS, "X": COLS, "Z": SERIES, "T": SERIES}
STANDARD_NAMES = {
    "projection_y_coordinate": ROWS, "latitude": ROWS, "grid_latitude": ROWS,
    "projection_x_coordinate": COLS, "longitude": COLS, "grid_longitude": COLS,
    "radiation_wavelength": BANDS, "radiation_wavenumber": BANDS, "radiation_frequency": BANDS,
    "sensor_band_central_radiation_wavelength": BANDS, "sensor_band_identifier": BANDS,
    "time": SERIES, "realization": SERIES, "forecast_reference_time": SERIES,
    "air_pressure": SERIES, "altitude": SERIES, "model_level_number": SERIES,
}  # fmt: skip
UNITS = {
    "degrees_north": ROWS, "degree_north": ROWS, "degrees_n": ROWS,
    "degrees_east": COLS, "degree_east": COLS, "degrees_e": COLS,
    "nm": BANDS, "um": BANDS, "µm": BANDS, "μm": BANDS, "nanometer": BANDS, "nanometers": BANDS,
    "nanometre": BANDS, "nanometres": BANDS, "micrometer": BANDS, "micrometers": BANDS,
    "micrometre": BANDS, "micrometres": BANDS, "micron": BANDS, "microns": BANDS,
}  # fmt: skip
WAVELENGTHS = re.compile(
    r"(list_?)?(cent(er|re|ral)_?)?(wavelength|radiation_?wavelength)|(wl|wvl|wls|lambda)s?([^a-z]|$)"
    r"|band_?cent(er|re)s?|sensor_band_central_radiation_wavelength",
    re.IGNORECASE,
)
PLANES = re.compile(
    r"(?i)label|lithology|class|truth|mask|latitude|longitude|(^|[_.])(gt|lat|lon)($|[_.])"
)
"""Names of planes that have a cube's rows and columns; others may be anything."""
NOT_WAVELENGTHS = re.compile(r"(?i)[ _]?units?$|uncert|error|std|shift|fwhm|width|flag|good|bad")
"""In names of what is said about wavelengths."""


@dataclass(frozen=True)
class Dimension:
    """What a file says of one axis: its name, and the numbers and attributes of its coordinate."""

    size: int
    name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    values: Floats | None = None

    @property
    def role(self) -> int | None:
        """`ROWS`, `COLS`, `BANDS`, `SERIES`, or None where the file does not tell."""
        said = {key.lower(): plain_text(value) for key, value in self.attributes.items()}
        standard = STANDARD_NAMES.get(said.get("standard_name", "").strip().lower())
        if standard is not None:
            return standard
        units = said.get("units", "").strip()
        if " since " in units.lower():
            return SERIES
        by_units = UNITS.get(units.lower(), UNITS.get(units))
        if by_units is not None:
            return by_units
        by_name = role_of_name(self.name)
        if by_name == BANDS:
            return by_name
        return AXIS.get(said.get("axis", "").strip().upper(), by_name)

    @property
    def wavelengths(self) -> Floats | None:
        """The coordinate, where it holds wavelengths."""
        said = {key.lower(): plain_text(value) for key, value in self.attributes.items()}
        names = (self.name, said.get("standard_name", ""))
        lengths = UNITS.get(said.get("units", "").strip().lower()) == BANDS
        return self.values if lengths or any(map(names_wavelengths, names)) else None

    def __str__(self) -> str:
        return self.name or "?"


class Asked(NamedTuple):
    """What is known before a file is opened.

    `order` is what the user says. `beside` tells whether wavelengths that lie beside the file, or
    that the user gives, are so many.
    """

    order: Order | None = None
    beside: Callable[[int], bool] | None = None


class Decided(NamedTuple):
    """The order of an array's axes, how it was found, and what of that is to be said."""

    order: Order
    notes: tuple[str, ...] = ()
    origin: Origin | None = None

    def sizes(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Rows, columns and bands of an array of that shape."""
        rows, cols, bands = (shape[self.order.index(axis)] for axis in range(3))
        return rows, cols, bands


def order_of(text: str) -> Order:
    """The order that `bands,rows,cols` names.

    Raises
    ------
    SettingsError
        The text is not these three words in some order.
    """
    words = [word.strip().lower() for word in text.split(",")]
    if sorted(words) != sorted(WORDS):
        raise SettingsError(
            f"axes {text!r}: expected bands, rows and cols in the order of the array's axes, with "
            "commas between them, such as bands,rows,cols"
        )
    first, second, third = (WORDS.index(word) for word in words)
    return first, second, third


def told_by_itself(name: str) -> str:
    """What is said of axes that a user gives for a file that tells its own."""
    return f"{name} tells its own axes: --axes is not used"


def in_words(order: Order) -> str:
    """`bands,rows,cols`."""
    return ",".join(WORDS[axis] for axis in order)


def role_of_name(name: str) -> int | None:
    """What an axis is by the name of its dimension alone, the last part of a path."""
    parts = re.findall("[a-z]+", name.rsplit("/", maxsplit=1)[-1].lower())
    whole = [role for role, names in enumerate(NAMES) if "".join(parts) in names]
    if whole:
        return whole[0]
    met = {role for role, names in enumerate(NAMES) for part in parts if part in names - {"t", "z"}}
    return met.pop() if len(met) == 1 else None


def names_wavelengths(name: str) -> bool:
    """Whether an attribute or array of that name holds wavelengths (their unit has its own)."""
    name = name.rsplit("/", maxsplit=1)[-1].rsplit(".", maxsplit=1)[-1].strip()
    return bool(WAVELENGTHS.match(name)) and not NOT_WAVELENGTHS.search(name)


def decide(
    shape: tuple[int, int, int],
    asked: Asked,
    *,
    of: str,
    path: Path,
    dimensions: Sequence[Dimension] = (),
    vectors: Sequence[tuple[str, int]] = (),
    planes: Mapping[str, tuple[int, ...]] | None = None,
) -> Decided:
    """Which axis of an array is which.

    Parameters
    ----------
    shape
        Of the array called `of` in the file `path`, as those see it who read or name it.
    dimensions
        Its axes as the file calls them, where it does.
    vectors
        Names and lengths of wavelengths in the file, those that count most first.
    planes
        Names and shapes of the arrays of two dimensions in the file.

    Raises
    ------
    SceneError
        An axis is one of a series; the evidence leaves two readings; no cube is so large.
    """
    found = _decide(shape, asked, of, path, dimensions, vectors, planes or {})
    refuse_absurd(path, *found.sizes(shape))
    return found


def _decide(
    shape: tuple[int, int, int],
    asked: Asked,
    of: str,
    path: Path,
    dimensions: Sequence[Dimension],
    vectors: Sequence[tuple[str, int]],
    planes: Mapping[str, tuple[int, ...]],
) -> Decided:
    if asked.order is not None:
        return _told(asked.order, "as --axes says", of, "--axes")
    roles = _roles(dimensions, of, path) if dimensions else [None, None, None]
    orders = [o for o in ALL_ORDERS if all(r in (None, a) for r, a in zip(roles, o, strict=True))]
    if any(role is not None for role in roles):
        called = ", ".join(map(str, dimensions))
        if len({o.index(BANDS) for o in orders}) == 1:
            reason = f"whose dimensions are called {called}"
            return _told(orders[0], reason, of, f"the names of its dimensions, {called}")
        orders = [o for o in orders if o in IN_FILE_ORDER] or orders
    else:
        orders = [*IN_FILE_ORDER]
    reason = "whose dimensions leave no other reading"
    source = f"the names of its dimensions, {', '.join(map(str, dimensions))}"
    for name, wanted in _fitting_vectors(shape, vectors, asked.beside):
        fit = [o for o in orders if shape[o.index(BANDS)] == wanted]
        if fit:
            orders, reason, source = fit, f"since {name} are {wanted}", f"the length of {name}"
            break
    if len(orders) == 1:
        return _told(orders[0], reason, of, source)
    labels = {n: plane for n, plane in planes.items() if PLANES.search(n.split("/")[-1])}
    by_labels, by_planes = (_by_planes(shape, orders, some) for some in (labels, planes))
    if len(by_labels) == 1:
        order, name = next(iter(by_labels.items()))
        reason = f"since {name} has its rows and columns"
        return _told(order, reason, of, f"the shape of {name}")
    if len(orders) == len(IN_FILE_ORDER) and (PLAIN in by_planes or not by_planes):
        last = Origin("their order alone, which nothing contradicts", in_words(PLAIN), guessed=True)
        return Decided(PLAIN, origin=last)
    if len(by_planes) == 1:
        orders = [order for order in orders if order in (PLAIN, *by_planes)]
    raise SceneError(_two_readings(shape, orders, of, path))


def plain_text(value: object) -> str:
    """An attribute as text: bytes decoded, the first of an array of one."""
    if isinstance(value, np.ndarray) and value.size:
        value = value.ravel()[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _told(order: Order, reason: str, of: str, source: str) -> Decided:
    """A decision and the note about it, unless the order is the plain one."""
    origin = Origin(source, in_words(order))
    if order == PLAIN:
        return Decided(order, origin=origin)
    note = f"{of} is read as ({in_words(order).replace(',', ', ')}), {reason}"
    return Decided(order, (note,), origin)


def _roles(dimensions: Sequence[Dimension], of: str, path: Path) -> list[int | None]:
    """The role of each axis; none where two claim the same.

    Raises
    ------
    SceneError
        One is an axis of a series, and none is of bands.
    """
    roles = [dimension.role for dimension in dimensions]
    for i, dimension in enumerate(dimensions):
        if dimension.name.lower() in SAMPLES and COLS in roles[:i] + roles[i + 1 :]:
            roles[i] = SERIES
    if SERIES in roles:
        if BANDS in roles:  # a line scanner's time, say, which runs along its rows
            return [None if role == SERIES else role for role in roles]
        along = dimensions[roles.index(SERIES)]
        raise SceneError(
            f"{of} in {path} has an axis {along} of {along.size} steps, which is of time, levels "
            "or realizations, and none of bands: that is no spectrum; where it is one, say with "
            "--axes which axis is which"
        )
    return [None if role is None or roles.count(role) > 1 else role for role in roles]


def _fitting_vectors(
    shape: Sequence[int], vectors: Sequence[tuple[str, int]], beside: Callable[[int], bool] | None
) -> list[tuple[str, int]]:
    """Wavelengths of which there are as many as an axis is long."""
    found = [(name, size) for name, size in vectors if size in shape]
    if beside is not None:
        found += [("the wavelengths beside it", size) for size in set(shape) if beside(size)]
    return found


def _by_planes(
    shape: Sequence[int], orders: Sequence[Order], planes: Mapping[str, tuple[int, ...]]
) -> dict[Order, str]:
    """The orders whose rows and columns some plane has, and the name of one that has them."""
    found: dict[Order, str] = {}
    for order in orders:
        sizes = tuple(n for n, axis in zip(shape, order, strict=True) if axis != BANDS)
        name = next((n for n, plane in planes.items() if tuple(plane) == sizes), None)
        if name is not None:
            found[order] = name
    return found


def _two_readings(shape: Sequence[int], orders: Sequence[Order], of: str, path: Path) -> str:
    def reading(order: Order) -> str:
        rows, cols, bands = Decided(order).sizes(shape)
        return f"{rows} x {cols} pixels of {bands} bands (--axes {in_words(order)})"

    both = " or ".join(reading(order) for order in orders)
    return f"{of} {tuple(shape)} in {path} may be {both}; say with --axes which it is"
