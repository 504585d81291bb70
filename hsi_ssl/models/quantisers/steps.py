"""Online steps taken together: the winners of a small batch are looked up once.

The online rules of this package all read

    w_i += a_i(x) (x - w_i),

spectrum after spectrum, and differ in the rates a_i(x). Taken one by one they would use little of
what a processor can do. So the winners of a small batch are looked up together, and its steps are
then made in their order, in closed form; with one spectrum a batch this is the online rule itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from hsi_ssl.models.moving import sent
from hsi_ssl.models.quantisers.base import Told

WINS_A_BATCH = 2
"""Spectra of a batch, for each prototype: so few that no winner moves far while it counts."""
SMALL_STEP = 2**24
"""Products of a step below which one thread is as fast as several."""


def after_steps(weights: Tensor, x: Tensor, rates: Tensor) -> Tensor:
    """Prototypes `(C, D)` after the steps w_i += a_ik (x_k - w_i), k = 1, ..., B, in this order.

    `x (B, D)`, `rates (B, C)`. In closed form: w_i prod_k (1 - a_ik) + sum_k a_ik prod_{l>k}
    (1 - a_il) x_k.
    """
    kept = (1 - rates).flip(0).cumprod(0).flip(0)
    later = torch.cat([kept[1:], torch.ones_like(kept[:1])])
    return kept[0][:, None] * weights + (rates * later).T @ x


def online_in_batches(
    weights: Tensor,
    x: Tensor,
    rates: Callable[[Tensor, Tensor, float], Tensor],
    epochs: int,
    generator: torch.Generator,
    told: Told,
    batch: int | None = None,
) -> Tensor:
    """Prototypes after an online rule has seen spectra `(N, D)` so many times, in random order.

    `rates` of the prototypes, some rows of `x`, and the share of all steps that is done: `(B, C)`.
    `batch`: by default some spectra a prototype; 1 is the online rule.
    """
    size = batch or WINS_A_BATCH * len(weights)
    steps = epochs * math.ceil(len(x) / size)
    done = 0
    with _few_threads(size * weights.numel()):
        for epoch in range(epochs):
            order = sent(torch.randperm(len(x), generator=generator), x.device)
            for rows in order.split(size):
                weights = after_steps(weights, x[rows], rates(weights, rows, done / steps))
                done += 1
            told(epoch + 1, epochs)
    return weights


@contextmanager
def _few_threads(products: int) -> Iterator[None]:
    """Within it a processor computes with one thread where a step has few products.

    Threads that share a step this small wait for each other longer than they work, and where other
    programs keep the processor busy a hundred times longer.
    """
    threads = torch.get_num_threads()
    if products < SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def drawn(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` of the spectra `(N, D)`, no one twice."""
    return x[sent(torch.randperm(len(x), generator=generator)[:count], x.device)].clone()
