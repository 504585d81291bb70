"""How little a spectrum is explained: a score, and its rank among those of validation pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import ModelError
from hsi_ssl.training.class_gaussians import ClassGaussians

if TYPE_CHECKING:
    from hsi_ssl.training.classifier import Classifier

Floats = npt.NDArray[np.float32]
Measure = Literal["classes", "likelihood"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""Minus log p(x) by what is labelled alone (`ClassGaussians`), or by the whole generative model."""
PREFIX = "novelty."


@dataclass(frozen=True)
class Novelty:
    """What a run keeps to tell novelty by.

    `reference`: the scores of the validation pixels by measure, ascending; those by the likelihood
    were made with `samples` samples.
    """

    gaussians: ClassGaussians
    reference: dict[Measure, Floats]
    samples: int

    def p_values(self, score: Floats, measure: Measure) -> Floats:
        """p = (1 + number of validation scores >= score) / (1 + their number), `(n,)` in (0, 1].

        Of a pixel drawn as the validation pixels were, the chance that p <= alpha is at most alpha.
        """
        reference = self.reference[measure]
        not_below = len(reference) - np.searchsorted(reference, score, side="left")
        p: Floats = ((1 + not_below) / (1 + len(reference))).astype(np.float32)
        return p

    def check(self, measure: Measure, samples: int, level: float | None = None) -> None:
        """Refuse p-values that cannot be had.

        Raises
        ------
        ModelError
            The run has no validation pixels, or too few for any p-value to be as low as `level`, or
            its reference scores were made with another number of samples.
        """
        n = len(self.reference[measure])
        if not n:
            raise ModelError(
                "p-values rank a pixel among validation pixels, and this run was trained without: "
                "prepare with --validation above 0 and train again, or ask for --novelty alone"
            )
        if level is not None and level < 1 / (1 + n):
            raise ModelError(
                f"a p-value among {n} validation pixels is never below {1 / (1 + n):.2g}: "
                f"with --reject {level:g} nothing would be rejected; ask for a higher level"
            )
        if measure == "likelihood" and samples != self.samples:
            raise ModelError(
                f"the run's validation scores were made with {self.samples} samples, {samples} are "
                "asked for: leave out --samples, or ask for --novelty alone"
            )

    def to_tensors(self, label_set: str = "") -> dict[str, Tensor]:
        """As weights of a run, by name; one that has several label sets names each."""
        prefix = f"{PREFIX}{label_set}."
        gaussians = {f"{prefix}gaussians.{n}": t for n, t in vars(self.gaussians).items()}
        reference = {
            f"{prefix}reference.{m}": torch.from_numpy(s) for m, s in self.reference.items()
        }
        return {**gaussians, **reference, f"{prefix}samples": torch.tensor(self.samples)}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], device: torch.device, label_set: str = ""
    ) -> Self | None:
        """Inverse of `to_tensors`, from all weights of a run; None where these are not there."""
        prefix = f"{PREFIX}{label_set}."
        own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        if not own:
            return None
        gaussians = {n.partition(".")[2]: t for n, t in own.items() if n.startswith("gaussians")}
        reference: dict[Measure, Any] = {m: own[f"reference.{m}"].numpy() for m in MEASURES}
        return cls(ClassGaussians(**gaussians).to(device), reference, int(own["samples"]))


def measure_novelty(classifier: Classifier, dataset: Dataset, samples: int) -> Novelty:
    """What a run is to keep: Gaussians of its training pixels, scores of the validation pixels.

    Validation pixels of a class without training pixels are left out: to the run they are novel.
    """
    rows = dataset.rows(Part.TRAIN)
    x = torch.from_numpy(classifier.scaler.transform(dataset.spectra(rows)))
    gaussians = ClassGaussians.fit(x, torch.from_numpy(dataset.label[rows].astype(np.int64)))
    gaussians = gaussians.to(classifier.device)
    telling = replace(classifier, novelty=Novelty(gaussians, {}, samples))
    others = dataset.rows(Part.VALIDATION)
    others = others[np.isin(dataset.label[others], dataset.label[rows])]
    raw = dataset.spectra(others)
    scores = {m: np.sort(telling.novelty_score(raw, m, samples)) for m in MEASURES}
    return Novelty(gaussians, scores, samples)
