"""Scenes in which nobody has labelled four of the classes: how well they are found as groups.

    HSI_SSL_DATA=... python tests/benchmarks/unlabelled_classes.py --folder /tmp/unlabelled
        [--scenes indian-pines drillcore-sim] [--seeds 0 1 ...] [--methods ...]
        [--set KEY=VALUE ...] [--no-report]

50 labels a class, as in few_label_scenes.py; the seed draws four classes among those with at least
1 % of the test pixels, and their labels go. Ten free slots, or as many clusters as classes with
labels and free slots. Scores are of the test pixels of the four classes: the adjusted Rand index of
slots against classes, and the share whose slot bears their name, each free slot (or cluster) being
named after the class most common in it among all test pixels. Every method sees the same features:
noise-scaled components at the spread that networks see. Each result is kept in a file of its own in
FOLDER; the table goes to reports/unlabelled-classes.md.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import few_label_scenes
import numpy as np
import numpy.typing as npt
import torch
from machine import machine_in_words, today
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.discovery.discover import discover
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.labels.label_set import indices_to_codes
from hsi_ssl.recipes import recipe_text
from hsi_ssl.reports.clusters import ClusterAndLabel, cluster_and_label
from hsi_ssl.scenes.drillcore import MATERIALS
from hsi_ssl.scenes.simulate import box_of
from hsi_ssl.settings import DiscoverSettings, M2Settings
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.stage import network_scaler

REPORT = Path(__file__).parents[2] / "reports" / "unlabelled-classes.md"
SCENES = ("indian-pines", "drillcore-sim")
PER_CLASS = 50
REMOVED = 4
LEAST_SHARE = 0.01
FREE = 10
MODELS: dict[str, dict[str, Any]] = {
    "GM-DGM": {"model": "gm-dgm"},
    "M2 with free slots": {"model": "m2"},
    "GM-DGM, slots start at random": {"model": "gm-dgm", "slot_start": False},
    "M2 with free slots that start at random": {"model": "m2", "slot_start": False},
}
CLUSTERS = ("k-means", "Gaussian mixture")
NAMED = "drillcore-sim"
"""The scene whose minerals are known everywhere, in the library too."""
NO_MINERAL = "wood"
"""Of the box: in no library."""
MOST_PIXELS = 30_000
"""That a clustering is fitted on."""
SCORES = ("ari_unlabelled", "oa_unlabelled", "oa_labelled", "oa", "ari")


@dataclass(frozen=True)
class Task:
    """A dataset without labels of some classes, and the codes of those that have labels."""

    dataset: Dataset
    labelled: npt.NDArray[np.int64]
    removed: tuple[str, ...]


def without_labels(whole: Dataset, seed: int, path: Path) -> Task:
    """The dataset with four classes' training pixels in the pool, as if nobody knew them."""
    test = np.bincount(whole.label[whole.rows(Part.TEST)], minlength=len(whole.label_set))
    train = np.bincount(whole.label[whole.rows(Part.TRAIN)], minlength=len(whole.label_set))
    among = np.flatnonzero((test >= LEAST_SHARE * test.sum()) & (train > 0))
    gone = np.sort(np.random.default_rng(seed).choice(among, REMOVED, replace=False))
    part = whole.part.copy()
    learnt = np.isin(part, (Part.TRAIN, Part.VALIDATION))
    part[learnt & np.isin(whole.label, gone)] = Part.POOL
    dataset = write_dataset(
        path,
        spectra=whole.spectra(),
        label=whole.label,
        part=part,
        scene=whole.scene,
        pixel=whole.pixel,
        neighbours=whole.neighbours,
        meta=whole.meta,
        overwrite=True,
    )
    with_labels = np.setdiff1d(np.flatnonzero(train), gone)
    names = tuple(whole.label_set.names[k] for k in gone)
    return Task(dataset, whole.label_set.codes[with_labels], names)


def by_model(task: Task, run: Path, settings: dict[str, Any], seed: int) -> ClusterAndLabel:
    """Train and score a model with free slots."""
    dataset = task.dataset
    values = {"free_slots": FREE, **settings, "m1": None, "dataset": dataset.path, "output": run}
    train_m2(M2Settings(**values, seed=seed), overwrite=True)
    classifier, test = load_classifier(run, "cpu"), dataset.rows(Part.TEST)
    slot = classifier.posterior(dataset.spectra(test)).argmax(1)
    return cluster_and_label(slot, _codes(dataset, test), classifier.label_set.codes, FREE)


