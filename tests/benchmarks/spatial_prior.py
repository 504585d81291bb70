"""The spatial prior on maps: what it is worth, what it costs.

    HSI_SSL_DATA=... python tests/benchmarks/spatial_prior.py --folder /tmp/spatial-prior

*Accuracy*: Indian Pines on its published maps and EnMAP Potsdam in blocks, whole scenes mapped
without the prior, with the strength learnt in training, and with the one chosen on validation
pixels; scores on the test pixels of the map. All 695 labels of Indian Pines are learnt from, so its
strength is chosen on other runs, whose validation pixels are a fifth of them. *Speed*: a scene of
4,096 x 4,096 pixels mapped with and without, each in a process of its own. Runs and results are
kept in FOLDER; the tables go to reports/spatial-prior.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from few_label_scenes import SCENES
from machine import machine_in_words, today
from rasterio.transform import Affine

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.labels.label_set import codes_to_indices
from hsi_ssl.maps.one_map import classify_scene
from hsi_ssl.reports.metrics import score
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings, M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.tuned_prior import STRENGTHS, tuned_prior

REPORT = Path(__file__).parents[2] / "reports" / "spatial-prior.md"
Line = dict[str, Any]
CASES: dict[str, dict[str, Any]] = {
    "ip0": {"validation": 0.0},  # all labels of the published map
    "ipv": {"validation": 0.2},  # to choose the strength on
    "potsdam": {"sources": ("enmap-potsdam",), "split": "blocks"},
}
TITLES = {"ip0": "Indian Pines, published maps", "potsdam": "EnMAP Potsdam, blocks"}
TUNED_ON = {"ip0": "ipv", "potsdam": "potsdam"}
TUNING_SEEDS = 3
"""Runs whose mean macro-F1 on validation pixels chooses the strength of Indian Pines."""
SIDE, BANDS, CLASSES = 4096, 32, 12
GOAL_SECONDS, GOAL_MB = 2.0, 1500


def trained(case: str, seed: int, folder: Path) -> tuple[Classifier, Dataset]:
    """The run of a case and seed, made on first use."""
    path, run = folder / f"{case}-{seed}.h5", folder / f"run-{case}-{seed}"
    more = SCENES["indian-pines"].settings(folder, seed) if case != "potsdam" else {}
    if not path.exists():
        prepare(PrepareSettings(**more, **CASES[case], seed=seed, output=path))
    if not (run / "model.json").exists():
        train_m2(
            M2Settings(dataset=path, output=run, m1=None, seed=seed, device="cpu"), overwrite=True
        )
    return load_classifier(run, "cpu"), open_dataset(path)


def chosen(case: str, seed: int, folder: Path) -> float:
    """The strength that validation pixels choose: the run's own, or those of other runs."""
    other = TUNED_ON[case]
    seeds = [seed] if other == case else range(TUNING_SEEDS)
    found = [tuned_prior(*trained(other, s, folder)) for s in seeds]
    f1 = np.mean([one["macro_f1"] for one in found if one is not None], axis=0)
    return STRENGTHS[int(f1.argmax())]


def accuracy(folder: Path, seeds: int) -> list[Line]:
    """Scores of every case, seed and strength."""
    lines: list[Line] = []
    for case in TITLES:
        for seed in range(seeds):
            classifier, dataset = trained(case, seed, folder)
            learnt = float(classifier.card["spatial_strength"])
            for how, strength in (
                ("none", 0.0), ("learnt", learnt), ("chosen on validation pixels",
                                                    chosen(case, seed, folder)),
            ):  # fmt: skip
                scores = _mapped(classifier, dataset, strength, folder)
                lines.append(
                    {"case": case, "seed": seed, "how": how, "strength": strength} | scores
                )
                print(lines[-1], flush=True)
    return lines


def _mapped(
    classifier: Classifier, dataset: Dataset, strength: float, folder: Path
) -> dict[str, float]:
    """Scores of the test pixels on a map of the whole scene."""
    output = folder / "map.tif"
    (source,) = dataset.meta["sources"]
    with open_scene(Path(source["path"])) as scene:
        classify_scene(
            scene, classifier, ClassifySettings(spatial=strength), output, overwrite=True
        )
    with rasterio.open(output) as raster:
        codes: npt.NDArray[np.int64] = raster.read(1).astype(np.int64)
    test = dataset.rows(Part.TEST)
    rows, cols = dataset.pixel[test].T
    found = codes_to_indices(codes[rows, cols], dataset.label_set)
    scores = score(dataset.label[test], found, len(dataset.label_set))
    return {name: getattr(scores, name) for name in ("oa", "aa", "macro_f1")}


