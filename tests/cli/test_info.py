from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
from click.testing import CliRunner, Result
from rasterio.transform import Affine

from hsi_ssl.cli.main import cli
from hsi_ssl.errors import HsiSslError, SceneError, SceneNotFoundError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.maps.class_map import class_map
from hsi_ssl.maps.masks import write_mask
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Grid

LABELS = LabelSet(
    "minerals", (LabelClass(3, "calcite", "#ff0000"), LabelClass(32, "epidote", "#00ff00"))
)


def info(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["info", *map(str, arguments)], catch_exceptions=False)


def values(*arguments: object) -> dict[str, Any]:
    result = info("--json", *arguments)
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(
        result.stdout, parse_constant=lambda word: pytest.fail(f"{word} in the JSON")
    )
    return found


def raster(path: Path, planes: Any, **profile: Any) -> Path:
    bands, rows, cols = planes.shape
    profile = {"crs": "EPSG:32633", "transform": Affine(30, 0, 1000, 0, -30, 2000)} | profile
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=rows,
        width=cols,
        count=bands,
        dtype=planes.dtype,
        **profile,
    ) as dataset:
        dataset.write(planes)
        for band in dataset.indexes:
            dataset.update_tags(
                band, wavelength=400 + band, wavelength_units="nm", bbl=int(band != 2)
            )
    return path


def origin(where: str, said: str | None = None) -> dict[str, Any]:
    return {"from": where, "said": said, "guessed": False}


def test_scene(tmp_path: Path) -> None:
    path = raster(tmp_path / "scene.tif", np.ones((3, 4, 5), np.float32), nodata=np.nan)
    found = values(path)
    assert found == {
        "kind": "scene",
        "format": "GeoTIFF",
        "path": str(path),
        "rows": 4,
        "cols": 5,
        "bands": 3,
        "dtype": "float32",
        "wavelengths_nm": [401, 402, 403],
        "good_bands": [0, 2],
        "nodata": "nan",
        "units": None,
        "crs": "EPSG:32633",
        "transform": [30, 0, 1000, 0, -30, 2000],
        "ortho": None,
        "stripes": None,
        "overlaps_nm": [],
        "acquired": None,
        "catalog": None,
        "labels": None,
        "layers": {},
        "sources": {
            "axes": origin("the bands of the raster"),
            "wavelengths": origin("the tags `wavelength` of the bands", "in nm"),
            "bad_bands": origin("the tags `bbl` of the bands"),
            "nodata": origin("the raster's nodata value (tag GDAL_NODATA)"),
            "mask": None,
            "crs": origin("the GeoTIFF keys"),
            "transform": origin("the GeoTIFF keys"),
            "acquired": None,
        },
        "notes": [],
    }
    text = info(path).stdout
    for words in (
        "4 rows x 5 columns x 3 bands, float32",
        "axes, from the bands of the raster",
        "wavelengths 401.0 to 403.0 nm, from the tags `wavelength` of the bands (in nm)",
        "2 of 3 bands good; bad, counted from 1: 2, from the tags `bbl` of the bands",
        "nodata nan, from the raster's nodata value (tag GDAL_NODATA)",
        "WGS 84 / UTM zone 33N (EPSG:32633), from the GeoTIFF keys",
        "pixels of 30 x 30, upper left corner at 1000, 2000, from the GeoTIFF keys",
    ):
        assert words in text


def test_stripes_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cube = rng.normal(2000, 30, (12, 130, 40)).astype(np.int16)
    cube[3:5, :, 20] += 200
    path = raster(tmp_path / "scene.tif", cube)
    found = values(path)["stripes"]
    assert found["columns"] == [20]
    assert found["bands"] == [3, 4]
    assert found["strength"] == pytest.approx(0.1, abs=0.01)
    assert (found["rows_seen"], found["bands_seen"]) == (128, 11)
    assert "stripes: 1 column (21) differs from both neighbours" in info(path).stdout
    assert "in 2 bands (4-5), by " in info(path).stdout
    cube[3:5, :, 20] -= 200
    whole = raster(tmp_path / "whole.tif", cube)
    assert values(whole)["stripes"]["columns"] == []
    assert "stripes:" not in info(whole).stdout


