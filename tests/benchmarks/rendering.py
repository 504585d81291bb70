"""Scenes rendered from library spectra: what lies where, in what light, and what a camera sees.

The ground is `FINE` times finer than the pixels. Each band is worked out there, blurred by the
camera's point-spread function and averaged over the pixels; so pixels at borders mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio import Affine
from scipy import ndimage
from spectral.io import envi

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import SpectralLibrary

FINE = 4
"""Rows and columns of ground in one pixel."""
SCALE = 10_000
"""Of a reflectance of 1, in the files' numbers."""
HAZE_AT = 550.0
"""Nanometres at which a camera's haze is given; it falls with the wavelength."""
CRS, ZONE = "EPSG:32633", 33

Floats = npt.NDArray[np.floating[Any]]
Plane = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ground:
    """What lies where, and how it is lit, on the fine grid.

    `shares (S, rows, cols)` are those of the S spectra, `classes (K, rows, cols)` those of the
    classes. `direct` is the sun's light and `sky` the sky's, each 1 on open, level ground.
    """

    shares: Plane
    classes: Plane
    direct: Plane
    sky: Plane


@dataclass(frozen=True)
class Camera:
    """A camera: its bands, and what it adds to the light.

    `blur` is the spread of its point-spread function in pixels. `haze` is the share of light that
    comes from around, within some `reach` pixels. `floor (bands,)` is the standard deviation of
    the noise without signal, `per_signal` that of a reflectance of 1, which grows as its root;
    `stripes` the spread of the columns' offsets, in units of the floor.
    """

    wavelengths: Floats
    bad: Bools
    blur: float
    floor: Floats
    per_signal: float
    stripes: float
    skylight: float
    """Share of the sky's light at 450 nm; it falls with the square of the wavelength."""
    haze: float = 0.0
    reach: float = 6.0

    def sky_share(self) -> Floats:
        return self.skylight * (self.wavelengths / 450) ** -2


def spectra_at(
    library: SpectralLibrary, names: Sequence[str], wavelengths: Floats
) -> npt.NDArray[np.float64]:
    """Reflectance `(S, bands)` of the first spectra whose names begin so; gaps are bridged."""
    found = []
    for name in names:
        some = [s for s in library.spectra if s.name.startswith(name)]
        if not some:
            raise LibraryError(f"{library.path} holds no spectrum that begins with {name!r}")
        known = np.isfinite(some[0].reflectance)
        found.append(
            np.interp(wavelengths, some[0].wavelengths_nm[known], some[0].reflectance[known])
        )
    return np.clip(np.array(found), 1e-3, 0.999)


def places(rows: int, cols: int) -> tuple[Plane, Plane]:
    """Row and column of each place on the fine grid, in pixels, `(FINE rows, FINE cols)` each."""
    y, x = np.mgrid[: rows * FINE, : cols * FINE].astype(np.float32)
    return (y + 0.5) / FINE, (x + 0.5) / FINE


def smooth(rng: np.random.Generator, shape: tuple[int, int], reach: float) -> Plane:
    """A random field of mean 0 and spread 1, smooth over `reach` pixels, on the fine grid."""
    squared = np.square(_frequencies(shape))
    return _filtered(rng, shape, np.exp(-2 * np.square(np.pi * reach * FINE) * squared))


def fractal(rng: np.random.Generator, shape: tuple[int, int], exponent: float) -> Plane:
    """A random field of mean 0 and spread 1 whose amplitudes fall as `frequency ** -exponent`."""
    frequencies = _frequencies(shape)
    frequencies[0, 0] = 1
    return _filtered(rng, shape, frequencies**-exponent)


def _frequencies(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = np.hypot(
        np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    )
    return found


def _filtered(rng: np.random.Generator, shape: tuple[int, int], transfer: Floats) -> Plane:
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * transfer, shape)
    found: Plane = ((field - field.mean()) / field.std()).astype(np.float32)
    return found


def softmax(logits: Floats) -> Plane:
    """Shares along the first axis."""
    raised = np.exp(logits - logits.max(axis=0))
    found: Plane = (raised / raised.sum(axis=0)).astype(np.float32)
    return found


def sunlight(height: Plane, azimuth: float, elevation: float) -> Plane:
    """Light of the sun on slopes, 1 on level ground; heights in pixels, angles in degrees."""
    down, right = np.gradient(height, 1 / FINE)
    east, north = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    rise = np.tan(np.radians(elevation))
    facing = (rise - right * east + down * north) / np.sqrt(1 + right**2 + down**2)
    found: Plane = np.clip(facing / rise, 0, None).astype(np.float32)
    return found


def shadows(height: Plane, azimuth: float, elevation: float) -> Bools:
    """Where objects of these heights, in pixels, stand before the sun."""
    east, north = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    rise = np.tan(np.radians(elevation)) / FINE
    dark = np.zeros(height.shape, bool)
    for step in range(1, int(height.max() / rise) + 1):
        towards = (round(step * north), round(-step * east))
        dark |= ndimage.shift(height, towards, order=0) > height + step * rise
    return dark


def albedo(reflectance: Floats) -> Floats:
    """Single-scattering albedo of grains whose thick layer reflects so (Hapke 1981, isotropic)."""
    return 1 - np.square((1 - reflectance) / (1 + reflectance))


