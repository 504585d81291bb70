"""A scene's pixels laid by and heard: pieces of any size against the whole."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.errors import OutputError
from hsi_ssl.inference.surroundings import medians_on_grid
from hsi_ssl.maps.neighbourhood import VALUES, Neighbourhood, Seen
from hsi_ssl.maps.spool import Spool
from hsi_ssl.models.spatial import SWEEPS, mean_field

ROWS, COLS, CLASSES, STRENGTH = 61, 47, 4, 0.9
CPU = torch.device("cpu")


def cut(side: int, wide: int | None = None) -> Iterator[tuple[slice, slice]]:
    wide = wide or side
    for row, col in itertools.product(range(0, ROWS, side), range(0, COLS, wide)):
        yield slice(row, min(row + side, ROWS)), slice(col, min(col + wide, COLS))


@pytest.fixture
def valid() -> npt.NDArray[np.bool_]:
    """Holes of single pixels, a broad one, and a line across the scene."""
    found = np.random.default_rng(0).random((ROWS, COLS)) > 0.05
    found[20:31, 5:25] = False
    found[:, 40] = False
    return found


@pytest.fixture
def p(valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Posteriors `(ROWS, COLS, CLASSES)` of patches in much noise."""
    rng = np.random.default_rng(1)
    patches = rng.integers(CLASSES, size=(8, 6)).repeat(8, 0).repeat(8, 1)[:ROWS, :COLS]
    logits = 1.5 * np.eye(CLASSES)[patches] + 1.5 * rng.normal(size=(ROWS, COLS, CLASSES))
    return torch.softmax(torch.from_numpy(logits).float(), -1).numpy()


def told(
    folder: Path, p: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_],
    windows: Iterator[tuple[slice, slice]],
) -> Neighbourhood:  # fmt: skip
    found = Neighbourhood(folder, (ROWS, COLS), CLASSES, STRENGTH, CPU)
    for rows, cols in windows:
        here = valid[rows, cols]
        some = p[rows, cols][here]
        found.tell(rows, cols, Seen(here, some, some[:, 0]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("side", "wide"), [(5, None), (16, None), (64, None), (3, COLS)])
def test_pieces_of_any_size_are_the_mean_field_of_the_whole_scene(
    side: int, wide: int | None, p: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_],
    tmp_path: Path,
) -> None:  # fmt: skip
    place = np.argwhere(valid)
    table = torch.from_numpy(neighbour_table(np.zeros(len(place), np.int16), place)).long()
    whole = mean_field(torch.from_numpy(p[valid]).log(), table, STRENGTH).numpy()
    assert (whole.argmax(1) != p[valid].argmax(1)).mean() > 0.05  # the prior has work to do
    found = np.full((ROWS, COLS, CLASSES), np.nan, np.float32)
    with told(tmp_path, p, valid, cut(side, wide)) as neighbourhood:
        for rows, cols in cut(side):
            seen = neighbourhood.hear(rows, cols)
            np.testing.assert_array_equal(seen.valid, valid[rows, cols])
            np.testing.assert_array_equal(seen.novelty, p[rows, cols, 0][seen.valid])
            found[rows, cols][seen.valid] = seen.p
    np.testing.assert_array_equal(found[valid].argmax(1), whole.argmax(1))
    np.testing.assert_allclose(found[valid], whole, atol=1e-5)


@pytest.mark.parametrize(("side", "wide"), [(5, None), (16, None), (64, None), (3, COLS)])
def test_surroundings_do_not_depend_on_pieces(
    side: int, wide: int | None, p: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_],
    tmp_path: Path,
) -> None:  # fmt: skip
    """Without the prior, what pixels say of themselves comes back as it was."""
    whole = medians_on_grid(np.where(valid, p[..., 0], np.nan))
    neighbourhood = Neighbourhood(tmp_path, (ROWS, COLS), CLASSES, 0, CPU, surroundings=True)
    with neighbourhood:
        for rows, cols in cut(side, wide):
            here = valid[rows, cols]
            some = p[rows, cols][here]
            neighbourhood.tell(rows, cols, Seen(here, some, some[:, 0]))
        for rows, cols in cut(side):
            seen = neighbourhood.hear(rows, cols)
            np.testing.assert_array_equal(seen.valid, valid[rows, cols])
            np.testing.assert_array_equal(seen.p, p[rows, cols][seen.valid])
            np.testing.assert_array_equal(seen.around, whole[rows, cols][seen.valid])


def test_a_pixel_without_a_finite_answer_has_no_say(
    p: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], tmp_path: Path
) -> None:
    everything = slice(0, ROWS), slice(0, COLS)
    broken, less = p.copy(), valid.copy()
    place = tuple(np.argwhere(valid)[500])
    broken[place], less[place] = np.nan, False
    with told(tmp_path, broken, valid, cut(64)) as a, told(tmp_path, p, less, cut(64)) as b:
        one, other = a.hear(*everything), b.hear(*everything)
    np.testing.assert_array_equal(one.valid, less)
    np.testing.assert_array_equal(one.p, other.p)


def test_squares_tile_the_scene_and_shrink_with_the_number_of_classes(tmp_path: Path) -> None:
    shape = (700, 1100)
    for classes in (3, 40, 100_000):
        covered = np.zeros(shape, int)
        with Neighbourhood(tmp_path, shape, classes, STRENGTH, CPU) as neighbourhood:
            for rows, cols in neighbourhood.squares():
                covered[rows, cols] += 1
                side = rows.stop - rows.start + 2 * SWEEPS
                assert classes == 100_000 or side**2 * classes <= VALUES
        assert (covered == 1).all()


def test_nothing_is_left_on_the_disk(
    p: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], tmp_path: Path
) -> None:
    with told(tmp_path, p, valid, cut(16)):
        pass
    assert not list(tmp_path.iterdir())


def test_a_spool_gives_back_what_threads_lay_by(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((ROWS, COLS, 3)).astype(np.float32)
    windows = [*cut(7), *cut(13)]
    together = threading.Barrier(4)
    with Spool(tmp_path, COLS, 3) as spool:

        def lay_by(some: list[tuple[slice, slice]]) -> None:
            together.wait()
            for rows, cols in some:
                spool.write(rows, cols, values[rows, cols])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lay_by, [windows[i::4] for i in range(4)]))
        for rows, cols in cut(11):
            np.testing.assert_array_equal(spool.read(rows, cols), values[rows, cols])


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a part of the path is a file"):
        Spool(tmp_path / "file", COLS, 3)
