"""Files as public libraries write them: what they lose, and what they store twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import spectral.io.envi
from delivered import CRS, NORTH, WEST, on_grid, reflectance, refused, run

from hsi_ssl.scenes.described import described_facts
from hsi_ssl.scenes.opening import open_scene

NM = np.round(np.linspace(420, 2440, 20), 1)
RAW = np.round(reflectance(on_grid().codes, NM) * 10_000).astype(np.int16)


@pytest.fixture
def tif(tmp_path: Path) -> Path:
    """A GeoTIFF with scales and, for each band, a wavelength."""
    rows, cols, bands = RAW.shape
    path = tmp_path / "scene.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=rows, width=cols, dtype="int16",
        nodata=-32768, crs=CRS, transform=rasterio.Affine(30, 0, WEST, 0, -30, NORTH),
    ) as raster:  # fmt: skip
        raster.write(RAW.transpose(2, 0, 1))
        raster.scales = [1e-4] * bands
        for band, nm in enumerate(NM, start=1):
            raster.update_tags(band, wavelength=str(nm), wavelength_units="nm")
    return path


@pytest.fixture
def envi(tmp_path: Path) -> Path:
    """An ENVI header with wavelengths and a reflectance scale factor."""
    header = tmp_path / "flight.hdr"
    spectral.io.envi.save_image(
        str(header), RAW, interleave="bsq", ext="img",
        metadata={
            "wavelength": NM.tolist(), "wavelength units": "Nanometers",
            "reflectance scale factor": 10_000,
        },
    )  # fmt: skip
    return header


def notes(path: Path) -> str:
    return " | ".join(json.loads(run("info", path, "--json"))["notes"])


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"masked": True}, {"mask_and_scale": True}])
def test_rioxarray_gives_the_first_wavelength_to_the_file(
    tif: Path, tmp_path: Path, how: dict[str, Any]
) -> None:
    rioxarray = pytest.importorskip("rioxarray", reason="rioxarray is not installed")
    with rioxarray.open_rasterio(tif, **how) as array:
        array.rio.to_raster(tmp_path / "copy.tif")
    with rasterio.open(tmp_path / "copy.tif") as raster:
        assert raster.tags()["wavelength"] == "420.0"
    with open_scene(tmp_path / "copy.tif") as scene:
        assert scene.wavelengths_nm is None
        assert scene.units is not None
        np.testing.assert_allclose(scene.units.scale, 1e-4)
        np.testing.assert_array_equal(scene.read(), RAW)
    assert "tells one wavelength, 420.0, for 20 bands" in notes(tmp_path / "copy.tif")


@pytest.mark.parametrize("beside", [True, False])
def test_gdal_copies_wavelengths_of_envi_to_envi_as_band_names(
    envi: Path, tmp_path: Path, beside: bool
) -> None:
    copy = tmp_path / "copy.img"
    rasterio.shutil.copy(envi.with_suffix(".img"), copy, driver="ENVI")
    assert "wavelength = {" not in copy.with_suffix(".hdr").read_text()
    if not beside:  # only the cube and its header were handed on
        (tmp_path / "copy.img.aux.xml").unlink()
    with open_scene(copy) as scene:
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, atol=0.05)
    said = "the tags `wavelength` of the bands in the .aux.xml" if beside else "the band names of"
    assert f"from {said}" in run("info", copy)


@pytest.mark.slow
def test_rioxarray_keeps_of_an_envi_header_what_bands_are_called(
    envi: Path, tmp_path: Path
) -> None:
    rioxarray = pytest.importorskip("rioxarray", reason="rioxarray is not installed")
    with rioxarray.open_rasterio(envi.with_suffix(".img")) as array:
        array.rio.to_raster(tmp_path / "copy.tif")
    with open_scene(tmp_path / "copy.tif") as scene:
        np.testing.assert_allclose(scene.wavelengths_nm, NM)  # type: ignore[arg-type]
        assert str(scene.origins.wavelengths).startswith("from the descriptions of the bands")
        assert scene.units is not None
        assert (scene.units.kind, scene.units.scale[0]) == ("reflectance", 1e-4)
    assert "tells one wavelength" not in notes(tmp_path / "copy.tif")


@pytest.mark.slow
def test_a_scale_that_xarray_kept_is_told_and_refused(tif: Path, tmp_path: Path) -> None:
    rioxarray = pytest.importorskip("rioxarray", reason="rioxarray is not installed")
    with rioxarray.open_rasterio(tif) as array:
        reflected = array.astype("float32") * array.attrs["scale_factor"]
        reflected.attrs.update(scale_factor=array.attrs["scale_factor"])
        reflected.rio.to_raster(tmp_path / "copy.tif")
    assert "as if a program had applied it and kept it" in notes(tmp_path / "copy.tif")
    labels = tmp_path / "labels.npy"
    np.save(labels, on_grid().codes)
    refused(["kept it", "--scale 1 "], "prepare", tmp_path / "copy.tif", "--labels", labels)


def test_a_scale_that_spectral_python_kept_is_told(envi: Path, tmp_path: Path) -> None:
    image = spectral.io.envi.open(str(envi))
    loaded = np.asarray(image.load())
    spectral.io.envi.save_image(
        str(tmp_path / "again.hdr"), loaded, metadata=image.metadata, ext="img", dtype=np.float32
    )
    assert "as if a program had applied it and kept it" in notes(tmp_path / "again.img")
    assert "kept it" not in notes(envi.with_suffix(".img"))


@pytest.mark.parametrize(
    ("descriptions", "nm"),
    [
        (["420.0 Nanometers", "0.5 Nanometers"], [420.0, 0.5]),
        (["b1 (0.42 Micrometers)", "b2 (0.5 Micrometers)"], [420.0, 500.0]),
        (["420 nm", "500 um"], None),
        (["420 nm", "band 2"], None),
        (["Band_420", "Band_500"], None),
        (["10 m", "20 m"], None),
        (["420", "500"], None),
        ([None, None], None),
        (["420 nm"], None),
    ],
)
def test_lengths_in_descriptions(descriptions: list[str | None], nm: list[float] | None) -> None:
    found = described_facts(descriptions, {}, where="a.tif").wavelengths_nm
    if nm is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, nm)  # type: ignore[arg-type]
