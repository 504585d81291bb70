"""How often the report's 95 % intervals hold the truth, on simulated classifications.

    python tests/benchmarks/interval_coverage.py --output reports/intervals.md

Fields of classes are simulated, and classifications whose errors come in patches, several of which
fit into a block or a polygon. Each repetition draws units from these fields as a test set has them
and makes the report's intervals; the truth is the score over all units of all fields.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from machine import machine_in_words, today
from scipy.stats import norm

from hsi_ssl.datasets.units import blocks
from hsi_ssl.inference.scores import scores_of
from hsi_ssl.reports.intervals import Tallies, intervals, tallied

Floats = npt.NDArray[np.float64]
Scene = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

SIDE, FIELDS = 1024, 3
COMMON = (0.5, 0.3, 0.0, -0.2, -0.9)
"""How common each class is: a shift of its field; the last class has some 4 % of the pixels."""
ACCURACY = (0.95, 0.85, 0.75, 0.9, 0.6)
CLASS_LENGTH, ERROR_LENGTH, KIND_LENGTH = 10, 6, 8
"""Over which classes, errors and what they are taken for stay the same, roughly, in pixels."""
LOCAL = 0.6
"""Share of an error's cause, as a standard deviation, that is the pixel's alone."""
BLOCK = 24
RADIUS = (1.5, 8.0)
POLYGONS = 3000
SINGLE = {"oa": "OA", "aa": "AA", "macro_f1": "macro-F1", "kappa": "kappa"}
DESIGNS = {"blocks": (8, 16, 32, 64), "polygons": (16, 32, 64, 128)}
DRAWS = 400
"""Of the percentile bootstrap that stands beside."""


def smooth(rng: np.random.Generator, length: float, n: int) -> Floats:
    """Gaussian random fields `(n, SIDE, SIDE)` of unit variance."""
    f = np.fft.fftfreq(SIDE)
    filtered = np.exp(-2 * (np.pi * length) ** 2 * (f[:, None] ** 2 + f[None] ** 2))
    noise = np.fft.fft2(rng.normal(size=(n, SIDE, SIDE)))
    found: Floats = np.fft.ifft2(noise * filtered).real / np.sqrt((filtered**2).mean())
    return found


def classified(rng: np.random.Generator) -> Scene:
    """A field of classes, and what a classifier takes them for."""
    classes = len(COMMON)
    truth = (smooth(rng, CLASS_LENGTH, classes) + np.array(COMMON)[:, None, None]).argmax(0)
    near = np.sqrt(1 - LOCAL**2) * smooth(rng, ERROR_LENGTH, 1)[0]
    wrong = norm.cdf(near + LOCAL * rng.normal(size=near.shape)) > np.array(ACCURACY)[truth]
    kind = np.digitize(smooth(rng, KIND_LENGTH, 1)[0], (-0.8, 0.3))
    taken = np.where(wrong, (truth + 3 - kind) % classes, truth)
    return truth, taken


def of_blocks(scene: Scene) -> Tallies:
    """All blocks of a field."""
    whole = SIDE // BLOCK * BLOCK
    truth, taken = (plane[:whole, :whole].ravel() for plane in scene)
    pixel = np.indices((whole, whole)).reshape(2, -1).T
    return tallied(truth, taken, blocks(np.zeros(len(pixel), int), pixel, BLOCK), len(COMMON))


def of_polygons(scene: Scene, rng: np.random.Generator) -> Tallies:
    """Discs at random places, each of the pixels of its middle's class."""
    rows, cols = np.mgrid[-8:9, -8:9]
    parts = []
    for i in range(POLYGONS):
        row, col = rng.integers(0, SIDE, 2)
        disc = rows**2 + cols**2 <= rng.uniform(*RADIUS) ** 2
        here = (row + rows[disc]) % SIDE, (col + cols[disc]) % SIDE
        truth, taken = (plane[here] for plane in scene)
        same = truth == scene[0][row, col]
        parts.append((truth[same], taken[same], np.full(same.sum(), i)))
    truth, taken, unit = (np.concatenate(part) for part in zip(*parts, strict=True))
    return tallied(truth, taken, unit, len(COMMON))


def part_of(tallies: Tallies, which: Any) -> Tallies:
    """Some of the units."""
    return Tallies(tallies.right[which], tallies.true[which], tallies.taken[which])


def totals(tallies: Tallies, weight: Any = 1) -> dict[str, Floats]:
    """Scores of all units together, each as often as `weight (..., U)` says."""
    each = (tallies.right, tallies.true, tallies.taken)
    return scores_of(*(np.broadcast_to(weight, np.shape(weight) or len(a)) @ a for a in each))


def holds(interval: Floats, truth: Floats) -> Any:
    """Whether it does; NaN where there is none."""
    inside = (interval[..., 0] <= truth) & (truth <= interval[..., 1])
    return np.where(np.isnan(interval[..., 0]), np.nan, inside)


