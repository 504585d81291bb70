"""Every example in the docstrings of what is public runs and gives what it says."""

from __future__ import annotations

import doctest
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hsi_ssl
from hsi_ssl.library.runs import Run

METHODS = {f"Run.{m.__name__}": m for m in (Run.predict, Run.predict_proba, Run.encode,
                                            Run.generate, Run.classify)}  # fmt: skip
PUBLIC = METHODS | {
    "from_xarray": hsi_ssl.from_xarray,
    "load_run": hsi_ssl.load_run,
    "M1Features": hsi_ssl.M1Features,
    "open_dataset": hsi_ssl.open_dataset,
    "open_scene": hsi_ssl.open_scene,
    "prepare": hsi_ssl.prepare,
    "Scene.to_xarray": hsi_ssl.Scene.to_xarray,
    "SemiSupervisedClassifier": hsi_ssl.SemiSupervisedClassifier,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_an_example_gives_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(
        inspect.getdoc(PUBLIC[name]) or "", {}, name, None, None
    )
    assert example.examples
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not failed, "".join(said)


def test_every_public_function_and_class_is_documented() -> None:
    for name in hsi_ssl.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(hsi_ssl, name)), name


@pytest.mark.slow
def test_the_example_runs(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_data("indian-pines-split").parent
    example = Path(__file__).parents[2] / "docs" / "examples" / "library.py"
    ran = subprocess.run(
        [sys.executable, str(example), "4"], check=True, capture_output=True, text=True,
        cwd=tmp_path, env={**os.environ, "HSI_SSL_DATA": str(folder)},
    )  # fmt: skip
    score = float(ran.stdout.split()[1])
    assert 0.4 < score < 1
    assert (tmp_path / "indian_pines.png").stat().st_size > 1000
