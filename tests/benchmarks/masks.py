"""Masks of simulated cores, of cores drawn by other rules and of real scenes; their speed.

    HSI_SSL_DATA=DIR python tests/benchmarks/masks.py --folder DIR

writes reports/masks.md. Seeds are others than those that constants were chosen on.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cores
import numpy as np
import numpy.typing as npt
import rasterio
from cores import DEEP, SOUND
from machine import machine_in_words, today

from hsi_ssl.labels.sources import resolve
from hsi_ssl.masks.codes import LOOK, NO_DATA, SHADOW
from hsi_ssl.masks.propose import propose_mask
from hsi_ssl.scenes import simulate
from hsi_ssl.scenes.drillcore import INDEX, MATERIALS, STICK_PITCH, Box
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import Watcher

REPORT = Path(__file__).parents[2] / "reports" / "masks.md"
SEEDS = range(20, 30)
WINDOW = 2**16
"""Pixels at a time of the plain read, as `classify` takes them."""
BOXES: dict[str, dict[str, Any]] = {
    "upright": {},
    "dark mineral": {"dark": True},
    "dark mineral, tilted": {"dark": True, "tilt": 0.03},
    "dark mineral, sticks lie across": {"dark": True, "horizontal": True, "sticks": 3},
    "five sticks, noise doubled, tilted": {"sticks": 5, "noise": 0.012, "tilt": -0.04},
    "one stick, dark mineral": {"sticks": 1, "dark": True},
    "dark mineral, floors in other light": {"dark": True, "film": 0.08},
    "no end in view": {"crop": (slice(20, 130), slice(0, 190)), "dark": True},
}
Plane = npt.NDArray[Any]


class Ear(Watcher):
    """Remembers what was said last."""

    heard = ""

    def say(self, sentence: str) -> None:
        self.heard = sentence


def light_left(box: Box) -> Plane:
    """Share `(rows, cols)` of the light of sound core at that place of its stick."""
    cols = box.light.shape[1]
    sticks = max(1, round(cols / STICK_PITCH))
    pitch = cols / sticks
    width = max(4, int(0.86 * pitch))
    usual = np.ones(cols)
    for i in range(sticks):
        left = int(i * pitch + (pitch - width) / 2)
        usual[left : left + width] = 0.35 + 0.65 * np.sqrt(1 - np.linspace(-0.96, 0.96, width) ** 2)
    return np.asarray(box.light / usual)


def simulated() -> Iterator[str]:
    """Rows of the table of simulated cores."""
    all_left, all_lost = [], []
    for seed in SEEDS:
        box = simulate.box_of(0, rows=256, cols=384, seed=seed)
        cube = np.concatenate(list(simulate.render(box, seed=seed, index=0)))
        mask = propose_mask(cores.held(cube, simulate.WAVELENGTHS_NM))
        masked, there = mask == SHADOW, mask != NO_DATA
        wood = (box.prevailing == INDEX["wood"]) & there
        light = light_left(box)
        crack = there & ~wood & (light < DEEP)
        sound = there & ~wood & (light > SOUND)
        lost = {
            MATERIALS[m]: 100 * masked[sound & (box.prevailing == m)].mean()
            for m in np.unique(box.prevailing[sound])
        }
        worst = max(lost, key=lambda name: lost[name])
        left = 100 * ((wood | crack) & (mask == LOOK)).sum() / (mask == LOOK).sum()
        all_left.append(left)
        all_lost.append(lost[worst])
        yield (
            f"| {seed} | {100 * wood.mean():.1f} | {100 * masked[wood].mean():.2f} | "
            f"{100 * masked[crack].mean():.0f} of {100 * crack.mean():.1f} | "
            f"{lost[worst]:.2f} ({worst}) | {left:.2f} |"
        )
    yield f"| worst | | | | {max(all_lost):.2f} | {max(all_left):.2f} |"


def others() -> Iterator[str]:
    """Rows of the table of cores drawn by other rules."""
    for tray in cores.TRAYS:
        for words, more in BOXES.items():
            tray_found, edge_found, lost = [], [], []
            for seed in SEEDS[:3]:
                core = cores.core(seed, tray=tray, **more)
                masked = propose_mask(core.scene) == SHADOW
                tray_here = core.material == cores.TRAY
                tray_found.append(100 * masked[tray_here & ~core.mixed].mean())
                edge_found.append(100 * masked[tray_here & core.mixed].mean())
                sound = ~core.mixed & core.sound
                lost += [
                    (100 * masked[sound & (core.material == k)].mean(), name)
                    for k, name in enumerate(core.names, 1)
                    if (sound & (core.material == k)).any()
                ]
            share, name = max(lost)
            yield (
                f"| {tray} | {words} | {min(tray_found):.2f} | {min(edge_found):.0f} | "
                f"{share:.2f}{f' ({name})' if share else ''} |"
            )


def real() -> Iterator[str]:
    """Rows of the table of scenes in which nothing is to be masked."""
    data = os.environ.get("HSI_SSL_DATA")
    with resolve(("indian-pines",), labelled=False) as sources:
        yield _shares("Indian Pines", sources.scenes[0].scene)
    if data is None:
        return
    for name, path, variable in (
        ("Salinas-A", "salinas-a/SalinasA_corrected.mat", None),
        ("EnMAP Potsdam", "enmap-potsdam/scene.tif", None),
        ("Toulouse, asphalt", "toulouse/images.h5", "asph"),
        ("Toulouse, fibre cement", "toulouse/images.h5", "fib"),
        ("Toulouse, vegetation", "toulouse/images.h5", "veg"),
        ("NEON San Joaquin", "neon-sjer/NEON_SJER_reflectance_30x30.h5", None),
    ):
        with open_scene(Path(data) / path, variable=variable) as scene:
            yield _shares(name, scene)


def _shares(name: str, scene: Scene) -> str:
    ear = Ear()
    mask = propose_mask(scene, ear)
    masked = 100 * (mask > LOOK).mean()
    reason = ear.heard.split(": ")[1]
    return f"| {name} | {masked:.2f} | {100 * (mask == NO_DATA).mean():.1f} | {reason} |"


def speed(folder: Path, rounds: int) -> Iterator[str]:
    """Rows of the table of rates; reading and masking in turns."""
    folder.mkdir(parents=True, exist_ok=True)
    core = folder / "drillcore-sim-01.h5"
    if not core.exists():
        simulate.simulate(folder, scenes=1, rows=2848, cols=384, seed=20)
    packed = folder / "packed.tif"
    if not packed.exists():
        with open_scene(core) as scene, rasterio.open(
            packed, "w", driver="GTiff", height=scene.rows, width=scene.cols, count=scene.bands,
            dtype=scene.dtype, compress="DEFLATE", zlevel=1, tiled=True, interleave="pixel",
            blockxsize=128, blockysize=128, num_threads="ALL_CPUS",
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(scene.read(), -1, 0))
    for words, path, cold in (
        ("drill-core HDF5, in the system's memory", core, False),
        ("drill-core HDF5, from the disk", core, True),
        ("GeoTIFF, DEFLATE", packed, False),
    ):
        times: dict[str, list[float]] = {"read": [], "mask": []}
        for _ in range(rounds):
            for what, taken in times.items():
                if cold:
                    _forget(path)
                with open_scene(path) as scene:
                    started = time.perf_counter()
                    if what == "mask":
                        propose_mask(scene)
                    else:
                        for rows, cols in scene.windows(WINDOW):
                            scene.read(rows, cols)
                    taken.append(time.perf_counter() - started)
        read, mask = (statistics.median(times[what]) for what in ("read", "mask"))
        # Of each turn, so that a machine that is busy now and then tells the same.
        rate = statistics.median(r / m for r, m in zip(*times.values(), strict=True))
        yield f"| {words} | {read:.2f} | {mask:.2f} | {rate:.2f} |"


def _forget(path: Path) -> None:
    """Have the system drop a file from its memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    text = [
        "# Masks: what hsi-ssl mask leaves out",
        "",
        "    HSI_SSL_DATA=DIR python tests/benchmarks/masks.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}. All numbers are percent of pixels, unless they are "
        "seconds. No label is used; constants were chosen on other seeds.",
        "",
        "## Simulated cores",
        "",
        f"`hsi-ssl simulate`, 256 x 384, the first scene of seeds {SEEDS[0]} to {SEEDS[-1]}. Tray: "
        "what is not core, gaps and ends included. Cracks: core that gets less than "
        f"{100 * DEEP:.0f} % of the light of sound core; minerals: where it gets more than "
        f"{100 * SOUND:.0f} %. Left: tray and cracks among the pixels to look at.",
        "",
        "| seed | tray | of it masked | cracks masked | mineral that loses most | left |",
        "|---|---|---|---|---|---|",
        *simulated(),
        "",
        "## Cores drawn by other rules",
        "",
        "`tests/benchmarks/cores.py`: other spectra and geometry, 150 x 190 pixels of 112 bands. "
        "The dark mineral is flat and as dark as the black tray. Minerals are counted where they "
        f"get more than {100 * SOUND:.0f} % of the light. Each row is the worst of three seeds; "
        "edges are pixels that hold both, tray more than half.",
        "",
        "| tray | box | tray masked | edges masked | mineral that loses most |",
        "|---|---|---|---|---|",
        *others(),
        "",
        "## Scenes in which nothing is to be masked",
        "",
        "| scene | masked | no data | reason given |",
        "|---|---|---|---|",
        *real(),
        "",
        "## Speed",
        "",
        "One drill-core scene of 2848 x 384 pixels, 268 bands, 586 MB: seconds of reading it by "
        f"windows of {WINDOW:,} pixels, and of its mask; medians of {arguments.rounds} turns.",
        "",
        "| scene | read | mask | rate of the mask over that of reading |",
        "|---|---|---|---|",
        *speed(arguments.folder, arguments.rounds),
        "",
    ]
    REPORT.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
