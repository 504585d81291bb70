"""Cubes and labels found by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hearing import Hears

from hsi_ssl.describing.offering import offered
from hsi_ssl.errors import SceneNotFoundError
from hsi_ssl.labels import finding
from hsi_ssl.labels.finding import Finder, find
from hsi_ssl.labels.pairing import label_files
from hsi_ssl.watcher import SILENT


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"?")


def pairs(source: Path) -> dict[str, str | None]:
    _, found = find(str(source), None, SILENT)
    return {f.cube.name: f.labels.name if f.labels else None for f in found}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.h5", "b.h5"], {"a.h5": None, "b.h5": None}),
        (["x.tif", "x_labels.tif"], {"x.tif": "x_labels.tif"}),
        (["x.tif", "labels.tif"], {"x.tif": "labels.tif"}),
        (["s1.tif", "s10.tif", "s1_labels.tif"], {"s1.tif": "s1_labels.tif", "s10.tif": None}),
        (["f.1.tif", "f.1_labels.tif", "f.2.tif"], {"f.1.tif": "f.1_labels.tif", "f.2.tif": None}),
        (["x.tif", "y.tif", "labels.tif"], {"x.tif": None, "y.tif": None}),
        (["Foo_corrected.mat", "Foo_gt.mat"], {"Foo_corrected.mat": "Foo_gt.mat"}),
        (["Foo.mat", "FOO_GT.mat"], {"Foo.mat": "FOO_GT.mat"}),
        (
            ["a.tif", "a_gt.tif", "ab.tif", "ab_gt.tif"],
            {"a.tif": "a_gt.tif", "ab.tif": "ab_gt.tif"},
        ),
        (["x.npy", "x-ground-truth.npy"], {"x.npy": "x-ground-truth.npy"}),
        (
            ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
            {"t10k-images-idx3-ubyte": "t10k-labels-idx1-ubyte"},
        ),
        (
            ["x.h5", "x_classes.tif", "x_classes.png", "notes.txt", "legend.csv", ".hidden.h5"],
            {"x.h5": None},
        ),
        (["mask.tif", "scene.tif"], {"scene.tif": "mask.tif"}),
        (["labelled_spectra.h5"], {"labelled_spectra.h5": None}),
    ],
)
def test_a_folder(tmp_path: Path, names: list[str], expected: dict[str, str | None]) -> None:
    touch(tmp_path, *names)
    assert pairs(tmp_path) == expected


def test_white_and_dark_references_are_no_scenes(tmp_path: Path, hears: Hears) -> None:
    specim = ["core.raw", "DARKREF_core.raw", "WHITEREF_core.raw", "labels.tif", "darkref_old.raw"]
    touch(tmp_path, *specim)
    for name in specim:
        if name.endswith(".raw"):
            (tmp_path / name).with_suffix(".hdr").write_text("ENVI\n")
    _, found = find(str(tmp_path), None, hears)
    # Of whatever is called `old` there is no scene: it may be anything.
    assert [one.cube.name for one in found] == ["core.raw", "darkref_old.raw"]
    assert any("left out: DARKREF_core.raw, WHITEREF_core.raw, called" in s for s in hears.said)
    assert pairs(tmp_path / "WHITEREF_core.raw") == {"WHITEREF_core.raw": None}
    (tmp_path / "darkref_old.raw").unlink()
    assert pairs(tmp_path) == {"core.raw": "labels.tif"}
    assert pairs(tmp_path / "core.raw") == {"core.raw": "labels.tif"}
    touch(tmp_path / "headwall", "raw_0.tif", "raw_1.tif", "darkReference.tif")
    assert pairs(tmp_path / "headwall") == {"raw_0.tif": None, "raw_1.tif": None}
    touch(tmp_path / "lone", "whiteref.tif")
    assert pairs(tmp_path / "lone") == {"whiteref.tif": None}


def test_links_to_what_is_not_there_are_told(tmp_path: Path, hears: Hears) -> None:
    touch(tmp_path, "a.tif")
    (tmp_path / "b.tif").symlink_to("/no/disk/b.tif")
    (tmp_path / "b_labels.tif").symlink_to("gone.tif")
    assert [one.cube.name for one in find(str(tmp_path), None, hears)[1]] == ["a.tif"]
    those = "links to what is not there, b.tif -> /no/disk/b.tif, b_labels.tif -> gone.tif"
    assert hears.warned == [f"left out: {those}"]
    assert "b.tif is a link to /no/disk/b.tif, which is not there" in offered(tmp_path).left_out
    label_files([tmp_path], "--labels", hears)
    assert hears.warned[1:] == [f"--labels: left out {those}"]
    with pytest.raises(SceneNotFoundError, match=r"a link to what is not there, b\.tif -> "):
        find(str(tmp_path / "b.tif"), None, hears)
    (tmp_path / "a.tif").unlink()
    with pytest.raises(SceneNotFoundError, match=r"no cube in the folder .*, only links"):
        find(str(tmp_path), None, hears)


def test_what_is_no_scene_among_those_that_are_named(tmp_path: Path, hears: Hears) -> None:
    scenes = ["a.tif", "b.tif", "b2_labels.h5", "c.img"]
    others = [
        "WHITEREF_a.tif", "a.tif.aux.xml", "a_classes.png", "a_labels.tif", "labels.tif",
        "x.gpkg", "y.dbf", "y.shp",
    ]  # fmt: skip
    touch(tmp_path, *scenes, *others)
    every = [str(tmp_path / name) for name in sorted(scenes + others)]
    finder = Finder(None, hears)
    # Labels of a scene that is not there may be one.
    assert [Path(one).name for one in finder.scenes_among(every)] == scenes
    assert hears.said == [
        "left out, since they are no scenes: WHITEREF_a.tif (white or dark references), "
        "a.tif.aux.xml (files that go with others), a_classes.png (class maps), a_labels.tif, "
        "labels.tif (labels), x.gpkg, y.dbf, y.shp (vector layers); name one alone to have it "
        "taken for one"
    ]
    alone = [str(tmp_path / "a_labels.tif")]
    assert finder.scenes_among(alone) == alone
    assert finder.scenes_among([*alone, "indian-pines"]) == [*alone, "indian-pines"]


def test_envi_files_need_a_header(tmp_path: Path) -> None:
    touch(tmp_path, "x.dat", "y.dat", "z", "other.hdr")
    (tmp_path / "x.hdr").write_text("ENVI\n")
    (tmp_path / "z.hdr").write_text("ENVI\n")
    assert pairs(tmp_path) == {"x.dat": None, "z": None}


def test_a_header_names_its_data(tmp_path: Path) -> None:
    touch(tmp_path, "x.dat", "x_labels.tif", "lonely.hdr")
    (tmp_path / "x.dat").write_bytes(bytes(8))
    (tmp_path / "x.hdr").write_text(
        "ENVI\nsamples = 2\nlines = 2\nbands = 2\ndata type = 1\ninterleave = bsq\n"
    )
    assert pairs(tmp_path / "x.hdr") == {"x.dat": "x_labels.tif"}
    assert pairs(tmp_path / "lonely.hdr") == {"lonely.hdr": None}


def test_a_file_finds_the_labels_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "x.tif", "x_labels.tif", "y.tif", "labels.tif")
    assert pairs(tmp_path / "x.tif") == {"x.tif": "x_labels.tif"}
    assert pairs(tmp_path / "y.tif") == {"y.tif": None}


def test_a_file_of_any_name_is_taken_at_its_word(tmp_path: Path) -> None:
    touch(tmp_path, "odd.name")
    assert pairs(tmp_path / "odd.name") == {"odd.name": None}


def test_a_catalog_data_set_is_known_wherever_it_lies(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "SalinasA_corrected.mat", {"a": np.ones((2, 2, 2))})
    touch(tmp_path, "SalinasA_gt.mat")
    title, (found,) = find(str(tmp_path), None, SILENT)
    assert title == tmp_path.name
    assert found.known is not None
    assert found.known.name == "salinas-a"
    assert (found.variable, found.labels_variable) == ("salinasA_corrected", "salinasA_gt")
    assert found.labels == tmp_path / "SalinasA_gt.mat"


def test_a_catalog_name_wins_over_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "indian-pines", "mine.h5")
    title, (found,) = find("indian-pines", None, hears)
    assert title == "Indian Pines"
    assert found.cube.name == "Indian_pines_corrected.npy"
    assert "./indian-pines" in hears.all
    assert find("./indian-pines", None, hears)[1][0].cube.name == "mine.h5"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("indianpines", "did you mean indian-pines"),
        ("no/such/file.h5", "no file or folder no/such/file.h5"),
        ("empty", "no cube in the folder"),
    ],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SceneNotFoundError, match=message):
        find(source, None, SILENT)


def test_a_folder_of_which_many_files_are_named_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{i}.tif" for i in range(5)]
    touch(tmp_path, *names, *(f"s{i}_labels.tif" for i in range(5)))
    listed: list[Path] = []
    known = finding._named_in

    def counted(folder: Path) -> finding.Named:
        listed.append(folder)
        return known(folder)

    monkeypatch.setattr(finding, "_named_in", counted)
    finder = Finder(None, SILENT)
    found = [finder.find(str(tmp_path / name))[1][0] for name in names]
    labels = [one.labels.name for one in found if one.labels is not None]
    assert labels == [f"s{i}_labels.tif" for i in range(5)]
    assert listed == [tmp_path]
