"""How q(y|x)'s experts see spectra, and how much each of them counts.

How far noise-scaled components should be brought to equal spread before a network sees them is
different from scene to scene. So each expert sees them at another power of whitening, and
validation pixels, where there are any, say how much to listen to it: by their classes, and
unlabelled ones by how well what an expert finds at one pixel agrees with what it finds beside it.
Without, all count the same: taught by one teacher on many unlabelled pixels they differ little.
"""

from __future__ import annotations

import torch
from torch import Tensor

INDEPENDENT = 0.15
"""How much a held-out pixel counts: it resembles its neighbours, and a lead of a few nats among a
hundred pixels is none. 0.05 to 0.3 are level."""
AGREEMENT = 2.0
"""How much a nat that neighbours tell of each other counts. Few labels of one patch cannot tell an
expert that knows the patch from one that knows the class: on Toulouse all are right there."""
LEAST = 0.05
"""An expert that would count less is left out: its say moves a probability by 0.04 at most."""
TEMPERATURES = (0.15, 0.25, 0.35, 0.5, 0.7, 1.0)
"""Networks trained on few labels are too sure; each is judged at the exponent that suits it."""


def gains(powers: tuple[float, ...], spread: Tensor, noise_sd: Tensor) -> Tensor:
    """What each expert multiplies its input's columns by, `(E, D)`.

    `spread (D,)`: their standard deviations; `noise_sd (D,)`: of their noise, 0 in columns that are
    left as they are. With r = spread / noise_sd, an expert of power p sees a column at a spread in
    proportion to r^(1 - p): at 0 in units of the noise, at 1 all alike. The column of largest r
    stays as it is.
    """
    found = torch.ones(len(powers), len(spread))
    columns = (noise_sd > 0) & (spread > 0)
    if not columns.any():
        return found
    spread = spread[columns]
    ratio = spread / noise_sd[columns]
    top = ratio.argmax()
    for row, power in zip(found, powers, strict=True):
        row[columns] = spread[top] / spread * (ratio / ratio[top]) ** (1 - power)
    return found


def weights(log_q: Tensor, y: Tensor, information: Tensor) -> Tensor:
    """How much each expert counts, `(E,)`, by its log q_e(y|x) `(E, n, K)` on held-out pixels.

    In proportion to the likelihood of their classes `y (n,)`, tempered twice: by the exponent of
    q_e at which the expert is most right, and as few of the pixels are independent; times
    exp(AGREEMENT * `information (E,)`), what unlabelled pixels tell of each other
    (`spatial.information`). 0 below `LEAST`.
    """
    right = y.expand(len(log_q), -1)[..., None]
    by_temperature = [
        torch.log_softmax(t * log_q, dim=-1).gather(-1, right).sum((1, 2)) for t in TEMPERATURES
    ]
    likelihood = torch.stack(by_temperature).amax(0)
    found = torch.softmax(INDEPENDENT * likelihood + AGREEMENT * information, dim=0)
    found = torch.where(found < min(LEAST, 1 / len(found)), 0, found)
    return found / found.sum()


def weights_of_label_sets(log_q: list[Tensor], y: Tensor, information: Tensor) -> Tensor:
    """`weights` of each label set, `(V, E)`, by its pixels of `y (n, V)`, -1 where not known."""
    return torch.stack(
        [
            weights(of_set[:, column >= 0], column[column >= 0], tells)
            for of_set, column, tells in zip(log_q, y.T, information, strict=True)
        ]
    )


def in_words(powers: tuple[float, ...], weight: Tensor) -> str:
    """The weights of experts, of which one more than powers sees M1's features, for people."""
    names = [*(f"{p:g}" for p in powers), "M1's features"]
    shares = ", ".join(f"{n}: {w:.0%}" for n, w in zip(names, weight.tolist(), strict=False))
    found = f"experts by power of whitening, as pixels weigh them: {shares}"
    with_m1 = len(weight) > len(powers)
    return f"{found}; maps are made without M1" if with_m1 and not weight[-1] else found
