"""Which material of a library a measured spectrum looks like most.

A pixel seldom shows one material alone: a group of pixels that one mineral rules has the rest of
the scene mixed in. So a measured spectrum is compared with mixtures of a library spectrum and the
scene's mean spectrum. ln R is taken, where mixing within grains, light and grain size add up, and
from all three a continuum is removed that is straight in energy (Sunshine, Pieters & Pratt 1990,
J. Geophys. Res. 95, 6955-6966, eqs. 5-7). The upper hull (Clark & Roush 1984) would take the
rising slope along, by which iron oxides are known beyond 1 um.

Where it is known how pixels of one material differ within a scene (water films, grain size, what is
mixed in), differences of that kind count less: distances are measured in units of that scatter, as
matched filters do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import Resampled

Floats = npt.NDArray[np.float64]

SHARE = (0.3, 1.0)
"""How strongly the library's absorptions show: what names a group rules it."""
BACKGROUND = (0.0, 0.6)
"""How strongly the background's absorptions show."""
NOTHING_NEAR = 45.0
"""Degrees: farther than nearly all right matches of the simulator's groups."""
CLEAR, LIKELY = 1.3, 1.2
"""Angle of the runner-up over the first match's."""
FEWEST_BANDS = 8
LEAST = 1e-4
"""Reflectance is taken to be at least this share of its mean: clipped bands have no logarithm."""
REFERENCE_NM = 1640.0
LEAST_SCATTER = 0.1
"""Added to the scatter in every direction, as a share of its largest variance: a library differs
from a scene in ways of its own."""


@dataclass(frozen=True)
class Match:
    """A library spectrum and how near it is.

    `angle` is the spectral angle in degrees between the measured spectrum and the nearest mixture
    of this one and the background, after continuum removal: 0 when they are one, 90 when nothing
    of the spectrum is explained. `share` is how strongly the library's absorptions show in it;
    `row` is its place in the library.
    """

    name: str
    material: str
    angle: float
    share: float
    row: int

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "material": self.material,
            "sample": self.name,
            "angle": self.angle,
            "share": self.share,
        }


Verdict = Literal["clear", "likely", "open", "none"]


def verdict(matches: Sequence[Match]) -> Verdict:
    """How far to trust the first of some `best_matches`.

    none: nothing of the library is near; open: the runner-up is hardly farther; else likely or
    clear.
    """
    if not matches or matches[0].angle > NOTHING_NEAR:
        return "none"
    if len(matches) == 1:
        return "open"
    ratio = matches[1].angle / max(matches[0].angle, 1e-9)
    return "clear" if ratio >= CLEAR else "likely" if ratio >= LIKELY else "open"


def in_words(matches: Sequence[Match]) -> str:
    """What a spectrum with these `best_matches` looks like."""
    if verdict(matches) == "none":
        return "like nothing in the library"
    first, *others = [f"{m.material} ({m.angle:.1f}\N{DEGREE SIGN})" for m in matches[:2]]
    if verdict(matches) == "open" and others:
        return f"like {first} or {others[0]}"
    return f"like {first}" + "".join(f", runner-up {other}" for other in others)


def best_matches(
    spectra: npt.ArrayLike,
    wavelengths_nm: npt.ArrayLike,
    library: Resampled,
    *,
    background: npt.ArrayLike | None = None,
    scatter: npt.ArrayLike | None = None,
    count: int = 3,
) -> list[list[Match]]:
    """The `count` nearest materials to each spectrum, nearest first, each by its nearest sample.

    Parameters
    ----------
    spectra
        `(n, bands)`, reflectance in any unit.
    library
        At the same bands.
    background
        `(bands,)`: the mean of the scene; None for spectra of pure materials.
    scatter
        `(bands, bands)`: covariance of the `shapes` of pixels within groups; None: every direction
        counts alike.

    Raises
    ------
    LibraryError
        There are too few bands to tell shapes apart.
    """
    angles, shares = angles_to(
        spectra, wavelengths_nm, library, background=background, scatter=scatter
    )
    found = []
    for angle, share in zip(angles, shares, strict=True):
        nearest: dict[str, Match] = {}
        for i in np.argsort(angle, kind="stable"):
            if len(nearest) == count:
                break
            material = library.materials[i]
            if material not in nearest:
                nearest[material] = Match(
                    library.names[i], material, float(angle[i]), float(share[i]), int(i)
                )
        found.append(list(nearest.values()))
    return found


