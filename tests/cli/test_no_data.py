"""What a file says is no data is none for every command, however the file says it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyogrio.raw
import pytest
import rasterio
import shapely
import torch
from rasterio.enums import ColorInterp, Resampling

from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.view.pixel import Inspector
from hsi_ssl.view.tiles import Tiles

pytestmark = pytest.mark.slow


Cube = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
ROWS, COLS, BANDS = 40, 30, 12
GRID = rasterio.Affine(5, 0, 300_000, 0, -5, 7_400_000)
PLACE: dict[str, Any] = {
    "driver": "GTiff", "height": ROWS, "width": COLS, "crs": "EPSG:32719", "transform": GRID,
}  # fmt: skip


def hidden_pixels() -> Bools:
    """A corner, a column and single pixels of the scene."""
    hidden = np.random.default_rng(0).random((ROWS, COLS)) < 0.05
    hidden[:10, :8] = hidden[:, 17] = True
    return hidden


HIDDEN = hidden_pixels()


def geotiff(path: Path, cube: Cube, mask: Bools | None = None, **profile: Any) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=profile.pop("inside", True)):
        with rasterio.open(
            path, "w", count=cube.shape[2], dtype=cube.dtype, **PLACE, **profile
        ) as raster:
            raster.write(np.moveaxis(cube, -1, 0))
            if mask is not None:
                raster.write_mask(mask)


def mask_inside(folder: Path, cube: Cube) -> Path:
    geotiff(folder / "s.tif", cube, ~HIDDEN, tiled=True, blockxsize=16, blockysize=16)
    return folder / "s.tif"


def mask_beside_and_overviews(folder: Path, cube: Cube) -> Path:
    geotiff(folder / "s.tif", cube, ~HIDDEN, tiled=True, blockxsize=16, blockysize=16, inside=False)
    with rasterio.open(folder / "s.tif", "r+") as raster:
        raster.build_overviews([2], Resampling.nearest)
    return folder / "s.tif"


def alpha_band(folder: Path, cube: Cube) -> Path:
    alpha = np.where(HIDDEN, 0, 65535).astype(cube.dtype)
    with rasterio.open(folder / "s.tif", "w", count=BANDS + 1, dtype=cube.dtype, **PLACE) as raster:
        raster.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * 11, ColorInterp.alpha]
        raster.write(np.moveaxis(np.dstack([cube, alpha]), -1, 0))
    return folder / "s.tif"


def nodata_a_band(folder: Path, cube: Cube) -> Path:
    """Every hidden pixel has the nodata value of one band there."""
    cube, fills = cube.copy(), np.arange(BANDS) + 1
    rows, cols = np.nonzero(HIDDEN)
    band = np.arange(len(rows)) % BANDS
    cube[rows, cols, band] = fills[band]
    geotiff(folder / "s.tif", cube)
    bands = "".join(
        f'<PAMRasterBand band="{i + 1}"><NoDataValue>{fill}</NoDataValue></PAMRasterBand>'
        for i, fill in enumerate(fills)
    )
    (folder / "s.tif.aux.xml").write_text(f"<PAMDataset>{bands}</PAMDataset>")
    return folder / "s.tif"


def netcdf(folder: Path, cube: Cube) -> Path:
    """Hidden pixels hold a fill value, one of two missing values, or lie outside the range."""
    cube = cube.astype(np.int16)
    rows, cols = np.nonzero(HIDDEN)
    cube[rows, cols, np.arange(len(rows)) % BANDS] = np.resize([-1, -2, -3, 30_000], len(rows))
    with h5py.File(folder / "s.nc", "w") as file:
        file.attrs["Conventions"] = "CF-1.8"
        file["reflectance"] = cube
        file["reflectance"].attrs.update(
            _FillValue=np.array([-1], np.int16),
            missing_value=np.array([-2, -3], np.int16),
            scale_factor=[1e-4],
            valid_range=np.array([-0.5, 2.0]),
        )
    return folder / "s.nc"


def a_number_in_all_bands(folder: Path, cube: Cube) -> Path:
    """Nothing declares it, and no instrument measures it."""
    cube = cube.astype(np.float32)
    cube[HIDDEN] = -9999
    cube[5, 17] = cube[30, 2]
    cube[5, 17, 4] = 1e30
    geotiff(folder / "s.tif", cube)
    return folder / "s.tif"


def value_of_the_users(folder: Path, cube: Cube) -> Path:
    """In one band of each hidden pixel; nothing in the file says it."""
    rows, cols = np.nonzero(HIDDEN)
    cube = cube.astype(np.int32)
    cube[rows, cols, np.arange(len(rows)) % BANDS] = -1
    geotiff(folder / "s.tif", cube)
    return folder / "s.tif"


def mask_of_the_users(folder: Path, cube: Cube) -> Path:
    """Nothing in the file says it: the options do."""
    geotiff(folder / "s.tif", cube)
    geotiff(folder / "look.tif", (~HIDDEN).astype(np.uint8)[..., None])
    return folder / "s.tif"


def polygons_of_the_users(folder: Path, cube: Cube) -> Path:
    """Squares about the hidden pixels."""
    rows, cols = np.nonzero(HIDDEN)
    squares = shapely.box(cols, rows, cols + 1, rows + 1)
    onto = shapely.transform(shapely.union_all(squares), lambda xy: xy * (5, -5) + (GRID.c, GRID.f))
    pyogrio.raw.write(
        folder / "out.gpkg", shapely.to_wkb([onto]), [], [], geometry_type="MultiPolygon",
        crs="EPSG:32719",
    )  # fmt: skip
    geotiff(folder / "s.tif", cube)
    return folder / "s.tif"


ASKED: dict[Any, tuple[str, ...]] = {
    value_of_the_users: ("--nodata", "-1"),
    mask_of_the_users: ("--mask", "look.tif"),
    polygons_of_the_users: ("--mask-out", "out.gpkg"),
}


@pytest.mark.parametrize(
    "written",
    [
        mask_inside,
        mask_beside_and_overviews,
        alpha_band,
        nodata_a_band,
        netcdf,
        a_number_in_all_bands,
        value_of_the_users,
        mask_of_the_users,
        polygons_of_the_users,
    ],
)
def test_the_whole_way(
    written: Callable[[Path, Cube], Path],
    hsi_ssl: Callable[..., Any],
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    cube = tiny_dataset.spectra().reshape(ROWS, COLS, BANDS).copy()
    cube[HIDDEN] += 500  # what lies below would be learnt, mapped and suggested
    path = written(tmp_path, cube)
    asked = ASKED.get(written, ())
    labels = np.indices((ROWS, COLS))[1] // 10 + 1
    geotiff(tmp_path / "l.tif", labels[..., None].astype(np.uint8))
    torch.set_num_threads(1)

    # prepare: all that is shown, nothing that is hidden
    ran = hsi_ssl("prepare", path, "--labels", "l.tif", "--unlabelled", 9999, "--tile", 1, *asked)
    assert ran.code == 0, ran.err
    dataset = open_dataset(Path("runs/dataset.h5"))
    assert len(dataset) > 0.8 * (~HIDDEN).sum()
    assert not HIDDEN[tuple(dataset.pixel.T)].any()
    np.testing.assert_array_equal(dataset.spectra(), cube[tuple(dataset.pixel.T)])

    common: dict[str, Any] = {
        "dataset": Path("runs/dataset.h5"), "device": "cpu", "latent": 2, "hidden": (8,),
        "epochs": 2,
    }  # fmt: skip
    train_m1(M1Settings(**common, output=Path("runs/m1")))
    train_m2(
        M2Settings(
            **common, output=Path("runs/m2"), m1=None, supervised_epochs=2, model="gm-dgm",
            free_slots=2,
        )
    )  # fmt: skip

    # classify: 0 in the map, NaN in its layers
    ran = hsi_ssl("classify", path, "-o", "map.tif", "--confidence", *asked)
    assert ran.code == 0, ran.err
    with rasterio.open("map.tif") as raster:
        np.testing.assert_array_equal(raster.read(1) == 0, HIDDEN)
    with rasterio.open("map_confidence.tif") as raster:
        np.testing.assert_array_equal(np.isnan(raster.read(1)), HIDDEN)

    # features: NaN
    ran = hsi_ssl("features", path, "-o", "features.tif", *asked)
    assert ran.code == 0, ran.err
    with rasterio.open("features.tif") as raster:
        np.testing.assert_array_equal(np.isnan(raster.read()).all(axis=0), HIDDEN)

    # suggest: never
    ran = hsi_ssl("suggest", "runs/m2", path, "-n", 300, "--radius", 0, "-o", "next.gpkg", *asked)
    assert ran.code == 0, ran.err
    points = shapely.get_coordinates(shapely.from_wkb(pyogrio.raw.read("next.gpkg")[2]))
    with open_scene(path) as scene:
        a, _, c, _, e, f = scene.grid.transform or (1, 0, 0, 0, -1, 0)
    cols, rows = ((points - (c, f)) / (a, e)).astype(int).T
    assert len(points) > 100
    assert not HIDDEN[rows, cols].any()

    # discover: all pixels that are shown are counted, and no others
    ran = hsi_ssl(
        "discover", "runs/m2", path, "--min-pixels", 1, "--min-posterior", 0,
        "--min-compactness", -1, "--json", *asked,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["pixels"] == (~HIDDEN).sum()

    if written is value_of_the_users:
        ran = hsi_ssl("classify", path, "-o", "whole.tif")
        assert "in which -1 stands for no data" in ran.out
        assert json.loads(hsi_ssl("info", path, *asked, "--json").out)["nodata"] == -1
        return  # view shows the scene as it is
    if asked:
        legend = list(csv.DictReader(Path("map.csv").open()))
        assert legend[0]["masked"] == legend[0]["pixels"] == str(HIDDEN.sum())
        ran = hsi_ssl("classify", path, "-o", "whole.tif")
        assert f"learnt under a mask ({asked[1]})" in ran.out
        return  # view shows the scene as it is

    # view: see-through, and no measurement
    with open_scene(path) as scene:
        tiles = Tiles(scene)
        tile = tiles.picture(tiles.tiling.depth, 0, 0, (7, 3, 1))[:ROWS, :COLS, 3]
        inspector = Inspector(None, None)
        there = [inspector.spectrum(scene, r, c)[1] for r, c in np.ndindex(ROWS, COLS)]
    np.testing.assert_array_equal(np.reshape(there, (ROWS, COLS)), ~HIDDEN)
    if written in (mask_inside, mask_beside_and_overviews, alpha_band):
        np.testing.assert_array_equal(tile == 0, HIDDEN)
    else:  # of those whose missing values are in other bands nothing is seen in these
        assert not tile[HIDDEN].all()
        assert (tile[~HIDDEN] == 255).all()
