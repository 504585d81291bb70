"""Five scenes with few labels: datasets that every method of a comparison learns from.

    HSI_SSL_DATA=... python tests/benchmarks/few_label_scenes.py --folder /tmp/few-labels

N labels a class are N labels in all: no validation part is set aside, so whoever needs one takes
it from these N. The seed draws the labels, and the split where none is published. Labels of one
scene and seed are nested: the 5 are among the 10.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import rasterio
from scipy import ndimage
from spectral.io import envi

from hsi_ssl.catalog.entries import data_folder
from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.settings import PrepareSettings

LABELS = (5, 10, 20, 50)
"""Labels a class."""
HALF = 0.5
"""Of the blocks: one half to learn from, the other to test on."""
NODATA = -32768
EIGHT = np.ones((3, 3), bool)
"""All neighbours of a pixel."""
GAP = 8
"""Patches of labelled pixels that are nearer, in pixels, are cut out as one scene."""
PATCH = 40
"""Pixels of a patch that may train, at least."""


Settings = Callable[[Path, int], dict[str, Any]]
"""Of a folder for files and a seed: what `PrepareSettings` are."""


@dataclass(frozen=True)
class FewLabelScene:
    """A scene, how it is split, and the recipe whose model settings suit it."""

    title: str
    recipe: str
    settings: Settings


def dataset_of(
    name: str,
    per_class: int,
    seed: int,
    folder: Path,
    *,
    scenes: Mapping[str, FewLabelScene] | None = None,
    **more: Any,
) -> Dataset:
    """The dataset of a scene with `per_class` labels a class, made on first use in `folder`.

    `scenes` are those to look it up in, by default `SCENES`. `more` are further `PrepareSettings`;
    datasets that differ in these need folders of their own.
    """
    path = folder / f"{name}-{per_class}-{seed}.h5"
    if path.exists():
        return open_dataset(path)
    values = {"validation": 0.0, **(scenes or SCENES)[name].settings(folder, seed), **more}
    return prepare(PrepareSettings(**values, per_class=per_class, seed=seed, output=path))


def _indian_pines(folder: Path, seed: int) -> dict[str, Any]:
    del folder, seed
    maps = data_folder() / "indian-pines-split"
    return {
        "sources": ("indian-pines",),
        "train_labels": (maps / "IndianTR123_temp123.tif",),
        "test_labels": (maps / "IndianTE123_temp123.tif",),
        "transductive": True,
    }


def blocks(source: str) -> Settings:
    """Half of the blocks of a scene to learn from, half to test on."""
    return lambda folder, seed: {
        "sources": (source,),
        "split": "blocks",
        "test": HALF,
        "transductive": True,
    }


def _drillcore(folder: Path, seed: int) -> dict[str, Any]:
    """Scenes to test on are new ones: of their test pixels nothing is seen while learning."""
    del folder, seed
    return {
        "sources": ("drillcore-sim",),
        "label_set": "mineralogy",
        "split": "scenes",
        "unlabelled": 30_000,
    }


def _toulouse(folder: Path, seed: int) -> dict[str, Any]:
    scenes = folder / "toulouse"
    if not (scenes / "done").exists():
        write_toulouse(data_folder() / "toulouse", scenes)
        (scenes / "done").touch()
    cubes = sorted(scenes.glob("*.img"))
    parts = folder / "toulouse" / f"split-{seed}"
    if not parts.exists():
        split_patches(cubes, parts, np.random.default_rng(seed))
    return {
        "sources": tuple(str(path) for path in cubes),
        "train_labels": tuple(parts / f"{path.stem}-train.tif" for path in cubes),
        "test_labels": tuple(parts / f"{path.stem}-test.tif" for path in cubes),
        "transductive": True,
    }


SCENES = {
    "indian-pines": FewLabelScene(
        "Indian Pines, labels from the published training map", "indian-pines", _indian_pines
    ),
    "salinas-a": FewLabelScene("Salinas A, blocks", "salinas-a", blocks("salinas-a")),
    "enmap-potsdam": FewLabelScene(
        "EnMAP Potsdam, blocks", "enmap-potsdam", blocks("enmap-potsdam")
    ),
    "toulouse": FewLabelScene("Toulouse, connected patches", "indian-pines", _toulouse),
    "drillcore-sim": FewLabelScene("drillcore-sim, scenes", "drillcore", _drillcore),
}


def write_toulouse(source: Path, folder: Path) -> None:
    """Bring Toulouse's labelled spectra back onto their images' grid, as ENVI scenes.

    One scene a group of patches, nodata around them, and label rasters beside; the images without
    labels as they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(source / "labelled_spectra.h5") as file:
        spectra, codes = file["X"][:], file["y"][:]
        image, places = file["image"][:], file["rowcol"][:]
        wavelengths = 1000 * file["wavelengths_um"][:].astype(float)
    for number in np.unique(image).tolist():
        here = image == number
        first = places[here].min(axis=0)
        rows, cols = (places[here] - first).T
        plane = np.zeros((rows.max() + 1, cols.max() + 1), np.uint8)
        plane[rows, cols] = codes[here]
        row_of = np.full(plane.shape, -1)
        row_of[rows, cols] = np.flatnonzero(here)
        near = ndimage.binary_dilation(plane > 0, EIGHT, iterations=GAP // 2)
        groups, _ = ndimage.label(near, EIGHT)
        groups[plane == 0] = 0
        for group, window in enumerate(ndimage.find_objects(groups), start=1):
            inside = groups[window] == group
            cube = np.full((*inside.shape, spectra.shape[1]), NODATA, np.int16)
            cube[inside] = spectra[row_of[window][inside]]
            _write_scene(folder / f"image{number}-{group:02}", cube, wavelengths)
            _write_plane(
                folder / f"image{number}-{group:02}_labels.tif",
                np.where(inside, plane[window], 0).astype(np.uint8),
            )
    with h5py.File(source / "images.h5") as file:
        for name in ("asph", "fib", "veg"):
            cube = file[name][:]
            _write_scene(folder / f"{name}", cube, wavelengths)
            _write_plane(folder / f"{name}_labels.tif", np.zeros(cube.shape[:2], np.uint8))


def split_patches(cubes: list[Path], folder: Path, rng: np.random.Generator) -> None:
    """Maps to train and to test on, `<cube>-train.tif` and `-test.tif`, by connected patch.

    Of each class one patch trains, drawn among those of `PATCH` pixels or more, and all others are
    tested on; a class of a single patch only trains. With half of the patches to learn from, plain
    networks were right nearly everywhere with ten labels a class: nothing was left to compare.
    """
    train: dict[str, npt.NDArray[np.uint8]] = {}
    test: dict[str, npt.NDArray[np.uint8]] = {}
    for cube in cubes:
        with rasterio.open(cube.with_name(f"{cube.stem}_labels.tif")) as file:
            train[cube.stem] = np.zeros((file.height, file.width), np.uint8)
            test[cube.stem] = file.read(1)
    patches = patches_of(test)
    for code in sorted(patches):
        large = [patch for patch in patches[code] if np.count_nonzero(patch[1]) >= PATCH]
        stem, inside = large[rng.integers(len(large))]
        train[stem][inside], test[stem][inside] = code, 0
    folder.mkdir(parents=True)
    for stem, plane in train.items():
        _write_plane(folder / f"{stem}-train.tif", plane)
        _write_plane(folder / f"{stem}-test.tif", test[stem])


def patches_of(
    planes: dict[str, npt.NDArray[np.uint8]],
) -> dict[int, list[tuple[str, npt.NDArray[np.bool_]]]]:
    """By class code: the plane and the mask of each 8-connected patch of that class."""
    found: dict[int, list[tuple[str, npt.NDArray[np.bool_]]]] = {}
    for stem, plane in sorted(planes.items()):
        for code in np.unique(plane[plane > 0]).tolist():
            groups, count = ndimage.label(plane == code, EIGHT)
            found.setdefault(code, []).extend((stem, groups == n + 1) for n in range(count))
    return found


def _write_scene(
    path: Path, cube: npt.NDArray[np.int16], wavelengths: npt.NDArray[np.float64]
) -> None:
    envi.save_image(
        str(path.with_suffix(".hdr")),
        cube,
        dtype=np.int16,
        interleave="bip",
        ext="img",
        force=True,
        metadata={
            "wavelength": [f"{w:.2f}" for w in wavelengths],
            "wavelength units": "Nanometers",
            "data ignore value": NODATA,
        },
    )


def _write_plane(path: Path, plane: npt.NDArray[np.uint8]) -> None:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 0}
    rows, cols = plane.shape
    with rasterio.open(path, "w", height=rows, width=cols, **profile) as file:
        file.write(plane, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--labels", nargs="*", type=int, default=list(LABELS))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.scenes:
        for seed in range(arguments.seeds):
            for per_class in arguments.labels:
                dataset = dataset_of(name, per_class, seed, arguments.folder)
                train = np.bincount(dataset.label[dataset.rows(Part.TRAIN)])
                print(
                    f"{dataset.path}: {train.tolist()} labels, {len(dataset.rows(Part.TEST)):,} "
                    f"test pixels, pool {len(dataset.unlabelled_rows):,}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
