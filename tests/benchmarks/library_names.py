"""How often a spectral library names a group right: groups of the simulator, measured minerals.

    python tests/benchmarks/library_names.py LIBRARY [--seeds 12-23]

Groups are the pixels where a mineral truly prevails, over six scenes a seed: what naming alone is
worth. Parts of groups are three clusters of each such group's spectra, as a model makes them that
spends several free slots on one mineral. Measured minerals are samples of the library itself, each
mixed with the library's other materials and named without any spectrum of that sample.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from hsi_ssl.datasets.scalings.shapes import continuum_removed
from hsi_ssl.libraries.library import Resampled, resample
from hsi_ssl.libraries.matching import (
    angles_to,
    best_matches,
    shapes,
    spectral_angles,
    verdict,
)
from hsi_ssl.libraries.noise import noisy_bands
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.scenes.drillcore import MATERIALS
from hsi_ssl.scenes.simulate import REFLECTANCE_ONE, WAVELENGTHS_NM, box_of, render

Floats = npt.NDArray[np.float64]

SCENES, ROWS, COLS = 6, 256, 384
FEWEST = 20
"""Pixels of a group."""
TAKEN = 700
"""Pixels of a mineral in a scene, at most."""
PARTS, DIRECTIONS = 3, 5
"""Clusters of a group, along so many of its main directions."""
SAMPLES = 3
"""A measured mineral is asked for if it has as many samples or more."""
NOT_MINERALS = ("Rangeland", "Melting_snow", "Lodgepole-Pine", "LeafySpurge")


@dataclass(frozen=True)
class Asked:
    """Spectra `(n, bands)` to be named, their right names, and what is known beside them."""

    spectra: Floats
    names: list[str]
    background: Floats
    scatter: Floats | None


LEFT_OUT: list[float] = []
"""Share of the bands that each spectrum lost as noise."""
Angles = Callable[[Asked, Resampled], Floats]


def as_discovered(asked: Asked, library: Resampled) -> Floats:
    """The angles of `discover`."""
    return angles_to(
        asked.spectra,
        WAVELENGTHS_NM,
        library,
        background=asked.background,
        scatter=asked.scatter,
    )[0]


def as_matched(asked: Asked, library: Resampled) -> Floats:
    """The angles of `match`, which knows of no scatter and leaves out bands of noise."""
    return _without_noise(asked, library, asked.background)


def without_background(asked: Asked, library: Resampled) -> Floats:
    """The same with nothing mixed in."""
    return _without_noise(asked, library, None)


def _without_noise(asked: Asked, library: Resampled, background: Floats | None) -> Floats:
    """Each spectrum's angles over its bands that are no noise."""
    noisy = noisy_bands(WAVELENGTHS_NM, shapes(asked.spectra, WAVELENGTHS_NM))
    found = []
    for spectrum, bad in zip(asked.spectra, noisy, strict=True):
        LEFT_OUT.append(float(bad.mean()))
        used = ~bad
        here = Resampled(library.names, library.materials, library.reflectance[:, used], ())
        beside = None if background is None else background[used]
        bands = WAVELENGTHS_NM[used]
        found.append(angles_to(spectrum[None, used], bands, here, background=beside)[0][0])
    return np.array(found)


def hull_depths(asked: Asked, library: Resampled) -> Floats:
    """Spectral angle between depths below the upper hull."""
    return spectral_angles(_depths(asked.spectra), _depths(library.reflectance))


def hull(asked: Asked, library: Resampled) -> Floats:
    """Spectral angle between spectra divided by the upper hull."""
    return spectral_angles(1 - _depths(asked.spectra), 1 - _depths(library.reflectance))


METHODS: dict[str, Angles] = {
    "mixture with the background, by scatter (`discover`)": as_discovered,
    "mixture with the background (`match`)": as_matched,
    "no background": without_background,
    "hull-removed depths": hull_depths,
    "hull-removed spectra": hull,
}


def groups(seed: int) -> dict[str, Asked]:
    """The minerals' true groups of six scenes, parts of them, and both with background mixed in."""
    rng = np.random.default_rng(seed)
    of_mineral: dict[str, list[Floats]] = defaultdict(list)
    everything = []
    for index in range(SCENES):
        box = box_of(index, rows=ROWS, cols=COLS, seed=seed)
        pieces = list(render(box, seed=seed, index=index))
        cube = np.concatenate(pieces).reshape(-1, len(WAVELENGTHS_NM))
        good = (cube > 0).all(axis=1)
        everything.append(cube[good].mean(axis=0, dtype=np.float64) / REFLECTANCE_ONE)
        prevailing = box.prevailing.ravel()
        for k, name in enumerate(MATERIALS):
            here = rng.permutation(np.flatnonzero(good & (prevailing == k)))[:TAKEN]
            if name != "wood":
                of_mineral[name.capitalize()].append(cube[here] / REFLECTANCE_ONE)
    background = np.mean(everything, axis=0)
    whole: tuple[list[Floats], list[str]] = ([], [])
    parts: tuple[list[Floats], list[str]] = ([], [])
    around_wholes, around_parts = [], []
    for name, seen_in in of_mineral.items():
        pixels = np.concatenate(seen_in)
        if len(pixels) < FEWEST:
            continue
        seen = shapes(pixels, WAVELENGTHS_NM)
        seen -= seen.mean(axis=0)
        whole[0].append(pixels.mean(axis=0))
        whole[1].append(name)
        around_wholes.append(seen)
        left, lengths, _ = np.linalg.svd(seen, full_matrices=False)
        main = left[:, :DIRECTIONS] * lengths[:DIRECTIONS]
        cluster = KMeans(PARTS, n_init=2, random_state=0).fit_predict(main)
        for part in range(PARTS):
            if (cluster == part).sum() >= FEWEST:
                parts[0].append(pixels[cluster == part].mean(axis=0))
                parts[1].append(name)
                around_parts.append(seen[cluster == part] - seen[cluster == part].mean(axis=0))

    def asked(
        found: tuple[list[Floats], list[str]], around: list[Floats], dilution: float
    ) -> Asked:
        spectra = (1 - dilution) * np.array(found[0]) + dilution * background
        rows = np.concatenate(around)
        return Asked(spectra, found[1], background, rows.T @ rows / len(rows))

    return {
        "groups": asked(whole, around_wholes, 0.0),
        "a quarter background": asked(whole, around_wholes, 0.25),
        "parts of groups": asked(parts, around_parts, 0.0),
        "parts, 15 % background": asked(parts, around_parts, 0.15),
    }


