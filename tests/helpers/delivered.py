"""A ground whose classes are known, for products to show, and the whole way through one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from placed_files import write_layer
from rasterio.transform import GCPTransformer
from rasterio.warp import transform as warp_transform

from hsi_ssl.cli.main import cli
from hsi_ssl.errors import HsiSslError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]
Places = Callable[[Floats, Floats], tuple[Floats, Floats]]
CRS = "EPSG:32633"
DATE_LINE = "+proj=tmerc +lon_0=180 +k=0.9996 +x_0=400720 +datum=WGS84 +units=m"
"""Another CRS for the ground, in which 180 degrees east run through its middle."""
WEST, NORTH = 400_000.0, 5_600_000.0
FIELD = 240.0
"""Metres that a field of one class is wide and high."""
CLASSES = 3


def class_at(x: npt.ArrayLike, y: npt.ArrayLike) -> Codes:
    """The class, 1 to `CLASSES`, of the ground at map coordinates of `CRS`: a chequered land."""
    col = np.floor((np.asarray(x) - WEST) / FIELD).astype(int)
    row = np.floor((NORTH - np.asarray(y)) / FIELD).astype(int)
    found: Codes = ((row + 2 * col) % CLASSES + 1).astype(np.uint8)
    return found


def reflectance(codes: Codes, nm: npt.ArrayLike, seed: int = 0, noise: float = 0.01) -> Floats:
    """Spectra `(..., bands)` of classes at wavelengths: smooth, unlike each other, with noise."""
    waves = np.asarray(nm, np.float64)
    bends = np.array([[0.25, 600, 300], [0.45, 1500, 500], [0.35, 2100, 350]])
    each = np.stack([0.15 + a * np.exp(-(((waves - at) / wide) ** 2)) for a, at, wide in bends])
    found: Floats = each[codes.astype(int) - 1]
    return found + np.random.default_rng(seed).normal(0, noise, found.shape)


@dataclass(frozen=True)
class Ground:
    """Pixels of a scene and where their centres lie in `CRS`: `x` and `y` `(rows, cols)`."""

    x: Floats = field(repr=False)
    y: Floats = field(repr=False)

    @property
    def codes(self) -> Codes:
        """Their classes."""
        return class_at(self.x, self.y)


def on_grid(rows: int = 36, cols: int = 48, pixel: float = 30.0) -> Ground:
    """Pixels in rows and columns, north up, the first one's corner at `WEST`, `NORTH`."""
    x = WEST + (np.arange(cols) + 0.5) * pixel
    y = NORTH - (np.arange(rows) + 0.5) * pixel
    return Ground(*np.meshgrid(x, y))


def turned(rows: int = 36, cols: int = 48, pixel: float = 30.0, degrees: float = 12.0) -> Ground:
    """Pixels of a swath that runs at an angle to the grid, as orbits do."""
    a = np.deg2rad(degrees)
    down, along = np.meshgrid(np.arange(rows) + 0.5, np.arange(cols) + 0.5, indexing="ij")
    return Ground(
        WEST + pixel * (along * np.cos(a) + down * np.sin(a)),
        NORTH - pixel * (down * np.cos(a) - along * np.sin(a)),
    )


def bent(rows: int = 36, cols: int = 48, pixel: float = 30.0) -> Ground:
    """Pixels of a swath whose rows bend, and widen towards their ends, as wide scans do."""
    down, along = np.meshgrid(np.arange(rows) + 0.5, np.linspace(-1, 1, cols), indexing="ij")
    across = (along + 0.15 * along**3) * cols / 2 / 1.15
    return Ground(
        WEST + pixel * (cols / 2 + across - 0.1 * down),
        NORTH - pixel * (down + 5 * along**2 + 0.1 * across + 5),
    )


