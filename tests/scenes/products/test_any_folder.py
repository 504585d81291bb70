"""A product in a folder that is called as its user likes, with what else lies in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from aviris_files import write_flight
from delivered import bent, label_raster, on_grid, refused, run, taught, turned
from emit_files import write_emit, write_mask
from hypso_files import write_hypso
from neon_files import write_neon
from pace_files import write_pace
from prisma_files import write_prisma

from hsi_ssl.errors import SceneError
from hsi_ssl.labels.finding import find
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.watcher import SILENT

WRITERS: dict[str, Callable[[Path], Path]] = {
    "AVIRIS-NG": lambda folder: write_flight(folder, turned(20, 26), cell=30),
    "EMIT": lambda folder: write_emit(folder, turned(20, 26)),
    "HYPSO": lambda folder: write_hypso(folder / "svalbard-l1d.nc", bent(20, 26)),
    "NEON": lambda folder: write_neon(folder / "NEON_D17_SOAP.h5", on_grid(20, 26)),
    "PACE": lambda folder: write_pace(folder / "PACE_OCI.L2.SFREFL.nc", bent(20, 26)),
    "PRISMA": lambda folder: write_prisma(folder / "PRS_L2D_STD.he5", on_grid(20, 26)),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_the_only_product_in_a_folder(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    folder = tmp_path / "Sommer 24"
    folder.mkdir()
    path = write(folder)
    (folder / "browse.png").write_bytes(b"\x89PNG\r\n")
    (folder / "MD5SUM.txt").write_text("0 it\n")
    told = json.loads(run("info", folder, "--json"))
    assert told == json.loads(run("info", path, "--json"))
    with open_scene(folder) as scene, open_scene(path) as named:
        assert (scene.path, scene.format) == (path, named.format)


def test_members_make_no_second_product(tmp_path: Path) -> None:
    path = write_emit(tmp_path, turned(20, 26))
    write_mask(tmp_path, turned(20, 26), np.zeros((20, 26, 8)))
    assert json.loads(run("info", tmp_path, "--json"))["path"] == str(path)


def test_several_are_refused_and_so_is_another_array(tmp_path: Path) -> None:
    WRITERS["NEON"](tmp_path)
    with pytest.raises(SceneError, match=r"give the file in it, NEON_D17_SOAP\.h5"):
        open_scene(tmp_path, variable="Slope")
    WRITERS["PRISMA"](tmp_path)
    refused(["holds 2 products", "give one of them"], "info", tmp_path)


@pytest.mark.slow
def test_what_was_made_of_a_product_is_no_scene(tmp_path: Path) -> None:
    path = write_pace(tmp_path / "PACE_OCI.L2.SFREFL.nc", bent(20, 26))
    model = taught(path, label_raster(bent(20, 26), tmp_path.with_name("labels.tif")))
    more = ("--confidence", "--probabilities", "-q")
    run("classify", path, "--model", model, "-o", tmp_path / "map.tif", *more)
    run("mask", path, "-o", tmp_path / "look.tif", "-q")
    assert len([*tmp_path.glob("*.tif"), *tmp_path.glob("*.vrt")]) == 6
    assert [one.cube for one in find(str(tmp_path), None, SILENT)[1]] == [path]
    assert json.loads(run("info", tmp_path, "--json"))["path"] == str(path)