def coverage(everything: Tallies, units: int, repetitions: int, seed: int) -> dict[str, Any]:
    """Shares of repetitions that hold the truth, of ours and of two simpler intervals."""
    rng = np.random.default_rng(seed)
    truth = totals(everything)
    ours: dict[str, list[Any]] = {name: [] for name in (*SINGLE, "recall", "f1")}
    simple: dict[str, list[Any]] = {name: [] for name in SINGLE}
    pixels, width = [], []
    for _ in range(repetitions):
        drawn = part_of(everything, rng.choice(len(everything), units, replace=False))
        found = intervals(drawn, "block").found
        for name, results in ours.items():
            results.append(holds(found[name], truth[name]))
        width.append(np.ptp(found["oa"]))
        weight = rng.multinomial(units, np.full(units, 1 / units), size=DRAWS)
        replicates = totals(drawn, weight)
        for name, results in simple.items():
            percentiles = np.nanquantile(replicates[name], (0.025, 0.975))
            results.append(holds(percentiles, truth[name]))
        oa, n = totals(drawn)["oa"], drawn.true.sum()
        reach = norm.ppf(0.975) * np.sqrt(oa * (1 - oa) / n)
        pixels.append(abs(oa - truth["oa"]) <= reach)
    return {
        "ours": {name: np.nanmean(results, axis=0) for name, results in ours.items()},
        "first": {name: np.nanmean(ours[name][:100]) for name in SINGLE},
        "percentile": {name: np.nanmean(results) for name, results in simple.items()},
        "pixels": np.mean(pixels),
        "width": np.mean(width),
    }


def main() -> None:
    """Simulate, count and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    started = time.perf_counter()
    rng = np.random.default_rng(0)
    scenes = [classified(rng) for _ in range(FIELDS)]
    made = {
        "blocks": [of_blocks(scene) for scene in scenes],
        "polygons": [of_polygons(scene, rng) for scene in scenes],
    }
    lines, first = [], []
    for design, sizes in DESIGNS.items():
        parts = made[design]
        everything = Tallies(
            *(np.concatenate([getattr(p, n) for p in parts]) for n in ("right", "true", "taken"))
        )
        for units in sizes:
            found = coverage(everything, units, asked.repetitions, seed=units)
            ours = found["ours"]
            each = np.concatenate([ours["recall"], ours["f1"]])
            cells = [f"{100 * ours[name]:.1f}" for name in SINGLE]
            cells += [f"{100 * each.min():.0f} to {100 * each.max():.0f}"]
            cells += [" / ".join(f"{100 * v:.0f}" for v in found["percentile"].values())]
            cells += [f"{100 * found['pixels']:.0f}", f"{100 * found['width']:.1f}"]
            lines.append(f"| {units} {design} | {' | '.join(cells)} |")
            hundred = " | ".join(f"{100 * v:.0f}" for v in found["first"].values())
            first.append(f"| {units} {design} | {hundred} |")
            print(lines[-1], first[-1], flush=True)
    if asked.output:
        asked.output.write_text(TEXT.format(
            repetitions=asked.repetitions, table="\n".join(lines), hundred="\n".join(first),
            names=" | ".join(SINGLE.values()), machine=machine_in_words(), day=today(),
            seconds=time.perf_counter() - started, fields=FIELDS, side=SIDE, block=BLOCK,
        ), encoding="utf-8")  # fmt: skip


TEXT = """# Do the intervals hold the truth?

    python tests/benchmarks/interval_coverage.py --output reports/intervals.md

{fields} fields of {side} x {side} pixels with five classes (the rarest 4 %) and classifications
whose errors come in patches. A repetition draws units, blocks of {block} x {block} pixels or discs
of one class with 7 to 200 pixels, and makes the intervals as `hsi-ssl evaluate` does; the truth is
the score over all units of all fields. Percentages of {repetitions} repetitions in which the 95 %
interval holds it. Of single classes: the lowest and the highest of recall and F1 of the five, where
the class is in two units or more; high values are those of classes in a handful of the units, of
which little can be told. Beside: the percentile bootstrap over the same units (OA / AA / macro-F1 /
kappa), and what an interval of OA holds that takes pixels for independent. Width: of the interval
of OA, points.

| test set | {names} | single classes | percentile bootstrap | pixels | width |
|---|---|---|---|---|---|---|---|---|
{table}

The first 100 repetitions of each:

| test set | {names} |
|---|---|---|---|---|
{hundred}

Drawn units are independent here. Where errors reach farther than the units, as between neighbouring
blocks of a small scene, or where all units lie in one scene and the question is about others, less
is covered.

{machine}; {seconds:.0f} s, {day}.
"""


if __name__ == "__main__":
    main()
