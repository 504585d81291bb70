"""What contradicts itself, or promises what no file holds, is one sentence, whatever the format."""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import scipy.io
from placed_files import write_cube
from rasterio.control import GroundControlPoint

from hsi_ssl.errors import LabelError, SceneError
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.axes import PLAIN, Decided, Dimension
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers import hdf5_probe
from hsi_ssl.scenes.readers.cf_grid import placed

PLANE = [Dimension(3, "y"), Dimension(4, "x"), Dimension(5, "band")]


def npy(path: Path, header: str, data: bytes = bytes(480)) -> Path:
    text = header.encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)
    return path


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<u2', 'fortran_order': False, 'shape': (6, 8, 5, }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': 6, 8, 5), }",
        "{'descr': '<u2', 7: False, 'shape': (6, 8, 5), }",
        "{'descr': (3, 4), 'fortran_order': False, 'shape': (6, 8, 5), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (-6, -8, 5), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (6, 0, 5), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (9223372036854775807, 8, 5), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (6, 8, 1000000), }",
    ],
)
def test_headers_of_numpy(tmp_path: Path, header: str) -> None:
    with pytest.raises(SceneError, match=r"a\.npy"):
        open_scene(npy(tmp_path / "a.npy", header))


def test_letters_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "labels.npy"
    np.save(path, np.array([["oak", "ash"], ["", "oak"]]))
    content = bytearray(path.read_bytes())
    content[-12:-8] = b"\xff\xff\xff\x7f"
    path.write_bytes(content)
    with pytest.raises(SceneError, match="its texts are no Unicode"):
        read_label_plane(path)


@pytest.mark.parametrize(
    "fields", [{"samples": 10**9, "lines": 10**10}, {"bands": 10**9}, {"bands": 10**308}]
)
def test_headers_of_envi(tmp_path: Path, fields: dict[str, int]) -> None:
    said = {"samples": 8, "lines": 6, "bands": 5, "data type": 2, "byte order": 0} | fields
    lines = [f"{name} = {value}" for name, value in said.items()]
    (tmp_path / "cube.hdr").write_text("\n".join(["ENVI", "interleave = bsq", *lines]))
    (tmp_path / "cube.img").write_bytes(bytes(480))
    with pytest.raises(SceneError, match=r"cube\.hdr tells of .* rows, .* columns and .* bands"):
        open_scene(tmp_path / "cube.img")


def test_a_sparse_tiff_of_terabytes(tmp_path: Path) -> None:
    path, side = tmp_path / "cube.tif", 10**6
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=300, dtype="float32", tiled=True,
        blockxsize=2**14, blockysize=2**14, interleave="band", SPARSE_OK=True, BIGTIFF="YES",
        transform=rasterio.Affine(1, 0, 0, 0, -1, 0), compress="deflate",
    ):  # fmt: skip
        pass
    with pytest.raises(SceneError, match=r"promises"):
        open_scene(path)


@pytest.mark.parametrize("beside", [".msk", ".aux.xml"])
def test_files_beside_a_raster_that_gdal_cannot_read(tmp_path: Path, beside: str) -> None:
    path = write_cube(tmp_path / "cube.tif")
    broken = {
        ".msk": b"II*\0\x08\0\0\0\x01\0\0\x01\x04\0\x07\0\0\0\x01\0\0\0\0\0\0\0",
        ".aux.xml": b"<PAMDataset \xff\xfe></PAMDataset>",
    }[beside]
    Path(f"{path}{beside}").write_bytes(broken)
    with contextlib.suppress(SceneError):
        open_scene(path).close()


def test_a_text_in_a_raster_that_is_no_utf8(tmp_path: Path) -> None:
    path = write_cube(tmp_path / "cube.tif")
    with rasterio.open(path, "r+") as raster:
        raster.units = ["radiance"] * raster.count
    path.write_bytes(path.read_bytes().replace(b"radiance", b"radi\xff\xfe\xa0\x80"))
    with pytest.raises(SceneError, match="a text in it is no UTF-8"):
        open_scene(path)


