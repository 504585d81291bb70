"""A report on pixels that are all alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_projects import called


@pytest.mark.slow
def test_a_report_on_equal_spectra_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("scene.npy", np.ones((24, 24, 2), np.float32))
    np.save("labels.npy", (np.indices((24, 24))[1] // 12 + 1).astype(np.uint8))
    called("prepare", "scene.npy", "--labels", "labels.npy", "--scaling", "none", "--block", 6)
    called(
        "train-m2", "--no-m1", "--hidden", "8", "--epochs", 1, "--supervised-epochs", 1,
        "--device", "cpu",
    )  # fmt: skip
    called("evaluate")
    assert (tmp_path / "runs/m2/report/index.html").is_file()
