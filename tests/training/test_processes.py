"""Trainings in several processes: the same curve as in one, and no end without a sentence."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from double import costs_noted, in_double
from small_models import pixels, preset
from small_runs import one_thread
from together import environment, free_port, together

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import ProcessError, SettingsError, ToldElsewhereError
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training import heartbeat
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.loop import fit
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.processes import ALONE, Processes, joined, place_in_environment
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask
from hsi_ssl.training.stage import facts_of
from hsi_ssl.watcher import SILENT

SAME = 1e-4
"""Relative difference that is allowed to two processes over a hundred steps."""
SAME_IN_DOUBLE = 1e-6
STEPS = 100


def curve(run: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Columns of a run's log that tell what was minimised."""
    with (run / "last/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    kept = [name for name in rows[0] if name.startswith(("bound", "minus_cost", "term"))]
    return {name: np.array([float(row[name]) for row in rows]) for name in kept}


def assert_same(run: Path, other: Path) -> None:
    one, two = curve(run), curve(other)
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=SAME, atol=1e-6, err_msg=name)


def test_one_takes_from_another_a_matrix_that_lies_by_columns() -> None:
    """gloo sends memory as it lies: eigenvectors, and a whitening made of them, came transposed."""
    covariance = torch.diag(torch.arange(1.0, 6.0)) + 0.3
    values, vectors = torch.linalg.eigh(covariance)
    whitening = vectors * values.rsqrt()
    assert not vectors.is_contiguous()

    def does(processes: Processes) -> dict[str, torch.Tensor]:
        mine = {"vectors": vectors, "whitening": whitening, "none": torch.empty(0, 3)}
        found = processes.shared("made once", lambda: mine if processes.first else {})
        return {name: tensor.contiguous() for name, tensor in found.items()}

    for found in together(does):
        assert torch.equal(found["vectors"], vectors)
        torch.testing.assert_close(
            found["whitening"].T @ covariance @ found["whitening"], torch.eye(5)
        )
        assert found["none"].shape == (0, 3)


def test_gradients_and_means_are_averaged_whatever_their_order_in_memory() -> None:
    def does(processes: Processes) -> list[Any]:
        weight, idle = torch.nn.Parameter(torch.zeros(3, 2)), torch.nn.Parameter(torch.zeros(2))
        lone = torch.nn.Parameter(torch.zeros(1))
        values = torch.arange(6.0) * (processes.rank + 1)
        weight.grad = values.view(3, 2) if processes.first else values.view(3, 2).T.contiguous().T
        if processes.rank == 1:
            lone.grad = torch.ones(1)
        processes.average_gradients([weight, idle, lone])
        return [weight.grad, idle.grad, lone.grad, processes.told("which", lambda: processes.rank)]

    for weight, idle, lone, told in together(does):
        torch.testing.assert_close(weight, 1.5 * torch.arange(6.0).view(3, 2))
        assert idle is None  # Adam leaves alone what no process has a gradient for
        assert float(lone) == 0.5
        assert told == 0


def two_sets(
    run: Path,
    processes: Processes,
    epochs: int,
    *,
    batches: tuple[int, int] = (65, 67),
    resume: bool = False,
) -> None:
    """Train on pixels with labels of both, one, or none of two sets, by every term there is."""
    generator = torch.Generator().manual_seed(0)
    x, pool = (torch.randn(n, 6, generator=generator) for n in (90, 205))
    y = torch.randint(-1, 3, (90, 2), generator=generator)
    y[(y < 0).all(1)] = 0
    settings = M2Settings.model_validate(
        {"epochs": epochs, "patience": 99, "batch_labelled": batches[0],
         "batch_unlabelled": batches[1], "alpha": 1, "steadiness": 0.5, "balance": 0.3,
         "propagation": 1, "exact_classes": 1, "em_rounds": 1, "decay": "constant", "device": "cpu"}
    )  # fmt: skip
    data = pixels(Inputs(x, noise_sd=torch.full((6,), 0.1)), y, pool, settings)
    e_step = EStep()
    if processes.first:
        n = len(data.every)
        e_step.start = torch.full((n, 3), 1 / 3)  # so that it speaks
        told = [torch.softmax(torch.randn(n, 3, generator=generator), dim=1) for _ in range(2)]

        def run_once(*_: Any, **__: Any) -> None:
            e_step.pseudo_labels, e_step.log_prior = told, [q.log() for q in told]

        e_step.run = run_once  # type: ignore[method-assign]
    module = preset(
        "m2", torch.full((3,), 1 / 3), width=6, latent=2, hidden=(8,), labels=("a", "b"), experts=2
    )
    fit(
        SemiSupervisedTask(module, data, settings, e_step, processes),
        settings,
        run,
        identity={},
        resume=resume,
        watcher=SILENT,
        on_snapshot=lambda snapshots: None,
        processes=processes,
    )


