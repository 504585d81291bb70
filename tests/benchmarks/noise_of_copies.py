"""Noise of bands that are copies, interpolated or smoothed: what is found, what it is worth.

    python tests/benchmarks/noise_of_copies.py

Simulated spectra whose noise is known, Indian Pines with bands stored twice or smoothed, and how
long the scaling takes to fit; writes reports/noise-of-copies.md. No data but what tensorly brings.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from machine import machine_in_words, today
from scipy.interpolate import CubicSpline
from scipy.ndimage import convolve1d
from scipy.signal import savgol_filter
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hsi_ssl.datasets.balance import codes_of
from hsi_ssl.datasets.noise import Noise, measure_noise
from hsi_ssl.datasets.scaling import fit_scaler, mean_and_covariance
from hsi_ssl.labels.sources import resolve

REPORT = Path(__file__).parents[2] / "reports" / "noise-of-copies.md"
Floats = npt.NDArray[np.float64]
SIZES = ((60, 4, 4000), (120, 6, 8000), (200, 8, 20_000))
"""Bands, materials, pixels."""
WITHIN = 0.25
SEEDS, LABELS = 10, 20
FIT = (32_768, 268)


def spectra(bands: int, materials: int, n: int, seed: int) -> tuple[Floats, Floats]:
    """Mixtures of smooth spectra with absorptions, with noise; the noise of each band."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0, 1, bands)
    members = []
    for _ in range(materials):
        one = 1 + 0.4 * np.sin(2 * np.pi * (place * rng.uniform(0.5, 2) + rng.uniform()))
        for _ in range(3):
            middle, width = rng.uniform(), rng.uniform(0.04, 0.1)
            one -= rng.uniform(0.05, 0.3) * np.exp(-(((place - middle) / width) ** 2) / 2)
        members.append(one)
    shares = rng.dirichlet(np.ones(materials), n) * rng.uniform(0.6, 1.4, (n, 1))
    sd = 0.003 + 0.012 * rng.uniform(size=bands) ** 2 * (1.5 + np.sin(5 * place))
    return shares @ np.array(members) + rng.normal(size=(n, bands)) * sd, sd


