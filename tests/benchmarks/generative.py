"""How well the generative part tells classes by Bayes' rule, and what U's gradient is worth.

    HSI_SSL_DATA=... python tests/benchmarks/generative.py --folder DIR [--seeds 3]
        [--parts "closed form" network "first teacher"] [--labels 10 50]

M2 on spectra with p(x|y) in closed form and as a network, and in closed form without neighbours,
with shares of U's gradient that reach q(y|x), on datasets of `few_label_scenes`; and, in seconds,
what p(x, y) adds to the first teacher that it is fitted to. Test pixels give scores and log p(x),
nothing else. Results are kept in FOLDER/generative.json as they come; the tables are printed.
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
from hsi_ssl.inference.classifier import Rule, load_classifier
from hsi_ssl.models.factor_m2 import FactorM2
from hsi_ssl.reports.metrics import score
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_architecture import architecture_of, class_priors, fresh_model
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_stage import train_m2

BAYES: dict[str, dict[str, Any]] = {"closed form": {}, "network": {"components": 0}}
"""What p(x|y, z) is, and the settings that ask for it."""
GRADIENT: dict[str, dict[str, Any]] = {
    f"U's gradient {share:g}": {"spatial": False, "stop_gradient": 1 - share}
    for share in (0, 0.1, 1)
}
"""Shares of it that reach q(y|x), which no neighbours teach."""
TEACHER = "first teacher"
"""Not trained: beside p(x, y) as fitted to it, for each of `WEIGHTS`."""
PARTS = BAYES | GRADIENT
RULES: tuple[Rule, ...] = ("classifier", "bayes")
WEIGHTS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 1e9)
"""Of log p(x, y) beside log q(y|x): less than 1 counts columns of a spectrum as fewer, 1e9 is
Bayes' rule alone."""
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
    line["log_p"] = float(load_classifier(run).log_density(raw[::3], SAMPLES).mean())
    return {**line, "seconds": seconds}


@torch.no_grad()
def together(scene: str, per_class: int, seed: int, folder: Path) -> Line:
    """macro-F1 of q(y|x) p(x, y)^w for each weight w, q(y|x) being the first teacher's."""
    dataset = dataset_of(scene, per_class, seed, folder)
    settings = M2Settings(dataset=dataset.path, m1=None, seed=seed)
    data = M2Data(dataset, settings, None, torch.device("cpu"))
    model = fresh_model(architecture_of(settings, data), class_priors(settings, data), data)
    assert isinstance(model, FactorM2)
    teacher, y = data.first_teacher, data.labelled.y[:, 0]
    q = teacher.log_posterior.float().exp()
    q[: len(y)] = torch.nn.functional.one_hot(y, q.shape[1]).to(q)
    model.fit(data.seen.mean, q, seed)
    rows = dataset.rows(Part.TEST)
    (x, _), truth = data.pipeline.encode(dataset.spectra(rows)), dataset.label[rows]
    log_q, log_p = teacher.of(x * teacher.gain).float(), model.log_joint(x, model.draws).T
    found = [(log_q + weight * log_p).argmax(-1).numpy() for weight in WEIGHTS]
    scores = [100 * score(truth, one, q.shape[1]).macro_f1 for one in found]
    cell = {"scene": scene, "per_class": per_class, "seed": seed, "part": TEACHER}
    return {**cell, "together": scores}


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
    """The first teacher's macro-F1, and what p(x, y)^w adds to it, in Markdown."""
    said = [f"w = {weight:g}" for weight in WEIGHTS[1:-1]]
    titles = ["first teacher", *said, "Bayes' rule alone"]
    text = [f"| scene | labels | {' | '.join(titles)} |", "|---" * (2 + len(titles)) + "|"]
    cells: list[list[float]] = []
    for begins, cell in rows_of([line for line in lines if line["part"] == TEACHER]):
        each = [one["together"] for one in chosen(lines, **cell, part=TEACHER).values()]
        gains = [[value - one[0] for value in one[1:]] for one in each]
        cells.append([mean(column) for column in zip(*gains, strict=True)])
        begun = mean(one[0] for one in each)
        text.append(f"{begins} {begun:.1f} | {' | '.join(f'{g:+.1f}' for g in cells[-1])} |")
    columns = list(zip(*cells, strict=True))
    text.append(f"| mean | | | {' | '.join(f'{mean(c):+.1f}' for c in columns)} |")
    text.append(f"| worst cell | | | {' | '.join(f'{min(c):+.1f}' for c in columns)} |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--labels", nargs="*", type=int, default=[10, 50])
    parser.add_argument("--parts", nargs="*", default=list(BAYES), choices=[*PARTS, TEACHER])
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
                        asked = (scene, labels, seed)
                        trained = part != TEACHER
                        lines.append(
                            measured(*asked, part, arguments.folder)
                            if trained
                            else together(*asked, arguments.folder)
                        )
                        kept.write_text(json.dumps(lines))
    parts = {line["part"] for line in lines}
    tables = ((BAYES, by_bayes), (GRADIENT, by_gradient), ((TEACHER,), by_weight))
    print(*(said(lines) for of, said in tables if parts & set(of)), sep="\n\n")


if __name__ == "__main__":
    main()
