"""Cubes in Zarr stores, as xarray, rioxarray and GeoZarr's tools write them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from delivered import CRS, NORTH, WEST, on_grid, reflectance, refused, run, whole_way
from rasterio import crs as known

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers.zarr_store import fill_value

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
xarray = pytest.importorskip("xarray", reason="xarray is not installed")

NM = np.linspace(420, 2440, 20)
CHUNKS = (5, 16, 16)
PLACE = (30.0, 0.0, WEST, 0.0, -30.0, NORTH)
WKT = known.CRS.from_string(CRS).to_wkt()


def spectra() -> Any:
    """Reflectance `(bands, rows, cols)`."""
    return reflectance(on_grid().codes, NM).transpose(2, 0, 1)


def by_xarray(path: Path, version: int, **encoding: Any) -> Path:
    """A store as xarray writes it, with coordinates, widths and a grid mapping; one pixel empty."""
    cube = spectra()
    cube[:, 0, 0] = np.nan
    rows, cols = cube.shape[1:]
    mapping = {"crs_wkt": WKT, "grid_mapping_name": "transverse_mercator"}
    dataset = xarray.Dataset(
        {"reflectance": (("wavelength", "y", "x"), cube, {"grid_mapping": "spatial_ref"})},
        coords={
            "wavelength": ("wavelength", NM / 1000, {"units": "um"}),
            "fwhm": ("wavelength", np.full(len(NM), 0.012), {"units": "um"}),
            "good": ("wavelength", np.arange(len(NM)) != 3),
            "y": ("y", NORTH - 15 - 30 * np.arange(rows)),
            "x": ("x", WEST + 15 + 30 * np.arange(cols)),
            "spatial_ref": ((), 0, mapping),
        },
        attrs={"time_coverage_start": "2024-05-20T10:20:07Z"},
    )
    told = {"chunks": CHUNKS, "dtype": "float32", **encoding}
    dataset.to_zarr(path, zarr_format=version, encoding={"reflectance": told})
    return path


def geozarr(path: Path, **attributes: Any) -> Path:
    """A store by the conventions `proj:` and `spatial:` alone."""
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes=attributes)
    array = group.create_array(
        "cube", data=spectra().astype(np.float32), chunks=CHUNKS,
        dimension_names=("band", "y", "x"),
    )  # fmt: skip
    array.attrs["wavelengths"] = NM.tolist()
    array.attrs["wavelength_units"] = "nm"
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_floats_as_xarray_writes_them(tmp_path: Path, version: int) -> None:
    path = by_xarray(tmp_path / "a.zarr", version, _FillValue=-9999.0)
    if version == 3:
        told = json.loads((path / "reflectance" / "zarr.json").read_text())["attributes"]
        assert told["_FillValue"] == "AAAAAICHw8A="  # -9999 in base64
    for member in [path, *(path / n for n in ("zarr.json", ".zattrs") if (path / n).exists())]:
        with open_scene(member) as scene:
            assert (scene.format, scene.path) == (f"Zarr {version}", path)
            assert (scene.rows, scene.cols, scene.bands) == (36, 48, 20)
            assert scene.nodata == -9999
            np.testing.assert_allclose(scene.wavelengths_nm, NM)  # type: ignore[arg-type]
            np.testing.assert_allclose(scene.fwhm_nm, 12)  # type: ignore[arg-type]
            assert np.flatnonzero(~scene.good).tolist() == [3]
            assert scene.grid.transform == PLACE
            assert known.CRS.from_wkt(scene.grid.crs).to_epsg() == 32633
            assert scene.units is not None
            assert scene.units.kind == "reflectance"
            assert scene.acquired is not None
            values = scene.read()
            np.testing.assert_allclose(values[1:], spectra().transpose(1, 2, 0)[1:], rtol=1e-6)
            assert np.argwhere(~scene.valid(values)).tolist() == [[0, 0]]
            rows, cols = np.array([35, 3, 3]), np.array([47, 0, 9])
            np.testing.assert_array_equal(scene.pixels(rows, cols), values[rows, cols])
            np.testing.assert_array_equal(
                scene.thinned([1, 20], [2, 30, 40], [7, 2]),
                values[np.ix_([1, 20], [2, 30, 40], [7, 2])],
            )
            assert scene.block == (16, 16)


@pytest.mark.parametrize("version", [2, 3])
def test_packed_numbers_stay_raw_and_their_scale_is_told(tmp_path: Path, version: int) -> None:
    path = by_xarray(
        tmp_path / "a.zarr", version, dtype="int16", _FillValue=-32768, scale_factor=1e-4,
        add_offset=0.1,
    )  # fmt: skip
    with open_scene(path) as scene:
        assert scene.dtype == np.int16
        assert scene.nodata == -32768
        assert scene.units is not None
        values = scene.read() * scene.units.scale + scene.units.offset
        np.testing.assert_allclose(values[1:], spectra().transpose(1, 2, 0)[1:], atol=6e-5)


def test_a_fill_value_of_zero_is_zarrs_default(tmp_path: Path) -> None:
    """Only by xarray's convention of Zarr 2 does it say that 0 is no data."""
    cube = np.ones((20, 36, 48), np.uint16)
    zarr.save_array(tmp_path / "a.zarr", cube, zarr_format=2)
    with open_scene(tmp_path / "a.zarr", axes="bands,rows,cols") as scene:
        assert scene.nodata is None
        assert not any("--axes is not used" in note for note in scene.notes)
    zarr.save_array(tmp_path / "b.zarr", cube, zarr_format=3)
    with open_scene(tmp_path / "b.zarr", axes="bands,rows,cols") as scene:
        assert (scene.nodata, scene.bands) == (None, 20)
    path = by_xarray(tmp_path / "c.zarr", 2, dtype="uint16", _FillValue=0, scale_factor=1e-4)
    with open_scene(path) as scene:
        assert scene.nodata == 0


