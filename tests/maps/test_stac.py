"""Items are validated without a network: the core schemas are pystac's own, those of the extensions
projection 2.0.0, classification 2.0.0 and MLM 1.4.0 (with raster 1.1.0 and processing 1.1.0, which
it refers to) lie in `schemas/`. MLM refers to classification 1.1.0, which is not there: its classes
are validated by 2.0.0, which asks for more. PROJJSON is not used.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pystac
import pytest
import rasterio
import rasterio.control
from hearing import Hears
from pystac.errors import STACValidationError
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.mlm import MLMExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.transform import Affine
from rasterio.warp import transform

from hsi_ssl.errors import OutputError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.maps.classify import classify
from hsi_ssl.maps.stac import _classes
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings

WriteScene = Callable[..., Path]
Cube = npt.NDArray[np.uint16]
Wavelengths = npt.NDArray[np.float64]
SCHEMAS = Path(__file__).parent / "schemas"
SITE = "https://stac-extensions.github.io"


@pytest.fixture
def validator(monkeypatch: pytest.MonkeyPatch) -> JsonSchemaSTACValidator:
    """pystac's validator with the schemas at hand; it may fetch none."""
    found = JsonSchemaSTACValidator()
    for path in SCHEMAS.glob("*.json"):
        name, version = path.stem.rsplit("-", 1)
        found.schema_cache[f"{SITE}/{name}/{version}/schema.json"] = json.loads(path.read_text())
    newest = found.schema_cache[f"{SITE}/classification/v2.0.0/schema.json"]
    older = f"{SITE}/classification/v1.1.0/schema.json"
    found.schema_cache[older] = {**newest, "$id": older}

    def refuse(self: object, source: object, *args: object, **kwargs: object) -> str:
        raise AssertionError(f"a schema was to be fetched: {source}")

    monkeypatch.setattr(type(pystac.StacIO.default()), "read_text", refuse)
    return found


def validated(path: Path, validator: JsonSchemaSTACValidator) -> dict[str, Any]:
    """The item, once core and every extension that it declares have validated it."""
    item: dict[str, Any] = json.loads(path.read_text())
    names = [url.split("/")[3] for url in item["stac_extensions"]]
    assert sorted(names) == ["classification", "mlm", "projection"]
    checked = validator.validate(
        item, pystac.STACObjectType.ITEM, item["stac_version"], item["stac_extensions"]
    )
    assert len(checked) == 4
    return item


@pytest.fixture
def mapped(
    tiny_run: Path, cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene, tmp_path: Path
) -> Callable[..., Path]:
    """Map a scene with an item; gives the item."""

    def make(output: str = "maps/m.tif", scene: Path | None = None, **more: Any) -> Path:
        scene = scene or write_scene(cube, wavelengths)
        settings = ClassifySettings(
            scenes=(str(scene),), model=tiny_run, output=tmp_path / output, device="cpu", stac=True,
            **more,
        )  # fmt: skip
        classify(settings, overwrite=True)
        return (tmp_path / output).with_suffix(".json")

    return make


def test_the_item_is_valid_and_says_what_the_files_say(
    mapped: Callable[..., Path], validator: JsonSchemaSTACValidator, tiny_run: Path
) -> None:
    path = mapped(confidence=True, probabilities=True, reject=0.01)
    plain = validated(path, validator)
    for asset in plain["assets"].values():
        assert (path.parent / asset["href"]).is_file(), asset["href"]
    item = pystac.Item.from_dict(plain)
    raster = rasterio.open(path.with_suffix(".tif"))
    projection = ProjectionExtension.ext(item)
    assert projection.code == "EPSG:32719"
    assert projection.transform == list(raster.transform)[:6]
    assert projection.shape == [40, 30]
    # The corners, on the ground, as the footprint has them.
    ring = np.array(item.geometry["coordinates"][0])  # type: ignore[index]
    corners = [raster.transform @ at for at in ((0, 0), (0, 40), (30, 40), (30, 0))]
    lon, lat = transform(raster.crs, "EPSG:4326", *np.array(corners).T)
    for corner in zip(lon, lat, strict=True):
        assert np.abs(ring - corner).max(axis=1).min() < 1e-6
    (x, y) = ring.T
    assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0  # anticlockwise, as GeoJSON asks
    assert item.bbox == [x.min(), y.min(), x.max(), y.max()]
    codes, counts = np.unique(raster.read(1), return_counts=True)
    classes = ClassificationExtension.ext(item.assets["map"]).classes or []
    assert [(c.value, c.title, c.color_hint) for c in classes][1:4] == [
        (2, "quartz", "AAAAAA"), (7, "kaolinite", "DD8844"), (32, "white mica", "3366AA")
    ]  # fmt: skip
    assert [c.name for c in classes] == [
        "not-classified", "quartz", "kaolinite", "white-mica", "reject"
    ]  # fmt: skip
    found = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    assert {c.value: c.count for c in classes if c.count} == found
    bands = plain["assets"]["probabilities"]["bands"]
    assert [b["name"] for b in bands] == ["quartz", "kaolinite", "white mica"]
    assert bands[0] == {"name": "quartz", "data_type": "float32", "nodata": "nan", "unit": "1"}
    assert plain["assets"]["map"]["bands"][0]["nodata"] == 0
    model = MLMExtension.ext(item)
    card = json.loads((tiny_run / "model.json").read_text())
    assert model.architecture == "M1+M2"
    assert model.framework_version == card["torch"]
    assert [c.value for c in model.output[0].classes or []] == [2, 7, 32]
    assert model.input[0].input.shape == [-1, 12]
    assert (path.parent / plain["assets"]["model"]["href"]).resolve() == (
        tiny_run / "model.safetensors"
    ).resolve()
    assert plain["links"][0]["rel"] == "derived_from"
    assert (path.parent / plain["links"][0]["href"]).resolve().name == "scene.tif"


