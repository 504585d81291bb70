from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import Affine

from hsi_ssl.errors import OutputError, SceneError, ScenesError
from hsi_ssl.labels.finding import find
from hsi_ssl.labels.legends import CLASSES_TAG, tagged_names
from hsi_ssl.maps.classify import classify
from hsi_ssl.settings import ClassifySettings
from hsi_ssl.watcher import SILENT

WriteScene = Callable[..., Path]
NORTH_UP = Affine(20.0, 0.0, 300_000.0, 0.0, -20.0, 7_400_000.0)


@pytest.fixture
def scenes(
    cube: npt.NDArray[np.uint16], wavelengths: npt.NDArray[np.float64], write_scene: WriteScene
) -> tuple[str, str]:
    """Two scenes of 40 x 30 pixels; the second lies 25 columns right, 10 rows down of the first.

    Where they overlap, the second's first row has no data.
    """
    gap = cube[:, ::-1].copy()
    gap[0] = 0
    one = write_scene(cube, wavelengths, name="one.tif", transform=NORTH_UP)
    moved = Affine(20.0, 0.0, 300_500.0, 0.0, -20.0, 7_399_800.0)
    two = write_scene(gap, wavelengths, name="two.tif", transform=moved)
    return str(one), str(two)


def asked(run: Path, scenes: tuple[str, ...], output: Path, **more: Any) -> ClassifySettings:
    return ClassifySettings(scenes=scenes, model=run, device="cpu", output=output, **more)


def test_a_mosaic_shows_all_maps_in_place(
    tiny_run: Path, scenes: tuple[str, str], tmp_path: Path
) -> None:
    vrt = tmp_path / "out" / "all.vrt"
    results = classify(asked(tiny_run, scenes, vrt, confidence=True, probabilities=True))
    assert [r.mosaic for r in results] == [vrt, vrt]
    assert {p.name for p in vrt.parent.iterdir()} == {
        "all", "all.vrt", "all.qml", "all.csv", "all.png", "all.record.json",
        "all_confidence.vrt", "all_probabilities.vrt",
    }  # fmt: skip
    plane: dict[str, Any] = {}
    for name, result in zip(("one", "two"), results, strict=True):
        assert result.map == vrt.parent / "all" / f"{name}_classes.tif"
        with rasterio.open(result.map) as raster:
            plane[name] = raster.read(1)
            palette = raster.colormap(1)
    expected = np.zeros((50, 55), np.uint8)
    expected[:40, :30] = plane["one"]
    below = expected[10:, 25:]
    expected[10:, 25:] = np.where(plane["two"], plane["two"], below)
    with rasterio.open(vrt) as raster:
        np.testing.assert_array_equal(raster.read(1), expected)
        assert raster.transform == NORTH_UP
        assert raster.crs.to_epsg() == 32719
        assert raster.nodata == 0
        assert [raster.colormap(1)[c] for c in (2, 7, 32)] == [palette[c] for c in (2, 7, 32)]
        assert tagged_names(raster.tags()[CLASSES_TAG])[7] == "kaolinite"
        assert (raster.read(1, out_shape=(25, 28)) > 0).any()
    band = ET.parse(vrt).getroot().find("VRTRasterBand")
    assert band is not None
    names = [c.text or "" for c in band.iter("Category")]
    assert (names[0], names[32]) == ("not classified", "white mica")
    counted = {int(r[0].text or ""): int(r[5].text or "") for r in band.iter("Row")}
    assert counted == {c: np.count_nonzero(expected == c) for c in (2, 7, 32)}
    assert sum(counted.values()) < sum(r.classified for r in results)  # they overlap
    legend = vrt.with_suffix(".csv").read_text().splitlines()
    assert legend[1] == f"0,not classified,,{np.count_nonzero(expected == 0)}"
    with rasterio.open(vrt.with_name("all_probabilities.vrt")) as raster:
        assert raster.descriptions == ("quartz", "kaolinite", "white mica")
        values = raster.read()
        assert np.isnan(values[:, 45:, 0]).all()
        assert np.isfinite(values[:, :10, :30]).all()
    with rasterio.open(vrt.with_name("all_confidence.vrt")) as raster:
        assert raster.units == ("1",)
    # Its folder may be searched for cubes: it is none.
    (vrt.parent / "scene.tif").touch()
    assert [f.cube.name for f in find(str(vrt.parent), None, SILENT)[1]] == ["scene.tif"]
    # It may be moved together with its maps.
    shutil.move(vrt.parent, tmp_path / "elsewhere")
    with rasterio.open(tmp_path / "elsewhere" / "all.vrt") as raster:
        np.testing.assert_array_equal(raster.read(1), expected)


