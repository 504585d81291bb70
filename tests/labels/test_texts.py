"""Class names in the place of numbers: in arrays, grids of text and cell arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.label_set import LabelClass
from hsi_ssl.labels.raster_labels import RasterSource, raster_labels
from hsi_ssl.labels.rasters import open_label_raster, read_label_plane
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.labels.texts import numbered
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.watcher import Watcher

Write = Callable[..., Path]
ROWS, COLS = 20, 30
TABLE = np.array(["", "bare soil", "pine", "Öland oak"])
NUMBERS = np.random.default_rng(0).integers(0, 4, (ROWS, COLS))
NAMES = TABLE[NUMBERS]


def mat_5(path: Path, **cells: np.ndarray) -> Path:
    scipy.io.savemat(path, {name: array.astype(object) for name, array in cells.items()})
    return path


def mat_7(path: Path, **cells: np.ndarray) -> Path:
    """Cell arrays as MATLAB writes them: reversed axes, characters, marked empty texts."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in cells.items():
            refs = file.create_dataset(name, array.T.shape, h5py.ref_dtype)
            for i, text in enumerate(array.T.ravel()):
                if text:
                    units = np.frombuffer(text.encode("utf-16-le"), "<u2")
                    cell = file.create_dataset(f"#refs#/{name}{i}", data=units[:, None])
                else:
                    cell = file.create_dataset(f"#refs#/{name}{i}", data=np.zeros(2, np.uint64))
                    cell.attrs["MATLAB_empty"] = np.uint8(1)
                refs[np.unravel_index(i, refs.shape)] = cell.ref
    return path


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def npy(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def grid(path: Path, between: str, names: np.ndarray = NAMES, encoding: str = "utf-8") -> Path:
    path.write_text("\n".join(between.join(row) for row in names) + "\n", encoding)
    return path


def open_(cube: Path, *labels: Path, watcher: Watcher | None = None, **rules: Any) -> Sources:
    return resolve(
        [str(cube)], labels=labels, rules=LabelRules(**rules), watcher=watcher or Watcher()
    )


MAKERS: dict[str, Callable[[Path], Path]] = {
    "text": lambda f: npy(f / "l.npy", NAMES),
    "bytes": lambda f: npy(f / "l.npy", np.char.encode(NAMES, "utf-8")),
    "of Windows": lambda f: npy(f / "l.npy", np.char.encode(NAMES, "windows-1252")),
    "turned": lambda f: npy(f / "l.npy", np.asfortranarray(NAMES)),
    "big-endian": lambda f: npy(f / "l.npy", NAMES.astype(">U12")),
    "flat": lambda f: npy(f / "l.npy", NAMES.ravel()),
    "deep": lambda f: npy(f / "l.npy", NAMES[..., None]),
    "archive": lambda f: npz(f / "l.npz", gt=NAMES, names=TABLE),
    "commas": lambda f: grid(f / "l.csv", ","),
    "semicolons": lambda f: grid(f / "l.csv", ";", encoding="windows-1252"),
    "tabs": lambda f: grid(f / "l.tsv", "\t", encoding="utf-8-sig"),
    "quoted": lambda f: grid(f / "l.csv", ",", np.char.add(np.char.add('"', NAMES), '"')),
    "lines": lambda f: grid(f / "l.txt", ",", NAMES.reshape(-1, 1)),
    "cells": lambda f: mat_5(f / "l.mat", gt=NAMES, class_names=TABLE[None]),
    "cells of 7.3": lambda f: mat_7(f / "l.mat", gt=NAMES, class_names=TABLE[None]),
    "flat cells": lambda f: mat_5(f / "l.mat", gt=NAMES.ravel("F")[:, None]),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", [pytest.param(MAKERS[key], id=key) for key in MAKERS])
def test_forms_of_text(make: Callable[[Path], Path], tmp_path: Path, write_scene: Write) -> None:
    with open_(write_scene("s.tif"), make(tmp_path)) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == NUMBERS).all()
        assert sources.label_set.names == tuple(TABLE[1:])
        assert sources.class_file is not None
        assert sources.class_file.path == tmp_path / "l.classes.csv"
        assert sources.recoded == {}


def test_blanks_stand_between_names_without_any(tmp_path: Path, write_scene: Write) -> None:
    names = np.array(["none", "soil", "oak", "pine"])[NUMBERS]
    with open_(write_scene("s.tif"), grid(tmp_path / "l.txt", "  ", names)) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == np.array([0, 3, 1, 2])[NUMBERS]).all()


