"""Other schemes of training: distillation, a teacher that saw more, features of another sensor.

    HSI_SSL_DATA=... python tests/benchmarks/schemes.py --folder /tmp/hsi-schemes [--seeds 3]

Each scheme beside what does without it, on the same pixels. The seed draws labels, split, weights
and the noise of simulated sensors. No setting was chosen by a score; test pixels give the score
and nothing else. Results are kept in FOLDER/results.json as they come,
so that a run that was cut off goes on; tables go to FOLDER/tables.md, of which
reports/schemes.md is made.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from few_label_scenes import SCENES, dataset_of
from machine import machine_in_words, today

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.privileged import beside
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.reports.metrics import score
from hsi_ssl.scenes.simulate import scene_paths, simulate
from hsi_ssl.settings import M1Settings, M2Settings, PrepareSettings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

Floats = npt.NDArray[np.floating[Any]]
Line = dict[str, Any]
Ways = Iterator[tuple[str, dict[str, float]]]

DISTILLED = ("salinas-a", "enmap-potsdam")
DISTIL_LABELS = 50
TEACHER = {"epochs": 24}
STUDENT = {"hidden": (64,), "epochs": 100}
"""As `hsi-ssl distil` has it."""
TIMED, TURNS = 10_000, 7
"""Pixels that speed is measured with, and how often."""

CORES, SIMULATED = 10, 0
CORE_LABELS = (20, 300)
CORE_BANDS, CORE_NOISE = 12, 100
"""Of the first sensor: broad bands, and the noise of each in raw numbers, 1 % of reflectance 1."""
PRIVILEGED = {"epochs": 40}

FEW = 5
TRANSFERRED = ("indian-pines", "enmap-potsdam")
SENSOR_BANDS, SENSOR_NOISE = 40, 0.01
"""Of Potsdam's second sensor: broad bands, and noise as a share of each band's mean."""
M1_EPOCHS = (20, 3)
"""On the new scene, from random or learnt weights; the source learns for the first of them."""
LEARNT, TUNED, FROZEN = "learnt here", "tuned", "frozen"
LEARNT_HERE = f"{LEARNT}, {M1_EPOCHS[0]} epochs"
SHORT_M2 = {"epochs": 12}
PERCEPTRON = {"model": "perceptron", "epochs": 40}


def broad(spectra: Floats, bands: int) -> Floats:
    """Means `(..., bands)` of adjacent bands, whose order is that of wavelengths."""
    parts = np.array_split(np.arange(spectra.shape[-1]), bands)
    return np.stack([spectra[..., part].mean(-1) for part in parts], -1)


def tested(classifier: Classifier, dataset: Dataset) -> dict[str, float]:
    """Macro-F1 and overall accuracy on the test pixels."""
    rows = dataset.rows(Part.TEST)
    predicted = classifier.posterior(dataset.spectra(rows)).argmax(-1)
    found = score(dataset.label[rows].astype(np.int64), predicted, len(dataset.label_set))
    return {"macro_f1": found.macro_f1, "oa": found.oa, "test": len(rows)}


def trained(dataset: Dataset, run: Path, seed: int, **more: Any) -> Classifier:
    """A classifier on spectra, unless `m1` names features."""
    values = {"dataset": dataset.path, "output": run, "m1": None, "seed": seed, **more}
    train_m2(M2Settings(**values), overwrite=True)
    return load_classifier(run)


def distillation(scene: str, seed: int, folder: Path) -> Ways:
    """M2 as a teacher, its student, and a perceptron of the student's size on the labels alone."""
    dataset = dataset_of(scene, DISTIL_LABELS, seed, folder, validation=0.2)
    teacher = trained(dataset, folder / "teacher", seed, **TEACHER)
    taught = {"model": "student", "teacher": folder / "teacher", **STUDENT}
    student = trained(dataset, folder / "student", seed, **taught)
    alone = trained(dataset, folder / "alone", seed, model="perceptron", **STUDENT)
    speeds = pixels_per_second([teacher, student], dataset)
    rows = dataset.rows(Part.TEST)
    said = [c.posterior(dataset.spectra(rows)).argmax(-1) for c in (teacher, student)]
    more = {
        "pixels/s": speeds[1],
        "times as fast": speeds[1] / speeds[0],
        "agrees with teacher": float(np.mean(said[0] == said[1])),
    }
    yield "teacher, M2", {**tested(teacher, dataset), "pixels/s": speeds[0]}
    yield "student", {**tested(student, dataset), **more}
    yield "perceptron of the student's size, labels alone", tested(alone, dataset)


