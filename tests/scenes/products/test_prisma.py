"""PRISMA files of its specification's layout."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from delivered import on_grid, refused, run, turned, whole_way
from prisma_files import ENDS, SWIR, VNIR, write_prisma

from hsi_ssl.errors import SceneError
from hsi_ssl.masks.codes import CLOUD
from hsi_ssl.scenes.opening import open_scene

FIELDS = "HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields/"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A file of level 2D, on a grid."""
    return write_prisma(tmp_path / "PRS_L2D_STD_20240520.he5", on_grid())


@pytest.mark.parametrize("chunked", [True, False])
def test_bands_numbers_and_place(tmp_path: Path, chunked: bool) -> None:
    ground = on_grid()
    path = write_prisma(tmp_path / "p.he5", ground, chunked=chunked)
    with open_scene(path) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (36, 48, 36)
        assert scene.format == "PRISMA L2D"
        expected = np.sort(np.concatenate([VNIR, SWIR]))
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm[:34], expected, atol=1e-3)
        assert np.isnan(scene.wavelengths_nm[34:]).all()
        assert scene.good.tolist() == [True] * 34 + [False] * 2
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.fwhm_nm[:34], 11.5)
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2024-05-20T10:20:07.123000+00:00"
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        values = scene.read() * scene.units.scale + scene.units.offset
        swir = int(np.flatnonzero(np.isclose(expected, SWIR[3]))[0])
        with h5py.File(path) as file:
            raw = file[FIELDS + "SWIR_Cube"][:, len(SWIR) - 1 - 3, :]
        low, high = ENDS["Swir"]
        np.testing.assert_allclose(values[..., swir], low + raw * (high - low) / 65535)
        rows, cols = np.array([0, 35, 7, 7]), np.array([47, 0, 3, 4])
        np.testing.assert_array_equal(scene.pixels(rows, cols), scene.read()[rows, cols])
        bands = [30, 2, 10]
        np.testing.assert_array_equal(
            scene.thinned([1, 5], [2, 3, 9], bands), scene.read()[np.ix_([1, 5], [2, 3, 9], bands)]
        )


def test_overlapping_detectors(product: Path) -> None:
    with open_scene(product) as scene:
        assert any("overlap from 943.0 to 972.0 nm" in note for note in scene.notes)
    for detector, others in (("vnir", SWIR), ("swir", VNIR)):
        with open_scene(product, overlap=detector) as scene:  # type: ignore[arg-type]
            assert scene.wavelengths_nm is not None
            bad = scene.wavelengths_nm[~scene.good]
            twice = others[(others >= SWIR[0]) & (others <= VNIR[-1])]
            np.testing.assert_allclose(bad[np.isfinite(bad)], twice, atol=1e-3)


def test_smile_is_told(product: Path) -> None:
    columns = np.linspace(-1, 1, 1000)[:, None] ** 2
    with h5py.File(product, "a") as file:
        bent = file.attrs["List_Cw_Vnir"] + 1.4 * columns * (file.attrs["List_Cw_Vnir"] > 0)
        file["KDP_AUX/Cw_Vnir_Matrix"] = bent.astype(np.float32)
        file["KDP_AUX/Cw_Swir_Matrix"] = np.tile(file.attrs["List_Cw_Swir"], (1000, 1))
    with open_scene(product) as scene:
        told = [note for note in scene.notes if "smile" in note]
        assert len(told) == 1
        assert "VNIR: the wavelength of a band varies over columns by up to 1.4 nm" in told[0]
        assert "those of List_Cw_Vnir are used" in told[0]


def test_one_detector_alone(product: Path) -> None:
    with open_scene(product, variable=FIELDS + "SWIR_Cube") as scene:
        assert scene.bands == len(SWIR)
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, SWIR, atol=1e-3)


def test_the_delivered_folder(tmp_path: Path) -> None:
    folder = tmp_path / "PRS_L2D_STD_20240520"
    folder.mkdir()
    refused(["holds no .he5 file", "unpack"], "info", folder)
    write_prisma(folder / "PRS_L2D_STD_20240520.he5", on_grid())
    assert json.loads(run("info", folder, "--json"))["format"] == "PRISMA L2D"


def test_errors_hide_pixels_where_it_is_strict(product: Path) -> None:
    with h5py.File(product, "a") as file:
        errors = file[FIELDS + "SWIR_PIXEL_L2_ERR_MATRIX"]
        errors[4, 3, 5] = 2
        errors[:, 7, :] = 1  # a band of no use
    with open_scene(product) as scene:
        assert scene.valid(scene.read()).all()
    with open_scene(product, quality="strict") as scene:
        hidden = ~scene.valid(scene.read())
        assert np.argwhere(hidden).tolist() == [[4, 5]]
        assert scene.origins.mask is not None


