"""Tables of what q gives every combination of some label sets, and expectations over them.

A table holds the log-probability of every combination, `(..., N, M)`, the last label set's class
running fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.bounds import cost_u, cost_u_of_some, some_classes

FORBIDDEN = -1e4
"""log of what cannot be; finite, so that nothing times it is nothing."""


def combinations(counts: Sequence[int], device: torch.device) -> Tensor:
    """Classes `(sets, M)` of every combination, in the order of tables."""
    axes = [torch.arange(count, device=device) for count in counts]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)


def allowed(y: Tensor, states: Tensor) -> Tensor:
    """Which combinations `states (sets, M)` labels `y (N, sets)`, -1 unknown, leave: `(N, M)`."""
    known = y[..., None]
    fits: Tensor = (known < 0) | (known == states)
    return fits.all(dim=1)


def conditioned(table: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """What is known taken into account: log q(known), `(..., N)`, and log q(rest | known).

    `table (..., N, M)`; `left (N, M)`: combinations that what is known leaves. The second result is
    a table with `FORBIDDEN` for the others.
    """
    log_known = torch.logsumexp(table.masked_fill(~left, -torch.inf), dim=-1)
    return log_known, (table - log_known[..., None]).masked_fill(~left, FORBIDDEN)


def marginals(table: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """log q of each label set, `(..., K)`, of a table `(..., M)` of all of them."""
    if len(counts) == 1:
        return [table]
    whole = table.unflatten(-1, tuple(counts))
    axes = range(-len(counts), 0)
    return [torch.logsumexp(whole, dim=[other for other in axes if other != axis]) for axis in axes]


def independent(log_q: Sequence[Tensor]) -> Tensor:
    """The table `(N, M)` of label sets that depend on nothing but x, of log q `(N, K)` of each."""
    table = log_q[0]
    for of_set in log_q[1:]:
        table = (table[..., None] + of_set[:, None, :]).flatten(1)
    return table


@dataclass(frozen=True)
class Chosen:
    """Combinations by number, `which (n, ..., N or 1)`, that stand for all.

    `shares (n, ..., N)`: what each stands for; `known`: there is nothing to sum over, as every
    pixel's labels are known.
    """

    which: Tensor
    shares: Tensor
    known: bool = False

    def classes(self, states: Tensor) -> list[Tensor]:
        """Classes, of the shape of `which`, of each label set of `states (sets, M)`."""
        return [of_set[self.which] for of_set in states]


def choose(table: Tensor, known: bool, exact: int | None, generator: torch.Generator) -> Chosen:
    """Combinations to take the expectation over `table (..., N, M)` by.

    `known`: whether the table leaves each pixel one combination. `exact`: of how many, the most
    probable ones of each pixel, the sum is exact; one drawn stands for the rest; None: of all.
    """
    log_q = table.movedim(-1, 0)
    if known:
        which = table.detach().argmax(-1)[None]
        return Chosen(which, torch.ones_like(which, dtype=table.dtype), known=True)
    if exact is None or exact + 1 >= len(log_q):
        which = torch.arange(len(log_q), device=table.device).view(-1, *[1] * (table.ndim - 1))
        return Chosen(which, log_q.exp())
    which, shares = some_classes(log_q.flatten(1), exact, generator)
    shape = (-1, *log_q.shape[1:])
    return Chosen(which.view(shape), shares.view(shape))


def expected(costs: Tensor, chosen: Chosen, table: Tensor) -> Tensor:
    """Mean of `costs (n, ..., N)` over combinations, minus the entropy of `table (..., N, M)`."""
    if chosen.known:
        return costs[0]
    log_q = table.movedim(-1, 0)
    if len(costs) == len(log_q):
        return cost_u(costs, log_q)
    return cost_u_of_some(costs, chosen.shares, log_q)
