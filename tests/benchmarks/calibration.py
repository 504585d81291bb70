"""Calibration: how sure classifiers are and how often right, before and after the temperature.

    python tests/benchmarks/calibration.py --folder /tmp/calibration --output reports/calibration.md

The recipes of two scenes with M2 on spectra, or with M1 below it (`--m1`), split by blocks. The
temperature is fitted on validation pixels while training; the errors are those of the test pixels.
`HSI_SSL_DATA` names the folder with EnMAP Potsdam. What is in the folder is not made again.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine_in_words, today

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Part, open_dataset
from hsi_ssl.recipes import recipe_text
from hsi_ssl.reports.evaluation import evaluate
from hsi_ssl.settings import Project
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

SCENES = {"indian-pines": "Indian Pines", "enmap-potsdam": "EnMAP Potsdam"}


def measured(scene: str, seed: int, folder: Path, *, with_m1: bool) -> dict[str, Any]:
    """Prepare, train and evaluate once."""
    kept = folder / f"{scene}-{seed}{'-m1' if with_m1 else ''}.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    recipe = Project.model_validate(tomllib.loads(recipe_text(scene)))
    path, m1 = folder / f"{scene}-{seed}.h5", folder / f"{scene}-{seed}-m1"
    if not path.exists():
        asked = {"output": path, "split": "blocks", "seed": seed}
        prepare(recipe.prepare.model_copy(update=asked))
    dataset = open_dataset(path)
    common = {"dataset": path, "seed": seed, "device": "cpu"}
    if with_m1 and not m1.exists():
        train_m1(recipe.m1.model_copy(update={**common, "output": m1}))
    run = folder / f"{scene}-{seed}-{'m1m2' if with_m1 else 'm2'}"
    settings = {**common, "output": run, "m1": m1 if with_m1 else None}
    train_m2(recipe.m2.model_copy(update=settings), overwrite=True)
    test = evaluate(run, dataset, device="cpu")
    answer = test.to_json()
    found = {
        "oa": answer["oa"],
        "before": answer["calibration"]["ece_uncalibrated"],
        "after": answer["ece"],
        "temperature": answer["calibration"]["temperature"],
        "validation": len(dataset.rows(Part.VALIDATION)),
        "blocks": len(np.unique(dataset.unit[dataset.rows(Part.VALIDATION)])),
        "test": answer["n"],
        "test_blocks": answer["intervals"]["units"],
    }
    kept.write_text(json.dumps(found))
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--m1", action="store_true", help="M1+M2 instead of M2")
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    rows, means = [], []
    for scene in asked.scenes:
        each = []
        for seed in range(asked.seeds):
            found = measured(scene, seed, asked.folder, with_m1=asked.m1)
            each.append(found)
            rows.append(
                f"| {SCENES[scene]} | {seed} | {found['validation']:,} in {found['blocks']} | "
                f"{found['test']:,} in {found['test_blocks']} | {100 * found['oa']:.1f} | "
                f"{found['temperature']:.2f} | {100 * found['before']:.1f} | "
                f"{100 * found['after']:.1f} |"
            )
            print(rows[-1], flush=True)
        before, after = (100 * np.array([one[k] for one in each]) for k in ("before", "after"))
        means.append(
            f"| {SCENES[scene]} | {before.mean():.1f} ± {before.std():.1f} | "
            f"{after.mean():.1f} ± {after.std():.1f} | {after.max():.1f} |"
        )
    if asked.output:
        asked.output.write_text(TEXT.format(
            model="M1+M2" if asked.m1 else "M2 on spectra", flag=" --m1" if asked.m1 else "",
            seeds=asked.seeds, rows="\n".join(rows), means="\n".join(means),
            machine=machine_in_words(), day=today(),
        ), encoding="utf-8")  # fmt: skip


TEXT = """# Are probabilities as sure as they are right?

    python tests/benchmarks/calibration.py{flag} --folder DIR --seeds {seeds}

{model}, recipes of the scenes, split by blocks; the seed draws the split and the weights.
Expected calibration error of the test pixels (15 bins of the largest class probability), in points:
as the network gives probabilities, and at the temperature T fitted on the validation pixels.

| scene | before | after | largest after |
|---|---|---|---|
{means}

| scene | seed | validation pixels, blocks | test pixels, blocks | OA % | T | before | after |
|---|---|---|---|---|---|---|---|
{rows}

Validation and test pixels lie in different blocks, a handful of each: how right a classifier is
differs from block to block, and no temperature can know how it will be in others. That is what is
left of the error after calibration.

{machine}, {day}.
"""


if __name__ == "__main__":
    main()
