"""A small scene, its labels, and all that commands make of them: shared by cases, never changed."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
from click.testing import CliRunner
from delivered import label_raster, on_grid

from hsi_ssl.cli.main import cli

ROWS, COLS, BANDS = 24, 30, 12
NM = np.linspace(1000, 2500, BANDS)
TOML = """\
[m1]
latent = 3
hidden = [8]
batch = 64
epochs = 2

[m2]
latent = 2
hidden = [8]
batch_labelled = 30
batch_unlabelled = 100
supervised_epochs = 1
epochs = 2
"""


def run(*arguments: str) -> None:
    """`hsi-ssl` with these arguments, in a child: this process starts no thread, to be forked."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"{' '.join(arguments)} does not run")
        return
    code = 1
    try:
        os.chdir(folder())
        result = CliRunner().invoke(cli, list(arguments))
        code = result.exit_code
        if code:
            print(result.output, result.exception, file=sys.stderr)
    finally:
        os._exit(code)


def cube() -> tuple[np.ndarray, np.ndarray]:
    """Numbers `(rows, cols, bands)` of three materials, and codes `(rows, cols)` of most pixels."""
    rng = np.random.default_rng(0)
    kind = np.indices((ROWS, COLS))[1] * 3 // COLS
    shapes = 2000 + 600 * np.sin(np.linspace(0, 4, BANDS)[None] * np.array([[1.0], [1.6], [2.3]]))
    numbers = shapes[kind] * rng.uniform(0.7, 1.3, (ROWS, COLS, 1))
    numbers += rng.normal(0, 25, numbers.shape)
    codes = np.where(rng.random((ROWS, COLS)) < 0.6, kind + 1, 0)
    return numbers.astype(np.uint16), codes.astype(np.uint8)


def scene(folder: Path) -> None:
    """`scene.tif` and `labels.tif`, at one place; `bare.tif` tells no wavelengths."""
    numbers, codes = cube()
    where = {"crs": "EPSG:32633", "transform": rasterio.Affine(5, 0, 400_000, 0, -5, 5_000_000)}
    shape = {"driver": "GTiff", "height": ROWS, "width": COLS, **where}
    with rasterio.open(folder / "scene.tif", "w", count=BANDS, dtype="uint16", **shape) as raster:
        raster.write(numbers.transpose(2, 0, 1))
        for band, nm in enumerate(NM, start=1):
            raster.update_tags(band, wavelength=f"{nm:.1f}", wavelength_units="Nanometers")
    with rasterio.open(folder / "bare.tif", "w", count=BANDS, dtype="uint16", **shape) as raster:
        raster.write(numbers.transpose(2, 0, 1))
    with rasterio.open(folder / "labels.tif", "w", count=1, dtype="uint8", **shape) as raster:
        raster.write(codes, 1)


def library(folder: Path) -> Path:
    """Spectra of two materials as a table."""
    lines = ["wavelength_nm,alunite,calcite"]
    lines += [f"{nm:.1f},{0.5 + i / 50:.4f},{0.6 - i / 80:.4f}" for i, nm in enumerate(NM)]
    path = folder / "library.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


COMPARED = (
    "--extractors",
    "none",
    "--classifiers",
    "lda,knn",
    "--labels",
    "5",
    "--seeds",
    "1",
    "--jobs",
    "1",
    "--device",
    "cpu",
)


CPU = ("-q", "--device", "cpu")
STEPS: dict[str, tuple[str, ...]] = {
    "dataset.h5": (
        "prepare",
        "scene.tif",
        "--labels",
        "labels.tif",
        "-o",
        "dataset.h5",
        "-q",
        "--split",
        "pixels",
    ),
    "m1": ("train-m1", "dataset.h5", "-o", "m1", *CPU),
    "pca": ("train-m1", "dataset.h5", "-o", "pca", "--extractor", "pca", *CPU),
    "lvq": ("train-m2", "dataset.h5", "--model", "lvq", "--no-m1", "-o", "lvq", *CPU),
    "m2": ("train-m2", "dataset.h5", "--no-m1", "-o", "m2", *CPU),
    "m1m2": ("train-m2", "dataset.h5", "--m1", "m1", "-o", "m1m2", *CPU),
    "free": (
        "train-m2",
        "dataset.h5",
        "--no-m1",
        "-o",
        "free",
        "--model",
        "gm-dgm",
        "--free-slots",
        "2",
        *CPU,
    ),
    "som": ("quantise", "dataset.h5", "--rows", "3", "--cols", "3", "-o", "som", *CPU),
    "report": ("evaluate", "m2", "dataset.h5", "--report", "report", "-q"),
    "features.h5": ("features", "dataset.h5", "--m1", "pca", "-o", "features.h5", *CPU),
    "discovered": (
        "discover",
        "free",
        "scene.tif",
        "-o",
        "discovered",
        "-q",
        "--min-pixels",
        "1",
        "--min-posterior",
        "0",
        "--min-compactness",
        "-1",
    ),
    "compare": ("compare", "dataset.h5", "-o", "compare", "-q", *COMPARED),
    "map.tif": ("classify", "scene.tif", "--model", "lvq", "-o", "map.tif", "--stac", "-q"),
    "mask.tif": ("mask", "scene.tif", "-o", "mask.tif", "-q"),
}
"""What is made, by which command, of what stands before."""


@cache
def folder() -> Path:
    """A folder of this process with a scene, its labels, a library and settings."""
    found = Path(tempfile.mkdtemp(prefix="given-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(found, ignore_errors=True)

    atexit.register(remove)
    scene(found)
    library(found)
    label_raster(on_grid(10, 12), found / "ground.tif")
    (found / "hsi-ssl.toml").write_text(TOML)
    return found


def made(name: str) -> Path:
    """What is called so in the folder; made now where nothing has needed it before."""
    path = folder() / name
    if not path.exists():
        command = STEPS[name]
        for word in command:
            if word in STEPS and word != name:
                made(word)
        run(*command)
    return path
