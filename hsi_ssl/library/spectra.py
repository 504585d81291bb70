"""Arrays of spectra as a program has them, brought to the bands and numbers of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import BandsError, SceneError, SettingsError
from hsi_ssl.maps.bands import ModelBands, match_bands
from hsi_ssl.maps.fitting import fitted
from hsi_ssl.scenes.readers.data_array import bands_last
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.sample import COLS, LEAST, ROWS
from hsi_ssl.scenes.scene import Scene, valid_spectra
from hsi_ssl.scenes.units import scaled_by
from hsi_ssl.watcher import Watcher

Array = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
NUMBERS = "biuf"
"""Kinds of numpy's types that spectra may be of."""


@dataclass(frozen=True)
class Fitted:
    """Spectra of an array of any shape `(..., bands)`, as a model takes them.

    `shape` is that of the array without its last axis; `valid (n,)` tells which of its n spectra
    hold a measurement, `raw (number of valid ones, D)` are those.
    """

    shape: tuple[int, ...]
    valid: Bools
    raw: Array

    def spread(self, values: Array, nothing: float) -> Array:
        """Values `(valid spectra, ...)` as an array `(*shape, ...)`, `nothing` elsewhere."""
        found = np.full((len(self.valid), *values.shape[1:]), nothing, values.dtype)
        found[self.valid] = values
        return found.reshape((*self.shape, *values.shape[1:]))


def fitted_spectra(
    spectra: npt.ArrayLike,
    card: Mapping[str, Any],
    *,
    wavelengths_nm: npt.ArrayLike | None = None,
    scale: float | None = None,
    resample: bool = False,
    force: bool = False,
    watcher: Watcher,
) -> Fitted:
    """Spectra `(..., bands)` as the model of a card takes them.

    Bands go by wavelength where both sides tell theirs, as scenes' do in `classify`; else there
    must be as many as in the files that the model learnt from, or as it uses. Whether numbers are
    in the unit that it learnt from is looked at where there are `LEAST` spectra: fewer may
    all lie in the shade. Numbers times `scale` are in the unit wanted. What a masked array masks,
    NaN and spectra of zeros are no measurement.

    Raises
    ------
    SceneError
        They are no numbers, or none, or not one holds a measurement.
    BandsError, UnitsError
        They are not in the model's bands, or not in its unit.
    """
    values, told = bands_last(spectra)
    values = as_numbers(values)
    wavelengths = wavelengths_nm if wavelengths_nm is not None else told
    bands, shape = values.shape[-1], values.shape[:-1]
    model = ModelBands.from_card(card)
    own = None if wavelengths is None else _wavelengths(wavelengths, bands)
    if own is None or model.wavelengths_nm is None:
        _refuse_other_bands(bands, model, own)
    if own is None and bands != model.total:  # the used ones alone, as a dataset gives them
        model = replace(model, total=bands, used=range(bands))
    flat = values.reshape(-1, bands)
    match = match_bands(_scene(flat[:, None], own, scale), model, resample=resample)
    chosen = match.select(flat[:, None])
    valid = valid_spectra(chosen, None)
    if not valid.any():
        raise SceneError(
            f"not one of {len(flat):,} spectra holds a measurement: in each some used band is NaN "
            "or masked, or all are one number, such as zero"
        )
    if np.count_nonzero(valid) >= LEAST:
        telling = _scene(_some(flat, valid), own, scale)
        match = fitted(telling, model, resample=resample, force=force, watcher=watcher)
    elif match.note is not None:
        watcher.say(match.note)
    return Fitted(shape, valid, match.interpolate(chosen[valid]))


def as_numbers(spectra: npt.ArrayLike) -> Array:
    """An array `(..., bands)` in this machine's byte order; what is masked is NaN.

    Raises
    ------
    SceneError
        It holds no numbers, or none.
    """
    if isinstance(spectra, str | os.PathLike):
        raise SceneError(
            f"expected spectra (..., bands), found the path {os.fspath(spectra)}: a file is for "
            "`run.classify(path)`, its spectra are `open_scene(path).read()`"
        )
    masked = np.ma.getmaskarray(spectra) if isinstance(spectra, np.ma.MaskedArray) else None
    try:
        values = np.asarray(spectra)
    except (ValueError, TypeError) as error:
        raise SceneError(f"expected an array of spectra (..., bands): {error}") from error
    if values.dtype.kind not in NUMBERS:
        raise SceneError(
            f"spectra of type {values.dtype}; expected an array of real numbers (..., bands)"
        )
    if values.ndim == 0 or not values.size:
        raise SceneError(
            f"an array of shape {values.shape} holds no spectrum; expected (..., bands)"
        )
    if masked is not None:
        values = values.astype(np.result_type(values.dtype, np.float32))
        values[masked] = np.nan
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype.itemsize not in (1, 2, 4, 8):  # long double
        values = values.astype(np.float64)
    found: Array = values.astype(values.dtype.newbyteorder("="), copy=False)
    return found


def _wavelengths(wavelengths_nm: npt.ArrayLike, bands: int) -> npt.NDArray[np.float64]:
    found = np.asarray(wavelengths_nm, np.float64)
    if found.shape != (bands,):
        raise BandsError(
            f"wavelengths_nm of shape {found.shape} for spectra of {bands} bands; expected one a "
            "band, in nm"
        )
    return found


def _refuse_other_bands(bands: int, model: ModelBands, own: Any) -> None:
    if bands in (model.total, len(model.used)):
        return
    used = "" if len(model.used) == model.total else f", or of the {len(model.used)} that it uses"
    hint = (
        "give spectra of the same sensor"
        if model.wavelengths_nm is None
        else "give spectra of the same sensor, or wavelengths_nm to match them by"
    )
    raise BandsError(
        f"spectra of {bands} bands (the last axis); expected those of the {model.total} bands of "
        f"the files that the model learnt from{used}: {hint}"
    )


def _some(flat: Array, valid: Bools) -> Array:
    """Valid spectra from all over `flat (n, bands)`, as a cube that `sample` takes whole."""
    rows = np.flatnonzero(valid)
    cols = min(COLS, len(rows) // ROWS)
    places = np.linspace(0, len(rows) - 1, ROWS * cols).astype(np.int64)
    return flat[rows[places]].reshape(ROWS, cols, -1)


def _scene(
    cube: Array, wavelengths_nm: npt.NDArray[np.float64] | None, scale: float | None
) -> Scene:
    """A cube `(rows, cols, bands)` in memory as a scene.

    Raises
    ------
    SettingsError
        The scale is not positive.
    """
    if scale is not None and not 0 < scale < np.inf:
        raise SettingsError(f"scale {scale!r}; expected a positive number")
    good = None if wavelengths_nm is None else np.isfinite(wavelengths_nm)
    scene = Scene(
        path=Path("the array"),
        format="array",
        rows=cube.shape[0],
        cols=cube.shape[1],
        bands=cube.shape[2],
        dtype=cube.dtype,
        reader=ArrayReader(cube),
        wavelengths_nm=wavelengths_nm,
        good=good,  # type: ignore[arg-type]  # None stands for all
    )
    return scene if scale is None else scaled_by(scene, scale)
