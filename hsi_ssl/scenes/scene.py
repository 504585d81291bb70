"""A scene: one cube, read lazily by windows, with all that its file says of bands and grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hsi_ssl.closing import Closes
from hsi_ssl.scenes.names import name_of
from hsi_ssl.scenes.origins import Origins

if TYPE_CHECKING:
    import xarray

    from hsi_ssl.scenes.geolocation import Geolocation
    from hsi_ssl.scenes.layers import Layer
    from hsi_ssl.scenes.ortho import Ortho
    from hsi_ssl.scenes.units import Units

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LARGEST = 9e29
"""No unit of radiance or reflectance has larger numbers; what programs write for no data often is:
1e30, the default fill value of netCDF, the ends of float32 and float64."""
SHAPE = 8
"""Bands from which on one number in all of them is a value for no data or saturation."""


class CubeReader(Protocol):
    """What a format must offer. Rows and columns count from 0; ends are exclusive."""

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Raw values `(row1 - row0, col1 - col0, bands)` in the file's number type.

        They may lie in memory as planes of bands; the caller's own, to write to.
        """

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Raw spectra `(n, bands)` of single pixels, reading no more than they need."""

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """Raw values `(len(rows), len(cols), len(bands))` where ascending rows and columns cross.

        For pictures: from the file's overviews where it has some, and in bounded time.
        """

    def close(self) -> None:
        """Release the file."""


@dataclass(frozen=True)
class GroundPoint:
    """A ground control point: pixel position to map coordinates."""

    row: float
    col: float
    x: float
    y: float
    z: float = 0.0


@dataclass(frozen=True)
class Grid:
    """Where pixels lie on the ground: nothing invented, nothing lost.

    `transform` holds a, b, c, d, e, f with x = a col + b row + c and y = d col + e row + f;
    None where the file has none. `crs` is WKT (of the control points where only they have one).
    `geolocation` holds the coordinates of each pixel's centre, of scenes in sensor geometry.
    """

    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None
    control_points: tuple[GroundPoint, ...] = ()
    rpcs: dict[str, str] | None = None
    geolocation: Geolocation | None = None

    @property
    def placed(self) -> bool:
        """Whether pixels have a place, by a transform, their own coordinates or control points."""
        located = self.geolocation is not None
        return self.transform is not None or located or bool(self.control_points)


@dataclass(frozen=True)
class Scene(Closes):
    """A lazy cube `(rows, cols, bands)`.

    `good` flags the bands to use: not bad by the file's own list. `nodata` is the raw value that
    stands for "nothing measured": the reader hands it out wherever the file says so, by masks,
    say, or by several values (see `measured.py`). `block` is the piece (rows, cols) that the file
    hands out at once (a strip, a tile, a chunk): a window that follows it decodes nothing twice.
    `label_reader` reads the label plane inside the cube's own file, when asked. Close it, or use it
    in a `with`.
    """

    path: Path
    format: str
    rows: int
    cols: int
    bands: int
    dtype: np.dtype[Any]
    reader: CubeReader = field(repr=False)
    wavelengths_nm: Floats | None = field(default=None, repr=False)
    fwhm_nm: Floats | None = field(default=None, repr=False)
    good: Bools = field(default=None, repr=False)  # type: ignore[arg-type]  # set below
    nodata: float | None = None
    units: Units | None = field(default=None, repr=False)
    """What the file says of its numbers; they are handed out raw."""
    grid: Grid = Grid()
    ortho: Ortho | None = field(default=None, repr=False)
    """The map grid on which maps of it are written, where its product has a lookup table."""
    acquired: datetime | None = None
    """When it was taken, where the file says so."""
    block: tuple[int, int] = (1, 1)
    label_reader: LabelReader | None = field(default=None, repr=False)
    looked: Looking | None = field(default=None, repr=False)
    """Which pixels are looked at, where the user masks some: the others hold no measurement."""
    layers: Mapping[str, Layer] = field(default_factory=dict, repr=False)
    """What its product says of pixels: cloud, haze and the like (see `layers.py`)."""
    notes: tuple[str, ...] = ()
    """What the reader guessed (units, say): to be told to the user once."""
    origins: Origins = field(default=Origins(), repr=False)
    """Where each of these facts comes from."""

    def __post_init__(self) -> None:
        if self.good is None:
            object.__setattr__(self, "good", np.ones(self.bands, dtype=bool))

    @property
    def name(self) -> str:
        """The file's name without endings such as .h5 or .dat.gz."""
        return name_of(self.path)

    @property
    def map_grid(self) -> Grid:
        """The grid on which maps of it are written: its own, or that of its lookup table."""
        return self.grid if self.ortho is None else self.ortho.grid

    def read(self, rows: slice = slice(None), cols: slice = slice(None)) -> Array:
        """Raw values `(r, c, bands)` of a window; slices as in numpy, step 1."""
        row0, row1, _ = rows.indices(self.rows)
        col0, col1, _ = cols.indices(self.cols)
        return self.reader.window(row0, row1, col0, col1)

    def pixels(self, rows: npt.ArrayLike, cols: npt.ArrayLike) -> Array:
        """Raw spectra `(n, bands)` of the pixels at `(rows[i], cols[i])`, in that order.

        Raises
        ------
        IndexError
            A pixel lies outside the scene.
        """
        rows, cols = np.asarray(rows, np.int64), np.asarray(cols, np.int64)
        for places, size in ((rows, self.rows), (cols, self.cols)):
            if places.size and not 0 <= places.min() <= places.max() < size:
                raise IndexError(f"pixels outside {self.path} of {self.rows} x {self.cols} pixels")
        return self.reader.pixels(rows, cols)

    def thinned(self, rows: npt.ArrayLike, cols: npt.ArrayLike, bands: Sequence[int]) -> Array:
        """Raw values `(r, c, len(bands))` where ascending rows `(r,)` and columns `(c,)` cross.

        For pictures: files with overviews give values of those that suit the distances, and a file
        of which too much would have to be read gives fewer rows or columns, repeated.
        """
        return self.reader.thinned(np.asarray(rows, np.int64), np.asarray(cols, np.int64), bands)

    def valid(self, spectra: Array, used: Bools | None = None) -> Bools:
        """Which spectra `(..., bands)` hold a measurement, shape `(...)`.

        As `valid_spectra`. `used` flags bands among all of the scene's; by default the good ones.
        """
        return valid_spectra(spectra[..., self.good if used is None else used], self.nodata)

    def windows(self, pixels: int) -> Iterator[tuple[slice, slice]]:
        """Windows of at most `pixels` pixels that tile the scene and follow the file's blocks.

        Whole rows where a row of blocks fits, else a run of blocks, else parts of one block after
        another (a decoded block stays in the format's cache).
        """
        high, wide = min(self.block[0], self.rows), min(self.block[1], self.cols)
        if high * self.cols <= pixels:
            high, wide = pixels // self.cols // high * high, self.cols
        elif high * wide <= pixels:
            wide = pixels // (high * wide) * wide
        part_wide = min(wide, pixels)
        part_high = min(high, max(1, pixels // part_wide))
        for row, col in itertools.product(range(0, self.rows, high), range(0, self.cols, wide)):
            bottom, right = min(row + high, self.rows), min(col + wide, self.cols)
            for r in range(row, bottom, part_high):
                for c in range(col, right, part_wide):
                    yield (
                        slice(r, min(r + part_high, bottom)),
                        slice(c, min(c + part_wide, right)),
                    )

    def label_plane(self) -> tuple[Array, float | None] | None:
        """Raw values `(rows, cols)` of the label plane in the cube's own file, and their nodata."""
        return None if self.label_reader is None else self.label_reader()

    def to_xarray(self) -> xarray.DataArray:
        """The raw numbers as a `DataArray` `(y, x, band)`, read where and when it is used.

        Coordinates along `band`: `wavelength` and `fwhm` in nm, `good`. Where pixels lie is said as
        rioxarray does it, by `spatial_ref` with `crs_wkt` and `GeoTransform`, and by `x` and `y` of
        their centres where rows run along an axis; of scenes in sensor geometry by planes
        `longitude` and `latitude`. The attributes `_FillValue`, `scale_factor` and
        `add_offset` (coordinates where bands differ) are the file's. Keep the scene open
        for as long as the array is read; `from_xarray` is the way back.

        Raises
        ------
        HsiSslError
            xarray is not installed.

        Examples
        --------
        >>> import numpy as np, hsi_ssl
        >>> np.save("scene.npy", np.arange(24, dtype="uint16").reshape(2, 4, 3))
        >>> with hsi_ssl.open_scene("scene.npy") as scene:
        ...     array = scene.to_xarray()
        ...     array.dims, array.sel(band=2).mean().item()
        (('y', 'x', 'band'), 11.5)
        """
        from hsi_ssl.scenes.as_xarray import to_xarray

        return to_xarray(self)

    def close(self) -> None:
        """Release the file."""
        self.reader.close()


class Looking(Protocol):
    """Which pixels of a scene are looked at; `names` are those of the masks that say so."""

    @property
    def names(self) -> tuple[str, ...]:
        """For people."""

    def mask(self, rows: slice, cols: slice) -> Bools:
        """Of a window, `(r, c)`."""

    def at(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Bools:
        """Of single pixels, `(n,)`."""


class LabelReader(Protocol):
    """Reads the label plane that a cube's own file holds."""

    def __call__(self) -> tuple[Array, float | None]:
        """Raw values `(rows, cols)`, and the one that stands for nothing."""


def valid_spectra(spectra: Array, nodata: float | None) -> Bools:
    """Which of `spectra (..., bands)` hold a measurement, `(...)`; only used bands are given.

    Not those with a band that is nodata, NaN, infinite or too large for a measurement (`LARGEST`),
    nor those that are `shapeless`.
    """
    if not spectra.shape[-1]:
        return np.zeros(spectra.shape[:-1], bool)
    low, high = spectra.min(axis=-1), spectra.max(axis=-1)  # NaN where one is
    valid: Bools = ~_shapeless(low, high, spectra.shape[-1])
    if np.issubdtype(spectra.dtype, np.floating):
        largest = largest_of(spectra.dtype)
        valid &= (low >= -largest) & (high <= largest)
    if nodata is not None and not np.isnan(nodata):
        valid &= (spectra != nodata).all(axis=-1)
    return valid


def largest_of(dtype: np.dtype[Any]) -> float:
    """The largest measurement in floats of a type."""
    return min(LARGEST, float(np.finfo(dtype).max))


def shapeless(spectra: Array) -> Bools:
    """Which of `spectra (..., bands)` have one number in all bands, and so are none, `(...)`.

    Of fewer than `SHAPE` bands those of zeros alone: two or three may well be equal.
    """
    if not spectra.shape[-1]:
        return np.ones(spectra.shape[:-1], bool)
    return _shapeless(spectra.min(axis=-1), spectra.max(axis=-1), spectra.shape[-1])


def _shapeless(low: Array, high: Array, bands: int) -> Bools:
    alike: Bools = low == high
    return alike if bands >= SHAPE else alike & (low == 0)


def only_valid(spectra: Array, valid: Bools) -> Array:
    """Those of `spectra (n, bands)` that are valid; where all are, themselves and no copy."""
    return spectra if valid.all() else spectra[valid]