def test_coarser_scenes_fit_in(
    tiny_run: Path, scenes: tuple[str, str], cube: Any, wavelengths: Any, write_scene: WriteScene,
    tmp_path: Path,
) -> None:  # fmt: skip
    coarse = Affine(40.0, 0.0, 300_600.0, 0.0, -40.0, 7_400_000.0)
    three = write_scene(cube, wavelengths, name="three.tif", transform=coarse)
    vrt = tmp_path / "all.vrt"
    one, large = classify(asked(tiny_run, (scenes[0], str(three)), vrt))
    with rasterio.open(vrt) as raster, rasterio.open(large.map) as part:
        assert raster.shape == (80, 90)
        np.testing.assert_array_equal(
            raster.read(1)[:, 30:], part.read(1).repeat(2, axis=0).repeat(2, axis=1)
        )
    assert one.map.exists()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"crs": "EPSG:32718"}, r"in EPSG:32719 and .*z\.tif in EPSG:32718: a mosaic has one"),
        ({"crs": None}, r"in EPSG:32719 and .*z\.tif in no CRS"),
        ({"transform": Affine(20, 5, 0, 5, -20, 0)}, r"z\.tif lies at an angle"),
        ({"transform": Affine.identity()}, r"z\.tif has no coordinates"),
    ],
)
def test_scenes_that_no_vrt_can_hold_are_refused(
    tiny_run: Path, scenes: tuple[str, str], cube: Any, wavelengths: Any, write_scene: WriteScene,
    tmp_path: Path, changed: dict[str, Any], sentence: str,
) -> None:  # fmt: skip
    odd = write_scene(cube, wavelengths, name="z.tif", **{"transform": NORTH_UP, **changed})
    before = set(tmp_path.rglob("*"))
    with pytest.raises(SceneError, match=sentence):
        classify(asked(tiny_run, (*scenes, str(odd)), tmp_path / "all.vrt"))
    assert set(tmp_path.rglob("*")) == before


def test_what_exists_is_not_replaced_unasked(
    tiny_run: Path, scenes: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "all.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"all\.csv exists already"):
        classify(asked(tiny_run, scenes, tmp_path / "all.vrt"))
    assert not (tmp_path / "all").exists()
    classify(asked(tiny_run, scenes, tmp_path / "all.vrt"), overwrite=True)
    assert (tmp_path / "all.csv").read_text().startswith("code,name")


def test_a_mosaic_does_not_replace_what_it_is_made_of(
    tiny_run: Path, scenes: tuple[str, str], tmp_path: Path
) -> None:
    view = tmp_path / "view.vrt"
    rasterio.shutil.copy(scenes[0], view, driver="VRT")
    before = view.read_bytes()
    with pytest.raises(OutputError, match=r"would replace .*view\.vrt, which it is made of"):
        classify(asked(tiny_run, (str(view), scenes[1]), view), overwrite=True)
    assert view.read_bytes() == before


def test_maps_may_lie_on_another_disk(
    tiny_run: Path, scenes: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "all").symlink_to(tmp_path / "disk")
    classify(asked(tiny_run, scenes, tmp_path / "out" / "all.vrt"))
    assert (tmp_path / "disk" / "one_classes.tif").exists()
    with rasterio.open(tmp_path / "out" / "all.vrt") as raster:
        assert raster.read(1).any()


def test_only_our_mosaics_are_no_scenes(scenes: tuple[str, str], tmp_path: Path) -> None:
    view, part = tmp_path / "mine" / "view.vrt", tmp_path / "mine" / "hsi-ssl" / "one.tif"
    part.parent.mkdir(parents=True)
    shutil.copy(scenes[0], part)
    rasterio.shutil.copy(part, view, driver="VRT")
    assert "hsi-ssl/one.tif" in view.read_text()
    assert [one.cube for one in find(str(view.parent), None, SILENT)[1]] == [view]


@pytest.mark.parametrize("broken", ["one", "two"])
def test_an_older_mosaic_does_not_show_newer_maps(
    tiny_run: Path, scenes: tuple[str, str], tmp_path: Path, broken: str
) -> None:
    vrt = tmp_path / "out" / "all.vrt"
    classify(asked(tiny_run, scenes, vrt, confidence=True))
    with Path(scenes[broken == "two"]).open("r+b") as file:
        file.truncate(3000)
    with pytest.raises(ScenesError, match="cut short or broken"):
        classify(asked(tiny_run, scenes, vrt), overwrite=True)
    assert not [p for p in vrt.parent.iterdir() if p.is_file()]


def test_layers_that_a_newer_mosaic_lacks_go(
    tiny_run: Path, scenes: tuple[str, str], tmp_path: Path
) -> None:
    vrt = tmp_path / "all.vrt"
    classify(asked(tiny_run, scenes, vrt, confidence=True))
    classify(asked(tiny_run, scenes, vrt), overwrite=True)
    assert vrt.exists()
    assert not (tmp_path / "all_confidence.vrt").exists()