def make_speed_files(folder: Path) -> tuple[Path, Path]:
    """A large scene and a run that fits it: one expert of two layers of 256."""
    small, large = folder / "small.tif", folder / "large.tif"
    rng = np.random.default_rng(0)
    pure = 2000 + 1500 * np.sin(np.linspace(0, 9, BANDS) * rng.uniform(0.5, 3, (CLASSES, 1)))

    def strip(rows: int, cols: int) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
        truth = rng.integers(CLASSES, size=(-(-rows // 16), -(-cols // 16)))
        truth = truth.repeat(16, 0).repeat(16, 1)[:rows, :cols]
        cube = pure[truth] + rng.normal(0, 600, (rows, cols, BANDS))
        return cube.clip(1).astype(np.uint16), (truth + 1).astype(np.uint8)

    profile = {"driver": "GTiff", "dtype": "uint16", "count": BANDS, "interleave": "pixel",
               "crs": "EPSG:32719", "transform": Affine(5, 0, 3e5, 0, -5, 7.4e6)}  # fmt: skip
    if not (folder / "speed.h5").exists():
        cube, truth = strip(192, 192)
        with rasterio.open(small, "w", height=192, width=192, **profile) as raster:
            raster.write(np.moveaxis(cube, -1, 0))
        profile_of_labels = {**profile, "dtype": "uint8", "count": 1, "nodata": 0}
        with rasterio.open(
            folder / "labels.tif", "w", height=192, width=192, **profile_of_labels
        ) as raster:
            raster.write(truth, 1)
        prepare(
            PrepareSettings(
                sources=(str(small),), labels=(folder / "labels.tif",), output=folder / "speed.h5"
            )
        )
    run = folder / "run-speed"
    if not (run / "model.json").exists():
        train_m2(
            M2Settings(
                dataset=folder / "speed.h5", output=run, m1=None, epochs=1, experts=(0.5,),
                predict="classifier", device="cpu",
            ),
            overwrite=True,
        )  # fmt: skip
    if not large.exists():
        cube, _ = strip(256, SIDE)
        with rasterio.open(large, "w", height=SIDE, width=SIDE, **profile) as raster:
            for row in range(0, SIDE, 256):
                raster.write(
                    np.moveaxis(np.roll(cube, 37 * row, axis=1), -1, 0),
                    window=((row, row + 256), (0, SIDE)),
                )
    return large, run


def speed(folder: Path, repeats: int) -> list[Line]:
    """Wall and processor seconds of each map, and its peak memory."""
    scene, run = make_speed_files(folder)
    lines: list[Line] = []
    for _ in range(repeats):
        for strength in ("0", "0.9"):
            command = [
                sys.executable, "-m", "hsi_ssl.cli", "classify", str(scene), "--model", str(run),
                "-o", str(folder / "map.tif"), "--spatial", strength, "--device", "cpu",
                "--overwrite", "--json",
            ]  # fmt: skip
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            wall, after = (
                time.perf_counter() - started,
                resource.getrusage(resource.RUSAGE_CHILDREN),
            )
            cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            answer = json.loads(ran.stdout)
            lines.append(
                {"strength": strength, "wall": wall, "cpu": cpu, "mb": answer["peak_memory_mb"]}
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", choices=["accuracy", "speed"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    if arguments.only != "speed":
        results["accuracy"] = accuracy(folder, arguments.seeds)
        kept.write_text(json.dumps(results))
    if arguments.only != "accuracy":
        results["speed"] = speed(folder, arguments.repeats)
        kept.write_text(json.dumps(results))
    write(results)


def write(results: dict[str, list[Line]]) -> None:
    """Write reports/spatial-prior.md of what has been measured."""
    text = [
        "# The spatial prior on maps",
        "",
        "    python tests/benchmarks/spatial_prior.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}.",
        "",
    ]
    if "accuracy" in results:
        text += [
            "## What it is worth",
            "",
            "Percent on the test pixels of a map of the whole scene, mean ± standard deviation "
            "over seeds of M2. On Indian Pines (695 labels, transductive) the strength is chosen "
            f"by the mean of {TUNING_SEEDS} other runs that learn from four fifths of the labels, "
            "on the last fifth; on Potsdam by each run's own validation pixels. Test pixels choose "
            "nothing.",
            "",
            "| scene | prior | strength | OA | AA | macro-F1 | seeds |",
            "|---|---|---|---|---|---|---|",
        ]
        for case, title in TITLES.items():
            for how in dict.fromkeys(line["how"] for line in results["accuracy"]):
                some = [r for r in results["accuracy"] if (r["case"], r["how"]) == (case, how)]
                if some:
                    cells = [_mean_sd([100 * r[n] for r in some]) for n in ("oa", "aa", "macro_f1")]
                    strengths = sorted({round(r["strength"], 2) for r in some})
                    text.append(
                        f"| {title} | {how} | {', '.join(f'{s:g}' for s in strengths)} | "
                        f"{' | '.join(cells)} | {len(some)} |"
                    )
        text.append("")
    if "speed" in results:
        text += _of_speed(results["speed"])
    REPORT.write_text("\n".join(text), encoding="utf-8")


def _of_speed(lines: list[Line]) -> list[str]:
    text = [
        "## What it costs",
        "",
        f"A GeoTIFF of {SIDE:,} x {SIDE:,} pixels and {BANDS} uint16 bands, {CLASSES} classes, ten "
        "sweeps; one expert of two layers of 256 units, a fifth of the default network. Seconds of "
        "the whole command, medians of the runs; processor seconds are those of all threads "
        "together, so that other work on the machine does not show.",
        "",
        "| prior | wall, s | processor, s | peak memory, MiB |",
        "|---|---|---|---|",
    ]
    cost = {}
    for strength in ("0", "0.9"):
        some = [line for line in lines if line["strength"] == strength]
        cost[strength] = float(np.median([line["cpu"] for line in some]))
        text.append(
            f"| {'none' if strength == '0' else strength} "
            f"| {np.median([line['wall'] for line in some]):.0f} | {cost[strength]:.0f} "
            f"| {max(line['mb'] for line in some):,.0f} |"
        )
    added = (cost["0.9"] - cost["0"]) / (SIDE * SIDE / 1e6)
    cores = os.cpu_count() or 1
    return [
        *text,
        "",
        f"Added: {added:.2f} processor seconds a million pixels, {added / cores:.2f} s on {cores} "
        f"cores (goal: {GOAL_SECONDS:g} s, below {GOAL_MB:,} MiB).",
        "",
    ]


def _mean_sd(values: list[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
