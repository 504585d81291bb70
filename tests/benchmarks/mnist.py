"""MNIST as in Kingma et al. 2014: test error by number of labels, ours beside the paper's.

    HSI_SSL_DATA=... python tests/benchmarks/mnist.py --folder /tmp/mnist [--models M1+M2 ...]
        [--labels 100 ...] [--draws N]

The first 50,000 pictures of the training file learn, its last 10,000 validate, the 10,000 of the
test file give the score and nothing else. A draw takes as many labels of each digit among the
50,000, all of which are seen unlabelled. M1 sees no label, so it is trained once for all draws.
Settings are those of the recipe `mnist`. Each result is kept in a file of its own in FOLDER as it
comes, so that a run that was cut off goes on; the table goes to reports/mnist.md.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from machine import machine_in_words, today
from sklearn.svm import SVC

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.inference.pipeline import KEPT_SPREAD
from hsi_ssl.recipes import recipe_text
from hsi_ssl.settings import M1Settings, M2Settings, PrepareSettings
from hsi_ssl.training import m2_stage
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.propagation import FeatureGraph
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask

REPORT = Path(__file__).parents[2] / "reports" / "mnist.md"
LABELS = (100, 600, 1000, 3000)
TRAINING, VALIDATION = 50_000, 10_000
MINUTES = (5, 15)
SVM_PIXELS = 3000
"""Pool pixels with spread labels that a support vector machine learns from."""
PAPERS = {
    "M1+M2": (3.33, 2.59, 2.40, 2.18),
    "M2": (11.97, 4.94, 3.60, 3.92),
    "M1 + SVM": (11.82, 5.72, 4.24, 3.49),
}
"""Test error in %; the paper's support vector machine is a transductive one."""
MODELS = (*PAPERS, "M1 + SVM, spread labels")
M2_ON_PICTURES: dict[str, Any] = {"likelihood": "bernoulli", "epochs": 8, "patience": 8}
"""What differs from the recipe where M2 stands on the pictures themselves."""


class Recorded(SemiSupervisedTask):
    """Also notes its test error after each epoch: for the curve, it chooses nothing."""

    test: tuple[torch.Tensor, torch.Tensor]
    seconds_before: float
    curve: list[dict[str, float]]

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """As it is; `curve` gets seconds of processor, score and test error."""
        seconds = time.process_time() - Recorded.seconds_before
        found = super().validate(generator)
        x, y = Recorded.test
        with torch.no_grad():
            log_q = [self.module.log_q_each(some)[0] for some in x.split(2000)]
        error = float((torch.cat(log_q).argmax(1) != y).float().mean())
        Recorded.curve.append({"seconds": seconds, "score": found["score"], "error": error})
        return found


def pictures(path: Path) -> Dataset:
    """All 70,000 in the files' order, those of the training file first."""
    if path.exists():
        return open_dataset(path)
    settings = PrepareSettings(
        sources=("mnist",), cap=70_000, unlabelled=0, scaling="max", output=path.with_suffix(".in")
    )
    found = prepare(settings, overwrite=True)
    names = [s["name"] for s in found.meta["sources"]]
    first = next(i for i, name in enumerate(names) if name.startswith("train"))
    order = np.lexsort((found.pixel[:, 0], found.scene != first))
    every = _with(found, path, order, found.part[order], found.label[order])
    settings.output.unlink()
    return every


