"""The loop: resuming, early stopping, logs; on real models and a small dataset."""

from __future__ import annotations

import csv
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hearing import Hears
from safetensors.torch import load_file

from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.errors import ModelError, OutputError
from hsi_ssl.inference.checkpoint import LAST_METRICS, load_run
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.models.one_label_set import OneLabelSet
from hsi_ssl.reports.evaluation_figures import training_figure
from hsi_ssl.reports.training_curve import write_curve
from hsi_ssl.settings import M1Settings, M2Settings, TrainingSettings
from hsi_ssl.training import loop
from hsi_ssl.training.loop import VALIDATION_SEED, learning_rate
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask
from hsi_ssl.training.task import PlainTask, StepCost, Task, Turn
from hsi_ssl.watcher import Watcher


def m1_settings(dataset: Dataset, run: Path, **more: object) -> M1Settings:
    small = {
        "latent": 4,
        "hidden": (16,),
        "batch": 64,
        "epochs": 6,
        "patience": 50,
        "decay": "constant",
    }
    return M1Settings(dataset=dataset.path, output=run, **{**small, **more})


def m2_settings(dataset: Dataset, run: Path, **more: object) -> M2Settings:
    small = {"m1": None, "latent": 3, "hidden": (16,), "epochs": 6, "patience": 50}
    batches = {"batch_labelled": 30, "batch_unlabelled": 100, "supervised_epochs": 3}
    return M2Settings(dataset=dataset.path, output=run, **{**small, **batches, **more})


def metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def same_weights(one: Path, other: Path) -> bool:
    a, b = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


