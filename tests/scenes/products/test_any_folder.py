"""A product in a folder that is called as its user likes, with what else lies in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from aviris_files import write_flight
from delivered import bent, label_raster, on_grid, refused, run, taught, turned
from emit_files import NM, write_emit, write_mask
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


def test_a_broken_product_in_a_folder_is_told_as_by_itself(tmp_path: Path) -> None:
    path = write_prisma(tmp_path / "PRS_L2D_STD.he5", on_grid(20, 26))
    path.write_bytes(path.read_bytes()[:4000])
    (tmp_path / "browse.png").write_bytes(b"\x89PNG\r\n")
    refused([path.name, "cut short"], "info", tmp_path)
    with pytest.raises(SceneError, match=r"PRS_L2D_STD\.he5 is cut short"):
        open_scene(tmp_path)


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


def test_settings_that_change_nothing_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.ones((3, 4, 5), np.float32))
    neon = WRITERS["NEON"](tmp_path)
    prisma = WRITERS["PRISMA"](tmp_path)
    flight = WRITERS["AVIRIS-NG"](tmp_path)
    told = {}
    for path in (tmp_path / "cube.npy", neon, prisma, flight):
        with open_scene(path, overlap="vnir", quality="strict") as scene:
            notes = " ".join(scene.notes)
        told[path] = "--overlap is not" in notes, "strict hides nothing" in notes
    assert list(told.values()) == [(True, True), (True, False), (False, False), (True, True)]
    with open_scene(tmp_path / "cube.npy") as scene:
        assert not any("--" in note for note in scene.notes)


@pytest.mark.parametrize("unit", ["um", "nm"])
def test_micrometres_by_their_unit_or_by_what_they_must_be(tmp_path: Path, unit: str) -> None:
    path = write_emit(tmp_path, turned(20, 26))
    with h5py.File(path, "a") as file:
        for name in ("wavelengths", "fwhm"):
            array = file[f"sensor_band_parameters/{name}"]
            array[...] = array[()] / 1000
            array.attrs["units"] = unit
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, rtol=1e-5)
        np.testing.assert_allclose(scene.fwhm_nm, 8.5, rtol=1e-5)
        said = any("taken as micrometres" in note for note in scene.notes)
        assert said == (unit == "nm")
        assert scene.origins.wavelengths is not None
        assert scene.origins.wavelengths.guessed == said
