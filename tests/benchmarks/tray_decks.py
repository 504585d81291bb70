"""Decks of simulated cores in trays of several materials, and what masks leave of them.

In some decks the tray is of another material and brighter or darker, and the rock has patches of a
dark, flat mineral that nobody labels: painted here, through the simulator's light, camera and
noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import cores
import h5py
import numpy as np
import numpy.typing as npt
from cores import DEEP, SOUND
from masks import light_left
from scipy import ndimage

from hsi_ssl.masks.codes import LOOK, NO_DATA, SHADOW
from hsi_ssl.masks.propose import propose_mask
from hsi_ssl.scenes import simulate
from hsi_ssl.scenes.drillcore import INDEX, MATERIALS, Box, smooth, white
from hsi_ssl.scenes.minerals import MINERALS, Mineral
from hsi_ssl.scenes.opening import open_scene

ROWS, COLS = 256, 384
DARK = len(MATERIALS)
"""Index of the dark mineral that is painted."""
DARK_SHARE, DARK_SIZE = 0.02, 7.0
"""Share of the core that it takes, and the size of its patches in pixels."""
FLOOR, WALL = 0.4, 0.9
"""Light on the simulator's floors and walls."""
Plane = npt.NDArray[Any]


class Tray(NamedTuple):
    """What a tray is of (None: the simulator's wood), and the light on its floors and walls.

    `even`: one spectrum throughout. The simulator's film of water and slopes of ln R, which vary
    over the core, lie on what is seen of the tray through gaps and at ends too, not in lanes.
    """

    material: Mineral | None
    floor: float = FLOOR
    wall: float = WALL
    even: bool = False


PLASTIC = ((1210, 60, 0.08), (1730, 60, 0.3), (2310, 80, 0.4))
TRAYS = {
    "wood": Tray(None),
    "light grey plastic": Tray(Mineral("grey", 0.6, 0.0, ()), 0.85, 1.0),
    "white plastic with bands": Tray(Mineral("white", 0.8, 0.1, PLASTIC), 0.85, 1.0),
    "black plastic": Tray(Mineral("black", 0.08, 0.0, ((1730, 50, 0.1), (2310, 70, 0.15))), 0.8),
}
TRAYS |= {
    f"{name}, even": TRAYS[name]._replace(even=True)
    for name in ("light grey plastic", "white plastic with bands")
}
DECKS = {
    # Seed, used nowhere else -> tray, and whether the rock has patches of the dark mineral.
    70: ("wood", False),
    71: ("wood", False),
    72: ("light grey plastic", True),
    73: ("white plastic with bands", True),
    74: ("black plastic", True),
    75: ("wood", True),
    86: ("light grey plastic, even", True),
    87: ("white plastic with bands, even", True),
}


class Truth(NamedTuple):
    """A scene's planes: material that prevails, what is tray, crack, sound rock, and all valid."""

    material: Plane
    tray: Plane
    crack: Plane
    sound: Plane
    there: Plane


