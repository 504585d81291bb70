"""Which files a scene is read from, beside its cube's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from aviris_files import write_flight
from delivered import on_grid, turned
from desis_files import write_desis
from emit_files import MASK_BANDS, write_emit, write_mask
from enmap_files import write_enmap
from wyvern_files import write_wyvern

from hsi_ssl.scenes.beside import files_beside
from hsi_ssl.scenes.opening import open_scene


def raster(path: Path, driver: str = "GTiff") -> Path:
    with rasterio.open(
        path, "w", driver=driver, height=20, width=30, count=3, dtype="uint16",
        crs="EPSG:32719", transform=rasterio.Affine(20, 0, 3e5, 0, -20, 7.4e6),
    ) as made:  # fmt: skip
        made.write(np.arange(1800, dtype=np.uint16).reshape(3, 20, 30))
    return path


def virtual(path: Path, *sources: Path) -> Path:
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{i}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{source.name}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for i, source in enumerate(sources, 1)
    )
    path.write_text(f'<VRTDataset rasterXSize="30" rasterYSize="20">{bands}</VRTDataset>')
    return path


def names(path: Path) -> set[str]:
    return {one.name for one in files_beside(path)}


def test_a_raster_with_its_header_mask_and_world_file(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.dat", "ENVI")
    assert names(path) == {"a.hdr"}
    path = raster(tmp_path / "b.tif")
    assert names(path) == set()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as made:
        made.write_mask(np.ones((20, 30), bool))
    (tmp_path / "b.tif.aux.xml").write_text("<PAMDataset/>")
    (tmp_path / "b.tif.hdr").write_text("ENVI\nwavelength = {400, 500, 600}\n")
    (tmp_path / "b_classes.tif").write_bytes(path.read_bytes())
    (tmp_path / "b.record.json").write_text("{}")
    assert names(path) == {"b.tif.msk", "b.tif.hdr"}


def test_sources_of_virtual_rasters_with_what_they_are_read_with(tmp_path: Path) -> None:
    one, two = raster(tmp_path / "one.dat", "ENVI"), raster(tmp_path / "two.tif")
    inner = virtual(tmp_path / "inner.vrt", one, two)
    outer = virtual(tmp_path / "outer.vrt", inner, two)
    assert names(outer) == {"inner.vrt", "one.dat", "one.hdr", "two.tif"}


def masked_granule(folder: Path) -> Path:
    ground = turned(20, 26)
    write_mask(folder, ground, np.zeros((*ground.x.shape, len(MASK_BANDS)), np.float32))
    return write_emit(folder, ground)


@pytest.mark.parametrize(
    ("write", "some"),
    [
        (masked_granule, "EMIT_L2A_MASK"),
        (lambda folder: write_enmap(folder, on_grid()), "METADATA.XML"),
        (lambda folder: write_enmap(folder, on_grid()), "QL_PIXELMASK"),
        (lambda folder: write_desis(folder, on_grid()), "METADATA.xml"),
        (lambda folder: write_flight(folder, turned(20, 26), cell=30, beside=("glt",)), "glt"),
        (lambda folder: write_flight(folder, turned(20, 26), cell=30, beside=("glt",)), "glt.hdr"),
        (lambda folder: write_wyvern(folder, on_grid()), ".json"),
        (lambda folder: write_wyvern(folder, on_grid()), "data_mask.tiff"),
    ],
)
def test_members_of_products(write: Callable[[Path], Path], some: str, tmp_path: Path) -> None:
    with open_scene(write(tmp_path)) as scene:
        path = scene.path
    assert any(some in name for name in names(path)), names(path)
    assert path.name not in names(path)


def test_an_array_in_a_store_has_the_store_beside_it(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    store = zarr.open_group(tmp_path / "scene.zarr", mode="w")
    cube: npt.NDArray[np.float32] = np.ones((6, 5, 4), np.float32)
    store.create_array("cube", data=cube)
    assert names(tmp_path / "scene.zarr") == set()
    assert names(tmp_path / "scene.zarr" / "cube") == {"scene.zarr"}