def test_what_stands_for_no_class_whatever_its_case(
    tmp_path: Path, write_scene: Write, hears: Any
) -> None:
    words = ["", "nan", "Unlabelled", "unlabeled", "Unclassified", "BACKGROUND", "nodata", "None"]
    names = np.array([*words, "0", " oak ", "bare   soil"])[np.arange(600).reshape(20, 30) % 11]
    with open_(write_scene("s.tif"), npy(tmp_path / "l.npy", names), watcher=hears) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        code = {"oak": 2, "bare soil": 1}
        assert (
            found == [[code.get(" ".join(name.split()), 0) for name in row] for row in names]
        ).all()
        assert sources.label_set.names == ("bare soil", "oak")
    assert "BACKGROUND, None, Unclassified, Unlabelled" in hears.all
    assert hears.all.count("taken as unlabelled") == 1


@pytest.mark.parametrize("how", ["npy", "csv", "mat"])
def test_text_that_is_all_numbers_is_these_numbers(
    how: str, tmp_path: Path, write_scene: Write
) -> None:
    texts = np.array(["", "7", "300", "12.0"])[NUMBERS]
    path = tmp_path / f"l.{how}"
    make: dict[str, Callable[..., Path]] = {
        "npy": npy,
        "csv": lambda p, t: grid(p, ",", t),
        "mat": lambda p, t: mat_5(p, gt=t),
    }
    make[how](path, texts)
    (tmp_path / "l.classes.csv").write_text("code,name\n7,oak\n300,pine\n12,soil\n")
    with open_(write_scene("s.tif"), path) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == np.array([0, 7, 300, 12])[NUMBERS]).all()
        assert sources.label_set.names == ("oak", "soil", "pine")
        assert sources.class_file is None


def test_zero_in_numbers_as_text_is_the_number(tmp_path: Path, write_scene: Write) -> None:
    path = npy(tmp_path / "l.npy", np.array(["nan", "0", "1", "2"])[NUMBERS])
    with open_(write_scene("s.tif"), path, zero_is_a_class=True) as sources:
        assert sources.recoded == {0: 3}
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == np.array([0, 3, 1, 2])[NUMBERS]).all()


def test_codes_are_remembered_and_never_change(tmp_path: Path, write_scene: Write) -> None:
    path, cube = npy(tmp_path / "l.npy", NAMES), write_scene("s.tif")
    with open_(cube, path) as sources:
        assert sources.class_file is not None
        sources.class_file.save()
    npy(path, np.array(["", "bare soil", "pine", "alder"])[NUMBERS])
    for _ in range(2):
        with open_(cube, path) as sources:
            found = sources.scenes[0].labels
            assert found is not None
            assert (found == np.array([0, 1, 2, 4])[NUMBERS]).all()
            assert sources.label_set.names == ("bare soil", "pine", "Öland oak", "alder")
            assert sources.class_file is not None
            sources.class_file.save()
    remembered = tmp_path / "l.classes.csv"
    assert [line[:2] for line in remembered.read_text().splitlines()[1:]] == [
        "1,",
        "2,",
        "3,",
        "4,",
    ]


def test_classes_names_the_file_that_remembers(tmp_path: Path, write_scene: Write) -> None:
    table = tmp_path / "table.csv"
    table.write_text("code,name,colour\n9,pine,#010203\n")
    path, cube = npy(tmp_path / "l.npy", NAMES), write_scene("s.tif")
    with open_(cube, path, classes=table) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == np.array([0, 10, 9, 11])[NUMBERS]).all()
        assert sources.label_set.colours[0] == "#010203"
    with open_(cube, path, classes=tmp_path / "new.csv") as sources:
        assert sources.class_file is not None
        sources.class_file.save()
    assert "1,bare soil" in (tmp_path / "new.csv").read_text()


def test_codes_of_a_dataset_go_before_those_remembered(tmp_path: Path, write_scene: Write) -> None:
    (tmp_path / "l.classes.csv").write_text("code,name\n1,pine\n")
    source = RasterSource(npy(tmp_path / "l.npy", NAMES))
    known = tuple(LabelClass(code, name, "#000000") for code, name in ((5, "pine"), (1, "x")))
    with open_scene(write_scene("s.tif")) as scene:
        again = raster_labels([scene], [[source]], known=known, fixed={}).codes[0]
        first = raster_labels([scene], [[source]], known=known).codes[0]
    assert again is not None
    assert (again == np.array([0, 6, 5, 7])[NUMBERS]).all()
    assert first is not None
    assert (first == np.array([0, 2, 1, 3])[NUMBERS]).all()


