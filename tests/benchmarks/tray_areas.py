"""Tray and cracks in the mapped area of each mineral, before masks and after.

    python tests/benchmarks/tray_areas.py --folder /tmp/tray-areas

Decks of ten simulated scenes, split by scenes; M2 on spectra maps the test scenes. In some decks
the tray is of another material and brighter or darker, and the rock has patches of a dark, flat
mineral that nobody labels: painted here, through the simulator's light, camera and noise. What was
counted is kept in FOLDER, one JSON a deck; the tables go to reports/tray-areas.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import cores
import h5py
import numpy as np
import numpy.typing as npt
import rasterio
from cores import DEEP, SOUND
from machine import machine_in_words, today
from masks import light_left
from scipy import ndimage

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.labels.looking import AUTO
from hsi_ssl.maps.classify import classify
from hsi_ssl.masks.codes import LOOK, NO_DATA, SHADOW
from hsi_ssl.masks.cracks import CLOSED, LONGEST, find_cracks
from hsi_ssl.masks.cracks import DEEP as DEEPEST
from hsi_ssl.masks.propose import propose_mask
from hsi_ssl.masks.sketch import PER_LN
from hsi_ssl.scenes import simulate
from hsi_ssl.scenes.drillcore import INDEX, MATERIALS, MINERALOGY, Box, smooth, white
from hsi_ssl.scenes.minerals import MINERALS, Mineral
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings, M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2

REPORT = Path(__file__).parents[2] / "reports" / "tray-areas.md"
ROWS, COLS = 256, 384
POOL, EPOCHS = 20_000, 3
REJECT = 0.01
GOAL = 1.0
"""Percent."""
DARK = len(MATERIALS)
"""Index of the dark mineral that is painted."""
DARK_SHARE, DARK_SIZE = 0.02, 7.0
"""Share of the core that it takes, and the size of its patches in pixels."""
FLOOR, WALL = 0.4, 0.9
"""Light on the simulator's floors and walls."""
FEW = 500
"""Mapped pixels below which a share of them is told but is no largest one."""
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
CRACK_SEEDS = range(77, 80)
WAYS = {
    # Words -> mask in prepare, mask in classify.
    "no mask": (False, False),
    "mask in classify": (False, True),
    "mask in both": (True, True),
}
REJECTS = {"": None, ", reject": REJECT}
WIDER = {"mask in both, tray a pixel wider": "tray", "mask in both, all a pixel wider": "all"}


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


def measured(seed: int, folder: Path) -> dict[str, Any]:
    """What was counted on the test scenes of a deck, by way."""
    name, dark = DECKS[seed]
    cubes = folder / f"cubes-{seed}"
    shutil.rmtree(cubes, ignore_errors=True)
    cubes.mkdir(parents=True)
    paths = simulate.scene_paths(cubes)
    drawn = [draw(p, i, seed, TRAYS[name], dark=dark) for i, p in enumerate(paths)]
    runs, tested = {}, {}
    for masked in (False, True):
        dataset = dataset_of(cubes, seed, folder / f"{seed}-{masked}.h5", masked=masked)
        tested[masked] = set(np.unique(dataset.scene[dataset.part == Part.TEST]).tolist())
        runs[masked] = folder / f"m2-{seed}-{masked}"
        if not (runs[masked] / "model.json").exists():
            train_m2(
                M2Settings(
                    dataset=dataset.path, output=runs[masked], m1=None, epochs=EPOCHS, seed=seed,
                    device="cpu",
                ),
                overwrite=True,
            )  # fmt: skip
    both = sorted(tested[False] & tested[True])
    found: dict[str, Any] = {"seed": seed, "scenes": len(both), "ways": {}}
    for index in both:
        path = paths[index]
        with open_scene(path, variable="hsimage/data") as scene:
            mask = propose_mask(scene)
            with patch("hsi_ssl.masks.propose.find_cracks", _no_cracks):
                tray = propose_mask(scene) == SHADOW
        box, material = drawn[index]
        truth = truth_of(box, material, mask != NO_DATA)
        for words, (learnt, mapped) in WAYS.items():
            for more, reject in REJECTS.items():
                codes = mapped_codes(path, runs[learnt], folder, mask=mapped, reject=reject)
                count(found["ways"], words + more, codes, truth)
                if words == "mask in both" and reject is None:
                    for wider, of in WIDER.items():
                        hidden = tray if of == "tray" else mask == SHADOW
                        grown = ndimage.binary_dilation(hidden, np.ones((3, 3), bool))
                        count(found["ways"], wider, np.where(grown, 0, codes), truth)
    shutil.rmtree(cubes)
    return found


