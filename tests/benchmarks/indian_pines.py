"""Indian Pines pixel by pixel: ours beside supervised classifiers, transductive and inductive.

    HSI_SSL_DATA=... python tests/benchmarks/indian_pines.py --folder /tmp/indian-pines

*Published*: the 695 training and 9,671 test pixels of the published maps, the whole scene as
unlabelled pool (transductive). *Blocks*: 50 labels a class from one half of the blocks of the
scene, the other half to test on, its pixels seen by nobody while learning (inductive). Results are
kept in FOLDER/results.json; the table goes to reports/indian-pines.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from few_label_baselines import baselines
from few_label_scenes import HALF, SCENES
from few_labels import OURS, ours, scored
from machine import machine_in_words, today

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.settings import PrepareSettings

REPORT = Path(__file__).parents[2] / "reports" / "indian-pines.md"
PER_CLASS = 50
MODELS = tuple(m for m in OURS if m.name in {"M2", "M1+M2", "supervised part alone"})
CASES = {
    "published": "Published maps, transductive: the whole scene without labels is learnt from",
    "blocks": f"Blocks, inductive: {PER_CLASS} labels a class, test blocks are seen by nobody",
}


def dataset_of(case: str, seed: int, folder: Path) -> Dataset:
    """The dataset of a case; of the published maps nothing depends on the seed."""
    path = folder / ("published.h5" if case == "published" else f"{case}-{seed}.h5")
    if path.exists():
        return open_dataset(path)
    more: dict[str, Any] = (
        SCENES["indian-pines"].settings(folder, seed)
        if case == "published"
        else {
            "sources": ("indian-pines",),
            "split": "blocks",
            "test": HALF,
            "per_class": PER_CLASS,
            "seed": seed,
        }
    )
    return prepare(PrepareSettings(**more, validation=0.0, output=path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--only", choices=["baselines", "ours"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--report", action="store_true", help="only write the report")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for group in ("baselines", "ours"):
        if arguments.report or arguments.only not in {None, group}:
            continue
        kept = folder / f"{group}.json"
        lines: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
        for seed in range(arguments.seeds):
            for case in arguments.cases:
                cell = {"case": case, "seed": seed}
                done = {line["method"] for line in lines if cell.items() <= line.items()}
                missing = tuple(model for model in MODELS if model.name not in done)
                if not (missing if group == "ours" else not done):
                    continue
                dataset = dataset_of(case, seed, folder)
                predictions = (
                    baselines(dataset, seed)
                    if group == "baselines"
                    else ours(dataset, folder, seed, models=missing)
                )
                lines += scored(dataset, predictions, cell)
                kept.write_text(json.dumps(lines))
    write(folder, arguments.seeds)


def write(folder: Path, seeds: int) -> None:
    """Write reports/indian-pines.md of what is in the folder."""
    files = [folder / f"{group}.json" for group in ("baselines", "ours")]
    lines = [line for f in files if f.exists() for line in json.loads(f.read_text())]
    text = [
        "# Indian Pines, pixel by pixel",
        "",
        f"    python tests/benchmarks/indian_pines.py --folder DIR --seeds {seeds}",
        "",
        f"{machine_in_words()}, {today()}. Percent, mean ± standard deviation over {seeds} seeds. "
        "Every method learns from the same labels; the test pixels give the score and nothing "
        "else. The seed draws weights and folds, in the second table the blocks and the labels "
        "too. Published on the same maps (Hong et al. 2021), OA: SVM 72.4, SpectralFormer "
        "78.6 pixel by pixel and 81.8 with patches.",
        "",
    ]
    for case, title in CASES.items():
        some = [line for line in lines if line["case"] == case]
        if not some:
            continue
        text += [
            f"## {title}",
            "",
            "| method | OA | AA | macro-F1 | seeds | labels | test pixels |",
            "|---|---|---|---|---|---|---|",
        ]
        for method in dict.fromkeys(line["method"] for line in some):
            found = [line for line in some if line["method"] == method]
            cells = [_mean_sd([r[name] for r in found]) for name in ("oa", "aa", "macro_f1")]
            labels, test = (f"{mean(r[name] for r in found):,.0f}" for name in ("train", "test"))
            text.append(f"| {method} | {' | '.join(cells)} | {len(found)} | {labels} | {test} |")
        text.append("")
    REPORT.write_text("\n".join(text), encoding="utf-8")


def _mean_sd(values: list[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}"


if __name__ == "__main__":
    main()
