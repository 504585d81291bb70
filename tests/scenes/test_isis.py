"""Cubes of ISIS: wavelengths of the label, special pixels."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from hsi_ssl.scenes.opening import open_scene

LABEL = 65_536
SPECIAL = np.array([0xFF7FFFFB, 0xFF7FFFFC, 0xFF7FFFFD, 0xFF7FFFFE, 0xFF7FFFFF], np.uint32)
"""Null, and too low or too high for the sensor or for the numbers, as ISIS has them."""


def write_isis(path: Path, band_bin: str) -> Path:
    """A cube of 4 x 5 pixels and 3 bands, whose first five pixels are special."""
    numbers = np.full((3, 4, 5), 0.25, np.float32)
    numbers[0, 0] = SPECIAL.view(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="ISIS3", height=4, width=5, count=3, dtype="float32"
        ) as raster:
            raster.write(numbers)
    content = path.read_bytes()
    label = content[:LABEL].rstrip(b"\0").decode()
    end = label.index("End_Object", label.index("End_Object") + 1)
    group = f"  Group = BandBin\n{band_bin}\n  End_Group\n"
    label = label[:end] + group + label[end:]
    path.write_bytes(label.encode().ljust(LABEL, b"\0") + content[LABEL:])
    return path


@pytest.mark.parametrize(
    "band_bin",
    [
        "    Center = (0.41012, 1.0213, 2.3008)\n    Width = (0.006, 0.006, 0.007)\n"
        "    Unit = Micrometer",
        "    Center = (410.12, 1021.3, 2300.8) <nanometers>\n    Width = (6.0, 6.0, 7.0)",
    ],
)
def test_the_label_tells_wavelengths_and_special_pixels_are_none(
    tmp_path: Path, band_bin: str
) -> None:
    with open_scene(write_isis(tmp_path / "crism.cub", band_bin)) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, [410.12, 1021.3, 2300.8])
        np.testing.assert_allclose(scene.fwhm_nm, [6, 6, 7])
        assert scene.origins.wavelengths is not None
        # Of a list with a unit GDAL makes tags.
        where = ("the group BandBin of the label", "the tags `wavelength` of the bands")
        assert scene.origins.wavelengths.where == where["<nanometers>" in band_bin]
        numbers = scene.read()
        none = (numbers == scene.nodata) | ~np.isfinite(numbers)
        assert none[0].any(axis=-1).all()
        assert not none[1:].any()


def test_a_label_without_wavelengths(tmp_path: Path) -> None:
    with open_scene(write_isis(tmp_path / "x.cub", "    OriginalBand = (1, 2, 3)")) as scene:
        assert scene.wavelengths_nm is None