@pytest.mark.parametrize("line", ["nan", "inf", "-1e400"])
def test_a_place_that_is_none_is_not_used_and_told(tmp_path: Path, line: str) -> None:
    path = write_cube(tmp_path / "cube.tif", crs=None, transform=None)
    path.with_suffix(".tfw").write_text(f"30\n0\n0\n-30\n{line}\n5810000\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene = open_scene(path)
    with scene:
        assert scene.grid.transform is None
        assert any("is no place" in note for note in scene.notes)


def test_a_virtual_raster_of_an_hdf5_file_that_takes_hdf5_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sources are looked at before GDAL does, those of rasters within rasters as well."""
    with h5py.File(tmp_path / "inner cube.h5", "w") as file:
        file["cube"] = np.ones((3, 4))
    source = '<SourceFilename relativeToVRT="1">{}</SourceFilename>'
    inner = source.format("HDF5:&quot;inner cube.h5&quot;://cube")
    (tmp_path / "b.vrt").write_text(f"<VRTDataset>{inner}</VRTDataset>")
    (tmp_path / "a.vrt").write_text(f"<VRTDataset>{source.format('b.vrt')}</VRTDataset>")
    monkeypatch.setattr(hdf5_probe, "_looked", lambda *_: None)
    with pytest.raises(SceneError, match=r"inner cube\.h5 is broken: HDF5 fails on its attributes"):
        open_scene(tmp_path / "a.vrt")


def test_netcdf_that_begins_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cube.nc"
    with scipy.io.netcdf_file(path, "w") as file:
        for name, size in (("y", 3), ("x", 4), ("band", 5)):
            file.createDimension(name, size)
        file.createVariable("cube", "i2", ("y", "x", "band"))[:] = 1
    content = bytearray(path.read_bytes())
    begin = len(content) - 120
    at = content.rindex(struct.pack(">i", begin), 0, begin)
    content[at : at + 4] = struct.pack(">i", -120)
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"cube\.nc"):
        open_scene(path)


@pytest.mark.parametrize("name", ["data", "dimensions", "réf", "\ufffd"])
def test_grid_mappings_with_attributes_of_odd_names(name: str) -> None:
    said = {"grid_mapping_name": "transverse_mercator", name: "text"}
    assert placed(PLANE, Decided(PLAIN), said).grid.crs is None


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, 10**30])
def test_codes_that_no_array_keeps(tmp_path: Path, value: int) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(f"1 2 3\n0 1 {value}\n")
    with pytest.raises(LabelError, match=r"labels\.txt"):
        read_label_plane(path)


ODD: dict[str, Callable[[], Any]] = {
    "nothing": lambda: h5py.Empty("f4"),
    "bytes": lambda: b"\xff\xfe\xe9",
    "not a number": lambda: np.nan,
    "a table": lambda: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "no entries": lambda: np.array([]),
    "complex": lambda: 1 + 2j,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "name", ["wavelengths", "scale_factor", "_FillValue", "valid_range", "units", "grid_mapping"]
)
def test_attributes_of_other_types_than_they_should_be(tmp_path: Path, name: str, odd: str) -> None:
    path = tmp_path / "cube.h5"
    with h5py.File(path, "w") as file:
        file["cube"] = np.arange(240, dtype=np.uint16).reshape(6, 8, 5)
        file["cube"].attrs[name] = ODD[odd]()
    with contextlib.suppress(SceneError), open_scene(path) as scene:
        assert scene.read().shape == (6, 8, 5)


def test_pixels_without_area_have_no_place(tmp_path: Path) -> None:
    path = tmp_path / "s.vrt"
    rasterio.shutil.copy(write_cube(tmp_path / "s.tif"), path, driver="VRT")
    text = path.read_text()
    assert " 3.0000000000000000e+01," in text
    path.write_text(text.replace(" 3.0000000000000000e+01,", " 0,", 1))
    with open_scene(path) as scene:
        assert not scene.grid.placed
        assert any("of no area" in note for note in scene.notes)


def test_two_control_points_place_nothing(tmp_path: Path) -> None:
    points = [GroundControlPoint(i, i, 300_000 + i, 5_000_000 - i) for i in (0, 5, 9)]
    for count in (1, 2, 3):
        path = write_cube(tmp_path / f"{count}.tif", transform=None, crs=None)
        with rasterio.open(path, "r+") as raster:
            raster.gcps = points[:count], rasterio.CRS.from_epsg(32633)
        with open_scene(path) as scene:
            assert scene.grid.placed == (count == 3)
            assert any("fewer than 3" in note for note in scene.notes) == (count < 3)
