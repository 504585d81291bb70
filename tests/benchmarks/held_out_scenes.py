"""Scenes for the last word: no setting of any method was chosen on them.

    HSI_SSL_DATA=... python tests/benchmarks/held_out_scenes.py --folder /tmp/held-out

A village, an outcrop and a lake (`usgs_scenes`), rendered from the spectral library of the USGS by
code that the simulator of drill cores shares nothing with. Each is drawn once, by a seed of its
own, and written on first use; the seed of a dataset draws its split and its labels, as with the
scenes of `few_label_scenes`. The village's and the lake's labels are the class that covers half of
a pixel or more, the outcrop's the one that covers most.

The outcrop's grades and noise were set so that a support vector machine on the components, with
ten labels a class, has a macro-F1 between 60 and 85 %; those of the others by eye. Nothing else was
looked at, and no method of ours was run. This prints that score; a picture lies beside each cube.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from few_label_scenes import FewLabelScene, Settings, blocks, dataset_of
from rendering import Camera, Plane, write_classes, write_envi, write_geotiff
from usgs_scenes import LAKE, OUTCROP, VILLAGE, Codes, Drawn, lake, outcrop, village

from hsi_ssl.comparing.fitting import fit_baseline
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.reports.metrics import score

PER_CLASS = 10
"""Labels a class of the support vector machine."""
CORNER = (412_000.0, 5_405_000.0)
"""East and north of the scenes, in metres."""


@dataclass(frozen=True)
class Rendered:
    """How a scene is drawn, its classes, the size of its pixels in metres, and its format."""

    drawn: Callable[[], Drawn]
    classes: tuple[str, ...]
    size: float
    write: Callable[[Path, Plane, Camera, tuple[float, float], float], Path]
    cube: str


RENDERED = {
    "usgs-village": Rendered(village, tuple(VILLAGE), 3.0, write_envi, "village.img"),
    "usgs-outcrop": Rendered(outcrop, tuple(OUTCROP), 2.0, write_envi, "outcrop.img"),
    "usgs-lake": Rendered(lake, tuple(LAKE), 10.0, write_geotiff, "lake.tif"),
}


def written(name: str, folder: Path) -> tuple[Path, Path]:
    """A scene's cube and its labels in a folder of its own in `folder`, drawn on first use."""
    scene, place = RENDERED[name], folder / name
    cube, labels = place / scene.cube, place / "labels.img"
    if not (place / "done").exists():
        place.mkdir(parents=True, exist_ok=True)
        reflectance, camera, codes = scene.drawn()
        scene.write(cube, reflectance, camera, CORNER, scene.size)
        write_classes(labels, codes, scene.classes, CORNER, scene.size)
        draw(place / "picture.png", reflectance, camera, codes)
        (place / "done").touch()
    return cube, labels


def _blocks_of(name: str) -> Settings:
    def settings(folder: Path, seed: int) -> dict[str, object]:
        cube, labels = written(name, folder)
        return {**blocks(str(cube))(folder, seed), "labels": (labels,)}

    return settings


HELD_OUT = {
    "usgs-village": FewLabelScene(
        "A village from the USGS's spectra, blocks", "enmap-potsdam", _blocks_of("usgs-village")
    ),
    "usgs-outcrop": FewLabelScene(
        "An outcrop from the USGS's spectra, blocks", "indian-pines", _blocks_of("usgs-outcrop")
    ),
    "usgs-lake": FewLabelScene(
        "A lake from the USGS's spectra, blocks", "enmap-potsdam", _blocks_of("usgs-lake")
    ),
}


def draw(path: Path, reflectance: Plane, camera: Camera, codes: Codes) -> None:
    """Three bands in red, green and blue beside the labels."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    shown = (640, 550, 460) if camera.wavelengths[0] < 500 else (2200, 1650, 1100)
    bands = [int(abs(camera.wavelengths - wanted).argmin()) for wanted in shown]
    some = reflectance[..., bands]
    low, high = np.percentile(some, (1, 99), axis=(0, 1))
    picture = np.clip((some - low) / (high - low), 0, 1) ** 0.8
    legend = colormaps["tab10"](np.arange(10))[:, :3]
    labels = np.vstack([np.zeros(3), legend])[codes]
    both = np.concatenate([picture, np.ones((len(codes), 4, 3)), labels], axis=1)
    imsave(path, both.repeat(5, axis=0).repeat(5, axis=1))


def macro_f1_of_svm(dataset: Dataset, seed: int) -> float:
    """Of a tuned support vector machine on the components, for the test pixels."""
    rows, test = dataset.rows(Part.TRAIN), dataset.rows(Part.TEST)
    y = dataset.label[rows].astype(np.int64)
    machine = fit_baseline("svm", dataset.scaled(rows), y, seed)
    found = machine.predict(dataset.scaled(test))
    return float(score(dataset.label[test], found, len(dataset.label_set)).macro_f1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", nargs="*", default=list(HELD_OUT), choices=list(HELD_OUT))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.scenes:
        scores = []
        for seed in range(arguments.seeds):
            dataset = dataset_of(name, PER_CLASS, seed, arguments.folder, scenes=HELD_OUT)
            scores.append(macro_f1_of_svm(dataset, seed))
            train = np.bincount(dataset.label[dataset.rows(Part.TRAIN)])
            test = np.bincount(dataset.label[dataset.rows(Part.TEST)])
            print(
                f"{dataset.path}: {train.tolist()} labels, {test.tolist()} test pixels", flush=True
            )
        told = ", ".join(f"{100 * value:.1f}" for value in scores)
        print(f"{name}: macro-F1 of an SVM {100 * mean(scores):.1f} % ({told})", flush=True)


if __name__ == "__main__":
    main()
