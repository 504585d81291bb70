"""A label raster of 100 million pixels laid on a scene of another CRS, against GDAL's mode.

    python tests/benchmarks/label_rasters.py --folder /tmp/label-rasters

Draws two label rasters in UTM (fields of 10 to 80 pixels' sides; noise, where every pixel differs
from its neighbours) and empty scenes, one in another CRS and one of other pixels in the same, if
they are not there. Each task runs in a fresh process with one thread, ours and GDAL's in turn;
ratios are of one round, medians are reported. Prints a table and writes it to
reports/label-rasters.md.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from machine import machine_in_words, today
from rasterio.transform import Affine, array_bounds
from rasterio.warp import Resampling, calculate_default_transform, reproject

REPORT = Path(__file__).parents[2] / "reports" / "label-rasters.md"
SIDE, CLASSES = 10_000, 12
FIELD_PIXELS = 4_000
"""Of the raster, for each field that is drawn."""
UTM, OTHER = "EPSG:32633", "EPSG:3035"
GRID = Affine(5, 0, 365_000, 0, -5, 5_810_000)
COARSER = 1.25
"""Pixel size of the scene in the same CRS, in pixels of the labels."""


def make(folder: Path) -> None:
    """Write label rasters and scenes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    fields = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(SIDE * SIDE // FIELD_PIXELS):
        row, col = rng.integers(0, SIDE, 2)
        high, wide = rng.integers(10, 80, 2)
        fields[row : row + high, col : col + wide] = rng.integers(0, CLASSES + 1)
    noise = rng.integers(0, CLASSES + 1, (SIDE, SIDE), dtype=np.uint8)
    for name, codes in (("fields", fields), ("noise", noise)):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", height=SIDE, width=SIDE, count=1,
            dtype="uint8", crs=UTM, transform=GRID, tiled=True, compress="deflate",
        ) as raster:  # fmt: skip
            raster.write(codes, 1)
    matrix, wide, high = calculate_default_transform(
        UTM, OTHER, SIDE, SIDE, *array_bounds(SIDE, SIDE, GRID)
    )
    coarser = GRID @ Affine.scale(COARSER)
    side = int(SIDE / COARSER)
    for name, crs, grid, shape in (
        ("crs", OTHER, matrix, (high, wide)),
        ("pixels", UTM, coarser, (side, side)),
    ):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", height=shape[0], width=shape[1], count=2,
            dtype="uint16", crs=crs, transform=grid, tiled=True, sparse_ok=True,
        ):  # fmt: skip
            pass


def ours(labels: Path, scene: Path) -> None:
    """Take labels as `prepare` does."""
    from hsi_ssl.labels.raster_labels import RasterSource, raster_labels
    from hsi_ssl.scenes.opening import open_scene

    with open_scene(scene) as opened:
        found = raster_labels([opened], [[RasterSource(labels)]])
    assert found.codes[0] is not None
    assert found.codes[0].any()


def mode(labels: Path, scene: Path) -> None:
    """Let GDAL count pixels."""
    with rasterio.open(scene) as opened, rasterio.open(labels) as raster:
        found = np.zeros((opened.height, opened.width), np.uint8)
        reproject(
            rasterio.band(raster, 1),
            found,
            dst_transform=opened.transform,
            dst_crs=opened.crs,
            resampling=Resampling.mode,
            num_threads=1,
        )
    assert found.any()


TASKS = {"ours": ours, "GDAL's mode": mode}
CASES = {
    "fields, another CRS": ("fields", "crs"),
    f"fields, pixels {COARSER} times as large": ("fields", "pixels"),
    "noise, another CRS": ("noise", "crs"),
    f"noise, pixels {COARSER} times as large": ("noise", "pixels"),
}


def measured(folder: Path, case: str, task: str) -> tuple[float, float]:
    """Seconds and peak memory in MB of a task in a fresh process."""
    command = [sys.executable, __file__, "--folder", str(folder), "--case", case, "--task", task]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = map(float, ran.stdout.split())
    return seconds, peak


def main() -> None:
    """Measure and report, or run one task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        importlib.import_module("hsi_ssl.labels.raster_labels")
        labels, scene = CASES[options.case]
        started = time.perf_counter()
        TASKS[options.task](options.folder / f"{labels}.tif", options.folder / f"{scene}.tif")
        seconds = time.perf_counter() - started
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    if not (options.folder / "pixels.tif").exists():
        make(options.folder)
    lines = [
        f"# A label raster of {SIDE:,} x {SIDE:,} pixels laid on a scene",
        "",
        f"Compressed GeoTIFF of {CLASSES} classes in UTM; a scene in another CRS "
        f"({OTHER}, turned by some degrees), and one of larger pixels in the same. Ours weighs "
        "classes by area and counts what it leaves unlabelled; `rasterio.warp.reproject` with "
        "`Resampling.mode` counts pixels. Each in a fresh process with one thread, imports not "
        f"counted; medians of {options.rounds} rounds, the ratio's of both in one round.",
        "",
        "| labels and scene | ours, s | GDAL's mode, s | ratio | ours, peak MB | GDAL's |",
        "|---|---|---|---|---|---|",
    ]
    for case in CASES:
        rounds = [
            [measured(options.folder, case, task) for task in TASKS] for _ in range(options.rounds)
        ]
        times = [[one[0] for one in column] for column in zip(*rounds, strict=True)]
        peaks = [max(one[1] for one in column) for column in zip(*rounds, strict=True)]
        ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
        a, b = map(statistics.median, times)
        lines.append(
            f"| {case} | {a:.1f} | {b:.1f} | {ratio:.2f} | {peaks[0]:.0f} | {peaks[1]:.0f} |"
        )
        print(lines[-1])
    lines += [
        "",
        "In noise every pixel is shared by several classes and its areas are measured; in labels "
        "as people draw them most pixels are seen to be of one class without that.",
        "",
        f"`python tests/benchmarks/label_rasters.py --folder DIR`, {machine_in_words()}, "
        f"Python {platform.python_version()}, {today()}",
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
