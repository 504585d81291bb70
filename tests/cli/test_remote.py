"""Scenes on a web server that hands out parts of files, as object stores do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import torch
from scipy.io import netcdf_file

from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2

pytestmark = pytest.mark.slow


Run = Callable[..., Any]
ROWS, COLS, BANDS = 256, 192, 12
PROGRAM = Path(__file__).parents[1] / "helpers" / "range_server.py"


@dataclass
class Server:
    """Its address, and what it says of the bytes that it sent."""

    url: str
    log: Path

    def sent(self, name: str) -> int:
        """Bytes of that file, so far."""
        lines = (line.split() for line in self.log.read_text().splitlines()[1:])
        return sum(int(n) for n, found in lines if found == name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the folder `web`, with a scene of tiles and its labels."""
    folder = tmp_path / "web"
    folder.mkdir()
    rng = np.random.default_rng(0)
    label = (np.indices((ROWS, COLS))[1] // 32 % 3).astype(np.uint8)
    shapes = 2000 + 600 * np.sin(np.linspace(0, 4, BANDS) * np.array([[1.0], [1.6], [2.3]]))
    cube = (shapes[label] + rng.normal(0, 25, (ROWS, COLS, BANDS))).astype(np.uint16)
    place: dict[str, Any] = {
        "driver": "GTiff", "height": ROWS, "width": COLS, "crs": "EPSG:32719",
        "transform": rasterio.transform.from_origin(3e5, 7.4e6, 20, 20),
        "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate",
    }  # fmt: skip
    with rasterio.open(folder / "s.tif", "w", count=BANDS, dtype="uint16", **place) as raster:
        raster.write(np.moveaxis(cube, -1, 0))
        for band in range(1, BANDS + 1):
            raster.update_tags(band, wavelength=str(1000 + 100 * band), wavelength_units="nm")
    with rasterio.open(folder / "l.tif", "w", count=1, dtype="uint8", **place) as raster:
        raster.write(label[None] + 1)
    log = tmp_path / "sent.txt"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, str(PROGRAM), str(folder)], stdout=out)
    while not log.read_text().endswith("\n"):
        assert process.poll() is None
        time.sleep(0.02)
    yield Server(f"http://127.0.0.1:{log.read_text().strip()}", log)
    process.kill()
    process.wait()


def test_the_whole_way_on_a_scene_of_a_server(
    server: Server, hsi_ssl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"{server.url}/s.tif"
    told = json.loads(hsi_ssl("info", url, "--json").out)
    assert (told["rows"], told["cols"], told["bands"]) == (ROWS, COLS, BANDS)
    size = (tmp_path / "web" / "s.tif").stat().st_size
    assert server.sent("s.tif") < 0.2 * size  # only the header
    made = hsi_ssl(
        "prepare", f"/vsicurl/{url}", "--labels", f"{server.url}/l.tif", "--per-class", 30,
        "--unlabelled", 300,
    )  # fmt: skip
    assert made.code == 0, made.err
    known = json.loads(hsi_ssl("info", "runs/dataset.h5", "--json").out)["sources"]
    assert [k["name"] for k in known] == ["s"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_m2(
        M2Settings(m1=None, device="cpu", hidden=(16,), latent=2, epochs=2, supervised_epochs=2)
    )
    torch.set_num_threads(threads)
    local = hsi_ssl("classify", tmp_path / "web" / "s.tif", "-o", "local.tif")
    assert local.code == 0, local.err
    remote = hsi_ssl("classify", url, "--json")
    assert json.loads(remote.out)["map"] == "s_classes.tif"
    with rasterio.open("local.tif") as one, rasterio.open("s_classes.tif") as other:
        np.testing.assert_array_equal(one.read(1), other.read(1))
        assert one.crs == other.crs
        assert other.tags()["SCENE"] == "s.tif"


def test_what_is_not_there_is_said(server: Server, hsi_ssl: Run) -> None:
    ran = hsi_ssl("info", f"{server.url}/none.tif")
    assert ran.code == 2
    assert f"there is nothing at {server.url}/none.tif" in ran.err
    ran = hsi_ssl("prepare", "http://127.0.0.1:9/s.tif")
    assert ran.code == 2
    assert "there is nothing at http://127.0.0.1:9/s.tif" in ran.err


def test_arrays_whose_axes_gdal_does_not_know_are_refused(
    server: Server, hsi_ssl: Run, tmp_path: Path
) -> None:
    """GDAL takes any first axis for the bands; here they are the last."""
    web, cube = tmp_path / "web", np.arange(13 * 11 * 7, dtype=np.int16).reshape(13, 11, 7)
    with netcdf_file(web / "s.nc", "w", version=2) as file:
        for name, size in zip("yxb", cube.shape, strict=True):
            file.createDimension(name, size)
        file.createVariable("cube", "i2", tuple("yxb"))[:] = cube
    for name, names in (("one.h5", ["cube"]), ("two.h5", ["cube", "other"])):
        with h5py.File(web / name, "w") as hdf5:
            for each in names:
                hdf5[each] = cube
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(web / "s.nc", "s.nc")
    for place, what in (
        (f"{server.url}/s.nc", "netCDF"),
        (f"/vsizip/{tmp_path}/a.zip/s.nc", "netCDF"),
        (f"{server.url}/one.h5", "HDF5"),
        (f"{server.url}/two.h5", "HDF5"),
    ):
        ran = hsi_ssl("info", place)
        assert ran.code == 2
        assert f"{place.split('/')[-1]} is {what}, expected as a file of this machine" in ran.err
        assert "download or unpack it first" in ran.err
    labels = hsi_ssl("prepare", f"{server.url}/s.tif", "--labels", f"{server.url}/s.nc")
    assert labels.code == 2
    assert "download or unpack it first" in labels.err