@pytest.mark.slow
def test_two_processes_train_by_every_term_as_one_does(tmp_path: Path) -> None:
    with one_thread():
        two_sets(tmp_path / "one", ALONE, 12)  # of four steps each
    found = together(lambda processes: two_sets(tmp_path / "two", processes, 12))
    assert found == [None, None]
    assert len(curve(tmp_path / "one")) == 8
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_three_processes_share_batches_that_leave_one_of_them_nothing(tmp_path: Path) -> None:
    """Of two pixels without labels, and as many drawn for them, the first has none."""
    with one_thread(), in_double(), costs_noted(40):
        two_sets(tmp_path / "one", ALONE, 1, batches=(1, 2))
        found = together(lambda p: two_sets(tmp_path / "three", p, 1, batches=(1, 2)), size=3)
    assert found == [None] * 3
    assert_same(tmp_path / "one", tmp_path / "three")


@pytest.mark.slow
def test_a_training_goes_on_in_more_or_fewer_processes(tmp_path: Path) -> None:
    with one_thread():
        two_sets(tmp_path / "one", ALONE, 9)
        two_sets(tmp_path / "run", ALONE, 3)
    run = tmp_path / "run"
    assert together(lambda p: two_sets(run, p, 6, resume=True)) == [None, None]
    with one_thread():
        two_sets(run, ALONE, 9, resume=True)
    assert_same(tmp_path / "one", run)


def m1_settings(dataset: Dataset, run: Path, **more: Any) -> M1Settings:
    small = {"hidden": (16,), "latent": 3, "epochs": 10, "batch": 90, "device": "cpu"}
    return M1Settings.model_validate({"dataset": dataset.path, "output": run, **small, **more})


@pytest.mark.slow
@pytest.mark.parametrize("extractor", ["vae", "stacked", "position"])
def test_extractors_learn_as_in_one_process(
    tiny_dataset: Dataset, tmp_path: Path, extractor: str
) -> None:
    more: dict[str, Any] = {"extractor": extractor, "epochs": 5}
    if extractor == "stacked":
        more["options"] = {"layer_epochs": 3}
    if extractor == "position":
        more["options"] = {"pieces": 3}
    one, two = (m1_settings(tiny_dataset, tmp_path / name, **more) for name in ("one", "two"))
    with one_thread():
        expected = train_m1(one)
    cards = together(lambda processes: json.dumps(train_m1(two, processes=processes)))
    assert_same(one.output, two.output)
    assert cards[0] == cards[1]
    metrics = json.loads(cards[0])["metrics"]
    for name, value in expected["metrics"].items():
        if isinstance(value, float):
            assert metrics[name] == pytest.approx(value, rel=1e-3), name


@pytest.mark.slow
def test_a_classifier_learns_as_in_one_process(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    small = {"hidden": (16,), "latent": 3, "epochs": 6, "supervised_epochs": 3, "device": "cpu"}
    batches = {"batch_labelled": 31, "batch_unlabelled": 100}
    one, two = (
        M2Settings.model_validate(
            {"dataset": tiny_dataset.path, "output": tmp_path / n, "m1": m1_run, **small, **batches}
        )
        for n in ("one", "two")
    )
    with one_thread():
        expected = train_m2(one)
    cards = together(lambda processes: json.dumps(train_m2(two, processes=processes)))
    assert_same(one.output, two.output)
    assert cards[0] == cards[1]
    assert json.loads(cards[0])["objective"] == expected["objective"]


def costs_of(kind: str, dataset: Dataset, m1: Path, run: Path, processes: Processes) -> list[float]:
    """Each step's cost in float64, of batches of which processes have 0, 1 or 2 pixels."""
    common: dict[str, Any] = {"dataset": dataset.path, "output": run, "epochs": 1, "device": "cpu"}
    how: dict[str, Any]
    with in_double(), costs_noted(STEPS) as costs:
        if kind.startswith("M1 "):
            how = {"hidden": (64, 64), "batch": 1} if kind == "M1 of 64-64" else {"batch": 3}
            train_m1(M1Settings.model_validate({**common, **how}), processes=processes)
        else:
            how = {"m1": m1 if kind == "M1+M2" else None, "supervised_epochs": 1}
            how |= {"batch_labelled": 3, "batch_unlabelled": 1, "steadiness": 0.5}
            train_m2(M2Settings.model_validate({**common, **how}), processes=processes)
        found = torch.stack(costs[-STEPS:])
        processes.average([found])
    return found.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["M1 of 64-64", "M1 at default width", "M2", "M1+M2"])
