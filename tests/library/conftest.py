"""A run on a small scene, a classifier, and one thread, on which small models train fastest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from fields import SMALL, Fields

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.library.classifying import SemiSupervisedClassifier
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def run_folder(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """M2 on the tiny dataset: classes 2, 7 and 32 on 12 bands from 1000 to 2500 nm."""
    run = tmp_path_factory.mktemp("runs") / "m2"
    train_m2(
        M2Settings(
            dataset=tiny_dataset.path,
            output=run,
            m1=None,
            device="cpu",
            hidden=(16,),
            latent=3,
            hidden_classifier=(32,),
            epochs=3,
            supervised_epochs=10,
        )
    )
    return run


@pytest.fixture(scope="session")
def cube(tiny_dataset: Dataset) -> npt.NDArray[np.uint16]:
    """The tiny dataset's own scene, 40 x 30 x 12: classes lie in columns 0-9, 10-19, 20-29."""
    found: npt.NDArray[np.uint16] = tiny_dataset.spectra().reshape(40, 30, 12)
    return found


@pytest.fixture(scope="session")
def fields() -> Fields:
    return Fields.drawn()


@pytest.fixture(scope="session")
def spatial(fields: Fields) -> SemiSupervisedClassifier:
    """A classifier that learnt with positions, and predicts with a prior of strength 1.

    It remembers what it has warned of: who has it warn takes a copy.
    """
    made = SemiSupervisedClassifier(**SMALL, scaling="standard", spatial=1.0)
    return made.fit(fields.X, fields.y, positions=fields.positions)
