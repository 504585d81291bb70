"""Maps of scenes in sensor geometry on their map grid, through the lookup table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import shapely
from delivered import agreement, drawn_fields, refused, run, taught, turned
from emit_files import write_emit
from lookup_tables import Glt, lookup_table
from lookup_tables import places as lookup_places

from hsi_ssl.errors import SceneError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.maps import map_grid
from hsi_ssl.maps.class_map import class_map
from hsi_ssl.scenes.lookup import Table, ortho_of
from hsi_ssl.scenes.ortho import Ortho
from hsi_ssl.scenes.scene import Grid
from hsi_ssl.view.shown import shown

GROUND = turned(40, 50, 15.0)
CELL = 0.00015
CLASSES = LabelSet("ground", tuple(LabelClass(k, f"class {k}", "#123456") for k in (1, 2, 3)))


def ortho_and_table() -> tuple[Ortho, Glt]:
    glt = lookup_table(GROUND, 15.0)
    rows, cols = glt.line.shape
    table = Table(
        Path("glt"), "a table", rows, cols, lambda r, c: (glt.line[r, c], glt.sample[r, c])
    )
    c, a, b, f, d, e = glt.geotransform
    crs = rasterio.CRS.from_string(glt.crs).to_wkt()
    return ortho_of(table, Grid(crs, (a, b, c, d, e, f)), GROUND.x.shape)[0], glt


def through(plane: np.ndarray, glt: Glt, nothing: float) -> np.ndarray:
    """What a map of a plane should hold."""
    shown = glt.line > 0
    found = np.full((*glt.line.shape, *plane.shape[2:]), nothing, plane.dtype)
    found[shown] = plane[glt.line[shown] - 1, glt.sample[shown] - 1]
    return found


@pytest.mark.parametrize("name", ["map.tif", "map.img"])
@pytest.mark.parametrize("together", [map_grid.MOST_VALUES, 1])
def test_map_and_layers(
    tmp_path: Path, name: str, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several squares and bands at a time; every cell has what its pixel has."""
    monkeypatch.setattr(map_grid, "SIDE", 16)
    monkeypatch.setattr(map_grid, "MOST_VALUES", together)
    ortho, glt = ortho_and_table()
    rows, cols = GROUND.x.shape
    indices = GROUND.codes.astype(np.int64) - 1
    indices[3:9, 4:30] = -1
    p = np.random.default_rng(1).random((rows, cols, 3), np.float32)
    path = tmp_path / name
    with class_map(
        path, rows=rows, cols=cols, grid=Grid(), ortho=ortho, label_set=CLASSES,
        layers=("confidence", "probabilities"), tags={"SCENE": "scene"},
    ) as written:  # fmt: skip
        layers = {"confidence": p[..., 0], "probabilities": p}
        written.write(slice(0, rows), slice(0, cols), indices, layers)  # type: ignore[arg-type]
    codes = through((indices + 1).astype(np.uint8), glt, 0)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), codes)
        assert tuple(raster.transform)[:6] == pytest.approx(ortho.grid.transform)
        assert raster.crs == rasterio.CRS.from_wkt(ortho.grid.crs)
        assert raster.colormap(1)[2][:3] == (0x12, 0x34, 0x56)
        assert raster.nodata == 0
        assert raster.tags()["SCENE"] == "scene"
    with rasterio.open(path.with_stem("map_probabilities")) as raster:
        found = np.moveaxis(raster.read(), 0, -1)
        np.testing.assert_array_equal(found, through(p, glt, np.nan))
        assert raster.descriptions == ("class 1", "class 2", "class 3")
        assert raster.units == ("1",) * 3
        assert raster.tags(2)["CODE"] == "2"
    assert written.cells == {int(k): int(n) for k, n in enumerate(np.bincount(codes.ravel()))}
    assert written.counts[0] == 6 * 26
    legend = path.with_suffix(".csv").read_text().splitlines()
    assert legend[1].startswith(f"0,not classified,,{written.cells[0]}")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A granule of EMIT and a model of its classes."""
    folder = tmp_path_factory.mktemp("granule")
    scene = write_emit(folder, GROUND, cell=CELL)
    return scene, taught(scene, drawn_fields(GROUND, folder / "drawn.gpkg"))


def placed_as(scene: Path) -> tuple[int, int, rasterio.Affine]:
    """Rows, columns and transform of the map grid that `info` tells."""
    told = json.loads(run("info", scene, "--json"))["ortho"]
    return told["rows"], told["cols"], rasterio.Affine(*told["transform"])


def on_map_grid(path: Path, scene: Path) -> np.ndarray:
    """Bands of a raster, which lies on the map grid of a scene."""
    rows, cols, transform = placed_as(scene)
    with rasterio.open(path) as raster:
        assert (raster.height, raster.width) == (rows, cols)
        assert raster.transform.almost_equals(transform)
        assert raster.crs.to_epsg() == 4326
        found: np.ndarray = raster.read()
    return found


@pytest.mark.slow
def test_commands_that_map(known: tuple[Path, Path], tmp_path: Path) -> None:
    scene, model = known
    shown = lookup_table(GROUND, CELL, "EPSG:4326").line > 0
    told = json.loads(
        run(
            "classify", scene, "--model", model, "-o", tmp_path / "map.tif", "--confidence",
            "--stac", "--json",
        )
    )  # fmt: skip
    codes = on_map_grid(tmp_path / "map.tif", scene)[0]
    assert ((codes > 0) == shown).all()
    assert told["pixels"] == GROUND.x.size
    assert sum(told["counts"].values()) == GROUND.x.size
    assert told["cells"] == {str(k): int(n) for k, n in enumerate(np.bincount(codes.ravel()))}
    assert (np.isfinite(on_map_grid(tmp_path / "map_confidence.tif", scene)[0]) == shown).all()
    item = json.loads((tmp_path / "map.json").read_text())
    assert item["properties"]["proj:shape"] == list(codes.shape)
    assert [one["count"] for one in item["assets"]["map"]["classification:classes"]] == list(
        told["cells"].values()
    )
    run(
        "quantise", scene, "--method", "som", "--rows", 2, "--cols", 2, "-o", tmp_path / "run", "-q"
    )
    units = on_map_grid(next((tmp_path / "run").glob("*_units.tif")), scene)[0]
    assert ((units > 0) == shown).all()
    run("train-m1", model.parent / "drawn.h5", "--epochs", 1, "-o", tmp_path / "m1", "-q")
    run("features", scene, "--m1", tmp_path / "m1", "-o", tmp_path / "features.tif", "-q")
    assert (np.isfinite(on_map_grid(tmp_path / "features.tif", scene)) == shown).all()
    run("mask", scene, "-o", tmp_path / "mask.tif", "-q")
    assert ((on_map_grid(tmp_path / "mask.tif", scene)[0] > 0) == shown).all()


@pytest.mark.slow
def test_a_mask_on_the_map_grid_is_laid_back(known: tuple[Path, Path], tmp_path: Path) -> None:
    """Pixels whose cells the mask does not mark are left out, and no others."""
    scene, model = known
    glt = lookup_table(GROUND, CELL, "EPSG:4326")
    half = np.zeros(GROUND.x.shape, np.uint8)
    half[:, :20] = 1
    mask = tmp_path / "half.tif"
    c, a, b, f, d, e = glt.geotransform
    with rasterio.open(
        mask, "w", driver="GTiff", height=glt.line.shape[0], width=glt.line.shape[1], count=1,
        dtype="uint8", crs=glt.crs, transform=rasterio.Affine(a, b, c, d, e, f),
    ) as raster:  # fmt: skip
        raster.write(through(half, glt, 0), 1)
    run("classify", scene, "--model", model, "-o", tmp_path / "map.tif", "--mask", mask, "-q")
    with rasterio.open(tmp_path / "map.tif") as raster:
        got = raster.read(1) > 0
    assert (got == (through(half, glt, 0) > 0)).mean() > 0.97
    assert agreement(tmp_path / "map.tif") > 0.95


@pytest.mark.slow
def test_mosaic_of_granules(known: tuple[Path, Path], tmp_path: Path) -> None:
    scene, model = known
    other = turned(40, 50, 15.0)
    other = type(other)(other.x + 720, other.y)
    folder = tmp_path / "other"
    folder.mkdir()
    second = write_emit(
        folder, other, cell=CELL, name="EMIT_L2A_{}_001_20220815T042850_2222703_004.nc"
    )
    run("classify", scene, second, "--model", model, "-o", tmp_path / "all.vrt", "-q")
    assert agreement(tmp_path / "all.vrt") > 0.95
    with rasterio.open(tmp_path / "all.vrt") as raster:
        found = raster.read(1) > 0
    assert found[:, :40].any()
    assert found[:, -40:].any()


@pytest.mark.slow
def test_a_map_is_judged_where_it_lies(known: tuple[Path, Path], tmp_path: Path) -> None:
    """The dataset's scene is opened again, whose file alone says where its pixels lie."""
    scene, model = known
    dataset = model.parent / "drawn.h5"
    run("classify", scene, "--model", model, "-o", tmp_path / "map.tif", "-q")
    asked = ("evaluate", model, dataset, "--map", tmp_path / "map.tif", "--json")
    told = json.loads(run(*asked, "--report", tmp_path / "report"))
    (judged,) = told["areas"]
    assert judged["accuracy"]["oa"] > 0.95
    assert judged["n"] == told["n"]
    hidden = scene.rename(scene.with_suffix(".gone"))
    try:
        refused(["is in sensor geometry", "put it back"], *asked, "--report", tmp_path / "second")
    finally:
        hidden.rename(scene)


