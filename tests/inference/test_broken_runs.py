"""Run folders that are not as they were written, by a bit, by hand or by structure, are refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mutating import flipped, mutated
from safetensors.torch import save_file

from hsi_ssl.checksums import CHECKSUMS, sealed
from hsi_ssl.errors import HsiSslError, ModelError
from hsi_ssl.inference.checkpoint import (
    CARD,
    STATE,
    WEIGHTS,
    amend_label_sets,
    load_run,
    load_state,
    save_card,
    save_state,
)
from hsi_ssl.inference.classifier import load_classifiers
from hsi_ssl.inference.discovered import DiscoveredSlot, load_discovered, save_discovered
from hsi_ssl.labels.label_set import LabelClass
from hsi_ssl.maps.bands import ModelBands

OLD = Path(__file__).with_name("runs_of_0_1")
BANDS = 12


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of M1+M2 with a card of today."""
    folder = tmp_path / "run"
    shutil.copytree(OLD / "m1m2", folder)
    card, tensors = load_run(folder, "m2")
    save_file(tensors, folder / WEIGHTS)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    save_card(folder, {**card, "weights_sha256": digest})
    return folder


def test_a_card_that_is_as_it_was_written_is_loaded(run: Path) -> None:
    card, _ = load_run(run, "m2")
    assert CHECKSUMS not in card
    assert card["schema"] == 5
    assert len(load_classifiers(run, "cpu")) == 1


def test_a_changed_number_is_named_and_the_way_on(run: Path) -> None:
    card = json.loads((run / CARD).read_text())
    card["label_sets"][0]["temperature"]["classifier"] = 2.5
    (run / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"label_sets differ; .* set checksums in it to null"):
        load_classifiers(run, "cpu")
    with pytest.raises(ModelError, match="label_sets differ"):  # and not sealed anew
        amend_label_sets(run, [{"spatial_tuned": {"strength": 1.0}}])
    (run / CARD).write_text(json.dumps({**card, CHECKSUMS: None}))
    assert load_classifiers(run, "cpu")[0].temperature == 2.5


def test_a_card_in_another_layout_is_the_same(run: Path) -> None:
    card = json.loads((run / CARD).read_text())
    (run / CARD).write_text(json.dumps(dict(reversed(card.items())), indent=4))
    assert len(load_classifiers(run, "cpu")) == 1


def test_checksums_that_are_gone_are_missed(run: Path) -> None:
    card = json.loads((run / CARD).read_text())
    del card[CHECKSUMS]
    (run / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="checksums differ"):
        load_run(run, "m2")


def test_what_is_amended_is_sealed_again(run: Path) -> None:
    amend_label_sets(run, [{"spatial_tuned": {"strength": 0.25}}])
    assert load_classifiers(run, "cpu")[0].card["spatial_tuned"] == {"strength": 0.25}


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_flipped_bit_is_noticed(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    known, _ = load_run(run, "m2")
    for seed in range(60):
        (run / name).write_bytes(flipped(whole, seed))
        try:
            card, _ = load_run(run, "m2")
        except ModelError:
            continue
        assert name == CARD, seed
        assert card == known, seed  # a space has become a tab


@pytest.mark.parametrize("name", ["m2", "two", "gm-dgm"])
@pytest.mark.slow
def test_whatever_is_changed_in_a_card_is_a_sentence_or_a_model(name: str, tmp_path: Path) -> None:
    """Cards whose checksums are right, as a stranger would write them."""
    folder = tmp_path / "run"
    shutil.copytree(OLD / name, folder)
    card, _ = load_run(folder, "m2")
    old = json.loads((folder / CARD).read_text())
    for seed in range(60):
        of_today = seed % 2 == 0  # and of 0.1, which is converted first
        what, changed = mutated(card if of_today else old, seed)
        (folder / CARD).write_text(json.dumps(sealed(changed)))
        try:
            used(folder)
        except HsiSslError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: {error}") from error


def used(folder: Path) -> None:
    for classifier in load_classifiers(folder, "cpu"):
        p = classifier.posterior(np.ones((2, BANDS), np.float32))
        assert p.shape[0] == 2
        ModelBands.from_card(classifier.card)
        assert len(classifier.label_set) > 1


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "{", '{"schema": NaN}', '{"a": 1, "a": 2}', '{"schema": 1e999}',
        '{"schema": %s}' % ("9" * 5000), "[" * 100_000, '{"schema": "\\ud800"}', "\x00\xff",
        '{"schema": 99}', '{"schema": true}', '{"schema": 4, "kind": []}',
    ],
)  # fmt: skip
def test_what_is_no_card_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError):
        load_run(tmp_path, "m2")


def state(run: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors = {
        "now.w": torch.arange(12.0).reshape(3, 4),
        "adam.step": torch.tensor(3.0),
        "generator": torch.arange(9, dtype=torch.uint8),
    }
    values = {"progress": {"epoch": 3, "best": float("-inf")}, "identity": {"seed": 0}}
    save_state(run, tensors, values)
    return tensors, values


@pytest.mark.slow
def test_a_state_with_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    tensors, values = state(tmp_path)
    found, said = load_state(tmp_path, torch.device("cpu"))
    assert said == values
    assert all(torch.equal(found[name], t) for name, t in tensors.items())
    whole = (tmp_path / STATE).read_bytes()
    for seed in range(200):
        (tmp_path / STATE).write_bytes(flipped(whole, seed))
        try:
            found, said = load_state(tmp_path, torch.device("cpu"))
        except ModelError:
            continue
        assert said == values, seed
        assert all(torch.equal(found[name], t) for name, t in tensors.items()), seed


@pytest.mark.slow
def test_what_was_discovered_with_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    card = {"weights_sha256": "0" * 64}
    groups = [DiscoveredSlot(4, LabelClass(33, "halite", "#aabbcc"))]
    save_discovered(tmp_path, card, groups)
    assert load_discovered(tmp_path, card) == (*groups,)
    place = tmp_path / "discovered.json"
    whole = place.read_bytes()
    for seed in range(150):
        place.write_bytes(flipped(whole, seed))
        try:
            assert load_discovered(tmp_path, card) == (*groups,), seed
        except ModelError:
            continue
