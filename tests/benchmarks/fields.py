"""A scene of two noisy fields and small estimators for it, for tests of the library."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

SMALL: dict[str, Any] = {
    "epochs": 1,
    "supervised_epochs": 5,
    "device": "cpu",
    "random_state": 0,
    "settings": {
        "hidden": (8,), "latent": 2, "hidden_classifier": (16,), "experts": (0.5,),
        "learning_rate": 0.02, "predict": "classifier",
    },
}  # fmt: skip
"""Of a classifier: trains in a second what is easy to tell."""


class Fields(NamedTuple):
    """Spectra of the pixels of two fields side by side, and what is known of them."""

    X: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    """A tenth of the labels, else -1."""

    @classmethod
    def drawn(cls, side: int = 40) -> Self:
        """`side` x `side` pixels of 6 bands."""
        rng = np.random.default_rng(3)
        positions = np.indices((side, side)).reshape(2, -1).T
        classes = np.where(positions[:, 1] < side // 2, 3, 7)
        shapes = np.where(
            classes[:, None] == 3, [10.0, 12, 11, 9, 10, 12], [11.0, 11, 12, 10, 9, 11]
        )
        X = shapes + rng.normal(0, 1.2, (len(classes), 6))
        return cls(X, classes, positions, np.where(rng.random(len(classes)) < 0.1, classes, -1))
