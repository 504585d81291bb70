"""Masks of every kind that GDAL knows, alone and together with nodata values."""

from __future__ import annotations

import gzip
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning

from hsi_ssl.errors import SceneError
from hsi_ssl.labels.rasters import open_label_raster, read_label_plane
from hsi_ssl.scenes.measured import MeasuredReader
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers.envi import RawReader
from hsi_ssl.scenes.readers.geotiff import GdalReader
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
ROWS, COLS, BANDS = 70, 50, 5
TILED: dict[str, Any] = {"tiled": True, "blockxsize": 16, "blockysize": 32}


def cube_of(bands: int = BANDS, dtype: str = "uint16", top: int = 200) -> Cube:
    """Values from 1 on."""
    draw = np.random.default_rng(0).integers(1, top, (ROWS, COLS, bands))
    return draw.astype(dtype)


def blob() -> Bools:
    """What is shown: not a corner, a stripe and single pixels."""
    shown = np.random.default_rng(1).random((ROWS, COLS)) > 0.1
    shown[:20, :12] = False
    shown[:, 30] = False
    return shown


SHOWN = blob()


def write(path: Path, cube: Cube, mask: Bools | None = None, **profile: Any) -> Path:
    """A raster of the cube, with a mask in the file (`inside`) or beside it."""
    inside = profile.pop("inside", True)
    colours = profile.pop("colorinterp", None)
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", **{"driver": "GTiff", **profile}, height=cube.shape[0],
            width=cube.shape[1], count=cube.shape[2], dtype=cube.dtype,
        ) as raster:  # fmt: skip
            if colours is not None:
                raster.colorinterp = colours
            raster.write(np.moveaxis(cube, -1, 0))
            if mask is not None:
                raster.write_mask(mask)
    return path


def beside(path: Path, masks: Cube) -> None:
    """A `.msk` `(rows, cols, n)` of one mask for all bands, or of one a band."""
    flags = 2 if masks.shape[2] == 1 else 0
    write(Path(f"{path}.msk"), masks.astype(np.uint8) * 255, tiled=True, blockxsize=16,
          blockysize=16, compress="deflate")  # fmt: skip
    with rasterio.open(f"{path}.msk", "r+") as raster:
        tags = {f"INTERNAL_MASK_FLAGS_{i + 1}": str(flags) for i in range(BANDS)}
        raster.update_tags(**tags)


def agrees(scene: Scene, cube: Cube, shown: Bools) -> None:
    """All ways of reading tell the same of what is data, `(rows, cols)` or a band; closes it."""
    with scene:
        found = scene.read()
        assert found.shape == cube.shape == (scene.rows, scene.cols, scene.bands)
        assert found.dtype == scene.dtype
        assert found.flags.c_contiguous
        whole = shown if shown.ndim == 2 else shown.all(axis=-1)
        np.testing.assert_array_equal(scene.valid(found), whole)
        each = np.broadcast_to(shown[..., None] if shown.ndim == 2 else shown, cube.shape)
        np.testing.assert_array_equal(found[each], cube[each])
        assert len(np.unique(found[~each])) <= 1
        if scene.nodata is not None:
            np.testing.assert_array_equal(found[~each], scene.nodata)
        rows, cols = slice(13, 41), slice(5, 38)
        np.testing.assert_array_equal(scene.read(rows, cols), found[rows, cols])
        for window in scene.windows(300):
            np.testing.assert_array_equal(scene.read(*window), found[window])
        r, c = np.random.default_rng(2).integers(0, (ROWS, COLS), (200, 2)).T
        np.testing.assert_array_equal(scene.pixels(r, c), found[r, c])
        for step in (1, 2, 7):
            places = np.arange(step // 2, ROWS, step), np.arange(step // 2, COLS, step)
            bands = [scene.bands - 1, 0]
            np.testing.assert_array_equal(
                scene.thinned(*places, bands), found[np.ix_(*places, np.array(bands))]
            )


def vrt(path: Path, body: Callable[[int], str], bands: int = BANDS, after: str = "") -> Path:
    """A VRT of `cube.tif` beside it; `body` is what a band holds besides its source."""
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">cube.tif</SourceFilename>'
        "<SourceBand>{}</SourceBand></SimpleSource>"
    )
    text = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{i}">{body(i)}{source.format(i)}</VRTRasterBand>'
        for i in range(1, bands + 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}">{text}{after}</VRTDataset>'
    )
    return path


