"""M2 with several label sets, each known of some pixels, in any declared order of dependence.

Siddharth et al. 2017 (arXiv:1706.00400): variables are label sets y_1, ..., y_V, a latent z and
the spectrum x;

p(y_1, ..., z, x)   product of the declared factors        `generation`
q(y_1, ..., z | x)  product of the declared factors        `inference`

Label sets that come before z in q form one block, those after it another. A block is a table of
all its combinations: what is known of it is taken into account exactly, and its expectation is a
sum over some combinations exactly and one drawn for the rest, as in M2. Where labels come after z,
the samples of z are weighted by how well they explain what is known (self-normalised importance
sampling, section 3.1 there). With one label set before z it is M2, and one sample gives M2's
gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.bounds import cost_l, cost_u_of_some, log_mean_exp, some_classes
from hsi_ssl.models.dependence import LATENT, OBSERVED, generation_of, inference_of
from hsi_ssl.models.labels import (
    Conditional,
    LabelExperts,
    allowed,
    combinations,
    conditioned,
    marginals,
)
from hsi_ssl.models.likelihoods import LOG_2_PI, make_likelihood
from hsi_ssl.models.networks import Architecture, gaussian_head, sample_gaussian

DRAWS, DRAWS_SEED = 8, 1706_0040
"""Samples of z that q(y|x) is predicted with where it depends on z: always the same ones."""
WIDE = 512
"""Numbers of a table that take as much room as a row of a network's layers."""
Given = dict[str, Tensor]


@dataclass(frozen=True)
class JointArchitecture(Architecture):
    """What rebuilds a joint model; fields as in `M2Architecture`.

    `labels` and `counts`: the label sets and how many classes each has; `generation` and
    `inference`: lines as `dependence` reads them.
    """

    width: int
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    generation: tuple[str, ...]
    inference: tuple[str, ...]
    latent: int
    hidden: tuple[int, ...]
    hidden_classifier: tuple[int, ...]
    activation: str
    likelihood: str
    sd_floor: float | tuple[float, ...]
    beside: int = 0
    experts: int = 1


