"""What `import hsi_ssl` offers, and what it costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

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


def test_importing_costs_no_more_than_numpy() -> None:
    ours, numpy = seconds(python("import hsi_ssl"), python("import numpy"))
    assert ours <= 1.2 * numpy, f"{ours:.3f} s against {numpy:.3f} s"


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


def test_a_users_script_is_checked_strictly(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "import numpy as np\n"
        "import hsi_ssl\n\n"
        "def codes(path: Path, run: str) -> 'np.typing.NDArray[np.int64]':\n"
        "    with hsi_ssl.open_scene(path) as scene:\n"
        "        return hsi_ssl.load_run(run).predict(scene.read())\n\n"
        "made = hsi_ssl.SemiSupervisedClassifier(epochs=3).fit(np.ones((4, 2)), [1, 2, 1, -1])\n"
        "reveal_type(made)\n"
        "reveal_type(hsi_ssl.load_run('runs/m2').classify('a.tif')[0].map)\n"
    )
    arguments = ["--strict", "--config-file", "", "--follow-imports=silent"]
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments, str(script)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": "", "MYPY_CACHE_DIR": str(tmp_path / "cache")},
    )  # fmt: skip
    assert "error" not in ran.stdout, ran.stdout
    assert 'Revealed type is "hsi_ssl.library.classifying.SemiSupervisedClassifier"' in ran.stdout
    assert 'Revealed type is "pathlib.Path"' in ran.stdout