MASK_BAND = (
    '<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource><SourceFilename relativeToVRT="1">'
    "mask.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></MaskBand>"
)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    "profile", [{}, TILED, {**TILED, "interleave": "band"}, {"compress": "deflate"}]
)
def test_a_mask_in_or_beside_a_geotiff(
    tmp_path: Path, dtype: str, inside: bool, profile: dict[str, Any]
) -> None:
    cube = cube_of(dtype=dtype)
    path = write(tmp_path / "s.tif", cube, SHOWN, inside=inside, **profile)
    scene = open_scene(path)
    assert scene.nodata is None
    assert scene.dtype == dtype
    assert type(scene.reader) is GdalReader
    agrees(scene, cube, SHOWN)


@pytest.mark.parametrize("nodata", [7, 0])
def test_mask_and_nodata_value_both_count(tmp_path: Path, nodata: int) -> None:
    cube = cube_of()
    cube[50, 20] = nodata
    path = write(tmp_path / "s.tif", cube, SHOWN, nodata=nodata)
    with open_scene(path) as scene:
        assert scene.nodata == nodata
    agrees_by_band = SHOWN[..., None] & (cube != nodata)
    agrees(open_scene(path), cube, agrees_by_band)


def test_a_mask_of_other_tiles_than_the_data(tmp_path: Path) -> None:
    cube = cube_of()
    path = write(tmp_path / "s.tif", cube, **TILED)
    beside(path, SHOWN[..., None])
    agrees(open_scene(path), cube, SHOWN)


def test_a_mask_beside_an_envi_cube(tmp_path: Path) -> None:
    cube = cube_of()
    for interleave in ("bsq", "bil", "bip"):
        path = write(tmp_path / f"{interleave}.img", cube, driver="ENVI", interleave=interleave)
        with open_scene(path) as scene:
            assert type(scene.reader) is RawReader
        beside(path, SHOWN[..., None])
        agrees(open_scene(path), cube, SHOWN)


def test_a_mask_beside_a_compressed_envi_cube(tmp_path: Path) -> None:
    cube = cube_of()
    path = write(tmp_path / "s.img", cube, driver="ENVI")
    beside(path, SHOWN[..., None])
    path.write_bytes(gzip.compress(path.read_bytes()))
    with path.with_suffix(".hdr").open("a") as header:
        header.write("file compression = 1\n")
    agrees(open_scene(path), cube, SHOWN)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_an_alpha_band_is_no_spectral_band(tmp_path: Path, dtype: str) -> None:
    cube = cube_of(BANDS + 1, dtype)
    cube[..., BANDS] = np.where(SHOWN, 255, 0)
    path = write(
        tmp_path / "s.tif", cube,
        colorinterp=[ColorInterp.gray, *[ColorInterp.undefined] * 4, ColorInterp.alpha],
    )  # fmt: skip
    with rasterio.open(path, "r+") as raster:
        for band in range(1, BANDS + 1):
            raster.update_tags(band, wavelength=str(400 + band), wavelength_units="nm")
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [401, 402, 403, 404, 405]
        assert scene.notes == ()
    agrees(open_scene(path), cube[..., :BANDS], SHOWN)


def test_an_alpha_band_among_the_others_and_a_nodata_value(tmp_path: Path) -> None:
    cube = cube_of(4)
    cube[..., 1] = np.where(SHOWN, 65535, 0)
    cube[60, 40, 3] = 9
    path = write(tmp_path / "s.tif", cube, ALPHA="YES", nodata=9)  # GDAL: the second band
    spectral = cube[..., [0, 2, 3]]
    with open_scene(path) as scene:
        assert scene.nodata == 9
    agrees(open_scene(path), spectral, SHOWN[..., None] & (spectral != 9))


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_alpha_of_a_picture(tmp_path: Path, driver: str) -> None:
    cube = cube_of(4, "uint8")
    cube[..., 3] = np.where(SHOWN, 255, 0)
    cube[65:, 45:, 3] = 128  # a soft edge
    cube[..., 3][~SHOWN] = 0
    path = write(tmp_path / "s", cube, driver=driver)
    agrees(open_scene(path), cube[..., :3], SHOWN)


def test_a_fourth_band_is_called_alpha_and_is_none(tmp_path: Path) -> None:
    """GDAL writes any four bands of one byte as red, green, blue and alpha."""
    cube = cube_of(4, "uint8")
    path = write(tmp_path / "s.tif", cube)
    with rasterio.open(path) as raster:
        assert raster.colorinterp[3] is ColorInterp.alpha
    with open_scene(path) as scene:
        (note,) = scene.notes
        assert note == (
            "band 4 of s.tif is called alpha but takes other values than 0 and 255: "
            "taken as a spectral band"
        )
    agrees(open_scene(path), cube, np.ones((ROWS, COLS), bool))


