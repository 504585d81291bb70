"""Which pixels of a scene have a label already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import is_dataset, open_dataset
from hsi_ssl.errors import DatasetError


def scene_and_labelled(name: str) -> tuple[str, npt.NDArray[np.int64] | None]:
    """The scene of a dataset, and rows and columns `(m, 2)` of its labelled pixels.

    What is no dataset is a scene's name itself, and nobody knows its labels: None.

    Raises
    ------
    DatasetError
        The dataset is broken, or of several scenes.
    """
    if not is_dataset(Path(name)):
        return name, None
    dataset = open_dataset(Path(name))
    sources = dataset.meta["sources"]
    if len(sources) > 1:
        first = sources[0]["path"]
        raise DatasetError(
            f"{name} is made of {len(sources)} scenes; name one of them, such as {first}"
        )
    labelled = (dataset.y >= 0).any(axis=1)
    return sources[0]["path"], dataset.pixel[labelled].astype(np.int64)