def test_drill_core_with_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "core.h5"
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = np.ones((2, 3, 4), np.uint16)
        file["hsimage/labels"] = np.array([[0, 32, 32], [3, 32, 0]])
    found = values(path)
    assert found["labels"] == {"3": 1, "32": 3}
    assert found["wavelengths_nm"] is None
    assert found["crs"] is None
    assert "4 of 6 pixels labelled, 2 classes" in info(path).stdout
    with h5py.File(path, "a") as file:
        file["hsimage/labels"][0, 0] = -5
    found = values(path)
    assert found["labels"] is None
    assert "hold -5 at row 0, column 0" in found["notes"][0]


def test_labels(tmp_path: Path) -> None:
    path = raster(tmp_path / "gt.tif", np.array([[[0, 7], [255, 7]]], np.uint8), nodata=255)
    assert values(path)["kind"] == "labels"
    assert values(path)["labels"] == {"7": 2}
    scipy.io.savemat(tmp_path / "gt.mat", {"gt": np.array([[0, 7], [255, 7]])})
    assert values(tmp_path / "gt.mat") == {
        "kind": "labels",
        "path": str(tmp_path / "gt.mat"),
        "rows": 2,
        "cols": 2,
        "crs": None,
        "transform": None,
        "labels": {"7": 2, "255": 1},
        "notes": [],
    }
    assert "7           2" in info(tmp_path / "gt.mat").stdout


def test_labels_that_are_names(tmp_path: Path) -> None:
    np.save(tmp_path / "gt.npy", np.array([["oak", ""], ["bare soil", "oak"]]))
    found = values(tmp_path / "gt.npy")
    assert found["labels"] == {"1": 1, "2": 2}
    assert found["names"] == {"1": "bare soil", "2": "oak"}
    assert "2           2  oak" in info(tmp_path / "gt.npy").stdout


def test_one_band_that_is_no_label_raster(tmp_path: Path) -> None:
    path = raster(tmp_path / "height.tif", np.array([[[0.5, 7]]], np.float32))
    assert values(path)["kind"] == "scene"
    assert values(path)["labels"] is None


@pytest.mark.parametrize(("name", "format"), [("map.tif", "GeoTIFF"), ("map.img", "ENVI")])
def test_class_map(tmp_path: Path, name: str, format: str) -> None:
    path = tmp_path / name
    with class_map(path, rows=2, cols=3, grid=Grid(), label_set=LABELS) as writer:
        writer.write(slice(0, 2), slice(0, 3), np.array([[0, 1, 1], [-1, 1, 1]]))
    found = values(path)
    assert found["kind"] == "class map"
    assert found["labels"] == {"3": 1, "32": 4}
    text = info(path).stdout
    assert f"{name}: class map, {format}" in text
    assert "4  epidote" in text
    (tmp_path / "map.csv").unlink()
    assert "4  epidote" in info(path).stdout


def test_mask(tmp_path: Path) -> None:
    path = tmp_path / "scene_mask.tif"
    with open_scene(raster(tmp_path / "scene.tif", np.ones((3, 2, 3), np.float32))) as scene:
        write_mask(path, scene, np.array([[0, 1, 1], [2, 1, 1]], np.uint8))
    found = values(path)
    assert (found["kind"], found["labels"]) == ("mask", {"1": 4, "2": 1})
    text = info(path).stdout
    assert "scene_mask.tif: mask, GeoTIFF" in text
    assert "1  shadow or background" in text


def test_two_detectors_and_bands_without_wavelengths(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3, 6)))
    listed = "400,500,600,550,,650"
    (tmp_path / "a.hdr").write_text(
        f"ENVI\nwavelength = {{{listed}}}\nwavelength units = nm\nbbl = {{0,1,1,1,1,1}}\n"
    )
    found = values(tmp_path / "a.npy")
    assert found["overlaps_nm"] == [[550, 600]]
    text = info(tmp_path / "a.npy").stdout
    assert "bands to 3 and from 4 on overlap, from 550.0 to 600.0 nm" in text
    assert (
        "4 of 6 bands good; bad, counted from 1: 1, from the field `bbl` of a.hdr; "
        "5, without a wavelength" in text
    )


def test_what_is_guessed_is_said_to_be(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3, 6)))
    told = values(tmp_path / "a.npy")["sources"]["axes"]
    assert told == origin("their order alone, which nothing contradicts", "rows,cols,bands") | {
        "guessed": True
    }
    words = "axes rows,cols,bands, from their order alone, which nothing contradicts, guessed"
    assert words in info(tmp_path / "a.npy").stdout


def test_a_data_set_of_the_catalog(real_data: Callable[[str], Path]) -> None:
    path = real_data("salinas-a/SalinasA_corrected.mat")
    found = values(path)
    assert found["catalog"] == "salinas-a"
    assert "(salinas-a in the catalog), by its name" in info(path).stdout


