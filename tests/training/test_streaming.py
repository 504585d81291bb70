"""Spectra that are read in every epoch: each once, well mixed, checked, and as if from memory."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hearing import Hears
from small_runs import one_thread
from together import together

from hsi_ssl.datasets.checked_rows import CHUNK_ROWS, READ_ROWS
from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.errors import DatasetError, ModelError, SettingsError
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training import memory, streaming
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.memory import Amount
from hsi_ssl.training.stage import standard_deviation
from hsi_ssl.training.streaming import StreamedInputs

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"hidden": (16,), "latent": 3, "device": "cpu"}
BATCHES = {"batch_labelled": 30, "batch_unlabelled": 100, "supervised_epochs": 3}


class Numbers:
    """Pixels whose one column is their row in the dataset; keeps what was read."""

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        self.read: list[int] = []
        self.inputs = StreamedInputs(rows, self._read, 1, CPU)

    def _read(self, rows: np.ndarray[Any, Any]) -> Inputs:
        self.read.append(len(rows))
        return Inputs(torch.from_numpy(rows.astype(np.float32))[:, None])


def test_each_pixel_comes_once_in_even_batches_with_its_own_spectrum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "BUFFER", 4)
    rows = np.concatenate([np.arange(500, 900), np.arange(1000, 14_000, 2)])
    pixels = Numbers(rows)
    wanted = torch.arange(3, len(rows))
    batches = list(pixels.inputs.shuffled(wanted, 300, torch.Generator().manual_seed(0)))
    assert [len(found) for found, _, _ in batches] == [300] * 20 + [299] * 3
    for found, inputs, at in batches:
        assert torch.equal(inputs.mean[at, 0], torch.from_numpy(rows)[found].float())
    every = torch.cat([found for found, _, _ in batches])
    assert torch.equal(every.sort().values, wanted)
    assert max(pixels.read) <= streaming.PIECE * CHUNK_ROWS


def test_batches_are_mixed_from_many_chunks_and_anew_each_time() -> None:
    rows = np.arange(200 * CHUNK_ROWS)
    pixels, generator = Numbers(rows), torch.Generator().manual_seed(0)
    epochs = [
        [found for found, _, _ in pixels.inputs.shuffled(torch.arange(len(rows)), 512, generator)]
        for _ in range(2)
    ]
    chunks = [len(torch.unique(batch // CHUNK_ROWS)) for batch in epochs[0]]
    assert chunks[0] == streaming.FIRST
    few = 7 * streaming.FIRST * CHUNK_ROWS // 512  # of 8, 16 and 32 chunks
    for found in chunks[few : few + 250 : 50]:
        assert found > 0.9 * streaming.BUFFER * (1 - np.exp(-512 / streaming.BUFFER))
    assert not torch.equal(epochs[0][0], epochs[1][0])
    assert max(pixels.read) <= READ_ROWS
    same = pixels.inputs.shuffled(torch.arange(len(rows)), 512, torch.Generator().manual_seed(0))
    assert torch.equal(next(same)[0], epochs[0][0])


def test_blocks_and_samples_are_in_order() -> None:
    rows = np.arange(0, 3 * READ_ROWS, 2)
    pixels = Numbers(rows)
    found = torch.cat([some.mean[:, 0] for some in pixels.inputs.blocks(1000)])
    assert torch.equal(found, torch.from_numpy(rows).float())
    assert torch.equal(pixels.inputs.some(10).mean[:, 0], found[:: -(-len(rows) // 10)])


def test_it_is_streamed_where_memory_would_hardly_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    free = memory.free_bytes(CPU)
    assert free is not None
    assert free > 10_000_000
    assert not Amount(10, 1000, None).streamed(CPU)
    assert Amount(10, free, None).streamed(CPU)
    assert Amount(1, 1, True).streamed(CPU)
    assert not Amount(10, free, False).streamed(CPU)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert Amount(10, free // 20, None).streamed(CPU)


def test_the_spread_of_pieces_is_that_of_the_whole() -> None:
    x = np.random.default_rng(0).normal(1000, 3, (1000, 4)).astype(np.float32)
    found = standard_deviation(iter(np.array_split(x, 7)), 4)
    np.testing.assert_allclose(found, x.std(0, dtype=np.float64), rtol=1e-6)


def m1_settings(dataset: Dataset, run: Path, **more: Any) -> M1Settings:
    return M1Settings.model_validate(
        {"dataset": dataset.path, "output": run, "batch": 90, "decay": "constant", **SMALL, **more}
    )


def m2_settings(dataset: Dataset, run: Path, **more: Any) -> M2Settings:
    plain = {"dataset": dataset.path, "output": run, "m1": None}
    return M2Settings.model_validate({**plain, **BATCHES, **SMALL, **more})


def bounds(run: Path) -> list[str]:
    with (run / "metrics.csv").open() as file:
        return [row["bound_batch"] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_m1_learns_from_a_stream_as_from_memory(tiny_dataset: Dataset, tmp_path: Path) -> None:
    with one_thread():
        cards = [
            train_m1(m1_settings(tiny_dataset, tmp_path / name, epochs=15, stream=name == "stream"))
            for name in ("memory", "stream")
        ]
    kept, read = (card["metrics"]["bound_train"] for card in cards)
    assert read == pytest.approx(kept, rel=0.1)


@pytest.mark.slow
def test_m2_learns_from_a_stream_as_from_memory(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    for m1 in (None, m1_run):
        hears = Hears()
        with one_thread():
            card = train_m2(
                m2_settings(tiny_dataset, tmp_path / "m2", epochs=10, stream=True, m1=m1),
                watcher=hears,
                overwrite=True,
            )
        assert any("are read from the dataset in every epoch (as asked)" in s for s in hears.said)
        metrics = card["label_sets"][0]["metrics"]
        assert metrics["validation"]["macro_f1"] > 0.95


@pytest.mark.slow
def test_a_streamed_training_goes_on_bit_by_bit(tiny_dataset: Dataset, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    with one_thread():
        train_m1(m1_settings(tiny_dataset, whole, epochs=4, stream=True))
        train_m1(m1_settings(tiny_dataset, run, epochs=2, stream=True))
        train_m1(m1_settings(tiny_dataset, run, epochs=4, stream=True), resume=True)
        assert bounds(run) == bounds(whole)
        with pytest.raises(ModelError, match="other streamed"):
            train_m1(m1_settings(tiny_dataset, run, epochs=6), resume=True)


@pytest.mark.slow
def test_two_processes_stream_as_one_does(tiny_dataset: Dataset, tmp_path: Path) -> None:
    one, two = (m2_settings(tiny_dataset, tmp_path / n, epochs=3, stream=True) for n in "ab")
    with one_thread():
        train_m2(one)
    together(lambda processes: str(train_m2(two, processes=processes)["kind"]))
    for ours, theirs in zip(bounds(one.output), bounds(two.output), strict=True):
        assert float(theirs) == pytest.approx(float(ours), rel=1e-4)


def test_damage_is_noticed_while_spectra_are_streamed(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    damaged = tmp_path / "dataset.h5"
    content = bytearray(tiny_dataset.path.read_bytes())
    spectra = tiny_dataset.spectra()
    place = content.index(spectra[700:702].tobytes())
    content[place] ^= 1
    damaged.write_bytes(content)
    dataset = open_dataset(damaged)

    def read(rows: np.ndarray[Any, Any]) -> Inputs:
        return Inputs(torch.from_numpy(dataset.scaled(rows)))

    pixels = StreamedInputs(np.arange(len(dataset)), read, dataset.scaler.width, CPU)
    with pytest.raises(DatasetError, match="not those that were written"):
        list(pixels.shuffled(torch.arange(len(dataset)), 100, torch.Generator()))


def test_what_looks_at_all_spectra_at_once_is_refused_to_stream(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    for more in ({"propagation": 1.0}, {"free_slots": 2}):
        with pytest.raises(SettingsError, match="looks at all spectra at once"):
            train_m2(m2_settings(tiny_dataset, tmp_path / "m2", stream=True, **more))
    assert not (tmp_path / "m2").exists()
