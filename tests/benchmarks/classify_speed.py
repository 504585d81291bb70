"""How fast `hsi-ssl classify` maps a scene of 4 GB, and how much memory it takes.

    python tests/benchmarks/classify_speed.py --folder /tmp/classify-speed

Writes GeoTIFFs of 3000 x 2500 pixels and 268 uint16 bands (4 GB each; one after another, each is
removed when it is measured) and an M1+M2 of 268-500-500-50 and 50-500-12. Runs the command on each
in a process of its own, with the file in the system's cache and without. Prints pixels a second
(reading, classifying and writing the map), peak memory of the whole process, and the network's
share of the rate of large float32 matrix products, measured before and after on all cores; writes
reports/classify.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from m1_speed import matrix_product_rate
from machine import machine_in_words, today
from rasterio.transform import Affine

from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.palette import distinct_colour
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

REPORT = Path(__file__).parents[2] / "reports" / "classify.md"
ROWS, COLS, BANDS, CLASSES = 3000, 2500, 268, 12
HIDDEN, LATENT = (500, 500), 50
PIXEL_OPERATIONS = 2 * (268 * 500 + 500 * 500 + 500 * 50 + 50 * 500 + 500 * 12)
"""Multiplications and additions a pixel: M1's encoder up to the means, then M2's classifier."""
GOAL_PIXELS, GOAL_MB = 100_000, 1500
LAYOUTS: dict[str, dict[str, Any]] = {
    "by pixel": {"interleave": "pixel"},
    "by band": {"interleave": "band"},
    "by pixel, tiles, deflate": {
        "interleave": "pixel", "tiled": True, "blockxsize": 256, "blockysize": 256,
        "compress": "deflate", "predictor": 2, "zlevel": 1, "num_threads": "all_cpus",
    },
}  # fmt: skip
WAVELENGTHS = np.linspace(1000, 2500, BANDS)


def spectra(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mixtures `(n, BANDS)` uint16 of smooth spectra, and their largest component."""
    phases = np.random.default_rng(7).uniform(0.5, 3, (CLASSES, 1))
    pure = 2000 + 1500 * np.sin(np.linspace(0, 9, BANDS) * phases)
    mixture = rng.dirichlet(np.full(CLASSES, 0.3), n)
    noisy = mixture @ pure + rng.normal(0, 20, (n, BANDS))
    return noisy.clip(1).astype(np.uint16), mixture.argmax(1).astype(np.int16)


def write_scene(path: Path, layout: dict[str, Any]) -> None:
    """A scene of 4 GB, made of shifted copies of one strip."""
    strip = spectra(np.random.default_rng(0), 100 * COLS)[0].reshape(100, COLS, BANDS)
    with rasterio.open(
        path, "w", driver="GTiff", height=ROWS, width=COLS, count=BANDS, dtype="uint16",
        crs="EPSG:32719", transform=Affine(5, 0, 3e5, 0, -5, 7.4e6), bigtiff="YES", **layout,
    ) as raster:  # fmt: skip
        for band, wavelength in enumerate(WAVELENGTHS, 1):
            raster.update_tags(band, wavelength=str(wavelength), wavelength_units="nm")
        for row in range(0, ROWS, 100):
            shifted = np.roll(strip, 7 * row, axis=1)
            raster.write(np.moveaxis(shifted, -1, 0), window=((row, row + 100), (0, COLS)))


def make_dataset(path: Path) -> Dataset:
    """A small dataset of such spectra, every band scaled alone: the network sees all 268."""
    rng = np.random.default_rng(1)
    x, y = spectra(rng, 4000)
    part = rng.choice(4, len(x), p=[0.3, 0.1, 0.1, 0.5]).astype(np.uint8)
    classes = (LabelClass(k + 1, f"class {k + 1}", distinct_colour(k)) for k in range(CLASSES))
    return write_dataset(
        path,
        spectra=x,
        label=np.where(part == Part.POOL, -1, y).astype(np.int16),
        part=part,
        scene=np.zeros(len(x), np.int16),
        pixel=np.stack(np.divmod(np.arange(len(x)), 80), 1).astype(np.int32),
        neighbours=np.full((len(x), 8), -1, np.int32),
        meta={
            "title": "mixtures",
            "sources": [
                {"name": "mixtures", "path": "mixtures", "fingerprint": "", "rows": 50, "cols": 80}
            ],
            "bands": BANDS,
            "used_bands": list(range(BANDS)),
            "wavelengths_nm": WAVELENGTHS.tolist(),
            "fwhm_nm": None,
            "label_set": LabelSet("mixtures", tuple(classes)).to_card(),
            "scaling": fit_scaler("standard", x, components=BANDS).to_card(),
            "settings": {},
            "seed": 0,
            "transductive": False,
            "split": {"kind": "pixels", "guard": 0},
            "image_like": False,
        },
        overwrite=True,
    )