def test_in_float64_step_after_step_costs_what_it_does_in_one_process(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path, kind: str
) -> None:
    """In float32 rounding, and units whose input is 0 but for that, grow into more than 1e-4."""
    with one_thread():
        one = costs_of(kind, tiny_dataset, m1_run, tmp_path / "one", ALONE)
    two = together(lambda p: costs_of(kind, tiny_dataset, m1_run, tmp_path / "two", p))
    assert len(one) == STEPS
    assert two[0] == two[1]
    np.testing.assert_allclose(two[0], one, rtol=SAME_IN_DOUBLE)


@pytest.mark.slow
def test_processes_that_see_other_data_or_another_version_are_refused(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "m1"

    def of_other_settings(processes: Processes) -> None:
        asked = m1_settings(tiny_dataset, run, learning_rate=1e-3 * (1 + processes.rank))
        train_m1(asked, processes=processes)

    def of_another_version(processes: Processes) -> None:
        monkeypatch.setattr("hsi_ssl.training.stage.__version__", f"0.{processes.rank}")
        train_m1(m1_settings(tiny_dataset, run), processes=processes)

    def of_a_missing_dataset(processes: Processes) -> None:
        asked = m1_settings(tiny_dataset, run)
        gone = tmp_path / "gone.h5"
        where = asked if processes.first else asked.model_copy(update={"dataset": gone})
        train_m1(where, processes=processes)

    first, second = together(of_other_settings)
    assert isinstance(first, ProcessError)
    assert "process 1 of 2" in str(first)
    assert "another settings (checksum" in str(first)
    assert isinstance(second, ToldElsewhereError)
    first, _ = together(of_another_version)
    assert "another version of hsi-ssl (0.1, process 0 0.0)" in str(first)
    first, second = together(of_a_missing_dataset)
    assert "process 1 of 2 has stopped: " in str(first)
    assert "gone.h5" in str(first)
    assert not run.exists()


def test_one_more_scene_is_other_data(tiny_dataset: Dataset, tmp_path: Path) -> None:
    settings = m1_settings(tiny_dataset, tmp_path)
    known = facts_of(settings, tiny_dataset, None)
    sums = tiny_dataset.spectra_checksums
    assert sums is not None
    other = replace(tiny_dataset, spectra_checksums=(*sums[:-1], sums[-1] + 1))
    apart = facts_of(settings, other, None)
    assert [name for name in known if known[name] != apart[name]] == ["dataset"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_dies_or_hangs_ends_the_others_with_a_state_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(heartbeat, "SILENT_LOOKS", 2)
    monkeypatch.setattr("hsi_ssl.training.loop.SECONDS_BETWEEN_STATES", 0.0)
    run = tmp_path / "run"

    def end_once_there_is_a_state() -> None:
        while not (run / "last/state.safetensors").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    def does(processes: Processes) -> None:
        if processes.rank == 1:
            threading.Thread(target=end_once_there_is_a_state, daemon=True).start()
        two_sets(run, processes, 500)

    started = time.monotonic()
    error, gone = together(does, silent=(1,))
    assert time.monotonic() - started < 30
    assert gone is None
    assert isinstance(error, ProcessError)
    assert ("has not been heard of" if number == signal.SIGSTOP else "has ended") in str(error)
    assert "is saved; --resume goes on from there" in str(error)
    epochs = len(curve(run)["bound_batch"]) + 2
    with one_thread():
        two_sets(run, ALONE, epochs, resume=True)
        two_sets(tmp_path / "one", ALONE, epochs)
    assert_same(tmp_path / "one", run)


def test_several_are_refused_what_one_does(tiny_dataset: Dataset, tmp_path: Path) -> None:
    class Two(Processes):
        size = 2

    for extractor, why in (("pca", "no steps"), ("sparse-entropy", "as a whole")):
        with pytest.raises(SettingsError, match=why):
            train_m1(m1_settings(tiny_dataset, tmp_path, extractor=extractor), processes=Two())
    lvq = M2Settings(dataset=tiny_dataset.path, output=tmp_path / "m2", m1=None, model="lvq")
    with pytest.raises(SettingsError, match="by one process"):
        train_m2(lvq, processes=Two())


@pytest.mark.parametrize(
    "said",
    [
        {"RANK": "0"},
        {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
        {"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
        {"RANK": "1", "WORLD_SIZE": "2"},
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
) -> None:
    assert place_in_environment() == (0, 1)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="start them with torchrun"):
        place_in_environment()


@pytest.mark.slow
def test_one_that_waits_for_others_in_vain_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsi_ssl.training.processes.COMING", timedelta(seconds=1))
    for name, value in environment(0, 3, free_port()).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ProcessError, match="3 processes did not meet"), joined():
        pass
