"""How fast `hsi-ssl classify` maps a scene, beside a random forest that has it in memory already.

    python tests/benchmarks/beside_forest.py --folder /tmp/beside-forest [--report FILE]

A GeoTIFF of 224 uint16 bands, Salinas' number, and models of the default settings, trained for an
epoch and without validation pixels, so that all experts count: the most that a map can take. In
turns: the command in a process of its
own, whose pixels a second count reading the scene and writing the map, and scikit-learn's forest of
100 trees with a job a core, which predicts the same pixels as an array; then both beside a process
that keeps a core busy.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from machine import machine_in_words, today
from rasterio.transform import Affine
from sklearn.ensemble import RandomForestClassifier

from hsi_ssl.datasets.store import Part, open_dataset

BANDS, ROWS, COLS, CLASSES = 224, 1000, 1000, 16
TREES, TURNS = 100, 5
BUSY = "while True: pass"
WAYS = ("M2", "M1+M2")


def write_scene(scene: Path, labels: Path) -> None:
    """Mixtures of smooth spectra, and the largest component of one pixel in fifty."""
    rng = np.random.default_rng(0)
    pure = 2000 + 1500 * np.sin(np.linspace(0, 9, BANDS) * rng.uniform(0.5, 3, (CLASSES, 1)))
    mixture = rng.dirichlet(np.full(CLASSES, 0.3), ROWS * COLS).astype(np.float32)
    cube = mixture @ pure.astype(np.float32) + rng.normal(0, 20, (ROWS * COLS, BANDS))
    codes = np.where(rng.random(ROWS * COLS) < 0.02, mixture.argmax(1) + 1, 0)
    place = {"crs": "EPSG:32610", "transform": Affine(4, 0, 6e5, 0, -4, 4e6)}
    size = {"driver": "GTiff", "height": ROWS, "width": COLS, **place}
    with rasterio.open(
        scene, "w", count=BANDS, dtype="uint16", interleave="pixel", **size
    ) as raster:
        raster.write(cube.clip(1).astype(np.uint16).T.reshape(BANDS, ROWS, COLS))
        for band, nm in enumerate(np.linspace(400, 2500, BANDS), 1):
            raster.update_tags(band, wavelength=str(nm), wavelength_units="nm")
    with rasterio.open(labels, "w", count=1, dtype="uint8", nodata=0, **size) as raster:
        raster.write(codes.astype(np.uint8).reshape(1, ROWS, COLS))


def hsi_ssl(*arguments: object) -> dict[str, Any]:
    """What a command says of itself."""
    command = [sys.executable, "-m", "hsi_ssl.cli", *map(str, arguments), "--json"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def made(folder: Path) -> tuple[Path, Path]:
    """The scene, and the dataset of its labels; models of `WAYS` lie in the folder."""
    scene, dataset = folder / "scene.tif", folder / "dataset.h5"
    if not scene.exists():
        write_scene(scene, folder / "labels.tif")
        labels = ["--labels", folder / "labels.tif", "--validation", 0]
        hsi_ssl("prepare", scene, *labels, "-o", dataset, "--overwrite")
        hsi_ssl("train-m1", dataset, "-o", folder / "m1", "--epochs", 1, "--overwrite")
        for way in WAYS:
            below = ["--no-m1"] if way == "M2" else ["--m1", folder / "m1"]
            few = ["--epochs", 1, "--supervised-epochs", 1, "--overwrite"]
            hsi_ssl("train-m2", dataset, *below, "-o", folder / way, *few)
    return scene, dataset


@contextlib.contextmanager
def busy(there: bool) -> Iterator[None]:
    """A process that keeps a core busy, if it is to be there."""
    with contextlib.ExitStack() as stack:
        if there:
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(process.kill)
        yield


def main() -> None:
    """Measure in turns, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    scene, path = made(asked.folder)
    dataset = open_dataset(path)
    rows = dataset.rows(Part.TRAIN)
    forest = RandomForestClassifier(TREES, n_jobs=-1, random_state=0)
    forest.fit(dataset.spectra(rows), dataset.label[rows])
    with rasterio.open(scene) as raster:
        pixels = raster.read().reshape(BANDS, -1).T.astype(np.float32)
    pixels = np.ascontiguousarray(pixels[:, dataset.meta["used_bands"]])
    rates: dict[tuple[str, bool], list[float]] = {}
    for beside in (False, True):
        with busy(beside):
            for _ in range(asked.turns):
                for way in WAYS:
                    found = hsi_ssl(
                        "classify", scene, "--model", asked.folder / way,
                        "-o", asked.folder / "map.tif", "--overwrite",
                    )  # fmt: skip
                    rates.setdefault((way, beside), []).append(found["pixels_per_second"])
                started = time.perf_counter()
                forest.predict(pixels)
                rate = len(pixels) / (time.perf_counter() - started)
                rates.setdefault(("forest", beside), []).append(rate)
                print({k: round(v[-1]) for k, v in rates.items() if k[1] == beside}, flush=True)
    lines = [
        f"{machine_in_words()}, {today()}; {ROWS} x {COLS} pixels, {len(rows):,} labelled ones, "
        f"medians of {asked.turns}, pairs of one turn.",
        "",
        "| | pixels/s | beside a busy process | as fast as the forest, times | slower beside it |",
        "|---|---:|---:|---:|---:|",
    ]
    for way in (*WAYS, "forest"):
        quiet, loaded = (statistics.median(rates[way, beside]) for beside in (False, True))
        pairs = zip(rates[way, False], rates["forest", False], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        lines.append(
            f"| {way} | {quiet:,.0f} | {loaded:,.0f} | {ratio:.2f} | {quiet / loaded:.2f} |"
        )
    text = "\n".join([*lines, ""])
    print(text)
    if asked.report:
        asked.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