def pixels_per_second(classifiers: list[Classifier], dataset: Dataset) -> list[float]:
    """Medians over turns in which each classifies the same spectra."""
    spectra = dataset.spectra()[:TIMED]
    turns = []
    for _ in range(TURNS + 1):
        seconds = []
        for classifier in classifiers:
            started = time.perf_counter()
            classifier.posterior(spectra)
            seconds.append(time.perf_counter() - started)
        turns.append(seconds)
    return [len(spectra) / median(of) for of in zip(*turns[1:], strict=True)]


def privileged(labels: str, seed: int, folder: Path) -> Ways:
    """Students of a broad noisy sensor, with and without a teacher who saw all bands."""
    dataset = cores(int(labels.split(maxsplit=1)[0]), seed, folder)
    both = open_dataset(beside(dataset.path))
    alone = trained(dataset, folder / "alone", seed, model="perceptron", **PRIVILEGED)
    yield "student alone", tested(alone, dataset)
    teacher = trained(both, folder / "teacher", seed, model="perceptron", **PRIVILEGED)
    yield "teacher, sees both sensors", tested(teacher, both)
    taught = {"model": "student", "options": {"labels": 1.0}, **PRIVILEGED}
    for name, run in (("separate", "teacher"), ("separate, taught by the student alone", "alone")):
        found = trained(dataset, folder / "student", seed, teacher=folder / run, **taught)
        yield name, tested(found, dataset)
    joint = trained(dataset, folder / "joint", seed, model="joint-student", **PRIVILEGED)
    yield "joint", tested(joint, dataset)


def unprivileged(labels: str, seed: int, folder: Path) -> Ways:
    """M2, which learns from the same pixels of the first sensor, unlabelled ones too."""
    dataset = cores(int(labels.split(maxsplit=1)[0]), seed, folder.with_name("privileged"))
    yield "M2, first sensor alone", tested(trained(dataset, folder / "m2", seed), dataset)


def cores(per_class: int, seed: int, folder: Path) -> Dataset:
    """Labelled pixels of a broad noisy sensor; what all bands saw of them lies beside."""
    path = folder / f"cores-{per_class}-{seed}.h5"
    if path.exists() and beside(path).exists():
        return open_dataset(path)
    sharp, first = scene_paths(folder / "sharp", CORES), folder / f"broad-{seed}"
    if not sharp[-1].exists():
        simulate(folder / "sharp", scenes=CORES, seed=SIMULATED, overwrite=True)
    first.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for core in sharp:
        if not (first / core.name).exists():
            seen_broad(core, first / core.name, rng)
    return prepare(
        PrepareSettings(
            sources=(str(first),), output=path, label_set="mineralogy", split="blocks",
            per_class=per_class, unlabelled=20_000, seed=seed, privileged=tuple(sharp),
        ),
        overwrite=True,
    )  # fmt: skip


def seen_broad(core: Path, path: Path, rng: np.random.Generator) -> None:
    """Write a simulated scene as the first sensor sees it."""
    with h5py.File(core) as file, h5py.File(path, "w") as made:
        for name in ("labels", "lithology"):
            made[f"hsimage/{name}"] = file[f"hsimage/{name}"][:]
        made["hsimage/wavelengths"] = broad(file["hsimage/wavelengths"][:], CORE_BANDS)
        seen = broad(file["hsimage/data"][:].astype(np.float32), CORE_BANDS)
        noisy = np.rint(seen + rng.normal(0, CORE_NOISE, seen.shape)).clip(1, 65_535)
        made["hsimage/data"] = np.where(seen > 0, noisy, 0).astype(np.uint16)


