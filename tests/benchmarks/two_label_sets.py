"""Two label sets trained jointly and each for itself, on the same pixels of simulated drill cores.

    python tests/benchmarks/two_label_sets.py --folder /tmp/two-label-sets [--seeds 5]

Test pixels of either label set lie in blocks of their own, which nothing is learnt from, and give
the score and nothing else. The seed draws pixels, split and weights. Results are kept in
FOLDER/results.json as they come, so that a run that was cut off goes on; the table goes to
reports/two-label-sets.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from machine import machine_in_words, today

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.inference.classifier import load_classifiers
from hsi_ssl.reports.metrics import score
from hsi_ssl.scenes.simulate import scene_paths, simulate
from hsi_ssl.settings import M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2

REPORT = Path(__file__).parents[2] / "reports" / "two-label-sets.md"
SETS = ("mineralogy", "lithology")
SCENES, SIMULATED = 10, 0
LABELS = {
    "300 labels a class": {"cap": 300},
    "300 labels a class, each pixel one of both": {"cap": 300, "one_of_both": True},
    "20 labels a class": {"per_class": 20},
    "20 labels a class, each pixel one of both": {"per_class": 20, "one_of_both": True},
}
WAYS = ("jointly", "separately")
Line = dict[str, Any]


def dataset_of(folder: Path, asked: dict[str, Any], seed: int) -> Dataset:
    """The dataset of that seed; with `one_of_both` no pixel to learn from has two labels."""
    asked = dict(asked)
    one_of_both = asked.pop("one_of_both", False)
    name = "-".join(f"{k}{v}" for k, v in asked.items())
    path, thinned = folder / f"{name}-{seed}.h5", folder / f"{name}-{seed}-one.h5"
    if not path.exists():
        cores = folder / "cores"
        if not scene_paths(cores, SCENES)[-1].exists():
            simulate(cores, scenes=SCENES, seed=SIMULATED, overwrite=True)
        prepare(
            PrepareSettings(
                sources=(str(cores),),
                output=path,
                label_set=",".join(SETS),
                split="blocks",
                unlabelled=20_000,
                seed=seed,
                **asked,
            )
        )
    if not one_of_both:
        return open_dataset(path)
    if not thinned.exists():
        forget_one_of_both(open_dataset(path), thinned, seed)
    return open_dataset(thinned)


def forget_one_of_both(dataset: Dataset, path: Path, seed: int) -> None:
    """Write the dataset without one label, at random, of each pixel to learn from that has two."""
    rng = np.random.default_rng(seed)
    learnt = np.isin(dataset.part, (Part.TRAIN, Part.VALIDATION))
    both = np.flatnonzero(learnt & (dataset.y >= 0).all(axis=1))
    y = dataset.y.copy()
    y[both, rng.integers(len(SETS), size=len(both))] = -1
    thinned = replace(dataset, y=y)
    write_dataset(
        path,
        spectra=dataset.spectra(),
        label=thinned.y,
        **{k: getattr(thinned, k) for k in ("part", "scene", "pixel", "neighbours", "meta")},
    )


def trained(dataset: Dataset, way: str, folder: Path, seed: int) -> dict[str, float]:
    """Macro-F1 of each label set on its test pixels, and seconds of processor time."""
    found: dict[str, float] = {}
    started = time.process_time()
    for label_set in (None,) if way == "jointly" else SETS:
        run = folder / f"run-{dataset.path.stem}"
        train_m2(
            M2Settings(
                dataset=dataset.path, output=run, m1=None, label_set=label_set, seed=seed, **QUICK
            ),
            overwrite=True,
        )
        for classifier in load_classifiers(run):
            one = dataset.one(classifier.label_set.name)
            rows = one.rows(Part.TEST)
            predicted = classifier.posterior(one.spectra(rows)).argmax(-1)
            result = score(one.label[rows].astype(np.int64), predicted, len(one.label_set))
            found[one.label_set.name] = result.macro_f1
        shutil.rmtree(run)
    return {**found, "seconds": time.process_time() - started}


def table(lines: list[Line], ways: tuple[str, ...] = WAYS) -> list[str]:
    """Markdown: a row for each kind of labels, label set and way."""
    rows = [
        "| labels | label set | jointly | separately | jointly less separately |",
        "| --- | --- | --- | --- | --- |",
    ]
    for labels in LABELS:
        for label_set in SETS:
            by_seed = {
                way: {x["seed"]: 100 * x[label_set] for x in lines
                      if (x["labels"], x["way"]) == (labels, way)}
                for way in ways
            }  # fmt: skip
            seeds = sorted(set.intersection(*(set(found) for found in by_seed.values())))
            if not seeds:
                continue
            each = [[by_seed[way][seed] for seed in seeds] for way in ways]
            apart = [a - b for a, b in zip(*each, strict=True)]
            cells = " | ".join(spread(values) for values in (*each, apart))
            rows.append(f"| {labels} | {label_set} | {cells} |")
    return rows


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    if len(values) == 1:
        return f"{values[0]:.1f} (1)"
    return f"{mean(values):.1f} \N{PLUS-MINUS SIGN} {stdev(values):.1f}"


QUICK: dict[str, Any] = {}
"""Settings other than the defaults, of a quick look."""


def main() -> None:
    """Measure what is not there yet, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=LABELS, help="These labels.")
    parser.add_argument("--epochs", type=int, help="A quick look: of both parts; no report.")
    given = parser.parse_args()
    if given.epochs:
        QUICK.update(epochs=given.epochs, supervised_epochs=given.epochs)
    given.folder.mkdir(parents=True, exist_ok=True)
    results = given.folder / "results.json"
    lines: list[Line] = json.loads(results.read_text()) if results.exists() else []
    for seed in range(given.seeds):
        for labels in given.only or LABELS:
            for way in WAYS:
                cell = {"labels": labels, "seed": seed, "way": way}
                if any(cell.items() <= line.items() for line in lines):
                    continue
                dataset = dataset_of(given.folder, LABELS[labels], seed)
                line = {**cell, **trained(dataset, way, given.folder, seed)}
                lines.append(line)
                results.write_text(json.dumps(lines, indent=1))
                print(json.dumps(line), flush=True)
    print("\n".join(table(lines)))
    if given.epochs:
        return
    seconds = {w: mean([x["seconds"] for x in lines if x["way"] == w]) for w in WAYS}
    REPORT.write_text(
        "\n".join(
            [
                "# Two label sets, jointly and separately",
                "",
                f"    python tests/benchmarks/two_label_sets.py --folder DIR --seeds {given.seeds}",
                "",
                f"{machine_in_words()}, {today()}. Ten simulated drill-core scenes, 11 minerals, "
                "40 rocks, 20,000 unlabelled pixels, blocks that do not touch. Macro-F1 in percent "
                "on test pixels, mean \N{PLUS-MINUS SIGN} standard deviation over the seeds. Both "
                "ways learn from the same pixels: what one label set lacks is unlabelled to it. Of "
                "the labelled pixels a seventh has both labels, unless none has. Processor seconds "
                f"a training: jointly {seconds['jointly']:.0f}, separately both together "
                f"{seconds['separately']:.0f}.",
                "",
                *table(lines),
                "",
            ]
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
