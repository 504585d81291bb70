"""How well the generative part tells classes by Bayes' rule, beside q(y|x), with few labels.

    HSI_SSL_DATA=... python tests/benchmarks/generative.py --folder DIR [--seeds 2] [--labels 10 50]

M2 on spectra with p(x|y) in closed form and as a network (`components = 0`), on datasets of
`few_label_scenes`. Test pixels give scores and log p(x), nothing else. Results are kept in
FOLDER/generative.json as they come; the table is printed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from few_label_scenes import SCENES, dataset_of

from hsi_ssl.datasets.store import Part
from hsi_ssl.inference.classifier import Rule, load_classifier
from hsi_ssl.reports.metrics import score
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2

PARTS: dict[str, int | None] = {"closed form": None, "network": 0}
"""What p(x|y, z) is, and the setting `components`."""
RULES: tuple[Rule, ...] = ("classifier", "bayes")
SAMPLES = 8
Line = dict[str, Any]


def measured(scene: str, per_class: int, seed: int, part: str, folder: Path) -> Line:
    """One training and its scores."""
    dataset, run = dataset_of(scene, per_class, seed, folder), folder / "run"
    started = time.process_time()
    asked = {"dataset": dataset.path, "output": run, "m1": None, "seed": seed}
    train_m2(M2Settings(**asked, components=PARTS[part]), overwrite=True)
    seconds = time.process_time() - started
    rows = dataset.rows(Part.TEST)
    raw, truth = dataset.spectra(rows), dataset.label[rows]
    line: Line = {"scene": scene, "per_class": per_class, "seed": seed, "part": part}
    for rule in RULES:
        predicted = load_classifier(run, rule=rule).posterior(raw).argmax(-1)
        line[rule] = 100 * score(truth, predicted, len(dataset.label_set)).macro_f1
    line["log_p"] = float(load_classifier(run).log_density(raw[::3], SAMPLES).mean())
    return {**line, "seconds": seconds}


def in_words(values: list[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "-"
    spread = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{spread}"


def table(lines: list[Line]) -> str:
    """A row a scene and number of labels, in Markdown."""
    names = ("classifier", "bayes", "log_p", "seconds")
    said = ("q(y\\|x)", "Bayes", "log p(x)", "s")
    titles = [f"{what}, {part}" for part in PARTS for what in said]
    text = [f"| scene | labels | {' | '.join(titles)} |", "|---" * (2 + len(titles)) + "|"]
    for scene in SCENES:
        for labels in sorted({line["per_class"] for line in lines}):
            cells = []
            for part in PARTS:
                cell = {"scene": scene, "per_class": labels, "part": part}
                own = [line for line in lines if cell.items() <= line.items()]
                cells += [in_words([one[n] for one in own if n in one]) for n in names]
            text.append(f"| {SCENES[scene].title} | {labels} | {' | '.join(cells)} |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--labels", nargs="*", type=int, default=[10, 50])
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = arguments.folder / "generative.json"
    lines: list[Line] = json.loads(kept.read_text()) if kept.exists() else []
    for seed in range(arguments.seeds):
        for scene in arguments.scenes:
            for labels in arguments.labels:
                for part in PARTS:
                    cell = {"scene": scene, "per_class": labels, "seed": seed, "part": part}
                    if not any(cell.items() <= line.items() for line in lines):
                        lines.append(measured(scene, labels, seed, part, arguments.folder))
                        kept.write_text(json.dumps(lines))
    print(table(lines))


if __name__ == "__main__":
    main()
