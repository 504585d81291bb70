"""Every command that has `--device`, on a device that is not the CPU, gives what the CPU gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from little_work import few_steps, small_reports
from second_device import Seen, other
from small_runs import one_thread

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

pytestmark = pytest.mark.slow

FEW = ("--hidden", 8, "--epochs", 1)
COMMANDS: dict[str, tuple[object, ...]] = {
    "train-m1": ("d.h5", "-o", "out/m1", "--latent", 3, *FEW),
    "train-m2": ("d.h5", "-o", "out/m2", "--no-m1", "--project", "few.toml"),
    "distil": ("runs/m2", "-o", "out/student", "--epochs", 1),
    "quantise": ("d.h5", "-o", "out/som", "--rows", 2, "--cols", 3, "--epochs", 2),
    "classify": ("scene.tif", "-o", "out/map.tif", "--novelty", "--spatial", "1"),
    "features": ("scene.tif", "-o", "out/features.tif"),
    "evaluate": ("runs/m2", "d.h5", "--report", "out/report"),
    "generate": ("runs/m2", "-o", "out/generated"),
    "suggest": ("runs/m2", "scene.tif", "-o", "out/suggested.gpkg", "-n", 3),
    "discover": ("runs/m2", "scene.tif", "-o", "out/found", "--min-pixels", 1, "--overwrite"),
    "compare": (
        "d.h5", "-o", "out/compared", "--extractors", "pca", "--classifiers", "m2",
        "--labels", 5, "--seeds", 1, "--latent", 3, "--project", "few.toml",
    ),
}  # fmt: skip
FEW_STEPS = "[m2]\nhidden = [8]\nepochs = 1\nsupervised_epochs = 1\nlatent = 2\n"


@pytest.fixture(scope="module")
def project(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, its scene, and runs that have learnt little."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "few.toml").write_text(FEW_STEPS)
    data = Path(shutil.copy(tiny_dataset.path, folder / "d.h5"))
    runs: dict[str, Any] = {"dataset": data, "hidden": (8,), "epochs": 2, "device": "cpu"}
    with one_thread():
        train_m1(M1Settings(output=folder / "runs/m1", latent=3, **runs))
        more: dict[str, Any] = {"latent": 2, "free_slots": 1, "supervised_epochs": 2, **runs}
        train_m2(M2Settings(output=folder / "runs/free", m1=None, model="gm-dgm", **more))
        train_m2(
            M2Settings(output=folder / "runs/m2", m1=folder / "runs/m1", **more | {"free_slots": 0})
        )
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", height=40, width=30, count=12, dtype="uint16",
        crs="EPSG:32719", transform=rasterio.Affine(5, 0, 300_000, 0, -5, 7_400_000),
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0))
        for band, nm in enumerate(np.linspace(1000, 2500, 12), 1):
            raster.update_tags(band, wavelength=f"{nm:.3f}", wavelength_units="nanometers")
    return folder


@pytest.fixture(autouse=True)
def _little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps(monkeypatch)
    small_reports(monkeypatch)


@pytest.fixture
def seen() -> Iterator[Seen]:
    with one_thread(), other() as found:
        yield found


def test_these_are_all_commands_with_a_device() -> None:
    with_device = {
        name
        for name in cli.list_commands(click.Context(cli))
        if (command := cli.get_command(click.Context(cli), name)) is not None
        and any("--device" in option.opts for option in command.params)
    }
    assert with_device == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(
    name: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    arguments = [str(a) for a in COMMANDS[name]]
    if name == "discover":
        arguments[0] = "runs/free"
    written = []
    for device in ("other",) if name == "generate" else ("cpu", "other"):  # pictures take seconds
        here = tmp_path / device
        shutil.copytree(project, here)
        (here / "out").mkdir()
        monkeypatch.chdir(here)
        ran = CliRunner().invoke(cli, [name, *arguments, "--device", device, "-q"])
        assert ran.exit_code == 0, (ran.output, ran.exception)
        assert bool(seen.uploads) == (device == "other")
        written.append(here / "out")
    names = [sorted(str(p.relative_to(out)) for p in out.rglob("*")) for out in written]
    assert names[0] == names[-1] != []
    for place in names[0]:
        one, two = written[0] / place, written[-1] / place
        if place.endswith(".tif"):
            with rasterio.open(one) as mine, rasterio.open(two) as yours:
                np.testing.assert_allclose(mine.read(), yours.read(), rtol=1e-4, atol=1e-4)
        elif place.endswith("confusion.csv"):
            assert one.read_bytes() == two.read_bytes()


def test_a_device_that_is_not_there_costs_one_sentence(
    hsi_ssl: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    ran = hsi_ssl("classify", "scene.tif", "-o", "none.tif", "--device", "xpu")
    assert ran.code == 2
    assert ran.err.strip().endswith(
        "device xpu was asked for, but this machine has no usable xpu device; use --device auto "
        "or cpu"
    )
    assert not (project / "none.tif").exists()
