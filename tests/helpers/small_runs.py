"""Models trained on the tiny dataset until they tell its classes apart, for many tests to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.reports.figures import draw_generated
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.watcher import SILENT, Watcher


@contextmanager
def one_thread() -> Iterator[None]:
    """Models this small gain nothing from two threads, and on a busy machine lose much."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def small_m1(dataset: Dataset, run: Path) -> Path:
    """Train an M1; gives its folder."""
    with one_thread():
        train_m1(
            M1Settings(
                dataset=dataset.path, output=run, latent=6, hidden=(32,), batch=64, epochs=60,
                device="cpu",
            )
        )  # fmt: skip
    return run


def small_m2_settings(dataset: Dataset, run: Path, **more: object) -> M2Settings:
    """What M2 needs to learn the tiny dataset in some seconds."""
    small = {"m1": None, "latent": 3, "hidden": (32,), "epochs": 40, "alpha": 100.0}
    batches = {"batch_labelled": 30, "batch_unlabelled": 100, "device": "cpu"}
    return M2Settings(dataset=dataset.path, output=run, **{**small, **batches, **more})


def small_m2(
    dataset: Dataset, run: Path, m1: Path | None = None, watcher: Watcher = SILENT
) -> Path:
    """Train M2, or M1+M2, with its figure of generated spectra; gives its folder.

    The figure is drawn once, at the end; while it grows it takes as long as the training.
    """
    last: list[tuple[Any, Any, str]] = []

    def keep(panels: Any, wavelengths_nm: Any, unit: str) -> None:
        last[:] = [(panels, wavelengths_nm, unit)]

    with one_thread():
        train_m2(small_m2_settings(dataset, run, m1=m1), draw=keep, watcher=watcher)
    ((panels, wavelengths_nm, unit),) = last
    draw_generated(run / "figures" / "generated.png", wavelengths_nm, panels, unit)
    return run
