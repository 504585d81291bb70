"""How well the generative part tells classes by Bayes' rule, and what U's gradient is worth.

    HSI_SSL_DATA=... python tests/benchmarks/generative.py --folder DIR [--seeds 3]
        [--parts "closed form" network] [--labels 10 50]

M2 on spectra with p(x|y) in closed form and as a network, and in closed form without neighbours,
with shares of U's gradient that reach q(y|x), on datasets of `few_label_scenes`. Test pixels give
scores and log p(x), nothing else. Results are kept in FOLDER/generative.json as they come; the
tables are printed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from few_label_scenes import SCENES, dataset_of

from hsi_ssl.datasets.store import Part
from hsi_ssl.inference.classifier import Classifier, Rule, load_classifier
from hsi_ssl.reports.metrics import score
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2

BAYES: dict[str, dict[str, Any]] = {"closed form": {}, "network": {"components": 0}}
"""What p(x|y, z) is, and the settings that ask for it."""
GRADIENT: dict[str, dict[str, Any]] = {
    f"U's gradient {share:g}": {"spatial": False, "stop_gradient": 1 - share}
    for share in (0, 0.1, 1)
}
"""Shares of it that reach q(y|x), which no neighbours teach."""
PARTS = BAYES | GRADIENT
RULES: tuple[Rule, ...] = ("classifier", "bayes")
WEIGHTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Of log p(x, y) beside log q(y|x): less than 1 counts columns of a spectrum as fewer."""
SAMPLES = 8
Line = dict[str, Any]


def measured(scene: str, per_class: int, seed: int, part: str, folder: Path) -> Line:
    """One training and its scores."""
    dataset, run = dataset_of(scene, per_class, seed, folder), folder / "run"
    started = time.process_time()
    asked = {"dataset": dataset.path, "output": run, "m1": None, "seed": seed}
    train_m2(M2Settings(**asked, **PARTS[part]), overwrite=True)
    seconds = time.process_time() - started
    rows = dataset.rows(Part.TEST)
    raw, truth = dataset.spectra(rows), dataset.label[rows]
    line: Line = {"scene": scene, "per_class": per_class, "seed": seed, "part": part}
    for rule in RULES:
        predicted = load_classifier(run, rule=rule).posterior(raw).argmax(-1)
        line[rule] = 100 * score(truth, predicted, len(dataset.label_set)).macro_f1
    line["together"] = together(load_classifier(run), raw, truth)
    line["log_p"] = float(load_classifier(run).log_density(raw[::3], SAMPLES).mean())
    return {**line, "seconds": seconds}


@torch.no_grad()
def together(classifier: Classifier, raw: Any, truth: Any) -> list[float]:
    """macro-F1 of q(y|x) p(x, y)^w for each weight w: what U's gradient could make of q(y|x)."""
    x, _ = classifier.pipeline.encode(raw)
    model = classifier.generative
    log_q, log_p = model.log_q_y(x), model.log_joint(x, model.whole.draws).T
    found = [(log_q + weight * log_p).argmax(-1).numpy() for weight in WEIGHTS]
    return [100 * score(truth, one, log_q.shape[1]).macro_f1 for one in found]


def in_words(values: list[float], *, signed: bool = False) -> str:
    """Mean and standard deviation."""
    if not values:
        return "-"
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):{'+' if signed else ''}.1f}{spread}"


def chosen(lines: list[Line], **cell: Any) -> dict[int, Line]:
    """By seed, the lines of a cell."""
    return {line["seed"]: line for line in lines if cell.items() <= line.items()}


def rows_of(lines: list[Line]) -> Iterable[tuple[str, dict[str, Any]]]:
    """How each row begins, and its cell."""
    for scene in SCENES:
        for labels in sorted({line["per_class"] for line in lines}):
            cell = {"scene": scene, "per_class": labels}
            if chosen(lines, **cell):
                yield f"| {SCENES[scene].title} | {labels} |", cell


