"""A Potts prior on the grid: neighbouring pixels tend to be of one class.

p(y_1..y_N) is proportional to exp(beta * number of neighbouring pairs of one class), and q is the
product of one q_i(y) a pixel. Mean field (Zhang, Modestino, Langan 1994; Koller and Friedman
2009, section 11.5) repeats

    q_i(y)  proportional to  exp(log f_i(y) + beta * sum over neighbours j of q_j(y)),

f_i(y) being what pixel i says for itself. Neighbours are a list `(N, 8)` of rows, -1 where there
is none, so that tiles, ragged scenes and several scenes at once are all the same.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STRONGEST = 1.5
"""Where the search for a strength ends: eight neighbours then outweigh any spectrum."""
STEPS_OF_STRENGTH = 31
ENOUGH = 20_000
"""Pixels that a strength is learnt from, at most, spread over all."""
SWEEPS = 10


def votes(q: Tensor, neighbours: Tensor) -> Tensor:
    """Sum of the neighbours' q_j(y), `(n, K)`, of `q (N, K)` and `neighbours (n, 8)`."""
    nobody = torch.cat([q, q.new_zeros(1, q.shape[1])])  # row -1: no neighbour, no vote
    found = nobody[neighbours[:, 0]]
    for column in neighbours.T[1:]:
        found += nobody[column]
    return found


def mean_field(
    log_f: Tensor,
    neighbours: Tensor,
    strength: float,
    known: Tensor | None = None,
    sweeps: int = SWEEPS,
) -> Tensor:
    """q `(N, K)` after some sweeps over all pixels at once, started at the pixels' own f.

    `log_f (N, K)`: log q(y|x) or any log-evidence, up to a constant a pixel; `strength`: beta, 0
    gives f back; `known (N,)`: classes that are known, -1 elsewhere: these pixels vote for them
    and keep them.
    """
    q = torch.softmax(log_f, dim=-1)
    if known is not None:
        is_known = (known >= 0)[:, None]
        sure = F.one_hot(known.clamp(min=0), log_f.shape[1]).to(q.dtype)
        q = torch.where(is_known, sure, q)
    if not strength:
        return q
    for _ in range(sweeps):
        q = torch.softmax(log_f + strength * votes(q, neighbours), dim=-1)
        if known is not None:
            q = torch.where(is_known, sure, q)
    return q


def learnt_strength(q: Tensor, neighbours: Tensor, log_prior: Tensor) -> float:
    """The beta at which the neighbours predict a pixel best, from 0 upwards.

    Maximises the pseudo-likelihood (Besag 1975) of independent per-pixel `q (N, K)`: the mean of
    sum_y q_i(y) log p(y | neighbours), p proportional to exp(log p(y) + beta * votes), with
    `log_prior (K,)`. Where neighbours differ as much as any two pixels it is 0, as it is where no
    pixel has a neighbour.
    """
    strengths, fits = _pseudo_likelihoods(q, neighbours, log_prior)
    return float(strengths[fits.argmax()])  # the first of equal ones: the weakest


def information(q: Tensor, neighbours: Tensor) -> float:
    """How much the neighbours tell of a pixel's class, in nats, 0 where there are none.

    A lower bound on the mutual information between a pixel's class, drawn from `q (N, K)`, and its
    neighbours' `neighbours (N, 8)`: the entropy of the mean q less the cross-entropy that the Potts
    prior of best strength leaves. Classes that follow noise have none, and neither has one class
    for everything.
    """
    shares = q.mean(0).clamp(min=torch.finfo(q.dtype).tiny)
    _, fits = _pseudo_likelihoods(q, neighbours, shares.log())
    return float(fits.max() - fits[0])


def _pseudo_likelihoods(q: Tensor, neighbours: Tensor, log_prior: Tensor) -> tuple[Tensor, Tensor]:
    """Strengths from 0 upwards and the mean log pseudo-likelihood at each; all 0 without pairs."""
    strengths = torch.linspace(0, STRONGEST, STEPS_OF_STRENGTH, device=q.device)
    rows = torch.nonzero((neighbours >= 0).any(dim=1)).flatten()
    if not len(rows):
        return strengths, torch.zeros_like(strengths)
    rows = rows[:: -(-len(rows) // ENOUGH)]
    votes_for, q = votes(q, neighbours[rows]), q[rows]
    fits = [
        (q * torch.log_softmax(log_prior + strength * votes_for, dim=-1)).sum(-1).mean()
        for strength in strengths
    ]
    return strengths, torch.stack(fits)