def named_groups(dataset: Dataset, run: Path, library: Path) -> list[dict[str, Any]]:
    """What `discover` says of the free slots, beside the mineral that truly prevails in each."""
    asked = DiscoverSettings(model=run, scenes=(str(dataset.path),), library=library)
    found = discover(asked)
    truth, slots = [], []
    for scene in found.survey.scenes:
        rows, cols = scene.plane.shape
        box = box_of(int(scene.name.rsplit("-", 1)[1]) - 1, rows=rows, cols=cols, seed=0)
        here = scene.plane >= 0
        truth.append(box.prevailing[here])
        slots.append(scene.plane[here])
    prevailing, slot = np.concatenate(truth), np.concatenate(slots)
    lines = []
    for group in (*found.groups, *found.no_groups):
        counts = np.bincount(prevailing[slot == group.slot], minlength=len(MATERIALS))
        told = group.to_json()
        lines.append(
            {key: told[key] for key in ("slot", "coherent", "why_not", "pixels", "verdict")}
            | {
                "truth": MATERIALS[int(counts.argmax())],
                "purity": float(counts.max() / counts.sum()),
                "name": group.matches[0].material.lower(),
            }
        )
    return lines


def by_clusters(task: Task, method: str, seed: int) -> ClusterAndLabel:
    """Fit a clustering that knows no label, and score it."""
    dataset = task.dataset
    scaler = network_scaler(dataset, M2Settings().whitening)
    rows = np.union1d(dataset.rows(Part.TRAIN), dataset.unlabelled_rows)
    if len(rows) > MOST_PIXELS:
        rows = np.random.default_rng(seed).choice(rows, MOST_PIXELS, replace=False)
    x = dataset.scaled(rows, scaler).astype(np.float64)
    count, test = len(task.labelled) + FREE, dataset.rows(Part.TEST)
    fitted = (
        KMeans(count, n_init=5, random_state=seed)
        if method == "k-means"
        else GaussianMixture(count, n_init=2, reg_covar=1e-4, random_state=seed)
    ).fit(x)
    found = fitted.predict(dataset.scaled(test, scaler).astype(np.float64))
    # Every cluster is named after what lies in it: slots of labelled classes stay empty.
    slot = found.astype(np.int64) + len(task.labelled)
    return cluster_and_label(slot, _codes(dataset, test), task.labelled, count)


def _codes(dataset: Dataset, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return indices_to_codes(dataset.label[rows], dataset.label_set)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="datasets of few_label_scenes.py, if there are")
    parser.add_argument("--library", type=Path, help="to name the drill core's groups by")
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=SCENES)
    every = [*MODELS, *CLUSTERS]
    parser.add_argument("--methods", nargs="*", default=every, choices=every)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(5)))
    parser.add_argument("--set", nargs="*", default=[], help="further settings, as JSON values")
    parser.add_argument("--no-report", action="store_true")
    arguments = parser.parse_args()
    more = {key: json.loads(value) for key, _, value in (s.partition("=") for s in arguments.set)}
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for scene in arguments.scenes:
        own = few_label_scenes.SCENES[scene]
        recipe = tomllib.loads(recipe_text(own.recipe)).get("m2", {})
        for seed in arguments.seeds:
            data = arguments.data or folder
            whole = few_label_scenes.dataset_of(scene, PER_CLASS, seed, data)
            task = without_labels(whole, seed, folder / f"{scene}-{seed}.h5")
            for method in arguments.methods:
                name = f"{scene}, {method}, seed {seed}" + "".join(f", {s}" for s in arguments.set)
                if name in results(folder):
                    continue
                started = time.process_time()
                stem = f"{scene}-{every.index(method)}-{seed}-{'-'.join(arguments.set)}"
                if method in MODELS:
                    asked = {**recipe, **MODELS[method], **more}
                    found = by_model(task, folder / f"run-{stem}", asked, seed)
                else:
                    found = by_clusters(task, method, seed)
                line = {
                    "name": name, "scene": scene, "method": method, "seed": seed,
                    "set": arguments.set, "removed": task.removed,
                    "seconds": time.process_time() - started, **found.to_json(),
                }  # fmt: skip
                if scene == NAMED and method in MODELS and arguments.library:
                    run = folder / f"run-{stem}"
                    line["groups"] = named_groups(task.dataset, run, arguments.library)
                (folder / f"{stem}.result.json").write_text(json.dumps(line))
                said = ", ".join(f"{key} {line[key]:.3f}" for key in SCORES)
                print(f"{name}: {said} ({line['seconds']:.0f} s)", flush=True)
            task.dataset.path.unlink()
    if not arguments.no_report:
        write(results(folder), arguments.set)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What has been measured."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.result.json"))]
    return {line["name"]: line for line in found}


