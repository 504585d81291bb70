"""Accuracy on four scenes: ours beside well-known classifiers on the very same pixels.

    HSI_SSL_DATA=... python tests/benchmarks/accuracy.py --folder /tmp/accuracy [--scenes NAME ...]

For each scene and seed: prepare (the seed draws split and pool), M1, M2 on spectra with the
paper's alpha and with the default one, M1+M2, an SVM on M1's features, an SVM and a random forest
on bands and on the dataset's scaling. Everything is chosen on training and validation pixels; test
pixels give the score. Results are kept in FOLDER/results.json as they come, so that a run that was
cut off goes on; the table goes to reports/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from machine import machine_in_words, today

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.recipes import recipe_text
from hsi_ssl.reports.baselines import PER_CLASS, fit_baseline, some_of_each
from hsi_ssl.reports.metrics import score
from hsi_ssl.scenes.catalog import data_folder
from hsi_ssl.settings import M1Settings, M2Settings, PrepareSettings
from hsi_ssl.training.classifier import load_classifier
from hsi_ssl.training.extractor import load_m1
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_data import KEPT_SPREAD
from hsi_ssl.training.m2_stage import train_m2

REPORT = Path(__file__).parents[2] / "reports" / "accuracy.md"
PAPERS_ALPHA = 0.1


@dataclass(frozen=True)
class Setting:
    """One scene and how it is split."""

    title: str
    sources: tuple[str, ...]
    recipe: str
    more: dict[str, Any] = field(default_factory=dict)
    papers_alpha: bool = True
    """Whether M2 is also trained with the paper's alpha, which doubles the time."""


def settings() -> dict[str, Setting]:
    """The scenes by name."""
    maps = data_folder() / "indian-pines-split"
    published = {
        "train_labels": (maps / "IndianTR123_temp123.tif",),
        "test_labels": (maps / "IndianTE123_temp123.tif",),
    }
    return {
        "indian-pines": Setting(
            "Indian Pines, published split", ("indian-pines",), "indian-pines", published
        ),
        "salinas-a": Setting("Salinas A, blocks", ("salinas-a",), "salinas-a"),
        "enmap-potsdam": Setting("EnMAP Potsdam, blocks", ("enmap-potsdam",), "enmap-potsdam"),
        "drillcore-sim": Setting(
            "drillcore-sim, scenes", ("drillcore-sim",), "drillcore", papers_alpha=False
        ),
    }


def of_recipe(name: str) -> dict[str, dict[str, Any]]:
    """The tables of a shipped recipe."""
    import tomllib

    return tomllib.loads(recipe_text(name))