def measured(library: Resampled) -> tuple[Asked, npt.NDArray[np.bool_]]:
    """Samples mixed with others, and what may not be used to name each."""
    rng = np.random.default_rng(0)
    samples = np.array([" ".join(name.split()[:2]).split(".")[0] for name in library.names])
    of_material = defaultdict(set)
    for sample, material in zip(samples, library.materials, strict=True):
        of_material[material].add(sample)
    whole = np.flatnonzero(np.isfinite(library.reflectance).all(axis=1))
    rows = [
        i
        for i in np.unique(samples, return_index=True)[1]
        if i in whole
        and len(of_material[library.materials[i]]) >= SAMPLES
        and library.materials[i] not in NOT_MINERALS
        and not library.materials[i].startswith("Plastic")
    ]
    pure = library.reflectance[whole]
    background = pure[rng.integers(len(pure), size=12)].mean(axis=0)
    share = rng.uniform(0.5, 0.8, (len(rows), 1))
    other = (background + pure[rng.integers(len(pure), size=len(rows))]) / 2
    mixed = share * library.reflectance[rows] + (1 - share) * other
    mixed *= np.exp(rng.normal(0, 0.05, (len(rows), 1)) * (1000 / WAVELENGTHS_NM - 0.6))
    names = [library.materials[i] for i in rows]
    return Asked(mixed, names, background, None), np.equal.outer(samples[rows], samples)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--seeds", default="12-23")
    options = parser.parse_args()
    low, high = map(int, options.seeds.split("-"))
    library = resample(open_library(options.library), WAVELENGTHS_NM)
    # Of the other methods none knows missing bands.
    filled = np.where(np.isnan(library.reflectance), 1e-3, library.reflectance)
    plain = Resampled(library.names, library.materials, filled, ())
    right: dict[str, dict[str, list[bool]]] = {method: defaultdict(list) for method in METHODS}
    verdicts: dict[str, list[bool]] = defaultdict(list)
    missed: dict[str, int] = defaultdict(int)
    for seed in range(low, high + 1):
        for column, asked in groups(seed).items():
            for method, angles in METHODS.items():
                first = angles(asked, plain if "hull" in method else library).argmin(axis=1)
                right[method][column] += _hits(first, asked, library)
            matches = best_matches(
                asked.spectra,
                WAVELENGTHS_NM,
                library,
                background=asked.background,
                scatter=asked.scatter,
            )
            for found, name in zip(matches, asked.names, strict=True):
                verdicts[verdict(found)].append(found[0].material == name)
                missed[f"{name} taken for {found[0].material}"] += found[0].material != name
    asked, own = measured(library)
    for method, angles in METHODS.items():
        found_angles = angles(asked, plain if "hull" in method else library)
        first = np.where(own, np.inf, found_angles).argmin(axis=1)
        right[method]["measured minerals"] = _hits(first, asked, library)
    columns = list(right[next(iter(METHODS))])
    sizes = {column: len(right[next(iter(METHODS))][column]) for column in columns}
    print(f"{len(library.names)} spectra of {len(set(library.materials))} materials; seeds "
          f"{options.seeds}; {sizes}; {len(set(asked.names))} measured minerals\n")  # fmt: skip
    print("| first match right, % | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for method, hits in right.items():
        print(
            f"| {method} | " + " | ".join(f"{100 * np.mean(hits[c]):.0f}" for c in columns) + " |"
        )
    print(f"\nbands lost as noise: {np.count_nonzero(LEFT_OUT)} of {len(LEFT_OUT)} spectra")
    print("\n| verdict | asked | right, % |\n|---|---|---|")
    for name in ("clear", "likely", "open", "none"):
        if verdicts[name]:
            print(f"| {name} | {len(verdicts[name])} | {100 * np.mean(verdicts[name]):.0f} |")
    ranked = sorted(missed.items(), key=lambda item: -item[1])
    print("\nmissed:", ", ".join(f"{n} {k}" for k, n in ranked if n))


def _hits(first: npt.NDArray[np.int64], asked: Asked, library: Resampled) -> list[bool]:
    return [library.materials[i] == name for i, name in zip(first, asked.names, strict=True)]


def _depths(spectra: Floats) -> Floats:
    return 1 - continuum_removed(spectra, WAVELENGTHS_NM)


if __name__ == "__main__":
    main()
