"""`--workers`, `--shard`, `--scheduler` as typed, and as docs/many-scenes.md has them typed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from rasterio.transform import Affine

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import ScenesError, SettingsError

PAGE = Path(__file__).parents[2] / "docs" / "many-scenes.md"
pytestmark = pytest.mark.slow


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture
def project(
    m2_run: Path, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project folder with two scenes in `flights` and a run in `runs/m2`; we are in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(m2_run, tmp_path / "runs" / "m2")
    (tmp_path / "flights").mkdir()
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0)
    for i, name in enumerate("ab"):
        with rasterio.open(
            tmp_path / "flights" / f"{name}.tif", "w", driver="GTiff", height=40, width=30,
            count=12, dtype="uint16", crs="EPSG:32719",
            transform=Affine(20, 0, 3e5 + 600 * i, 0, -20, 7.4e6),
        ) as raster:  # fmt: skip
            raster.write(np.roll(cube, i, axis=2))
            for band, nm in enumerate(tiny_dataset.wavelengths_nm or (), 1):
                raster.update_tags(band, wavelength=f"{nm:.4f}", wavelength_units="nm")
    return tmp_path


def maps(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def blocks(language: str) -> list[str]:
    """Blocks of code of the page."""
    parts = PAGE.read_text(encoding="utf-8").split("```")
    return [part.partition("\n")[2] for part in parts[1::2] if part.startswith(language + "\n")]


def test_failures_are_told_at_the_end_and_the_exit_code_is_2(project: Path) -> None:
    with rasterio.open(project / "flights" / "b.tif") as good:
        profile, values = {**good.profile, "count": 11}, good.read()[:11]
    with rasterio.open(project / "flights" / "bad.tif", "w", **profile) as fewer:
        fewer.write(values)
    command = ["classify", "flights", "-o", "maps"]
    found = call(*command, "--json")
    assert isinstance(found.exception, ScenesError)
    told = json.loads(found.stdout)
    assert [one["map"] for one in told["scenes"]] == ["maps/a_classes.tif", "maps/b_classes.tif"]
    assert [one["scene"] for one in told["failed"]] == ["flights/bad.tif"]
    assert "has 11 bands" in told["failed"][0]["reason"]
    program = [sys.executable, "-m", "hsi_ssl.cli", *command]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "left maps/a_classes.tif as it is" in ran.stdout
    *_, head, last = ran.stderr.strip().splitlines()
    assert head.startswith("Error: 1 of 3 scenes failed; the other maps are there")
    assert last.startswith("  flights/bad.tif: has 11 bands")
    (project / "flights" / "bad.tif").unlink()
    again = call(*command, "--json")
    assert again.exit_code == 0
    assert [one["left"] for one in json.loads(again.stdout)["scenes"]] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--shard", "3/2"), "expected a shard such as 1/3"),
        (("--shard", "1/2", "-o", "all.vrt"), "a shard knows only its own maps"),
        (("--workers", "2", "--scheduler", "tcp://127.0.0.1:9"), "give one of them"),
    ],
)
def test_what_contradicts_itself_is_refused(
    project: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    found = call("classify", "flights", *arguments)
    assert isinstance(found.exception, SettingsError), found.output
    assert sentence in str(found.exception)
    assert sorted(path.name for path in project.iterdir()) == ["flights", "runs"]


def test_a_cluster_makes_the_same_maps(project: Path, dask_cluster: Any) -> None:
    assert call("classify", "flights", "-o", "one").exit_code == 0
    address = dask_cluster.scheduler_address
    found = call("classify", "flights", "-o", "two", "--scheduler", address, "--json")
    assert found.exit_code == 0, found.output
    assert maps(project / "one") == maps(project / "two")


def test_a_job_of_an_array_makes_its_share(project: Path) -> None:
    """The page's script for SLURM, in a shell as SLURM would run it."""
    (script,) = (block for block in blocks("sh") if "#SBATCH --array" in block)
    (project / "job.sh").write_text(script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_CPUS_PER_TASK": "1", "PATH": path}
    subprocess.run(["sh", "job.sh"], env={**os.environ, **own}, check=True)
    assert [path.name for path in (project / "maps").glob("*.tif")] == ["b_classes.tif"]
    left = call("classify", "flights/", "-o", "maps/", "--json")
    found = json.loads(left.stdout)["scenes"]
    assert [one.get("left", False) for one in found] == [False, True]


@pytest.fixture
def queue(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with `sbatch` and `scancel` that run and end scripts at once, here."""
    folder = project / "bin"
    folder.mkdir()
    (folder / "sbatch").write_text(
        f'#!/bin/sh\ncp "$1" {folder}/job\nsh {folder}/job >/dev/null 2>&1 &\n'
        f"echo $! >> {folder}/started\necho Submitted batch job $!\n"
    )
    (folder / "scancel").write_text("#!/bin/sh\nkill $1\n")
    for path in folder.iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    yield folder
    for number in (folder / "started").read_text().split():
        subprocess.run(["pkill", "-P", number], check=False)


def test_workers_that_slurm_starts_do_the_work(project: Path, queue: Path) -> None:
    """The page's lines for dask-jobqueue; a queue that starts jobs here is all that is stood in."""
    (code,) = blocks("python")
    found: list[Result] = []

    def enter(prompt: str) -> str:
        address = names["cluster"].scheduler_address
        found.append(call("classify", "flights", "-o", "maps", "--scheduler", address))
        return ""

    names: dict[str, Any] = {"input": enter}
    exec(code.replace("jobs=5", "jobs=1"), names)
    names["cluster"].close()
    assert found[0].exit_code == 0, found[0].output
    assert len(list((project / "maps").glob("*_classes.tif"))) == 2
    job = (queue / "job").read_text()
    assert "--nthreads 4" in job
    assert "--memory-limit 0" in job


def parsed_by_dask(words: list[str]) -> None:
    """Parse `dask ...` as it would, without running it."""
    from distributed.cli import dask_scheduler, dask_worker

    program: dict[str, click.Command] = {
        "scheduler": dask_scheduler.main, "worker": dask_worker.main,
    }  # fmt: skip
    assert words[0] == "dask"
    program[words[1]].make_context("dask", list(words[2:]))


def test_what_runs_on_kubernetes_can_be_typed() -> None:
    import yaml  # type: ignore[import-untyped]

    (text,) = blocks("yaml")
    objects = list(yaml.safe_load_all(text))
    assert [one["kind"] for one in objects] == ["Service", "Deployment", "Deployment", "Job"]
    commands = []
    for one in objects[1:]:
        template = one["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in template.get("volumes", ())}
        for container in template["containers"]:
            commands.append(container["command"])
            assert {mount["name"] for mount in container.get("volumeMounts", ())} == volumes
        if one["kind"] == "Deployment":
            labels = one["spec"]["template"].get("metadata", {}).get("labels")
            assert labels == one["spec"]["selector"]["matchLabels"]
    *dask, (program, name, *words) = commands
    for command in dask:
        parsed_by_dask(command)
    assert program == "hsi-ssl"
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, list(words))
    port = objects[0]["spec"]["ports"][0]["port"]
    assert dask[1][2] == words[-1] == f"tcp://scheduler:{port}"


def test_dask_is_typed_as_it_takes_it() -> None:
    lines = [
        line.strip().partition("  ")[0] for line in PAGE.read_text(encoding="utf-8").splitlines()
    ]
    typed = [line for line in lines if line.startswith("dask ")]
    assert len(typed) == 2
    for line in typed:
        parsed_by_dask(shlex.split(line))


def test_two_workers_leave_what_one_has_made(project: Path) -> None:
    assert call("classify", "flights", "-o", "maps").exit_code == 0
    before = maps(project / "maps")
    found = call("classify", "flights", "-o", "maps", "--workers", "2", "--json")
    assert found.exit_code == 0, found.output
    assert all(one["left"] for one in json.loads(found.stdout)["scenes"])
    assert call("classify", "flights", "-o", "two", "--workers", "2").exit_code == 0
    assert maps(project / "two") == before
