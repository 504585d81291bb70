"""What a file says of its numbers: the scale and offset that make them physical, and of what kind.

Sources: GDAL's scale, offset and unit of a band; ENVI headers (L3Harris, "ENVI Header Files":
`reflectance scale factor`, `data gain values`, `data offset values`, `data units`); CF conventions
1.11, section 8.1 (`scale_factor`, `add_offset`, `units`); NEON.DOC.000761 (`Scale_Factor`, which
divides).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import UnitsError
from hsi_ssl.scenes.converted import ConvertedReader
from hsi_ssl.scenes.scene import Array, Scene, shapeless

Floats = npt.NDArray[np.float64]
Kind = Literal["reflectance", "radiance"]
KINDS: tuple[Kind, ...] = ("reflectance", "radiance")


@dataclass(frozen=True)
class Units:
    """physical = raw * scale + offset, `scale` and `offset (bands,)`; `kind` where it is known.

    `source` is what says so, for people; empty where nothing does, and numbers are as they are.
    """

    scale: Floats
    offset: Floats
    kind: Kind | None = None
    source: str = ""
    given: bool = False
    """Whether the user says so, not the file."""

    @property
    def said(self) -> bool:
        """Whether a scale or an offset is told at all: a kind alone tells no numbers."""
        return bool(self.source)

    def same_numbers(self, other: Units) -> bool:
        """Whether raw numbers mean the same by both."""
        return bool(
            np.allclose(self.scale, other.scale, rtol=1e-6, atol=0)
            and np.allclose(self.offset, other.offset, rtol=1e-6, atol=1e-9)
        )

    @property
    def in_words(self) -> str:
        """`reflectance = raw x 0.0001 + -0.1 (scale_factor)`; ranges where bands differ."""
        scale, offset = (_span(values) for values in (self.scale, self.offset))
        plus = "" if not self.offset.any() else f" + {offset}"
        return f"{self.kind or 'physical'} = raw x {scale}{plus} ({self.source})"

    def of_bands(self, which: npt.NDArray[Any]) -> Units:
        """Those of some bands, by numbers or flags."""
        return replace(self, scale=self.scale[which], offset=self.offset[which])


def as_they_are(bands: int, kind: Kind | None = None) -> Units:
    """Units of numbers of which nothing is told."""
    return Units(np.ones(bands), np.zeros(bands), kind)


def scaled_by(scene: Scene, factor: float) -> Scene:
    """The scene whose raw numbers times `factor` are physical, whatever its file says."""
    units = Units(
        np.full(scene.bands, factor),
        np.zeros(scene.bands),
        scene.units.kind if scene.units else None,
        f"--scale {factor:g}",
        given=True,
    )
    return replace(scene, units=units)


def units_of(
    bands: int,
    *,
    scale: Any = None,
    offset: Any = None,
    kind: Kind | None = None,
    source: str,
) -> Units | None:
    """Units from one scale and offset, or one a band; None where they say nothing."""
    scales, offsets = (
        _column(value, default, bands) for value, default in ((scale, 1.0), (offset, 0.0))
    )
    if scales is None or offsets is None:
        return None
    if scale is None and offset is None:
        return None if kind is None else as_they_are(bands, kind)
    return Units(scales, offsets, kind, source)


def kind_in(*texts: object) -> Kind | None:
    """The kind that words such as a unit or the name of a variable tell; None for both or none."""
    words = " ".join(str(text).lower() for text in texts if text)
    found = [kind for kind in KINDS if kind in words]
    if not found and re.search(r"\b[muµμ]?w\b.*\bsr\b", words.replace("/", " ").replace("-", " ")):
        return "radiance"
    return found[0] if len(found) == 1 else None


def envi_units(header: Mapping[str, str], bands: int) -> Units | None:
    """Units from the fields of an ENVI header, named with underscores.

    A reflectance scale factor F says raw / F = reflectance, and goes before gains, which tell how
    radiance is made of raw numbers.
    """
    fields = {key.lower().replace(" ", "_"): value for key, value in header.items()}
    kind = kind_in(fields.get("data_units"), fields.get("z_plot_titles"))
    factor = _number(fields.get("reflectance_scale_factor"))
    if factor:
        return units_of(
            bands, scale=1 / factor, kind="reflectance", source="reflectance scale factor"
        )
    for prefix, of in (("data_reflectance_", "reflectance"), ("data_", None)):
        gains = _listed(fields.get(f"{prefix}gain_values"))
        offsets = _listed(fields.get(f"{prefix}offset_values"))
        if gains is not None or offsets is not None:
            return units_of(
                bands,
                scale=gains,
                offset=offsets,
                kind="reflectance" if of else kind,
                source=f"{prefix}gain values".replace("_", " "),
            )
    return units_of(bands, kind=kind, source="data units")


def band_units(
    scales: Sequence[float],
    offsets: Sequence[float],
    units: Sequence[str | None],
    texts: object,
    *,
    source: str,
) -> Units | None:
    """Units from what GDAL says of each band; scale 1 and offset 0 say nothing.

    `source` as in `Units`.
    """
    plain = all(scale == 1 for scale in scales) and all(offset == 0 for offset in offsets)
    return units_of(
        len(scales),
        scale=None if plain else scales,
        offset=None if plain else offsets,
        kind=kind_in(*units, texts),
        source=source,
    )


def _converted(
    raw: Array, bands: Sequence[int] | None, units: Units, nodata: float | None
) -> Array:
    """Physical numbers, float32, of raw ones `(..., bands)`; NaN where nothing was measured."""
    which = slice(None) if bands is None else np.asarray(bands)
    found: Array = (raw * units.scale[which] + units.offset[which]).astype(np.float32)
    nothing = ~np.isfinite(found)
    if nodata is not None and not np.isnan(nodata):
        nothing |= raw == nodata
    found[nothing] = np.nan
    # A spectrum of zeros, say, holds nothing, whatever an offset makes of it.
    found[shapeless(raw)] = np.nan
    return found


def physical(scene: Scene) -> Scene:
    """The scene in physical numbers by its own units, float32, NaN where nothing was measured."""
    units = scene.units or as_they_are(scene.bands)
    convert = partial(_converted, units=units, nodata=scene.nodata)
    return replace(
        scene,
        reader=ConvertedReader(scene.reader, convert),
        dtype=np.dtype(np.float32),
        nodata=None,
        units=replace(
            units,
            scale=np.ones(scene.bands),
            offset=np.zeros(scene.bands),
            source=units.source or "as they are",
        ),
    )


FAINT = 0.001
"""Reflectance that no scene lies below in nearly all its numbers."""


def refuse_scaled_twice(scene: Scene, raw: Array, bands: npt.NDArray[np.int64]) -> None:
    """Refuse a cube of floats that carries a scale which its numbers have been through already.

    Libraries apply a scale when they read and keep it among the attributes that they write. `raw
    (n, bands)`: some spectra. Radiance may be any number; what tells no kind is taken to be none.

    Raises
    ------
    UnitsError
        By its scale hardly any number reaches `FAINT`, and it does not call itself radiance.
    """
    units = scene.units
    if units is None or not units.said or units.given or scene.dtype.kind != "f":
        return
    if units.kind == "radiance":
        return
    own = units.of_bands(bands)
    bright = float(np.quantile(np.abs(raw * own.scale + own.offset), 0.95))
    if (own.scale < 1).all() and bright < FAINT:
        typical = float(np.quantile(np.abs(raw), 0.95))
        factor = 1.0 if typical >= FAINT else 10.0 ** -round(np.log10(max(typical, 1e-12)))
        raise UnitsError(
            f"{scene.path} holds {units.kind or 'numbers'} of {bright:.2g} at most by its own "
            f"scale ({units.source}, {own.scale[0]:.3g}), as if a program had applied it and kept "
            f"it: its numbers reach {typical:.3g}; expected reflectance about 0 to 1: pass --scale "
            f"{factor:g} if its numbers times {factor:g} are reflectance"
        )


def _span(values: Floats) -> str:
    """One number, or the least and the largest."""
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"[{low:.6g} to {high:.6g}, by band]"


def _column(value: Any, default: float, bands: int) -> Floats | None:
    """One number a band, from one or from as many; None for another number of them."""
    if value is None:
        return np.full(bands, default)
    if np.iscomplexobj(value):
        return None
    numbers = np.ravel(np.asarray(value, np.float64))
    if not np.isfinite(numbers).all() or numbers.size not in {1, bands}:
        return None
    return np.broadcast_to(numbers, (bands,)).copy()


def _listed(value: str | None) -> Floats | None:
    """The numbers of a list `{1, 2}`; None where there is none."""
    found = [_number(part) for part in (value or "").strip(" {}").split(",") if part.strip()]
    numbers = [number for number in found if number is not None]
    return np.array(numbers) if numbers and len(numbers) == len(found) else None


def _number(value: object) -> float | None:
    try:
        return float(str(value).strip(" {}"))
    except ValueError:
        return None