class JointM2(nn.Module):
    """The model. Inputs `(N, D)` are of all columns, the modelled ones first; labels `(N, V)`."""

    draws: Tensor

    def __init__(
        self,
        architecture: JointArchitecture,
        class_priors: Sequence[Tensor],
        generator: torch.Generator,
    ) -> None:
        """`class_priors`: p(y), `(K,)` each; counts only for label sets that depend on nothing."""
        super().__init__()
        a = architecture
        self.architecture = a
        self.counts = dict(zip(a.labels, a.counts, strict=True))
        self.generation = generation_of(a.generation, a.labels)
        self.inference = inference_of(a.inference, a.labels)
        self.before, self.after = self.inference.before_latent, self.inference.after_latent
        self.classifier = LabelExperts(
            a.width + a.beside,
            a.hidden_classifier,
            self.counts,
            self.inference,
            a.latent,
            a.activation,
            generator,
            a.experts,
        )
        self.encoder = Conditional(
            a.width,
            [self.counts[p] for p in self.inference.parents(LATENT)],
            a.hidden,
            2 * a.latent,
            a.activation,
            generator,
        )
        self.decoder = self._conditional(OBSERVED, a.hidden[::-1], a.width, generator)
        self.likelihood = make_likelihood(a.likelihood, a.width, a.sd_floor)
        self.prior = nn.ModuleList()
        """p of each label set and of z given their parents; nothing to learn without any."""
        for i, (name, class_prior) in enumerate(zip(a.labels, class_priors, strict=True)):
            self.register_buffer(f"log_p_{i}", class_prior.log())
            self.prior.append(self._prior(name, len(class_prior), generator))
        self.prior.append(self._prior(LATENT, 2 * a.latent, generator))
        seeded = torch.Generator().manual_seed(DRAWS_SEED)
        self.register_buffer("draws", torch.randn(DRAWS, a.latent, generator=seeded))

    def rows(self, *, every_class: bool) -> int:
        """How many rows of a network's layers a pixel takes, to choose how many go at a time.

        In q(y|x), whose table of all label sets may be large, or with `every_class` in `log_joint`.
        """
        combined = math.prod(self.architecture.counts)
        if every_class:
            return combined
        if not self.after:
            return max(1, combined * len(self.classifier) // WIDE)
        first = math.prod(self.counts[name] for name in self.before)
        return DRAWS * max(first, combined // WIDE)

    def _conditional(
        self, name: str, hidden: Sequence[int], outputs: int, generator: torch.Generator
    ) -> Conditional:
        parents, a = self.generation.parents(name), self.architecture
        return Conditional(
            a.latent * (LATENT in parents),
            [self.counts[p] for p in parents if p != LATENT],
            hidden,
            outputs,
            a.activation,
            generator,
        )

    def _prior(self, name: str, outputs: int, generator: torch.Generator) -> nn.Module:
        parents = self.generation.parents(name)
        if not parents:
            return nn.Identity()
        if LATENT in parents:
            return self._conditional(name, self.architecture.hidden, outputs, generator)
        network = self._conditional(name, (), outputs, generator)
        with torch.no_grad():  # uniform, or N(0, I), until something is learnt
            for table in network.tables:
                table.zero_()
        return network

    def modelled(self, x: Tensor) -> Tensor:
        """The columns of `x (..., D)` that p(x|...) is a density of."""
        return x[..., : self.architecture.width]

    def log_q(self, x: Tensor, draws: Tensor | None = None) -> Tensor:
        """log q(y_1, ..., y_V | x), `(N, M)`: a table of all label sets, in their order.

        `draws (S, J)` or `(S, N, J)`: draws of N(0, I), which count where labels come after z;
        None: always the same ones.
        """
        hidden = self.classifier.hidden(x)
        if not self.after:
            return self._in_order(self.classifier.table(self.before, hidden, {}))
        given = self._every_class(self.before, x)
        mean, logvar = self._q_z(x, given)
        draws = self.draws if draws is None else draws
        eps = draws.view(len(draws), *[1] * (mean.ndim - draws.ndim + 1), *draws.shape[1:])
        z = mean + torch.exp(0.5 * logvar) * eps
        given = {name: y.expand(z.shape[:-1]) for name, y in given.items()}
        after = log_mean_exp(self.classifier.table(self.after, hidden, {**given, LATENT: z}))
        if not self.before:
            return self._in_order(after)
        first = self.classifier.table(self.before, hidden, {})
        whole = first[..., None] + after.movedim(0, -2)
        return self._in_order(whole.flatten(-2))

    def each_marginal(self, x: Tensor, draws: Tensor) -> list[Tensor]:
        """log q_e(y|x) `(E, N, K)` of each label set and expert.

        `x (N, D)`, or `(E, N, D)`, each its own; `draws` as in `log_q`. Where labels come after z
        there is one expert; elsewhere the gradient reaches each label set's own factor alone.
        """
        if self.after:
            table = self.log_q(x[0] if x.ndim > 2 else x, draws)  # noqa: PLR2004
            return marginals(table[None], self.architecture.counts)
        found = self.classifier.each_marginal(self.before, self.classifier.hidden(x))
        of_name = dict(zip(self.before, found, strict=True))
        return [of_name[name] for name in self.architecture.labels]

    def _in_order(self, table: Tensor) -> Tensor:
        """A table in the order of inference, in that of the label sets."""
        names = [*self.before, *self.after]
        wanted = list(self.architecture.labels)
        if names == wanted:
            return table
        lead = table.ndim - 1
        whole = table.unflatten(-1, [self.counts[name] for name in names])
        axes = [*range(lead), *(lead + names.index(name) for name in wanted)]
        found: Tensor = whole.permute(axes).flatten(lead)
        return found

    def _q_z(self, x: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(..., N, J)` of q(z | x, ...)."""
        parents = self.inference.parents(LATENT)
        out = self.encoder(self.modelled(x), *(given[p] for p in parents))
        shape = next(iter(given.values())).shape if given else out.shape[:-1]
        return gaussian_head(out.expand(*shape, -1))

    def cost(
        self,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator,
        *,
        kl_weight: float = 1.0,
        exact: int | None = None,
        samples: int = 1,
        pull: float = 1.0,
    ) -> Tensor:
        """Minus a bound on log p(x, what is known of y), `(N,)`.

        Parameters
        ----------
        y
            `(N, V)` classes, -1 where not known: M2's L where all are, its U where none is.
        exact
            Of how many combinations, the most probable ones of each pixel, each block's sum is
            exact; one drawn stands for the rest. None: of all.
        samples
            Of z a pixel.
        pull
            Share of the gradient that reaches the networks of q(y|...).
        """
        hidden = self.classifier.hidden(x)
        if self.before:
            table = self._table(self.before, hidden, {}, pull)
            block = self._block(self.before, y)
            _, left = conditioned(table, allowed(y[:, block.columns], block.states))
            chosen = _choose(left, y[:, block.columns], exact, generator)
            given = _classes(self.before, block.states, chosen.which)
        else:
            left, chosen, given = None, None, {}
        mean, logvar = self._q_z(x, given)
        wide = (samples, *mean.shape)
        z = sample_gaussian(mean.expand(wide), logvar.expand(wide), generator)
        if not self.after:
            assert left is not None
            assert chosen is not None
            costs = self._cost_without(x, z, given, mean, logvar, kl_weight).mean(0)
            return _expected(costs, chosen, left)
        if not self.before:  # an axis of one, where combinations of labels before z would be
            mean, logvar, z = mean[None], logvar[None], z[:, None]
        given = {name: c.expand(z.shape[:-1]) for name, c in given.items()} | {LATENT: z}
        table = self._table(self.after, hidden, given, pull)
        block = self._block(self.after, y)
        known = y[:, block.columns]
        log_known, rest = conditioned(table, allowed(known, block.states))
        drawn = _choose(rest, known, exact, generator)
        leaves = {**given, **_classes(self.after, block.states, drawn.which)}
        log_ratio = _log_normal(z, mean, logvar) - self._log_p_z(z, leaves)
        costs = kl_weight * log_ratio - self._log_p_labels(leaves) - self._log_p_x(x, z, leaves)
        within = _expected(costs, drawn, rest) + log_known
        log_weight = log_known
        if chosen is not None and left is not None:
            log_share = left.movedim(-1, 0).gather(0, chosen.which)
            within = within + log_share
            log_weight = log_weight + chosen.shares.clamp(min=torch.finfo(x.dtype).tiny).log()
        weights = torch.softmax(log_weight.flatten(0, 1), dim=0)
        log_all = torch.logsumexp(log_weight.flatten(0, 1), dim=0)
        normaliser = torch.log(torch.tensor(float(samples)))
        return (weights * within.flatten(0, 1)).sum(0) - (log_all - normaliser)

    def _every_class(self, names: Sequence[str], x: Tensor) -> Given:
        """Classes `(M, N)` of every combination of some label sets, for every pixel."""
        if not names:
            return {}
        states = combinations([self.counts[name] for name in names], x.device)
        return {name: y[:, None].expand(-1, len(x)) for name, y in zip(names, states, strict=True)}

    def _table(
        self, names: Sequence[str], hidden: Sequence[Sequence[Tensor]], given: Given, pull: float
    ) -> Tensor:
        """A block's table, with that share of the gradient to the networks, and all of it to z."""
        if pull == 1:
            return self.classifier.table(names, hidden, given)
        still = self.classifier.table(names, hidden, given, frozen=True)
        if not pull:
            return still
        moving = self.classifier.table(names, hidden, given)
        return still + pull * (moving - still)

    def _block(self, names: Sequence[str], y: Tensor) -> _Block:
        columns = [self.architecture.labels.index(name) for name in names]
        return _Block(columns, combinations([self.counts[name] for name in names], y.device))

    def _cost_without(
        self, x: Tensor, z: Tensor, given: Given, mean: Tensor, logvar: Tensor, kl_weight: float
    ) -> Tensor:
        """L(x, y) `(S, n, N)` of classes that are given, the KL divergence in closed form."""
        given = {**given, LATENT: z}
        log_p_x = self._log_p_x(x, z, given)
        kl = _kl(mean, logvar, *self._p_z(given))
        return cost_l(log_p_x, self._log_p_labels(given), kl, kl_weight)

    def _log_p_x(self, x: Tensor, z: Tensor, given: Given) -> Tensor:
        return self.likelihood.log_density(self.modelled(x), self._decoded(z, given))

    def _decoded(self, z: Tensor, given: Given) -> Tensor:
        """Output `(..., N, D)` of the decoder."""
        parents = self.generation.parents(OBSERVED)
        found: Tensor = self.decoder(z, *(given[p] for p in parents if p != LATENT))
        return found

    def _log_p_labels(self, given: Given) -> Tensor:
        """log p of the classes that are given, summed over label sets."""
        total = given[LATENT].new_zeros(())
        for i, name in enumerate(self.architecture.labels):
            parents, y = self.generation.parents(name), given[name]
            if not parents:
                log_p: Tensor = self.get_buffer(f"log_p_{i}")
                total = total + log_p[y]
                continue
            numbers = given[LATENT] if LATENT in parents else None
            logits = self.prior[i](numbers, *(given[p] for p in parents if p != LATENT))
            shape = torch.broadcast_shapes(logits.shape[:-1], y.shape)
            log_p = torch.log_softmax(logits, dim=-1).expand(*shape, -1)
            total = total + log_p.gather(-1, y.expand(shape)[..., None])[..., 0]
        return total

    def _p_z(self, given: Given) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of p(z | ...)."""
        parents = self.generation.parents(LATENT)
        if not parents:
            nothing = self.draws.new_zeros(())
            return nothing, nothing
        return gaussian_head(self.prior[-1](None, *(given[p] for p in parents)))

    def _log_p_z(self, z: Tensor, given: Given) -> Tensor:
        return _log_normal(z, *self._p_z(given))

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """Importance-weighted bound on log p(x, y), `(M, N)`, of every combination of labels.

        `eps (S, J)`: draws of N(0, I), the same for every pixel, as in `M2.log_joint`.
        """
        a = self.architecture
        given = self._every_class(a.labels, x)
        mean, logvar = self._q_z(x, given)
        log_weights = []
        for e in eps:
            z = (mean + torch.exp(0.5 * logvar) * e).expand(*given[a.labels[0]].shape, -1)
            all_given = {**given, LATENT: z}
            log_q = _log_normal(z, mean, logvar)
            log_p = self._log_p_z(z, all_given) + self._log_p_labels(all_given)
            log_weights.append(log_p + self._log_p_x(x, z, all_given) - log_q)
        return log_mean_exp(torch.stack(log_weights))

    @torch.no_grad()
    def generate(self, generator: torch.Generator) -> Tensor:
        """One mean of p(x|...) a class of the first label set, `(K, D)`; all else drawn from p."""
        a = self.architecture
        count, device = a.counts[0], self.draws.device
        given: Given = {a.labels[0]: torch.arange(count, device=device)}
        for factor in self.generation.factors:
            if factor.name == OBSERVED or factor.name in given:
                continue
            parents = factor.parents
            numbers = given.get(LATENT) if LATENT in parents else None
            known = [given[p] for p in parents if p != LATENT]
            if factor.name == LATENT:
                eps = torch.randn(
                    count, a.latent, generator=generator, device=device, dtype=self.draws.dtype
                )
                mean, logvar = self._p_z(given)
                given[LATENT] = mean + torch.exp(0.5 * logvar) * eps
                continue
            i = a.labels.index(factor.name)
            logits = self.prior[i](numbers, *known) if parents else self.get_buffer(f"log_p_{i}")
            p = torch.softmax(logits, dim=-1).expand(count, -1)
            given[factor.name] = torch.multinomial(p, 1, generator=generator)[:, 0]
        return self.likelihood.mean(self._decoded(given[LATENT], given))


class OneLabelSet(nn.Module):
    """A joint model as a classifier of one of its label sets, with M2's methods."""

    def __init__(self, joint: JointM2, name: str) -> None:
        super().__init__()
        self.joint, self.place = joint, joint.architecture.labels.index(name)
        a = joint.architecture
        self.architecture = _OneSet(a.width, a.counts[self.place], a.latent, a.beside)

    def rows(self, *, every_class: bool) -> int:
        """As of the joint model."""
        return self.joint.rows(every_class=every_class)

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x), `(N, K)`, of `x (N, D)`, all columns."""
        return marginals(self.joint.log_q(x), self.joint.architecture.counts)[self.place]

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """Bound on log p(x, y), `(K, N)`: the other label sets are summed out; `eps (S, J)`."""
        every = self.joint.log_joint(x, eps).T
        return marginals(every, self.joint.architecture.counts)[self.place].T

    def log_posterior_bayes(self, x: Tensor, eps: Tensor) -> Tensor:
        """log p(y|x) by Bayes' rule, `(N, K)`; `eps (S, J)`."""
        return torch.log_softmax(self.log_joint(x, eps).T, dim=-1)


@dataclass(frozen=True)
class _OneSet:
    width: int
    classes: int
    latent: int
    beside: int
    free: int = 0


@dataclass(frozen=True)
class _Block:
    """Label sets before or after z: their columns in y, and all combinations `(sets, M)`."""

    columns: list[int]
    states: Tensor


@dataclass(frozen=True)
class _Chosen:
    """Combinations `which (n, ..., N)` that stand for all, with their shares of the same shape."""

    which: Tensor
    shares: Tensor
    known: bool
    """Whether there is nothing to sum over, all being known."""


def _choose(table: Tensor, y: Tensor, exact: int | None, generator: torch.Generator) -> _Chosen:
    """Combinations to take the expectation over `table (..., N, M)` by; `y`: this block's."""
    log_q = table.movedim(-1, 0)
    if bool((y >= 0).all()):
        which = table.detach().argmax(-1)[None]
        return _Chosen(which, torch.ones_like(which, dtype=table.dtype), True)
    if exact is None or exact + 1 >= len(log_q):
        shape = (-1, *[1] * (table.ndim - 1))
        which = torch.arange(len(log_q), device=table.device).view(shape).expand(log_q.shape)
        return _Chosen(which, log_q.exp(), False)
    which, shares = some_classes(log_q.flatten(1), exact, generator)
    shape = (-1, *log_q.shape[1:])
    return _Chosen(which.view(shape), shares.view(shape), False)


def _expected(costs: Tensor, chosen: _Chosen, table: Tensor) -> Tensor:
    """Mean of `costs (n, ..., N)` over combinations, minus the entropy of `table (..., N, M)`."""
    if chosen.known:
        return costs[0]
    log_q = table.movedim(-1, 0)
    if len(costs) == len(log_q):
        return (chosen.shares * costs).sum(0) + (chosen.shares * log_q).sum(0)
    return cost_u_of_some(costs, chosen.shares, log_q)


def _classes(names: Sequence[str], states: Tensor, which: Tensor) -> Given:
    """Classes `(n, ..., N)` of each label set, of combinations by number."""
    return {name: of_set[which] for name, of_set in zip(names, states, strict=True)}


def _log_normal(z: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """Log-density of z `(..., J)` under N(mean, exp(logvar)), summed over units."""
    squares = (z - mean) ** 2 * torch.exp(-logvar)
    return -0.5 * (squares + logvar + LOG_2_PI).sum(-1)


def _kl(mean: Tensor, logvar: Tensor, p_mean: Tensor, p_logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(p_mean, exp(p_logvar))), summed over units."""
    away = (mean - p_mean) ** 2 + torch.exp(logvar)
    return 0.5 * (away * torch.exp(-p_logvar) - (logvar - p_logvar) - 1).sum(-1)
