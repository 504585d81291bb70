"""Well-known classifiers by name, from which `compare --classifiers` takes its choices.

To add one: a class as `Baseline` describes it (`classifiers.py` holds ours), and a line in
`BASELINES`; from another package, an entry point in the group `hsi_ssl.baselines`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hsi_ssl.registry import Registry

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


class Baseline(Protocol):
    """A classifier as scikit-learn has them, and the settings that are tried."""

    title: str
    unlabelled: bool
    """Whether it learns from pixels without label too, whose class is then -1 in `fit`."""

    def estimator(self, x: Array, seed: int, threads: int) -> Any:
        """An estimator that is not yet fitted, with its `random_state` and `n_jobs`.

        `x (n, D)`: all features that it will be fitted on.
        """

    def grid(self, x: Array) -> dict[str, list[Any]]:
        """Settings to choose from by cross-validation, by the names of `set_params`; none: {}."""


BASELINES: Registry[type[Baseline]] = Registry(
    "hsi_ssl.baselines",
    "classifier",
    {
        "logistic": "hsi_ssl.comparing.classifiers:Logistic",
        "lda": "hsi_ssl.comparing.classifiers:LDA",
        "svm": "hsi_ssl.comparing.classifiers:SVM",
        "knn": "hsi_ssl.comparing.classifiers:KNN",
        "forest": "hsi_ssl.comparing.classifiers:Forest",
        "extra-trees": "hsi_ssl.comparing.classifiers:ExtraTrees",
        "gaussian-process": "hsi_ssl.comparing.classifiers:GaussianProcess",
        "label-spreading": "hsi_ssl.comparing.classifiers:Spreading",
        "self-training": "hsi_ssl.comparing.classifiers:SelfTraining",
    },
)
