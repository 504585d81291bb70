"""Class maps as files have them: values, names, areas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.reports.class_maps import open_class_map

Write = Callable[..., Path]
CODES = np.repeat(np.array([[0, 1, 2, 9]], np.uint8), 6, axis=0)


def test_pixels_of_each_value_and_their_size(write_map: Write) -> None:
    with open_class_map(write_map("m.tif", CODES, {1: "a", 2: "b"}, {"LABEL_SET": "x"})) as found:
        assert found.pixels == {1: 6, 2: 6, 9: 6}
        assert found.names == found.declared == {1: "a", 2: "b"}
        assert found.tags["LABEL_SET"] == "x"
        assert found.hectares == pytest.approx(0.01)
        assert not found.zero
        numbers = found.window(slice(0, 1), slice(0, 4))
        assert [[0, *found.values][i] for i in numbers[0]] == [0, 1, 2, 9]
    with open_class_map(write_map("d.tif", CODES, crs="EPSG:4326")) as found:
        assert found.hectares is None
    feet = write_map("f.tif", CODES, crs="EPSG:2277")  # US survey feet
    with open_class_map(feet) as found:
        assert found.hectares == pytest.approx(100 * (1200 / 3937) ** 2 / 10_000)


def test_what_stands_for_nothing(write_map: Write) -> None:
    codes = CODES.copy()
    codes[0] = 255
    with open_class_map(write_map("a.tif", codes, nodata=255)) as found:
        assert found.zero  # another value is nothing, so 0 may be a class
        assert found.pixels == {0: 5, 1: 5, 2: 5, 9: 5}
    with open_class_map(write_map("b.tif", codes, {0: "Background", 1: "a"}, nodata=255)) as found:
        assert not found.zero
        assert found.pixels == {1: 5, 2: 5, 9: 5}
    with open_class_map(write_map("c.tif", codes, {9: "No data"}), ignore=(255,)) as found:
        assert found.pixels == {1: 5, 2: 5}
        assert found.notes == ("c.tif: 9 (No data) is taken as not classified",)
    values = np.where(codes == 255, np.nan, codes).astype(np.float32)
    values[1] = -9999.9
    with open_class_map(write_map("e.tif", values, nodata=-9999.9)) as found:
        assert found.pixels[9] == 4


@pytest.mark.parametrize("value", [0.5, -1, np.inf])
def test_measurements_are_no_map(write_map: Write, value: float) -> None:
    values = CODES.astype(np.float32)
    values[2, 3] = value
    with (
        open_class_map(write_map("m.tif", values)) as found,
        pytest.raises(SceneError, match=r"m\.tif is no class map: it holds .* row 2, column 3"),
    ):
        assert found.pixels


def test_what_cannot_be_opened(write_map: Write, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="has 3 bands, a class map has one"):
        open_class_map(write_map("m.tif", np.stack([CODES] * 3)))
    with pytest.raises(SceneNotFoundError, match="nowhere"):
        open_class_map(tmp_path / "nowhere.tif")
    (tmp_path / "cut.tif").write_bytes(write_map("w.tif", CODES).read_bytes()[:100])
    with pytest.raises(SceneError, match=r"cut\.tif is broken"):
        open_class_map(tmp_path / "cut.tif")
