"""Files under the names that the pages of docs use: small ones, of what the pages say they are."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from placed_files import NORTH_UP, on_ground, write_layer
from small_projects import called
from small_runs import one_thread

from hsi_ssl.scenes.minerals import MINERALS

SIDE = 48
"""Rows and columns of the scene; its classes are squares of `FIELD`."""
FIELD = 12
NM = np.arange(500.0, 2401.0, 20.0)
CLASSES = ("water", "meadow", "soil")
CORE = (64, 96)
"""Rows and columns of a simulated core: the pages name pixels as far as row 60, column 80."""
SHORT = """
[prepare]
sources = [{sources}]
labels = [{labels}]
{prepare}
cap = 40
unlabelled = 150
[m1]
epochs = 1
hidden = [8]
latent = 4
device = "cpu"
[m2]
epochs = 1
supervised_epochs = 1
hidden = [8]
latent = 3
device = "cpu"
[classify]
scenes = [{scenes}]
device = "cpu"
[quantise]
epochs = 2
pixels = 500
"""


def recipe(*sources: str, labels: str = "", scenes: str = "", prepare: str = "") -> str:
    """An `hsi-ssl.toml` of these scenes, with as little training as there can be."""
    quoted = {"sources": ", ".join(f'"{s}"' for s in sources)}
    quoted |= {"labels": f'"{labels}"' if labels else "", "scenes": f'"{scenes}"' if scenes else ""}
    return SHORT.format(**quoted, prepare=prepare)


def spectra_of_classes(nm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Reflectance `(3, bands)` of water, meadow and soil, roughly."""
    return np.array(
        [
            0.02 + 0.06 * np.exp(-(((nm - 550) / 200) ** 2)),
            0.05 + 0.4 / (1 + np.exp(-(nm - 710) / 15)) * np.exp(-(((nm - 900) / 900) ** 2)),
            0.1 + 0.15 * (nm - 500) / 1900 - 0.05 * np.exp(-(((nm - 2200) / 40) ** 2)),
        ]
    )


def classes() -> npt.NDArray[np.uint8]:
    """Class indices of the scene."""
    row, col = np.indices((SIDE, SIDE)) // FIELD
    found: npt.NDArray[np.uint8] = ((row + 2 * col) % 3).astype(np.uint8)
    return found


def cube(seed: int = 0) -> npt.NDArray[np.float32]:
    """Reflectance `(rows, cols, bands)`, float32."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(0.9, 1.1, (SIDE, SIDE, 1))
    values = spectra_of_classes(NM)[classes()] * light
    return np.clip(values + rng.normal(0, 0.002, values.shape), 1e-4, None).astype(np.float32)


def write_scene(
    path: Path,
    values: npt.NDArray[Any],
    nm: npt.ArrayLike = NM,
    transform: rasterio.Affine = NORTH_UP,
) -> Path:
    """Write a cube `(rows, cols, bands)` as a GeoTIFF that tells its wavelengths."""
    rows, cols, bands = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=bands, dtype=values.dtype,
        crs="EPSG:32633", transform=transform,
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(values, -1, 0))
        for band, wavelength in enumerate(np.asarray(nm), 1):
            raster.update_tags(band, wavelength=f"{wavelength:.2f}", wavelength_units="nm")
    return path


def write_table(path: Path, nm: npt.NDArray[np.float64], spectra: dict[str, Any]) -> None:
    """Write spectra as a table, wavelengths first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("wavelength_nm", *spectra))
        rows.writerows(zip(nm, *spectra.values(), strict=True))


def land(folder: Path) -> None:
    """A satellite's scene and all that pages lay beside one: layers, rasters, other scenes."""
    values = cube()
    write_scene(folder / "scene.tif", values)
    write_scene(folder / "other.tif", cube(1))
    write_scene(folder / "coarser.tif", cube(3)[..., ::2], NM[::2])
    write_scene(folder / "second-sensor.tif", cube(2)[..., ::4], NM[::4])
    (folder / "flights").mkdir()
    for i in range(2):
        place = NORTH_UP @ rasterio.Affine.translation(SIDE * i, 0)
        write_scene(folder / f"flights/flight-{i}.tif", cube(i), transform=place)
    codes = (classes() + 1).astype(np.uint8)
    codes[::4] = 0
    for name in ("labels.tif", "classes.tif"):
        with rasterio.open(
            folder / name, "w", driver="GTiff", height=SIDE, width=SIDE, count=1, dtype="uint8",
            crs="EPSG:32633", transform=NORTH_UP,
        ) as raster:  # fmt: skip
            raster.write(codes, 1)
    starts = [(r, c) for r in range(0, SIDE, FIELD) for c in range(0, SIDE, FIELD)]
    fields: dict[str, Sequence[Any]] = {"class": [CLASSES[classes()[r, c]] for r, c in starts]}
    squares = [on_ground(shapely.box(c + 1, r + 1, c + 11, r + 11)) for r, c in starts]
    write_layer(folder / "polygons.gpkg", squares, fields)
    points = [on_ground(shapely.points(c + 6.5, r + 6.5)) for r, c in starts]
    write_layer(folder / "points.gpkg", points, fields)
    with h5py.File(folder / "scene.h5", "w") as file:
        file["cube"], file["dark"] = values, values[:2] * 0
    np.savetxt(folder / "bands.csv", NM, header="wavelength_nm", comments="")
    np.save(folder / "array.npy", np.moveaxis(values, -1, 0))
    own = dict(zip(("river water", "grass", "loam"), spectra_of_classes(NM), strict=True))
    write_table(folder / "LIB", NM, own)
    (folder / "hsi-ssl.toml").write_text(
        recipe("scene.tif", labels="labels.tif", scenes="scene.tif")
    )


def cores(folder: Path) -> None:
    """Simulated boxes of drill core, one by itself, one as a raster, and spectra with a library."""
    rows, cols = CORE
    called("simulate", "-o", folder / "cores", "--scenes", 2, "--rows", rows, "--cols", cols, "-q")
    first = min((folder / "cores").glob("*.h5"))
    shutil.copy(first, folder / "core.h5")
    nm = np.linspace(990, 2510, 400)
    names = ("alunite", "calcite", "gypsum", "kaolinite", "muscovite", "goethite")
    write_table(folder / "LIB", nm, {name: MINERALS[name].reflectance(nm) for name in names})
    (folder / "means.csv").write_bytes((folder / "LIB").read_bytes())
    (folder / "hsi-ssl.toml").write_text(
        recipe("cores", scenes="cores", prepare='label_set = "mineralogy"\nblock = 16')
    )


def trained() -> None:
    """What the first lines of other pages have made: a dataset, M1, M2 and a map."""
    with one_thread():
        called("prepare", "-q")
        called("train-m1", "-q")
        called("train-m2", "-q")