def drawn(all_pictures: Dataset, labels: int, draw: int, path: Path) -> Dataset:
    """The paper's split with some labels of each digit."""
    label, place = all_pictures.label, np.arange(len(all_pictures))
    part = np.full(len(all_pictures), Part.TEST, np.uint8)
    part[: TRAINING + VALIDATION] = Part.VALIDATION
    part[:TRAINING] = Part.POOL
    rng = np.random.default_rng(draw)
    for k in range(10):
        mine = np.flatnonzero((label == k) & (place < TRAINING))
        part[rng.choice(mine, labels // 10, replace=False)] = Part.TRAIN
    return _with(all_pictures, path, place, part, label)


def _with(dataset: Dataset, path: Path, rows: Any, part: Any, label: Any) -> Dataset:
    return write_dataset(
        path,
        spectra=dataset.spectra()[rows],
        label=label,
        part=part,
        scene=dataset.scene[rows],
        pixel=dataset.pixel[rows],
        neighbours=dataset.neighbours[rows],
        meta=dataset.meta,
        overwrite=True,
    )


def tables() -> dict[str, dict[str, Any]]:
    """The recipe."""
    return tomllib.loads(recipe_text("mnist"))


def m1_of(all_pictures: Dataset, folder: Path) -> Path:
    """Train M1, unless that is done; it sees no label, so whichever are drawn."""
    run = folder / "m1"
    if not (run / "model.json").exists():
        dataset = drawn(all_pictures, LABELS[0], 0, folder / "m1.h5")
        train_m1(M1Settings(**{**tables()["m1"], "dataset": dataset.path, "output": run}))
    return run


def of_m2(dataset: Dataset, run: Path, more: dict[str, Any], m1: Path | None) -> dict[str, Any]:
    """Test error of q(y|x) of the state that validation chose: in the end and after minutes."""
    test = dataset.rows(Part.TEST)
    if m1 is None:
        x = torch.from_numpy(dataset.scaled(test))
    else:
        extractor = load_m1(m1, "cpu")
        parts = dataset.rows(Part.TRAIN, Part.POOL)
        kept = extractor.features(dataset.spectra(parts))[0].std(0) >= KEPT_SPREAD
        x = torch.from_numpy(extractor.features(dataset.spectra(test))[0][:, kept])
    Recorded.test = (x, torch.from_numpy(dataset.label[test].astype(np.int64)))
    Recorded.curve, Recorded.seconds_before = [], time.process_time()
    values = {**tables()["m2"], **more, "m1": m1, "dataset": dataset.path, "output": run}
    m2_stage.train_m2(M2Settings(**values), overwrite=True)
    seconds = time.process_time() - Recorded.seconds_before
    found = load_classifier(run, "cpu", "classifier").posterior(dataset.spectra(test))
    error = float(np.mean(found.argmax(1) != dataset.label[test]))
    after = {}
    for minutes in MINUTES:
        so_far = [line for line in Recorded.curve if line["seconds"] <= 60 * minutes]
        if so_far:
            after[str(minutes)] = max(so_far, key=lambda line: line["score"])["error"]
    return {"error": error, "seconds": seconds, "after": after, "curve": Recorded.curve}


def of_svm(dataset: Dataset, m1: Path, draw: int, *, spread: bool) -> dict[str, Any]:
    """Test error of a support vector machine on means of M1's units.

    With `spread` it also learns from pool pixels, with the labels that reach them on the graph of
    nearest neighbours. C and gamma are the best on validation pixels.
    """
    started = time.process_time()
    extractor = load_m1(m1, "cpu")
    train, pool = dataset.rows(Part.TRAIN), dataset.rows(Part.POOL)

    def features(rows: Any) -> Any:
        return extractor.features(dataset.spectra(rows))[0]

    rows = np.concatenate([train, pool])
    x = features(rows)
    kept = x.std(0) >= KEPT_SPREAD
    x, y = x[:, kept], dataset.label[train]
    if spread:
        known = torch.full((len(rows),), -1)
        known[: len(train)] = torch.from_numpy(y.astype(np.int64))
        found = FeatureGraph(torch.from_numpy(x)).of_labels(known, 10).argmax(1).numpy()
        some = np.random.default_rng(draw).choice(len(pool), SVM_PIXELS, replace=False)
        some = np.concatenate([np.arange(len(train)), len(train) + some])
        x, y = x[some], np.concatenate([y, found[some[len(train) :]]])
    else:
        x = x[: len(train)]
    validation, test = dataset.rows(Part.VALIDATION), dataset.rows(Part.TEST)
    x_validation = features(validation[:: 5 if spread else 1])[:, kept]
    y_validation = dataset.label[validation[:: 5 if spread else 1]]
    best, chosen = -1.0, None
    for c in (1.0, 10.0):
        for gamma in (0.5, 1.0, 2.0):
            machine = SVC(C=c, gamma=gamma / x.shape[1]).fit(x, y)
            right = float(np.mean(machine.predict(x_validation) == y_validation))
            if right > best:
                best, chosen = right, machine
    assert chosen is not None
    error = float(np.mean(chosen.predict(features(test)[:, kept]) != dataset.label[test]))
    return {"error": error, "seconds": time.process_time() - started, "after": {}, "curve": []}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--labels", nargs="*", type=int, default=list(LABELS))
    parser.add_argument("--draws", type=int, default=None, help="default: 5 for 100 labels, else 2")
    arguments = parser.parse_args()
    m2_stage.SemiSupervisedTask = Recorded  # type: ignore[attr-defined]
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    all_pictures = pictures(folder / "mnist.h5")
    m1 = m1_of(all_pictures, folder)
    for model in arguments.models:
        for labels in arguments.labels:
            draws = arguments.draws or (5 if labels == LABELS[0] else 2)
            for draw in range(draws):
                name = f"{model} {labels} {draw}"
                if name in results(folder):
                    continue
                stem = f"{MODELS.index(model)}-{labels}-{draw}"
                dataset = drawn(all_pictures, labels, draw, folder / f"{stem}.h5")
                if model.startswith("M1 + SVM"):
                    line = of_svm(dataset, m1, draw, spread="spread" in model)
                else:
                    on = m1 if model == "M1+M2" else None
                    more = M2_ON_PICTURES if on is None else {}
                    line = of_m2(dataset, folder / f"run-{stem}", more, on)
                dataset.path.unlink()
                (folder / f"{stem}.json").write_text(json.dumps({"name": name, **line}))
                print(f"{name}: {100 * line['error']:.2f} % ({line['seconds']:.0f} s)", flush=True)
    write(results(folder), m1)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """What has been measured, by model, labels and draw."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*-*-*.json"))]
    return {line["name"]: line for line in found}


def write(lines: dict[str, dict[str, Any]], m1: Path) -> None:
    """Write reports/mnist.md."""
    card = json.loads((m1 / "model.json").read_text())
    text = [
        "# MNIST by number of labels, beside Kingma et al. 2014",
        "",
        "    python tests/benchmarks/mnist.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}. Test error in %, mean ± standard deviation over draws "
        "of labels (in brackets how many; draw n is seed n; weights have seed 0). The first 50,000 "
        "pictures of the training file learn, its last 10,000 choose the state (and chose the "
        "recipe, on draw 0), the 10,000 of the test file choose nothing. Every run has one "
        "thread; its minutes are the processor's, "
        'as other work ran beside it. In the rows "after", the state that validation had chosen '
        "by then, of the same runs, whose learning rate falls to 0 at their end only.",
        "",
        f"M1, trained once without labels for all runs: {card['metrics']['active_units']} of "
        f"{card['architecture']['latent']} units active, bound on log p(x) of the validation "
        f"pictures {card['metrics']['bound_validation']:.1f} nats, "
        f"{card['training']['epochs']} epochs in {card['training']['seconds'] / 60:.0f} minutes "
        "of one thread on a shared machine.",
        "",
        "Ours are the paper's models with the recipe `mnist`: p(y) of an unlabelled picture comes "
        "from its nearest neighbours in feature space (in M2 those of the pictures themselves), "
        "asked anew in four rounds, which leaves U(x) a bound on log p(x) given that p(y); outside "
        "the bound stand the steadiness of q(y|x), the balance of its mean and, as in the paper, "
        "the cross-entropy on labelled pictures. q(y|x) predicts.",
        "",
        "| model | " + " | ".join(f"{n} labels" for n in LABELS) + " | minutes |",
        "|---" * (len(LABELS) + 2) + "|",
    ]
    for model in MODELS:
        of = {n: [v for k, v in lines.items() if _is(k, model, n)] for n in LABELS}
        every = [line for some in of.values() for line in some]
        if not every:
            continue
        minutes = f"{mean(line['seconds'] for line in every) / 60:.1f}"
        cells = [_cell([line["error"] for line in of[n]]) for n in LABELS]
        text.append(f"| {model} | " + " | ".join(cells) + f" | {minutes} |")
        for after in map(str, MINUTES):
            if any(line["seconds"] > 60 * int(after) and line["curve"] for line in every):
                cells = [
                    _cell([line["after"].get(after, line["error"]) for line in of[n]])
                    for n in LABELS
                ]
                text.append(f"| {model}, after {after} minutes | " + " | ".join(cells) + " | |")
        if model in PAPERS:
            cells = [f"{error:.2f}" for error in PAPERS[model]]
            text.append(f"| {model}, the paper | " + " | ".join(cells) + " | |")
    text += [
        "",
        "The paper's support vector machine is a transductive one. Spread labels: ours learns from "
        f"{SVM_PIXELS:,} pictures of the pool, labelled by the graph of nearest neighbours of M1's "
        "features, beside the labelled ones.",
        "",
    ]
    REPORT.write_text("\n".join(text), encoding="utf-8")


def _is(name: str, model: str, labels: int) -> bool:
    return name.rsplit(" ", 2)[:2] == [model, str(labels)]


def _cell(errors: list[float]) -> str:
    if not errors:
        return "-"
    spread = f" ± {100 * stdev(errors):.2f}" if len(errors) > 1 else ""
    return f"{100 * mean(errors):.2f}{spread} ({len(errors)})"


if __name__ == "__main__":
    main()
