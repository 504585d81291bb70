"""Pixels brighter than the surface: glints, and clouds.

A glint stands at the ceiling of what is stored in several bands, or is far brighter than nearly all
of the scene and has the same value in all bands, as a mirror has. A cloud is bright and white from
blue to near infrared, still bright at 1650 and 2200 nm, as snow is not, and has less water vapour
above it than the ground. None is claimed without wavelengths from blue to 2200 nm, or where water
vapour has been corrected for: white roofs look the same then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hsi_ssl.masks.codes import CLOUD, GLINT, LOOK, NO_DATA
from hsi_ssl.scenes.scene import Array

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

AT_CEILING = 3
"""Bands looked at that have a pixel's highest value, at least; twice as many unless it is far
above other pixels' or the highest that the number type holds."""
FAR_ABOVE = 1.8
"""Times the brightness that all but a few pixels stay below."""
NEARLY_ALL = 0.995
FLAT = 0.12
"""Standard deviation over mean of a mirror's values."""
MOST_GLINT = 0.02
"""A larger share of pixels at the ceiling is how a scene was stored, not glint."""

CLOUD_NM = {
    "blue": 480.0, "green": 560.0, "red": 660.0, "nir": 865.0, "vapour": 940.0, "beyond": 1040.0,
    "vapour 2": 1135.0, "beyond 2": 1240.0, "swir": 1650.0, "far": 2200.0,
}  # fmt: skip
NEAR_NM = 25.0
"""A band stands for a wavelength that is no farther away."""
WHITE = 1.25
"""Brightest over darkest of the first four in a cloud."""
BRIGHT = 2.0
"""Times the scene's median that a cloud is bright in the visible, at least."""
SWIR, FAR = 0.5, 0.3
"""Shares of the near infrared that a cloud has there, at least."""
VAPOUR = 0.08
"""Depth that a water-vapour band, at 940 or 1135 nm, must have in a scene to tell of clouds."""
LESS_VAPOUR = 0.6
"""Share of that depth that is left above a cloud, at most."""
SMALLEST_CLOUD = 50
"""Pixels side by side."""


