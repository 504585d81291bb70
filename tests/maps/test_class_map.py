from __future__ import annotations

import os
import resource
import shutil
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.shutil
from matplotlib import image
from rio_cogeo.cogeo import cog_validate

from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.legends import CLASSES_TAG, tagged_names
from hsi_ssl.labels.palette import distinct_colour
from hsi_ssl.maps.class_map import LAYERS, MapWriter, class_map, outputs
from hsi_ssl.maps.rasters import draft
from hsi_ssl.scenes.scene import Grid, GroundPoint

SET = LabelSet(
    "minerals", tuple(LabelClass(c, f"class {c}", distinct_colour(c)) for c in (2, 7, 32))
)
NOWHERE = Grid()
UTM = "EPSG:32719"
ROTATED = (20.0, 5.0, 300_000.0, 5.0, -20.0, 7_400_000.0)
CODES = np.array([2, 7, 32, 0])


def indices(rows: int, cols: int) -> npt.NDArray[np.int64]:
    """Large patches of all classes and of none."""
    row, col = np.indices((rows, cols))
    return (row // 37 + col // 53) % 4 - 1


def write(path: Path, plane: npt.NDArray[Any], grid: Grid = NOWHERE, **options: Any) -> None:
    """A map written in bands of rows."""
    rows, cols = plane.shape
    options = {"label_set": SET, **options}
    with class_map(path, rows=rows, cols=cols, grid=grid, **options) as written:
        for row in range(0, rows, 100):
            some = slice(row, min(row + 100, rows))
            written.write(some, slice(0, cols), plane[some])


def opened(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path)


def test_a_map_is_a_palette_raster_on_the_scenes_own_grid(tmp_path: Path) -> None:
    plane = indices(700, 900)
    path = tmp_path / "maps" / "m.tif"
    write(path, plane, Grid(crs=UTM, transform=ROTATED), tags={"MODEL": "runs/m2"})
    with rasterio.open(path) as raster:
        assert raster.dtypes == ("uint8",)
        assert raster.nodata == 0
        assert raster.crs.to_epsg() == 32719
        assert tuple(raster.transform)[:6] == ROTATED
        np.testing.assert_array_equal(raster.read(1), CODES[plane])
        colours = raster.colormap(1)
        for c in SET.classes:
            assert "#{:02x}{:02x}{:02x}".format(*colours[c.code]) == c.colour
        assert raster.compression.value == "DEFLATE"
        assert raster.block_shapes == [(512, 512)]
        assert raster.overviews(1) == [2]
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.tags()["MODEL"] == "runs/m2"
        assert raster.tags()["TIFFTAG_SOFTWARE"].startswith("hsi-ssl ")
        assert raster.descriptions == ("class",)
        # Overviews keep codes: nothing is averaged.
        assert set(np.unique(raster.read(1, out_shape=(350, 450)))) <= set(CODES)
    names = {"m.tif", "m.tif.aux.xml", "m.qml", "m.csv", "m.png"}
    assert {p.name for p in path.parent.iterdir()} == names
    rows = ET.parse(path.with_name("m.tif.aux.xml")).getroot().iter("Row")
    counted = {int(r[0].text or ""): int(r[5].text or "") for r in rows}
    assert counted == {c: int((CODES[plane] == c).sum()) for c in (2, 7, 32)}
    assert image.imread(path.with_suffix(".png")).shape[2] in (3, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "grid", [NOWHERE, Grid(crs=UTM, transform=ROTATED)], ids=["none", "turned"]
)
def test_the_map_and_every_layer_are_valid_cogs(tmp_path: Path, grid: Grid) -> None:
    plane = indices(600, 700)
    values = np.random.default_rng(0).random((600, 700, 3)).astype(np.float32)
    values[plane < 0] = np.nan
    layers = {layer: values if layer == "probabilities" else values[..., 0] for layer in LAYERS}
    with class_map(
        tmp_path / "m.tif", rows=600, cols=700, grid=grid, label_set=SET, layers=LAYERS
    ) as written:
        written.write(slice(0, 600), slice(0, 700), plane, layers)
    for name, path in outputs(tmp_path / "m.tif", LAYERS).items():
        if path.suffix != ".tif":
            continue
        valid, errors, warned = cog_validate(str(path), strict=True, quiet=True)
        assert (valid, errors, warned) == (True, [], []), name
        with opened(path) as raster:
            assert raster.overviews(1), name
    for layer, unit in (("confidence", "1"), ("entropy", "nat"), ("novelty", "nat")):
        with opened(tmp_path / f"m_{layer}.tif") as raster:
            assert (raster.units, raster.count) == ((unit,), 1)
            assert np.isnan(raster.nodata)
            assert raster.descriptions[0]


@pytest.mark.parametrize("cols", [256, 512])
def test_a_map_as_wide_as_a_tile_is_a_valid_cog(tmp_path: Path, cols: int) -> None:
    with class_map(
        tmp_path / "m.tif", rows=600, cols=cols, grid=Grid(crs=UTM, transform=ROTATED),
        label_set=SET, layers=["entropy"],
    ) as written:  # fmt: skip
        values = np.ones((600, cols), np.float32)
        written.write(slice(0, 600), slice(0, cols), indices(600, cols), {"entropy": values})
    for name in ("m.tif", "m_entropy.tif"):
        assert cog_validate(str(tmp_path / name), strict=True, quiet=True) == (True, [], [])


@pytest.mark.slow
def test_overviews_show_the_commonest_class(tmp_path: Path) -> None:
    plane = np.zeros((1200, 1200), np.int64)
    plane[::4, ::4] = 1  # where nearest neighbours would look
    write(tmp_path / "m.tif", plane)
    with opened(tmp_path / "m.tif") as raster:
        assert (raster.read(1, out_shape=(300, 300)) == 2).all()


def gdal_reads(path: Path) -> ET.Element:
    """What GDAL itself finds in a raster and beside it: its own copy of all that as a VRT."""
    copy = path.with_suffix(".copy.vrt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        rasterio.shutil.copy(path, copy, driver="VRT")
    found = ET.parse(copy).getroot()
    copy.unlink()
    return found


def test_gdal_finds_names_and_attribute_table_wherever_the_map_goes(tmp_path: Path) -> None:
    write(tmp_path / "m.tif", indices(60, 70))
    (tmp_path / "there").mkdir()
    for path in sorted(tmp_path.glob("m.*")):
        shutil.move(path, tmp_path / "there" / path.name.replace("m.", "renamed.", 1))
    moved = tmp_path / "there" / "renamed.tif"
    names = [c.text or "" for c in gdal_reads(moved).iter("Category")]
    assert {code: names[code] for code in (0, 2, 7, 32)} == {
        0: "not classified", 2: "class 2", 7: "class 7", 32: "class 32"
    }  # fmt: skip
    copied = tmp_path / "copied.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        rasterio.shutil.copy(moved, copied, driver="GTiff")
    table = ET.parse(copied.with_name("copied.tif.aux.xml")).getroot()
    rows = [[f.text for f in row.findall("F")][:2] for row in table.iter("Row")]
    assert rows == [["2", "class 2"], ["7", "class 7"], ["32", "class 32"]]
    # Alone it keeps its colours, and its names in a tag.
    alone = tmp_path / "alone.tif"
    shutil.copy(moved, alone)
    with opened(alone) as raster:
        assert raster.colormap(1)[7][:3] == tuple(bytes.fromhex(SET.colours[1][1:]))
        assert tagged_names(raster.tags()[CLASSES_TAG])[32] == "class 32"


def test_what_nobody_writes_is_nodata_and_takes_no_space(tmp_path: Path) -> None:
    plane = indices(50, 60)
    with class_map(
        tmp_path / "m.tif", rows=900, cols=800, grid=NOWHERE, label_set=SET, layers=["entropy"]
    ) as written:
        written.write(
            slice(300, 350), slice(20, 80), plane, {"entropy": np.ones(plane.shape, np.float32)}
        )
        drafts = list(tmp_path.glob(".m.tif-*/*.draft"))
        assert len(drafts) == 2
        assert written.counts[0] == 900 * 800 - (plane >= 0).sum()
    with opened(tmp_path / "m.tif") as raster:
        expected = np.zeros((900, 800), np.uint8)
        expected[300:350, 20:80] = CODES[plane]
        np.testing.assert_array_equal(raster.read(1), expected)
    with opened(tmp_path / "m_entropy.tif") as raster:
        assert np.isfinite(raster.read(1)).sum() == plane.size


def test_rasters_too_large_for_tiff_are_bigtiff(tmp_path: Path) -> None:
    # 4.9 GB as numbers; what is not written takes no space here.
    path = tmp_path / "huge.draft"
    shape = {"height": 70_000, "width": 70_000, "count": 1, "dtype": "uint8", "nodata": 0}
    with draft(path, NOWHERE, {}, **shape) as raster:
        raster.write(np.ones((1, 1, 100), np.uint8), window=((60_000, 60_001), (0, 100)))
    assert path.read_bytes()[:4] == b"II+\0"
    assert path.stat().st_size < 4e6
    with opened(path) as raster:
        assert raster.read(1, window=((60_000, 60_001), (99, 101))).tolist() == [[1, 0]]


@pytest.mark.slow
def test_300_classes(tmp_path: Path) -> None:
    many = LabelSet(
        "many", tuple(LabelClass(c, f"kind {c}", distinct_colour(c)) for c in range(1, 301))
    )
    plane = np.arange(-1, 300)[np.indices((602, 520))[0] // 2]
    write(tmp_path / "m.tif", plane, label_set=many)
    assert cog_validate(str(tmp_path / "m.tif"), strict=True, quiet=True)[0]
    with opened(tmp_path / "m.tif") as raster:
        assert raster.dtypes == ("uint16",)
        np.testing.assert_array_equal(raster.read(1), plane + 1)
        assert raster.colormap(1)[300][:3] == tuple(bytes.fromhex(many.colours[299][1:]))
    assert [c.text for c in gdal_reads(tmp_path / "m.tif").iter("Category")][256:] == [
        f"kind {c}" for c in range(256, 301)
    ]


def test_codes_above_255_make_it_uint16(tmp_path: Path) -> None:
    label_set = LabelSet(
        "many", (LabelClass(9, "nine", "#102030"), LabelClass(40_000, "far", "#abcdef"))
    )
    plane = indices(30, 200).clip(max=1)
    write(tmp_path / "m.tif", plane, Grid(crs=UTM, transform=ROTATED), label_set=label_set)
    with rasterio.open(tmp_path / "m.tif") as raster:
        assert raster.dtypes == ("uint16",)
        np.testing.assert_array_equal(raster.read(1), np.array([9, 40_000, 0])[plane])
        assert raster.colormap(1)[40_000] == (0xAB, 0xCD, 0xEF, 255)
    categories = list(ET.parse(tmp_path / "m.tif.aux.xml").getroot().iter("Category"))
    assert categories[40_000].text == "far"


@pytest.mark.parametrize("code", [-3, 65_536])
def test_codes_that_fit_no_map_are_refused(tmp_path: Path, code: int) -> None:
    label_set = LabelSet("odd", (LabelClass(code, "odd", "#102030"),))
    with pytest.raises(LabelError, match=f"between 1 and 65535, found {code}"):
        write(tmp_path / "m.tif", indices(5, 5), label_set=label_set)
    assert not list(tmp_path.iterdir())


def test_no_place_on_earth_is_invented(tmp_path: Path) -> None:
    write(tmp_path / "m.tif", indices(40, 60))
    with opened(tmp_path / "m.tif") as raster:
        assert raster.crs is None
        assert raster.transform.is_identity
        assert raster.gcps == ([], None)
        assert raster.rpcs is None


def test_control_points_are_kept(tmp_path: Path) -> None:
    points = tuple(
        GroundPoint(r, c, 300_000.5 + 20 * c + 3 * r, 7_400_000.25 - 20 * r, 812.5)
        for r, c in ((0, 0), (0, 60), (40, 0), (39.5, 58.25))
    )
    write(tmp_path / "m.tif", indices(40, 60), Grid(crs=UTM, control_points=points))
    with opened(tmp_path / "m.tif") as raster:
        found, crs = raster.gcps
        assert crs.to_epsg() == 32719
        assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [
            (p.row, p.col, p.x, p.y, p.z) for p in points
        ]
        assert raster.transform.is_identity


def test_rational_polynomials_are_kept(tmp_path: Path) -> None:
    rpcs = {
        "LINE_OFF": "20", "SAMP_OFF": "30", "LAT_OFF": "-23.5", "LONG_OFF": "-68.25",
        "HEIGHT_OFF": "2400", "LINE_SCALE": "20", "SAMP_SCALE": "30", "LAT_SCALE": "0.01",
        "LONG_SCALE": "0.02", "HEIGHT_SCALE": "500",
        **{
            f"{name}_COEFF": " ".join(["1", "0.5", *["0"] * 18])
            for name in ("LINE_NUM", "LINE_DEN", "SAMP_NUM", "SAMP_DEN")
        },
    }  # fmt: skip
    write(tmp_path / "m.tif", indices(40, 60), Grid(rpcs=rpcs))
    with opened(tmp_path / "m.tif") as raster:
        assert raster.rpcs.long_off == -68.25
        assert raster.rpcs.line_num_coeff[:3] == [1, 0.5, 0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (4000, 1)])
def test_maps_of_a_line_or_a_point(tmp_path: Path, shape: tuple[int, int]) -> None:
    write(tmp_path / "m.tif", indices(*shape))
    with opened(tmp_path / "m.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), CODES[indices(*shape)])
    assert image.imread(tmp_path / "m.png").size


@pytest.mark.slow
def test_layers_beside_the_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet((1, 1, 1), (300, 400)).astype(np.float32)
    p[:10] = np.nan
    plane = np.where(np.isnan(p[..., 0]), -1, p.argmax(-1))
    confidence = p.max(-1)
    with class_map(
        tmp_path / "m.tif", rows=300, cols=400, grid=Grid(crs=UTM, transform=ROTATED),
        label_set=SET, layers=("confidence", "probabilities"),
    ) as written:  # fmt: skip
        for row, col in ((256, 0), (0, 256), (0, 0), (256, 256)):  # tiles, in no order
            at = slice(row, min(row + 256, 300)), slice(col, min(col + 256, 400))
            written.write(*at, plane[at], {"confidence": confidence[at], "probabilities": p[at]})
    with rasterio.open(tmp_path / "m_confidence.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), confidence)
        assert np.isnan(raster.nodata)
        assert raster.descriptions == ("probability of the most probable class",)
        assert tuple(raster.transform)[:6] == ROTATED
    with rasterio.open(tmp_path / "m_probabilities.tif") as raster:
        np.testing.assert_array_equal(np.moveaxis(raster.read(), 0, -1), p)
        assert raster.descriptions == SET.names
        assert raster.tags(3)["CODE"] == "32"


def _write_and_break(windows: MapWriter) -> None:
    windows.write(slice(0, 40), slice(0, 60), np.zeros((40, 60), int))
    raise RuntimeError("the scene broke")


def test_a_failure_keeps_the_old_map_and_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "m.tif", indices(40, 60))
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    written = class_map(
        tmp_path / "m.tif", rows=40, cols=60, grid=NOWHERE, label_set=SET, overwrite=True
    )
    with pytest.raises(RuntimeError, match="the scene broke"), written as windows:
        _write_and_break(windows)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("taken", ["map", "style", "entropy"])
def test_what_exists_is_not_replaced_unasked(tmp_path: Path, taken: str) -> None:
    files = outputs(tmp_path / "m.tif", ("entropy",))
    files[taken].write_text("mine")
    with pytest.raises(OutputError, match="exists already; pass --overwrite"):
        write(tmp_path / "m.tif", indices(5, 5), layers=("entropy",))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["mine"]


def test_a_folder_is_never_replaced_by_a_map(tmp_path: Path) -> None:
    (tmp_path / "m.tif").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write(tmp_path / "m.tif", indices(5, 5), overwrite=True)


def test_a_map_is_named_as_a_geotiff(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"name it m\.png\.tif or m\.png\.img"):
        write(tmp_path / "m.png", indices(5, 5))


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    # Nobody may make files in /sys, not even root.
    folder = Path("/sys")
    if os.geteuid() != 0:
        folder = tmp_path
        folder.chmod(0o500)
    with pytest.raises(OutputError, match=r"the folder (may not be written to|is read-only)"):
        write(folder / "m.tif", indices(5, 5))


@pytest.mark.slow
@pytest.mark.parametrize("limit", [20_000, 2_300_000, 2_600_000, 3_000_000, 3_200_000, 4_000_000])
def test_a_disk_that_fills_up_leaves_a_whole_map_or_none(tmp_path: Path, limit: int) -> None:
    # Noise that nothing compresses: the draft takes 2.4 MB and the map, with its overviews, 3.25.
    # A file may grow to `limit` bytes. At 3.2 MB GDAL reports no error, and the map is cut short.
    noisy = LabelSet(
        "noise", tuple(LabelClass(c, f"class {c}", distinct_colour(c)) for c in range(1, 256))
    )
    plane = np.random.default_rng(0).integers(-1, 255, (6000, 400))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    failure = None
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        write(tmp_path / "m.tif", plane, label_set=noisy)
    except OutputError as error:
        failure = str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if limit < 4_000_000:
        assert failure is not None
        assert failure.startswith(f"cannot write {tmp_path}")
        assert not list(tmp_path.iterdir())
    else:
        assert failure is None
        with opened(tmp_path / "m.tif") as raster:
            np.testing.assert_array_equal(raster.read(1), plane + 1)
