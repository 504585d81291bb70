"""Speed of prepare and classify with a mask in a raster, beside that without one.

    python tests/benchmarks/mask_speed.py --folder /tmp/mask-speed

One simulated scene of full width, in the system's memory. Two masks: the one that `hsi-ssl mask`
proposes, which spares work, and one that hides 1 % of the pixels, lone ones everywhere, so that no
work is spared. Each is read with the scene in `prepare` and in `classify`, in turns with no mask.
Writes reports/mask-speed.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine_in_words, today

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.maps.classify import classify
from hsi_ssl.maps.masks import write_mask
from hsi_ssl.masks.codes import LOOK, SHADOW
from hsi_ssl.masks.propose import propose_mask
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.simulate import simulate
from hsi_ssl.settings import ClassifySettings, M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2

REPORT = Path(__file__).parents[2] / "reports" / "mask-speed.md"
ROWS, COLS, SEED = 1024, 384, 76
POOL, EPOCHS = 20_000, 1
HIDDEN = 0.01
GOAL = 1.1
NO_MASK = "no mask"


class Taken(NamedTuple):
    """Seconds of a run: on the clock, and of all processors."""

    wall: float
    processor: float


def masks_of(scene_path: Path, folder: Path) -> dict[str, tuple[Path, ...]]:
    """The masks to compare, none first."""
    with open_scene(scene_path, variable="hsimage/data") as scene:
        proposed = propose_mask(scene)
        rng = np.random.default_rng(SEED)
        speckled = np.where(rng.random(proposed.shape) < HIDDEN, SHADOW, LOOK).astype(np.uint8)
        planes = {"proposed": proposed, f"hides {100 * HIDDEN:.0f} %": speckled}
        found: dict[str, tuple[Path, ...]] = {NO_MASK: ()}
        for name, plane in planes.items():
            path = folder / f"mask-{len(found)}.tif"
            write_mask(path, scene, plane, overwrite=True)
            found[name] = (path,)
    return found


def timed(task: Callable[[], Any]) -> Taken:
    wall, processor = time.perf_counter(), time.process_time()
    task()
    return Taken(time.perf_counter() - wall, time.process_time() - processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    scene = folder / "drillcore-sim-01.h5"
    if not scene.exists():
        simulate(folder, scenes=1, rows=ROWS, cols=COLS, seed=SEED)

    def prepared(mask: tuple[Path, ...], output: Path) -> None:
        prepare(
            PrepareSettings(
                sources=(str(scene),), label_set="mineralogy", unlabelled=POOL, mask=mask,
                output=output,
            ),
            overwrite=True,
        )  # fmt: skip

    run = folder / "m2"
    prepared((), folder / "to-train.h5")
    train_m2(
        M2Settings(
            dataset=folder / "to-train.h5", output=run, m1=None, epochs=EPOCHS,
            supervised_epochs=EPOCHS, device="cpu",
        ),
        overwrite=True,
    )  # fmt: skip

    def mapped(mask: tuple[Path, ...]) -> None:
        classify(
            ClassifySettings(
                scenes=(str(scene),), model=run, output=folder / "map.tif", mask=mask,
                device="cpu",
            ),
            overwrite=True,
        )  # fmt: skip

    masks = masks_of(scene, folder)
    tasks: dict[str, Callable[[tuple[Path, ...]], None]] = {
        "prepare": partial(prepared, output=folder / "dataset.h5"),
        "classify": mapped,
    }
    found: dict[str, dict[str, list[Taken]]] = {t: {m: [] for m in masks} for t in tasks}
    for round_ in range(arguments.rounds + 1):
        for task, run_it in tasks.items():
            for name, mask in masks.items():
                taken = timed(partial(run_it, mask))
                if round_:  # the first only fills caches
                    found[task][name].append(taken)
    lines = []
    for task, by_mask in found.items():
        usual = median(by_mask[NO_MASK])
        for name, each in by_mask.items():
            middle = median(each)
            walls = ", ".join(f"{one.wall:.2f}" for one in each)
            lines.append(
                f"| {task} | {name} | {middle.wall:.2f} ({walls}) | {middle.processor:.2f} | "
                f"{middle.wall / usual.wall:.2f} | {middle.processor / usual.processor:.2f} |"
            )
    text = [
        "# Speed with a mask and without",
        "",
        "    python tests/benchmarks/mask_speed.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}; other programs were at work. One simulated drill core "
        f"of {ROWS} x {COLS} pixels, 268 bands ({scene.stat().st_size / 1e6:.0f} MB), in the "
        f"system's memory; `prepare --unlabelled {POOL}` and `classify` by M2 on spectra, in one "
        f"process, each without a mask and with one in a GeoTIFF: the proposed one, and one that "
        f"hides {100 * HIDDEN:.0f} % of the pixels, lone ones everywhere, which spares no work. "
        f"Seconds are medians of {arguments.rounds} rounds in turns. Goal: at most {GOAL} times "
        "the time without.",
        "",
        "| command | mask | seconds (each) | processor, s | times without | processor's |",
        "|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    print("\n".join(lines))
    REPORT.write_text("\n".join(text), encoding="utf-8")


def median(each: list[Taken]) -> Taken:
    """Of both kinds of seconds."""
    return Taken(*(statistics.median(values) for values in zip(*each, strict=True)))


if __name__ == "__main__":
    main()
