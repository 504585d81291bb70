"""MNIST with labels of five digits only, as in Willetts et al. 2018: GM-DGM and M2 beside theirs.

    HSI_SSL_DATA=... python tests/benchmarks/semi_unsupervised.py --folder /tmp/semi
        [--models gm-dgm m2] [--seeds 0 1 ...] [--set KEY=VALUE ...] [--no-report]

100 labels each of the digits 0, 1, 2, 8 and 9, none of 3 to 7; 15 slots, ten of them free. The
first 50,000 pictures of the training file learn, the last 10,000 validate (those of the five
digits), the 10,000 of the test file give the score: each free slot is named after the true digit
most common in it among them. A seed draws the labels and the weights. M1 sees no label and is
trained once for all (or taken from `FOLDER/m1`). Settings are those of the recipe
`mnist-semi-unsupervised`, also for M2; "at random" is the same without the groups that free slots
start from. Each result is kept in a file of its own in FOLDER; the table goes to
reports/semi-unsupervised.md.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import mnist
import numpy as np
import torch
from machine import machine_in_words, today

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.inference.pipeline import KEPT_SPREAD
from hsi_ssl.labels.label_set import LabelSet, indices_to_codes
from hsi_ssl.recipes import recipe_text
from hsi_ssl.reports.clusters import ClusterAndLabel, cluster_and_label
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training import m2_stage
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask

REPORT = Path(__file__).parents[2] / "reports" / "semi-unsupervised.md"
LABELLED = ("0", "1", "2", "8", "9")
PER_DIGIT = 100
FREE = 10
MODELS: dict[str, dict[str, Any]] = {
    "GM-DGM": {"model": "gm-dgm"},
    "M2": {"model": "m2"},
    "GM-DGM, slots start at random": {"model": "gm-dgm", "slot_start": False, "propagation": 0.0},
    "M2, slots start at random": {"model": "m2", "slot_start": False, "propagation": 0.0},
}
PAPERS = {"GM-DGM": (93.7, 87.4, 90.7), "M2": (86.3, 63.4, 74.3)}
"""Accuracy in % on labelled classes, on the others and overall, 10 runs."""
MINUTES = (1, 2, 5)


class Recorded(SemiSupervisedTask):
    """Also notes its cluster-and-label accuracy after each epoch: it chooses nothing."""

    test: tuple[torch.Tensor, np.ndarray[Any, Any], np.ndarray[Any, Any]]
    """Inputs, codes, codes of labelled classes."""
    seconds_before: float
    curve: list[dict[str, float]]

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """As it is; `curve` gets seconds of processor and accuracy."""
        seconds = time.process_time() - Recorded.seconds_before
        found = super().validate(generator)
        x, codes, labelled = Recorded.test
        with torch.no_grad():
            log_q = [self.module.log_q_each(some)[0] for some in x.split(2000)]
        oa = cluster_and_label(torch.cat(log_q).argmax(1).numpy(), codes, labelled, FREE).oa
        Recorded.curve.append({"seconds": seconds, "oa": oa})
        return found


def recipe() -> dict[str, dict[str, Any]]:
    """The settings, by stage."""
    return tomllib.loads(recipe_text("mnist-semi-unsupervised"))


def drawn(pictures: Dataset, seed: int, path: Path) -> Dataset:
    """Labels of five digits, all training pictures unlabelled."""
    rng, place = np.random.default_rng(seed), np.arange(len(pictures))
    part = np.full(len(pictures), Part.TEST, np.uint8)
    part[: mnist.TRAINING + mnist.VALIDATION] = Part.VALIDATION
    part[: mnist.TRAINING] = Part.POOL
    for k in labelled_indices(pictures.label_set):
        mine = np.flatnonzero((pictures.label == k) & (place < mnist.TRAINING))
        part[rng.choice(mine, PER_DIGIT, replace=False)] = Part.TRAIN
    return mnist._with(pictures, path, place, part, pictures.label)


def labelled_indices(label_set: LabelSet) -> list[int]:
    """Of the digits with labels."""
    return [label_set.names.index(name) for name in LABELLED]


def m1_of(pictures: Dataset, folder: Path) -> Path:
    """Train M1, unless that is done."""
    run = folder / "m1"
    if not (run / "model.json").exists():
        dataset = drawn(pictures, 0, folder / "m1.h5")
        train_m1(M1Settings(**{**recipe()["m1"], "dataset": dataset.path, "output": run}))
    return run


def measured(
    dataset: Dataset, m1: Path | None, run: Path, more: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Scores on the test pictures of the state at the end, and overall accuracy as time went on."""
    test = dataset.rows(Part.TEST)
    codes = indices_to_codes(dataset.label[test], dataset.label_set)
    if m1 is None:
        x = torch.from_numpy(dataset.scaled(test))
    else:
        extractor = load_m1(m1, "cpu")
        parts = dataset.rows(Part.TRAIN, Part.POOL)
        kept = extractor.features(dataset.spectra(parts))[0].std(0) >= KEPT_SPREAD
        x = torch.from_numpy(extractor.features(dataset.spectra(test))[0][:, kept])
    own = np.sort(dataset.label_set.codes[labelled_indices(dataset.label_set)])
    Recorded.test = (x, codes, own)
    Recorded.curve, Recorded.seconds_before = [], time.process_time()
    values = {**recipe()["m2"], **more, "m1": m1, "dataset": dataset.path, "output": run}
    card = m2_stage.train_m2(M2Settings(**values, seed=seed), overwrite=True)
    seconds = time.process_time() - Recorded.seconds_before
    classifier = load_classifier(run, "cpu")
    slot = classifier.posterior(dataset.spectra(test)).argmax(1)
    found: ClusterAndLabel = cluster_and_label(slot, codes, classifier.label_set.codes, FREE)
    return {
        **found.to_json(),
        "seconds": seconds,
        "curve": Recorded.curve,
        "divergence": card["label_sets"][0]["metrics"]["slots"]["divergence_from_prior"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(5)))
    parser.add_argument("--set", nargs="*", default=[], help="further settings, as JSON values")
    parser.add_argument("--pictures", action="store_true", help="on pictures, without M1")
    parser.add_argument("--no-report", action="store_true")
    arguments = parser.parse_args()
    more = {key: json.loads(value) for key, _, value in (s.partition("=") for s in arguments.set)}
    m2_stage.SemiSupervisedTask = Recorded  # type: ignore[attr-defined]
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    pictures = mnist.pictures(folder / "mnist.h5")
    m1 = None if arguments.pictures else m1_of(pictures, folder)
    for seed in arguments.seeds:
        for model in arguments.models:
            name = f"{model}, seed {seed}" + "".join(f", {s}" for s in arguments.set)
            if name in results(folder):
                continue
            stem = f"{list(MODELS).index(model)}-{seed}-{'-'.join(arguments.set)}".replace("/", "_")
            dataset = drawn(pictures, seed, folder / f"{stem}.h5")
            asked = {**MODELS[model], **more}
            line = measured(dataset, m1, folder / f"run-{stem}", asked, seed)
            dataset.path.unlink()
            line = {"name": name, "model": model, "seed": seed, "set": arguments.set, **line}
            (folder / f"{stem}.result.json").write_text(json.dumps(line))
            print(
                f"{name}: {100 * line['oa']:.2f} % ({100 * line['oa_labelled']:.2f} labelled, "
                f"{100 * line['oa_unlabelled']:.2f} others), {line['seconds']:.0f} s",
                flush=True,
            )
    if not arguments.no_report:
        write(results(folder), folder / "m1")


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What has been measured."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.result.json"))]
    return {line["name"]: line for line in found}


