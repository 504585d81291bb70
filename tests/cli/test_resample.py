"""Scenes of one sensor, each with its own calibration, from cubes to a map."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import spectral.io.envi
from click.testing import CliRunner
from delivered import CRS, NORTH, WEST, agreement, on_grid, reflectance, run

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import open_dataset
from hsi_ssl.errors import BandsError

CENTRES = np.concatenate([np.arange(420.0, 1000.0, 13), np.arange(1004.0, 2445.0, 21)])
WIDTHS = np.where(CENTRES < 1000, 14.0, 22.0)


def write(folder: Path, shift: float, seed: int, lost: slice = slice(0, 0)) -> Path:
    """A scene whose bands lie `shift` nm off, those of `lost` flagged as bad and without data."""
    ground, nm = on_grid(), CENTRES + shift
    raw = np.round(reflectance(ground.codes, nm, seed) * 10_000).astype(np.int16)
    good = np.ones(len(nm), int)
    good[lost] = 0
    raw[..., lost] = -1
    folder.mkdir(exist_ok=True)
    spectral.io.envi.save_image(
        str(folder / f"s{seed}.hdr"), raw, interleave="bil", ext="img", dtype=np.int16,
        metadata={
            "wavelength": nm.tolist(), "fwhm": WIDTHS.tolist(), "wavelength units": "Nanometers",
            "bbl": good.tolist(), "data ignore value": -1, "reflectance scale factor": 10_000,
            "map info": ["UTM", 1, 1, WEST, NORTH, 30, 30, 33, "North", "WGS-84"],
        },
    )  # fmt: skip
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": 36, "width": 48}
    path = folder / f"s{seed}_labels.tif"
    with rasterio.open(
        path, "w", crs=CRS, transform=rasterio.Affine(30, 0, WEST, 0, -30, NORTH), **profile
    ) as raster:
        raster.write(ground.codes, 1)
    return folder


def prepare(folder: Path, output: Path, *more: str) -> str:
    labels = [x for path in sorted(folder.glob("*.tif")) for x in ("--labels", str(path))]
    scenes = [str(path) for path in sorted(folder.glob("*.img"))]
    found = CliRunner().invoke(
        cli, ["prepare", *scenes, *labels, "-o", str(output), "--split", "blocks", *more]
    )
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.output


@pytest.mark.slow
def test_tenths_of_a_nanometre_are_said(tmp_path: Path) -> None:
    folder = write(write(tmp_path / "scenes", 0, 1), 0.3, 2)
    said = prepare(folder, tmp_path / "d.h5")
    assert "s2.img: its bands lie up to 0.3 nm from those of s1.img" in said
    nm = open_dataset(tmp_path / "d.h5").wavelengths_nm
    np.testing.assert_allclose(np.asarray(nm), CENTRES)


@pytest.mark.slow
def test_nanometres_are_refused_and_resampled(tmp_path: Path) -> None:
    folder = write(write(tmp_path / "scenes", 0, 1), 3, 2, slice(20, 21))
    with pytest.raises(BandsError, match=r"band 1 lies at 420\.0 nm in .* --resample"):
        prepare(folder, tmp_path / "d.h5")
    assert not (tmp_path / "d.h5").exists()
    said = prepare(folder, tmp_path / "d.h5", "--resample")
    assert "bands of s2.img are resampled to those of s1.img by wavelength and width" in said
    dataset = open_dataset(tmp_path / "d.h5")
    assert dataset.bands == len(CENTRES)
    second = dataset.scene == 1
    truth = reflectance(np.arange(1, 4, dtype=np.uint8), CENTRES, noise=0)
    known = np.flatnonzero(second & (dataset.label >= 0))
    means = np.stack(
        [dataset.spectra(known[dataset.label[known] == k]).mean(axis=0) for k in range(3)]
    )
    inner = np.setdiff1d(np.arange(len(CENTRES)), [0, 20])
    np.testing.assert_allclose(means[:, inner] / 10_000, truth[:, inner], rtol=0.01)
    run("train-m2", dataset.path, "--model", "lvq", "--no-m1", "-o", tmp_path / "run", "-q")
    shutil.rmtree(folder)
    other = write(tmp_path / "third", -2.5, 3) / "s3.img"
    with pytest.raises(BandsError, match="--resample"):
        run("classify", other, "--model", tmp_path / "run", "-o", tmp_path / "m.tif")
    run("classify", other, "--model", tmp_path / "run", "-o", tmp_path / "m.tif", "--resample")
    assert agreement(tmp_path / "m.tif") > 0.95


@pytest.mark.slow
def test_bands_that_are_missing_are_refused(tmp_path: Path) -> None:
    folder = write(write(tmp_path / "scenes", 0, 1), 3, 2, slice(20, 24))
    with pytest.raises(BandsError, match=r"2 of 114 bands, the first at 693\.0 nm.*693-706"):
        prepare(folder, tmp_path / "d.h5", "--resample")
    prepare(folder, tmp_path / "d.h5", "--resample", "--exclude", "693-706")
    assert open_dataset(tmp_path / "d.h5").bands == 112