@dataclass
class Highlights:
    """What tells glints and clouds in one scene; made by `fit_highlights`.

    `limit`: mean above which a flat spectrum is a glint; `high`: a value that hardly a pixel has;
    `cloud_bands` by name, empty where wavelengths do not tell; `visible`: brightness of a cloud at
    least; `vapour`: the deepest that the band at 940 nm, and that at 1135 nm, may be in a cloud.
    """

    limit: float
    high: float
    dtype_max: float
    cloud_bands: dict[str, int]
    visible: float
    vapour: tuple[float, float]
    ceilings: list[tuple[float, Ints, Ints]] = field(default_factory=list)

    def look(
        self, raw: Array, spectra: Floats, mean: Floats, valid: Bools, rows: slice, cols: slice
    ) -> Bytes:
        """Codes `(n,)` of a window's pixels: glint, cloud, or look at.

        From raw spectra `(n, bands)`, those of few bands `(few bands, n)` and their means. Pixels
        at a ceiling are remembered: only `finish` knows which is the scene's.
        """
        top = spectra.max(axis=0)
        highest = np.flatnonzero((top >= self.high) & valid)
        if len(highest):
            at = (spectra[:, highest] == top[highest]).sum(axis=0)
            clear = (top[highest] >= self.dtype_max) | (top[highest] > 1.3 * self.high)
            highest = highest[at >= np.where(clear, AT_CEILING, 2 * AT_CEILING)]
            width = cols.stop - cols.start
            for value in np.unique(top[highest])[-1:]:
                place = highest[top[highest] == value]
                self.ceilings.append(
                    (float(value), rows.start + place // width, cols.start + place % width)
                )
        codes = np.full(len(raw), LOOK, np.uint8)
        bright = np.flatnonzero((mean > self.limit) & valid)
        if len(bright):
            flat = (spectra[:, bright] / mean[bright]).std(axis=0) < FLAT
            codes[bright[flat]] = GLINT
        if self.cloud_bands:
            lit = np.flatnonzero((mean > 0) & valid)
            lit = lit[raw[lit, self.cloud_bands["red"]] > self.visible]
            codes[lit[self._cloudy(raw[lit])]] = CLOUD
        return codes

    def _cloudy(self, raw: Array) -> Bools:
        values = {name: raw[:, band].astype(np.float32) for name, band in self.cloud_bands.items()}
        four = np.stack([values[name] for name in ("blue", "green", "red", "nir")])
        nir = np.maximum(values["nir"], 1e-6)
        found = (four.min(axis=0) * WHITE > four.max(axis=0)) & (four.min(axis=0) > self.visible)
        found &= (values["swir"] > SWIR * nir) & (values["far"] > FAR * nir)
        for depth, most in zip(_vapour(values), self.vapour, strict=True):
            found &= depth < most
        return np.asarray(found)

    def finish(self, mask: Bytes) -> None:
        """Write ceilings into the mask `(rows, cols)`; leave out what is no glint, no cloud."""
        valid = max(1, int((mask != NO_DATA).sum()))
        top = max((value for value, _, _ in self.ceilings), default=0.0)
        at = [(rows, cols) for value, rows, cols in self.ceilings if value == top]
        if sum(len(rows) for rows, _ in at) <= MOST_GLINT * valid:
            for rows, cols in at:
                mask[rows, cols] = GLINT
        if (mask == GLINT).sum() > MOST_GLINT * valid:
            mask[mask == GLINT] = LOOK
        cloud = mask == CLOUD
        if cloud.any():
            label, n = ndimage.label(cloud)
            small = np.bincount(label.ravel(), minlength=n + 1) < SMALLEST_CLOUD
            small[0] = False
            mask[small[label]] = LOOK


def _vapour(values: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Depth of the water-vapour bands at 940 and 1135 nm."""
    nir, middle, last = values["nir"], values["beyond"], values["beyond 2"]
    first = 1 - values["vapour"] / np.maximum(0.5 * (nir + middle), 1e-6)
    second = 1 - values["vapour 2"] / np.maximum(0.5 * (middle + last), 1e-6)
    return first, second


def fit_highlights(
    spectra: Floats, raw: Array, wavelengths_nm: npt.NDArray[np.float64] | None
) -> Highlights:
    """What is bright in a scene, from valid sampled spectra `(n, looked at)` and `(n, bands)`."""
    means = spectra.mean(axis=1)
    top = spectra.max(axis=1)
    of_type = np.iinfo(raw.dtype).max if np.issubdtype(raw.dtype, np.integer) else np.inf
    bands = _cloud_bands(wavelengths_nm)
    visible, vapour = np.inf, (np.inf, np.inf)
    if bands:
        values = {name: raw[:, band].astype(np.float32) for name, band in bands.items()}
        visible = BRIGHT * float(np.median(values["red"]))
        deep = [float(np.median(depth)) for depth in _vapour(values)]
        vapour = (
            LESS_VAPOUR * deep[0] if deep[0] >= VAPOUR else np.inf,
            LESS_VAPOUR * deep[1] if deep[1] >= VAPOUR else np.inf,
        )
        if not visible > 0 or max(deep) < VAPOUR:
            bands = {}
    return Highlights(
        FAR_ABOVE * float(np.quantile(means, NEARLY_ALL)),
        float(np.quantile(top, NEARLY_ALL)),
        float(of_type),
        bands,
        visible,
        vapour,
    )


def _cloud_bands(wavelengths_nm: npt.NDArray[np.float64] | None) -> dict[str, int]:
    if wavelengths_nm is None:
        return {}
    found = {name: int(np.nanargmin(np.abs(wavelengths_nm - nm))) for name, nm in CLOUD_NM.items()}
    near = all(
        abs(wavelengths_nm[band] - CLOUD_NM[name]) <= NEAR_NM for name, band in found.items()
    )
    return found if near else {}
