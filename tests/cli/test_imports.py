"""What commands import: help nothing that computes, `prepare` nothing that learns.

The help of the program as a whole imports less still: test_main.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_projects import write_raster

LEARNING = {"torch", "sklearn", "scipy.stats"}
DRAWING = "matplotlib"
RUN = """
import json, sys
from hsi_ssl.cli.main import main
sys.argv = ["hsi-ssl", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    code = end.code
print("IMPORTED", json.dumps([m for m in sorted(sys.modules)]), "CODE", code)
"""


def imported(*arguments: str, folder: Path) -> set[str]:
    """Modules that a command has imported when it is over, and that it went well."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], cwd=folder, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    names, _, code = ran.stdout.rpartition("IMPORTED ")[2].partition(" CODE ")
    assert code.strip() in ("0", "None"), ran.stdout + ran.stderr
    return set(json.loads(names))


@pytest.mark.parametrize("command", [(), ("prepare",), ("train-m2",), ("compare",), ("view",)])
def test_help_imports_nothing_that_computes(command: tuple[str, ...], tmp_path: Path) -> None:
    assert not imported(*command, "--help", folder=tmp_path) & {*LEARNING, DRAWING}


@pytest.mark.slow
def test_prepare_imports_nothing_that_learns(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kind = np.indices((40, 40))[1] // 20
    cube = 1000 + 500 * kind[None] + rng.normal(0, 30, (8, 40, 40))
    write_raster(tmp_path / "scene.tif", cube.astype(np.int16))
    write_raster(tmp_path / "labels.tif", (kind[None] + 1).astype(np.uint8))
    found = imported("prepare", "scene.tif", "--labels", "labels.tif", "-q", folder=tmp_path)
    assert (tmp_path / "runs/dataset.h5").exists()
    assert not found & LEARNING
    assert DRAWING in found  # the label balance is a picture, too
