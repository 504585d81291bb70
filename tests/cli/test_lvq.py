"""`train-m2 --model lvq` from its options to scores and a map."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from hsi_ssl.datasets.store import Dataset


@pytest.mark.slow
def test_trained_evaluated_and_mapped(
    hsi_ssl: Callable[..., Any],
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    shutil.copy(tiny_dataset.path, "d.h5")
    np.save("scene.npy", tiny_dataset.spectra().reshape(40, 30, 12))
    common = ("train-m2", "d.h5", "--model", "lvq", "--no-m1")
    ran = hsi_ssl(*common, "--option", "prototypes=3", "-o", "lvq")
    assert ran.code == 0, ran.err
    assert "no model of probability" in ran.out
    ran = hsi_ssl("evaluate", "lvq", "d.h5", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["model"] == "LVQ"
    assert told["oa"] > 0.95
    assert list(told["by_rule"]) == ["classifier"]
    ran = hsi_ssl("classify", "scene.npy", "--model", "lvq", "-o", "m.tif", "--confidence")
    assert ran.code == 0, ran.err
    with rasterio.open("m.tif") as raster:
        found = raster.read(1)
    assert set(np.unique(found)) == {2, 7, 32}
    assert (found == np.repeat([2, 7, 32], 10)).mean() > 0.95
    ran = hsi_ssl("info", "lvq")
    assert ran.code == 0, ran.err
    assert "rule lvq3, prototypes 3" in ran.out
    for arguments, word in (
        ((*common, "-o", "x", "--option", "rule=lvq9"), "expected lvq1 or lvq2.1 or lvq3"),
        ((*common, "-o", "x", "--option", "units=9"), "has no option units"),
        ((*common, "-o", "x", "--free-slots", 2), "free_slots"),
        ((*common, "-o", "x", "--predict", "bayes"), "predict = bayes"),
        (("generate", "lvq", "-o", "x"), "LVQ knows q(y|x) alone"),
    ):
        ran = hsi_ssl(*arguments)
        assert ran.code == 2, (arguments, ran.out, ran.err)
        assert word in ran.err, (arguments, ran.err)
        assert not Path("x").exists()
