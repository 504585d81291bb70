"""Every numbered bound, as a cost to minimise, one value a pixel, in the paper's order.

Kingma, Rezende, Mohamed, Welling 2014, "Semi-supervised learning with deep generative models"
(arXiv:1406.5298). A bound on log p is minus its cost: log p(x) >= -J(x), and so on. Where a cost
depends on the class, the class axis comes first: `(K, N)`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def kl_per_unit(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each latent unit, shape of `mean`, in nats."""
    return 0.5 * (mean * mean + torch.exp(logvar) - logvar - 1)


def cost_j(log_p_x: Tensor, kl: Tensor, kl_weight: float = 1.0) -> Tensor:
    """J(x) = -E_q[log p(x|z)] + KL(q(z|x) || p(z)), `(N,)` (eq. 5).

    `log_p_x (N,)`: log p(x|z) at one reparametrised sample; `kl (N,)`. It is a bound for
    `kl_weight` = 1 only; smaller ones warm a model up.
    """
    return kl_weight * kl - log_p_x


def cost_l(log_p_x: Tensor, log_p_y: Tensor, kl: Tensor, kl_weight: float = 1.0) -> Tensor:
    """L(x, y) = -E_q[log p(x|y,z)] - log p(y) + KL(q(z|x,y) || p(z)) (eq. 6).

    Shapes `(N,)` with the label, or `(K, N)` for every class, with `log_p_y (N,)` or `(K, 1)`.
    """
    return kl_weight * kl - log_p_x - log_p_y


def cost_u(costs: Tensor, log_q: Tensor) -> Tensor:
    """U(x) = sum_y q(y|x) L(x, y) - H(q(y|x)), `(N,)`, the sum exact (eq. 7).

    `costs (K, N)`: L(x, y); `log_q (K, N)`: log q(y|x).
    """
    return (log_q.exp() * (costs + log_q)).sum(0)


def mean_j(labelled: Tensor, unlabelled: Tensor, *, n_labelled: int, n_unlabelled: int) -> Tensor:
    """J / N, a scalar, from the means of L and U over a labelled and an unlabelled batch (eq. 8).

    J = sum_labelled L + sum_unlabelled U. A mean over a batch of any size estimates the mean over
    its pool, so with N = N_l + N_u, J / N = (N_l / N) mean L + (N_u / N) mean U. An empty pool has
    n = 0 and any finite mean.
    """
    n = n_labelled + n_unlabelled
    return (n_labelled / n) * labelled + (n_unlabelled / n) * unlabelled


def objective(j: Tensor, cross_entropy: Tensor, *, alpha: float) -> Tensor:
    """J_alpha / N, a scalar, from J / N and the mean of -log q(y|x) over labelled pixels (eq. 9).

    J_alpha = J + alpha' E_labelled[-log q(y|x)] with alpha' = alpha N, so
    J_alpha / N = J / N + alpha E_labelled[-log q(y|x)]. Seen from one labelled pixel, that is a
    weight of alpha N / N_l on its cross-entropy beside 1 on its L: 0.1 N / N_l as in the paper.
    """
    return j + alpha * cross_entropy


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log (1/S) sum_s w_s over the first axis.

    With log w = log p(x, z) - log q(z|x) it is the importance-weighted bound, tighter with S
    (Burda, Grosse, Salakhutdinov 2015).
    """
    count = torch.tensor(float(len(log_weights)))
    return torch.logsumexp(log_weights, dim=0) - torch.log(count)