def dataset_of(cubes: Path, seed: int, path: Path, *, masked: bool) -> Dataset:
    """The dataset of a deck, made on first use."""
    if path.exists():
        return open_dataset(path)
    settings = PrepareSettings(
        sources=(str(cubes),), label_set="mineralogy", split="scenes", unlabelled=POOL,
        mask=(AUTO,) if masked else (), seed=seed, output=path,
    )  # fmt: skip
    return prepare(settings)


def _no_cracks(seen: Plane, rock: Plane) -> Plane:
    return np.zeros_like(rock)


def mapped_codes(
    scene: Path, run: Path, folder: Path, *, mask: bool, reject: float | None
) -> Plane:
    """The class map of a scene, `(rows, cols)`."""
    settings = ClassifySettings(
        scenes=(str(scene),), model=run, output=folder / "map.tif", reject=reject,
        mask=(AUTO,) if mask else (), device="cpu",
    )  # fmt: skip
    (result,) = classify(settings, overwrite=True)
    with rasterio.open(result.map) as raster:
        return np.asarray(raster.read(1))


def count(ways: dict[str, Any], way: str, codes: Plane, truth: Truth) -> None:
    """Add a map's pixels to the counts of a way, by mineral."""
    counts = ways.setdefault(way, {"mapped": {}, "rock": {}, "right": [0, 0]})
    rock = truth.there & ~truth.tray
    edge = truth.tray & ndimage.binary_dilation(rock, np.ones((3, 3), bool))
    for code, name in MINERALOGY.items():
        here = codes == code
        wrong = truth.crack & (truth.material != INDEX[name])
        _add(
            counts["mapped"], name,
            [(here & some).sum() for some in (truth.there, truth.tray, truth.crack, edge, wrong)],
        )  # fmt: skip
    out = ~np.isin(codes, list(MINERALOGY))
    for index in np.unique(truth.material[truth.sound]).tolist():
        here = truth.sound & (truth.material == index)
        name = "dark mineral" if index == DARK else MATERIALS[index]
        _add(counts["rock"], name, [here.sum(), (here & out).sum()])
    for code, name in MINERALOGY.items():
        here = truth.sound & (truth.material == INDEX[name])
        counts["right"][0] += int(here.sum())
        counts["right"][1] += int((here & (codes == code)).sum())


def _add(counts: dict[str, list[int]], name: str, numbers: Iterable[Any]) -> None:
    before = counts.get(name, [0] * 5)
    counts[name] = [int(b + n) for b, n in zip(before, numbers, strict=False)]


def together(decks: list[dict[str, Any]], way: str) -> dict[str, Any]:
    """The counts of several decks as if they were one."""
    total: dict[str, Any] = {"mapped": {}, "rock": {}, "right": [0, 0]}
    for deck in decks:
        counts = deck["ways"][way]
        for kind in ("mapped", "rock"):
            for name, numbers in counts[kind].items():
                _add(total[kind], name, numbers)
        total["right"] = [a + b for a, b in zip(total["right"], counts["right"], strict=True)]
    return total


def shares(counts: dict[str, Any], *, cracks: bool) -> dict[str, float]:
    """Percent of tray, and cracks, in the area mapped as each mineral."""
    return {
        name: 100 * (tray + cracks * crack) / all_of_it
        for name, (all_of_it, tray, crack, *_) in counts["mapped"].items()
        if all_of_it
    }


def lost(counts: dict[str, Any]) -> dict[str, float]:
    """Percent of each mineral's sound rock that got no mineral's code."""
    return {name: 100 * out / n for name, (n, out) in counts["rock"].items() if n}


def worst(found: dict[str, float], sizes: dict[str, list[int]]) -> tuple[float, str]:
    """The largest, of labelled minerals with enough pixels, and whose it is."""
    return max(
        (share, name)
        for name, share in found.items()
        if name in MINERALOGY.values() and sizes[name][0] >= FEW
    )


def in_words(deck: dict[str, Any]) -> str:
    """A deck's seed, and what is in it."""
    tray, dark = DECKS[deck["seed"]]
    return f"{deck['seed']}, {tray}{', dark mineral' if dark else ''}"


def by_deck(decks: list[dict[str, Any]]) -> Iterator[str]:
    """Rows of the table of decks and ways."""
    for deck in decks:
        for way, counts in deck["ways"].items():
            cells = []
            for cracks in (False, True):
                found = shares(counts, cracks=cracks)
                share, name = worst(found, counts["mapped"])
                cells += [f"{share:.2f} ({name})", f"{found.get('quartz', 0):.2f}"]
            left_out = lost(counts)
            share, name = worst(left_out, counts["rock"])
            cells.append(f"{share:.2f} ({name})")
            dark = left_out.get("dark mineral")
            cells.append("-" if dark is None else f"{dark:.2f}")
            n, right = counts["right"]
            cells.append(f"{100 * right / n:.1f}")
            yield f"| {in_words(deck)} | {way} | {' | '.join(cells)} |"