@pytest.mark.parametrize("told", ["tags", "header"])
def test_a_band_with_a_wavelength_is_no_alpha(tmp_path: Path, told: str) -> None:
    cube = cube_of(4, "uint8")
    cube[..., 3] = np.where(SHOWN, 255, 0)
    path = write(tmp_path / "s.tif", cube)
    if told == "tags":
        with rasterio.open(path, "r+") as raster:
            for band in range(1, 5):
                raster.update_tags(band, wavelength=str(400 * band), wavelength_units="nm")
    else:
        header = "ENVI\nwavelength units = Nanometers\nwavelength = {400, 800, 1200, 1600}\n"
        (tmp_path / "s.hdr").write_text(header)
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [400, 800, 1200, 1600]
        assert "called alpha but has a wavelength" in scene.notes[0]
    agrees(open_scene(path), cube, np.ones((ROWS, COLS), bool))


def test_a_band_of_zeros_hides_nothing(tmp_path: Path) -> None:
    cube = cube_of(4, "uint8")
    cube[..., 3] = 0
    with open_scene(write(tmp_path / "s.tif", cube)) as scene:
        assert scene.bands == 4
        assert "is 0 wherever it was looked at" in scene.notes[0]


def test_a_nodata_value_a_band(tmp_path: Path) -> None:
    cube = cube_of(top=9)
    write(tmp_path / "cube.tif", cube)
    fills = np.arange(1, BANDS + 1)
    path = vrt(tmp_path / "s.vrt", lambda i: f"<NoDataValue>{i}</NoDataValue>")
    agrees(open_scene(path), cube, cube != fills)
    some = vrt(tmp_path / "t.vrt", lambda i: "<NoDataValue>2</NoDataValue>" if i == 2 else "")
    agrees(open_scene(some), cube, (cube != 2) | (np.arange(BANDS) != 1))


@pytest.mark.parametrize("driver", ["GTiff", "ENVI"])
def test_nodata_values_beside_the_raster(tmp_path: Path, driver: str) -> None:
    cube = cube_of(top=9)
    path = write(tmp_path / "s.img", cube, driver=driver)
    bands = "".join(
        f'<PAMRasterBand band="{i}"><NoDataValue>{i}</NoDataValue></PAMRasterBand>'
        for i in range(1, BANDS + 1)
    )
    Path(f"{path}.aux.xml").write_text(f"<PAMDataset>{bands}</PAMDataset>")
    scene = open_scene(path)
    assert type(scene.reader) is MeasuredReader
    agrees(scene, cube, cube != np.arange(1, BANDS + 1))