def run(*args: object) -> str:
    """`hsi-ssl` with these arguments; gives its standard output."""
    result = CliRunner().invoke(cli, [str(one) for one in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def drawn_fields(ground: Ground, path: Path, crs: str = CRS) -> Path:
    """Polygons within fields, one in each that lies whole among the pixels, of field `class`."""
    west, east = ground.x.min(), ground.x.max()
    south, north = ground.y.min(), ground.y.max()
    boxes, codes = [], []
    for left in np.arange(np.floor((west - WEST) / FIELD), np.ceil((east - WEST) / FIELD)):
        for top in np.arange(np.floor((NORTH - north) / FIELD), np.ceil((NORTH - south) / FIELD)):
            x, y = WEST + left * FIELD, NORTH - top * FIELD
            boxes.append(shapely.box(x + 40, y - FIELD + 40, x + FIELD - 40, y - 40))
            codes.append(int(class_at(x + FIELD / 2, y - FIELD / 2)))
    return write_layer(path, boxes, {"class": codes}, crs=crs)


def label_raster(ground: Ground, path: Path, pixel: float = 15.0, crs: str = CRS) -> Path:
    """The class of every second field, as a raster on a grid of its own."""
    west, north = ground.x.min() - 100, ground.y.max() + 100
    cols = int((ground.x.max() + 100 - west) / pixel)
    rows = int((north - ground.y.min() + 100) / pixel)
    x, y = np.meshgrid(
        west + (np.arange(cols) + 0.5) * pixel, north - (np.arange(rows) + 0.5) * pixel
    )
    plane = class_at(x, y)
    plane[(np.floor((x - WEST) / FIELD) + np.floor((NORTH - y) / FIELD)) % 2 == 1] = 0
    transform = rasterio.Affine(pixel, 0, west, 0, -pixel, north)
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": crs}
    with rasterio.open(
        path, "w", height=rows, width=cols, transform=transform, nodata=0, **profile
    ) as raster:
        raster.write(plane, 1)
    return path


def taught(product: Path, labels: Path, *more: str) -> Path:
    """A classifier of prototypes, of labels laid on a product; gives its run folder."""
    dataset = labels.with_suffix(".h5")
    field = ("--label-field", "class") if labels.suffix == ".gpkg" else ()
    run("prepare", product, "--labels", labels, *field, "-o", dataset, "-q", *more)
    folder = labels.with_name(f"{labels.stem}_run")
    run("train-m2", dataset, "--model", "lvq", "--no-m1", "-o", folder, "-q", "--device", "cpu")
    return folder


def agreement(path: Path, crs: str = CRS) -> float:
    """Share of a map's classified pixels that have the class of the ground at their centre."""
    with rasterio.open(path) as raster:
        codes, grid = raster.read(1), raster.transform
        assert raster.crs is not None
        rows, cols = np.nonzero(codes)
        x, y = grid @ (cols + 0.5, rows + 0.5)
        if raster.crs != rasterio.CRS.from_string(crs):
            x, y = map(np.asarray, warp_transform(raster.crs, crs, x, y))
    assert len(rows)
    return float((class_at(x, y) == codes[rows, cols]).mean())


def whole_way(
    product: Path, ground: Ground, folder: Path, *more: str, least: float = 0.95
) -> list[Path]:
    """`info`, `prepare` with a raster and with polygons, `classify`; gives the maps.

    Maps agree with the ground where their own coordinates put them.
    """
    known = json.loads(run("info", product, "--json", *more))
    assert (known["rows"], known["cols"]) == ground.x.shape
    maps = []
    for labels in (
        label_raster(ground, folder / "raster.tif"), drawn_fields(ground, folder / "drawn.gpkg"),
    ):  # fmt: skip
        model = taught(product, labels, *more)
        path = folder / f"{labels.stem}_classes.tif"
        run("classify", product, "--model", model, "-o", path, "-q", *more)
        assert agreement(path) >= least
        maps.append(path)
    return maps


def in_sensor_geometry(
    product: Path,
    ground: Ground,
    folder: Path,
    *more: str,
    crs: str = CRS,
    hidden: npt.NDArray[np.bool_] | None = None,
    least: float = 0.95,
) -> list[Path]:
    """The whole way of a swath without a lookup table; gives the maps, in its own pixels.

    They agree with the ground pixel by pixel, and where their control points put them. `hidden`
    pixels are not classified, all others are.
    """
    known = json.loads(run("info", product, "--json", *more))
    assert (known["rows"], known["cols"]) == ground.x.shape
    assert any("sensor geometry" in note for note in known["notes"])
    seen = np.ones(ground.x.shape, bool) if hidden is None else ~hidden
    maps = []
    for labels in (
        label_raster(ground, folder / "raster.tif", crs=crs),
        drawn_fields(ground, folder / "drawn.gpkg", crs=crs),
    ):
        model = taught(product, labels, *more)
        path = folder / f"{labels.stem}_classes.tif"
        run("classify", product, "--model", model, "-o", path, "-q", *more)
        with rasterio.open(path) as raster:
            codes = raster.read(1)
        np.testing.assert_array_equal(codes != 0, seen)
        assert (codes == ground.codes)[seen].mean() >= least
        assert by_control_points(path, crs) >= least
        # Cells between two fields show the nearest pixel.
        assert agreement(path.with_name(f"{path.stem}_placed.vrt"), crs) >= least - 0.06
        maps.append(path)
    return maps


def by_control_points(path: Path, crs: str = CRS) -> float:
    """As `agreement`, of a map whose control points place it, by thin plate splines."""
    with rasterio.open(path) as raster:
        codes, (points, own) = raster.read(1), raster.gcps
    rows, cols = np.nonzero(codes)
    with GCPTransformer(points, tps=True) as placing:
        x, y = placing.xy(rows, cols)
    x, y = map(np.asarray, warp_transform(own, crs, x, y))
    return float((class_at(x, y) == codes[rows, cols]).mean())


def refused(words: Sequence[str], *args: object) -> None:
    """`hsi-ssl` raises one of its own errors, a sentence with these words."""
    with pytest.raises(HsiSslError) as raised:
        run(*args)
    for word in words:
        assert word in str(raised.value), str(raised.value)
