from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import spectral.io.envi
from rasterio.crs import CRS

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers import unpacking
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[Any]
Agrees = Callable[[Scene, Cube], None]
MAP_INFO = ["UTM", "1", "1", "364095", "5809965", "30", "30", "33", "North", "WGS-84"]


def write(folder: Path, cube: Cube, suffix: str = ".img", **options: Any) -> Path:
    """An ENVI pair as `spectral` writes it; gives the header."""
    header = folder / "cube.hdr"
    spectral.io.envi.save_image(str(header), cube, ext=suffix, force=True, **options)
    return header


def add(header: Path, line: str) -> None:
    header.write_text(header.read_text() + line + "\n")


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_any_layout(
    tmp_path: Path, cube: Cube, agrees: Agrees, interleave: str, byteorder: str, dtype: str
) -> None:
    cube = (cube % 200).astype(dtype)
    header = write(tmp_path, cube, interleave=interleave, byteorder=byteorder, dtype=dtype)
    agrees(open_scene(header), cube)
    scene = open_scene(tmp_path / "cube.img")
    assert scene.format == "ENVI"
    assert scene.path == tmp_path / "cube.img"
    agrees(scene, cube)


def test_header_offset(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    header = write(tmp_path, cube)
    data = tmp_path / "cube.img"
    data.write_bytes(b"x" * 100 + data.read_bytes())
    header.write_text(header.read_text().replace("header offset = 0", "header offset = 100"))
    agrees(open_scene(header), cube)


@pytest.mark.parametrize("suffix", ["", ".dat", ".raw", ".bsq"])
def test_data_is_found_by_its_header(
    tmp_path: Path, cube: Cube, agrees: Agrees, suffix: str
) -> None:
    header = write(tmp_path, cube)
    (tmp_path / "cube.img").rename(tmp_path / f"cube{suffix}")
    agrees(open_scene(header), cube)
    agrees(open_scene(tmp_path / f"cube{suffix}"), cube)


def test_header_named_after_the_whole_data_file(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    write(tmp_path, cube).rename(tmp_path / "cube.img.hdr")
    agrees(open_scene(tmp_path / "cube.img.hdr"), cube)
    agrees(open_scene(tmp_path / "cube.img"), cube)


@pytest.mark.parametrize(("units", "factor"), [("Micrometers", 0.001), ("Nanometers", 1)])
def test_facts_of_the_header(tmp_path: Path, cube: Cube, units: str, factor: float) -> None:
    # Finer than the whole nanometres that GDAL rounds its own band metadata to.
    centres = [400.25, 500.5, 600.75, 700.125, 800, 900, 1000]
    metadata = {
        "wavelength": [f"{centre * factor:.9g}" for centre in centres],
        "fwhm": [f"{6.25 * factor:.9g}"] * 7,
        "wavelength units": units,
        "bbl": [1, 0, 1, 1, 1, 1, 0],
        "data ignore value": 65535,
        "map info": MAP_INFO,
    }
    with open_scene(write(tmp_path, cube, metadata=metadata)) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == centres
        assert scene.fwhm_nm is not None
        assert scene.fwhm_nm.tolist() == [6.25] * 7
        assert np.flatnonzero(~scene.good).tolist() == [1, 6]
        assert scene.nodata == 65535
        assert scene.grid.transform == (30, 0, 364095, 0, -30, 5809965)
        assert scene.grid.crs is not None
        assert CRS.from_wkt(scene.grid.crs).to_epsg() == 32633
        assert scene.notes == ()


def test_units_are_guessed_aloud(tmp_path: Path, cube: Cube) -> None:
    metadata = {"wavelength": [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]}
    with open_scene(write(tmp_path, cube, metadata=metadata)) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [400, 500, 600, 700, 800, 900, 1000]
        assert len(scene.notes) == 1
        assert "0.4 to 1) carry no unit: taken as micrometres" in scene.notes[0]


def test_an_index_is_no_wavelength(tmp_path: Path, cube: Cube) -> None:
    metadata = {"wavelength": [1 + i for i in range(7)], "wavelength units": "Index"}
    write(tmp_path, cube, metadata=metadata)
    with open_scene(tmp_path / "cube.img") as scene:
        assert scene.wavelengths_nm is None
        (note,) = scene.notes
        assert "Index, which is no length: left out" in note


def test_header_of_another_encoding(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    metadata = {"wavelength": [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], "wavelength units": "UNIT"}
    header = write(tmp_path, cube, metadata=metadata)
    header.write_bytes(header.read_bytes().replace(b"UNIT", "µm".encode("latin-1")))
    scene = open_scene(header)
    assert scene.wavelengths_nm is not None
    assert scene.wavelengths_nm.tolist() == [400, 500, 600, 700, 800, 900, 1000]
    agrees(scene, cube)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("named", ["cube.img", "cube.img.gz"])
def test_compressed(
    tmp_path: Path, cube: Cube, agrees: Agrees, temporary: Path, interleave: str, named: str
) -> None:
    metadata = {"bbl": [1, 0, 1, 1, 1, 1, 1], "map info": MAP_INFO}
    header = write(tmp_path, cube, interleave=interleave, metadata=metadata)
    raw = (tmp_path / "cube.img").read_bytes()
    (tmp_path / "cube.img").unlink()
    (tmp_path / named).write_bytes(gzip.compress(raw))
    if named == "cube.img":
        add(header, "file compression = 1")
    for path in (header, tmp_path / named):
        scene = open_scene(path)
        assert scene.path == path
        assert not scene.good[1]
        assert scene.grid.transform is not None
        assert len(list(temporary.rglob("*.img"))) == 1
        agrees(scene, cube)
        assert list(temporary.iterdir()) == []


def test_compressed_and_cut_short(tmp_path: Path, cube: Cube, temporary: Path) -> None:
    header = write(tmp_path, cube)
    data = tmp_path / "cube.img"
    data.write_bytes(gzip.compress(data.read_bytes())[:-300])
    add(header, "file compression = 1")
    with pytest.raises(SceneError, match=r"cube\.img is cut short or broken"):
        open_scene(header)
    assert list(temporary.iterdir()) == []


def test_no_space_to_unpack(
    tmp_path: Path, cube: Cube, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = write(tmp_path, cube)
    data = tmp_path / "cube.img"
    data.write_bytes(gzip.compress(data.read_bytes()))
    add(header, "file compression = 1")

    def full(*_: object) -> None:
        with open("/dev/full", "wb", buffering=0) as device:
            device.write(b"x")

    monkeypatch.setattr(unpacking, "put", full)
    with pytest.raises(SceneError, match=r"no space to unpack .*set TMPDIR"):
        open_scene(header)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("interleave", ["bsq", "bip"])
def test_cut_short(tmp_path: Path, cube: Cube, interleave: str) -> None:
    header = write(tmp_path, cube, interleave=interleave)
    os.truncate(tmp_path / "cube.img", 1000)
    with pytest.raises(SceneError, match="cut short: 1000 bytes where its header tells of 2002"):
        open_scene(header)


def test_half_a_pair(tmp_path: Path, cube: Cube) -> None:
    header = write(tmp_path, cube)
    (tmp_path / "cube.img").unlink()
    with pytest.raises(SceneNotFoundError, match=r"no data beside the header .*cube\.hdr"):
        open_scene(header)
    write(tmp_path, cube).unlink()
    with pytest.raises(SceneError, match="broken or of no format"):
        open_scene(tmp_path / "cube.img")


def test_broken_header(tmp_path: Path, cube: Cube) -> None:
    header = write(tmp_path, cube)
    header.write_text(header.read_text().replace("lines = 13", "lines = many"))
    with pytest.raises(SceneError, match="broken"):
        open_scene(header)


def test_spectral_library_is_no_cube(real_data: Callable[[str], Path]) -> None:
    with pytest.raises(SceneError, match=r"\.sli"):
        open_scene(real_data("usgs-splib06/s06av95a_envi.sli"))


def test_label_raster(tmp_path: Path, cube: Cube) -> None:
    codes = np.arange(143, dtype=np.uint8).reshape(13, 11)
    header = write(tmp_path, codes[:, :, None], metadata={"data ignore value": 7})
    found = read_label_plane(header, shape=(13, 11))
    assert found[0, :9].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 8]
    assert found.sum() == codes.sum(dtype=int) - 7
    with pytest.raises(LabelError, match="expected labels in one band"):
        read_label_plane(write(tmp_path, cube))


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint64"])
def test_nodata_of_64_bits_is_the_headers(tmp_path: Path, dtype: str) -> None:
    """GDAL reads what it wrote into .aux.xml, 9.999E+03, as 9."""
    with rasterio.open(
        tmp_path / "s.img",
        "w",
        driver="ENVI",
        width=3,
        height=1,
        count=1,
        dtype=dtype,
        nodata=9999,
        transform=rasterio.Affine(30, 0, 0, 0, -30, 0),
    ) as raster:
        raster.write(np.array([[[9999, 9, 5]]], dtype))
    with open_scene(tmp_path / "s.img") as scene:
        assert scene.nodata == 9999
        assert scene.valid(scene.read()).tolist() == [[False, True, True]]


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_a_file_that_is_cut_while_it_is_read_is_refused(
    tmp_path: Path, cube: Cube, interleave: str
) -> None:
    scene = open_scene(write(tmp_path, cube, interleave=interleave))
    data = tmp_path / "cube.img"
    os.truncate(data, data.stat().st_size - 1)
    last = np.array([scene.rows - 1])
    with pytest.raises(SceneError, match="became shorter"):
        scene.read()
    with pytest.raises(SceneError, match="became shorter"):
        scene.pixels(last, np.array([scene.cols - 1]))
    with pytest.raises(SceneError, match="became shorter"):
        scene.thinned(last, np.arange(scene.cols), range(scene.bands))


def test_data_that_are_gone_while_their_header_is_there(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path, cube)
    (tmp_path / "cube.img").unlink()
    with pytest.raises(SceneNotFoundError, match=r"cube\.img"):
        open_scene(tmp_path / "cube.img")
