"""The drill-core task of 2016 on simulated cores: the recipe of then beside today's.

    python tests/benchmarks/drillcore_2016.py --folder /tmp/drillcore [--only then|now] [--seeds 3]

Eleven minerals as uneven as the real ones, at most 5,000 training pixels a class, 98,000
unlabelled ones, parts by scenes. *Then*: values divided by their maximum, M1 with a Bernoulli
likelihood and softplus, M2 on samples of its features with a slot for each of 100 class codes,
alpha = 0.1, labelled batches as they come, Adam at 3e-4, no clipping; and the same with slots for
the classes that exist alone. *Now*: the recipe
`drillcore` as shipped. Results are kept in FOLDER/then.json and FOLDER/now.json; the table goes to
reports/drillcore-2016.md.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from machine import machine_in_words, today
from small_models import preset

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.pipeline import KEPT_SPREAD
from hsi_ssl.models.bounds import mean_j, objective
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.models.networks import sample_gaussian
from hsi_ssl.recipes import recipe_text
from hsi_ssl.reports.metrics import Scores, score
from hsi_ssl.settings import M1Settings, M2Settings, PrepareSettings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

REPORT = Path(__file__).parents[2] / "reports" / "drillcore-2016.md"
UNLABELLED = 98_000
SLOTS, MINERALS = 100, 11
HIDDEN, LATENT = 500, 50
ALPHA, LEARNING_RATE = 0.1, 3e-4
M1_BATCH, BATCH = 1000, 500
"""Pixels a step of M1; unlabelled pixels a step of M2, with labelled ones in proportion."""
SD_FLOOR = 0.01
"""Far below the spread of any feature: the recipe of then had no floor."""
M1_EPOCHS_THEN, M2_EPOCHS_THEN = 10, 3
PUBLISHED = "test error 61.7 % at best, after 11 hours; M1 with 2 of 50 units in use"


def dataset_of(folder: Path, seed: int) -> Dataset:
    """The task; the seed draws the scenes to train on and the pixels."""
    path = folder / f"drillcore-{seed}.h5"
    if path.exists():
        return open_dataset(path)
    table = tomllib.loads(recipe_text("drillcore"))["prepare"]
    more = {"unlabelled": UNLABELLED, "seed": seed, "output": path}
    return prepare(PrepareSettings(**{**table, **more}))


def now(folder: Path, seed: int) -> dict[str, Any]:
    """The shipped recipe: M1, if it has one, and M2."""
    dataset = dataset_of(folder, seed)
    tables = tomllib.loads(recipe_text("drillcore"))
    common = {"dataset": dataset.path, "seed": seed}
    started = time.monotonic()
    m1 = folder / "m1-now"
    train_m1(M1Settings(**{**tables["m1"], **common, "output": m1}), overwrite=True)
    m2 = folder / "m2-now"
    card = train_m2(
        M2Settings(**{**tables["m2"], **common, "m1": m1, "output": m2}), overwrite=True
    )
    seconds = time.monotonic() - started
    test = dataset.rows(Part.TEST)
    found = load_classifier(m2).posterior(dataset.spectra(test)).argmax(-1)
    scores = score(dataset.label[test], found, len(dataset.label_set))
    return {
        **_said(dataset, scores, seed, seconds),
        "precision": card["training"].get("precision", "float32"),
    }


def then(folder: Path, seed: int, epochs: int, slots: int) -> Iterator[dict[str, Any]]:
    """The recipe of 2016 with so many class slots, of the library's parts, after each epoch."""
    dataset = dataset_of(folder, seed)
    started = time.monotonic()
    generator = torch.Generator().manual_seed(seed)
    features, active = _features_then(dataset, generator)
    kept = features[Part.POOL][0].std(0) >= KEPT_SPREAD
    if not kept.any():  # collapsed beyond what the recipe foresaw: all units, then
        kept[:] = True
    x = {part: (mean[:, kept], logvar[:, kept]) for part, (mean, logvar) in features.items()}
    y = torch.from_numpy(dataset.label[dataset.rows(Part.TRAIN)].astype(np.int64))[:, None]
    validation = dataset.label[dataset.rows(Part.VALIDATION)]
    truth = dataset.label[dataset.rows(Part.TEST)]
    model = preset(
        "m2",
        torch.full((slots,), 1 / slots),
        width=int(kept.sum()),
        latent=LATENT,
        hidden=(HIDDEN,),
        activation="softplus",
        sd_floor=SD_FLOOR,
        seed=seed,
    )
    n_labelled, n_unlabelled = len(y), len(x[Part.POOL][0])
    optimiser = _adam(model, n_labelled + n_unlabelled)
    found: list[dict[str, Any]] = []
    for epoch in range(epochs):
        begun = time.monotonic()
        labelled = torch.randperm(n_labelled, generator=generator)
        unlabelled = torch.randperm(n_unlabelled, generator=generator)
        steps = -(-n_unlabelled // BATCH)
        for l_rows, u_rows in zip(
            labelled.tensor_split(steps), unlabelled.tensor_split(steps), strict=True
        ):
            x_l = _sample(x[Part.TRAIN], l_rows, generator)
            x_u = _sample(x[Part.POOL], u_rows, generator)
            j = mean_j(
                model.cost(x_l, y[l_rows], generator).mean(),
                model.cost(x_u, y.new_full((len(x_u), 1), -1), generator).mean(),
                share_unlabelled=n_unlabelled / (n_labelled + n_unlabelled),
            )
            cross_entropy = F.nll_loss(model.log_q_each(x_l)[0], y[l_rows, 0])
            _step(optimiser, objective([j, cross_entropy], [1.0, ALPHA]))
        seconds = time.monotonic() - begun
        on_validation = _predicted(model, x[Part.VALIDATION][0])
        scores = score(truth, _predicted(model, x[Part.TEST][0]), slots)
        found.append(
            {
                "validation_error": float(np.mean(on_validation != validation)),
                "epoch_seconds": seconds,
                **_said(dataset, scores, seed, time.monotonic() - started),
            }
        )
        print(f"then, {slots} slots, epoch {epoch + 1}: {found[-1]}", flush=True)
        best = min(found, key=lambda line: line["validation_error"])
        yield {
            **best,
            "seconds": found[-1]["seconds"],
            "slots": slots,
            "epochs": len(found),
            "test_errors": [line["test_error"] for line in found],
            "kept_units": int(kept.sum()),
            "active_units": active,
        }


def _features_then(
    dataset: Dataset, generator: torch.Generator
) -> tuple[dict[Part, tuple[torch.Tensor, torch.Tensor]], int]:
    """Mean and log-variance of q(z1|x) of the pixels of each part, and the units in use."""
    raw = dataset.spectra().astype(np.float32)
    spectra = torch.from_numpy(raw / raw.max())
    seen = spectra[dataset.rows(Part.TRAIN, Part.POOL)]
    architecture = M1Architecture(
        spectra.shape[1], LATENT, (HIDDEN, HIDDEN), "softplus", "bernoulli", SD_FLOOR
    )
    model = M1(architecture, generator)
    optimiser = _adam(model, len(seen))
    for epoch in range(M1_EPOCHS_THEN):
        total = 0.0
        for rows in torch.randperm(len(seen), generator=generator).split(M1_BATCH):
            cost = model.cost(seen[rows], generator).mean()
            _step(optimiser, cost)
            total += float(cost) * len(rows)
        print(f"then, M1, epoch {epoch + 1}: bound {-total / len(seen):.2f}", flush=True)
    with torch.inference_mode():
        features = {part: _encoded(model, spectra[dataset.rows(part)]) for part in Part}
    return features, model.use(seen).active


def _encoded(model: M1, spectra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    means, logvars = zip(*(model.encode(some) for some in spectra.split(4096)), strict=True)
    return torch.cat(means), torch.cat(logvars)


def _adam(model: torch.nn.Module, pixels: int) -> torch.optim.Adam:
    """Adam with the prior N(0, 1) on the weights."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 1 / pixels},
        {"params": [p for p in model.parameters() if p.ndim <= 1]},
    ]
    return torch.optim.Adam(groups, lr=LEARNING_RATE)


def _step(optimiser: torch.optim.Adam, cost: torch.Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    cost.backward()
    optimiser.step()


def _sample(
    features: tuple[torch.Tensor, torch.Tensor], rows: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """A fresh sample of q(z1|x) of some pixels."""
    mean, logvar = features
    return sample_gaussian(mean[rows], logvar[rows], generator)


@torch.inference_mode()
def _predicted(model: DeclaredVAE, x: torch.Tensor) -> Any:
    return torch.cat([model.log_q_each(some)[0] for some in x.split(4096)]).argmax(-1).numpy()


def _said(dataset: Dataset, scores: Scores, seed: int, seconds: float) -> dict[str, Any]:
    """What the table says of one run."""
    names = dataset.label_set.names
    return {
        "seed": seed,
        "test_error": 1 - scores.oa,
        "macro_f1": scores.macro_f1,
        "predicted": int(np.count_nonzero(scores.confusion.sum(axis=0))),
        "tested": int(scores.present.sum()),
        "recall": {
            name: float(scores.recall[k]) for k, name in enumerate(names) if scores.present[k]
        },
        "pixels": {
            name: int(n)
            for name, n in zip(
                names,
                np.bincount(dataset.label[dataset.rows(Part.TRAIN)], minlength=len(names)),
                strict=True,
            )
        },
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", choices=["then", "now"])
    parser.add_argument("--seeds", type=int, default=3, help="of today's recipe [default: 3]")
    parser.add_argument("--epochs", type=int, default=M2_EPOCHS_THEN, help="of M2 in that of 2016")
    parser.add_argument("--slots", nargs="*", type=int, default=[SLOTS, MINERALS])
    parser.add_argument("--report", action="store_true", help="only write the report")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report and arguments.only != "now":
        kept = folder / "then.json"
        for slots in arguments.slots:
            others = [line for line in _read(kept) if line["slots"] != slots]
            for line in then(folder, 0, arguments.epochs, slots):
                kept.write_text(json.dumps([*others, line]))
    if not arguments.report and arguments.only != "then":
        kept = folder / "now.json"
        for seed in range(arguments.seeds):
            lines = _read(kept)
            if seed not in {line["seed"] for line in lines}:
                lines.append(now(folder, seed))
                print(f"now, seed {seed}: {lines[-1]}", flush=True)
                kept.write_text(json.dumps(lines))
    write(*(_read(folder / f"{name}.json") for name in ("then", "now")))


def _read(path: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return lines


def write(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Write reports/drillcore-2016.md."""
    text = [
        "# The drill-core task of 2016, on simulated cores",
        "",
        "    python tests/benchmarks/drillcore_2016.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}. Data set `drillcore-sim`, minerals, at most 5,000 "
        f"training pixels a class, {UNLABELLED:,} unlabelled pixels, whole scenes to train, "
        "validate and test. Recall is the share of a mineral's test pixels that are found. "
        "Seconds are of all training (M1 and M2) on one core of a machine with other work.",
        "",
        f"*2016*: values divided by their maximum, Bernoulli likelihood, softplus, {SLOTS} class "
        "slots (and, beside it, one a mineral), alpha 0.1, labelled batches as they come; stopped "
        f"after {M1_EPOCHS_THEN} epochs of M1 and a few of M2, of which the one that is best on "
        f"validation pixels counts. (The original on its own cores: {PUBLISHED}.) *Now*: the "
        "recipe `drillcore` as shipped.",
        "",
        "| recipe | test error, % | macro-F1, % | minerals predicted | of | seconds |",
        "|---|---|---|---|---|---|",
    ]
    runs = [(f"2016, {r['slots']} slots", r) for r in old]
    runs += [(f"now, seed {r['seed']}", r) for r in sorted(new, key=lambda r: int(r["seed"]))]
    for name, r in runs:
        text.append(
            f"| {name} | {100 * r['test_error']:.1f} | {100 * r['macro_f1']:.1f} | "
            f"{r['predicted']} | {r['tested']} | {r['seconds']:.0f} |"
        )
    for r in old:
        errors = ", ".join(f"{100 * e:.1f}" for e in r["test_errors"])
        text += [
            "",
            f"2016 with {r['slots']} slots: {r['kept_units']} of {LATENT} units of M1 move over "
            f"the data; test error after each of {r['epochs']} epochs of M2: {errors} %; an epoch "
            f"of M2 took {r['epoch_seconds']:.0f} s.",
        ]
    if runs:
        text += [
            "",
            "## Recall of each mineral, in percent",
            "",
            f"| mineral | training pixels | {' | '.join(name for name, _ in runs)} |",
            f"|---|---|{'---|' * len(runs)}",
        ]
        for mineral, pixels in sorted(runs[0][1]["pixels"].items(), key=lambda item: -item[1]):
            cells = [
                f"{100 * r['recall'][mineral]:.0f}" if mineral in r["recall"] else "not tested"
                for _, r in runs
            ]
            text.append(f"| {mineral} | {pixels:,} | {' | '.join(cells)} |")
    REPORT.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