def transfer(scene: str, seed: int, folder: Path) -> Ways:
    """A perceptron on the features of M1 learnt here, fine-tuned, or kept as it came."""
    here, there = sensors(scene, seed, folder)
    spectra = trained(here, folder / "on", seed, **PERCEPTRON)
    yield "perceptron on spectra", tested(spectra, here)
    ways = [(way, epochs) for epochs in M1_EPOCHS for way in (LEARNT, TUNED)]
    for name, m1 in features(here, there, seed, folder, [*ways, (FROZEN, 1)]):
        yield name, tested(trained(here, folder / "on", seed, m1=m1, **PERCEPTRON), here)


def transfer_below_m2(scene: str, seed: int, folder: Path) -> Ways:
    """M1+M2, whose q(y|x) reads scaled spectra beside those features."""
    data = folder.with_name("transfer")
    here, there = sensors(scene, seed, data)
    ways = [(LEARNT, M1_EPOCHS[0]), (TUNED, M1_EPOCHS[0]), (FROZEN, 1)]
    for name, m1 in features(here, there, seed, data, ways):
        yield name, tested(trained(here, folder / "on", seed, m1=m1, **SHORT_M2), here)


def features(
    here: Dataset, there: Dataset, seed: int, folder: Path, ways: list[tuple[str, int]]
) -> Iterator[tuple[str, Path]]:
    """Names, and runs of M1 on the first dataset: one at a time, each in the place of the last."""
    source = folder / f"m1-{there.path.stem}"
    if not (source / "model.json").exists():
        learn = M1Settings(dataset=there.path, output=source, seed=seed, epochs=M1_EPOCHS[0])
        train_m1(learn, overwrite=True)
    for way, epochs in ways:
        m1 = folder / "m1-here"
        train_m1(
            M1Settings(dataset=here.path, output=m1, seed=seed, epochs=epochs),
            overwrite=True,
            init_from=None if way == LEARNT else source,
            frozen=way == FROZEN,
        )
        yield way if way == FROZEN else f"{way}, {epochs} epochs", m1


def sensors(scene: str, seed: int, folder: Path) -> tuple[Dataset, Dataset]:
    """The dataset with few labels, and the one whose M1 is transferred to it."""
    dataset = dataset_of(scene, FEW, seed, folder)
    if scene != "enmap-potsdam":
        narrower = folder / "salinas"
        narrower.mkdir(exist_ok=True)
        return dataset, dataset_of("salinas-a", FEW, seed, narrower, exclude=("380-391",))
    path = dataset.path.with_name(f"{dataset.path.stem}-second.h5")
    return (open_dataset(path) if path.exists() else second_sensor(dataset, path, seed)), dataset


def second_sensor(dataset: Dataset, path: Path, seed: int) -> Dataset:
    """The same pixels as a sensor of fewer, broader and noisier bands sees them."""
    wavelengths = np.array(dataset.wavelengths_nm)
    order = np.argsort(wavelengths)
    seen = broad(dataset.spectra()[:, order].astype(np.float64), SENSOR_BANDS)
    noise = np.random.default_rng(seed).normal(size=seen.shape)
    seen = (seen + SENSOR_NOISE * seen.mean(0) * noise).astype(np.float32)
    learnt = seen[np.isin(dataset.part, (Part.TRAIN, Part.POOL))]
    parts = np.array_split(wavelengths[order], SENSOR_BANDS)
    changed = {
        "bands": SENSOR_BANDS,
        "used_bands": list(range(SENSOR_BANDS)),
        "wavelengths_nm": [float(part.mean()) for part in parts],
        "fwhm_nm": [float(np.ptp(part) + np.ptp(part) / (len(part) - 1)) for part in parts],
        "numbers": None,
        "scaling": fit_scaler("noise", learnt, components=30).to_card(),
    }
    columns = ("label", "part", "scene", "pixel", "neighbours", "unit")
    kept = {name: getattr(dataset, name) for name in columns}
    return write_dataset(path, spectra=seen, meta={**dataset.meta, **changed}, **kept)


