"""How little a spectrum is explained: a score, and its rank among those of validation pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.errors import ModelError
from hsi_ssl.inference.appearance import Appearance
from hsi_ssl.inference.ranks import Ranks

Floats = npt.NDArray[np.float32]
Measure = Literal["classes", "likelihood"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""How little what is labelled explains it (`Appearance`), or minus log p(x) by the whole generative
model."""
PREFIX = "novelty."


@dataclass(frozen=True)
class Novelty:
    """What a run keeps to tell novelty by.

    `reference`: the scores of the validation pixels and of what surrounds them, by measure; those
    by the likelihood were made with `samples` samples.
    """

    appearance: Appearance
    reference: dict[Measure, Ranks]
    samples: int

    def p_values(self, score: Floats, around: Floats, measure: Measure) -> Floats:
        """p `(n,)` in (0, 1] of pixels with a score and with medians of their surroundings.

        See `Ranks.p_values`.
        """
        p: Floats = self.reference[measure].p_values(score, around).astype(np.float32)
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

    def to_tensors(self, place: int) -> dict[str, Tensor]:
        """As weights of a run, by name; `place`: of the label set among the run's."""
        prefix = f"{PREFIX}{place}."
        appearance = {f"{prefix}{n}": t for n, t in self.appearance.to_tensors().items()}
        reference = {
            f"{prefix}{name}.{measure}": torch.from_numpy(scores)
            for measure, ranks in self.reference.items()
            for name, scores in (("reference", ranks.alone), ("around", ranks.around))
        }
        return {**appearance, **reference, f"{prefix}samples": torch.tensor(self.samples)}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, Tensor], device: torch.device, place: int
    ) -> Self | None:
        """Inverse of `to_tensors`, from all weights of a run; None where these are not there."""
        prefix = f"{PREFIX}{place}."
        own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        if not own:
            return None
        reference: dict[Measure, Ranks] = {}
        for measure in (m for m in MEASURES if f"reference.{m}" in own):
            alone = own[f"reference.{measure}"]
            # Runs from before surroundings counted have none: they are ranked among single pixels.
            around = own.get(f"around.{measure}", torch.full_like(alone, torch.nan))
            reference[measure] = Ranks(alone.numpy(), around.numpy())
        return cls(Appearance.from_tensors(own).to(device), reference, int(own["samples"]))


def means(raw: npt.NDArray[Any]) -> Floats:
    """Mean of each spectrum's raw values `(n,)`."""
    found: Floats = raw.mean(axis=1, dtype=np.float64).astype(np.float32)
    return found
