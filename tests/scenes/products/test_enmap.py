"""EnMAP products of the layout that DLR's ground segment writes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.shutil
from delivered import drawn_fields, on_grid, refused, run, taught, turned, whole_way
from enmap_files import APART, EMPTY, NAME, SWIR, VNIR, gains, merged, write_enmap, write_plane

from hsi_ssl.errors import SceneError
from hsi_ssl.labels.finding import find
from hsi_ssl.masks.codes import CIRRUS, CLOUD, HAZE, SHADOW
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.products import product_at
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT

GROUND = on_grid()
SIZE = GROUND.x.shape


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """The metadata of a product of level 2A, in a folder that a user has renamed."""
    return write_enmap(tmp_path / "summer 2022", GROUND)


def _member(metadata: Path, what: str) -> Path:
    return metadata.with_name(metadata.name.replace("METADATA.XML", what))


def _nm(scene: Scene) -> npt.NDArray[np.float64]:
    assert scene.wavelengths_nm is not None
    return scene.wavelengths_nm


def _mark(metadata: Path, what: str, value: int, rows: slice, cols: slice) -> None:
    """Put a value into a layer of one plane."""
    with rasterio.open(_member(metadata, what), "r+") as raster:
        plane = raster.read(1)
        plane[rows, cols] = value
        raster.write(plane, 1)


def test_bands_numbers_and_place(product: Path) -> None:
    nm, _ = merged()
    with open_scene(product) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (*SIZE, len(nm))
        assert scene.format == "EnMAP L2A"
        assert scene.path.name == f"{NAME.format(level='L2A')}-SPECTRAL_IMAGE.TIF"
        np.testing.assert_allclose(_nm(scene), nm)
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.fwhm_nm, 8.5)
        assert _nm(scene)[~scene.good].tolist() == [EMPTY]
        assert scene.nodata == -32768
        assert scene.units is not None
        assert (scene.units.kind, scene.units.scale[3]) == ("reflectance", 1e-4)
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2022-07-24T10:45:31.123456+00:00"
        assert scene.valid(scene.read()).all()
        assert any("overlap from 903.0 to 993.0 nm" in note for note in scene.notes)


def test_whose_bands_count_where_both_detectors_see(product: Path) -> None:
    nm, owner = merged()
    twice = (nm >= SWIR[0]) & (nm <= VNIR[-1])
    for i, detector in enumerate(("vnir", "swir")):
        with open_scene(product, overlap=detector) as scene:  # type: ignore[arg-type]
            np.testing.assert_array_equal(scene.good, (~twice | (owner == i)) & (nm != EMPTY))


@pytest.mark.parametrize(
    "what", ["METADATA.XML", "SPECTRAL_IMAGE.TIF", "QL_PIXELMASK.TIF", "QL_QUALITY_HAZE.TIF"]
)
def test_any_member_stands_for_the_product(product: Path, what: str) -> None:
    found = product_at(_member(product, what))
    assert found is not None
    assert found.main == _member(product, "SPECTRAL_IMAGE.TIF")


def test_metadata_in_other_letters_are_those_of_their_image(product: Path) -> None:
    metadata = _member(product, "METADATA.XML")
    metadata.rename(metadata.with_name(metadata.name.lower()))
    with open_scene(product if product.is_dir() else product.parent) as scene:
        assert scene.format == "EnMAP L2A"


@pytest.mark.parametrize("name", ["", "north slope"])
def test_members_without_their_beginning_are_known_by_the_metadata(
    tmp_path: Path, name: str
) -> None:
    metadata = write_enmap(tmp_path / "there", GROUND, name=name)
    with open_scene(metadata.parent) as scene:
        assert scene.format == "EnMAP L2A"
    (tmp_path / "there" / "README.txt").write_text("nothing")
    (tmp_path / "METADATA.XML").write_text("<level_X><specific/></level_X>")
    (tmp_path / "SPECTRAL_IMAGE.TIF").write_bytes(b"nothing")
    assert product_at(tmp_path / "METADATA.XML") is None


@pytest.mark.parametrize(
    ("suffix", "driver"), [(".BSQ", "ENVI"), ("_COG.TIF", "GTiff"), (".tiff", "GTiff")]
)
def test_images_of_other_formats(tmp_path: Path, suffix: str, driver: str) -> None:
    metadata = write_enmap(tmp_path / "p", GROUND, suffix=suffix, driver=driver)
    with open_scene(metadata) as scene:
        assert scene.path.name.endswith(f"SPECTRAL_IMAGE{suffix}")
        assert scene.bands == len(merged()[0])
        assert scene.nodata == -32768
        assert scene.valid(scene.read()).all()
    plain = write_enmap(tmp_path / "q", GROUND)
    with open_scene(plain) as one, open_scene(metadata) as other:
        np.testing.assert_array_equal(one.read(), other.read())


def test_layers_are_told_and_classes_of_mask(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for what, value, rows in (
        ("CLOUD", 1, slice(0, 4)), ("CLOUDSHADOW", 1, slice(4, 6)), ("HAZE", 1, slice(6, 9)),
        ("CIRRUS", 2, slice(9, 12)), ("SNOW", 1, slice(14, 16)), ("CIRRUS", 255, slice(20, 22)),
    ):  # fmt: skip
        _mark(product, f"QL_QUALITY_{what}.TIF", value, rows, slice(5, 20))
    _mark(product, "QL_QUALITY_CLASSES.TIF", 2, slice(30, 33), slice(0, 9))
    known = json.loads(run("info", product, "--json"))
    assert list(known["layers"]) == ["cloud", "cloud shadow", "haze", "cirrus", "snow", "water"]
    assert known["layers"]["cirrus"] == "QL_QUALITY_CIRRUS"
    told = json.loads(run("mask", product, "--json"))
    assert "as the product's own QL_QUALITY_CLOUDSHADOW" in told["decided"]
    with rasterio.open(told["mask"]) as raster:
        mask = raster.read(1)[:, 5:20]
    for code, top, end in ((CLOUD, 0, 4), (SHADOW, 4, 6), (HAZE, 6, 9), (CIRRUS, 9, 12)):
        assert (mask[top:end] == code).all()
    assert not np.isin(mask[12:], (CLOUD, HAZE, CIRRUS)).any()


def test_what_quality_leaves_out(product: Path) -> None:
    _mark(product, "QL_QUALITY_CLASSES.TIF", 3, slice(0, 2), slice(0, 48))
    hidden = {}
    for i, (what, value) in enumerate(
        (
            ("CLOUD", 1), ("CLOUDSHADOW", 1), ("HAZE", 1), ("CIRRUS", 3),
            ("TESTFLAGS", 2), ("TESTFLAGS", 16), ("TESTFLAGS", 128),
            ("SNOW", 1), ("TESTFLAGS", 1), ("TESTFLAGS", 255), ("TESTFLAGS", 4),
        )
    ):  # fmt: skip
        hidden[what, value] = (10 + i, 3)
        _mark(product, f"QL_QUALITY_{what}.TIF", value, slice(10 + i, 11 + i), slice(3, 4))
    with open_scene(product) as scene:
        seen = scene.valid(scene.read())
        assert not seen[:2].any()
        assert seen[2:].all()
        assert scene.origins.mask is not None
        assert scene.origins.mask.where == "the background of QL_QUALITY_CLASSES"
    with open_scene(product, quality="strict") as scene:
        seen = scene.valid(scene.read())
        assert not seen[:2].any()
        assert (~seen[2:]).sum() == 7
        assert not any(seen[place] for place in list(hidden.values())[:7])
        assert "QL_QUALITY_HAZE" in str(scene.origins.mask)
        assert "(--quality strict)" in str(scene.origins.mask)


def test_defective_pixels_in_bands_that_are_used(product: Path) -> None:
    nm, _ = merged()
    path = _member(product, "QL_PIXELMASK.TIF")
    planes = np.zeros((len(nm), *SIZE), np.uint8)
    planes[4, 7, 8] = 1
    planes[9] = 1  # a defective band says nothing of pixels
    planes[nm == EMPTY, 3, 3] = 1  # nor does one that is not used
    write_plane(path, planes)
    with open_scene(product) as scene:
        assert scene.valid(scene.read()).all()
    with open_scene(product, quality="strict") as scene:
        assert np.argwhere(~scene.valid(scene.read())).tolist() == [[7, 8]]
        assert any("marks 0.1 % of pixels" in note for note in scene.notes)
    planes[4, :, ::2] = 1
    planes[5, :, 1:40:2] = 1
    write_plane(path, planes)
    with open_scene(product, quality="strict") as scene:
        assert scene.valid(scene.read()).all()
        assert any("too many to leave them out" in note for note in scene.notes)


def test_strict_says_which_layers_are_not_there(product: Path) -> None:
    _member(product, "QL_QUALITY_HAZE.TIF").unlink()
    with open_scene(product, quality="strict") as scene:
        assert any("no layer tells haze" in note for note in scene.notes)


def test_level_1b_is_a_detector_at_a_time_placed_by_its_coefficients(tmp_path: Path) -> None:
    ground = turned()
    metadata = write_enmap(tmp_path / "p", ground, level="L1B")
    with open_scene(tmp_path / "p") as scene:
        assert scene.format == "EnMAP L1B"
        np.testing.assert_allclose(_nm(scene), VNIR)
        assert scene.units is not None
        scale, offset = gains("L1B", len(VNIR))
        assert scene.units.kind == "radiance"
        np.testing.assert_allclose(scene.units.scale, scale)
        np.testing.assert_allclose(scene.units.offset, offset)
        assert any(f"{APART:.1f} rows and 0.0 columns apart" in note for note in scene.notes)
        assert any("as if all ground lay at 40 m" in note for note in scene.notes)
        located = scene.grid.geolocation
        assert located is not None
        x, y = rasterio.warp.transform(
            "EPSG:4326", "EPSG:32633", located.x.ravel(), located.y.ravel()
        )
        assert np.abs(np.reshape(x, SIZE) - ground.x).max() < 3
        assert np.abs(np.reshape(y, SIZE) - ground.y).max() < 3
    with open_scene(_member(metadata, "SPECTRAL_IMAGE_SWIR.TIF"), quality="strict") as scene:
        np.testing.assert_allclose(_nm(scene), SWIR)
        assert not scene.layers
        assert any("lie on VNIR's pixels" in note for note in scene.notes)
    with open_scene(metadata, variable="SWIR") as scene:
        np.testing.assert_allclose(_nm(scene), SWIR)


def test_metadata_without_coefficients_give_no_place(tmp_path: Path) -> None:
    metadata = write_enmap(tmp_path / "p", turned(), level="L1B")
    tree = ElementTree.parse(metadata)
    navigation = tree.find("product/navigation")
    assert navigation is not None
    navigation.clear()
    tree.write(metadata)
    with open_scene(metadata) as scene:
        assert not scene.grid.placed
        assert any("tell no place of pixels" in note for note in scene.notes)


def test_one_detector_of_a_cube_of_both_is_not_asked_for(product: Path) -> None:
    with pytest.raises(SceneError, match="leave --variable out"):
        open_scene(product, variable="VNIR")


def test_members_that_are_missing(product: Path) -> None:
    image = _member(product, "SPECTRAL_IMAGE.TIF")
    kept = image.rename(image.with_name("kept"))
    refused(["without its SPECTRAL_IMAGE", "SPECTRAL_IMAGE.TIF beside"], "info", product.parent)
    kept.rename(image)
    product.unlink()
    refused(["without its METADATA", "or rename the image"], "info", image)


def test_an_image_that_was_renamed_to_something_else(tmp_path: Path) -> None:
    metadata = write_enmap(tmp_path / "p", GROUND, name="")
    image = metadata.with_name("SPECTRAL_IMAGE.TIF")
    image.rename(metadata.with_name("scene.tif"))
    for named in (metadata, metadata.parent):
        refused(["part of the EnMAP product without its SPECTRAL_IMAGE"], "info", named)


def test_an_image_and_metadata_of_two_acquisitions(product: Path) -> None:
    image = _member(product, "SPECTRAL_IMAGE.TIF")
    other = image.rename(image.with_name(image.name.replace("T104526Z_008", "T104530Z_009")))
    for named in (product, other):
        refused(["members of two EnMAP acquisitions", "T104530Z_009"], "info", named)


def test_metadata_of_another_acquisition_under_the_name_of_this(product: Path) -> None:
    text = product.read_text()
    product.write_text(text.replace("T104526Z_008", "T104530Z_009"))
    refused(["says that it is of", "T104530Z_009", "expected the metadata of"], "info", product)


def test_a_layer_of_another_acquisition_is_not_taken(product: Path) -> None:
    haze = _member(product, "QL_QUALITY_HAZE.TIF")
    haze.rename(haze.with_name(haze.name.replace("T104526Z", "T104530Z")))
    refused(["members of two EnMAP acquisitions: QL_QUALITY_HAZE"], "info", product)


def test_a_folder_with_two_products_holds_two_scenes(product: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("enmap_files.NAME", NAME.replace("T104526Z_008", "T104530Z_009"))
        write_enmap(product.parent, GROUND)
    refused(
        ["holds 2 products, ENMAP01", "T104530Z_009", "give one of them"], "info", product.parent
    )
    with pytest.raises(SceneError, match="holds 2 products"):
        open_scene(product.parent)
    _, found = find(str(product.parent), None, SILENT)
    assert len(found) == 2


def test_what_contradicts_itself_is_refused(product: Path, tmp_path: Path) -> None:
    tree = ElementTree.parse(product)
    bands = tree.find("specific/bandCharacterisation")
    assert bands is not None
    bands.remove(bands[-1])
    tree.write(product)
    refused(["has 34 bands and", "tells of 33"], "info", product)
    product.write_bytes(product.read_bytes()[:900])
    refused(["cut short or broken XML"], "info", product)
    product.write_text('<!DOCTYPE a [<!ENTITY b "c">]><level_X>&b;</level_X>')
    refused(["cut short or broken XML"], "info", product)
    whole = write_enmap(tmp_path / "p", GROUND)
    write_plane(_member(whole, "QL_QUALITY_CLOUD.TIF"), np.zeros((30, 48), np.uint8))
    refused(["has 30 x 48 pixels and the product's image has 36 x 48"], "info", whole)


def test_lists_of_other_bands_than_there_are_tell_nothing(product: Path) -> None:
    """EnPT drops bands and keeps the lists of those that were there before."""
    tree = ElementTree.parse(product)
    listed = tree.find("specific/swirProductQuality/expectedChannelsList")
    assert listed is not None
    listed.text = f"{listed.text},35,36"
    tree.write(product)
    with open_scene(product) as scene:
        assert not any("overlap" in note for note in scene.notes)
    with pytest.raises(SceneError, match="leave --overlap out"):
        open_scene(product, overlap="vnir")


def test_what_others_made_of_a_member_stands_for_itself(product: Path) -> None:
    image = _member(product, "SPECTRAL_IMAGE.TIF")
    with rasterio.open(image) as raster:
        rasterio.shutil.copy(raster, image.with_suffix(".vrt"), driver="VRT")
    patch = image.with_name(image.name.replace("-SPECTRAL", "-Y01460273_X03110438-SPECTRAL"))
    patch.write_bytes(image.read_bytes())
    for path, kind in ((image.with_suffix(".vrt"), "VRT"), (patch, "GeoTIFF")):
        with open_scene(path) as scene:
            assert scene.format == kind


def test_a_cut_image_is_told(product: Path) -> None:
    image = _member(product, "SPECTRAL_IMAGE.TIF")
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    refused(["cut short or broken"], "mask", product)


def test_bands_that_are_not_sorted_are_sorted(product: Path) -> None:
    image = _member(product, "SPECTRAL_IMAGE.TIF")
    with open_scene(product) as scene:
        expected, good, nm = scene.read(), scene.good, _nm(scene)
    order = np.random.default_rng(3).permutation(len(good))
    write_plane(image, expected.transpose(2, 0, 1)[order], nodata=-32768)
    planes = np.zeros((len(order), *SIZE), np.uint8)
    planes[np.flatnonzero(order == 4)[0], 7, 8] = 1
    planes[order == np.flatnonzero(~good)[0], 9, 9] = 1
    write_plane(_member(product, "QL_PIXELMASK.TIF"), planes)
    tree = ElementTree.parse(product)
    for place in ("specific/bandCharacterisation", "product/bandStatistics"):
        parent = tree.find(place)
        assert parent is not None
        every = list(parent)
        for one in every:
            parent.remove(one)
        for number, i in enumerate(order):
            every[i].set("number", str(number + 1))
            parent.append(every[i])
    tree.write(product)
    with open_scene(product, quality="strict") as scene:
        np.testing.assert_allclose(_nm(scene), nm)
        np.testing.assert_array_equal(scene.good, good)
        found = scene.read()
        assert np.argwhere(~scene.valid(found)).tolist() == [[7, 8]]
        found[7, 8] = expected[7, 8]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_from_the_folder_to_the_map(tmp_path: Path, level: str) -> None:
    write_enmap(tmp_path / "p", GROUND, level=level)
    whole_way(tmp_path / "p", GROUND, tmp_path)


@pytest.mark.slow
def test_in_sensor_geometry_to_the_map(tmp_path: Path) -> None:
    ground = turned()
    metadata = write_enmap(tmp_path / "p", ground, level="L1B")
    model = taught(metadata, drawn_fields(ground, tmp_path / "drawn.gpkg"))
    run("classify", metadata, "--model", model, "-o", tmp_path / "map.tif", "-q")
    with rasterio.open(tmp_path / "map.tif") as raster:
        codes = raster.read(1)
        assert len(raster.gcps[0]) > 16
    assert (codes == ground.codes).mean() > 0.95
