"""Which pixels of a scene have a label already, and the scenes of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.reopening import reopened
from hsi_ssl.datasets.store import Dataset, is_dataset, open_dataset
from hsi_ssl.datasets.whereabouts import missing_in_words, place_of
from hsi_ssl.errors import DatasetError, SceneNotFoundError
from hsi_ssl.scenes.scene import Scene


def scene_and_labelled(
    name: str, data: Sequence[Path] = ()
) -> tuple[str, npt.NDArray[np.int64] | None]:
    """The scene of a dataset, and rows and columns `(m, 2)` of its labelled pixels.

    What is no dataset is a scene's name itself, and nobody knows its labels: None. `data`: folders
    in which the scene is looked for if it is not where it was.

    Raises
    ------
    DatasetError
        The dataset is broken, or of several scenes.
    SceneNotFoundError
        Its scene is nowhere there.
    """
    if not is_dataset(Path(name)):
        return name, None
    dataset = open_dataset(Path(name), data=data)
    sources = dataset.meta["sources"]
    if len(sources) > 1:
        first = sources[0]["path"]
        raise DatasetError(
            f"{name} is made of {len(sources)} scenes; name one of them, such as {first}"
        )
    place = place_of(sources[0], dataset)
    if place is None:
        raise SceneNotFoundError(missing_in_words(dataset, [0]))
    labelled = (dataset.y >= 0).any(axis=1)
    return str(place), dataset.pixel[labelled].astype(np.int64)


def scene_of(dataset: Dataset, number: int) -> Scene:
    """A scene of a dataset, opened again.

    Raises
    ------
    SceneNotFoundError
        It is nowhere there.
    """
    found = reopened(dataset.meta["sources"][number], dataset)
    if found is None:
        raise SceneNotFoundError(missing_in_words(dataset, [number]))
    return found