def verdict(decks: list[dict[str, Any]]) -> Iterator[str]:
    """What the decks say of the goal, in sentences."""

    def most(way: str, of: str) -> str:
        found = []
        for deck in decks:
            counts = deck["ways"][way]
            if of == "rock":
                some = lost(counts)
                more = [(some["dark mineral"], "dark mineral")] if "dark mineral" in some else []
                share, name = max([worst(some, counts["rock"]), *more])
            else:
                share, name = worst(shares(counts, cracks=of == "both"), counts["mapped"])
            found.append((share, f"{name}, deck {deck['seed']}"))
        share, where = max(found)
        return f"{share:.2f} % ({where})"

    for way in ("no mask", "no mask, reject", *list(WAYS)[1:], "mask in both, reject", *WIDER):
        yield (
            f"- {way}: of a mineral's area up to {most(way, 'tray')} are tray, up to "
            f"{most(way, 'both')} tray and cracks; rock left out up to {most(way, 'rock')}."
        )


def by_mineral(decks: list[dict[str, Any]]) -> Iterator[str]:
    """Rows of the table of minerals, over all decks."""
    ways = ["no mask", "no mask, reject", "mask in both", "mask in both, reject", *WIDER][:5]
    counts = [together(decks, way) for way in ways]
    for name in ("dark mineral", *MINERALOGY.values(), "hematite"):
        cells = []
        for one in counts:
            of_tray, of_both = (shares(one, cracks=cracks) for cracks in (False, True))
            cells.append(f"{of_tray[name]:.2f}, {of_both[name]:.2f}" if name in of_tray else "-")
        cells += [f"{lost(one)[name]:.2f}" if name in lost(one) else "-" for one in counts]
        area = counts[0]["mapped"].get(name, [0])[0]
        yield f"| {name} | {area:,} | {' | '.join(cells)} |"


def whence(decks: list[dict[str, Any]]) -> Iterator[str]:
    """Rows of the table of what is left."""
    for deck in decks:
        for way in ("no mask", "mask in both", "mask in both, reject", *WIDER):
            rows = np.array(list(deck["ways"][way]["mapped"].values()))
            n, tray_pixels, cracks, edge, wrong = rows.sum(axis=0).tolist()
            yield (
                f"| {in_words(deck)} | {way} | {n:,} | {100 * (tray_pixels - edge) / n:.2f} | "
                f"{100 * edge / n:.2f} | {100 * cracks / n:.2f} | "
                f"{100 * wrong / n:.2f} |"
            )


def why_cracks_are_left() -> Iterator[str]:
    """Rows of the table of cracks that masks leave, by what `find_cracks` asks in turn."""
    left: dict[str, int] = {}
    all_cracks = 0
    for seed in CRACK_SEEDS:
        box = simulate.box_of(0, rows=ROWS, cols=COLS, seed=seed)
        scene = cores.held(
            np.concatenate(list(simulate.render(box, seed=seed, index=0))), simulate.WAVELENGTHS_NM
        )
        heard: list[tuple[Plane, Plane]] = []

        def heed(seen: Plane, rock: Plane, heard: list[tuple[Plane, Plane]] = heard) -> Plane:
            heard.append((seen, rock))
            return find_cracks(seen, rock)

        with patch("hsi_ssl.masks.propose.find_cracks", heed):
            mask = propose_mask(scene)
        ((seen, rock),) = heard
        light = np.where(rock, seen[..., 0], 0).astype(np.uint8)
        beside = ndimage.grey_closing(light, (CLOSED, CLOSED), mode="nearest")
        deep = rock & (beside.astype(float) - light > -DEEPEST * PER_LN)
        label = ndimage.label(deep, np.ones((3, 3)))[0]
        sizes = (max(s.stop - s.start for s in one) for one in ndimage.find_objects(label))
        long = (np.array([0, *sizes]) >= LONGEST)[label]
        truth = truth_of(box, box.prevailing, mask != NO_DATA)
        missed = truth.crack & (mask == LOOK)
        all_cracks += int(truth.crack.sum())
        for words, some in {
            "left": missed,
            "of these, that get 40 % of the light or more": missed & (light_left(box) >= 0.4),
            "not twice as dark as what is beside": missed & ~deep,
            f"shorter than {LONGEST} pixels": missed & deep & ~long,
            "broad, or of another spectrum than what is beside": missed & deep & long,
        }.items():
            left[words] = left.get(words, 0) + int(some.sum())
    yield f"| cracks | {all_cracks:,} |"
    yield from (f"| {words} | {pixels:,} |" for words, pixels in left.items())