OF_CORES = tuple(f"{n} labels a class" for n in CORE_LABELS)
KINDS: dict[str, tuple[Callable[[str, int, Path], Ways], tuple[str, ...]]] = {
    "distillation": (distillation, DISTILLED),
    "privileged": (privileged, OF_CORES),
    "unprivileged": (unprivileged, OF_CORES),
    "transfer": (transfer, TRANSFERRED),
    "transfer, M1+M2": (transfer_below_m2, TRANSFERRED),
}
SAME_TABLE = {"unprivileged": "privileged"}


def tables(lines: list[Line]) -> list[str]:
    """Markdown: a table for each kind and scene."""
    text = []
    for kind, (_, cases) in KINDS.items():
        for case in cases:
            here = [
                x for x in lines
                if x["case"] == case and SAME_TABLE.get(x["kind"], x["kind"]) == kind
            ]  # fmt: skip
            if not here:
                continue
            title = SCENES[case].title if case in SCENES else case
            test = sorted({x["test"] for x in here})
            text += [f"## {kind}: {title}", "", f"{test[0]:,} to {test[-1]:,} test pixels.", ""]
            text += [*_table(here), ""]
    return text


def _table(lines: list[Line]) -> list[str]:
    """A row for each way; differences to what does without, by seed, and what else there is."""
    ways = list(dict.fromkeys(x["way"] for x in lines))
    without = next((way for way in ways if way == LEARNT_HERE), ways[0])
    base = {x["seed"]: x["macro_f1"] for x in lines if x["way"] == without}
    head = ["", "macro-F1", "OA", f"macro-F1 less that of '{without}'"]
    measured = [name for name in MORE if any(name in x for x in lines)]
    rows = [_row(*head, *measured), _row(*["---"] * (len(head) + len(measured)))]
    for way in ways:
        some = [x for x in lines if x["way"] == way]
        apart = [x["macro_f1"] - base[x["seed"]] for x in some if x["seed"] in base]
        scores = [spread([x[name] for x in some]) for name in ("macro_f1", "oa")]
        cells = [way, *scores, "" if way == without else spread(apart)]
        for name in measured:
            found = [x[name] for x in some if name in x]
            cells.append(MORE[name](found) if found else "")
        rows.append(_row(*cells))
    return rows


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def spread(values: list[float]) -> str:
    """Mean and standard deviation, in percent; the number of seeds where it is not 3."""
    sd = f" \N{PLUS-MINUS SIGN} {100 * stdev(values):.1f}" if len(values) > 1 else ""
    few = "" if len(values) == 3 else f" ({len(values)})"
    return f"{100 * mean(values):.1f}{sd}{few}"


MORE: dict[str, Callable[[list[float]], str]] = {
    "pixels/s": lambda found: f"{median(found):,.0f}",
    "times as fast": lambda found: f"{min(found):.1f} to {max(found):.1f}",
    "agrees with teacher": spread,
}
"""What some ways have beside scores, and how the seeds' values are written."""


def main() -> None:
    """Measure what is not there yet, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=KINDS)
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("speeds of one thread need OMP_NUM_THREADS=1")
    for kind in given.only or KINDS:
        measure, cases = KINDS[kind]
        folder = given.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / "results.json"
        for seed in range(given.seeds):
            for case in cases:
                lines: list[Line] = json.loads(kept.read_text()) if kept.exists() else []
                cell = {"kind": kind, "case": case, "seed": seed}
                if any(cell.items() <= line.items() for line in lines):
                    continue
                for way, found in measure(case, seed, folder):
                    lines.append({**cell, "way": way, **found})
                    print(json.dumps(lines[-1]), flush=True)
                kept.write_text(json.dumps(lines, indent=1))
    files = [given.folder / kind / "results.json" for kind in KINDS]
    every = [line for f in files if f.exists() for line in json.loads(f.read_text())]
    text = [f"{machine_in_words()}, {today()}.", "", *tables(every)]
    (given.folder / "tables.md").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