def changes(bands: int, *, resampled: bool = True) -> dict[str, Floats]:
    """What is done to spectra, as matrices: changed = spectra @ matrix."""
    same = np.eye(bands)
    three = [bands // 10, bands // 2, bands - bands // 8]
    found = {"none": same}
    for chosen in ([bands // 3], three):
        many = "one band" if len(chosen) == 1 else "three bands"
        found[f"{many} stored twice"] = np.hstack([same, same[:, chosen]])
        found[f"{many} stored twice, times 1.7"] = np.hstack([same, 1.7 * same[:, chosen]])
        for how, weights in (("linearly", (0, 0.5)), ("cubically", (-1 / 16, 9 / 16))):
            matrix = same.copy()
            for b in chosen:
                matrix[:, b] = 0
                for far, weight in zip((2, 1), weights, strict=True):
                    matrix[[b - far, b + far], b] = weight
            found[f"{many} interpolated {how}"] = matrix
    found["all bands stored twice"] = np.hstack([same, same])
    found["a band stored three times"] = np.hstack([same, same[:, [bands // 3, bands // 3]]])
    mean = same[:, three].mean(axis=1, keepdims=True)
    found["the mean of three far bands added"] = np.hstack([same, mean])
    matrix, first = same.copy(), bands // 4
    for k in (1, 2, 3):
        matrix[:, first + k] = (same[:, first] * (4 - k) + same[:, first + 4] * k) / 4
    found["three adjoining bands interpolated"] = matrix
    found["smoothed, [1 2 1] / 4"] = convolve1d(same, [0.25, 0.5, 0.25], axis=1, mode="nearest")
    for window, degree in ((5, 2), (7, 2), (9, 2)):
        name = f"smoothed, Savitzky-Golay, {window} bands, degree {degree}"
        found[name] = savgol_filter(same, window, degree, axis=1)
    if resampled:
        old, new = np.arange(bands), np.linspace(0, bands - 1, 2 * bands - 1)
        found["twice as many bands, linearly"] = np.stack([np.interp(new, old, e) for e in same])
        found["twice as many bands, cubic splines"] = CubicSpline(old, same)(new).T
    return found


def words(noise: Noise) -> str:
    """What was told, briefly."""
    told = []
    if noise.copies:
        told.append(f"{sum(map(len, noise.copies))} copies")
    if noise.interpolated:
        told.append(f"{len(noise.interpolated)} interpolated")
    if noise.smoothed is not None:
        told.append(f"{np.count_nonzero(noise.smoothed)} smoothed over {noise.reach}")
    return ", ".join(told) or "nothing"


def simulated(bands: int, materials: int, n: int) -> list[str]:
    """A row a change."""
    x, sd = spectra(bands, materials, n, seed=bands)
    rows = []
    for name, matrix in changes(bands).items():
        covariance = (matrix.T * sd**2) @ matrix
        held = np.sqrt(covariance.diagonal())
        correlation = covariance / np.outer(held, held)
        smooth = "smoothed" in name or "as many" in name
        sums = (correlation if smooth else np.abs(correlation)).sum(axis=1)
        worth = held * np.sqrt(sums.clip(min=1))
        noise = measure_noise(mean_and_covariance(x @ matrix)[1], n)
        cells = [name]
        for found, true in ((noise.sd, held), (noise.independent, worth)):
            low, middle, high = np.quantile(found / true, [0.05, 0.5, 0.95])
            within = 100 * np.mean(np.abs(found / true - 1) < WITHIN)
            cells += [f"{middle:.2f} ({low:.2f} to {high:.2f})", f"{within:.0f}"]
        cells += [f"{(noise.independent / worth).min():.2f}", words(noise)]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def indian_pines() -> list[str]:
    """A row a change of the scene."""
    source = resolve(("indian-pines",)).scenes[0]
    scene, label = source.scene, codes_of(source).ravel()
    at = np.divmod(np.arange(scene.rows * scene.cols), scene.cols)
    x = scene.pixels(*at).astype(np.float64)
    ways = {
        k: v
        for k, v in changes(scene.bands).items()
        if "7 bands" in k or not ("times" in k or "Golay" in k)
    }
    rows, clean = [], np.array([])
    for name, matrix in ways.items():
        changed = np.round(x @ matrix)  # whole numbers, as the file has them
        scaled = fit_scaler("noise", changed, components=30).transform(changed)
        found, plain = (
            np.array([macro_f1(z, label, seed) for seed in range(SEEDS)])
            for z in (scaled, plainly_scaled(changed))
        )
        clean = found if name == "none" else clean
        cells = [f"{one.mean():.1f} ± {statistics.stdev(one):.1f}" for one in (found, plain)]
        rows.append(f"| {name} | {cells[0]} | {np.mean(found - clean):+.1f} | {cells[1]} |")
    return rows


def plainly_scaled(x: Floats) -> npt.NDArray[np.float32]:
    """Each band divided by its residual on all others, at least a thirtieth of the median."""
    spread = x.std(axis=0)
    inverse = np.linalg.inv(np.corrcoef(x.T) + 1e-12 * np.eye(x.shape[1]))
    noise = 1 / np.sqrt(inverse.diagonal())
    scaled: Floats = x / spread / noise.clip(min=np.median(noise) / 30)
    return scaled.astype(np.float32)


def macro_f1(scaled: npt.NDArray[np.float32], label: npt.NDArray[np.int64], seed: int) -> float:
    """Of three nearest neighbours among a few labels a class, on all other labelled pixels."""
    rng = np.random.default_rng(seed)
    pixels = [rng.permutation(np.flatnonzero(label == k)) for k in np.unique(label[label > 0])]
    train = np.concatenate([of[: min(LABELS, len(of) // 2)] for of in pixels])
    test = np.setdiff1d(np.flatnonzero(label > 0), train)
    classifier = KNeighborsClassifier(3).fit(scaled[train], label[train])
    predicted = classifier.predict(scaled[test])
    return 100 * float(f1_score(label[test], predicted, average="macro"))


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """The least of a few."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def speed() -> list[str]:
    """A row a change."""
    n, bands = FIT
    x, _ = spectra(bands, 8, n, seed=0)
    rows = []
    for name, matrix in changes(bands, resampled=False).items():
        if name not in ("none", "three bands stored twice", "smoothed, [1 2 1] / 4"):
            continue
        changed = (x @ matrix).astype(np.float32)
        with threadpool_limits(limits=1):
            whole = seconds(lambda z=changed: fit_scaler("noise", z, components=30))  # type: ignore[misc]
            covariance = mean_and_covariance(changed)[1]
            noise = seconds(lambda c=covariance: measure_noise(c, n))  # type: ignore[misc]
        rows.append(f"| {name} | {whole:.2f} | {noise:.3f} |")
    return rows


def main() -> None:
    """Measure and write the report."""
    lines = [
        "# Noise of copies, interpolated and smoothed bands",
        "",
        "    python tests/benchmarks/noise_of_copies.py",
        "",
        f"{machine_in_words()}, {today()}.",
        "",
        "The scaling `noise` divides each band by its noise, the residual of its regression on the "
        "others. Bands that are copies, interpolated or smoothed tell each other's noise; they "
        "are found and left out of each other's regression.",
        "",
        "## Simulated spectra",
        "",
        "Mixtures of smooth spectra with absorptions and independent noise, another in each band, "
        "then changed. Held: standard deviation of the noise that a changed band holds. Worth: the "
        "noise that it is divided by: held, times the root of the sum of the correlations of its "
        "noise with that of others, so that k copies count as one band and smoothed spectra as "
        "before smoothing. "
        "Found over true: median (5 to 95 % of bands), share of bands within 25 %. Least: "
        "smallest worth found over true; below 1, a band weighs more than it tells.",
        "",
        "Limits: the wider the kernel, the farther away lie the bands that predict a spectrum, so "
        "that narrow features count as noise, most with few bands and at both ends; a kernel's "
        "long tails (splines) are cut off, and a few bands beside much noisier ones get too "
        "little. A few adjoining bands that really are eight times quieter than those around, "
        "and tell each other what no other band tells, are taken for interpolated ones.",
    ]
    for bands, materials, n in SIZES:
        lines += [
            "",
            f"### {bands} bands, {materials} materials, {n} pixels",
            "",
            "| change | held | within | worth | within | least | told |",
            "|---|---|---|---|---|---|---|",
            *simulated(bands, materials, n),
        ]
    lines += [
        "",
        "## Indian Pines",
        "",
        f"Three nearest neighbours among {LABELS} labels a class (half of the pixels of rare "
        "classes), all others tested; scaled spectra, 30 components, fitted on changed spectra "
        f"rounded to whole numbers. Macro-F1 in percent, mean ± standard deviation over {SEEDS} "
        "draws of labels; against unchanged: mean over the same draws. Plain: each band divided by "
        "its residual on all others, at least a thirtieth of the median.",
        "",
        "| change | macro-F1 | against unchanged | plain |",
        "|---|---|---|---|",
        *indian_pines(),
        "",
        "## Speed",
        "",
        f"`fit_scaler` on {FIT[0]} spectra of {FIT[1]} bands in float32, one thread, best of "
        "three, in seconds; of it the noise.",
        "",
        "| change | fit | noise |",
        "|---|---|---|",
        *speed(),
        "",
    ]
    REPORT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
