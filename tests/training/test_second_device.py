"""Trainings on a device that is not the CPU: the CPU's numbers, and no step that waits.

The device is made of Python (`second_device.py`), so that this is known without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from little_work import few_steps
from safetensors.torch import load_file
from second_device import Seen, counted, other
from small_runs import one_thread

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.store import Dataset, write_dataset
from hsi_ssl.inference import checkpoint
from hsi_ssl.inference.checkpoint import WEIGHTS
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training import loop
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

pytestmark = pytest.mark.slow

FEW = {"hidden": (16,), "epochs": 1}
ROUNDED = {"contractive": 1e-5, "m2": 1e-5, "gradient of U": 1e-5}
"""Whose products torch takes in another order, by how matrices lie in memory."""
OWN: dict[str, dict[str, Any]] = {
    "position": {"latent": 5},
    "stacked": {"hidden": (16, 8), "options": {"layer_epochs": 1}},
    "relational": {"options": {"penalty": 0.5}},
}
STREAMED = "read in every epoch"
M2: dict[str, dict[str, Any]] = {
    "m2": {},
    "gm-dgm": {"model": "gm-dgm", "predict": "bayes", "average": 0.9, "first_teacher": False},
    "gradient of U": {"stop_gradient": 0.5, "exact_classes": 1, "samples": 2},
    "graph, steady, balanced": {"propagation": 0.5, "steadiness": 1.0, "balance": 1.0},
    "free slots": {"free_slots": 2, "model": "gm-dgm"},
    "labels after z": {"generation": ("z", "y | z", "x | z"), "inference": ("z", "y | z")},
    "labels alone": {"unlabelled": False},
    STREAMED: {"stream": True, "first_teacher": False},
}
OTHERS = ("perceptron", "autoencoder", "gan", "lvq", "multi-task")


@pytest.fixture(scope="module")
def placed(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The tiny dataset with each pixel's neighbours."""
    own = tiny_dataset
    names = ("label", "part", "scene", "pixel", "unit")
    return write_dataset(
        tmp_path_factory.mktemp("placed") / "dataset.h5",
        spectra=own.spectra(),
        neighbours=neighbour_table(own.scene, own.pixel),
        meta=own.meta,
        **{name: getattr(own, name) for name in names},
    )


