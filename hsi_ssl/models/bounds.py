"""Every numbered bound, as a cost to minimise, one value a pixel, in the paper's order.

Kingma, Rezende, Mohamed, Welling 2014, "Semi-supervised learning with deep generative models"
(arXiv:1406.5298), where no other paper is named. A bound on log p is minus its cost: log p(x) >=
-J(x), and so on. Where a cost depends on the class, the class axis comes first: `(K, N)`.

GM-DGM's bound (Willetts et al. 2018, arXiv:1810.12176) is `cost_l` and `cost_u` with the KL
divergence from p(z|y) in the place of that from p(z) (`kl_between`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hsi_ssl.models.draws import drawn


def kl_per_unit(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each latent unit, shape of `mean`, in nats."""
    return 0.5 * (mean * mean + torch.exp(logvar) - logvar - 1)


def kl_between(mean: Tensor, logvar: Tensor, p_mean: Tensor, p_logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(p_mean, exp(p_logvar))) `(...)`, summed over units."""
    white = (mean - p_mean) * torch.exp(-0.5 * p_logvar)
    return kl_per_unit(white, logvar - p_logvar).sum(-1)


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


def cost_u_of_some(costs: Tensor, shares: Tensor, log_q: Tensor) -> Tensor:
    """U(x) `(N,)` from some classes a pixel, unbiased in value and gradient.

    `costs (S, N)`: L(x, y) of the S - 1 most probable classes and of one drawn from the rest;
    `shares (S, N)`: what each stands for (see `some_classes`); `log_q (K, N)`. The entropy is
    exact. What the known classes cost is taken off all costs: a shift changes nothing of the sum,
    as the shares sum to 1, and makes the gradient at q(y|x) less noisy (Liu et al. 2019,
    arXiv:1810.04777, section 4).
    """
    known = shares[:-1].detach()
    level = ((known * costs[:-1]).sum(0) / known.sum(0)).detach()
    return (shares * (costs - level)).sum(0) + level + (log_q.exp() * log_q).sum(0)


def some_classes(log_q: Tensor, exact: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The most probable classes of each pixel and one drawn from the rest: `(exact + 1, N)` twice.

    `log_q (K, N)`. The first result is the classes. The second is their shares: q(y|x) of the
    first, all that is left for the drawn one, and its derivative is that of q(y|x) times how
    rarely it is drawn. So sum_s share_s f(y_s) has the mean sum_y q(y|x) f(y) and its gradient.
    """
    top = log_q.detach().topk(exact, dim=0).indices
    rest = log_q.detach().scatter(0, top, -torch.inf)
    # The first to ring of exponential clocks with these rates is a draw from them.
    uniform = drawn(
        torch.rand, rest.shape, generator, axis=-1, device=rest.device, dtype=rest.dtype
    )
    one = (rest - torch.log(-torch.log(uniform))).argmax(0, keepdim=True)
    classes = torch.cat([top, one])
    log_shares = log_q.gather(0, classes)
    log_left = torch.logsumexp(rest, 0)
    weight = torch.cat([torch.zeros_like(log_shares[:-1]), (log_left - log_shares[-1:]).detach()])
    return classes, torch.exp(log_shares + weight)


def cost_l_sup(costs: Tensor, log_weights: Tensor, samples: int) -> Tensor:
    """Minus L_sup, the bound where labels depend on z, `(N,)` (Siddharth et al. 2017, section 3.1).

    The expectation under q(z, labels | x, what is known) by self-normalised importance sampling:
    `samples` of z come from q(z | x, ...) and are weighted by how well they explain what is known.
    `costs (n, N)`: minus the inside of the bound, where a sample may come with several combinations
    of labels that stand before it; `log_weights (n, N)`: log q(what is known | x, z) of each, with
    the combination's share. Summed over a sample's combinations, the mean weight estimates q(what
    is known | x), whose logarithm is part of the bound.
    """
    weights = torch.softmax(log_weights, dim=0)
    normaliser = torch.log(torch.tensor(float(samples)))
    return (weights * costs).sum(0) - (torch.logsumexp(log_weights, dim=0) - normaliser)


def mean_j(labelled: Tensor, unlabelled: Tensor, *, share_unlabelled: float) -> Tensor:
    """J / N, a scalar, from the means of L and U over a labelled and an unlabelled batch (eq. 8).

    J = sum_labelled L + sum_unlabelled U. A mean over a batch of any size estimates the mean over
    its pool, so with N = N_l + N_u, J / N = (N_l / N) mean L + (N_u / N) mean U.
    `share_unlabelled`: N_u / N; an empty pool has any finite mean.
    """
    return (1 - share_unlabelled) * labelled + share_unlabelled * unlabelled


def objective(costs: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """J_alpha / N and what else is minimised, a scalar: the weighted sum of terms (eq. 9).

    J_alpha = J + alpha' E_labelled[-log q(y|x)] with alpha' = alpha N, so
    J_alpha / N = J / N + alpha E_labelled[-log q(y|x)]: terms (J / N, E[-log q]) with the weights
    (1, alpha). Seen from one labelled pixel, that is a weight of alpha N / N_l on its cross-entropy
    beside 1 on its L: 0.1 N / N_l as in the paper.
    """
    return torch.stack([w * c for w, c in zip(weights, costs, strict=True)]).sum()


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """log (1/S) sum_s w_s over the first axis.

    With log w = log p(x, z) - log q(z|x) it is the importance-weighted bound, tighter with S
    (Burda, Grosse, Salakhutdinov 2015).
    """
    count = torch.tensor(float(len(log_weights)))
    return torch.logsumexp(log_weights, dim=0) - torch.log(count)
