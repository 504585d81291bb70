"""Where free slots start in scenes: groups told apart in units of how labelled classes scatter.

Within a class pixels differ by light, water, grain and by how much of the class they hold. Labels
show the first three: x is taken in units of the scatter within labelled classes (as in linear
discriminant analysis), where noise and nuisance count alike in every direction and what tells
materials apart stands out. Then the grid helps: means over neighbours have less of both. What is
mixed in shows as a ray: fragments of one material lie in one direction from the scene's middle, at
different distances. So many small groups are fitted; those that are part of a labelled class are
given back to it, fragment by fragment, and the others in one direction are put together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hsi_ssl.training.slot_start import first_guess, given_back, held_mixture

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FRAGMENTS = 3
"""Groups that are fitted for each free slot, before they are put together."""
SMOOTHINGS = 1
DIRECTIONS = 15
SHRINKAGE = 0.1
"""Share of the scatter that is taken without correlations: labelled pixels are few."""
ONE_DIRECTION = 0.45
"""Cosine above which groups are one. On the simulated core true parts of one mineral have 0.65 and
more, of two 0.48 and less; fitted parts have less."""
FEWEST = 20
"""Pixels of a group."""


def start_in_scenes(
    x: Floats, neighbours: Ints, labels: Ints, log_prior: Floats, classes: int, seed: int
) -> Floats:
    """First q(y) `(N, S)` of pixels `x (N, D)` over `classes` labelled classes and free slots.

    `neighbours (N, 8)`: rows of the pixels beside each, -1 where there is none; `labels (N,)`:
    classes 0.. of labelled pixels, -1 elsewhere; `log_prior (S,)`: log p(y).
    """
    free = len(log_prior) - classes
    x = by_scatter(x, labels)
    seen = principal(smoothed(x, neighbours, SMOOTHINGS), DIRECTIONS)
    many = np.concatenate([log_prior[:classes], np.repeat(log_prior[classes:], FRAGMENTS)])
    many -= np.log(np.exp(many).sum())
    q = first_guess(seen, labels, classes, len(many), np.random.default_rng(seed))
    q = held_mixture(seen, q, labels, many)
    q = given_back(q, labels, classes)
    groups = by_direction(x, q, classes)
    found = np.zeros((len(x), len(log_prior)))
    found[:, :classes] = q[:, :classes]
    for slot, group in enumerate(_at_most(free, x, q, groups), start=classes):
        found[:, slot] = q[:, group].sum(1)
    found /= np.maximum(found.sum(1, keepdims=True), np.finfo(float).tiny)
    rows = np.flatnonzero(labels >= 0)
    found[rows] = np.eye(len(log_prior))[labels[rows]]
    return found


def by_scatter(x: Floats, labels: Ints) -> Floats:
    """`x (N, D)`, centred at its median, in units of the scatter within labelled classes.

    Without two labelled pixels of one class, in units of its own variances.
    """
    apart = [x[labels == k] - x[labels == k].mean(0) for k in np.unique(labels[labels >= 0])]
    freedom = sum(len(a) - 1 for a in apart)
    middle = np.median(x, axis=0)
    if not freedom:
        return np.asarray((x - middle) / np.maximum(x.std(0), np.finfo(float).tiny))
    scatter = sum(a.T @ a for a in apart) / freedom
    variances = np.diag(scatter)
    least = max(1e-6 * float(variances.max()), np.finfo(float).tiny)
    scatter = (1 - SHRINKAGE) * scatter + np.diag(SHRINKAGE * variances + least)
    return np.asarray(np.linalg.solve(np.linalg.cholesky(scatter), (x - middle).T).T)


def smoothed(x: Floats, neighbours: Ints, times: int) -> Floats:
    """Each pixel's mean with the neighbours it has, `times` over, `(N, D)`."""
    for _ in range(times):
        total, count = x.copy(), np.ones(len(x))
        for column in neighbours.T:
            there = column >= 0
            total[there] += x[column[there]]
            count += there
        x = total / count[:, None]
    return x


def principal(x: Floats, width: int) -> Floats:
    """`x (N, D)` along its `width` main directions."""
    x = x - x.mean(0)
    return np.asarray(x @ np.linalg.eigh(x.T @ x)[1][:, ::-1][:, :width])


def by_direction(x: Floats, q: Floats, classes: int) -> list[list[int]]:
    """Columns of `q (N, S)` after the first `classes`, put together by the direction of their mean.

    `x (N, D)`: its middle is 0. The two most alike become one as long as their means' cosine is
    above `ONE_DIRECTION`. Columns of a handful of pixels are left out. Largest first.
    """
    mass = q.sum(0)
    groups = [[s] for s in range(classes, q.shape[1]) if mass[s] >= FEWEST]
    while len(groups) > 1:
        means = _means(x, q, groups)
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(float).tiny)
        cosine = means @ means.T
        np.fill_diagonal(cosine, -np.inf)
        one, other = sorted(divmod(int(cosine.argmax()), len(groups)))
        if cosine[one, other] < ONE_DIRECTION:
            break
        groups[one] += groups.pop(other)
    return sorted(groups, key=lambda group: -mass[group].sum())


def _at_most(count: int, x: Floats, q: Floats, groups: list[list[int]]) -> list[list[int]]:
    """The `count` largest groups, each of the others added to the nearest of them."""
    kept = [list(group) for group in groups[:count]]
    if groups[count:]:
        means = _means(x, q, kept)
        for group, mean in zip(groups[count:], _means(x, q, groups[count:]), strict=True):
            kept[int(((means - mean) ** 2).sum(1).argmin())] += group
    return kept


def _means(x: Floats, q: Floats, groups: list[list[int]]) -> Floats:
    weights = np.stack([q[:, group].sum(1) for group in groups])
    return np.asarray(weights @ x / np.maximum(weights.sum(1), 1e-300)[:, None])
