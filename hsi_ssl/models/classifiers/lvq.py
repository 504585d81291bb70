"""Learning vector quantisation as a classifier; its rules are in `models/quantisers/lvq.py`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.classifiers.base import ClassifierModel, Findings
from hsi_ssl.models.moving import sent
from hsi_ssl.models.networks import Architecture
from hsi_ssl.models.quantisers.lvq import LVQ, RULES, LVQCard


@dataclass(frozen=True)
class LVQArchitecture(Architecture):
    """Width of inputs, classes, and the options: `prototypes` a class, `rule` and how it learns.

    `window` is the relative width of that about a border (LVQ2.1, LVQ3), `epsilon` how much two
    prototypes of the right class learn (LVQ3), `rate` that of learning, which falls to 0 over
    so many `passes` over the pixels.
    """

    width: int
    counts: tuple[int, ...]
    prototypes: int = 8
    rule: str = "lvq3"
    window: float = 0.3
    epsilon: float = 0.2
    rate: float = 0.05
    passes: int = 24

    def __post_init__(self) -> None:
        wrong = [
            f"{name} {getattr(self, name)!r} (expected {expected})"
            for name, expected, right in (
                ("prototypes", "1 or more", self.prototypes >= 1),
                ("rule", " or ".join(RULES), self.rule in RULES),
                ("window", "between 0 and 1", 0 < self.window < 1),
                ("epsilon", "from 0 to 1", 0 <= self.epsilon <= 1),
                ("rate", "between 0 and 1", 0 < self.rate < 1),
                ("passes", "1 or more", self.passes >= 1),
            )
            if not right
        ]
        if wrong:
            raise ValueError(f"no {', '.join(wrong)}; give another with --option")


class LabelledPrototypes(ClassifierModel):
    """A pixel is of the class of the nearest prototype; learnt from labelled pixels alone.

    Of them each once, and as many again drawn equally over classes, so that rare ones count.
    """

    title = "LVQ"
    in_words = (
        "LVQ (Kohonen 1990): prototypes drawn to spectra of their class and pushed from others; "
        "confidence from distances, no bound on a likelihood"
    )
    architecture_type = LVQArchitecture
    closed_form = True

    def __init__(self, architecture: LVQArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        self.codebook = LVQ(
            LVQCard(
                a.width, a.counts[0], a.prototypes, a.rule, a.window, a.epsilon, a.rate, a.passes
            )
        )

    def log_q_y(self, x: Tensor) -> Tensor:
        """Confidence as log q(y|x) `(N, K)` of inputs `(N, D)`, from distances to prototypes."""
        return self.codebook.log_q_y(x)

    def solve(self, x: Tensor, y: Tensor, every: Tensor, generator: torch.Generator) -> None:
        """Learn from labelled inputs `(n, D)` with classes `(n, 1)`.

        Raises
        ------
        ModelError
            A class has no pixel; prototypes ran off.
        """
        del every
        known = torch.nonzero(y[:, 0] >= 0).flatten()
        x, truth = x[known], y[known, 0]
        weight = 1 / torch.bincount(truth).to(x.dtype)[truth]
        again = torch.multinomial(weight.cpu(), len(truth), replacement=True, generator=generator)
        drawn = sent(again, x.device)
        self.codebook.fit(torch.cat([x, x[drawn]]), generator, torch.cat([truth, truth[drawn]]))

    def findings(self, every: Tensor, generator: torch.Generator) -> Findings:
        """Prototypes that win nothing among all training pixels."""
        del generator
        count = len(self.codebook.weights)
        won = torch.bincount(self.codebook.assign(every), minlength=count)
        dead = int((won == 0).sum())
        said = ["LVQ is no model of probability: its confidence comes from distances"]
        if dead:
            said.append(f"{dead} of {count} prototypes win no training pixel")
        return Findings({"prototypes": float(count), "dead_prototypes": float(dead)}, said)
