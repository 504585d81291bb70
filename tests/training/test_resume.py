"""Trainings that are killed or stopped: whatever they had saved, `--resume` completes them."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hearing import Hears
from small_runs import one_thread

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import ModelError, OutputError
from hsi_ssl.inference.checkpoint import has_state, nothing_saved
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.stopping import Stopped
from hsi_ssl.training.loop import _length
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

SMALL: dict[str, Any] = {"hidden": (8,), "latent": 3, "epochs": 3, "patience": 50, "device": "cpu"}
STEPS = {"batch_labelled": 30, "batch_unlabelled": 200, "supervised_epochs": 2}
Train = Callable[..., dict[str, Any]]


class Killed(BaseException):
    """As if the process had ended: nobody saves anything for it."""


class Ends(Hears):
    """Raises when it is told for the n-th time how the work goes on, or of the n-th epoch."""

    def __init__(self, error: BaseException, *, advice: int = 0, epoch: int = 0) -> None:
        super().__init__()
        self.error, self.advice, self.epoch = error, advice, epoch
        self.told: list[str] = []

    def if_stopped(self, sentence: str) -> None:
        self.told.append(sentence)
        if len(self.told) == self.advice:
            raise self.error

    def progress(self, what: str, done: float, total: float) -> None:
        if done == self.epoch:
            self.epoch = 0
            raise self.error


def training(dataset: Dataset, run: Path, kind: str, teacher: Path) -> Train:
    """Train into `run`, by what `kind` names."""

    def train(**how: Any) -> dict[str, Any]:
        with one_thread():
            if kind in ("vae", "pca", "stacked", "masked"):
                more = {"extractor": kind, "batch": 200}
                if kind == "stacked":
                    more |= {"options": {"layer_epochs": 2}}
                if kind == "pca":
                    more = {"extractor": kind}
                small = {k: v for k, v in SMALL.items() if kind != "pca" or k == "latent"}
                return train_m1(
                    M1Settings(dataset=dataset.path, output=run, **small, **more), **how
                )
            more = {
                "model": kind,
                "m1": None,
                **({"teacher": teacher} if kind == "student" else {}),
            }
            return train_m2(
                M2Settings(dataset=dataset.path, output=run, **SMALL, **STEPS, **more), **how
            )

    return train


def epochs(run: Path) -> list[int]:
    with (run / "metrics.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", "stacked", "masked", "m2", "perceptron", "gan", "student"])
@pytest.mark.parametrize("at", [{"advice": 1}, {"epoch": 1}])
def test_killed_before_it_saved_anything_it_begins_anew(
    tiny_dataset: Dataset, m2_run: Path, tmp_path: Path, kind: str, at: dict[str, int]
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    training(tiny_dataset, whole, kind, m2_run)()
    train = training(tiny_dataset, cut, kind, m2_run)
    with pytest.raises(Killed):
        train(watcher=Ends(Killed(), **at))
    (cut / "last").mkdir(parents=True, exist_ok=True)  # what is empty goes, but not after a kill
    with pytest.raises(OutputError, match="ended before it had saved anything; --resume begins"):
        train()
    hears = Hears()
    train(resume=True, watcher=hears)
    assert f"nothing is saved in {cut} yet: training begins anew" in hears.said
    assert weights(cut) == weights(whole)
    assert epochs(cut) == epochs(whole) == [1, 2, 3]
    assert {p.name for p in cut.iterdir()} == {p.name for p in whole.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", "stacked", "m2", "gan"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped(15)])
def test_stopped_it_saves_the_last_epoch(
    tiny_dataset: Dataset, m2_run: Path, tmp_path: Path, kind: str, error: BaseException
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    training(tiny_dataset, whole, kind, m2_run)()
    train = training(tiny_dataset, cut, kind, m2_run)
    watcher = Ends(error, epoch=2)  # with phases, of the first one
    with pytest.raises(type(error)):
        train(watcher=watcher)
    assert watcher.told[-1] == "epoch 2 is saved; --resume goes on from there"
    with pytest.raises(OutputError, match="--resume continues it"):
        train()
    train(resume=True)
    assert weights(cut) == weights(whole)
    assert epochs(cut) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vae", "stacked", "m2", "gan", "pca"])
def test_stopped_before_anything_is_saved_it_says_what_works(
    tiny_dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    run = tmp_path / "run"
    train = training(tiny_dataset, run, kind, tmp_path)
    watcher = Ends(Stopped(2), advice=1)
    with pytest.raises(Stopped):
        train(watcher=watcher)
    assert watcher.told == [
        f"nothing of this training is saved in {run} yet; --resume begins it anew"
    ]
    train(resume=True)
    before = (run / "model.json").read_bytes()
    watcher = Ends(Stopped(2), advice=1)
    with pytest.raises(Stopped):
        train(watcher=watcher, overwrite=True)
    (said,) = watcher.told
    assert f"{run} holds the model that it held before" in said
    assert "the same command begins again" in said
    assert "--resume" not in said  # which is refused where a model is
    assert (run / "model.json").read_bytes() == before
    with pytest.raises(ModelError, match="nothing to resume"):
        train(resume=True)
    train(overwrite=True)


class EndsInTheSecondPart(Ends):
    """Raises at the first progress after the first part has said what it keeps."""

    def progress(self, what: str, done: float, total: float) -> None:
        if any(sentence.startswith("kept") for sentence in self.said):
            raise self.error


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stacked", "m2"])
def test_stopped_between_its_parts_it_goes_on_after_the_first(
    tiny_dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    training(tiny_dataset, whole, kind, tmp_path)()
    train = training(tiny_dataset, cut, kind, tmp_path)
    watcher = EndsInTheSecondPart(Stopped(2))
    with pytest.raises(Stopped):
        train(watcher=watcher)
    assert re.fullmatch(r"epoch \d is saved; --resume goes on from there", watcher.told[-1])
    assert nothing_saved(cut) == f"what comes before is saved in {cut}; --resume goes on from there"
    hears = Hears()
    train(resume=True, watcher=hears)
    assert not any("begins anew" in sentence for sentence in hears.said)
    assert weights(cut) == weights(whole)


def test_a_closed_form_begins_anew_too(tiny_dataset: Dataset, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    training(tiny_dataset, whole, "pca", whole)()
    train = training(tiny_dataset, cut, "pca", whole)

    def draw(*_: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(draw=draw)
    (cut / "last").mkdir(parents=True)
    shutil.copy(whole / "model.safetensors", cut)  # killed between weights and card
    (cut / ".model.json-abcdefgh.part").mkdir()
    with pytest.raises(OutputError, match="--resume begins it anew"):
        train()
    train(resume=True)
    assert weights(cut) == weights(whole)
    with pytest.raises(ModelError, match=r"nothing to resume .* holds a trained model"):
        train(resume=True)
    with pytest.raises(OutputError, match="holds a trained model; pass --overwrite"):
        train()


def test_where_nothing_is_it_begins_and_says_so(tiny_dataset: Dataset, tmp_path: Path) -> None:
    hears = Hears()
    training(tiny_dataset, tmp_path / "m1", "vae", tmp_path)(resume=True, watcher=hears)
    assert f"nothing is saved in {tmp_path / 'm1'} yet: training begins anew" in hears.said


@pytest.mark.parametrize("other", ["notes.txt", "config.json"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_somebody_else_is_left_alone(
    tiny_dataset: Dataset, tmp_path: Path, other: str, resume: bool
) -> None:
    run = tmp_path / "m1"
    (run / "last").mkdir(parents=True)
    (run / "model.safetensors").write_bytes(b"somebody's")
    (run / other).write_text("mine")
    with pytest.raises(OutputError, match="holds other files; name a new folder"):
        training(tiny_dataset, run, "vae", run)(resume=resume)
    assert weights(run) == b"somebody's"


def test_weights_alone_are_somebody_elses(tiny_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="holds other files"):
        training(tiny_dataset, tmp_path, "vae", tmp_path)(resume=True)


def test_over_an_older_run_nothing_of_it_is_gone_on_with(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "m1"
    training(tiny_dataset, run, "stacked", run)()
    old = weights(run)
    with pytest.raises(Killed):
        training(tiny_dataset, run, "vae", run)(overwrite=True, watcher=Ends(Killed(), advice=1))
    assert not has_state(run, ["last/phase-1", "last/phase-2"])
    assert weights(run) == old
    with pytest.raises(ModelError, match="pass --overwrite to train anew"):
        training(tiny_dataset, run, "vae", run)(resume=True)
    training(tiny_dataset, run, "pca", run)(overwrite=True)
    assert not (run / "metrics.csv").exists()  # principal components have no epochs


HEAD, ONE, TWO, THREE = b"epoch,step\r\n", b"1,30\r\n", b"2,60\r\n", b"3,90\r\n"


@pytest.mark.parametrize(
    ("log", "epoch", "kept"),
    [
        (HEAD + ONE + TWO + THREE, 2, HEAD + ONE + TWO),
        (HEAD + ONE + TWO, 2, HEAD + ONE + TWO),
        (HEAD + ONE + TWO + b"3,9", 2, HEAD + ONE + TWO),
        (HEAD + ONE + b"2,6", 2, HEAD + ONE),
        (HEAD + ONE + TWO, 0, b""),
        (HEAD + ONE + ONE + TWO, 2, HEAD + ONE),
        (b"", 2, b""),
    ],
)
def test_a_log_keeps_each_epoch_once(log: bytes, epoch: int, kept: bytes) -> None:
    assert log[: _length(log, epoch)] == kept