KILLED = """
import sys, time, torch
from pathlib import Path
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training import loop, m1_stage, m2_stage
from hsi_ssl.watcher import Watcher

torch.set_num_threads(1)  # as in the test: sums over other threads round differently
loop.SECONDS_BETWEEN_STATES = 0.0

class Slow(Watcher):
    def progress(self, what, done, total):
        if done == int(done):
            print(int(done), flush=True)
            time.sleep(0.2)

kind, settings = sys.argv[1:]
if kind == "m1":
    m1_stage.train_m1(M1Settings.model_validate_json(settings), watcher=Slow())
else:
    m2_stage.train_m2(M2Settings.model_validate_json(settings), watcher=Slow())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("m1", {}),
        ("m2", {}),
        ("m1", {"average": 0.9, "precision": "bfloat16"}),
        ("m2", {"average": 0.9, "decay": "cosine", "precision": "bfloat16"}),
    ],
)
def test_a_killed_run_resumed_equals_an_unbroken_one(
    tiny_dataset: Dataset, tmp_path: Path, kind: str, more: dict[str, object]
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"

    def train(settings: M1Settings | M2Settings, *, resume: bool = False) -> None:
        if isinstance(settings, M1Settings):
            train_m1(settings, resume=resume)
        else:
            train_m2(settings, resume=resume)

    make = m1_settings if kind == "m1" else m2_settings
    train(make(tiny_dataset, unbroken, **more))
    settings = make(tiny_dataset, broken, **more)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, kind, settings.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while (line := process.stdout.readline()) and int(line) < 4:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (broken / "model.json").exists()
    with pytest.raises(OutputError, match="--resume continues it"):
        train(settings)
    train(settings, resume=True)

    assert same_weights(unbroken, broken)
    columns = set(metrics(unbroken)[0]) - {"seconds"}
    assert [{k: r[k] for k in columns} for r in metrics(broken)] == [
        {k: r[k] for k in columns} for r in metrics(unbroken)
    ]


@pytest.mark.slow
def test_without_validation_pixels_the_last_state_is_kept_also_after_resuming(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    part = np.where(tiny_dataset.part == Part.VALIDATION, Part.POOL, tiny_dataset.part)
    names = ("label", "scene", "pixel", "neighbours")
    other = write_dataset(
        tmp_path / "d.h5",
        spectra=tiny_dataset.spectra(),
        part=part.astype(np.uint8),
        meta=tiny_dataset.meta,
        **{name: getattr(tiny_dataset, name) for name in names},
    )
    steady = {"patience": 2, "decay": "constant"}
    whole = train_m2(m2_settings(other, tmp_path / "whole", epochs=7, **steady))
    train_m2(m2_settings(other, tmp_path / "cut", epochs=4, **steady))
    cut = train_m2(m2_settings(other, tmp_path / "cut", epochs=7, **steady), resume=True)
    assert whole["training"]["best_epoch"] == cut["training"]["best_epoch"] == 7
    assert same_weights(tmp_path / "whole", tmp_path / "cut")
    # What nobody has measured is no number in the log, and no curve in figure and page.
    for row in metrics(tmp_path / "whole"):
        assert math.isnan(float(row["bound_validation"]))
        assert math.isnan(float(row["macro_f1"]))
    figure = str(training_figure(tmp_path / "whole/metrics.csv", whole))
    assert ">training<" in figure
    assert "validation" not in figure
    page = write_curve(tmp_path / "whole", ended=False)
    assert page is not None
    text = page.read_text()
    assert "nothing tells which state is best: the last one is kept" in text
    assert "bound on log p(x) of the training batches by epoch" in text
    assert "macro-F1" not in text


@pytest.mark.slow
def test_resuming_on_another_draw_is_refused(tiny_dataset: Dataset, tmp_path: Path) -> None:
    train_m1(m1_settings(tiny_dataset, tmp_path / "m1"))
    names = ("scene", "pixel", "neighbours", "label")
    part = tiny_dataset.part.copy()
    part[np.flatnonzero(part == Part.TRAIN)[:5]] = Part.TEST
    other = write_dataset(
        tmp_path / "d.h5",
        spectra=tiny_dataset.spectra(),
        part=part,
        meta=tiny_dataset.meta,
        **{name: getattr(tiny_dataset, name) for name in names},
    )
    with pytest.raises(ModelError, match="other dataset"):
        train_m1(m1_settings(other, tmp_path / "m1"), resume=True)


@pytest.mark.slow
def test_more_epochs_continue_a_finished_run(tiny_dataset: Dataset, tmp_path: Path) -> None:
    train_m1(m1_settings(tiny_dataset, tmp_path / "long", epochs=8))
    train_m1(m1_settings(tiny_dataset, tmp_path / "short", epochs=3))
    card = train_m1(m1_settings(tiny_dataset, tmp_path / "short", epochs=8), resume=True)
    assert card["training"]["epochs"] == 8
    assert same_weights(tmp_path / "long", tmp_path / "short")


def test_resuming_with_other_settings_is_refused(tiny_dataset: Dataset, tmp_path: Path) -> None:
    train_m1(m1_settings(tiny_dataset, tmp_path / "m1"))
    with pytest.raises(ModelError, match="other batch, latent"):
        train_m1(m1_settings(tiny_dataset, tmp_path / "m1", latent=5, batch=32), resume=True)


def test_a_trained_model_is_not_replaced_unasked(tiny_dataset: Dataset, tmp_path: Path) -> None:
    settings = m1_settings(tiny_dataset, tmp_path / "m1", epochs=1)
    train_m1(settings)
    before = (tmp_path / "m1/model.safetensors").read_bytes()
    with pytest.raises(OutputError, match="holds a trained model"):
        train_m1(settings.model_copy(update={"seed": 3}))
    assert (tmp_path / "m1/model.safetensors").read_bytes() == before
    train_m1(settings.model_copy(update={"seed": 3}), overwrite=True)
    assert (tmp_path / "m1/model.safetensors").read_bytes() != before


def test_a_folder_with_other_files_is_not_used(tiny_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other files"):
        train_m1(m1_settings(tiny_dataset, tmp_path / "mine"))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_patience_ends_training_and_the_best_state_is_kept(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "m1"
    settings = m1_settings(tiny_dataset, run, epochs=300, patience=4, batch=1000)
    card = train_m1(settings)
    rows = metrics(run)
    best = max(range(len(rows)), key=lambda i: float(rows[i]["score"]))
    assert card["training"]["stopped"] == "patience"
    assert card["training"]["best_epoch"] == best + 1 == len(rows) - 4
    assert card["metrics"]["bound_validation"] == float(rows[best]["bound_validation"])


@pytest.mark.slow
def test_same_seed_same_weights_other_seed_others(tiny_dataset: Dataset, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_m2(m2_settings(tiny_dataset, tmp_path / name, seed=seed, epochs=2))
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")


class Averaged(PlainTask):
    """A task of one weight, which each step pulls towards another place."""

    score_name = "bound"
    pixels = 1_000_000
    module: torch.nn.Linear

    def __init__(self) -> None:
        self.module = torch.nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.module.weight.fill_(5.0)
        self.after: list[float] = []
        self.validated: list[float] = []

    def batches(self, generator: torch.Generator) -> Iterator[float]:
        yield from (1.0, -3.0, 2.0)

    def cost(self, batch: float, kl_weight: float, generator: torch.Generator) -> StepCost:
        self.after.append(float(self.module.weight.detach()))
        cost = (self.module.weight - batch).square().sum()
        return StepCost(cost, -cost, 1)

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        self.validated.append(float(self.module.weight.detach()))
        return {"bound": 0.0, "score": math.inf}

    def snapshot(self, generator: torch.Generator) -> torch.Tensor:
        return self.module.weight.detach().clone()


def loop_settings(**more: object) -> TrainingSettings:
    return TrainingSettings(**{"epochs": 4, "learning_rate": 0.1, "patience": 9, **more})


def run_loop(task: Task, settings: TrainingSettings, run: Path) -> loop.Fit:
    return loop.fit(
        task, settings, run, identity={}, resume=False, watcher=Watcher(),
        on_snapshot=lambda snapshots: None,
    )  # fmt: skip


def test_the_average_is_validated_and_kept_and_does_not_know_the_start(tmp_path: Path) -> None:
    task, decay = Averaged(), 0.8
    found = run_loop(task, loop_settings(average=decay), tmp_path)
    weights = task.after[1:]  # as each step left them; the last step's is not in it
    assert task.after[0] == 5.0
    for epoch in (1, 2, 3):
        seen = weights[: 3 * epoch]
        shares = [decay ** (len(seen) - 1 - s) for s in range(len(seen))]
        expected = sum(w * s for w, s in zip(seen, shares, strict=True)) / sum(shares)
        assert task.validated[epoch - 1] == pytest.approx(expected, rel=1e-5)
        assert task.validated[epoch - 1] != pytest.approx(seen[-1], rel=1e-3)
    assert float(task.module.weight.detach()) == task.validated[-1]
    assert float(found.snapshots[3]) == task.validated[2]


def test_without_average_the_weights_are_validated(tmp_path: Path) -> None:
    task = Averaged()
    run_loop(task, loop_settings(), tmp_path)
    assert task.validated[:3] == task.after[3::3]


class Adversaries(PlainTask):
    """Two of one weight each: one wants their product large, the other wants it small."""

    score_name = "bound"
    pixels = 1_000_000

    def __init__(self) -> None:
        self.module = torch.nn.ModuleDict(
            {name: torch.nn.Linear(1, 1, bias=False) for name in ("max", "min")}
        )
        with torch.no_grad():
            for weight in self.module.parameters():
                weight.fill_(1.0)
        self.seen: list[tuple[str, float, float]] = []

    def _weight(self, name: str) -> torch.nn.Parameter:
        return self.module.get_parameter(f"{name}.weight")

    def batches(self, generator: torch.Generator) -> Iterator[int]:
        yield from range(3)

    def turns(self) -> Sequence[Turn]:
        return [Turn([self._weight(name)], partial(self._cost, name)) for name in ("max", "min")]

    def _cost(
        self, name: str, batch: int, kl_weight: float, generator: torch.Generator
    ) -> StepCost:
        one, other = (float(self._weight(each).detach()) for each in ("max", "min"))
        self.seen.append((name, one, other))
        product = (self._weight("max") * self._weight("min")).sum()
        cost = product if name == "min" else -product
        return StepCost(cost, product, 1, {name: cost})

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        return {"bound": 0.0, "score": math.inf}

    def snapshot(self, generator: torch.Generator) -> torch.Tensor:
        return self._weight("max").detach().clone()


def test_adversaries_take_turns_each_moving_its_own_parameters(tmp_path: Path) -> None:
    task = Adversaries()
    run_loop(task, loop_settings(epochs=2), tmp_path)
    assert [name for name, *_ in task.seen] == ["max", "min"] * 6
    for (name, *before), (_, *after) in itertools.pairwise(task.seen):
        moved = 0 if name == "max" else 1
        assert after[moved] != before[moved]
        assert after[1 - moved] == before[1 - moved]
    assert task.seen[-1][1] > 1 > task.seen[-1][2]
    line = metrics(tmp_path / "last")[-1]
    assert float(line["term_max"]) < 0 < float(line["term_min"])


def test_the_learning_rate_falls_along_a_cosine_to_0() -> None:
    rates = [learning_rate(loop_settings(epochs=200, decay="cosine"), e) for e in range(201)]
    assert rates[0] == 0.1
    assert rates[100] == pytest.approx(0.05)
    assert rates[200] == pytest.approx(0.0, abs=1e-12)
    assert all(a > b for a, b in itertools.pairwise(rates))
    assert learning_rate(loop_settings(), 3) == 0.1


def test_the_falling_learning_rate_is_what_adam_uses(tmp_path: Path) -> None:
    steps = {}
    for decay in ("constant", "cosine"):
        task = Averaged()
        run_loop(task, loop_settings(epochs=40, decay=decay), tmp_path / decay)
        last = [*task.after[-3:], float(task.module.weight.detach())]
        steps[decay] = max(abs(a - b) for a, b in itertools.pairwise(last))
    assert steps["cosine"] < 0.05 * steps["constant"]


def test_a_cosine_over_other_epochs_is_not_resumed(tiny_dataset: Dataset, tmp_path: Path) -> None:
    settings = m1_settings(tiny_dataset, tmp_path / "m1", epochs=3, decay="cosine")
    train_m1(settings)
    with pytest.raises(ModelError, match="other epochs"):
        train_m1(settings.model_copy(update={"epochs": 6}), resume=True)


def test_each_epoch_says_where_training_stands_and_the_end_what_is_kept(
    tiny_dataset: Dataset, tmp_path: Path, hears: Hears
) -> None:
    card = train_m1(m1_settings(tiny_dataset, tmp_path / "m1"), watcher=hears)
    best = card["training"]["best_epoch"]
    assert [line.split(":")[0] for line in hears.stood] == [f"epoch {i} of 6" for i in range(1, 7)]
    assert all(re.search(r": bound -?[\d.]+, best -?[\d.]+ in epoch \d$", s) for s in hears.stood)
    assert max(map(len, hears.stood)) < 60
    assert any(re.fullmatch(r"trained for [\d.]+ s: 6 epochs", said) for said in hears.said)
    kept = next(said for said in hears.said if said.startswith("kept: "))
    assert kept.startswith(f"kept: the state after epoch {best}, the best on the validation pixels")
    assert "(bound on log p(x) " in kept


def test_the_end_says_why_it_came(tiny_dataset: Dataset, tmp_path: Path, hears: Hears) -> None:
    settings = m1_settings(tiny_dataset, tmp_path / "m1", patience=1, learning_rate=0.3, epochs=99)
    card = train_m1(settings, watcher=hears)
    assert card["training"]["stopped"] == "patience"
    assert any("; 1 in a row were no better on the validation pixels" in s for s in hears.said)


def test_progress_moves_within_an_epoch(
    tiny_dataset: Dataset, tmp_path: Path, hears: Hears
) -> None:
    train_m1(m1_settings(tiny_dataset, tmp_path / "m1"), watcher=hears)
    done = [done for what, done, total in hears.steps if what == "training" and total == 6]
    assert done == sorted(done)
    assert set(range(1, 7)) <= set(done)
    within = [d for d in done if 0 < d < 1]
    assert len(within) > 3
    assert within[0] == pytest.approx(1 / (len(within) + 1))


def test_divergence_in_the_first_epoch_is_told(tiny_dataset: Dataset, tmp_path: Path) -> None:
    wild = {"learning_rate": 1e30, "clip": 1e30}
    with pytest.raises(ModelError, match="lower the learning rate"):
        train_m1(m1_settings(tiny_dataset, tmp_path / "ae", extractor="ae", **wild))
    assert not (tmp_path / "ae/model.json").exists()
    hears = Hears()
    card = train_m1(m1_settings(tiny_dataset, tmp_path / "m1", **wild), watcher=hears)
    assert card["training"]["best_epoch"] == 0
    assert "diverged in epoch 1: kept the state before epoch 1" in hears.all


def test_a_state_is_whole_at_every_moment(tiny_dataset: Dataset, tmp_path: Path) -> None:
    train_m1(m1_settings(tiny_dataset, tmp_path / "m1"))
    assert [p.name for p in (tmp_path / "m1/last").iterdir() if p.suffix == ".new"] == []
    card, _ = load_run(tmp_path / "m1", "m1")
    assert time.strptime(card["created"][:19], "%Y-%m-%dT%H:%M:%S")


@pytest.mark.slow
def test_the_generative_part_keeps_its_own_best_state(
    tiny_dataset: Dataset, tmp_path: Path, hears: Hears
) -> None:
    """Where it shares no gradient with q(y|x), whose macro-F1 says nothing of it."""
    asked = {"m1": None, "epochs": 8, "supervised_epochs": 3, "latent": 3, "hidden": (16,)}
    of_m2 = M2Settings(
        dataset=tiny_dataset.path, output=tmp_path / "m2", device="cpu", patience=20, **asked
    )
    card = train_m2(of_m2, watcher=hears)
    with (tmp_path / "m2" / LAST_METRICS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    bounds = [float(row["bound_validation"]) for row in rows]
    of_score = [float(row["score"]) for row in rows]
    assert card["training"]["generative_epoch"] == bounds.index(max(bounds)) + 1
    assert card["training"]["best_epoch"] == of_score.index(max(of_score)) + 1
    if card["training"]["generative_epoch"] != card["training"]["best_epoch"]:
        assert any("of the generative part" in sentence for sentence in hears.said)
    data = M2Data(open_dataset(tiny_dataset.path), of_m2, None, torch.device("cpu"))
    model = load_classifier(tmp_path / "m2", "cpu").model
    assert isinstance(model, OneLabelSet)
    task = SemiSupervisedTask(model.whole, data, of_m2)
    kept = task.validate(torch.Generator().manual_seed(VALIDATION_SEED))["bound"]
    assert kept == pytest.approx(max(bounds), rel=0.02)
