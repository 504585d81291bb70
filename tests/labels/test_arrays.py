"""Label planes from arrays of other shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.arrays import plane_of
from hsi_ssl.labels.legends import Legend
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.labels.sources import resolve

Write = Callable[..., Path]
CODES = np.random.default_rng(0).integers(0, 4, (5, 7)).astype(np.uint8)
NONE = Legend({}, {}, None)
PATH = Path("gt.npy")
COLOURS = {0: "#000000", 1: "#ff0000", 2: "#00ff00", 3: "#0000ff"}


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (CODES, "C"), (CODES[..., None], "C"), (CODES[None], "C"), (CODES.ravel(), "C"),
        (CODES.reshape(-1, 1), "C"), (CODES.reshape(1, -1), "C"), (CODES.ravel("F"), "F"),
        (CODES.ravel("F")[:, None], "F"),
    ],
)  # fmt: skip
def test_shapes_that_hold_a_plane(values: np.ndarray, order: str) -> None:
    found = plane_of(values, CODES.shape, path=PATH, order=order, legend=NONE)  # type: ignore[arg-type]
    assert (found.values == CODES).all()
    flat = values.ndim == 1 or (values.ndim == 2 and 1 in values.shape)
    assert bool(found.notes) == flat
    if flat:
        assert ("column after column" if order == "F" else "row after row") in found.notes[0]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_one_hot_planes(first: bool, dtype: type) -> None:
    hot: np.ndarray = np.stack([CODES == k for k in (1, 2, 3)], axis=0 if first else -1).astype(
        dtype
    )
    found = plane_of(hot, CODES.shape, path=PATH, legend=NONE, band_names=("a", "b", "c"))
    assert (found.values == CODES).all()
    assert found.legend.names == {1: "a", 2: "b", 3: "c"}
    assert "plane k is taken as class k" in found.notes[0]


def test_pictures_need_a_legend_that_knows_all_their_colours() -> None:
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    picture = table[CODES]
    known = Legend({}, COLOURS, "x")
    assert (plane_of(picture, CODES.shape, path=PATH, legend=known).values == CODES).all()
    alpha = np.concatenate([picture, np.full((5, 7, 1), 255, np.uint8)], axis=-1)
    alpha[0, :, 3] = 0
    found = plane_of(alpha, CODES.shape, path=PATH, legend=known)
    assert not found.values[0].any()
    assert (found.values[1:] == CODES[1:]).all()
    with pytest.raises(LabelError, match="nothing tells which class each is"):
        plane_of(picture, CODES.shape, path=PATH, legend=NONE)
    picture[2, 3] = 254, 1, 0
    with pytest.raises(LabelError, match=r"#fe0100 \(1 pixels\)"):
        plane_of(picture, CODES.shape, path=PATH, legend=known)


def test_what_is_no_plane_is_refused() -> None:
    with pytest.raises(LabelError, match=r"\(30,\), the scene has 5 x 7 pixels"):
        plane_of(np.ones(30), CODES.shape, path=PATH, legend=NONE)
    with pytest.raises(LabelError, match="has 5 bands; expected labels in one band"):
        plane_of(np.full((5, 7, 5), 0.2), CODES.shape, path=PATH, legend=NONE)


def test_flat_and_deep_arrays_through_the_files_that_hold_them(
    tmp_path: Path, write_tif: Write
) -> None:
    np.save(tmp_path / "a.npy", CODES[..., None])
    np.save(tmp_path / "b.npy", CODES.ravel())
    np.savez(tmp_path / "c.npz", gt=CODES)
    np.savetxt(tmp_path / "d.txt", CODES, fmt="%d")
    for name in ("a.npy", "b.npy", "c.npz", "d.txt"):
        assert (read_label_plane(tmp_path / name, shape=CODES.shape) == CODES).all(), name


def test_a_coloured_png_with_a_legend_beside_it(tmp_path: Path, write_tif: Write) -> None:
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    cube = write_tif("s.tif", np.ones((5, 7, 4), np.uint8))
    labels = write_tif("l.tif", table[CODES])
    rows = [f"{code},{name},{COLOURS[code]}" for code, name in enumerate(["none", "A", "B", "C"])]
    (tmp_path / "l.csv").write_text("\n".join(["code,name,colour", *rows]))
    with resolve([str(cube)], labels=[labels]) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == CODES).all()
        assert sources.label_set.names == ("A", "B", "C")
        assert sources.label_set.colours == ("#ff0000", "#00ff00", "#0000ff")