class Watched:
    """How often each epoch's steps, and each state that is saved, had to wait."""

    def __init__(self, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self.states = list[int](), list[int]()
        steps, save = loop._Loop._steps, checkpoint.save_state
        monkeypatch.setattr(loop._Loop, "_steps", counted(seen, steps, self.steps))
        monkeypatch.setattr(loop, "save_state", counted(seen, save, self.states))


@pytest.fixture(autouse=True)
def _few_steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator of the device takes its time, and the first steps show all of them."""
    if STREAMED not in request.node.name:  # larger batches of it are rounded otherwise
        few_steps(monkeypatch)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with one_thread(), other() as seen:
        yield Watched(seen, monkeypatch)


def m1(dataset: Dataset, output: Path, device: str, *, resume: bool = False, **more: Any) -> Path:
    given = {"latent": 4, "batch": 128, **FEW, **more}
    settings = M1Settings(dataset=dataset.path, output=output, device=device, **given)
    train_m1(settings, resume=resume)
    return output


def m2(dataset: Dataset, output: Path, device: str, **more: Any) -> Path:
    given = {"m1": None, "latent": 2, "supervised_epochs": 1, "novelty_samples": 2, **FEW, **more}
    train_m2(M2Settings(dataset=dataset.path, output=output, device=device, **given))
    return output


def assert_the_same(one: Path, two: Path, *, rtol: float = 0) -> None:
    """To the last digit, unless a relative error is let pass."""
    mine, yours = (load_file(run / WEIGHTS) for run in (one, two))
    assert mine.keys() == yours.keys()
    torch.testing.assert_close(mine, yours, rtol=rtol, atol=rtol, equal_nan=True)


def assert_nothing_waits(watched: Watched, epochs: int) -> None:
    """But for one look at an epoch's costs, and one copy of a state that is saved."""
    assert watched.steps == [0] * (len(watched.steps) - epochs) + [1] * epochs
    assert watched.states
    assert set(watched.states) <= {0, 1}


@pytest.mark.parametrize("name", sorted(EXTRACTORS))
def test_extractors(name: str, tiny_dataset: Dataset, tmp_path: Path, watched: Watched) -> None:
    more = {"extractor": name, **OWN.get(name, {})}
    here = m1(tiny_dataset, tmp_path / "cpu", "cpu", **more)
    before = len(watched.steps)
    there = m1(tiny_dataset, tmp_path / "other", "other", **more)
    assert_the_same(here, there, rtol=ROUNDED.get(name, 0))
    if not EXTRACTORS.find(name).closed_form:
        assert_nothing_waits(watched, len(watched.steps) - before)


@pytest.mark.parametrize("name", M2)
def test_presets(name: str, placed: Dataset, tmp_path: Path, watched: Watched) -> None:
    here = m2(placed, tmp_path / "cpu", "cpu", **M2[name])
    before = len(watched.steps)
    there = m2(placed, tmp_path / "other", "other", **M2[name])
    assert_the_same(here, there, rtol=ROUNDED.get(name, 0))
    assert_nothing_waits(watched, len(watched.steps) - before)


def test_several_label_sets(two_label_sets: Dataset, tmp_path: Path, watched: Watched) -> None:
    here = m2(two_label_sets, tmp_path / "cpu", "cpu", stop_gradient=0.5)
    before = len(watched.steps)
    there = m2(two_label_sets, tmp_path / "other", "other", stop_gradient=0.5)
    assert_the_same(here, there)
    assert_nothing_waits(watched, len(watched.steps) - before)


def test_m1_below_m2(placed: Dataset, tmp_path: Path, watched: Watched) -> None:
    below = m1(placed, tmp_path / "m1", "cpu")
    here = m2(placed, tmp_path / "cpu", "cpu", m1=below)
    before = len(watched.steps)
    there = m2(placed, tmp_path / "other", "other", m1=below)
    assert_the_same(here, there)
    assert_nothing_waits(watched, len(watched.steps) - before)
    assert load_m1(below, "other").device.type == "other"


@pytest.mark.parametrize("name", OTHERS)
def test_other_classifiers(
    name: str, tiny_dataset: Dataset, tmp_path: Path, watched: Watched
) -> None:
    here = m2(tiny_dataset, tmp_path / "cpu", "cpu", model=name)
    before = len(watched.steps)
    there = m2(tiny_dataset, tmp_path / "other", "other", model=name)
    assert_the_same(here, there)
    if name != "lvq":
        assert_nothing_waits(watched, len(watched.steps) - before)


def test_students(tiny_dataset: Dataset, tmp_path: Path, watched: Watched) -> None:
    teacher = m2(tiny_dataset, tmp_path / "teacher", "cpu")
    more = {"model": "student", "teacher": teacher}
    here = m2(tiny_dataset, tmp_path / "cpu", "cpu", **more)
    before = len(watched.steps)
    there = m2(tiny_dataset, tmp_path / "other", "other", **more)
    assert_the_same(here, there)
    assert_nothing_waits(watched, len(watched.steps) - before)


def test_what_a_device_began_goes_on_on_another_as_if_unbroken(
    tiny_dataset: Dataset, tmp_path: Path, watched: Watched
) -> None:
    steady: dict[str, Any] = {"decay": "constant"}
    whole = m1(tiny_dataset, tmp_path / "whole", "cpu", epochs=2, **steady)
    broken = m1(tiny_dataset, tmp_path / "broken", "other", **steady)
    m1(tiny_dataset, broken, "cpu", resume=True, epochs=2, **steady)
    assert_the_same(whole, broken)
    assert watched.steps == [0, 0, 1, 0]


@pytest.mark.parametrize("what", ["pca", "sparse-entropy", "m2"])
def test_a_device_without_float64(what: str, placed: Dataset, tmp_path: Path) -> None:
    """What needs it is done on the CPU."""
    with one_thread(), other(float64=False):
        runs = [
            m2(placed, tmp_path / device, device)
            if what == "m2"
            else m1(placed, tmp_path / device, device, extractor=what)
            for device in ("cpu", "other")
        ]
    assert_the_same(*runs, rtol=ROUNDED.get(what, 0))


def test_two_devices_are_not_mixed() -> None:
    """The device itself: it would be of no use if it took everything."""
    with other() as seen:
        here, there = torch.ones(3), torch.ones(3, device="other")
        with pytest.raises(RuntimeError, match="two devices"):
            torch.mul(there, here)
        with pytest.raises(RuntimeError, match="generator of another device"):
            torch.randn(3, device="other", generator=torch.Generator())
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert float((there * 2).sum()) == 6
        assert there[there > 0].tolist() == [1, 1, 1]
        assert seen.waits.total() == 3
        assert seen.uploads.total() == 0
    with pytest.raises(RuntimeError, match="not there"):
        torch.mul(there, 2)