def test_one_of_several_arrays(tmp_path: Path) -> None:
    path = tmp_path / "two.mat"
    scipy.io.savemat(path, {"a": np.ones((2, 3, 4)), "b": np.ones((5, 3, 4))})
    with pytest.raises(SceneError, match="choose one with --variable"):
        info(path)
    assert values(path, "--variable", "b")["rows"] == 5


@pytest.mark.parametrize(
    ("name", "error"),
    [("missing.tif", SceneNotFoundError), ("folder", SceneNotFoundError), ("text.h5", SceneError)],
)
def test_nothing_known(tmp_path: Path, name: str, error: type[HsiSslError]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.h5").write_text("no numbers")
    with pytest.raises(error, match=name):
        info(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "kind", "bands"),
    [
        ("enmap-potsdam/scene.tif", "scene", 224),
        ("neon-sjer/NEON_SJER_reflectance_30x30.h5", "scene", 426),
        ("salinas-a/SalinasA_corrected.mat", "scene", 204),
        ("mnist/t10k-images-idx3-ubyte.gz", "scene", 784),
        ("enmap-potsdam/labels.tif", "labels", 1),
    ],
)
def test_real_files(real_data: Callable[[str], Path], name: str, kind: str, bands: int) -> None:
    found = values(real_data(name))
    assert found["kind"] == kind
    assert found["bands"] == bands


def test_a_scene_tells_its_units(hsi_ssl: Any, tmp_path: Path) -> None:
    cube = np.full((3, 4, 2), 1000, np.int16)
    cube.transpose(2, 0, 1).tofile(tmp_path / "e.dat")
    header = (
        "ENVI\nsamples = 4\nlines = 3\nbands = 2\ndata type = 2\ninterleave = bsq\nbyte order = 0\n"
    )
    (tmp_path / "e.hdr").write_text(header + "data gain values = {0.1, 0.2}\n")
    ran = hsi_ssl("info", tmp_path / "e.dat")
    assert "physical = raw x [0.1 to 0.2, by band] (data gain values)" in ran.out
    (tmp_path / "e.hdr").write_text(header + "reflectance scale factor = 10000\n")
    ran = hsi_ssl("info", tmp_path / "e.dat", "--json")
    found = json.loads(ran.out)["units"]
    assert (found["scale"], found["kind"]) == ([1e-4, 1e-4], "reflectance")
    (tmp_path / "e.hdr").write_text(header)
    assert json.loads(hsi_ssl("info", tmp_path / "e.dat", "--json").out)["units"] is None


def test_label_sets_beside_a_cube(tmp_path: Path) -> None:
    path = tmp_path / "core.h5"
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = np.ones((2, 3, 4), np.uint16)
        file["hsimage/labels"] = np.array([[0, 32, 32], [3, 32, 0]])
        file["hsimage/rocks"] = np.array([[0, 1, 1], [1, 1, 0]])
        file["hsimage/height"] = np.array([[0.5, 1, 1], [1, 1, 0]])
    found = values(path)
    assert found["labels"] == {"3": 1, "32": 3}
    assert found["label_sets"] == {"hsimage/labels": {"3": 1, "32": 3}, "hsimage/rocks": {"1": 4}}
    assert "labels in hsimage/rocks: 4 of 6 pixels, 1 class" in info(path).stdout
    path = tmp_path / "cube.mat"
    scipy.io.savemat(
        path,
        {
            "cube": np.ones((2, 3, 4)),
            "gt": np.array([[0, 7, 7], [3, 7, 0]], np.uint8),
            "depth": np.full((2, 3), 0.5),
        },
    )
    assert values(path)["label_sets"] == {"gt": {"3": 1, "7": 3}}


def test_axes_are_asked_for(hsi_ssl: Any, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["cube"], file["wavelengths_nm"] = np.ones((5, 6, 5)), np.linspace(400, 800, 5)
    ran = hsi_ssl("info", tmp_path / "s.h5")
    assert ran.code == 2
    assert "--axes bands,rows,cols" in ran.err
    ran = hsi_ssl("info", tmp_path / "s.h5", "--axes", "bands,rows,cols", "--json")
    found = json.loads(ran.out)
    assert (found["rows"], found["cols"], found["bands"]) == (6, 5, 5)
    assert "as --axes says" in found["notes"][0]
    ran = hsi_ssl("info", tmp_path / "s.h5", "--axes", "y,x,z")
    assert ran.code == 2
    assert "expected bands, rows and cols" in ran.err
