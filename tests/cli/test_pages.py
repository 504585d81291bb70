"""The pages of docs from their first command to their last, run as they stand, on small files."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import page_inputs
import pyogrio.raw
import pytest
import shapely
import torch
from delivered import drawn_fields, on_grid
from little_work import few_steps, small_reports
from made_once import made_once
from page_inputs import cores, land, trained
from placed_files import write_layer
from prisma_files import write_prisma
from small_projects import called

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
EXCEPTIONS = {
    "hsi-ssl demo": "minutes of training on Indian Pines: `make demo`",
    "hsi-ssl demo indian-pines": "the same",
    "hsi-ssl compare": "5 seeds of 4 numbers of labels: the first look at it is run",
    "hsi-ssl compare --extractors none,pca,vae --labels 5,10,20,50 --seeds 5": "the same",
    "hsi-ssl catalog fetch salinas-a": "a download",
    "hsi-ssl simulate -o cores --scenes 10": "500 MB: tests/cli/test_simulate.py",
    "hsi-ssl prepare salinas-a": "needs that download",
    "hsi-ssl train-m1 --import-anglepy OLD_RUN -o runs/m1-2016": "weights of 2016: "
    "tests/training/test_anglepy.py",
    "hsi-ssl classify flights/ -o maps/ --scheduler tcp://10.0.0.1:8786": "a cluster: "
    "tests/cli/test_many_scenes.py",
    "hsi-ssl classify flights/ --model runs/m2 -o maps/ --scheduler tcp://10.0.0.1:8786": "it too",
}
"""Commands of the pages that are not run here, and why."""
LEFT_OUT = {
    "large.md": "starts torchrun: tests/cli/test_torchrun.py runs it",
    "library.md": "Python: tests/library/test_doctests.py",
    "adding.md": "of developers: tests/test_adding.py",
    "README.md": "a table of the others",
}


@dataclass(frozen=True)
class Page:
    """A page: `inputs` are land or cores, `made` is there before its first command.

    `before`: what its reader does before the first command that begins so.
    """

    inputs: str
    made: tuple[str, ...] = ()
    before: dict[str, Callable[[], object]] = field(default_factory=dict)


def _flight_and_map() -> None:
    """A flight line with the bands of the cores, and the map of another one."""
    from hsi_ssl.scenes.opening import open_scene

    with open_scene(Path("core.h5")) as scene:
        values, nm = scene.read(slice(0, 64), slice(0, 80)), scene.wavelengths_nm
    assert nm is not None
    for name in ("flight.tif", "scene.tif"):
        page_inputs.write_scene(Path(name), values, nm)
    called("classify", "scene.tif", "-q", "--confidence")


def _in_another_unit() -> None:
    """Reflectance times 10,000 in a file that does not say so."""
    values = np.round(page_inputs.cube(1) * 10_000).astype(np.int16)
    page_inputs.write_scene(Path("other.tif"), values)


def _fill_in() -> None:
    """Write a class beside the first suggestion, as one does in QGIS."""
    meta, _, geometry, columns = pyogrio.raw.read("suggestions.gpkg")
    fields = dict(zip([str(name) for name in meta["fields"]], columns, strict=True))
    fields["class"] = np.array(["soil", *[None] * (len(geometry) - 1)], object)
    Path("suggestions.gpkg").unlink()
    points = list(shapely.from_wkb(geometry))
    write_layer(Path("suggestions.gpkg"), points, {k: list(v) for k, v in fields.items()})


def _delivered() -> None:
    """A product, and polygons drawn over it."""
    ground = on_grid(36, 48)
    write_prisma(Path("PRS_L2D_STD_20240520.he5"), ground)
    Path("polygons.gpkg").unlink()
    drawn_fields(ground, Path("polygons.gpkg"))


def _other_extractor() -> None:
    called("train-m1", "--extractor", "ae", "-o", "runs/ae", "-q")


def _other_sensor() -> None:
    """A dataset of fewer bands of the same wavelengths."""
    called("prepare", "coarser.tif", "--labels", "labels.tif", "-o", "other-sensor.h5", "-q")


def _boxes() -> None:
    cores(Path())


DATASET, M1, M2 = "runs/dataset.h5", "runs/m1", "runs/m2"
PAGES = {
    "drill-core.md": Page("cores"),
    "extractors.md": Page(
        "land", (DATASET,), {"hsi-ssl train-m1 --extractor denoising --init-from": _other_extractor}
    ),
    "formats.md": Page("land", (M2,), {"hsi-ssl info scene.tif": _in_another_unit}),
    "looking.md": Page(
        "cores",
        (DATASET, M1, M2),
        {"hsi-ssl view": _flight_and_map},
    ),
    "many-scenes.md": Page("land", (M2,), {"hsi-ssl prepare": _boxes}),
    "papers.md": Page("land", (), {"hsi-ssl prepare --label-set": _boxes}),
    "products.md": Page("land", (), {"hsi-ssl info": _delivered}),
    "quantisers.md": Page("land", (DATASET,)),
    "satellite.md": Page(
        "land", (), {"hsi-ssl prepare scene.tif --labels polygons.gpkg sugg": _fill_in}
    ),
    "schemes.md": Page("land", (DATASET, M1), {"hsi-ssl train-m1 other": _other_sensor}),
    "training.md": Page("land"),
}


def test_every_page_is_run_or_left_out_for_a_reason() -> None:
    assert {path.name for path in DOCS.glob("*.md")} == PAGES.keys() | LEFT_OUT.keys()
    shown = {command for name in PAGES for block in blocks(name) for command in block}
    assert EXCEPTIONS.keys() <= shown


def blocks(page: str) -> list[list[str]]:
    """The commands of a page, those of a block of code together."""
    found: list[list[str]] = []
    beside = False
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        command = re.match(r"(?:    )?(hsi-ssl [^#]+)", line)
        if command is None:
            beside = beside and line.startswith("    ")
            continue
        if not beside:
            found.append([])
        found[-1].append(command[1].strip())
        beside = True
    return found


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a folder of land or cores with a dataset, M1 and M2."""

    def of(inputs: str) -> Path:
        def make(folder: Path) -> None:
            {"land": land, "cores": cores}[inputs](folder)
            before = Path.cwd()
            os.chdir(folder)
            try:
                trained()
            finally:
                os.chdir(before)

        return made_once(tmp_path_factory, f"page-{inputs}", make)

    return of


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_run(
    name: str,
    made: Callable[[str], Path],
    hsi_ssl: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = PAGES[name]
    ready = made(page.inputs)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    torch.set_num_threads(1)
    few_steps(monkeypatch)
    small_reports(monkeypatch)
    before = dict(page.before)
    folder = tmp_path / "0"
    _lay(ready, folder, page.made)
    for i, block in enumerate(blocks(name), 1):
        if block[0].startswith("hsi-ssl init") and i > 1:
            folder = tmp_path / str(i)
            _lay(ready, folder, ())
        monkeypatch.chdir(folder)
        for command in block:
            if command in EXCEPTIONS:
                continue
            for start in [s for s in before if command.startswith(s)]:
                before.pop(start)()
            words = shlex.split(os.path.expandvars(command))[1:]
            if words[0] == "init":
                Path("hsi-ssl.toml").unlink()
            if words[0] == "view":
                look_and_stop(words)
                continue
            ran = hsi_ssl(*words)
            assert ran.code == 0, f"{command}\n{ran.err}"
            if words[0] == "init":  # and edited, as its comment says
                text = (ready / "hsi-ssl.toml").read_text()
                more = "free_slots = 2" if "semi-unsupervised" in command else ""
                Path("hsi-ssl.toml").write_text(text.replace("[m2]", f"[m2]\n{more}"))
    assert not before


def _lay(ready: Path, folder: Path, there: tuple[str, ...]) -> None:
    """Copy what a page begins with."""
    shutil.copytree(ready, folder, ignore=shutil.ignore_patterns("runs"))
    (folder / "runs").mkdir()
    for path in there:
        (shutil.copytree if (ready / path).is_dir() else shutil.copy)(ready / path, folder / path)


def look_and_stop(words: list[str]) -> None:
    """Run `view` in a process of its own, fetch its page, press Ctrl-C."""
    command = [sys.executable, "-m", "hsi_ssl.cli", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "BROWSER": "true"}
    ) as process:
        assert process.stdout is not None
        url = re.match(r"http\S+", process.stdout.readline())
        assert url is not None
        with urllib.request.urlopen(url[0]) as answer:
            assert b"<title>" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