def write(lines: dict[str, dict[str, Any]], m1: Path) -> None:
    """Write the report: the recipe's settings only."""
    every = [line for line in lines.values() if not line["set"]]
    card = json.loads((m1 / "model.json").read_text())
    text = [
        "# MNIST with labels of five digits, beside Willetts et al. 2018",
        "",
        "    python tests/benchmarks/semi_unsupervised.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}. 100 labels each of the digits {', '.join(LABELLED)}, "
        "none of the others; 15 slots, ten of them free. Accuracy in % on 10,000 test pictures, "
        "mean ± standard deviation over seeds (how many in brackets), which draw labels, weights. "
        "Each free slot is named after the true digit most common in it among the test pictures, "
        "as in the paper; labelled slots keep their digit. Nothing was chosen on test pictures. "
        "Every run has one thread; minutes are the processor's.",
        "",
        "On the features of one M1, trained without labels for all runs: "
        f"{card['metrics']['active_units']} of {card['architecture']['latent']} units active, "
        f"{card['training']['seconds'] / 60:.0f} minutes on one thread of a shared machine. "
        "Settings of the recipe `mnist-semi-unsupervised`, for M2 too.",
        "",
        "| model | labelled digits | other digits | overall | adjusted Rand | minutes |",
        "|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        of = [line for line in every if line["model"] == model]
        if of:
            cells = [
                _cell([line[k] for line in of]) for k in ("oa_labelled", "oa_unlabelled", "oa")
            ]
            rand = f"{mean(line['ari'] for line in of):.3f}"
            minutes = f"{mean(line['seconds'] for line in of) / 60:.1f}"
            text.append(f"| {model} | {' | '.join(cells)} | {rand} | {minutes} |")
        if model in PAPERS:
            text.append(f"| {model}, the paper | {' | '.join(map(str, PAPERS[model]))} | | |")
    text += ["", "Overall accuracy as time went on, minutes of processor, start included:", ""]
    text += [f"| model | {' | '.join(map(str, MINUTES))} |", "|---" * (len(MINUTES) + 1) + "|"]
    for model in MODELS:
        of = [line for line in every if line["model"] == model]
        cells = []
        for limit in MINUTES:
            so_far = [[c["oa"] for c in line["curve"] if c["seconds"] <= 60 * limit] for line in of]
            cells.append(_cell([oas[-1] for oas in so_far if oas]))
        if of:
            text.append(f"| {model} | {' | '.join(cells)} |")
    REPORT.write_text("\n".join([*text, ""]), encoding="utf-8")


def _cell(shares: list[float]) -> str:
    if not shares:
        return "-"
    spread = f" ± {100 * stdev(shares):.2f}" if len(shares) > 1 else ""
    return f"{100 * mean(shares):.2f}{spread} ({len(shares)})"


if __name__ == "__main__":
    main()
