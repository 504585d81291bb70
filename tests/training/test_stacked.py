"""A stacked auto-encoder's training: layer by layer, the whole, and going on where it was cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from hearing import Hears

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import ModelError
from hsi_ssl.settings import M1Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.watcher import Watcher

pytestmark = pytest.mark.slow


def settings(dataset: Dataset, run: Path, **more: object) -> M1Settings:
    own = {"layer_epochs": 3}
    small = {"latent": 3, "hidden": (8, 6), "batch": 64, "epochs": 3, "options": own}
    return M1Settings.model_validate(
        {"dataset": dataset.path, "output": run, "extractor": "stacked", **small, **more}
    )


class Cut(Watcher):
    """Interrupts once a sentence has been said some times."""

    def __init__(self, sentence: str, times: int) -> None:
        self.sentence, self.left = sentence, times

    def say(self, sentence: str) -> None:
        self.left -= sentence.startswith(self.sentence)
        if not self.left:
            raise KeyboardInterrupt

    def stands(self, sentence: str) -> None:
        self.say(sentence)


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def test_each_layer_then_the_whole(tiny_dataset: Dataset, tmp_path: Path, hears: Hears) -> None:
    train_m1(settings(tiny_dataset, tmp_path / "m1"), watcher=hears)
    said = [s for s in hears.said if s.startswith(("layer", "stacked", "the whole"))]
    assert said == [
        "stacked auto-encoder 12-8-6-3, on 780 spectra (657 of them unlabelled), cpu",
        "layer 1:", "layer 2:", "layer 3:", "the whole:",
    ]  # fmt: skip
    logs = [tmp_path / "m1" / "last" / f"phase-{k}" / "last" / "metrics.csv" for k in (1, 2, 3)]
    assert all(len(log.read_text().splitlines()) == 4 for log in logs)


# In the second and the third layer, as its training begins; in the whole after its first epoch.
@pytest.mark.parametrize(("sentence", "times"), [("layer 2", 1), ("layer 3", 1), ("epoch 1 of", 4)])
def test_a_cut_run_resumed_is_the_unbroken_one(
    tiny_dataset: Dataset, tmp_path: Path, sentence: str, times: int
) -> None:
    train_m1(settings(tiny_dataset, tmp_path / "whole"))
    cut = settings(tiny_dataset, tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        train_m1(cut, watcher=Cut(sentence, times))
    train_m1(cut, resume=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_cut_run_over_an_older_one_goes_on_with_itself(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    train_m1(settings(tiny_dataset, tmp_path / "m1"))
    anew = settings(tiny_dataset, tmp_path / "m1", seed=1)
    with pytest.raises(KeyboardInterrupt):
        train_m1(anew, overwrite=True, watcher=Cut("layer 2", 1))
    train_m1(anew, resume=True)
    train_m1(settings(tiny_dataset, tmp_path / "other", seed=1))
    assert weights(tmp_path / "m1") == weights(tmp_path / "other")


def test_another_extractor_does_not_go_on_with_layers(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_m1(settings(tiny_dataset, tmp_path / "m1"), watcher=Cut("layer 2", 1))
    other = settings(tiny_dataset, tmp_path / "m1", extractor="ae", options={})
    with pytest.raises(ModelError, match="nothing to resume"):
        train_m1(other, resume=True)


def test_layers_are_left_out_where_another_run_starts_it(
    tiny_dataset: Dataset, tmp_path: Path, hears: Hears
) -> None:
    train_m1(settings(tiny_dataset, tmp_path / "ae", extractor="ae", options={}))
    train_m1(settings(tiny_dataset, tmp_path / "m1"), init_from=tmp_path / "ae", watcher=hears)
    assert not any(said.startswith("layer") for said in hears.said)
    assert any(said.startswith("starts with the networks of auto-encoder") for said in hears.said)
