"""What every test may use; what is heavy is imported by the fixture that needs it."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hearing import Hears

if TYPE_CHECKING:
    from browsing import Browser

    from hsi_ssl.datasets.store import Dataset


if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a core; torch reads this when it comes
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SLOW = {"browser", "m1_run", "m2_run", "m1m2_run", "some_wrong_labels"}
"""Fixtures that open a browser or train a model; tests that need one are marked as slow here."""


gc.disable()  # while tests are collected, which makes much and drops little


def pytest_collection_finish() -> None:
    """What is there stays to the end: nobody has to go through it again."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the path of a file or folder of real data, or skip, saying why.

    Under CI nothing is skipped: missing data is a failure there.
    """

    def find(name: str) -> Path:
        folder = os.environ.get("HSI_SSL_DATA")
        if folder and (Path(folder) / name).exists():
            return Path(folder) / name
        reason = f"needs real data: set HSI_SSL_DATA to a folder that holds {name}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    return find


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, or a skipped test (a failure under CI) where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        reason = f"needs a browser to look at the page: one of {', '.join(names)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from browsing import Browser

    found = Browser(program, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Any]:
    """A Dask cluster of two worker processes of one thread.

    Idle, it costs other tests time: it goes with the module that needs it, and meanwhile samples
    itself seldom, which by default takes an eighth of a core.
    """
    import dask
    from distributed import LocalCluster

    seldom = {
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
        "distributed.admin.system-monitor.gil.enabled": False,
    }
    with (
        dask.config.set(seldom),
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=None,
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def hears() -> Hears:
    """A watcher that keeps what it is told."""
    return Hears()


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset of 3 classes (codes 2, 7, 32) on a 40 x 30 scene of 12 bands, easy to learn."""
    from made_once import made_once
    from small_datasets import three_minerals

    from hsi_ssl.datasets.store import open_dataset

    def make(folder: Path) -> None:
        three_minerals(folder / "dataset.h5")

    return open_dataset(made_once(tmp_path_factory, "tiny", make) / "dataset.h5")


@pytest.fixture(scope="session")
def two_label_sets(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset of 3 minerals and 2 rocks on a 40 x 40 scene of 12 bands, easy to learn."""
    from small_datasets import minerals_and_rocks

    return minerals_and_rocks(tmp_path_factory.mktemp("two") / "dataset.h5")


@pytest.fixture(scope="session")
def m1_run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An M1 trained on the tiny dataset; to be read only, as are the next two."""
    from made_once import made_once
    from small_runs import small_m1

    def make(folder: Path) -> None:
        small_m1(tiny_dataset, folder / "m1")

    return made_once(tmp_path_factory, "m1", make) / "m1"


@pytest.fixture(scope="session")
def m2_run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """M2 trained on the spectra of the tiny dataset."""
    from made_once import made_once
    from small_runs import small_m2

    def make(folder: Path) -> None:
        heard = Hears()
        small_m2(tiny_dataset, folder / "m2", watcher=heard)
        (folder / "said.json").write_text(json.dumps(heard.said))

    return made_once(tmp_path_factory, "m2", make) / "m2"


@pytest.fixture(scope="session")
def m2_said(m2_run: Path) -> list[str]:
    """What the training of `m2_run` said."""
    found: list[str] = json.loads((m2_run.parent / "said.json").read_text())
    return found


@pytest.fixture(scope="session")
def m1m2_run(tiny_dataset: Dataset, m1_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """M1+M2 trained on the tiny dataset, with a copy of `m1_run` that is gone since."""
    from made_once import made_once
    from small_runs import small_m2

    def make(folder: Path) -> None:
        m1 = folder / "m1"
        shutil.copytree(m1_run, m1)
        small_m2(tiny_dataset, folder / "m2", m1)
        shutil.rmtree(m1)

    return made_once(tmp_path_factory, "m1m2", make) / "m2"


@pytest.fixture(scope="session")
def some_wrong_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder, `tests/helpers/small_projects.py`; copy it to write into it."""
    from made_once import made_once
    from small_projects import small_project

    return made_once(tmp_path_factory, "project", lambda folder: small_project(folder / "here")) / (
        "here"
    )


@pytest.fixture(scope="session")
def write_layer() -> Callable[..., Path]:
    """Write geometries as a vector layer, by default with a field `class` of 1, 2, ..."""
    from placed_files import write_layer

    return write_layer


@pytest.fixture(scope="session")
def write_cube() -> Callable[..., Path]:
    """Write a small cube as a GeoTIFF; by default of 30 m pixels in UTM zone 33."""
    from placed_files import write_cube

    return write_cube


@pytest.fixture(scope="session")
def on_ground() -> Callable[..., Any]:
    """Bring a geometry from pixel coordinates (x: column, y: row) to the ground of `write_cube`."""
    from placed_files import on_ground

    return on_ground