def make_run(folder: Path) -> Path:
    """An M1+M2 of the size to be measured, trained for an epoch."""
    dataset = make_dataset(folder / "dataset.h5").path
    m1, m2 = folder / "m1", folder / "m2"
    train_m1(M1Settings(dataset=dataset, output=m1, epochs=2, device="cpu"), overwrite=True)
    card = train_m2(
        M2Settings(dataset=dataset, output=m2, m1=m1, epochs=1, predict="classifier", device="cpu"),
        overwrite=True,
    )
    assert sum(card["kept_units"]) == LATENT
    return m2


def measure(scene: Path, run: Path, *, cold: bool) -> dict[str, Any]:
    """What the command says, and the rate of matrix products around it."""
    if cold:
        with scene.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [
        sys.executable, "-m", "hsi_ssl.cli", "classify", str(scene), "--model", str(run),
        "-o", str(scene.with_name("map.tif")), "--device", "cpu", "--overwrite", "--json",
    ]  # fmt: skip
    before = matrix_product_rate()
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    rate = (before + matrix_product_rate()) / 2
    found: dict[str, Any] = json.loads(ran.stdout)
    return {**found, "rate": rate, "share": PIXEL_OPERATIONS * found["pixels_per_second"] / rate}


def main() -> None:
    """Measure every layout and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--layouts", nargs="*", choices=list(LAYOUTS), default=list(LAYOUTS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    run = make_run(arguments.folder)
    lines: list[str] = []
    for layout in arguments.layouts:
        scene = arguments.folder / "scene.tif"
        write_scene(scene, LAYOUTS[layout])
        for cold in (True, False):
            found = [measure(scene, run, cold=cold) for _ in range(arguments.repeats)]
            lines.append(row(layout, scene, "disk" if cold else "cache", found))
            print(lines[-1], flush=True)
            write(lines, arguments.repeats)
        scene.unlink()


def row(layout: str, scene: Path, source: str, found: list[dict[str, Any]]) -> str:
    """One line of the table: medians, every run's speed, the largest memory."""
    speed, rate, share = (
        statistics.median(f[key] for f in found) for key in ("pixels_per_second", "rate", "share")
    )
    runs = ", ".join(f"{f['pixels_per_second'] / 1000:.0f}k" for f in found)
    peak = max(f["peak_memory_mb"] for f in found)
    return (
        f"| {layout} | {scene.stat().st_size / 1e9:.2f} | {source} | {speed:,.0f} | {runs} "
        f"| {peak:,.0f} | {rate / 1e9:.0f} | {share:.2f} |"
    )


def write(lines: list[str], repeats: int) -> None:
    """Write reports/classify.md, anew after each line, so that a run cut off is not lost."""
    text = [
        "# Speed and memory of hsi-ssl classify",
        "",
        "    python tests/benchmarks/classify_speed.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}. A GeoTIFF of {ROWS} x {COLS} pixels and {BANDS} uint16 "
        f"bands through M1+M2 {BANDS}-{HIDDEN[0]}-{HIDDEN[1]}-{LATENT} and {LATENT}-500-{CLASSES} "
        f"({PIXEL_OPERATIONS / 1e6:.2f} million floating-point operations a pixel), medians of "
        f"{repeats} runs; seconds count from the opened scene to the finished map with its "
        "overviews and picture, memory is that of the whole process. The network's share is that "
        "of the rate of float32 matrix products just before and after. "
        f"Goals: {GOAL_PIXELS:,} pixels/s on 2 cores, below {GOAL_MB:,} MiB.",
        "",
        "| bands lie | file, GB | read from | pixels/s | runs | peak memory, MiB "
        "| matrix products, GFLOP/s | network's share |",
        "|---|---|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    REPORT.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
