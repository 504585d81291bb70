"""How often a spectral library names a group right: groups of the simulator, measured minerals.

    python tests/benchmarks/library_names.py LIBRARY [--seeds 12-23]

Groups are the pixels where a mineral truly prevails, over six scenes a seed: what naming alone is
worth. Measured minerals are samples of the library itself, each mixed with the library's other
materials and named without any spectrum of that sample.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.scaling import continuum_removed
from hsi_ssl.libraries.library import Resampled, resample
from hsi_ssl.libraries.matching import angles_to, best_matches, spectral_angles, verdict
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.scenes.drillcore import MATERIALS
from hsi_ssl.scenes.simulate import REFLECTANCE_ONE, WAVELENGTHS_NM, box_of, render

Floats = npt.NDArray[np.float64]
Angles = Callable[[Floats, Floats, Resampled], Floats]

SCENES, ROWS, COLS = 6, 256, 384
FEWEST = 20
"""Pixels of a group."""
SAMPLES = 3
"""A measured mineral is asked for if it has as many samples or more."""
NOT_MINERALS = ("Rangeland", "Melting_snow", "Lodgepole-Pine", "LeafySpurge")


def as_here(spectra: Floats, background: Floats, library: Resampled) -> Floats:
    """The product's angles."""
    return angles_to(spectra, WAVELENGTHS_NM, library, background=background)[0]


def without_background(spectra: Floats, background: Floats, library: Resampled) -> Floats:
    """The same with nothing mixed in."""
    return angles_to(spectra, WAVELENGTHS_NM, library)[0]


def hull_depths(spectra: Floats, background: Floats, library: Resampled) -> Floats:
    """Spectral angle between depths below the upper hull."""
    return spectral_angles(_depths(spectra), _depths(library.reflectance))


def hull(spectra: Floats, background: Floats, library: Resampled) -> Floats:
    """Spectral angle between spectra divided by the upper hull."""
    return spectral_angles(1 - _depths(spectra), 1 - _depths(library.reflectance))


METHODS: dict[str, Angles] = {
    "mixture with the background (`match`)": as_here,
    "the same without background": without_background,
    "hull-removed depths": hull_depths,
    "hull-removed spectra": hull,
}


def groups(seed: int) -> tuple[Floats, list[str], Floats]:
    """Mean spectra of the minerals' true pixels, their names, and the mean of all pixels."""
    total = np.zeros((len(MATERIALS), len(WAVELENGTHS_NM)))
    count = np.zeros(len(MATERIALS))
    for index in range(SCENES):
        box = box_of(index, rows=ROWS, cols=COLS, seed=seed)
        pieces = list(render(box, seed=seed, index=index))
        cube = np.concatenate(pieces).reshape(-1, len(WAVELENGTHS_NM))
        good = (cube > 0).all(axis=1)
        prevailing = box.prevailing.ravel()
        for k in range(len(MATERIALS)):
            here = cube[good & (prevailing == k)]
            total[k] += here.sum(axis=0, dtype=np.float64) / REFLECTANCE_ONE
            count[k] += len(here)
    asked = [k for k, n in enumerate(MATERIALS) if n != "wood" and count[k] >= FEWEST]
    names = [MATERIALS[k].capitalize() for k in asked]
    return total[asked] / count[asked, None], names, total.sum(axis=0) / count.sum()


def measured(library: Resampled) -> tuple[Floats, list[str], Floats, npt.NDArray[np.bool_]]:
    """Samples mixed with others, their names, a background, and what may not be used to name."""
    rng = np.random.default_rng(0)
    samples = np.array([" ".join(name.split()[:2]).split(".")[0] for name in library.names])
    of_material = defaultdict(set)
    for sample, material in zip(samples, library.materials, strict=True):
        of_material[material].add(sample)
    whole = ~np.isnan(library.reflectance).any(axis=1)
    rows = [
        i
        for i in np.unique(samples, return_index=True)[1]
        if bool(whole[i])
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
    return mixed, names, background, np.equal.outer(samples[rows], samples)


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
    right: dict[str, list[list[bool]]] = {name: [[], [], []] for name in METHODS}
    verdicts: dict[str, list[bool]] = defaultdict(list)
    missed: dict[str, int] = defaultdict(int)
    for seed in range(low, high + 1):
        pure, names, background = groups(seed)
        for column, dilution in enumerate((0.0, 0.25)):
            spectra = (1 - dilution) * pure + dilution * background
            for method, angles in METHODS.items():
                known = library if "ackground" in method else plain
                first = angles(spectra, background, known).argmin(axis=1)
                hits = [library.materials[i] == n for i, n in zip(first, names, strict=True)]
                right[method][column] += hits
            matches = best_matches(spectra, WAVELENGTHS_NM, library, background=background)
            for found, name in zip(matches, names, strict=True):
                verdicts[verdict(found)].append(found[0].material == name)
                missed[f"{name} taken for {found[0].material}"] += found[0].material != name
    spectra, names, background, own = measured(library)
    for method, angles in METHODS.items():
        found_angles = angles(spectra, background, library if "ackground" in method else plain)
        first = np.where(own, np.inf, found_angles).argmin(axis=1)
        right[method][2] = [library.materials[i] == n for i, n in zip(first, names, strict=True)]
    print(f"{len(library.names)} spectra of {len(set(library.materials))} materials; seeds "
          f"{options.seeds}, {len(right[next(iter(METHODS))][0])} groups; {len(names)} samples of "
          f"{len(set(names))} measured materials\n")  # fmt: skip
    print("| first match right, % | true groups | a quarter background | measured |")
    print("|---|---|---|---|")
    for method, columns in right.items():
        print(f"| {method} | " + " | ".join(f"{100 * np.mean(c):.0f}" for c in columns) + " |")
    print("\n| verdict | groups | right, % |\n|---|---|---|")
    for name in ("clear", "likely", "open", "none"):
        if verdicts[name]:
            print(f"| {name} | {len(verdicts[name])} | {100 * np.mean(verdicts[name]):.0f} |")
    print("\nmissed:", ", ".join(f"{n} {k}" for k, n in sorted(missed.items()) if n))


def _depths(spectra: Floats) -> Floats:
    return 1 - continuum_removed(spectra, WAVELENGTHS_NM)


if __name__ == "__main__":
    main()