@pytest.mark.slow
def test_a_map_is_seen_on_the_scene(known: tuple[Path, Path], tmp_path: Path) -> None:
    scene, model = known
    path = tmp_path / "map.tif"
    run("classify", scene, "--model", model, "-o", path, "--confidence", "-q")
    with shown([path]) as found:
        (one,) = found.scenes
        assert one.map is not None
        plane = one.map.read()[..., 0]
        assert plane.shape == GROUND.x.shape
        seen = plane > 0
        assert seen.mean() > 0.9  # some pixels are in no cell
        assert (plane == GROUND.codes)[seen].mean() > 0.95
        assert one.counts == {int(k): int(n) for k, n in enumerate(np.bincount(plane.ravel()))}
        (confidence,) = one.measures
        assert (np.isfinite(confidence[1].read()[..., 0]) == seen).all()
    away = tmp_path / "away.tif"
    with rasterio.open(path) as raster:
        rasterio.shutil.copy(raster, away, driver="GTiff")
    with rasterio.open(away, "r+") as raster:
        raster.transform = raster.transform @ rasterio.Affine.translation(3, 0)
    with pytest.raises(SceneError, match="another scene"):
        shown([away], scene=scene)


@pytest.mark.slow
def test_suggestions_and_groups_lie_on_the_ground(known: tuple[Path, Path], tmp_path: Path) -> None:
    scene, _ = known
    dataset = known[1].parent / "drawn.h5"
    free = ("--model", "gm-dgm", "--free-slots", 2)
    short = ("--epochs", 2, "--supervised-epochs", 4)
    run("train-m2", dataset, "--no-m1", *free, *short, "-o", tmp_path / "m2", "-q")
    run("suggest", tmp_path / "m2", scene, "-n", 5, "-o", tmp_path / "s.gpkg", "-q")
    layer = pyogrio.raw.read(tmp_path / "s.gpkg")
    places = shapely.get_coordinates(shapely.from_wkb(layer[2]))
    fields = dict(zip(layer[0]["fields"], layer[3], strict=True))
    lon, lat = lookup_places(GROUND, "EPSG:4326")
    where = fields["row"].astype(int), fields["col"].astype(int)
    np.testing.assert_allclose(places, np.stack([lon[where], lat[where]], axis=1), atol=1e-9)
    run("discover", tmp_path / "m2", scene, "-o", tmp_path / "found", "-q")
    on_map_grid(next((tmp_path / "found").glob("*_classes.tif")), scene)
