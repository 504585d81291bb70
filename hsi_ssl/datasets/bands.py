"""The bands of a dataset: the same ones in all scenes, and those of them that hold measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.splits import Labels
from hsi_ssl.errors import BandsError, SceneError, SettingsError
from hsi_ssl.labels.layers import listed
from hsi_ssl.scenes.ranges import WavelengthRange
from hsi_ssl.scenes.resampled import resampled
from hsi_ssl.scenes.resampling import SAME_NM, drift_in_words
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

Bools = npt.NDArray[np.bool_]
Bands = tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None]
"""Wavelengths and widths `(bands,)` in nm, None where no scene knows them."""

PROBES, PROBE_ROUNDS, PROBES_LEAST = 256, 8, 32
"""Pixels a scene that tell which bands hold nothing but nodata."""


def same_bands(scenes: Sequence[Scene], watcher: Watcher = SILENT) -> Bands:
    """Wavelengths and widths of the bands that the scenes have.

    They are those of the first scene that does. Others may lie up to `SAME_NM` off, which is said,
    as it is where a scene tells none and its bands are taken by position.

    Raises
    ------
    BandsError
        The scenes differ in number or wavelengths of their bands; they are bands of one scene.
    """
    first = scenes[0]
    _refuse_files_of_bands(scenes)
    known = next((s for s in scenes if s.wavelengths_nm is not None), first)
    drifts = []
    for scene in scenes:
        if scene.bands != first.bands:
            raise BandsError(
                f"{first.path} has {first.bands} bands and {scene.path} has {scene.bands}; "
                f"a dataset needs the same bands in all scenes: {_ways(scene, first)}"
            )
        away = _away(scene, known)
        if (away > SAME_NM).any():
            band = int(np.argmax(away))
            assert known.wavelengths_nm is not None
            assert scene.wavelengths_nm is not None
            raise BandsError(
                f"band {band + 1} lies at {known.wavelengths_nm[band]:.1f} nm in {known.path} "
                f"and at {scene.wavelengths_nm[band]:.1f} nm in {scene.path}; "
                f"a dataset needs the same bands in all scenes, up to {SAME_NM:g} nm: "
                f"{_ways(scene, known)}"
            )
        drifts.append((scene.path, float(away.max(initial=0.0))))
    said = drift_in_words(drifts, known.path.name)
    if said is not None:
        watcher.say(said)
    unknown = [scene.path.name for scene in scenes if scene.wavelengths_nm is None]
    if known.wavelengths_nm is not None and unknown:
        watcher.say(
            f"{listed(unknown, len(unknown))} {'has' if len(unknown) == 1 else 'have'} no "
            f"wavelengths: the {known.bands} bands are taken by position for those of "
            f"{known.path.name}"
        )
    return known.wavelengths_nm, known.fwhm_nm


def _refuse_files_of_bands(scenes: Sequence[Scene]) -> None:
    """Refuse several files of one band that cover the very same pixels."""
    lone = [scene for scene in scenes if scene.bands == 1 and scene.grid.transform is not None]
    placed = [(scene.rows, scene.cols, scene.grid.transform) for scene in lone]
    if len(placed) > 1 and len(set(placed)) < len(placed):
        folder = scenes[0].path.parent
        raise BandsError(
            f"{len(placed)} of the scenes have one band each and lie on the same pixels, as the "
            "bands of one scene do that are files of their own: put them together "
            f"(`gdalbuildvrt -separate scene.vrt {folder}/*{scenes[0].path.suffix}`), and name that"
        )


def _away(scene: Scene, known: Scene) -> npt.NDArray[np.float64]:
    """How far in nm each band lies from that of `known`; 0 where one has none, which is bad."""
    if scene.wavelengths_nm is None or known.wavelengths_nm is None:
        return np.zeros(scene.bands)
    away: npt.NDArray[np.float64] = np.abs(scene.wavelengths_nm - known.wavelengths_nm)
    return np.nan_to_num(away)


def _ways(scene: Scene, known: Scene) -> str:
    if scene.wavelengths_nm is None or known.wavelengths_nm is None:
        return "prepare them apart"
    return "pass --resample to bring them to the first scene's, or prepare them apart"


def in_bands_of_first(
    scenes: Sequence[Scene], excluded: Sequence[WavelengthRange], watcher: Watcher
) -> list[Scene]:
    """The scenes, those with other bands than the first resampled to its; which ones is said.

    No band is made of one that lies in an `excluded` range.

    Raises
    ------
    BandsError
        One has no wavelengths, or has measured nothing where the first scene has bands.
    """
    first, found, changed, farthest = scenes[0], [], [], 0.0
    for scene in scenes:
        if scene.bands == first.bands and (_away(scene, first) <= SAME_NM).all():
            found.append(scene)
            continue
        brought, distance = resampled(scene, first, excluded)
        found.append(brought)
        changed.append(scene.path.name)
        farthest = max(farthest, distance)
    if changed:
        which = changed[0] if len(changed) == 1 else f"{len(changed)} scenes ({changed[0]}, ...)"
        watcher.say(
            f"bands of {which} are resampled to those of {first.path.name} by wavelength and "
            f"width, at most {farthest:.1f} nm from a measured band"
        )
    return found


def without_ranges(
    scenes: Sequence[Scene], ranges: Sequence[WavelengthRange], watcher: Watcher
) -> list[Scene]:
    """The scenes with the bands in any of the ranges flagged as bad; which ones is said.

    Raises
    ------
    BandsError
        As `same_bands`.
    SceneError
        No scene has wavelengths.
    SettingsError
        No good band is left.
    """
    wavelengths, _ = same_bands(scenes)
    named = ", ".join(map(str, ranges))
    if wavelengths is None:
        raise SceneError(
            f"{scenes[0].path} has no wavelengths, so nobody knows which bands {named} are; give "
            "a CSV with one wavelength a band as --wavelengths, or leave out --exclude"
        )
    if guessed := [f"{r.low / 1000:g}-{r.high / 1000:g}" for r in ranges if r.guessed]:
        watcher.say(f"{', '.join(guessed)} to exclude carry no unit: taken as micrometres")
    excluded = np.zeros(len(wavelengths), bool)
    span = f"{np.nanmin(wavelengths):.1f} to {np.nanmax(wavelengths):.1f} nm"
    for one in ranges:
        held = one.holds(wavelengths)
        excluded |= held
        if not held.any():
            watcher.warn(f"no band lies in {one}, to be excluded; the scenes' lie at {span}")
    good = np.logical_and.reduce([scene.good for scene in scenes])
    if good.any() and not (good & ~excluded).any():
        raise SettingsError(
            f"{named} hold every good band of the scenes, which lie at {span}; exclude less"
        )
    if excluded.any():
        watcher.say(
            f"excluded {np.count_nonzero(excluded)} of {len(excluded)} bands: "
            f"{_runs(excluded, wavelengths)} (counted from 1)"
        )
    return [replace(scene, good=scene.good & ~excluded) for scene in scenes]


def _runs(chosen: Bools, wavelengths: npt.NDArray[np.float64]) -> str:
    """Which bands, and where they lie: `63-80 (1350.2 to 1447.6 nm), 144 (1801.5 nm)`."""
    bands = np.flatnonzero(chosen)
    runs = np.split(bands, np.flatnonzero(np.diff(bands) > 1) + 1)
    return ", ".join(
        f"{run[0] + 1} ({wavelengths[run[0]]:.1f} nm)"
        if len(run) == 1
        else f"{run[0] + 1}-{run[-1] + 1} "
        f"({wavelengths[run].min():.1f} to {wavelengths[run].max():.1f} nm)"
        for run in runs
    )


def used_bands(
    scenes: Sequence[Scene], labels: Sequence[Labels], rng: np.random.Generator, watcher: Watcher
) -> Bools:
    """Bands `(bands,)` that no scene flags as bad, and that are not nodata in all of its pixels.

    The latter are told by some pixels; too few that hold a measurement tell nothing.

    Raises
    ------
    SceneError
        No band is left.
    """
    used = np.ones(scenes[0].bands, bool)
    for scene, plane in zip(scenes, labels, strict=True):
        used &= scene.good
        if scene.nodata is None and not np.issubdtype(scene.dtype, np.inexact):
            continue  # every number is a measurement
        labelled = np.flatnonzero((plane >= 0).reshape(-1, scene.rows, scene.cols).any(axis=0))
        held = np.zeros(scene.bands, bool)
        seen = 0
        for _ in range(PROBE_ROUNDS):
            flat = rng.integers(scene.rows * scene.cols, size=PROBES)
            if len(labelled):
                flat = np.concatenate([flat, rng.choice(labelled, PROBES)])
            spectra = scene.pixels(*np.divmod(np.unique(flat), scene.cols))
            measured = np.isfinite(spectra)
            if scene.nodata is not None:
                measured &= spectra != scene.nodata
            held |= measured.any(axis=0)
            seen += int(measured.any(axis=1).sum())
            if seen >= PROBES or held[scene.good].all():
                break
        if seen >= PROBES_LEAST:
            used &= held
    flagged = np.logical_and.reduce([scene.good for scene in scenes])
    empty = np.flatnonzero(flagged & ~used)
    if len(empty) and used.any():
        watcher.say(
            f"left out {len(empty)} band(s) that hold no measurement: "
            f"{', '.join(map(str, empty + 1))} (counted from 1)"
        )
    if not used.any():
        raise SceneError(
            f"no band is good in all of {len(scenes)} scene(s): expected one or more that is not "
            "flagged bad and not nodata everywhere; leave out the scene that lacks them"
        )
    return used