def by_bayes(lines: list[Line]) -> str:
    """Bayes' rule beside q(y|x), a row a scene and number of labels, in Markdown."""
    names = ("classifier", "bayes", "log_p", "seconds")
    said = ("q(y\\|x)", "Bayes", "log p(x)", "s")
    titles = [f"{what}, {part}" for part in BAYES for what in said]
    text = [f"| scene | labels | {' | '.join(titles)} |", "|---" * (2 + len(titles)) + "|"]
    for begins, cell in rows_of([line for line in lines if line["part"] in BAYES]):
        each = (chosen(lines, **cell, part=part).values() for part in BAYES)
        cells = [in_words([one[n] for one in own]) for own in map(list, each) for n in names]
        text.append(f"{begins} {' | '.join(cells)} |")
    return "\n".join(text)


def by_gradient(lines: list[Line]) -> str:
    """macro-F1 of q(y|x), and what more of U's gradient adds to it, paired by seed, in Markdown."""
    none, *shares = GRADIENT
    titles = ["q(y\\|x), none of U's gradient", "Bayes' rule", *(f"{s}: more" for s in shares)]
    text = [f"| scene | labels | {' | '.join(titles)} |", "|---" * (2 + len(titles)) + "|"]
    gains: dict[str, list[float]] = {share: [] for share in shares}
    for begins, cell in rows_of([line for line in lines if line["part"] in GRADIENT]):
        before = chosen(lines, **cell, part=none)
        cells = [in_words([one[rule] for one in before.values()]) for rule in RULES]
        for share in shares:
            after = chosen(lines, **cell, part=share)
            gain = [after[s]["classifier"] - before[s]["classifier"] for s in before if s in after]
            gains[share] += [mean(gain)] if gain else []
            cells.append(in_words(gain, signed=True))
        text.append(f"{begins} {' | '.join(cells)} |")
    totals = [in_words(gains[share], signed=True) for share in shares]
    return "\n".join([*text, f"| mean ± sd of the cells | | | | {' | '.join(totals)} |"])


def by_weight(lines: list[Line]) -> str:
    """What q(y|x) p(x, y)^w adds to q(y|x), a column a weight w, in Markdown."""
    text = [f"| scene | labels | {' | '.join(f'w = {w:g}' for w in WEIGHTS)} | Bayes' rule |"]
    text.append("|---" * (3 + len(WEIGHTS)) + "|")
    cells: list[list[float]] = []
    none = next(iter(GRADIENT))
    for begins, cell in rows_of([line for line in lines if line["part"] == none]):
        own = chosen(lines, **cell, part=none).values()
        each = [[m - one["classifier"] for m in (*one["together"], one["bayes"])] for one in own]
        cells.append([mean(column) for column in zip(*each, strict=True)])
        text.append(f"{begins} {' | '.join(f'{gain:+.1f}' for gain in cells[-1])} |")
    means = [f"{mean(column):+.1f}" for column in zip(*cells, strict=True)]
    return "\n".join([*text, f"| mean | | {' | '.join(means)} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--labels", nargs="*", type=int, default=[10, 50])
    parser.add_argument("--parts", nargs="*", default=list(BAYES), choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = arguments.folder / "generative.json"
    lines: list[Line] = json.loads(kept.read_text()) if kept.exists() else []
    for seed in range(arguments.seeds):
        for scene in arguments.scenes:
            for labels in arguments.labels:
                for part in arguments.parts:
                    cell = {"scene": scene, "per_class": labels, "seed": seed, "part": part}
                    if not any(cell.items() <= line.items() for line in lines):
                        lines.append(measured(scene, labels, seed, part, arguments.folder))
                        kept.write_text(json.dumps(lines))
    print(by_bayes(lines), by_gradient(lines), by_weight(lines), sep="\n\n")


if __name__ == "__main__":
    main()
