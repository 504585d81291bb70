"""What `import hsi_ssl` offers, and what it costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import assert_type

import numpy as np
import numpy.typing as npt
import pytest

import hsi_ssl

ROOT = Path(__file__).parents[1]
ROUNDS = 7


def seconds(*commands: list[str]) -> list[float]:
    """Median time of each command, all of them in turn, so that a busy machine slows each alike."""
    taken: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS + 1):
        for times, command in zip(taken, commands, strict=True):
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(time.perf_counter() - started)
    return [statistics.median(times[1:]) for times in taken]  # the first one fills caches


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.slow
def test_importing_costs_no_more_than_numpy() -> None:
    ours, numpy = seconds(python("import hsi_ssl"), python("import numpy"))
    assert ours <= 1.2 * numpy, f"{ours:.3f} s against {numpy:.3f} s"


@pytest.mark.slow
def test_help_costs_little_more_than_click() -> None:
    ours, click = seconds(
        [str(Path(sys.executable).with_name("hsi-ssl")), "--help"], python("import click")
    )
    assert ours <= 3 * click, f"{ours:.3f} s against {click:.3f} s"


def test_importing_imports_nothing() -> None:
    code = "import hsi_ssl, sys; dir(hsi_ssl); print([m for m in sys.modules if '.' not in m])"
    ran = subprocess.run(python(code), check=True, capture_output=True, text=True)
    for heavy in ("numpy", "torch", "rasterio", "sklearn", "pydantic"):
        assert repr(heavy) not in ran.stdout


def test_every_public_name_is_there_and_listed() -> None:
    assert set(hsi_ssl.__all__) <= set(dir(hsi_ssl))
    assert set(hsi_ssl._PLACES) | {"__version__"} == set(hsi_ssl.__all__)
    for name in hsi_ssl.__all__:
        assert getattr(hsi_ssl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'open_scenes'"):
        hsi_ssl.open_scenes  # noqa: B018


def test_types_are_what_a_users_script_expects(tmp_path: Path) -> None:
    # mypy reads these, as it does docs/examples/library.py; nothing happens when they run.
    np.save(tmp_path / "cube.npy", np.ones((4, 5, 6)))
    with assert_type(hsi_ssl.open_scene(tmp_path / "cube.npy"), hsi_ssl.Scene) as scene:
        assert_type(scene.bands, int)

    def script(folder: Path, X: npt.NDArray[np.float64], y: list[int]) -> None:
        run = assert_type(hsi_ssl.load_run(folder), hsi_ssl.Run)
        assert_type(run.predict(X), npt.NDArray[np.int64])
        assert_type(run.classify("a.tif")[0].map, Path)
        made = hsi_ssl.SemiSupervisedClassifier(m1=hsi_ssl.M1Features(latent=3)).fit(X, y)
        assert_type(made, hsi_ssl.SemiSupervisedClassifier)
        assert_type(hsi_ssl.prepare("a.tif", cap=3), hsi_ssl.Dataset)

    assert (ROOT / "hsi_ssl" / "py.typed").exists()
    assert script.__annotations__
