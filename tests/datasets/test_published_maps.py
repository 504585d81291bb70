"""Published maps of training and test pixels are taken as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tensorly.datasets
from patchy_scenes import (
    COLS,
    ROWS,
    Cube,
    class_counts,
    cube,
    label_plane,
    places,
    prepared,
    write_scene,
)

from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import LabelError


def published(folder: Path, scene: Path, train: Cube, test: Cube, **settings: Any) -> Dataset:
    for name, plane in (("train", train), ("test", test)):
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            width=plane.shape[1],
            height=plane.shape[0],
            count=1,
            dtype="uint8",
        ) as file:
            file.write(plane.astype(np.uint8), 1)
    return prepared(
        folder,
        [scene],
        train_labels=(folder / "train.tif",),
        test_labels=(folder / "test.tif",),
        **settings,
    )


def test_published_maps_are_taken_as_they_are(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.h5", cube(0), label_plane(9))
    labels = label_plane(0)
    out = np.random.default_rng(0).random(labels.shape) < 0.6
    train, test = np.where(out, 0, labels), np.where(out, labels, 0)
    dataset = published(tmp_path, scene, train, test, cap=5, unlabelled=10**6)
    rows = dataset.rows(Part.TRAIN, Part.VALIDATION)
    assert places(dataset, rows) == {(0, r, c) for r, c in np.argwhere(train).tolist()}
    assert places(dataset, dataset.rows(Part.TEST)) == {
        (0, r, c) for r, c in np.argwhere(test).tolist()
    }
    assert len(dataset) == ROWS * COLS
    few = published(tmp_path, scene, train, test, per_class=4)
    assert class_counts(few, Part.TRAIN) == [3, 3, 3]
    assert class_counts(few, Part.VALIDATION) == [1, 1, 1]
    assert class_counts(few, Part.TEST) == class_counts(dataset, Part.TEST)


def test_published_maps_without_validation(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.h5", cube(0), label_plane(9))
    labels = label_plane(0)
    out = np.random.default_rng(0).random(labels.shape) < 0.6
    train, test = np.where(out, 0, labels), np.where(out, labels, 0)
    dataset = published(tmp_path, scene, train, test, validation=0)
    assert places(dataset, dataset.rows(Part.TRAIN)) == {
        (0, r, c) for r, c in np.argwhere(train).tolist()
    }
    assert not len(dataset.rows(Part.VALIDATION))
    one = published(tmp_path, scene, train, test, per_class=1)
    assert class_counts(one, Part.TRAIN) == [1, 1, 1]  # the last label of a class trains


def test_maps_that_overlap_are_refused(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.h5", cube(0), label_plane(9))
    with pytest.raises(LabelError, match="are in the training map and in the test map"):
        published(tmp_path, scene, label_plane(0), label_plane(1))


def test_the_published_split_of_indian_pines(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    maps = real_data("indian-pines-split")
    (train,), (test,) = maps.glob("IndianTR*"), maps.glob("IndianTE*")
    cube_file = Path(tensorly.datasets.__file__).parent / "data" / "Indian_pines_corrected.npy"
    dataset = prepared(tmp_path, [cube_file], train_labels=(train,), test_labels=(test,), cap=5000)
    assert len(dataset.rows(Part.TRAIN, Part.VALIDATION)) == 695
    assert len(dataset.rows(Part.TEST)) == 9671
    assert len(dataset.label_set) == 16
    assert min(class_counts(dataset, Part.TRAIN)) >= 12
    assert min(class_counts(dataset, Part.VALIDATION)) >= 3
    assert open_dataset(dataset.path).meta["split"]["kind"] == "maps"
