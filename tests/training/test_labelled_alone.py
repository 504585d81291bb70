"""The same model on labelled pixels alone: what it sees, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_runs import small_m2_settings

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import SettingsError
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_stage import train_m2


def test_only_training_pixels_are_seen_and_all_count_in_the_prior(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    both, alone = (
        M2Data(
            tiny_dataset,
            small_m2_settings(tiny_dataset, tmp_path / "run", unlabelled=unlabelled),
            None,
            torch.device("cpu"),
        )
        for unlabelled in (True, False)
    )
    trained = tiny_dataset.rows(Part.TRAIN)
    assert alone.rows.tolist() == trained.tolist()
    assert len(alone.y) == len(alone.every) == len(trained) < len(both.every)
    assert alone.unlabelled == 0 < both.unlabelled
    assert alone.there == both.there == both.pixels


@pytest.mark.parametrize("asked", [{"free_slots": 2}, {"propagation": 1.0, "first_teacher": False}])
def test_what_is_for_unlabelled_pixels_is_refused_without_them(
    tiny_dataset: Dataset, tmp_path: Path, asked: dict[str, float]
) -> None:
    run = tmp_path / "run"
    wanted = small_m2_settings(tiny_dataset, run, unlabelled=False, **asked)
    with pytest.raises(SettingsError, match="is for unlabelled pixels"):
        train_m2(wanted)
    assert not (run / "model.json").exists()