@pytest.mark.parametrize(
    "crs",
    [
        {"proj:code": CRS},
        {"proj:wkt2": known.CRS.from_string(CRS).to_wkt(version="WKT2_2019")},
        {"proj:projjson": known.CRS.from_string(CRS).to_dict(projjson=True)},
    ],
)
def test_conventions_of_geozarr_place_a_cube(tmp_path: Path, crs: dict[str, Any]) -> None:
    told = {**crs, "spatial:dimensions": ["y", "x"], "spatial:transform": list(PLACE)}
    with open_scene(geozarr(tmp_path / "a.zarr", **told)) as scene:
        assert scene.grid.transform == PLACE
        assert known.CRS.from_wkt(scene.grid.crs).to_epsg() == 32633
        assert "GeoZarr" in str(scene.origins.transform)
        np.testing.assert_allclose(scene.wavelengths_nm, NM)  # type: ignore[arg-type]
    middle = [30.0, 0.0, WEST + 15, 0.0, -30.0, NORTH - 15]
    nodes = {**told, "spatial:transform": middle, "spatial:registration": "node"}
    with open_scene(geozarr(tmp_path / "b.zarr", **nodes)) as scene:
        assert scene.grid.transform == PLACE


def test_what_says_nothing_of_a_place_gives_none(tmp_path: Path) -> None:
    cases: tuple[dict[str, Any], ...] = (
        {"proj:code": "EPSG:nothing", "spatial:transform": ["a", 1, 2, 3, 4, 5]},
        {"proj:code": CRS},
        {"spatial:transform": [1, 2]},
    )
    for n, told in enumerate(cases):
        with open_scene(geozarr(tmp_path / f"{n}.zarr", **told)) as scene:
            assert scene.grid.transform is None


def test_cubes_in_groups_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    for name in ("10m", "20m"):
        by_xarray(path / "measurements" / name, 3)
    for group in (path, path / "measurements"):
        zarr.open_group(group, mode="a")
    refused(["several arrays", "measurements/10m/reflectance", "--variable"], "info", path)
    with open_scene(path, variable="measurements/20m/reflectance") as scene:
        np.testing.assert_allclose(scene.wavelengths_nm, NM)  # type: ignore[arg-type]
        assert scene.grid.transform == PLACE
    for inside in ("measurements/20m", "measurements/20m/reflectance/zarr.json"):
        with open_scene(path / inside) as scene:
            np.testing.assert_allclose(scene.wavelengths_nm, NM)  # type: ignore[arg-type]
            assert scene.grid.transform == PLACE


def test_broken_stores_are_refused(tmp_path: Path) -> None:
    path = by_xarray(tmp_path / "a.zarr", 3)
    chunk = next((path / "reflectance" / "c").rglob("0"))
    while chunk.is_dir():
        chunk = next(chunk.rglob("0"))
    whole = chunk.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no chunk at all"):
        chunk.write_bytes(content)
        with open_scene(path) as scene, pytest.raises(SceneError, match="is broken: part of"):
            scene.read()
    (path / "reflectance" / "zarr.json").write_text("{")
    shutil.rmtree(path / "reflectance" / "c")
    told = json.loads((path / "zarr.json").read_text())
    told.pop("consolidated_metadata", None)
    (path / "zarr.json").write_text(json.dumps(told))
    with pytest.raises(SceneError, match="broken"):
        open_scene(path)
    (path / "zarr.json").unlink()
    with pytest.raises(SceneError, match="is a folder"):
        open_scene(path)


def test_without_zarr_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_xarray(tmp_path / "a.zarr", 3)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(HsiSslError, match=r"pip install 'hsi-ssl\[zarr\]'"):
        open_scene(path)


@pytest.mark.parametrize(
    ("told", "number"),
    [("AAAAAICHw8A=", -9999.0), ("-9999", -9999.0), (0, 0), (1.5, 1.5), ("nothing", None),
     ("AAAA", None), ([1, 2], None), ([7], 7), (None, None)],
)  # fmt: skip
def test_fill_values_of_json(told: Any, number: float | None) -> None:
    assert fill_value(told) == number


def test_fill_values_that_are_no_number() -> None:
    assert np.isnan(fill_value("NaN") or 0)
    assert np.isnan(fill_value("AAAAAAAA+H8=") or 0)


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_from_the_store_to_the_map(tmp_path: Path, version: int) -> None:
    path = by_xarray(tmp_path / "a.zarr", version, dtype="int16", _FillValue=-1, scale_factor=1e-4)
    whole_way(path, on_grid(), tmp_path)
    assert json.loads(run("info", path, "--json"))["format"] == f"Zarr {version}"
