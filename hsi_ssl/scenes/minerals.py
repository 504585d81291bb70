"""Reflectance of minerals from 1000 to 2500 nm by the modified Gaussian model.

The model (Sunshine, Pieters & Pratt 1990, J. Geophys. Res. 95, 6955-6966, eqs. 5-7): the natural
logarithm of reflectance is a continuum, straight in energy, less one modified Gaussian a band,

    ln R(x) = c0 + c1 x - sum_i s_i exp(-(1/x - 1/x_i)^2 / (2 sigma_i^2)),    x = 1 / wavelength,

so that, the exponent n being -1, bands are Gaussian in wavelength.

Positions are those of Hunt (1977, Geophysics 42, 501-513), Clark et al. (1990, J. Geophys. Res. 95,
12653-12680) and Clark (1999, Manual of Remote Sensing, chapter 1); wood's are Elvidge's (1990, Int.
J. Remote Sensing 11, 1775-1795). Widths, depths and continua were fitted, positions held, to the
mean spectra of the minerals' samples in the USGS spectral library 06 (Clark et al. 2007, USGS Data
Series 231). Bands outside the range (iron at 900 nm, hydroxyl and water near 2900 nm) stand for
the wings that they send into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

REFERENCE_NM = 1640.0
"""Where a mineral's `level` is its continuum's reflectance."""
FWHM_PER_SIGMA = 2.354820045


@dataclass(frozen=True)
class Mineral:
    """A mineral: its continuum and its absorption bands.

    `level` is the continuum's reflectance at 1640 nm, `slope` its c1 in micrometres; each of
    `bands` is (centre nm, full width at half depth nm, depth as a fraction of the continuum).
    """

    name: str
    level: float
    slope: float
    bands: tuple[tuple[float, float, float], ...]

    def log_continuum(self, wavelengths_nm: Floats) -> Floats:
        """ln of the continuum, `(bands,)`."""
        energy = 1000 / wavelengths_nm - 1000 / REFERENCE_NM
        return np.asarray(np.log(self.level) + self.slope * energy)

    def log_absorption(self, wavelengths_nm: Floats, shift_nm: float = 0.0) -> Floats:
        """What the bands take from ln R, `(bands,)`, never negative.

        Bands beyond the range stay; those inside move by `shift_nm`, as they do with the
        mineral's chemistry.
        """
        taken = np.zeros_like(wavelengths_nm)
        for centre, width, depth in self.bands:
            inside = wavelengths_nm[0] < centre < wavelengths_nm[-1]
            away = wavelengths_nm - (centre + shift_nm if inside else centre)
            taken -= np.log1p(-depth) * np.exp(-0.5 * (away * FWHM_PER_SIGMA / width) ** 2)
        return taken

    def reflectance(self, wavelengths_nm: Floats, grain: float = 1.0) -> Floats:
        """Reflectance `(bands,)`; `grain` multiplies the bands' strength as longer paths do."""
        log = self.log_continuum(wavelengths_nm) - grain * self.log_absorption(wavelengths_nm)
        return np.asarray(np.exp(log))


