"""Where free slots start: groups of pixels that no label speaks for, found before the training.

Started at random, free slots compete with labelled classes that already know what they are, and
lose: they stay empty, or share one group. So the first distribution over slots comes from a plain
model, a Gaussian mixture over the leading eigenvectors of the graph of nearest neighbours
(Coifman and Lafon 2006, "Diffusion maps"), in which the labelled pixels keep their class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.training.propagation import FeatureGraph

Floats = npt.NDArray[np.float64]

SWEEPS = 40
TRIALS = 8
"""Candidates for each new centre, of which the best is taken (greedy k-means++)."""
LEAST_VARIANCE = 1e-2
"""In units of the embedding's own, added to each component's: none falls onto one pixel."""
NEARLY_ALL = 0.9
"""Share of a free slot's pixels that labelled classes must explain to be given it."""


def start_of_slots(
    graph: FeatureGraph, known: Tensor, log_prior: Tensor, classes: int, seed: int
) -> Tensor:
    """First q(y) `(N, S)` of the graph's pixels over `classes` labelled classes and free slots.

    `known (N,)`: classes 0.. of labelled pixels, -1 elsewhere; `log_prior (S,)`: log p(y).
    """
    x = graph.embedding(len(log_prior) - 1, seed)
    labels = known.cpu().numpy()
    rng = np.random.default_rng(seed)
    q = first_guess(x, labels, classes, len(log_prior), rng)
    q = held_mixture(x, q, labels, log_prior.cpu().double().numpy())
    q = given_back(q, labels, classes)
    rows = np.flatnonzero(labels >= 0)
    q[rows] = np.eye(len(log_prior))[labels[rows]]
    return torch.from_numpy(q).to(known.device, log_prior.dtype)


def first_guess(
    x: Floats, labels: npt.NDArray[np.int64], classes: int, slots: int, rng: np.random.Generator
) -> Floats:
    """Each pixel `(N, S)` to the nearest centre: class means, and pixels far from all centres."""
    centres = [x[labels == k].mean(0) for k in range(classes) if np.any(labels == k)]
    squares = np.stack([((x - c) ** 2).sum(1) for c in centres], 1)
    owners = [k for k in range(classes) if np.any(labels == k)]
    nearest = squares.min(1)
    for slot in range(classes, slots):
        total = nearest.sum()
        share = nearest / total if total > 0 else None
        trials = rng.choice(len(x), min(TRIALS, len(x)), p=share)
        each = [((x - x[place]) ** 2).sum(1) for place in trials]
        best = min(each, key=lambda d: float(np.minimum(nearest, d).sum()))
        squares = np.concatenate([squares, best[:, None]], 1)
        nearest = np.minimum(nearest, best)
        owners.append(slot)
    q = np.zeros((len(x), slots))
    q[np.arange(len(x)), np.array(owners)[squares.argmin(1)]] = 1
    return q


def held_mixture(x: Floats, q: Floats, labels: npt.NDArray[np.int64], log_prior: Floats) -> Floats:
    """Posterior `(N, S)` of a Gaussian mixture with shares p(y) after some sweeps of EM from `q`.

    `x (N, D)`: of unit variance; `labels (N,)`: components that labelled pixels keep while the
    mixture is fitted, -1 elsewhere. The result is what it says of each pixel by its place alone.
    """
    rows = np.flatnonzero(labels >= 0)
    sure = np.eye(q.shape[1])[labels[rows]]
    floor = LEAST_VARIANCE * np.eye(x.shape[1])
    for _ in range(SWEEPS):
        q = q.copy()
        q[rows] = sure
        log_p = np.tile(log_prior, (len(x), 1))
        for s, weights in enumerate(q.T):
            mass = weights.sum()
            if mass < 1:  # nobody's: it may not come back as a point
                log_p[:, s] = -np.inf
                continue
            apart = x - weights @ x / mass
            cholesky = np.linalg.cholesky((apart * weights[:, None]).T @ apart / mass + floor)
            white = np.linalg.solve(cholesky, apart.T)
            log_p[:, s] -= 0.5 * (white * white).sum(0) + np.log(np.diag(cholesky)).sum()
        q = np.exp(log_p - log_p.max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
    return q


def given_back(q: Floats, labels: npt.NDArray[np.int64], classes: int) -> Floats:
    """`q (N, S)` with free slots that are part of a labelled class added to that class.

    A class may be several groups. The labelled pixels of class k say which shares f_ks of it lie in
    each slot s, so sizes n_k >= 0 of the classes with sum_k n_k f_ks near the slots' sizes m_s say
    how much of each slot labelled classes explain. Where that is nearly all of it, the slot is
    given to the class that explains most.
    """
    mass = np.maximum(q.sum(0), 1.0)
    rows = np.flatnonzero(labels >= 0)
    counts = np.bincount(labels[rows], minlength=classes)[:classes]
    shares = np.eye(classes)[labels[rows]].T @ q[rows] / np.maximum(counts, 1)[:, None]
    weights = 1 / np.sqrt(mass)  # as of counts
    from scipy.optimize import nnls  # imported late: most trainings have no free slots

    sizes, _ = nnls((shares * weights).T, mass * weights)
    explained = sizes[:, None] * shares / mass
    found = q.copy()
    for slot in range(classes, q.shape[1]):
        if explained[:, slot].sum() > NEARLY_ALL:
            found[:, explained[:, slot].argmax()] += found[:, slot]
            found[:, slot] = 0
    return found
