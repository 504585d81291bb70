"""A scene in the bands of another one, resampled by wavelength and width as it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import BandsError
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.ranges import WavelengthRange
from hsi_ssl.scenes.resampling import resampling
from hsi_ssl.scenes.scene import Array, Bools, CubeReader, Floats, Scene
from hsi_ssl.scenes.units import physical

Ints = npt.NDArray[np.int64]


class ResampledReader:
    """Bands mixed of those of `reader` by `weights (b, B)`, float32.

    A band is NaN where one of those that it is made of is `nodata` or no finite number, and where
    it is made of none. A spectrum that is 0 in all bands stays so.
    """

    def __init__(self, reader: CubeReader, weights: Floats, nodata: float | None) -> None:
        self._reader, self._nodata = reader, nodata
        self._weights = weights.astype(np.float32)
        self._needed = np.flatnonzero(self._weights.any(axis=1))

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Values `(row1 - row0, col1 - col0, B)`."""
        return self._mixed(self._reader.window(row0, row1, col0, col1)[..., self._needed])

    def pixels(self, rows: Ints, cols: Ints) -> Array:
        """Spectra `(n, B)` of single pixels."""
        return self._mixed(self._reader.pixels(rows, cols)[..., self._needed])

    def thinned(self, rows: Ints, cols: Ints, bands: Sequence[int]) -> Array:
        """Values `(len(rows), len(cols), len(bands))` where these rows and columns cross."""
        wanted = np.asarray(bands, np.int64)
        needed = np.flatnonzero(self._weights[:, wanted].any(axis=1))
        if not len(needed):
            return np.full((len(rows), len(cols), len(wanted)), np.nan, np.float32)
        raw = self._reader.thinned(rows, cols, needed.tolist())
        return _mixed(raw, self._weights[np.ix_(needed, wanted)], self._nodata)

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    def _mixed(self, raw: Array) -> Array:
        return _mixed(raw, self._weights[self._needed], self._nodata)


def _mixed(raw: Array, weights: npt.NDArray[np.float32], nodata: float | None) -> Array:
    """Raw values `(..., b)` as `(..., B)`."""
    values = raw.astype(np.float32)
    nothing = ~np.isfinite(values)
    if nodata is not None and not np.isnan(nodata):
        nothing |= raw == nodata
    empty = nothing.any()
    if empty:
        values[nothing] = 0
    found: Array = values @ weights
    found[..., ~weights.any(axis=0)] = np.nan
    if empty:
        found[nothing.astype(np.float32) @ (weights != 0).astype(np.float32) > 0] = np.nan
    return found


def resampled(
    scene: Scene, like: Scene, excluded: Sequence[WavelengthRange] = ()
) -> tuple[Scene, float]:
    """The scene in the bands of `like`, float32, and how far in nm a band is from a measured one.

    Bands that are bad in `like` are bad here. Made of the good bands alone, and of none in the
    `excluded` ranges. Where scale or offset differ from band to band numbers become physical, else
    they stay raw.

    Raises
    ------
    BandsError
        One of the two has no wavelengths; `like` has bands where this scene has measured nothing.
    """
    for one in (scene, like):
        if one.wavelengths_nm is None:
            raise BandsError(
                f"{one.path} has no wavelengths to resample bands by; give them with --wavelengths "
                "CSV, or prepare it apart"
            )
    assert scene.wavelengths_nm is not None
    assert like.wavelengths_nm is not None
    here = np.flatnonzero(_usable(scene, excluded))
    wanted = np.flatnonzero(_usable(like, excluded))
    if not len(here):
        raise BandsError(f"{scene.path} has no good band to resample; leave it out")
    found = resampling(
        scene.wavelengths_nm[here],
        None if scene.fwhm_nm is None else scene.fwhm_nm[here],
        like.wavelengths_nm[wanted],
        None if like.fwhm_nm is None else like.fwhm_nm[wanted],
    )
    if found.missing.any():
        lost = like.wavelengths_nm[wanted[found.missing]]
        raise BandsError(
            f"{scene.path} cannot be resampled to {like.path}: {len(lost)} of {len(wanted)} bands, "
            f"the first at {lost[0]:.1f} nm, lie farther than a step from all that it has measured;"
            f" leave such wavelengths out with --exclude, {_around(lost)} say, or prepare it apart"
        )
    units = scene.units
    if units is not None and (np.ptp(units.scale) > 0 or np.ptp(units.offset) > 0):
        scene = physical(scene)
        units = scene.units
    weights = np.zeros((scene.bands, like.bands))
    weights[np.ix_(here, wanted)] = found.weights
    good: Bools = np.zeros(like.bands, bool)
    good[wanted] = True
    brought = replace(
        scene,
        bands=like.bands,
        dtype=np.dtype(np.float32),
        reader=ResampledReader(scene.reader, weights, scene.nodata),
        wavelengths_nm=like.wavelengths_nm,
        fwhm_nm=like.fwhm_nm,
        good=good,
        nodata=None,
        units=None
        if units is None
        else replace(
            units,
            scale=np.full(like.bands, units.scale[0]),
            offset=np.full(like.bands, units.offset[0]),
        ),
        origins=replace(
            scene.origins, wavelengths=Origin(f"{like.path.name}, by resampling"), bad_bands=None
        ),
    )
    return brought, float(found.distance.max())


def _usable(scene: Scene, excluded: Sequence[WavelengthRange]) -> Bools:
    assert scene.wavelengths_nm is not None
    found: Bools = scene.good & np.isfinite(scene.wavelengths_nm)
    for one in excluded:
        found &= ~one.holds(scene.wavelengths_nm)
    return found


def _around(lost: Floats) -> str:
    """The first run of lost bands as a range to exclude, ends included."""
    nm = np.sort(lost)
    usual = np.median(np.diff(nm)) if len(nm) > 1 else 0.0
    ends = np.flatnonzero(np.diff(nm) > 3 * usual)
    last = nm[ends[0]] if len(ends) else nm[-1]
    return f"{np.floor(nm[0]):.0f}-{np.ceil(last):.0f}"
