"""Novelty: false alarms on unseen scenes, and how well pixels of a withheld class stand out.

    python tests/benchmarks/novelty.py --folder /tmp/novelty --output reports/novelty.md

For each seed a deck of ten simulated scenes of its own, split by scenes; one mineral's labels are
taken out of training and validation, though its unlabelled pixels stay in the pool as they would,
and the test scenes are taken out of the pool, so that nothing of them is seen before. M1+M2 with
the recipe for drill core, on fewer pixels. Scores are made on the known classes' test pixels and
on all labelled pixels of the withheld mineral.

Then what nobody labels: the boxes' wood in the test scenes, and what a box of another colour would
be there, through the same light, film of water and camera. Where surroundings count, whole scenes
are mapped and the same pixels looked up.

`--by-labels` leaves out what needs networks, which the default measure does not, and is done in
minutes.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
from machine import machine_in_words, today
from sklearn.metrics import roc_auc_score

from hsi_ssl.datasets.neighbours import neighbours_among
from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.inference.class_gaussians import ClassGaussians
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.inference.novelty import means
from hsi_ssl.inference.ranks import Ranks
from hsi_ssl.inference.surroundings import medians_among, medians_on_grid
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.scenes.drillcore import INDEX, MINERALOGY, NOBODY_LABELS
from hsi_ssl.scenes.minerals import MINERALS, Mineral
from hsi_ssl.scenes.simulate import box_of, render, simulate
from hsi_ssl.settings import M1Settings, M2Settings, PrepareSettings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.novelty_reference import appearance_of
from hsi_ssl.training.stage import network_scaler

Raw = npt.NDArray[Any]
Told = tuple[Raw, Raw]
"""Scores of pixels, and medians of their surroundings."""

WITHHELD = (3, 2, 6, 25, 12)
"""Codes: calcite, alunite, gypsum, montmorillonite, kaolinite; one a seed."""
CAP, POOL = 2000, 30_000
MOST = 6000
"""Pixels of the known classes and of the withheld one that are scored, at most."""
SAMPLES = (1, 8)
LEVEL = 0.01
M1_EPOCHS, M2_EPOCHS = 20, 4
ROWS, COLS = 256, 384
TRAY_PIXELS = 1500
"""Of each test scene, at most."""
TRAYS = {
    "wood": MINERALS["wood"],
    "light grey plastic, flat": Mineral("grey", 0.6, 0.0, ()),
    "grey, falling": Mineral("sloped", 0.45, -0.3, ()),
    "white paint, weak slope": Mineral("paint", 0.85, 0.15, ()),
    "white plastic with its bands": Mineral(
        "plastic", 0.8, 0.1, ((1210, 60, 0.08), (1730, 60, 0.3), (2310, 80, 0.4))
    ),
    "dark metal": Mineral("metal", 0.08, -0.2, ()),
    "black": Mineral("black", 0.04, 0.0, ()),
}
BEFORE, DEFAULT = "Gaussian a class, as measured", "brightness, shape, features"
SURROUNDED = "the same, with surroundings (default)"
COLUMNS = (BEFORE, DEFAULT, SURROUNDED)


def whole(seed: int, folder: Path) -> Dataset:
    """The dataset of a deck with all its classes, made on first use."""
    path = folder / f"deck-{seed}.h5"
    if path.exists():
        return open_dataset(path)
    cubes = folder / f"cubes-{seed}"
    simulate(cubes, rows=ROWS, cols=COLS, seed=seed, overwrite=True)
    settings = PrepareSettings(
        sources=(str(cubes),), label_set="mineralogy", split="scenes",
        cap=CAP, unlabelled=POOL, seed=seed, output=path,
    )  # fmt: skip
    dataset = prepare(settings)
    shutil.rmtree(cubes)
    return dataset


def without(dataset: Dataset, code: int, path: Path) -> Dataset:
    """The dataset without a class's labelled pixels and the pool's pixels of test scenes."""
    classes = dataset.label_set.classes
    gone = dataset.label_set.codes.tolist().index(code)
    tested = np.unique(dataset.scene[dataset.part == Part.TEST])
    unseen = (dataset.part == Part.POOL) & np.isin(dataset.scene, tested)
    rows = np.flatnonzero((dataset.label != gone) & ~unseen)
    label = dataset.label[rows]
    left = LabelSet(dataset.label_set.name, tuple(c for c in classes if c.code != code))
    return write_dataset(
        path,
        spectra=dataset.spectra(rows),
        label=np.where(label > gone, label - 1, label).astype(np.int16),
        part=dataset.part[rows],
        scene=dataset.scene[rows],
        pixel=dataset.pixel[rows],
        neighbours=neighbours_among(dataset.neighbours, rows).astype(np.int32),
        meta={**dataset.meta, "label_set": left.to_card()},
        overwrite=True,
    )


def trained(seed: int, code: int, dataset: Dataset, folder: Path) -> Path:
    """The run folder of M1+M2 on a dataset without labels of that code, made on first use."""
    run = folder / f"m2-{seed}-{code}"
    if (run / "model.json").exists():
        return run
    m1 = folder / f"m1-{seed}-{code}"
    common = {"dataset": dataset.path, "seed": seed}
    train_m1(M1Settings(**common, output=m1, epochs=M1_EPOCHS), overwrite=True)
    train_m2(
        M2Settings(
            **common, output=run, m1=m1, epochs=M2_EPOCHS,
            batch_labelled=500, batch_unlabelled=1000,
        ),
        overwrite=True,
    )  # fmt: skip
    return run


def baselines(classifier: Classifier, raw: Raw, train: Raw) -> dict[str, Raw]:
    """Scores `(n,)` of simple measures on the same scaled spectra; larger is more novel."""
    x, known = (classifier.scaler.transform(r).astype(np.float64) for r in (raw, train))
    away = x - known.mean(0)
    inverse = np.linalg.pinv(np.cov(known.T))
    found = {"RX (Mahalanobis distance to all)": ((away @ inverse) * away).sum(1)}
    found["1 - largest q(y|x)"] = 1 - classifier.posterior(raw).max(1)
    if classifier.m1 is not None:
        m1 = classifier.m1.model
        with torch.inference_mode():
            there = torch.from_numpy(x).float()
            error = (m1.decode(m1.encode(there)[0]) - there).square()
            found["M1's reconstruction error"] = (
                (error / torch.as_tensor(m1.architecture.sd_floor) ** 2).sum(1).numpy()
            )
    return found


def box_cube(seed: int, scene: int, material: Mineral = MINERALS["wood"]) -> Raw:
    """A scene `(rows, cols, bands)` in a box of that material."""
    box = box_of(scene, rows=ROWS, cols=COLS, seed=seed)
    with patch.dict(MINERALS, wood=material):
        return np.concatenate(list(render(box, seed=seed, index=scene)))


def mapped(cube: Raw, strangeness: Callable[[Raw], Raw]) -> Told:
    """Scores and medians of the surroundings of all pixels of a scene, NaN for what was lost."""
    spectra = cube.reshape(-1, cube.shape[-1])
    there = spectra.any(1)
    alone = np.full(len(spectra), np.nan, np.float32)
    alone[there] = strangeness(spectra[there])
    return alone, medians_on_grid(alone.reshape(cube.shape[:2])).ravel()


def at_pixels(seed: int, scene: Raw, pixel: Raw, strangeness: Callable[[Raw], Raw]) -> Told:
    """Scores and medians of the surroundings of pixels of the deck, from maps of their scenes."""
    alone, around = np.empty((2, len(scene)), np.float32)
    for number in np.unique(scene).tolist():
        here = scene == number
        place = np.ravel_multi_index(pixel[here].T.tolist(), (ROWS, COLS))
        told = mapped(box_cube(seed, number), strangeness)
        alone[here], around[here] = (each[place] for each in told)
    return alone, around


def nobody_labels(
    seed: int, scenes: Raw, code: int, strangeness: Callable[[Raw], Raw]
) -> dict[str, tuple[Raw, Told]]:
    """Box and gaps in each of `TRAYS`, and rock that has no label though it is of a known mineral:
    raw spectra, and what maps tell of them.
    """
    found: dict[str, list[tuple[Raw, Raw, Raw]]] = {}
    strange = [INDEX[name] for name in ("wood", *NOBODY_LABELS, MINERALOGY[code])]
    for scene in scenes.tolist():
        rng = np.random.default_rng([seed, scene])
        box = box_of(scene, rows=ROWS, cols=COLS, seed=seed)
        tray = np.flatnonzero(box.prevailing == INDEX["wood"])
        rock = np.flatnonzero(~np.isin(box.prevailing, strange) & (box.labels == 0))
        tray, rock = (
            rng.choice(at, min(TRAY_PIXELS, len(at)), replace=False) for at in (tray, rock)
        )
        labelled = np.flatnonzero((box.labels > 0) & (box.labels != code))
        for name, material in TRAYS.items():
            cube = box_cube(seed, scene, material)
            spectra = cube.reshape(-1, cube.shape[-1])
            told = mapped(cube, strangeness)
            kinds = {name: tray, f"labelled rock, beside {name}": labelled}
            if material is MINERALS["wood"]:
                kinds["unlabelled rock"] = rock
            for kind, at in kinds.items():
                there = at[spectra[at].any(1)]
                each = (spectra[there], told[0][there], told[1][there])
                found.setdefault(kind, []).append(each)
    whole = {
        kind: [np.concatenate(p) for p in zip(*parts, strict=True)] for kind, parts in found.items()
    }
    return {kind: (raw, (alone, around)) for kind, (raw, alone, around) in whole.items()}


Found = dict[str, tuple[float, float, float]]
Shares = dict[str, tuple[float, ...]]


def scored(seed: int, code: int, folder: Path, *, networks: bool) -> tuple[Found, Shares]:
    """By measure AUROC, false alarms and finds at p = 0.01; shares rejected by `COLUMNS`."""
    every, known = whole(seed, folder), without(whole(seed, folder), code, folder / f"{seed}.h5")
    run = load_classifier(trained(seed, code, known, folder), "cpu") if networks else None
    scaler = network_scaler(known, M1Settings().whitening) if run is None else run.scaler
    gone = every.label_set.codes.tolist().index(code)
    rng = np.random.default_rng(seed)
    test, training = known.rows(Part.TEST), known.rows(Part.TRAIN)
    validation = known.rows(Part.VALIDATION)
    usual_rows = rng.choice(test, min(MOST, len(test)), replace=False)
    new_rows = np.flatnonzero(every.label == gone)[:MOST]
    raw = {
        "validation": known.spectra(validation),
        "test": known.spectra(usual_rows),
        "new": every.spectra(new_rows),
    }
    looks, train = appearance_of(known, scaler), known.spectra(training)
    y = torch.from_numpy(known.label[training].astype(np.int64))
    gaussians = ClassGaussians.fit(torch.from_numpy(scaler.transform(train)), y)

    def strangeness(raw: Raw) -> Raw:
        x, level = torch.from_numpy(scaler.transform(raw)), torch.from_numpy(means(raw))
        parts = zip(x.split(1000), level.split(1000), strict=True)
        return torch.cat([looks.strangeness(*each) for each in parts]).numpy()

    def as_measured(raw: Raw) -> Raw:
        parts = torch.from_numpy(scaler.transform(raw)).split(1000)
        return -torch.cat([gaussians.log_density(some) for some in parts]).numpy()

    scores = {
        part: {DEFAULT: strangeness(some), BEFORE: as_measured(some)} for part, some in raw.items()
    }
    if run is not None:
        for part, some in raw.items():
            for s in SAMPLES:
                scores[part][f"log p(x), {s} samples"] = run.novelty_score(some, "likelihood", s)
            scores[part] |= baselines(run, some, train)
    alone = scores["validation"][DEFAULT]
    around = medians_among(known.scene[validation], known.pixel[validation], alone)
    ranks = Ranks.of(alone, around)
    usual, new = (
        ranks.p_values(*at_pixels(seed, dataset.scene[rows], dataset.pixel[rows], strangeness))
        for dataset, rows in ((known, usual_rows), (every, new_rows))
    )
    found = {SURROUNDED: (auroc(-usual, -new), share(usual), share(new))}
    for measure, unknown in scores["new"].items():
        of_known = scores["test"][measure]
        single = Ranks.of(scores["validation"][measure], np.full_like(alone, np.nan))
        alarms, finds = (share(single.p_alone(each)) for each in (of_known, unknown))
        found[measure] = (auroc(of_known, unknown), alarms, finds)
    shares: Shares = {"labelled rock": tuple(found[m][1] for m in COLUMNS)}
    tested = np.unique(every.scene[every.part == Part.TEST])
    before = Ranks.of(scores["validation"][BEFORE], np.full_like(alone, np.nan))
    for kind, (some, told) in nobody_labels(seed, tested, code, strangeness).items():
        shares[kind] = (
            share(before.p_alone(as_measured(some))),
            share(ranks.p_alone(told[0])),
            share(ranks.p_values(*told)),
        )
    return found, shares


def auroc(usual: Raw, new: Raw) -> float:
    """How well scores tell new pixels from usual ones; larger is more novel."""
    truth = np.repeat([0, 1], [len(usual), len(new)])
    return float(roc_auc_score(truth, np.concatenate([usual, new])))


def share(p: Raw) -> float:
    """Of pixels with p <= 0.01."""
    return float(np.mean(p <= LEVEL))


def rejects(found: list[Shares]) -> str:
    """Markdown: shares rejected, means over the seeds, each seed's in brackets."""
    lines = [f"| pixels | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for name in found[0]:
        cells = []
        for i in range(len(COLUMNS)):
            values = [each[name][i] for each in found]
            cells.append(f"{np.mean(values):.3f} ({', '.join(f'{v:.3f}' for v in values)})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def table(found: list[Found]) -> str:
    """Markdown: means over the seeds, each seed's in brackets."""
    lines = [
        "| measure | AUROC, withheld class | false alarms at p = 0.01 | withheld pixels found |",
        "|---|---|---|---|",
    ]
    for measure in found[0]:
        cells = []
        for i, digits in ((0, 3), (1, 4), (2, 2)):
            values = [each[measure][i] for each in found]
            each_one = ", ".join(f"{v:.{digits}f}" for v in values)
            cells.append(f"{np.mean(values):.{digits}f} ({each_one})")
        lines.append(f"| {measure} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seeds", type=int, default=len(WITHHELD))
    parser.add_argument("--by-labels", action="store_true", help="only measures without networks")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found, rejected = [], []
    for seed, code in zip(range(arguments.seeds), WITHHELD, strict=False):
        by_measure, shares = scored(seed, code, arguments.folder, networks=not arguments.by_labels)
        found.append(by_measure)
        rejected.append(shares)
        both = f"{table(found[-1:])}\n{rejects(rejected[-1:])}"
        print(f"seed {seed}, code {code} withheld\n{both}", flush=True)
    text = f"{machine_in_words()}, {today()}\n\n{table(found)}\n{rejects(rejected)}"
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