def reflected(albedo: Floats) -> Floats:
    """The inverse of `albedo`."""
    root = np.sqrt(1 - albedo)
    found: Floats = (1 - root) / (1 + root)
    return found


def rendered(
    ground: Ground,
    spectra: npt.NDArray[np.float64],
    camera: Camera,
    rng: np.random.Generator,
    *,
    intimate: bool = False,
) -> Plane:
    """Reflectance `(rows, cols, bands)` that the camera sees; `spectra (S, bands)`.

    `intimate`: grains of the spectra are mixed, so that their albedos are; else patches are.
    """
    count, rows, cols = ground.shares.shape
    shares = ground.shares.reshape(count, -1)
    parts = (albedo(spectra) if intimate else spectra).astype(np.float32)
    seen = np.empty((rows // FINE, cols // FINE, spectra.shape[1]), np.float32)
    for band, sky in enumerate(camera.sky_share()):
        mixed = (parts[:, band] @ shares).reshape(rows, cols)
        surface = reflected(mixed) if intimate else mixed
        light = surface * ((1 - sky) * ground.direct + sky * ground.sky)
        blurred = ndimage.gaussian_filter(light, camera.blur * FINE, mode="nearest")
        seen[..., band] = averaged(blurred)
    if camera.haze:
        share = camera.haze * HAZE_AT / camera.wavelengths
        around = ndimage.gaussian_filter(seen, (camera.reach, camera.reach, 0), mode="nearest")
        seen = ((1 - share) * seen + share * around).astype(np.float32)
    return _with_noise(seen, camera, rng)


def averaged(plane: Plane) -> Plane:
    """Means over pixels, of planes `(..., FINE rows, FINE cols)`."""
    *before, rows, cols = plane.shape
    found: Plane = plane.reshape(*before, rows // FINE, FINE, cols // FINE, FINE).mean((-3, -1))
    return found


def _with_noise(seen: Plane, camera: Camera, rng: np.random.Generator) -> Plane:
    spread = np.sqrt(camera.floor**2 + camera.per_signal**2 * np.clip(seen, 0, None))
    stripes = camera.stripes * camera.floor * rng.standard_normal(seen.shape[1:])
    noisy = seen + spread * rng.standard_normal(seen.shape) + stripes
    return noisy.astype(np.float32)


def dominant(classes: Plane, least: float = 0.0) -> npt.NDArray[np.uint8]:
    """Codes 1..K of the class that covers most of each pixel, 0 where less than `least` of it."""
    cover = averaged(classes)
    codes = cover.argmax(axis=0) + 1
    return np.where(cover.max(axis=0) >= least, codes, 0).astype(np.uint8)


def write_envi(
    path: Path, reflectance: Plane, camera: Camera, corner: tuple[float, float], size: float
) -> Path:
    """An ENVI cube of scaled reflectance: bands, those that are bad, place."""
    envi.save_image(
        str(path.with_suffix(".hdr")),
        scaled(reflectance),
        dtype=np.int16,
        interleave="bil",
        ext="img",
        force=True,
        metadata={
            "wavelength": [f"{w:.2f}" for w in camera.wavelengths],
            "wavelength units": "Nanometers",
            "bbl": [str(int(not bad)) for bad in camera.bad],
            "reflectance scale factor": SCALE,
            "map info": _map_info(corner, size),
        },
    )
    return path.with_suffix(".img")


def write_classes(
    path: Path,
    codes: npt.NDArray[np.uint8],
    names: Sequence[str],
    corner: tuple[float, float],
    size: float,
) -> Path:
    """An ENVI classification with the classes' names."""
    envi.save_classification(
        str(path.with_suffix(".hdr")),
        codes,
        class_names=["unclassified", *names],
        ext="img",
        force=True,
        metadata={"map info": _map_info(corner, size)},
    )
    return path.with_suffix(".img")


def write_geotiff(
    path: Path, reflectance: Plane, camera: Camera, corner: tuple[float, float], size: float
) -> Path:
    """A GeoTIFF of scaled reflectance whose bands have their wavelengths as tags."""
    numbers = scaled(reflectance).transpose(2, 0, 1)
    profile = {"driver": "GTiff", "dtype": "int16", "crs": CRS, "compress": "deflate"}
    profile["transform"] = Affine(size, 0, corner[0], 0, -size, corner[1])
    bands, rows, cols = numbers.shape
    with rasterio.open(path, "w", height=rows, width=cols, count=bands, **profile) as file:
        file.write(numbers)
        file.scales = [1 / SCALE] * bands
        for number, (wavelength, bad) in enumerate(
            zip(camera.wavelengths, camera.bad, strict=True), start=1
        ):
            file.update_tags(
                number,
                wavelength=f"{wavelength:.2f}",
                wavelength_units="Nanometers",
                bbl=int(not bad),
            )
    return path


def scaled(reflectance: Plane) -> npt.NDArray[np.int16]:
    return np.clip(np.rint(reflectance * SCALE), -32768, 32767).astype(np.int16)


def _map_info(corner: tuple[float, float], size: float) -> list[str]:
    east, north = corner
    return ["UTM", "1", "1", str(east), str(north), str(size), str(size), str(ZONE), "North",
            "WGS-84", "units=Meters"]  # fmt: skip
