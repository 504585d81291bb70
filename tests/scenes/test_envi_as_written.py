"""ENVI pairs as people and tools write them: real files, each opened by its header and its data."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.shutil
from rasterio.crs import CRS

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[Any]
Agrees = Callable[[Scene, Cube], None]
Style = Callable[[str], bytes]

AXES = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}
CODES = {"u1": 1, "i2": 2, "i4": 3, "f4": 4, "f8": 5, "u2": 12, "u4": 13, "i8": 14, "u8": 15}
CENTRES = [400.25, 500.5, 600.75, 700.125, 800, 900, 1000]
WAVELENGTHS = "wavelength units = Nanometers\nwavelength = {" + ", ".join(map(str, CENTRES)) + "}\n"
MAP_INFO = (
    "map info = {UTM, 1, 1, 364095, 5809965, 30, 30, 33, North, WGS-84, units=Meters, "
    "rotation=30}\n"
)
LONG = "band names = {" + ", ".join(f"band {i} " + "x" * 2000 for i in range(7)) + "}\n"


def header_of(
    cube: Cube,
    extra: str = "",
    interleave: str = "bsq",
    order: str = "<",
    changed: Mapping[str, str | None] | None = None,
) -> str:
    """The text of a header; `changed` by name, with underscores, None to leave a field out."""
    rows, cols, bands = cube.shape
    fields: dict[str, str | None] = {
        "samples": str(cols),
        "lines": str(rows),
        "bands": str(bands),
        "header_offset": "0",
        "file_type": "ENVI Standard",
        "data_type": str(CODES[cube.dtype.str[1:]]),
        "interleave": interleave,
        "byte_order": str(int(order == ">")),
    }
    fields.update(changed or {})
    kept = (f"{k.replace('_', ' ')} = {v}\n" for k, v in fields.items() if v is not None)
    return "ENVI\n" + "".join(kept) + extra


def write(data: Path, cube: Cube, text: str | bytes, header: str = "", **how: str) -> Path:
    """A pair; gives the header, by default called as the data with `.hdr`."""
    stored = cube.transpose(AXES[how.get("interleave", "bsq")])
    stored.astype(how.get("order", "<") + cube.dtype.str[1:]).tofile(data)
    path = data.with_name(header) if header else data.with_suffix(".hdr")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


STYLES: dict[str, Style] = {
    "plain": lambda text: text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "windows": lambda text: (text + "description = {Grünstein, µm}\n").encode("windows-1252"),
    "comments": lambda text: text.replace("\n", "\n; bands = 99, {\n").encode(),
    "one entry a line": lambda text: text.replace(", ", ",\n  ").encode(),
    "brace below": lambda text: text.replace("= {", "=\n{").encode(),
    "long lines first": lambda text: text.replace("ENVI\n", "ENVI\n" + LONG).encode(),
    "names in capitals": lambda text: "\n".join(
        name.upper() + sign + value
        for name, sign, value in (line.partition("=") for line in text.split("\n"))
    ).encode(),
    "no spaces": lambda text: text.replace(" = ", "=").encode(),
}


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("interleave", AXES)
def test_round_trip(
    tmp_path: Path, cube: Cube, agrees: Agrees, style: str, interleave: str
) -> None:
    """Whatever the layout, the type and the style of the header: numbers, bands and place."""
    for number, (order, dtype) in enumerate(itertools.product("<>", CODES)):
        wanted = (cube % 200).astype(dtype)
        text = header_of(
            wanted, WAVELENGTHS + "bbl = {1, 0, 1, 1, 1, 1, 0}\n" + MAP_INFO, interleave, order
        )
        data = tmp_path / f"c{number}.img"
        header = write(data, wanted, STYLES[style](text), interleave=interleave, order=order)
        with open_scene(header if number % 2 else data) as scene:
            assert scene.format == "ENVI"
            assert scene.wavelengths_nm is not None
            assert scene.wavelengths_nm.tolist() == CENTRES
            assert np.flatnonzero(~scene.good).tolist() == [1, 6]
            assert scene.grid.crs is not None
            assert CRS.from_wkt(scene.grid.crs).to_epsg() == 32633
            assert scene.notes == ()
            turned = scene.grid.transform
            if number == 0:
                agrees(scene, wanted)
            else:
                np.testing.assert_array_equal(scene.read(), wanted)
                np.testing.assert_array_equal(scene.thinned([0, 5], [1, 2], [3]),
                                              wanted[np.ix_([0, 5], [1, 2], [3])])  # fmt: skip
        assert turned is not None
        a, b, _, d, e, _ = turned
        assert np.hypot(a, d) == pytest.approx(30)
        assert np.hypot(b, e) == pytest.approx(30)
        assert np.degrees(np.arctan2(d, a)) == pytest.approx(30)


def test_a_list_without_an_end_costs_itself_alone(tmp_path: Path, cube: Cube) -> None:
    text = header_of(cube, "wavelength = {400, 500\nbbl = {1,0,1,1,1,1,1}\n" + MAP_INFO)
    with open_scene(write(tmp_path / "c.img", cube, text)) as scene:
        assert scene.wavelengths_nm is None
        assert np.flatnonzero(~scene.good).tolist() == [1]
        assert scene.grid.crs is not None
        assert scene.notes == (
            "c.hdr is a broken ENVI header: its list wavelength has no end: left out",
        )


def test_what_follows_a_long_line_counts(tmp_path: Path, cube: Cube) -> None:
    wkt = CRS.from_epsg(3035).to_wkt(version="WKT1_ESRI")
    place = "map info = {ETRS89 LAEA, 1, 1, 4300000, 3000000, 10, 10, ETRS89, units=Meters}\n"
    more = f"{WAVELENGTHS}fwhm = {{{', '.join(['0.4'] * 7)}}}\ndata ignore value = 7\n"
    units = "reflectance scale factor = 10000\n"
    text = header_of(cube, LONG.replace("\n", "") + "\n" + more + units + place)
    header = write(tmp_path / "c.img", cube, f"{text}coordinate system string = {{{wkt}}}\n")
    with open_scene(header) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == CENTRES
        assert scene.fwhm_nm is not None
        assert scene.fwhm_nm.tolist() == [0.4] * 7
        assert scene.nodata == 7
        assert scene.units is not None
        assert scene.units.scale.tolist() == [1e-4] * 7
        assert scene.grid.transform == (10, 0, 4300000, 0, -10, 3000000)
        assert scene.grid.crs is not None
        assert CRS.from_wkt(scene.grid.crs).to_epsg() == 3035


@pytest.mark.parametrize(
    ("data", "header"),
    [
        ("SCAN.IMG", "SCAN.HDR"),
        ("scan.img", "scan.HDR"),
        ("SCAN.img", "scan.hdr"),
        ("scan.IMG", "scan.IMG.HDR"),
        ("SCAN", "SCAN.HDR"),
        *((f"scan.{suffix}", "scan.hdr") for suffix in
          ("hyspex", "rfl", "cub", "float", "envi", "sli", "lan", "1")),
        ("scan.rfl", "scan.rfl.hdr"),
    ],
)  # fmt: skip
def test_names(tmp_path: Path, cube: Cube, agrees: Agrees, data: str, header: str) -> None:
    write(tmp_path / data, cube, header_of(cube, WAVELENGTHS), header)
    (tmp_path / "scan.txt").write_text("notes of the flight")
    (tmp_path / "scan.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 10_000)
    (tmp_path / "scan_2.img").write_bytes((tmp_path / data).read_bytes())
    for name in (data, header):
        scene = open_scene(tmp_path / name)
        assert scene.wavelengths_nm is not None
        agrees(scene, cube)


def test_the_size_tells_the_data(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    header = write(tmp_path / "c.rfl", cube, header_of(cube))
    (tmp_path / "c.img").write_bytes(b"\0" * 99)
    agrees(open_scene(header), cube)
    (tmp_path / "c.rad").write_bytes((tmp_path / "c.rfl").read_bytes())
    with pytest.raises(SceneError, match=r"c\.hdr may be the header of c\.rad or c\.rfl; give one"):
        open_scene(header)
    agrees(open_scene(tmp_path / "c.rfl"), cube)


def test_no_data_that_fits(tmp_path: Path, cube: Cube) -> None:
    header = write(tmp_path / "c.rfl", cube, header_of(cube))
    (tmp_path / "c.rfl").write_bytes(b"\0" * 99)
    with pytest.raises(SceneNotFoundError, match=r"of 2002 bytes; c\.rfl has 99"):
        open_scene(header)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"interleave": None}, "no interleave"),
        ({"interleave": "tiled"}, "interleave = tiled"),
        ({"samples": None}, "has no samples"),
        ({"lines": None}, "has no lines"),
        ({"bands": None}, "has no bands"),
        ({"data_type": None}, "has no data type"),
        ({"data_type": "8"}, "data type = 8 is none of ENVI's"),
        ({"byte_order": "5"}, "byte order = 5"),
        ({"file_type": "ENVI Spectral Library"}, "is a spectral library, which is no cube"),
        ({"minor_frame_offsets": "{4, 0}"}, "minor frame offsets"),
    ],
)
def test_refusals(
    tmp_path: Path, cube: Cube, changed: dict[str, str | None], sentence: str
) -> None:
    header = write(tmp_path / "c.img", cube, header_of(cube, changed=changed))
    for path in (header, tmp_path / "c.img"):
        with pytest.raises(SceneError, match=sentence) as caught:
            open_scene(path)
        assert len(str(caught.value).splitlines()) == 1


def test_a_missing_byte_order_is_said(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    write(tmp_path / "c.img", cube, header_of(cube, changed={"byte_order": None}))
    scene = open_scene(tmp_path / "c.img")
    assert scene.notes == ("c.hdr tells no byte order: taken as little-endian",)
    agrees(scene, cube)


@pytest.mark.parametrize(
    "listed", ["1,0,1,1,1,1,0,", ",1,0,1,1,1,1,0", "1.0, 0.0,1,1,1,1,0.", "True,False,1,1,1,true,0"]
)
def test_bad_bands(tmp_path: Path, cube: Cube, listed: str) -> None:
    with open_scene(write(tmp_path / "c.img", cube, header_of(cube, f"bbl = {{{listed}}}"))) as s:
        assert np.flatnonzero(~s.good).tolist() == [1, 6]
        assert s.notes == ()


@pytest.mark.parametrize("listed", ["1,0", "1,0,1,1,1,1,x", "1,,0,1,1,1,1"])
def test_a_broken_list_of_bad_bands_is_said(tmp_path: Path, cube: Cube, listed: str) -> None:
    with open_scene(write(tmp_path / "c.img", cube, header_of(cube, f"bbl = {{{listed}}}"))) as s:
        assert s.good.all()
        (note,) = s.notes
        assert "the list bbl of c.hdr" in note
        assert "left out" in note


@pytest.mark.parametrize("odd", ["0", "nan", "-1", "0.0", "n/a"])
def test_an_odd_wavelength_costs_its_band(tmp_path: Path, cube: Cube, odd: str) -> None:
    text = header_of(cube, WAVELENGTHS.replace("600.75", odd) + "bbl = {0,1,1,1,1,1,1}\n")
    with open_scene(write(tmp_path / "c.img", cube, text)) as scene:
        assert scene.wavelengths_nm is not None
        assert np.flatnonzero(np.isnan(scene.wavelengths_nm)).tolist() == [2]
        assert np.delete(scene.wavelengths_nm, 2).tolist() == CENTRES[:2] + CENTRES[3:]
        assert np.flatnonzero(~scene.good).tolist() == [0, 2]
        (note,) = scene.notes
        assert f"for band 3 (it has {odd} there), which counts as bad" in note


def test_an_odd_width_is_its_neighbours(tmp_path: Path, cube: Cube) -> None:
    text = header_of(cube, WAVELENGTHS + "fwhm = {5,5,0,7,8,8,8}\n")
    with open_scene(write(tmp_path / "c.img", cube, text)) as scene:
        assert scene.fwhm_nm is not None
        assert scene.fwhm_nm.tolist() == [5, 5, 6, 7, 8, 8, 8]
        assert scene.good.all()
        (note,) = scene.notes
        assert "no width (FWHM) of c.hdr for band 3" in note


@pytest.mark.parametrize(
    ("units", "centre", "width", "nm", "fwhm_nm"),
    [
        ("Micrometers", 0.5, 0.01, 500, 10),
        ("Nanometers", 500, 10, 500, 10),
        ("Millimeters", 0.0005, 0.00001, 500, 10),
        ("Centimeters", 0.00005, 0.000001, 500, 10),
        ("Meters", 5e-7, 1e-8, 500, 10),
        ("Angstroms", 5000, 100, 500, 10),
        ("Wavenumber", 20_000, 400, 500, 10),
        ("GHz", 599_584.916, 11_991.69832, 500, 10),
        ("MHz", 599_584_916, 11_991_698.32, 500, 10),
    ],
)
def test_units(
    tmp_path: Path, cube: Cube, units: str, centre: float, width: float, nm: float, fwhm_nm: float
) -> None:
    many = {
        name: ", ".join([repr(value)] * 7)
        for name, value in (("wavelength", centre), ("fwhm", width))
    }
    lists = "".join(f"{name} = {{{value}}}\n" for name, value in many.items())
    text = header_of(cube, f"wavelength units = {units}\n{lists}")
    with open_scene(write(tmp_path / "c.img", cube, text)) as scene:
        assert scene.wavelengths_nm == pytest.approx([nm] * 7, abs=1e-4)
        assert scene.fwhm_nm == pytest.approx([fwhm_nm] * 7, abs=1e-4)
        assert scene.notes == ()


def test_a_copy_by_gdal_keeps_its_wavelengths_beside(tmp_path: Path, cube: Cube) -> None:
    text = header_of(cube, WAVELENGTHS + "bbl = {0,1,1,1,1,1,1}\n")
    write(tmp_path / "c.img", cube, text)
    rasterio.shutil.copy(tmp_path / "c.img", tmp_path / "copy.img", driver="ENVI")
    assert "wavelength =" not in (tmp_path / "copy.hdr").read_text()
    for name in ("copy.hdr", "copy.img"):
        with open_scene(tmp_path / name) as scene:
            assert scene.wavelengths_nm is not None
            assert scene.wavelengths_nm.tolist() == CENTRES
            (note,) = scene.notes
            assert "a list of bad bands that there may have been is lost" in note


def test_tags_go_before_rounded_ones(tmp_path: Path, cube: Cube) -> None:
    text = header_of(cube, WAVELENGTHS + "fwhm = {0.4,0.4,0.4,0.4,0.4,0.4,0.4}\n")
    write(tmp_path / "c.img", cube, text)
    copy = tmp_path / "copy.tif"
    rasterio.shutil.copy(tmp_path / "c.img", copy, driver="GTiff")
    with rasterio.open(copy) as raster:
        assert raster.tags(1, ns="IMAGERY") == {
            "CENTRAL_WAVELENGTH_UM": "0.400",
            "FWHM_UM": "0.000",
        }
    with open_scene(copy) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == CENTRES
        assert scene.fwhm_nm is None


@pytest.mark.parametrize("driver", ["PNG", "JP2OpenJPEG", "PCIDSK", "VRT"])
def test_a_header_beside_only_adds_facts(tmp_path: Path, cube: Cube, driver: str) -> None:
    one = np.ascontiguousarray(cube[:, :, :1])
    write(tmp_path / "source.img", one, header_of(one))
    suffix = {"PNG": ".png", "JP2OpenJPEG": ".jp2", "PCIDSK": ".pix", "VRT": ".vrt"}[driver]
    path = tmp_path / f"c{suffix}"
    options = {"REVERSIBLE": "YES", "QUALITY": "100"} if driver == "JP2OpenJPEG" else {}
    rasterio.shutil.copy(tmp_path / "source.img", path, driver=driver, **options)
    extra = "wavelength units = nm\nwavelength = {512.5}\n"
    path.with_suffix(".hdr").write_text(header_of(one, extra))
    with open_scene(path) as scene:
        assert scene.format == driver
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [512.5]
        np.testing.assert_array_equal(scene.read(), one)


def test_esri_headers_may_tell_wavelengths(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path / "source.img", cube, header_of(cube))
    rasterio.shutil.copy(tmp_path / "source.img", tmp_path / "c.bil", driver="EHdr")
    with (tmp_path / "c.hdr").open("a") as header:
        header.write("\n".join(["WAVELENGTHS", *map(str, CENTRES), "WAVELENGTHS_END", ""]))
    for name in ("c.bil", "c.hdr"):
        with open_scene(tmp_path / name) as scene:
            assert scene.format == "EHdr"
            assert scene.wavelengths_nm is not None
            assert scene.wavelengths_nm.tolist() == CENTRES
            np.testing.assert_array_equal(scene.read(), cube)


@pytest.mark.slow
def test_gdal_warns_of_nothing_on_the_terminal(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path / "c.img", cube, header_of(cube, MAP_INFO + WAVELENGTHS))
    rasterio.shutil.copy(tmp_path / "c.img", tmp_path / "c.tif", driver="GTiff")
    whole = (tmp_path / "c.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[:300])
    for name in ("c.img", "cut.tif"):
        command = [sys.executable, "-m", "hsi_ssl.cli", "info", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 2}
        assert "Warning 1" not in done.stderr + done.stdout


@pytest.mark.parametrize("key", ["rotation", "Rotation"])
@pytest.mark.parametrize(
    ("angle", "col", "row"), [(30, 1, 1), (30, 3, 2), (-70, 3.5, 1), (90, 1, 1)]
)
def test_turned_pixels_that_are_not_square_keep_their_right_angle(
    tmp_path: Path, angle: float, col: float, row: float, key: str
) -> None:
    """Two sides of 30 m and 20 m, at right angles; the reference pixel stays where it is."""
    np.zeros((3, 4, 5), np.uint8).tofile(tmp_path / "r.img")
    (tmp_path / "r.hdr").write_text(
        "ENVI\nsamples = 5\nlines = 4\nbands = 3\ndata type = 1\ninterleave = bsq\nbyte order = 0\n"
        f"map info = {{UTM, {col}, {row}, 500000, 5000000, 30, 20, 32, North, WGS-84, "
        f"units=Meters, {key}={angle}}}\n"
    )
    with open_scene(tmp_path / "r.img") as scene:
        assert scene.grid.transform is not None
        a, b, c, d, e, f = scene.grid.transform
    along, down = np.array([a, d]), np.array([b, e])
    turn = np.radians(angle)
    np.testing.assert_allclose(along, 30 * np.array([np.cos(turn), np.sin(turn)]), atol=1e-9)
    np.testing.assert_allclose(down, 20 * np.array([np.sin(turn), -np.cos(turn)]), atol=1e-9)
    reference = np.array([c, f]) + along * (col - 1) + down * (row - 1)
    np.testing.assert_allclose(reference, [500_000, 5_000_000])


@pytest.mark.parametrize("word", ["rotation=180", "rotation=180.00000000", "rotation=-180"])
def test_half_a_turn_without_decimals_is_gdals_word_for_south_up(tmp_path: Path, word: str) -> None:
    """GDAL writes it of columns from west to east and rows from south to north; ENVI turns both."""
    np.zeros((3, 4, 5), np.uint8).tofile(tmp_path / "r.img")
    (tmp_path / "r.hdr").write_text(
        "ENVI\nsamples = 5\nlines = 4\nbands = 3\ndata type = 1\ninterleave = bsq\nbyte order = 0\n"
        f"map info = {{UTM, 2, 3, 500000, 5000000, 30, 20, 32, North, WGS-84, {word}}}\n"
    )
    with open_scene(tmp_path / "r.img") as scene:
        assert scene.grid.transform is not None
        a, b, c, d, e, f = scene.grid.transform
        assert any("rows from south to north" in note for note in scene.notes) == (
            word == "rotation=180"
        )
    across = 30 if word == "rotation=180" else -30
    np.testing.assert_allclose((a, b, d, e), (across, 0, 0, 20), atol=1e-9)
    np.testing.assert_allclose((c + across, f + 40), (500_000, 5_000_000))