def test_level_1_is_radiance_in_sensor_geometry(tmp_path: Path) -> None:
    path = write_prisma(tmp_path / "p.he5", turned(), level="L1")
    with h5py.File(path, "a") as file:
        for name in ("Vnir", "Swir"):
            file.attrs[f"ScaleFactor_{name}"], file.attrs[f"Offset_{name}"] = 100.0, 2.0
    with open_scene(path) as scene:
        assert scene.units is not None
        assert (scene.units.kind, scene.units.scale[0], scene.units.offset[0]) == (
            "radiance", 0.01, -2.0,
        )  # fmt: skip
        assert scene.grid.geolocation is not None
        assert any("sensor geometry" in note for note in scene.notes)


def test_masks_of_level_1_are_classes_of_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_prisma(tmp_path / "p.he5", turned(), level="L1")
    fields = FIELDS.replace("L2D", "L1")
    masks = np.full((36, 48), 10, np.uint8)
    masks[4:9, 6:30] = 1
    masks[0, 0] = 255
    with h5py.File(path, "a") as file:
        file[fields + "Cloud_Mask"], file[fields + "SunGlint_Mask"] = masks, masks.T.reshape(36, 48)
    known = json.loads(run("info", path, "--json"))
    assert known["layers"] == {"cloud": "Cloud_Mask", "glint": "SunGlint_Mask"}
    told = json.loads(run("mask", path, "--json"))
    assert "as the product's own SunGlint_Mask, Cloud_Mask say" in told["decided"]
    with rasterio.open(told["mask"]) as raster:
        cloudy = raster.read(1) == CLOUD
    np.testing.assert_array_equal(cloudy, masks == 1)
    with open_scene(path) as lenient, open_scene(path, quality="strict") as strict:
        assert lenient.valid(lenient.read()).all()
        np.testing.assert_array_equal(strict.valid(strict.read()), ~cloudy)
    with h5py.File(path, "a") as file:
        del file[fields + "Cloud_Mask"]
        file[fields + "Cloud_Mask"] = masks[1:]
    refused(["Cloud_Mask of 35 x 48 pixels and cubes of 36 x 48"], "info", path)


def test_what_contradicts_itself_is_refused(product: Path, tmp_path: Path) -> None:
    with h5py.File(product, "a") as file:
        del file[FIELDS + "SWIR_Cube"]
        file[FIELDS + "SWIR_Cube"] = np.ones((36, 20, 47), np.uint16)
    with pytest.raises(SceneError, match="36 x 48 pixels of VNIR and 36 x 47 of SWIR"):
        open_scene(product)
    with h5py.File(product, "a") as file:
        del file[FIELDS + "SWIR_Cube"]
    with pytest.raises(SceneError, match="without SWIR_Cube"):
        open_scene(product)
    whole = write_prisma(tmp_path / "q.he5", on_grid()).read_bytes()
    (tmp_path / "cut.he5").write_bytes(whole[: len(whole) // 2])
    refused(["cut short, broken or no HDF5"], "info", tmp_path / "cut.he5")


def test_latitudes_that_contradict_the_corners_are_said(product: Path) -> None:
    with h5py.File(product, "a") as file:
        file["HDFEOS/SWATHS/PRS_L2D_HCO/Geolocation Fields/Latitude"][...] += 0.01
    with open_scene(product) as scene:
        assert any("differ by up to 37 pixels" in note for note in scene.notes)


@pytest.mark.slow
def test_from_the_file_to_the_map(product: Path, tmp_path: Path) -> None:
    whole_way(product, on_grid(), tmp_path)


@pytest.mark.slow
def test_in_sensor_geometry_to_the_map(tmp_path: Path) -> None:
    """The map carries control points, and is judged pixel by pixel."""
    import rasterio
    from click.testing import CliRunner
    from delivered import by_control_points, drawn_fields, taught

    from hsi_ssl.cli.main import cli

    ground = turned()
    path = write_prisma(tmp_path / "p.he5", ground, level="L2C")
    model = taught(path, drawn_fields(ground, tmp_path / "drawn.gpkg"))
    told = CliRunner().invoke(
        cli, ["classify", str(path), "--model", str(model), "-o", str(tmp_path / "map.tif")]
    )
    assert told.output.count("has no lookup table: its maps stay there") == 1
    dataset, report = tmp_path / "drawn.h5", ("--report", tmp_path / "report", "--json")
    (judged,) = json.loads(run("evaluate", model, dataset, "--map", tmp_path / "map.tif", *report))[
        "areas"
    ]
    assert "as both are in sensor geometry" in judged["notes"][0]  # control points are coarser
    with rasterio.open(tmp_path / "map.tif") as raster:
        points, crs = raster.gcps
        codes = raster.read(1)
    assert len(points) > 16
    assert crs.to_epsg() == 4326
    assert (ground.codes == codes).mean() > 0.95
    assert by_control_points(tmp_path / "map.tif") > 0.95
