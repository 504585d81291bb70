"""What `hsi-ssl suggest` is worth: labels asked for one round after another, or drawn at random.

    HSI_SSL_DATA=... python tests/benchmarks/suggest.py --folder /tmp/suggest

Starts with a few labels a class. Five times a model is trained, and labels of a few further pixels
are asked for: those that `suggest` chooses, or as many drawn at random; the scene's label map
answers. Where it has no label nobody can answer, so both choose among labelled pixels; those to
test on, half of the blocks, are in neither. Models are short: the
supervised part with one expert. Macro-F1 on the test pixels; the table and the figure go to
reports/suggest.md. Results are kept in FOLDER as they come.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
from few_label_scenes import HALF
from machine import machine_in_words, today
from matplotlib.figure import Figure

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.reports.figures import BLUE, GREY, style
from hsi_ssl.reports.metrics import score
from hsi_ssl.settings import M2Settings, PrepareSettings
from hsi_ssl.suggesting.choosing import choose
from hsi_ssl.training.m2_stage import train_m2

REPORTS = Path(__file__).parents[2] / "reports"
NAMES = {"indian-pines": "Indian Pines", "enmap-potsdam": "EnMAP Potsdam"}
FIRST, ROUNDS = 3, 5
ASKED = {"indian-pines": 32, "enmap-potsdam": 12}
"""Labels a round: two for each class."""
RADIUS, SAMPLE = 3, 4000
WAYS = ("suggest", "random")
Ints = npt.NDArray[np.int64]
Line = dict[str, Any]


def all_labels(name: str, seed: int, folder: Path) -> Dataset:
    """The scene with every label outside the test part as a training label."""
    path = folder / f"{name}-{seed}-all.h5"
    if path.exists():
        return open_dataset(path)
    return prepare(
        PrepareSettings(
            sources=(name,), split="blocks", test=HALF, validation=0.0, transductive=True,
            seed=seed, output=path,
        )
    )  # fmt: skip


def trained(dataset: Dataset, known: Ints, seed: int, folder: Path) -> Classifier:
    """A short model that learns from the labels of the rows `known` alone."""
    part = dataset.part.copy()
    part[(part == Part.TRAIN) & ~np.isin(np.arange(len(part)), known)] = Part.POOL
    label = np.where(part == Part.POOL, -1, dataset.label).astype(np.int16)
    some = write_dataset(
        folder / "some.h5", spectra=dataset.spectra(), label=label, part=part, scene=dataset.scene,
        pixel=dataset.pixel, neighbours=dataset.neighbours, unit=dataset.unit, meta=dataset.meta,
        overwrite=True,
    )  # fmt: skip
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    train_m2(
        M2Settings(
            dataset=some.path, output=run, m1=None, seed=seed, epochs=1, spatial=False,
            experts=(0.5,), supervised_epochs=10, predict="classifier", device="cpu",
        )
    )  # fmt: skip
    return load_classifier(run, "cpu")


def asked(
    way: str, classifier: Classifier, dataset: Dataset, free: Ints, n: int, rng: np.random.Generator
) -> Ints:
    """Rows to label next among those that are `free`."""
    if way == "random":
        return rng.choice(free, n, replace=False)
    raw = dataset.spectra()
    x = classifier.scaler.transform(raw)
    spread = np.sqrt(np.maximum(x.std(axis=0), 1e-6))
    sample = rng.choice(len(x), min(SAMPLE, len(x)), replace=False)
    chosen = choose(
        classifier.posterior(raw[free]), x[free] / spread, x[sample] / spread,
        dataset.pixel[free].astype(np.int64), n, radius=RADIUS, seed=0,
    )  # fmt: skip
    return free[chosen]


def course(name: str, seed: int, way: str, folder: Path) -> list[Line]:
    """Scores after the first labels and after each round."""
    dataset = all_labels(name, seed, folder)
    train, test = dataset.rows(Part.TRAIN), dataset.rows(Part.TEST)
    rng = np.random.default_rng(seed)
    known = np.concatenate(
        [
            rng.permutation(train[dataset.label[train] == k])[:FIRST]
            for k in range(len(dataset.label_set))
        ]
    )
    lines = []
    for number in range(ROUNDS + 1):
        classifier = trained(dataset, known, seed, folder)
        found = classifier.posterior(dataset.spectra(test)).argmax(1)
        scores = score(dataset.label[test], found, len(dataset.label_set))
        line = {"scene": name, "seed": seed, "way": way, "round": number, "labels": len(known)}
        lines.append({**line, "macro_f1": scores.macro_f1, "oa": scores.oa})
        print(lines[-1], flush=True)
        if number < ROUNDS:
            free = np.setdiff1d(train, known)
            known = np.append(known, asked(way, classifier, dataset, free, ASKED[name], rng))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--report", action="store_true", help="only write the report")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    lines: list[Line] = json.loads(kept.read_text()) if kept.exists() else []
    for seed in range(0 if arguments.report else arguments.seeds):
        for name in NAMES:
            for way in WAYS:
                if not any((r["scene"], r["seed"], r["way"]) == (name, seed, way) for r in lines):
                    lines += course(name, seed, way, folder)
                    kept.write_text(json.dumps(lines))
    write(lines)


def write(lines: list[Line]) -> None:
    """Write reports/suggest.md and its figure."""
    seeds = len({line["seed"] for line in lines})
    text = [
        "# Labels asked for by hsi-ssl suggest",
        "",
        f"    python tests/benchmarks/suggest.py --folder DIR --seeds {seeds}",
        "",
        f"{machine_in_words()}, {today()}. {FIRST} labels a class to begin with, then {ROUNDS} "
        "rounds of some more, each after a model has been trained anew: those that `suggest` "
        "chooses, or as many at random. Only pixels with a label in the scene's map can be asked "
        "for. Short models: the supervised part, one expert. Macro-F1 in percent on test pixels, "
        f"mean ± standard deviation over {seeds} seeds, which draw the first labels, the random "
        "ones, the weights and the blocks, half of which test; gain: mean ± standard error of the "
        "difference.",
        "",
        "![Macro-F1 over the number of labels](pictures/suggest.png)",
        "",
    ]
    for name, title in NAMES.items():
        text += [
            f"## {title}",
            "",
            "| labels | suggested | at random | gain |",
            "|---|---|---|---|",
        ]
        for number in range(ROUNDS + 1):
            ours, theirs = (_scores(lines, name, way, number) for way in WAYS)
            common = sorted(ours.keys() & theirs.keys())
            if not common:
                continue
            labels = next(r["labels"] for r in lines if (r["scene"], r["round"]) == (name, number))
            away = [ours[s] - theirs[s] for s in common]
            error = f" ± {stdev(away) / len(away) ** 0.5:.1f}" if len(away) > 1 else ""
            text.append(
                f"| {labels} | {_mean_sd(list(ours.values()))} | "
                f"{_mean_sd(list(theirs.values()))} | {mean(away):+.1f}{error} |"
            )
        text.append("")
    (REPORTS / "suggest.md").write_text("\n".join(text), encoding="utf-8")
    _draw(lines)


def _scores(lines: list[Line], name: str, way: str, number: int) -> dict[int, float]:
    """Macro-F1 in percent by seed."""
    return {
        r["seed"]: 100 * r["macro_f1"]
        for r in lines
        if (r["scene"], r["way"], r["round"]) == (name, way, number)
    }


def _mean_sd(values: list[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _draw(lines: list[Line]) -> None:
    with style():
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(NAMES)), NAMES, strict=True):
            for way, colour, words in (
                ("suggest", BLUE, "suggested"), ("random", GREY, "at random"),
            ):  # fmt: skip
                some = [r for r in lines if (r["scene"], r["way"]) == (name, way)]
                labels = sorted({r["labels"] for r in some})
                each = [[100 * r["macro_f1"] for r in some if r["labels"] == n] for n in labels]
                middle = np.array([mean(values) for values in each])
                spread = np.array([stdev(v) if len(v) > 1 else 0 for v in each])
                axes.plot(labels, middle, color=colour, marker="o", markersize=4, label=words)
                axes.fill_between(
                    labels, middle - spread, middle + spread, color=colour, alpha=0.15
                )
            axes.set_title(NAMES[name])
            axes.set_xlabel("labels")
        figure.axes[0].set_ylabel("macro-F1, %")
        figure.axes[0].legend(loc="lower right")
        figure.savefig(REPORTS / "pictures" / "suggest.png", dpi=120)


if __name__ == "__main__":
    main()
