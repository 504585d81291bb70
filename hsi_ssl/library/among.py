"""The Potts prior among pixels of which a program says where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.inference.classifier import Classifier

Floats = npt.NDArray[np.float32]
Table = npt.NDArray[np.int32]


def grid_neighbours(valid: npt.NDArray[np.bool_]) -> Table:
    """The neighbours `(n, 8)` of the n valid pixels of a plane among each other, -1 for none."""
    pixel = np.argwhere(valid)
    return neighbour_table(np.zeros(len(pixel), np.int64), pixel)


def among_neighbours(
    classifier: Classifier, raw: npt.NDArray[Any], neighbours: Table, strength: float
) -> Floats:
    """p(y|x) `(n, K)` of raw spectra `(n, bands)` under a Potts prior.

    The strength was chosen beside probabilities that nobody had calibrated, and goes with those.
    """
    p = classifier.uncalibrated.posterior(raw)
    return classifier.among_neighbours(p, neighbours, strength=strength)