def methods(
    dataset: Dataset, folder: Path, setting: Setting, seed: int
) -> Iterator[tuple[str, Any]]:
    """Names and class indices `(n,)` predicted for the test pixels, one method after another."""
    tables = of_recipe(setting.recipe)
    test, train = dataset.rows(Part.TEST), dataset.rows(Part.TRAIN)
    raw = dataset.spectra(test)
    m1_run, m2_run = folder / "m1", folder / "m2"
    common = {"dataset": dataset.path, "seed": seed}
    train_m1(M1Settings(**{**tables.get("m1", {}), **common, "output": m1_run}), overwrite=True)
    for name, more in (
        ("M2", {"m1": None}),
        ("M2, the paper's alpha", {"m1": None, "alpha": PAPERS_ALPHA, "patience": 10}),
        ("M1+M2", {"m1": m1_run}),
    ):
        if more.get("alpha") == PAPERS_ALPHA and not setting.papers_alpha:
            continue
        values = {**tables.get("m2", {}), **common, **more, "output": m2_run}
        train_m2(M2Settings(**values), overwrite=True)
        yield name, load_classifier(m2_run).posterior(raw).argmax(-1)

    rows = train[
        some_of_each(dataset.label[train], np.random.default_rng(seed), per_class=PER_CLASS)
    ]
    y = dataset.label[rows]
    extractor = load_m1(m1_run)
    features = extractor.features(dataset.spectra(rows))[0]
    kept = features.std(0) >= KEPT_SPREAD
    predictor = fit_baseline("svm", features[:, kept], y, seed)
    yield "M1 + SVM", predictor.predict(extractor.features(raw)[0][:, kept])

    learnt = dataset.spectra(train).astype(np.float64)
    centre, spread = learnt.mean(0), learnt.std(0) + 1e-9
    for features_name, x, x_test in (
        ("bands", (dataset.spectra(rows) - centre) / spread, (raw - centre) / spread),
        ("scaled", dataset.scaled(rows), dataset.scaled(test)),
    ):
        for method in ("svm", "forest"):
            predictor = fit_baseline(method, x, y, seed)
            yield f"{method} on {features_name}", predictor.predict(x_test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", nargs="*", default=list(settings()), choices=list(settings()))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = arguments.folder / "results.json"
    results: dict[str, list[dict[str, Any]]] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in arguments.scenes:
        setting = settings()[name]
        for seed in range(arguments.seeds):
            if any(r["seed"] == seed for r in results.get(name, [])):
                continue
            path = arguments.folder / f"{name}-{seed}.h5"
            table = of_recipe(setting.recipe).get("prepare", {})
            values = {**table, **setting.more, "sources": setting.sources, "seed": seed}
            dataset = prepare(PrepareSettings(**values, output=path), overwrite=True)
            truth = dataset.label[dataset.rows(Part.TEST)]
            lines = []
            started = time.monotonic()
            for method, found in methods(dataset, arguments.folder, setting, seed):
                scores = score(truth, found, len(dataset.label_set))
                seconds, started = time.monotonic() - started, time.monotonic()
                lines.append(
                    {
                        "method": method,
                        "seed": seed,
                        "oa": scores.oa,
                        "aa": scores.aa,
                        "macro_f1": scores.macro_f1,
                        "kappa": scores.kappa,
                        "seconds": seconds,
                        "train": len(dataset.rows(Part.TRAIN)),
                        "test": len(truth),
                    }
                )
                print(
                    f"{name} seed {seed} {method}: OA {100 * scores.oa:.1f} ({seconds:.0f} s)",
                    flush=True,
                )
            results.setdefault(name, []).extend(lines)
            kept.write_text(json.dumps(results))
    write(results, arguments.seeds)


def write(results: dict[str, list[dict[str, Any]]], seeds: int) -> None:
    """Write reports/accuracy.md."""
    text = [
        "# Accuracy, ours beside well-known classifiers",
        "",
        f"    python tests/benchmarks/accuracy.py --folder DIR --seeds {seeds}",
        "",
        f"{machine_in_words()}, {today()}. Mean ± standard deviation over {seeds} seeds, in "
        "percent, on test pixels that nothing was fitted or chosen on. The seed draws the split "
        "(where it is not a published one), the pool, the weights and the folds. SVM and forest "
        f"see at most {PER_CLASS} training pixels a class, and tune by cross-validation among "
        "them. Seconds are means on a machine with other work, M1's training counted in the first "
        "row: orders of magnitude, no timings.",
        "",
    ]
    for name, lines in results.items():
        setting = settings()[name]
        text += [
            f"## {setting.title}",
            "",
            f"{_span([r['train'] for r in lines])} training and "
            f"{_span([r['test'] for r in lines])} test pixels.",
            "",
            "| method | OA | AA | macro-F1 | kappa | seconds |",
            "|---|---|---|---|---|---|",
        ]
        for method in dict.fromkeys(r["method"] for r in lines):
            some = [r for r in lines if r["method"] == method]
            cells = [_cell([r[key] for r in some]) for key in ("oa", "aa", "macro_f1", "kappa")]
            seconds = mean(r["seconds"] for r in some)
            text.append(f"| {method} | {' | '.join(cells)} | {seconds:.0f} |")
        text.append("")
    REPORT.write_text("\n".join(text), encoding="utf-8")


def _span(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _cell(values: list[float]) -> str:
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}"


if __name__ == "__main__":
    main()