def angles_to(
    spectra: npt.ArrayLike,
    wavelengths_nm: npt.ArrayLike,
    library: Resampled,
    *,
    background: npt.ArrayLike | None = None,
    scatter: npt.ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Angle in degrees and share (see `Match`) of every library spectrum, `(n, L)` each.

    Parameters and errors as in `best_matches`. A library spectrum that lacks bands is compared
    over those that it has.
    """
    measured = _logarithm(np.atleast_2d(np.asarray(spectra, np.float64)))
    wavelengths = np.asarray(wavelengths_nm, np.float64)
    if len(wavelengths) < FEWEST_BANDS:
        raise LibraryError(
            f"matching needs {FEWEST_BANDS} bands or more to tell shapes apart, found "
            f"{len(wavelengths)}"
        )
    beside = None if background is None else _logarithm(np.atleast_2d(background))
    within = None if scatter is None else _at_least(np.asarray(scatter, np.float64))
    known = np.isfinite(library.reflectance)
    angles, shares = np.empty((2, len(measured), len(known)))
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for i, bands in enumerate(patterns):
        here = np.flatnonzero(which.ravel() == i)
        continuum = _continuum(wavelengths[bands])
        y = _without(measured[:, bands], continuum)
        m = _without(np.log(library.reflectance[np.ix_(here, bands)]), continuum)
        b = np.zeros_like(y[:1]) if beside is None else _without(beside[:, bands], continuum)
        if within is not None:
            y, m, b = _in_units_of(within[np.ix_(bands, bands)], y, m, b)
        squares, share = _nearest_mixtures(y, m, b[0])
        length = np.maximum((y * y).sum(axis=1), 1e-300)[:, None]
        angles[:, here] = np.degrees(np.arcsin(np.sqrt((squares / length).clip(0, 1))))
        shares[:, here] = share
    return angles, shares


def shapes(spectra: npt.ArrayLike, wavelengths_nm: npt.ArrayLike) -> Floats:
    """What is compared of spectra `(n, bands)`: ln R without its continuum, `(n, bands)`."""
    logarithms = _logarithm(np.asarray(spectra, np.float64))
    return _without(logarithms, _continuum(np.asarray(wavelengths_nm, np.float64)))


def in_units_of_scatter(scatter: npt.ArrayLike, *of_shapes: Floats) -> tuple[Floats, ...]:
    """`shapes` turned and stretched so that a scatter `(bands, bands)` becomes 1 everywhere.

    As for matching: `LEAST_SCATTER` is added in every direction.
    """
    return _in_units_of(_at_least(np.asarray(scatter, np.float64)), *of_shapes)


def spectral_angles(spectra: npt.ArrayLike, others: npt.ArrayLike) -> Floats:
    """Spectral angles in degrees `(n, m)` between spectra `(n, bands)` and others `(m, bands)`.

    As they are measured, without continuum removal (Kruse et al. 1993).
    """
    a, b = np.asarray(spectra, np.float64), np.asarray(others, np.float64)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.asarray(np.degrees(np.arccos((a @ b.T / np.maximum(lengths, 1e-300)).clip(-1, 1))))


def _logarithm(reflectance: Floats) -> Floats:
    """ln R of spectra `(n, bands)`."""
    floor = LEAST * np.abs(reflectance).mean(axis=1, keepdims=True)
    return np.asarray(np.log(np.maximum(reflectance, np.maximum(floor, 1e-300))))


def _continuum(wavelengths: Floats) -> Floats:
    """Orthonormal directions `(bands, 2)` of a continuum that is straight in energy."""
    energy = REFERENCE_NM / wavelengths - 1
    return np.linalg.qr(np.stack([np.ones_like(energy), energy], axis=1))[0]


def _without(spectra: Floats, directions: Floats) -> Floats:
    """What is left of spectra `(n, bands)` when these directions are taken off."""
    return np.asarray(spectra - (spectra @ directions) @ directions.T)


def _at_least(scatter: Floats) -> Floats:
    """A covariance with `LEAST_SCATTER` added in every direction."""
    floor = max(LEAST_SCATTER * float(np.linalg.norm(scatter, 2)), 1e-300)
    return np.asarray(scatter + floor * np.eye(len(scatter)))


def _in_units_of(scatter: Floats, *spectra: Floats) -> tuple[Floats, ...]:
    """Spectra `(n, bands)` turned and stretched so that this scatter becomes 1 everywhere."""
    lower = np.linalg.cholesky(scatter)
    return tuple(solve_triangular(lower, s.T, lower=True).T for s in spectra)


def _nearest_mixtures(y: Floats, m: Floats, b: Floats) -> tuple[Floats, Floats]:
    """min |y - s m - t b|^2 over s in `SHARE`, t in `BACKGROUND`, and the s, `(n, L)` each.

    The minimum of a convex function of two numbers on a rectangle lies where its slope is zero or
    else on one of the four sides, where it is a parabola.
    """
    yy, ym, yb = (y * y).sum(axis=1)[:, None], y @ m.T, (y @ b)[:, None]
    mm, mb, bb = (m * m).sum(axis=1), m @ b, float(b @ b)
    tiny = 1e-300

    def cost(s: Floats, t: Floats) -> Floats:
        return np.asarray(yy - 2 * (s * ym + t * yb) + s * s * mm + 2 * s * t * mb + t * t * bb)

    determinant = np.maximum(mm * bb - mb * mb, tiny)
    s, t = (ym * bb - yb * mb) / determinant, (yb * mm - ym * mb) / determinant
    inside = (s >= SHARE[0]) & (s <= SHARE[1]) & (t >= BACKGROUND[0]) & (t <= BACKGROUND[1])
    best, share = np.where(inside, cost(s, t), np.inf), s
    sides = [(np.full_like(ym, s), None) for s in SHARE] + [
        (None, np.full_like(ym, t)) for t in BACKGROUND
    ]
    for at, other in sides:
        if at is not None:
            one, two = at, ((yb - at * mb) / max(bb, tiny)).clip(*BACKGROUND)
        else:
            assert other is not None
            one, two = ((ym - other * mb) / np.maximum(mm, tiny)).clip(*SHARE), other
        here = cost(one, two)
        better = here < best
        best, share = np.where(better, here, best), np.where(better, one, share)
    return best.clip(min=0), share