def test_the_tag_of_nodata_values_means_all_bands_together(tmp_path: Path) -> None:
    cube = cube_of(3, top=4)
    path = write(tmp_path / "s.tif", cube)
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(NODATA_VALUES="1 2 3")
    agrees(open_scene(path), cube, (cube != (1, 2, 3)).any(axis=-1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
def test_a_mask_a_band(tmp_path: Path, dtype: str) -> None:
    """Without a nodata value integers are read as a wider type, which has one more."""
    cube = cube_of(dtype=dtype)
    shown = np.random.default_rng(3).random(cube.shape) > 0.05
    path = write(tmp_path / "s.tif", cube, **TILED)
    beside(path, shown)
    scene = open_scene(path)
    assert scene.nodata is not None
    assert scene.dtype == {"uint8": "i2", "uint16": "i4", "int32": "i8", "float32": "f4"}[dtype]
    agrees(scene, cube, shown)


def test_masks_of_a_vrt(tmp_path: Path) -> None:
    cube = cube_of()
    write(tmp_path / "cube.tif", cube)
    write(tmp_path / "mask.tif", np.where(SHOWN, 255, 0)[..., None].astype(np.uint8))
    agrees(open_scene(vrt(tmp_path / "a.vrt", lambda i: "", after=MASK_BAND)), cube, SHOWN)
    one = vrt(tmp_path / "b.vrt", lambda i: MASK_BAND if i == 2 else "")
    agrees(open_scene(one), cube, SHOWN[..., None] | (np.arange(BANDS) != 1))


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("late", [False, True])
def test_overviews_know_the_mask(tmp_path: Path, inside: bool, late: bool) -> None:
    """Also overviews that are older than the mask, of which GDAL says that all is valid."""
    cube = cube_of()[:64, :48]
    shown = np.ones((64, 48), bool)
    shown[:40, :24] = False
    path = write(tmp_path / "s.tif", cube, None if late else shown, inside=inside, **TILED)
    with rasterio.open(path, "r+") as raster:
        raster.build_overviews([2, 4], Resampling.nearest)
    if late:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, "r+") as raster:
            raster.write_mask(shown)
    for level, step in ((0, 2), (1, 4)):
        with rasterio.open(path, overview_level=level) as raster:
            small = np.moveaxis(raster.read(), 0, -1)
        rows, cols = np.arange(step // 2, 64, step), np.arange(step // 2, 48, step)
        with open_scene(path) as scene:
            found = scene.thinned(rows, cols, range(BANDS))
        wanted = small[: len(rows), : len(cols)] * shown[np.ix_(rows, cols)][..., None]
        np.testing.assert_array_equal(found, wanted)


def test_overviews_of_an_alpha_band(tmp_path: Path) -> None:
    cube = cube_of(4, "uint8")
    cube[..., 3] = 255
    cube[:40, :24, 3] = 0
    path = write(tmp_path / "s.tif", cube, **TILED)
    with rasterio.open(path, "r+") as raster:
        raster.build_overviews([2], Resampling.nearest)
    with open_scene(path) as scene:
        found = scene.thinned(np.arange(1, ROWS, 2), np.arange(1, COLS, 2), [0, 2])
    hidden = np.zeros(found.shape[:2], bool)
    hidden[:20, :12] = True
    np.testing.assert_array_equal((found == 0).all(axis=-1), hidden)


def test_a_plain_scene_is_read_as_ever(tmp_path: Path) -> None:
    for nodata in (None, 7):
        with open_scene(write(tmp_path / "s.tif", cube_of(), nodata=nodata)) as scene:
            assert type(scene.reader) is GdalReader
            assert scene.reader._masks is None


def test_masks_of_label_rasters(tmp_path: Path) -> None:
    codes = cube_of(1, "uint8", top=5)
    path = write(tmp_path / "l.tif", codes, SHOWN)
    np.testing.assert_array_equal(read_label_plane(path), np.where(SHOWN, codes[..., 0], 0))
    # Grey with alpha.
    grey = np.concatenate([codes, np.where(SHOWN, 255, 0)[..., None].astype(np.uint8)], axis=-1)
    path = write(tmp_path / "l.png", grey, driver="PNG")
    np.testing.assert_array_equal(read_label_plane(path), np.where(SHOWN, codes[..., 0], 0))


@pytest.mark.parametrize("kind", ["alpha", "mask", "both"])
def test_masks_of_coloured_labels(tmp_path: Path, kind: str) -> None:
    """Where a picture is see-through there is no label, whatever its colour."""
    (tmp_path / "l.csv").write_text("code,name,color\n1,coal,#000000\n2,snow,#ffffff\n")
    codes = cube_of(1, "uint8", top=3)[..., 0]
    picture = np.repeat(np.where(codes == 1, 0, 255)[..., None], 3, axis=-1).astype(np.uint8)
    alpha = np.where(SHOWN, 255, 0).astype(np.uint8)
    if kind == "both":
        alpha[:, 40:] = 0
    shown = alpha > 0
    if kind != "mask":
        picture = np.concatenate([picture, alpha[..., None]], axis=-1)
    path = write(tmp_path / "l.tif", picture, None if kind == "alpha" else SHOWN)
    with open_label_raster(path) as raster:
        found = raster.window(slice(0, ROWS), slice(0, COLS))
    np.testing.assert_array_equal(found, np.where(shown, codes, 0))


def test_four_planes_of_0_and_1(tmp_path: Path) -> None:
    """The fourth is called alpha, and is a class."""
    codes = cube_of(1, "uint8", top=6)[..., 0] - 1
    planes = (codes[..., None] == np.arange(1, 5)).astype(np.uint8)
    with open_label_raster(write(tmp_path / "l.tif", planes)) as raster:
        found = raster.window(slice(0, ROWS), slice(0, COLS))
    np.testing.assert_array_equal(found, codes)


def test_a_mask_that_is_cut_short_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", cube_of(), SHOWN, inside=False, **TILED)
    mask = Path(f"{path}.msk")
    with rasterio.open(mask, "r+") as raster:
        raster.write(np.where(SHOWN, 255, 0).astype(np.uint8)[::-1], 1)  # to the file's end
    os.truncate(mask, mask.stat().st_size - 100)
    with (
        open_scene(path) as scene,
        pytest.raises(SceneError, match=r"s\.tif is cut short or broken"),
    ):
        scene.read()