def wide_gaps() -> str:
    """A scene of three sticks, met by chance, in which gaps are much of the tray."""
    size: dict[str, int] = {"rows": 256, "cols": 230, "seed": 81}
    box = simulate.box_of(1, **size)
    cube = np.concatenate(list(simulate.render(box, seed=size["seed"], index=1)))
    mask = propose_mask(cores.held(cube, simulate.WAVELENGTHS_NM))
    tray = (box.prevailing == INDEX["wood"]) & (mask != NO_DATA)
    return (
        f"Wood is not always known again: in the second scene of `simulate --rows {size['rows']} "
        f"--cols {size['cols']} --seed {size['seed']}`, {100 * tray.mean():.0f} % of which are "
        f"tray, much of it wide gaps, {100 * (mask[tray] == LOOK).mean():.1f} % of the tray are "
        "left."
    )


def write(decks: list[dict[str, Any]]) -> None:
    """Write reports/tray-areas.md."""
    text = [
        "# Tray and cracks in mapped areas",
        "",
        "    python tests/benchmarks/tray_areas.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}. All numbers are percent of pixels.",
        "",
        f"Decks of ten simulated cores of {ROWS} x {COLS}, split by scenes; maps are of the test "
        f"scenes. `hsi-ssl prepare --unlabelled {POOL}`, `train-m2 --no-m1 --epochs {EPOCHS}`, "
        "`classify`; *mask* is `--mask auto`, in both of prepare and classify or in classify "
        f"alone; *reject* is `--reject {REJECT}`. Trays other than wood are drawn with the light "
        "of a lit box; the dark mineral is flat, a tenth as bright as white, and nobody labels it. "
        "In the simulator the film of water and the slopes of ln R that vary over the core lie on "
        "the tray in gaps and at ends too, though not in lanes; *even* trays are without.",
        "",
        "Tray: what is not core, gaps and ends included. Cracks: core that gets less than "
        f"{100 * DEEP:.0f} % of the light of sound core; rock: where it gets more than "
        f"{100 * SOUND:.0f} %. Rock left out: of all pixels in which a mineral truly prevails, "
        "those that got no mineral's code, masked or rejected. Right: labelled minerals' pixels of "
        "rock that got their own code. Largest ones are of labelled minerals with "
        f"{FEW} pixels or more in a deck's test scenes.",
        "",
        f"Goal: at most {GOAL:.0f} % of tray and cracks in each mineral's area, and at most "
        f"{GOAL:.0f} % of each mineral left out by the mask. In short:",
        "",
        *verdict(decks),
        "",
        "Masks learn a tray in the lanes between sticks. Wood and black plastic are known again in "
        "gaps and at ends, under a film of water and another slope; bright plastic is not (decks "
        "72, 73), unless it is even (86, 87). Plastic that is flat and grey has nearly the "
        "spectrum of quartz, of which more is left out there (86). What no mask hides goes to one "
        "mineral or two: where those are rare, a few pixels are a large share. Cracks that are "
        "left are mostly mapped as the mineral that they are of; cracks through the dark mineral "
        "go, as it does, to a mineral that is no more like it (75). A mask a pixel wider costs "
        "several percent of most minerals: many lie along gaps and at sticks' edges.",
        "",
        wide_gaps(),
        "",
        "| deck | way | tray, largest | in quartz | tray and cracks, largest | in quartz | "
        "rock left out, largest | dark mineral left out | right |",
        "|---|---|---|---|---|---|---|---|---|",
        *by_deck(decks),
        "",
        "## Each mineral, over all decks",
        "",
        "Tray, and tray with cracks, in its mapped area; rock of it left out.",
        "",
        "| mineral | pixels, no mask | no mask | reject | mask | mask, reject | mask, tray wider | "
        "left out: no mask | reject | mask | mask, reject | mask, tray wider |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *by_mineral(decks),
        "",
        "## What is left, in all minerals' area together",
        "",
        "Edges are pixels of tray with rock among their eight neighbours. Cracks are rock in "
        "shadow: the last column has those whose mineral is not the one that they are mapped as.",
        "",
        "| deck | way | pixels mapped | tray, not at edges | tray, at edges | cracks | "
        "cracks, of another mineral |",
        "|---|---|---|---|---|---|---|",
        *whence(decks),
        "",
        "## Which cracks are left",
        "",
        f"Pixels of the first scenes of seeds {CRACK_SEEDS[0]} to {CRACK_SEEDS[-1]}, wood.",
        "",
        "| cracks | pixels |",
        "|---|---|",
        *why_cracks_are_left(),
        "",
    ]
    REPORT.write_text("\n".join(text), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", choices=DECKS, default=list(DECKS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    decks = []
    for seed in arguments.seeds:
        kept = arguments.folder / f"deck-{seed}.json"
        if not kept.exists():
            kept.write_text(json.dumps(measured(seed, arguments.folder)))
        decks.append(json.loads(kept.read_text()))
    write(decks)


if __name__ == "__main__":
    main()
