"""`hsi-ssl areas`, from a map of `classify`'s kind to a log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    codes = np.repeat([[1, 1], [1, 2], [2, 2], [0, 0]], 25, axis=0).astype(np.uint8)
    with rasterio.open(
        "core.tif", "w", driver="GTiff", height=100, width=2, count=1, dtype="uint8", nodata=0
    ) as raster:
        raster.write(codes, 1)
    return tmp_path


Run = Callable[..., Any]


def test_a_log_of_a_map(hsi_ssl: Run, core: Path) -> None:
    asked = ["areas", "core.tif", "--every-cm", "5", "--pixel-mm", "2", "--top", "12", "--json"]
    ran = hsi_ssl(*asked)
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["unit"] == "m"
    assert [one["pixels"] for one in told["intervals"]] == [
        {"1": 50, "2": 0}, {"1": 25, "2": 25}, {"1": 0, "2": 50}, {"1": 0, "2": 0},
    ]  # fmt: skip
    assert told["intervals"][0]["from"] == 12
    assert told["intervals"][-1]["to"] == pytest.approx(12.2)
    assert {p.name for p in core.iterdir()} == {"core.tif", "core_log.csv", "core_log.png"}
    again = hsi_ssl(*asked)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert hsi_ssl(*asked, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--every-cm", "5"), "--pixel-mm"),
        (("--every", "5", "--every-cm", "5", "--pixel-mm", "1"), "give one"),
        (("--every-cm", "0.1", "--pixel-mm", "2"), "shorter than a pixel"),
        (("-o", "log.png"), "end it in .csv"),
        (("--sticks", "9"), "give fewer"),
    ],
)
def test_what_contradicts_itself_is_refused(
    hsi_ssl: Run, core: Path, options: tuple[str, ...], words: str
) -> None:
    ran = hsi_ssl("areas", "core.tif", *options)
    assert ran.code == 2
    assert words in ran.err
    assert [p.name for p in core.iterdir()] == ["core.tif"]