def test_several_rasters_share_names_and_leave_numbers_alone(
    tmp_path: Path, write_scene: Write, write_tif: Write
) -> None:
    top, middle, codes = NAMES.copy(), NAMES.copy(), np.zeros((ROWS, COLS), np.uint8)
    top[8:], middle[:8], middle[15:] = "", "", ""
    middle[middle == "pine"] = "birch"
    codes[15:] = np.array([0, 2, 3, 8])[NUMBERS[15:]]
    rasters = [npy(tmp_path / "s_labels.npy", top), grid(tmp_path / "s_gt.csv", ",", middle)]
    numbers = write_tif("s_mask.tif", codes)
    (tmp_path / "s_mask.csv").write_text("code,name,colour\n8,pine,#0a0b0c\n3,moss,#0a0b0d\n")
    with open_(write_scene("s.tif"), *rasters, numbers) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        names = {c.name: c.code for c in sources.label_set.classes}
        assert names == {"moss": 3, "pine": 8, "bare soil": 9, "birch": 10, "Öland oak": 11}
        code_of = names | {"": 0}
        assert (found[:8] == [[code_of[n] for n in row] for row in top[:8]]).all()
        assert (found[8:15] == [[code_of[n] for n in row] for row in middle[8:15]]).all()
        assert (found[15:] == codes[15:]).all()
        assert {c.name: c.colour for c in sources.label_set.classes}["pine"] == "#0a0b0c"
    (tmp_path / "s_labels.classes.csv").write_text("code,name\n8,larch\n")
    with pytest.raises(
        LabelError, match=r"have 8 pine where .*s_labels\.classes\.csv has 8 larch; make"
    ):
        open_(write_scene("s.tif"), *rasters, numbers)


def test_the_numbers_of_a_file_go_before_its_texts(tmp_path: Path) -> None:
    path = npz(tmp_path / "l.npz", gt=NUMBERS, names=NAMES)
    assert (read_label_plane(path, shape=(ROWS, COLS)) == NUMBERS).all()
    np.savez(path, gt=NUMBERS * 2, names=NAMES)
    names = read_label_plane(path, variable="names", shape=(ROWS, COLS))
    assert (names == NUMBERS).all()
    with pytest.raises(SceneNotFoundError, match=r"holds gt \(20, 30\), names \(20, 30\)"):
        read_label_plane(path, variable="x")
    cube = np.random.default_rng(0).random((ROWS, COLS, 5))
    scipy.io.savemat(tmp_path / "s.mat", {"cube": cube, "gt": NAMES.astype(object)})
    with open_label_raster(tmp_path / "s.mat", shape=(ROWS, COLS)) as raster:
        assert raster.named == tuple(TABLE[1:])


def test_numbers_follow_the_names_order_in_any_shape() -> None:
    found = numbered(np.array([[["b", "a"]], [["NaN", "b"]]]), Path("x.npy"))
    assert found.values.tolist() == [[[2, 1]], [[0, 2]]]
    assert found.names == ("a", "b")


def test_what_is_refused_is_one_sentence(tmp_path: Path, write_scene: Write) -> None:
    cube = write_scene("s.tif")
    cases: list[tuple[Path, str]] = []
    np.save(tmp_path / "o.npy", NAMES.astype(object), allow_pickle=True)
    cases.append((tmp_path / "o.npy", r"never unpickled: save text as names\.astype\(str\)"))
    np.savez(tmp_path / "o.npz", gt=NAMES.astype(object))
    cases.append((tmp_path / "o.npz", r"never unpickled: save text as names\.astype\(str\)"))
    cases.append((npy(tmp_path / "3.npy", np.stack([NAMES] * 3, -1)), r"\(20, 30, 3\); expected"))
    cases.append((npy(tmp_path / "small.npy", NAMES[1:]), "are 19 x 30 pixels, the scene is 20 x"))
    (tmp_path / "r.csv").write_text("a,b,c\na,b\n")
    cases.append((tmp_path / "r.csv", "3 values in the first row, 2 in row 2; expected equally"))
    (tmp_path / "m.csv").write_text("a,0.25\nb,c\n")
    cases.append((tmp_path / "m.csv", r"0\.25 is no class name; expected codes or names"))
    mixed = NAMES.astype(object)
    mixed[3, 4] = 7.5
    scipy.io.savemat(tmp_path / "x.mat", {"gt": mixed})
    cases.append((tmp_path / "x.mat", "gt in .* is a cell array of more than text"))
    for path, sentence in cases:
        with pytest.raises((LabelError, SceneError), match=sentence) as caught:
            open_(cube, path)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(LabelError, match="holds names: call the class by one"):
        open_(cube, npy(tmp_path / "l.npy", NAMES), zero_is_a_class=True)
    with pytest.raises(SceneError, match="expected real numbers"):
        resolve([str(npy(tmp_path / "cube.npy", np.stack([NAMES] * 3, -1)))], labelled=False)
