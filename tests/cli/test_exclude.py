"""`hsi-ssl prepare --exclude`, up to the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import torch
from click.testing import CliRunner, Result

from hsi_ssl.cli.main import cli
from hsi_ssl.errors import SettingsError
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2

WAVELENGTHS = np.arange(1000.0, 2500.0, 50.0)
IN_WATER = (WAVELENGTHS >= 1350) & (WAVELENGTHS <= 1450) | (WAVELENGTHS >= 1800) & (
    WAVELENGTHS <= 1950
)
Array = npt.NDArray[Any]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def wrote(*arguments: object) -> Result:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result


def write(path: str, cube: Array, wavelengths: Array | None) -> None:
    height, width, count = cube.shape
    with rasterio.open(
        path, "w", width=width, height=height, count=count, dtype=cube.dtype,
        crs="EPSG:32633", transform=rasterio.Affine(30, 0, 365_000, 0, -30, 5_810_000),
    ) as file:  # fmt: skip
        file.write(cube.transpose(2, 0, 1))
        for band, nm in enumerate(() if wavelengths is None else wavelengths, 1):
            file.update_tags(band, wavelength=str(nm), wavelength_units="nm")


def codes(path: str) -> Array:
    with rasterio.open(path) as raster:
        plane: Array = raster.read(1)
    return plane


@pytest.mark.slow
def test_garbage_in_excluded_bands_does_not_change_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    place = np.indices((36, 30)).sum(0)
    classes = place // 8 % 3
    shapes = np.sin(np.linspace(0, 4, len(WAVELENGTHS)) * np.array([[1.0], [1.6], [2.3]]))
    clean = (2000 + 600 * shapes[classes] + rng.normal(0, 25, (36, 30, 30))).astype(np.float32)
    dirty = clean.copy()
    dirty[..., IN_WATER] = np.nan
    dirty[:, ::2, 8] = 1e30
    write("clean.tif", clean, WAVELENGTHS)
    write("dirty.tif", dirty, WAVELENGTHS)
    write("lacking.tif", clean[..., ~IN_WATER], WAVELENGTHS[~IN_WATER])
    coarse = clean[..., 1::2].copy()
    coarse[..., [3, 8]] = np.nan  # 1360 and 1860 nm
    write("coarse.tif", coarse, WAVELENGTHS[1::2] + 10)
    write("labels.tif", np.where(place % 8 < 5, classes + 1, 0)[..., None].astype(np.uint8), None)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in ("clean", "dirty"):
        result = wrote(
            "prepare", f"{name}.tif", "--labels", "labels.tif", "--split", "pixels",
            "--exclude", "1350-1450", "--exclude", "1.8-1.95um",
            "--components", 6, "--unlabelled", 200, "-o", f"{name}.h5",
        )  # fmt: skip
        assert "excluded 7 of 30 bands" in result.output
        train_m2(
            M2Settings(
                dataset=Path(f"{name}.h5"), output=Path(name), m1=None, device="cpu",
                hidden=(16,), latent=2, epochs=2, supervised_epochs=4,
            )
        )  # fmt: skip
        for scene in ("clean", "dirty", "lacking"):
            wrote("classify", f"{scene}.tif", "--model", name, "-o", f"{name}-{scene}.tif")
        words = wrote("info", f"{name}.h5").output + wrote("info", name).output
        assert words.count("23 of 30 bands (without 1350-1450 nm, 1800-1950 nm)") == 2
    wrote("classify", "coarse.tif", "--model", "dirty", "--resample", "-o", "coarse-map.tif")
    torch.set_num_threads(threads)
    expected = codes("clean-clean.tif")
    assert (expected != 0).all()
    assert (expected == classes + 1).mean() > 0.8
    for model in ("clean", "dirty"):
        for scene in ("clean", "dirty", "lacking"):
            np.testing.assert_array_equal(codes(f"{model}-{scene}.tif"), expected)
    assert (codes("coarse-map.tif") != 0).all()


@pytest.mark.parametrize("ranges", ["1450-1350", "water", "1350-1450,", "1350-1450cm"])
def test_what_is_no_range_is_refused(
    ranges: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("prepare", "scene.tif", "--exclude", ranges)
    assert isinstance(result.exception, SettingsError)
    assert "exclude" in str(result.exception)
    assert list(tmp_path.iterdir()) == []
