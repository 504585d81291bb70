"""Novelty: false alarms on unseen scenes, and how well pixels of a withheld class stand out.

    python tests/benchmarks/novelty.py --folder /tmp/novelty --output reports/novelty.md

For each seed a deck of ten simulated scenes of its own, split by scenes; one mineral's labels are
taken out of training and validation, though its unlabelled pixels stay in the pool as they would,
and the test scenes are taken out of the pool, so that nothing of them is seen before. M1+M2 with
the recipe for drill core, on fewer pixels. Scores are made on the known classes' test pixels and
on all labelled pixels of the withheld mineral.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from machine import machine_in_words, today
from sklearn.metrics import roc_auc_score

from hsi_ssl.datasets.neighbours import neighbours_among
from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.scenes.simulate import simulate
from hsi_ssl.settings import M1Settings, M2Settings, PrepareSettings
from hsi_ssl.training.classifier import Classifier, load_classifier
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.novelty import Novelty, measure_novelty

Raw = npt.NDArray[Any]

WITHHELD = (3, 2, 6, 25, 12)
"""Codes: calcite, alunite, gypsum, montmorillonite, kaolinite; one a seed."""
CAP, POOL = 2000, 30_000
MOST = 6000
"""Pixels of the known classes and of the withheld one that are scored, at most."""
SAMPLES = (1, 8)
LEVEL = 0.01
M1_EPOCHS, M2_EPOCHS = 20, 4


def whole(seed: int, folder: Path) -> Dataset:
    """The dataset of a deck with all its classes, made on first use."""
    path = folder / f"deck-{seed}.h5"
    if path.exists():
        return open_dataset(path)
    cubes = folder / f"cubes-{seed}"
    simulate(cubes, seed=seed, overwrite=True)
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


def trained(seed: int, code: int, folder: Path) -> Path:
    """The run folder of M1+M2 that never saw a label of that code, made on first use."""
    run = folder / f"m2-{seed}-{code}"
    if (run / "model.json").exists():
        return run
    dataset = without(whole(seed, folder), code, folder / f"known-{seed}-{code}.h5")
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


def scored(seed: int, code: int, folder: Path) -> dict[str, tuple[float, float, float]]:
    """AUROC, false alarms and finds at p = 0.01 by measure."""
    run = trained(seed, code, folder)
    every, known = whole(seed, folder), open_dataset(folder / f"known-{seed}-{code}.h5")
    classifier = load_classifier(run, "cpu")
    gone = every.label_set.codes.tolist().index(code)
    rng = np.random.default_rng(seed)
    test = known.rows(Part.TEST)
    raw = {
        "validation": known.spectra(known.rows(Part.VALIDATION)),
        "test": known.spectra(rng.choice(test, min(MOST, len(test)), replace=False)),
        "new": every.spectra(np.flatnonzero(every.label == gone)[:MOST]),
    }
    train = known.spectra(known.rows(Part.TRAIN))
    scores: dict[str, dict[str, Raw]] = {}
    kept = measure_novelty(classifier, known, 1)  # its Gaussians; scores are made below
    classifier = replace(classifier, novelty=kept)
    for part, some in raw.items():
        scores[part] = {
            "Gaussian a class (default)": classifier.novelty_score(some, "classes", 1),
            **{
                f"log p(x), {s} samples": classifier.novelty_score(some, "likelihood", s)
                for s in SAMPLES
            },
            **baselines(classifier, some, train),
        }
    found = {}
    for measure, new in scores["new"].items():
        usual = scores["test"][measure]
        ranks = Novelty(kept.gaussians, {"classes": np.sort(scores["validation"][measure])}, 1)
        truth = np.repeat([0, 1], [len(usual), len(new)])
        auroc = float(roc_auc_score(truth, np.concatenate([usual, new])))
        alarms, finds = (
            float(np.mean(ranks.p_values(each, "classes") <= LEVEL)) for each in (usual, new)
        )
        found[measure] = (auroc, alarms, finds)
    return found


def table(found: list[dict[str, tuple[float, float, float]]]) -> str:
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
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found = []
    for seed, code in zip(range(arguments.seeds), WITHHELD, strict=False):
        found.append(scored(seed, code, arguments.folder))
        print(f"seed {seed}, code {code} withheld\n{table(found[-1:])}", flush=True)
    text = f"{machine_in_words()}, {today()}\n\n{table(found)}"
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
