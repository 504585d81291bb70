"""A small trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.reports.figures import draw_generated
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2


@pytest.fixture(scope="session")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small M2 trained on the tiny dataset, with its figure of generated spectra."""
    folder = tmp_path_factory.mktemp("runs") / "m2"
    small = M2Settings(
        dataset=tiny_dataset.path,
        output=folder,
        m1=None,
        latent=3,
        hidden=(32,),
        epochs=40,
        alpha=100.0,
        batch_labelled=30,
        batch_unlabelled=100,
        device="cpu",
    )

    def draw(panels: Any, wavelengths_nm: Any, unit: str) -> None:
        draw_generated(folder / "figures" / "generated.png", wavelengths_nm, panels, unit)

    # One thread: a model this small gains nothing from two, and on a busy machine loses much.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_m2(small, draw=draw)
    torch.set_num_threads(threads)
    return folder
