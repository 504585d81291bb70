"""Labels from 100,000 polygons on a scene of 100 million pixels, against GDAL's rasterisation.

    python tests/benchmarks/vector_labels.py --folder /tmp/vector-labels

Draws the polygons (GeoPackage in degrees, so that they are reprojected; a third of the pixels,
many overlap) and an empty scene if they are not there. Each task runs in a fresh process. Prints a
table and writes it to reports/vector-labels.md.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import rasterio.features
import shapely
from machine import machine_in_words, today
from rasterio.warp import transform

REPORT = Path(__file__).parents[2] / "reports" / "vector-labels.md"
FEATURES, SIDE, CLASSES = 100_000, 10_000, 12
UTM, DEGREES = "EPSG:32633", "EPSG:4326"
GRID = rasterio.Affine(5, 0, 365_000, 0, -5, 5_810_000)


def make(folder: Path) -> None:
    """Write the scene, and stars of 12 corners and 1 to 25 pixels' radius all over it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    centre, size = rng.uniform(0, SIDE, (FEATURES, 2)), rng.uniform(1, 25, FEATURES)
    angle = np.sort(rng.uniform(0, 2 * np.pi, (FEATURES, 12)), axis=1)
    x = GRID.c + GRID.a * (centre[:, :1] + size[:, None] * np.cos(angle))
    y = GRID.f + GRID.e * (centre[:, 1:] + size[:, None] * np.sin(angle))
    x, y = transform(UTM, DEGREES, x.ravel(), y.ravel())
    rings = np.stack([x, y], axis=1).reshape(FEATURES, 12, 2)
    names = [f"kind {i}" for i in rng.integers(0, CLASSES, FEATURES)]
    pyogrio.raw.write(
        folder / "polygons.gpkg",
        shapely.to_wkb(shapely.polygons(rings)),
        [np.array(names, object)],
        ["class"],
        geometry_type="Polygon",
        crs=DEGREES,
        driver="GPKG",
    )
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", height=SIDE, width=SIDE, count=200,
        dtype="uint16", crs=UTM, transform=GRID, tiled=True, sparse_ok=True, bigtiff="yes",
    ):  # fmt: skip
        pass


def labels(folder: Path, least: float) -> None:
    """Take labels as `prepare` does."""
    from hsi_ssl.labels.rules import LabelRules
    from hsi_ssl.labels.sources import resolve

    rules = LabelRules(min_coverage=least)
    with resolve([str(folder / "scene.tif")], labels=[folder / "polygons.gpkg"], rules=rules):
        pass


def gdal(folder: Path) -> None:
    """Read and reproject, then burn codes over each other by the centres of pixels."""
    _, _, wkb, (names,) = pyogrio.raw.read(folder / "polygons.gpkg")
    polygons = shapely.transform(
        shapely.from_wkb(wkb),
        lambda xy: np.stack(transform(DEGREES, UTM, xy[:, 0], xy[:, 1]), axis=1),
    )
    codes = np.unique(names, return_inverse=True)[1] + 1
    shapes = zip(polygons, codes.tolist(), strict=True)
    rasterio.features.rasterize(shapes, (SIDE, SIDE), transform=GRID, dtype="uint16")


TASKS = {
    "half of the pixel": lambda folder: labels(folder, 0.5),
    "centre of the pixel": lambda folder: labels(folder, 0.0),
    "GDAL's centre of the pixel": gdal,
}


def main() -> None:
    """Measure and report, or run one task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        importlib.import_module("hsi_ssl.labels.sources")
        before = resource.getrusage(resource.RUSAGE_SELF)
        TASKS[options.task](options.folder)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(
            used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
            used.ru_maxrss / 1024,
        )
        return
    if not (options.folder / "scene.tif").exists():
        make(options.folder)
    lines = [
        f"# Labels from {FEATURES:,} polygons on {SIDE:,} x {SIDE:,} pixels",
        "",
        "From a GeoPackage in degrees to planes of codes and of polygons (600 MB), overlaps told "
        "by feature; a third of the pixels. GDAL's `rasterize` burns codes over each other and "
        "tells nothing of overlaps. Each in a fresh process, imports not counted; time of the "
        "processor, whatever else the machine does.",
        "",
        "| a polygon has a pixel by | processor, s | peak, MB |",
        "|---|---|---|",
    ]
    for task in TASKS:
        command = [sys.executable, __file__, "--folder", str(options.folder), "--task", task]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        processor, peak = map(float, ran.stdout.split())
        lines.append(f"| {task} | {processor:.1f} | {peak:.0f} |")
        print(lines[-1])
    lines += [
        "",
        f"`python tests/benchmarks/vector_labels.py --folder DIR`, {machine_in_words()}, "
        f"Python {platform.python_version()}, {today()}",
    ]
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
