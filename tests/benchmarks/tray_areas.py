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
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cores
import numpy as np
import rasterio
from cores import DEEP, SOUND
from machine import machine_in_words, today
from masks import light_left
from scipy import ndimage
from tray_decks import (
    ALONE,
    COLS,
    DARK,
    DECKS,
    FEWEST,
    ROWS,
    TRAYS,
    Plane,
    Truth,
    draw,
    masks_alone,
    truth_of,
)

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
from hsi_ssl.scenes.drillcore import INDEX, MATERIALS, MINERALOGY
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings, M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2

REPORT = Path(__file__).parents[2] / "reports" / "tray-areas.md"
POOL, EPOCHS = 20_000, 3
REJECT = 0.01
GOAL = 1.0
"""Percent."""
FEW = 500
"""Mapped pixels below which a share of them is told but is no largest one."""


CRACK_SEEDS = range(77, 80)
WAYS = {
    # Words -> mask in prepare, mask in classify.
    "no mask": (False, False),
    "mask in classify": (False, True),
    "mask in both": (True, True),
}
REJECTS = {"": None, ", reject": REJECT}
WIDER = {"mask in both, tray a pixel wider": "tray", "mask in both, all a pixel wider": "all"}


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
            f"more than {100 * np.exp(DEEPEST):.0f} % as bright as what is beside": missed & ~deep,
            f"shorter than {LONGEST} pixels": missed & deep & ~long,
            "broad, beside a dark patch, or of another spectrum than what is beside": missed
            & deep
            & long,
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
        "Masks learn a tray in the lanes between sticks. What no mask hides goes to one mineral or "
        "two: where those are rare, a few pixels are a large share. Cracks that are left are "
        "mostly mapped as the mineral that they are of; cracks through the dark mineral go, as it "
        "does, to a mineral that is no more like it (75). A mask a pixel wider costs several "
        "percent of most minerals: many lie along gaps and at sticks' edges.",
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
        "## Masks alone",
        "",
        f"Without a model: the first {ALONE} scenes of each deck. Tray and cracks among all pixels "
        "to look at; the mineral of which most that is to be looked at lies in cracks; the one of "
        f"which the mask hides most rock; of those with {FEWEST} pixels or more.",
        "",
        "| deck | tray | cracks | in cracks, largest | rock hidden, largest | "
        "dark mineral hidden |",
        "|---|---|---|---|---|---|",
        *masks_alone(list(DECKS)),
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