def draw(path: Path, index: int, seed: int, tray: Tray, *, dark: bool) -> tuple[Box, Plane]:
    """Write a scene of a deck; its box, and the material that prevails in each pixel."""
    box = simulate.box_of(index, rows=ROWS, cols=COLS, seed=seed)
    simulate.write_scene(path, index=index, rows=ROWS, cols=COLS, seed=seed)
    if tray.material is None and not dark:
        return box, box.prevailing
    wood = box.prevailing == INDEX["wood"]
    at_wall = box.light > (FLOOR * WALL) ** 0.5
    brighter = np.where(at_wall, tray.wall / WALL, tray.floor / FLOOR)
    light = np.where(wood, box.light * brighter, box.light).astype(np.float32)
    rng = np.random.default_rng([seed, index])
    share, material = np.zeros((ROWS, COLS)), box.prevailing.astype(np.int16)
    if dark:
        field = smooth(rng, (ROWS, COLS), DARK_SIZE)
        patches = ~wood & (field > np.quantile(field[~wood], 1 - DARK_SHARE))
        share = ndimage.gaussian_filter(patches.astype(float), 0.7) * ~wood
        material = np.where(patches, DARK, material)
    texture = np.exp(0.1 * white(rng, (ROWS, COLS)))
    flat = cores.spectrum(cores.DARK["sulphide"], simulate.WAVELENGTHS_NM)
    reflectance = simulate._reflectance

    def painted(box: Box, window: slice, spectra: Any) -> Plane:
        """Reflectance `(pixels, bands)` with the dark mineral in its place."""
        lamp = (box.light * texture)[window].reshape(-1, 1) * np.exp(spectra.light[0])
        part = share[window].reshape(-1, 1)
        return np.asarray(
            (1 - part) * reflectance(box, window, spectra) + part * lamp * flat, np.float32
        )

    labels = np.where(material == DARK, 0, box.labels).astype(np.uint16)
    with ExitStack() as changed:
        changed.enter_context(patch.object(simulate, "_reflectance", painted))
        if tray.material is not None:
            changed.enter_context(patch.dict(MINERALS, wood=tray.material))
        lit = replace(box, light=light)
        if tray.even:
            tilt, water = (np.where(wood, 0, p).astype(np.float32) for p in (box.tilt, box.water))
            lit = replace(lit, tilt=tilt, water=water)
        cube = np.concatenate(list(simulate.render(lit, seed=seed, index=index)))
    with h5py.File(path, "r+") as file:
        file["hsimage/data"][...] = cube
        file["hsimage/labels"][...] = labels
    return box, material


def truth_of(box: Box, material: Plane, there: Plane) -> Truth:
    """As `masks.py` tells tray, cracks and sound rock apart."""
    tray = (box.prevailing == INDEX["wood"]) & there
    light = light_left(box)
    rock = there & ~tray
    return Truth(material, tray, rock & (light < DEEP), rock & (light > SOUND), there)


ALONE = 2
"""Scenes of a deck, its first, of which masks alone are looked at."""
FEWEST = 500
"""Pixels below which a share of a mineral's is not told."""


def masks_alone(seeds: list[int]) -> Iterator[str]:
    """Rows of the table of masks, without a model: what they leave, and what rock they hide."""
    for seed in seeds:
        name, dark = DECKS[seed]
        look = tray = crack = 0
        by_mineral: dict[str, list[int]] = {}
        for index in range(ALONE):
            with TemporaryDirectory() as folder:
                path = Path(folder) / "scene.h5"
                box, material = draw(path, index, seed, TRAYS[name], dark=dark)
                with open_scene(path, variable="hsimage/data") as scene:
                    mask = propose_mask(scene)
            truth = truth_of(box, material, mask != NO_DATA)
            seen = mask == LOOK
            look += int(seen.sum())
            tray += int((seen & truth.tray).sum())
            crack += int((seen & truth.crack).sum())
            for m in np.unique(material[truth.sound]).tolist():
                here = material == m
                counts = [
                    (here & some).sum()
                    for some in (
                        seen & ~truth.tray, seen & truth.crack, truth.sound,
                        truth.sound & (mask == SHADOW),
                    )
                ]  # fmt: skip
                before = by_mineral.get(_called(m), [0] * 4)
                by_mineral[_called(m)] = [a + int(b) for a, b in zip(before, counts, strict=True)]
        in_cracks = {k: 100 * c / n for k, (n, c, _, _) in by_mineral.items() if n >= FEWEST}
        hidden = {k: 100 * h / n for k, (_, _, n, h) in by_mineral.items() if n >= FEWEST}
        of_dark = f"{hidden.pop(_called(DARK)):.2f}" if dark else "-"
        in_cracks.pop(_called(DARK), None)
        cells = [f"{100 * tray / look:.2f}", f"{100 * crack / look:.2f}"]
        for found in (in_cracks, hidden):
            most = max(found, key=lambda k: found[k])
            cells.append(f"{found[most]:.2f} ({most})")
        yield (
            f"| {seed}, {name}{', dark mineral' if dark else ''} | {' | '.join(cells)} | "
            f"{of_dark} |"
        )


def _called(material: int) -> str:
    return "dark mineral" if material == DARK else MATERIALS[material]