MINERALS = {
    mineral.name: mineral
    for mineral in (
        Mineral(
            "alunite",
            0.82,
            0.35,
            (
                (1268, 25, 0.025),
                (1428, 26, 0.19),
                (1478, 60, 0.26),
                (1760, 75, 0.21),
                (1930, 96, 0.19),
                (2012, 75, 0.235),
                (2152, 120, 0.42),
                (2170, 40, 0.19),
                (2208, 28, 0.135),
                (2320, 23, 0.195),
                (2430, 90, 0.27),
                (2900, 800, 0.80),
            ),
        ),
        Mineral(
            "calcite",
            0.89,
            0.05,
            (
                (1875, 45, 0.065),
                (1995, 52, 0.07),
                (2155, 51, 0.067),
                (2300, 118, 0.25),
                (2341, 50, 0.235),
                (2530, 135, 0.49),
            ),
        ),
        Mineral(
            "chlorite",
            0.51,
            -0.68,
            (
                (1000, 970, 0.49),
                (1395, 21, 0.06),
                (1920, 109, 0.093),
                (1995, 82, 0.093),
                (2253, 42, 0.196),
                (2300, 45, 0.215),
                (2343, 53, 0.254),
                (2390, 35, 0.057),
                (2900, 800, 0.67),
            ),
        ),
        Mineral(
            "epidote",
            0.57,
            -0.63,
            (
                (1030, 373, 0.31),
                (1548, 180, 0.162),
                (1832, 31, 0.063),
                (1930, 93, 0.053),
                (2255, 67, 0.383),
                (2340, 64, 0.694),
                (2400, 28, 0.071),
                (2550, 192, 0.342),
            ),
        ),
        Mineral(
            "gypsum",
            0.81,
            0.24,
            (
                (1205, 80, 0.085),
                (1449, 75, 0.42),
                (1490, 32, 0.075),
                (1538, 82, 0.32),
                (1750, 120, 0.28),
                (1945, 95, 0.647),
                (1985, 150, 0.363),
                (2178, 120, 0.39),
                (2217, 25, 0.073),
                (2266, 53, 0.149),
                (2430, 106, 0.32),
                (2700, 650, 0.80),
            ),
        ),
        Mineral(
            "kaolinite",
            0.83,
            0.0,
            (
                (1395, 60, 0.247),
                (1413, 21, 0.109),
                (1912, 66, 0.085),
                (2165, 47, 0.289),
                (2207, 26, 0.34),
                (2312, 34, 0.058),
                (2355, 30, 0.04),
                (2383, 18, 0.054),
                (2900, 970, 0.78),
            ),
        ),
        Mineral(
            "jarosite",
            0.78,
            0.19,
            (
                (920, 509, 0.50),
                (1468, 33, 0.085),
                (1520, 111, 0.086),
                (1850, 36, 0.15),
                (1940, 97, 0.153),
                (2070, 150, 0.172),
                (2210, 100, 0.238),
                (2265, 42, 0.232),
                (2300, 56, 0.165),
                (2395, 60, 0.083),
                (2465, 120, 0.158),
                (2800, 520, 0.72),
            ),
        ),
        Mineral(
            "montmorillonite",
            0.69,
            0.11,
            (
                (1412, 41, 0.233),
                (1460, 110, 0.14),
                (1908, 34, 0.368),
                (1950, 123, 0.367),
                (2085, 107, 0.089),
                (2210, 50, 0.207),
                (2440, 135, 0.069),
                (2900, 820, 0.78),
            ),
        ),
        Mineral(
            "muscovite",
            0.81,
            -0.53,
            (
                (1411, 31, 0.229),
                (1915, 100, 0.07),
                (2125, 45, 0.017),
                (2205, 44, 0.311),
                (2245, 35, 0.102),
                (2350, 62, 0.164),
                (2440, 82, 0.143),
                (2900, 1020, 0.544),
            ),
        ),
        # Iron oxides: the wing of the ligand-field band near 900 nm makes their rising slope.
        Mineral(
            "goethite",
            0.34,
            0.21,
            ((920, 392, 0.596), (1420, 63, 0.051), (1935, 96, 0.091), (2500, 332, 0.289)),
        ),
        Mineral(
            "hematite", 0.43, -0.40, ((860, 364, 0.556), (1420, 150, 0.097), (1930, 180, 0.066))
        ),
        # No band of its own; fluid inclusions show as water.
        Mineral("quartz", 0.76, -0.07, ((1415, 93, 0.005), (1930, 78, 0.026))),
        Mineral("feldspar", 0.68, -0.10, ((1412, 30, 0.02), (1912, 60, 0.03), (2200, 50, 0.02))),
        Mineral("mafic", 0.22, -0.45, ((1000, 600, 0.35), (2250, 40, 0.02), (2330, 60, 0.06))),
        # The boxes: cellulose and lignin, and the water in them.
        Mineral(
            "wood",
            0.36,
            0.35,
            (
                (1200, 80, 0.06),
                (1450, 120, 0.28),
                (1730, 60, 0.05),
                (1930, 100, 0.35),
                (2100, 110, 0.22),
                (2270, 60, 0.10),
                (2340, 60, 0.12),
                (2500, 120, 0.25),
            ),
        ),
    )
}
"""Those that the drill-core simulator is made of, by name."""

LIQUID_WATER = Mineral("water", 1.0, 0.0, ((1450, 130, 0.5), (1940, 150, 0.8), (2900, 700, 0.95)))
"""Water films on moist core."""
