"""What other packages offer by entry points: the example of the documentation, installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_datasets import three_minerals

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "band_groups"
Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example as pip installs it."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "source"
    source.mkdir()
    for file in EXAMPLE.glob("*.*"):
        (source / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(folder / "packages"), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "packages"


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    """Runs hsi-ssl in a folder with a dataset, with more packages or without."""
    folder = tmp_path_factory.mktemp("work")
    three_minerals(folder / "dataset.h5")

    def run(*words: str, packages: Path | None) -> subprocess.CompletedProcess[str]:
        paths = [os.environ.get("PYTHONPATH", ""), str(packages or "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [sys.executable, "-m", "hsi_ssl.cli", *words]
        return subprocess.run(
            command, check=False, cwd=folder, env=environment, capture_output=True, text=True
        )

    return run


@pytest.mark.slow
def test_an_extractor_of_another_package_is_one_among_ours(installed: Path, typed: Typed) -> None:
    names = typed("train-m1", "--help", packages=installed).stdout
    assert "band-groups" in names.replace("\n", "").replace(" ", "")
    words = ("train-m1", "dataset.h5", "--extractor", "band-groups", "--latent", "3")
    trained = typed(*words, "--option", "median=yes", "-o", "groups", packages=installed)
    assert trained.returncode == 0, trained.stderr
    assert "3 of 3 units are active" in trained.stdout + trained.stderr
    m2 = ("train-m2", "dataset.h5", "--m1", "groups", "--epochs", "2", "--supervised-epochs", "1")
    assert typed(*m2, "-o", "m2", packages=installed).returncode == 0
    told = typed("info", "m2", packages=installed)
    assert "band groups+M2" in told.stdout

    alone = typed("info", "m2", packages=None)
    assert alone.returncode == 2
    assert "m2 was made by extractor 'band-groups', which is not installed here" in alone.stderr
    assert "Traceback" not in alone.stderr