def test_the_schemas_can_refuse(
    mapped: Callable[..., Path], validator: JsonSchemaSTACValidator
) -> None:
    path = mapped()
    good = json.loads(path.read_text())
    for *place, lost in (
        ("properties", "mlm:output"),
        ("properties", "datetime"),
        ("geometry",),
        ("assets", "map", "href"),
        ("assets", "map", "classification:classes", 0, "name"),
        ("assets", "model", "mlm:artifact_type"),
        ("properties", "mlm:output", 0, "classification:classes", 0, "value"),
        ("properties", "proj:shape", 1),
    ):
        item = json.loads(json.dumps(good))
        part = item
        for key in place:
            part = part[key]
        del part[lost]
        path.write_text(json.dumps(item))
        with pytest.raises(STACValidationError):
            validated(path, validator)


@pytest.mark.parametrize("output", ["m.img", "m.tif"])
def test_a_scene_that_lies_nowhere(
    mapped: Callable[..., Path], validator: JsonSchemaSTACValidator, cube: Cube,
    wavelengths: Wavelengths, write_scene: WriteScene, output: str,
) -> None:  # fmt: skip
    scene = write_scene(cube, wavelengths, crs=None, transform=Affine.identity())
    item = validated(mapped(output, scene), validator)
    assert item["geometry"] is None
    assert "bbox" not in item
    assert "proj:transform" not in item["properties"]


def test_control_points_place_the_footprint(
    mapped: Callable[..., Path], validator: JsonSchemaSTACValidator, cube: Cube,
    wavelengths: Wavelengths, write_scene: WriteScene,
) -> None:  # fmt: skip
    points = [
        rasterio.control.GroundControlPoint(r, c, 3e5 + 20 * c, 7.4e6 - 20 * r, 0)
        for r, c in ((0, 0), (0, 30), (40, 0), (40, 30), (20, 15))
    ]
    scene = write_scene(cube, wavelengths, transform=None, gcps=points)
    item = validated(mapped(scene=scene), validator)
    lon, lat = transform("EPSG:32719", "EPSG:4326", [3e5], [7.4e6])
    ring = np.array(item["geometry"]["coordinates"][0])
    assert np.abs(ring - [lon[0], lat[0]]).max(axis=1).min() < 1e-5
    assert item["properties"]["proj:code"] == "EPSG:32719"


def test_when_the_scene_was_taken(
    mapped: Callable[..., Path], cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene,
    tiny_run: Path, tmp_path: Path, hears: Hears
) -> None:  # fmt: skip
    scene = write_scene(cube, wavelengths)
    settings = ClassifySettings(
        scenes=(str(scene),), model=tiny_run, output=tmp_path / "m.tif", stac=True
    )
    classify(settings, watcher=hears)
    assert any("m.json carries the time of classification" in said for said in hears.said)
    told = json.loads((tmp_path / "m.json").read_text())["properties"]
    assert told["datetime"] == told["created"]
    with rasterio.open(scene, "r+") as raster:
        raster.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2022-07-24T10:30:02Z")
    with open_scene(scene) as opened:
        assert opened.acquired == datetime(2022, 7, 24, 10, 30, 2, tzinfo=UTC)
    item = json.loads(mapped(scene=scene).read_text())
    assert item["properties"]["datetime"] == "2022-07-24T10:30:02Z"


def test_names_become_names_that_machines_take() -> None:
    classes = (
        LabelClass(3, "Weißer Glimmer (Illit)", "#010203"),
        LabelClass(4, "белая слюда", "#010203"),
        LabelClass(5, "weier glimmer illit", "#010203"),
        LabelClass(6, "Weier Glimmer Illit", "#010203"),
    )
    found = _classes(LabelSet("x", classes))
    assert [c.name for c in found] == [
        "Weier-Glimmer-Illit", "class-4", "weier-glimmer-illit", "class-6"
    ]  # fmt: skip
    assert [c.title for c in found] == [c.name for c in classes]


def test_items_are_kept_and_go_with_their_maps(
    mapped: Callable[..., Path], tiny_run: Path, tmp_path: Path
) -> None:
    path = mapped("m.tif")
    before = path.read_text()
    again = ClassifySettings(
        scenes=(str(tmp_path / "scene.tif"),), model=tiny_run, output=tmp_path / "m.tif"
    )
    for file in tmp_path.glob("m.*"):
        if file != path:
            file.unlink()
    with pytest.raises(OutputError, match=r"m\.json exists already"):
        classify(again.model_copy(update={"stac": True}))
    assert path.read_text() == before
    classify(again, overwrite=True)  # without an item: the old one is of a map that is gone
    assert not path.exists()
    path.write_text('{"mine": 1}')
    classify(again, overwrite=True)
    assert path.read_text() == '{"mine": 1}'
