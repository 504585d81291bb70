"""Mapped areas of a drill core with its tray left out, and with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from hsi_ssl.scenes.drillcore import INDEX
from hsi_ssl.scenes.simulate import box_of, simulate
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2

pytestmark = pytest.mark.slow


ROWS, COLS, SEED = 256, 154, 82
LARGE = 100
"""Mapped pixels from which a share is worth its name."""


def test_a_mask_takes_the_tray_out_of_every_minerals_area(
    hsi_ssl: Callable[..., Any], tmp_path: Path
) -> None:
    learnt, scene = simulate(tmp_path, scenes=2, rows=ROWS, cols=COLS, seed=SEED)
    dataset, run = tmp_path / "dataset.h5", tmp_path / "m2"
    prepared = hsi_ssl(
        "prepare", learnt, "--label-set", "mineralogy", "--unlabelled", 2000, "-o", dataset
    )
    assert prepared.code == 0, prepared.err
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_m2(
        M2Settings(
            dataset=dataset, output=run, m1=None, epochs=1, supervised_epochs=5, device="cpu",
            hidden=(32,), hidden_classifier=(64,), experts=(0.5,), latent=5,
        )
    )  # fmt: skip
    torch.set_num_threads(threads)
    tray = box_of(1, rows=ROWS, cols=COLS, seed=SEED).prevailing == INDEX["wood"]
    most = {}
    for mask in ((), ("--mask", "auto")):
        path = tmp_path / f"{len(mask)}.tif"
        ran = hsi_ssl("classify", scene, "--model", run, "-o", path, "--device", "cpu", *mask)
        assert ran.code == 0, ran.err
        with rasterio.open(path) as raster:
            codes = raster.read(1)
        shares = {
            int(code): tray[codes == code].mean()
            for code in np.unique(codes[codes > 0])
            if (codes == code).sum() >= LARGE
        }
        most[bool(mask)] = max(shares.values())
        # Rock is still mapped.
        assert (codes > 0)[~tray].mean() > 0.97
    assert most[False] > 0.2
    assert most[True] <= 0.01
