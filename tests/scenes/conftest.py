"""What the tests of readers share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[np.generic]


@pytest.fixture
def cube() -> npt.NDArray[np.uint16]:
    """A cube `(rows, cols, bands)` of which no two values are alike."""
    return np.random.default_rng(0).permutation(13 * 11 * 7).reshape(13, 11, 7).astype(np.uint16)


@pytest.fixture
def agrees() -> Callable[[Scene, Cube], None]:
    """Check every way of reading a scene against the cube that it should hold, and close it."""

    def check(scene: Scene, cube: Cube) -> None:
        with scene:
            rows, cols, bands = cube.shape
            assert (scene.rows, scene.cols, scene.bands) == (rows, cols, bands)
            assert scene.dtype == cube.dtype.newbyteorder("=")
            for window in (
                (slice(None), slice(None)),
                (slice(2, rows - 1), slice(1, cols - 2)),
                (slice(rows - 1, rows), slice(0, 1)),
                (slice(3, 3), slice(None)),
            ):
                found = scene.read(*window)
                np.testing.assert_array_equal(found, cube[window])
                assert found.dtype.isnative
                # As planes of bands or pixel by pixel; the caller's own either way.
                assert np.shares_memory(found.reshape(-1, bands), found) or not found.size
                assert found.flags.writeable
            # Unordered, with neighbours in a row, and some twice.
            draw = np.random.default_rng(1)
            r, c = draw.integers(0, rows, 50), draw.integers(0, cols, 50)
            r, c = np.append(r, [4, 4, 4, 3]), np.append(c, [2, 3, 4, 2])
            found = scene.pixels(r, c)
            np.testing.assert_array_equal(found, cube[r, c])
            assert found.dtype.isnative
            assert scene.pixels([], []).shape == (0, bands)
            for size in (1, 5, cols, 40, rows * cols):
                seen = np.zeros((rows, cols), int)
                for window in scene.windows(size):
                    seen[window] += 1
                    assert seen[window].size <= size
                assert (seen == 1).all()

    return check
