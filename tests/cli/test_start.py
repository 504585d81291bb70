"""`hsi-ssl start`: a folder with a scene and a layer becomes the open page, in a real terminal."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import shapely
from placed_files import NORTH_UP, on_ground, write_cube, write_layer
from terminals import in_terminal

from hsi_ssl.cli.live import CLEAR, width
from hsi_ssl.cli.start import _steps
from hsi_ssl.settings import load_project

ROCKS = ("basalt", "gneiss", "marl")
ROWS, COLS, BANDS, FIELD = 24, 24, 12, 6
QUESTION = "Enter takes 1:"
PAGE = "(Ctrl-C ends it)"


@pytest.fixture
def flight(tmp_path: Path) -> Path:
    """A folder with a scene of three rocks in fields, and polygons in half of these."""
    folder = tmp_path / "flight"
    folder.mkdir()
    rng = np.random.default_rng(1)
    rows, cols = np.mgrid[:ROWS, :COLS]
    rock = (rows // FIELD + cols // FIELD) % 3
    shapes = 2000 + 900 * np.sin(np.linspace(0, 3, BANDS)[None] * (1 + np.arange(3))[:, None])
    cube = shapes[rock] * rng.normal(1, 0.05, (ROWS, COLS, 1)) + rng.normal(0, 25, (1, 1, BANDS))
    cube = np.moveaxis(cube + rng.normal(0, 20, cube.shape), -1, 0).astype(np.uint16)
    with rasterio.open(
        folder / "may.tif", "w", driver="GTiff", height=ROWS, width=COLS, count=BANDS,
        dtype="uint16", crs="EPSG:32633", transform=NORTH_UP,
    ) as raster:  # fmt: skip
        raster.write(cube)
        for band in range(1, BANDS + 1):
            raster.update_tags(band, wavelength=str(450 + 30 * band), wavelength_units="nm")
    places = [(r, c) for r in range(ROWS // FIELD) for c in range(COLS // FIELD)]
    squares = [
        shapely.box(c * FIELD + 1, r * FIELD + 1, c * FIELD + 5, r * FIELD + 5) for r, c in places
    ]
    names = [ROCKS[(r + c) % 3] for r, c in places]
    write_layer(
        folder / "fields.gpkg",
        [on_ground(square) for square in squares],
        {"rock": names, "seen": ["in May" if i % 2 else "in June" for i in range(len(names))]},
    )
    return folder


@pytest.mark.slow
def test_three_answers_lead_from_nothing_to_the_open_page(
    flight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (flight / "hsi-ssl.log").write_text("not ours")
    ran = in_terminal(
        ["start", "--no-browser"],
        folder=flight,
        typed=[(QUESTION, "7\n"), (QUESTION, "2\n"), (QUESTION, "2\n")],
        stop_at=PAGE,
    )
    said = ran.left
    assert ran.code == 130, said
    assert "scene may.tif: 24 x 24 pixels, 12 bands" in said
    assert "7 is none of the numbers 1 to 2" in said
    assert said.count(QUESTION) == 3
    project = tomllib.loads((flight / "hsi-ssl.toml").read_text())
    assert project["prepare"] == {
        "sources": ["may.tif"], "labels": ["fields.gpkg"], "label_field": "rock",
    }  # fmt: skip
    shown = re.findall(r"^\$ hsi-ssl (.+)$", said, re.M)
    assert shown == [
        "prepare", "train-m1", "train-m2", "evaluate", "classify",
        "view may_classes.tif --no-browser",
    ]  # fmt: skip
    assert re.search(r"http://127\.0\.0\.1:\d+/\S+", said)
    assert "Stopped (Ctrl-C): the page is closed" in said
    with rasterio.open(flight / "may_classes.tif") as raster:
        assert set(np.unique(raster.read(1))) <= {0, 1, 2, 3}
    assert (flight / "runs/m2/report/index.html").exists()
    _lines_fit(ran.text, said)

    monkeypatch.chdir(flight)
    settings = load_project(Path("hsi-ssl.toml"))
    assert _steps(settings) == [["evaluate"], ["classify"]]
    (flight / "runs/m2/model.json").unlink()
    assert _steps(settings) == [["train-m2", "--resume"], ["evaluate"], ["classify"]]


def _lines_fit(text: str, said: str) -> None:
    """Live lines are shorter than the terminal, and gone at the end."""
    drawn = [p.split("\r")[0].split("\n")[0] for p in text.split(CLEAR)[1:] if "\u2501" in p[:200]]
    assert any(re.match(r"epoch \d+ of \d+: ", line) for line in drawn)
    assert max(map(width, drawn)) < 80
    left = said.split("\n")
    assert not [line for line in left if line.startswith("epoch")]
    assert len([line for line in left if line.startswith("kept: the state after epoch ")]) >= 2


def test_an_answer_that_does_not_come_is_told(flight: Path) -> None:
    ran = in_terminal(["start"], folder=flight, typed=[(QUESTION, "\x04")])
    assert ran.code == 2, ran.left
    assert "no answer came: --yes takes what is proposed" in ran.left
    assert not (flight / "hsi-ssl.toml").exists()


def test_ctrl_c_at_a_question_says_how_to_go_on(flight: Path) -> None:
    ran = in_terminal([], folder=flight, stop_at=QUESTION)
    assert ran.code == 130, ran.left
    assert "`hsi-ssl start` goes on with what is still to be done" in ran.left
    assert "Aborted" not in ran.left


def test_without_a_terminal_it_wants_yes(
    hsi_ssl: Callable[..., Any], flight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(flight)
    ran = hsi_ssl("start")
    assert ran.code == 2
    assert "--yes takes what is proposed" in ran.err


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "no scene in .*expected a cube of 4 bands or more .*found nothing that is known"),
        (["photo.tif"], r"found none \(left out: photo.tif has 3 bands, too few for a scene\)"),
        (
            ["two.h5"],
            "two.h5 holds several arrays .* take one array by `hsi-ssl prepare FILE --var",
        ),
        (["scene.tif"], "no labels for scene.tif in .*scene_labels.tif"),
        (["labels.gpkg"], "no scene in .*found labels.gpkg: 1 feature"),
    ],
)
def test_what_is_missing_is_said_in_words(
    hsi_ssl: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in files:
        path = tmp_path / "data" / name
        if name.endswith(".gpkg"):
            write_layer(path, [shapely.Point(0, 0)])
        elif name.endswith(".h5"):
            with h5py.File(path, "w") as file:
                file["one"] = file["two"] = np.ones((8, 8, 6), np.float32)
        else:
            write_cube(path, bands=3 if name == "photo.tif" else 6)
    ran = hsi_ssl("start", "data", "--yes")
    assert ran.code == 2
    assert re.search(said, ran.err), ran.err
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_folder_that_is_not_there(hsi_ssl: Callable[..., Any], tmp_path: Path) -> None:
    ran = hsi_ssl("start", tmp_path / "none", "--yes")
    assert ran.code == 2
    assert "there is no folder" in ran.err


def test_of_another_folder_nothing_goes_on_in_silence(
    hsi_ssl: Callable[..., Any], flight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(flight.parent)
    Path("hsi-ssl.toml").write_text("[prepare]\nsources = ['elsewhere.tif']\n")
    ran = hsi_ssl("start", "flight", "--yes")
    assert ran.code == 2
    assert "`hsi-ssl start` without flight goes on with what it says" in ran.err
    assert Path("hsi-ssl.toml").read_text() == "[prepare]\nsources = ['elsewhere.tif']\n"