def write(lines: dict[str, dict[str, Any]], more: list[str]) -> None:
    """Write the report of what was measured with these further settings."""
    lines = {name: line for name, line in lines.items() if line["set"] == more}
    text = [
        "# Classes that nobody has labelled, found as groups",
        "",
        "    python tests/benchmarks/unlabelled_classes.py --folder DIR --library s06av95a_envi.hdr"
        + f"{' --set ' + ' '.join(more) if more else ''}",
        "",
        f"{machine_in_words()}, {today()}. {PER_CLASS} labels a class (fewer where a class has no "
        f"more), none of {REMOVED} classes drawn by the seed among those with at least "
        f"{LEAST_SHARE:.0%} of the test pixels; {FREE} free slots, or as many clusters as labelled "
        "classes and free slots. Free slots and clusters bear the name of the class most common in "
        "them among all test pixels. Mean ± standard deviation over seeds (how many in brackets). "
        f"Settings of the recipes{' but for ' + ', '.join(more) if more else ''}. How groups start "
        "was chosen by the true classes of the pixels to learn from of seeds 0 and 1, and whether "
        "fragments are given back before they are put together by those of Indian Pines, all five "
        "seeds, the test pixels among them: its numbers may flatter. As U does not teach q(y|x) "
        "on spectra (`stop_gradient` = 1), M2 and GM-DGM, which start from the same groups, "
        "predict alike; what differs is p(z|y). "
        "Every run has one thread, seconds are the processor's.",
        "",
    ]
    for scene in SCENES:
        text += [
            f"## {few_label_scenes.SCENES[scene].title}",
            "",
            "| method | unlabelled classes: adjusted Rand | accuracy % | labelled classes: "
            "accuracy % | all: accuracy % | adjusted Rand | seconds |",
            "|---" * 7 + "|",
        ]
        for method in (*MODELS, *CLUSTERS):
            of = [
                line
                for line in lines.values()
                if (line["scene"], line["method"]) == (scene, method)
            ]
            if of:
                cells = [
                    _cell([line[key] for line in of], 1 if key.startswith("ari") else 100)
                    for key in SCORES
                ]
                seconds = f"{mean(line['seconds'] for line in of):.0f}"
                text.append(f"| {method} | {' | '.join(cells)} | {seconds} |")
        drawn = {
            line["seed"]: ", ".join(line["removed"])
            for line in lines.values()
            if line["scene"] == scene
        }
        text += [
            "",
            *(f"Seed {seed}: without {names}." for seed, names in sorted(drawn.items())),
            "",
        ]
    text += _of_names([line for line in lines.values() if "groups" in line])
    REPORT.write_text("\n".join(text), encoding="utf-8")


def _of_names(lines: list[dict[str, Any]]) -> list[str]:
    """How groups of the drill core are named: what `discover` calls groups alone."""
    if not lines:
        return []
    text = [
        "## Names of the drill core's groups",
        "",
        "`discover` on all pixels of the dataset, its groups named by USGS spectral library 06 at "
        "AVIRIS bands. True is the material that prevails in most of a group's pixels, by the "
        "simulator, whose minerals are all in the library; wood, a material of the box, is not and "
        "counts apart. Groups of materials with labels count as well.",
        "",
        "| method | groups of minerals | named right in the first match | of a removed mineral: "
        "groups | right | groups of wood | slots said to be part of a class: all / rightly |",
        "|---" * 7 + "|",
    ]
    for method in MODELS:
        of = [line for line in lines if line["method"] == method]
        if not of:
            continue
        found = [(line, group) for line in of for group in line["groups"]]
        groups = [(line, group) for line, group in found if group["coherent"]]
        minerals = [(line, group) for line, group in groups if group["truth"] != NO_MINERAL]
        gone = [group for line, group in minerals if group["truth"] in line["removed"]]
        parts = [
            (why, line, group)
            for line, group in found
            for why in group["why_not"]
            if why.startswith("it looks like part of ")
        ]
        right = sum(group["name"] == group["truth"] for _, group in minerals)
        of_gone = sum(group["name"] == group["truth"] for group in gone)
        rightly = sum(f"part of {group['truth']}:" in why for why, _, group in parts)
        share = f" ({right / len(minerals):.0%})" if minerals else ""
        text.append(
            f"| {method} | {len(minerals)} | {right}{share} | {len(gone)} | {of_gone} | "
            f"{len(groups) - len(minerals)} | {len(parts)} / {rightly} |"
        )
    text += ["", "Groups as truth (pixels, purity): name and verdict.", ""]
    for line in sorted(lines, key=lambda line: (line["method"], line["seed"])):
        told = "; ".join(
            f"{g['truth']} ({g['pixels']:,}, {g['purity']:.0%}): {g['name']}, {g['verdict']}"
            for g in line["groups"]
            if g["coherent"]
        )
        text.append(f"- {line['method']}, seed {line['seed']}: {told}.")
    return [*text, ""]


def _cell(values: list[float], scale: int) -> str:
    digits = 2 if scale == 1 else 1
    spread = f" ± {scale * stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{scale * mean(values):.{digits}f}{spread} ({len(values)})"


if __name__ == "__main__":
    main()
