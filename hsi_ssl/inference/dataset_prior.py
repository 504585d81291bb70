"""The Potts prior on the pixels of a dataset, and which strength of it is meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.neighbours import neighbours_among
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import ModelError
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.models.spatial import SWEEPS

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

BLOCK = 65_536
"""Pixels read and classified at a time."""


def among_neighbours(
    classifier: Classifier,
    dataset: Dataset,
    rows: Rows,
    strengths: Sequence[float],
    seen: npt.NDArray[np.bool_] | None = None,
) -> Iterator[Floats]:
    """Posteriors `(len(rows), K)` of a dataset's pixels under priors of some strengths.

    Their neighbours are the dataset's pixels, or those `seen (n,)`; on the whole scene, which has
    more of them, results may differ.
    """
    reach = _within_reach(dataset.neighbours, rows, seen)
    alone = classifier.uncalibrated
    blocks = [reach[first : first + BLOCK] for first in range(0, len(reach), BLOCK)]
    p = np.concatenate([alone.posterior(dataset.spectra(some)) for some in blocks])
    table, place = neighbours_among(dataset.neighbours, reach), np.searchsorted(reach, rows)
    for strength in strengths:
        yield classifier.among_neighbours(p, table, strength=strength)[place]


def _within_reach(
    neighbours: npt.NDArray[np.int32], rows: Rows, seen: npt.NDArray[np.bool_] | None
) -> Rows:
    """The rows, and all that they hear from in as many steps as there are sweeps, ascending."""
    reached = np.zeros(len(neighbours) + 1, bool)  # the last one stands for row -1
    newest = rows
    for _ in range(SWEEPS):
        reached[newest] = True
        around = np.unique(neighbours[newest]).astype(np.int64)
        newest = around[(around >= 0) & ~reached[around]]
        if seen is not None:
            newest = newest[seen[newest]]
    reached[newest] = True
    return np.flatnonzero(reached[:-1])


def strength_of(card: dict[str, Any], asked: float | str) -> float:
    """The strength that a number, `learnt` or `tuned` stands for.

    Raises
    ------
    ModelError
        None was tuned.
    """
    if not isinstance(asked, str):
        return asked
    if asked == "learnt":
        return float(card["spatial_strength"])
    tuned = card.get("spatial_tuned")
    if tuned is None:
        raise ModelError(
            "no strength of the spatial prior was tuned for this run, since it had no validation "
            "pixels or another version wrote it: `hsi-ssl evaluate RUN DATASET --tune-spatial` "
            "does it, or name a strength"
        )
    return float(tuned["strength"])
