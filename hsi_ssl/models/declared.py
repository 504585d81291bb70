"""A semi-supervised variational auto-encoder whose p and q are products of declared factors.

Kingma et al. 2014 (arXiv:1406.5298, section 2) for one label set, Siddharth et al. 2017
(arXiv:1706.00400) for several, in any order of dependence. Variables are label sets y_1, ..., y_V,
a latent z and the spectrum x:

p(y_1, ..., z, x)   product of the declared factors        `generation`
q(y_1, ..., z | x)  product of the declared factors        `inference`

Labels `(N, V)` may each be known or not. Label sets that come before z in q form one block, those
after it another. A block is a table of all its combinations (`hsi_ssl/models/tables.py`): what is
known of it is taken into account exactly, and its expectation is a sum over some combinations
exactly and one drawn for the rest. Where labels come after z, its samples are weighted by how well
they explain what is known. `hsi_ssl/models/presets.py` names models of this kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hsi_ssl.models.bounds import cost_l, cost_l_sup, kl_between, log_mean_exp
from hsi_ssl.models.dependence import LATENT, OBSERVED, generation_of, inference_of
from hsi_ssl.models.draws import drawn
from hsi_ssl.models.label_networks import LabelExperts
from hsi_ssl.models.likelihoods import log_normal, make_likelihood
from hsi_ssl.models.moving import sent
from hsi_ssl.models.networks import Architecture, Conditional, gaussian_head, sample_gaussian
from hsi_ssl.models.tables import (
    allowed,
    choose,
    combinations,
    conditioned,
    expected,
    independent,
    marginals,
)

DRAWS, DRAWS_SEED = 8, 1706_0040
"""Samples of z that q(y|x) is predicted with where it depends on z: always the same ones."""
WIDE = 512
"""Numbers of a table that take as much room as a row of a network's layers."""
Given = dict[str, Tensor]


def fixed_draws(latent: int) -> Tensor:
    """Draws `(DRAWS, latent)` of N(0, I), always the same ones."""
    return torch.randn(DRAWS, latent, generator=torch.Generator().manual_seed(DRAWS_SEED))


@dataclass(frozen=True)
class DeclaredArchitecture(Architecture):
    """What rebuilds a model.

    `width`: of x; `labels`, `counts`: the label sets and how many values each has, labelled classes
    and after them `free` slots for what nobody has labelled; `generation`, `inference`: lines as
    `dependence` reads them; `side_inputs`: further columns of the input, which q(y|x) reads and p
    does not model, such as the spectra beside M1's features; `experts`: how many networks q(y|x) is
    a product of; `components`: of p(x|y) where that is a mixture of factor analysers (`factor_m2`),
    0 where p(x|y, z) is a network.
    """

    width: int
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    free: tuple[int, ...]
    generation: tuple[str, ...]
    inference: tuple[str, ...]
    latent: int
    hidden: tuple[int, ...]
    hidden_classifier: tuple[int, ...]
    activation: str
    likelihood: str
    sd_floor: float | tuple[float, ...]
    side_inputs: int = 0
    experts: int = 1
    components: int = 0


class DeclaredVAE(nn.Module):
    """The model. Inputs `(N, D)` are of all columns, the modelled ones first; labels `(N, V)`."""

    draws: Tensor
    sums_all = False
    """Whether a sum over all classes costs no more than one over some of them."""

    def __init__(
        self,
        architecture: DeclaredArchitecture,
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
            a.width + a.side_inputs,
            a.hidden_classifier,
            self.counts,
            self.inference,
            a.latent,
            a.activation,
            generator,
            a.experts,
        )
        self._make_networks_of_z(generator)
        self.likelihood = make_likelihood(a.likelihood, a.width, a.sd_floor)
        self.prior = nn.ModuleList()
        """p of each label set and of z given their parents; nothing to learn without any."""
        for i, (name, class_prior) in enumerate(zip(a.labels, class_priors, strict=True)):
            self.register_buffer(f"log_p_{i}", class_prior.log())
            self.prior.append(self._prior(name, len(class_prior), generator))
        self.prior.append(self._prior(LATENT, 2 * a.latent, generator))
        self.register_buffer("draws", fixed_draws(a.latent))

    def _make_networks_of_z(self, generator: torch.Generator) -> None:
        """q(z|x, ...) and the mean of p(x|z, ...)."""
        a = self.architecture
        self.encoder = Conditional(
            a.width,
            [self.counts[p] for p in self.inference.parents(LATENT)],
            a.hidden,
            2 * a.latent,
            a.activation,
            generator,
        )
        self.decoder = self._conditional(OBSERVED, a.hidden[::-1], a.width, generator)

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
        """p of a variable given its parents.

        Labels start uniform; z at variances of 1 and means drawn from N(0, 1), so that no two
        classes start the same.
        """
        parents = self.generation.parents(name)
        if not parents:
            return nn.Identity()
        if LATENT in parents:
            return self._conditional(name, self.architecture.hidden, outputs, generator)
        network = self._conditional(name, (), outputs, generator)
        with torch.no_grad():
            for table in network.tables:
                table.zero_()
            if name == LATENT:
                means = network.tables[-1][:, : self.architecture.latent]
                means.copy_(torch.randn(means.shape, generator=generator))
        return network

    def log_p_y(self, place: int) -> Tensor:
        """log p(y) `(K,)` of the label set at this place, of those that depend on nothing."""
        return self.get_buffer(f"log_p_{place}")

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

    def modelled(self, x: Tensor) -> Tensor:
        """The columns of `x (..., D)` that p(x|...) is a density of."""
        return x[..., : self.architecture.width]

    @property
    def reads(self) -> Tensor:
        """Which columns of x q of the labels reads, `(D,)`."""
        reads = self.classifier.reads
        if self.after:  # through z
            reads = reads.clone()
            reads[: self.architecture.width] = True
        return reads

    def among_labelled(self, log_q: Tensor, place: int) -> Tensor:
        """log q(y|x) given that y is no free slot, `(..., K - free)`, of `log_q (..., K)`."""
        free = self.architecture.free[place]
        if not free:
            return log_q
        return torch.log_softmax(log_q[..., :-free], dim=-1)

    # q of the labels

    def log_q(self, x: Tensor, draws: Tensor | None = None) -> Tensor:
        """log q(y_1, ..., y_V | x), `(N, M)`: a table of all label sets, in their order.

        `draws (S, J)` or `(S, N, J)`: draws of N(0, I), which count where labels come after z;
        None: always the same ones.
        """
        hidden = self.classifier.hidden(x)
        if not self.after:
            return self._in_order(self.classifier.table(self.before, hidden, {}))
        given = self._every_class(self.before, x)
        mean, logvar = self.q_z(x, given)
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

    def log_q_each(self, x: Tensor) -> list[Tensor]:
        """log q(y|x) `(N, K)` of each label set."""
        return marginals(self.log_q(x), self.architecture.counts)

    def log_q_of_experts(self, x: Tensor, draws: Tensor | None = None) -> list[Tensor]:
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

    def q_z(self, x: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(..., N, J)` of q(z | x, ...)."""
        parents = self.inference.parents(LATENT)
        out = self.encoder(self.modelled(x), *(given[p] for p in parents))
        shapes = [y.shape for y in given.values()]
        shape = np.broadcast_shapes(out.shape[:-1], *shapes)
        return gaussian_head(out.expand(*shape, -1))

    def _every_class(self, names: Sequence[str], x: Tensor) -> Given:
        """Classes `(M, 1)` of every combination of some label sets, for any pixel."""
        if not names:
            return {}
        states = combinations([self.counts[name] for name in names], x.device)
        return {name: y[:, None] for name, y in zip(names, states, strict=True)}

    # The bound

    def cost(
        self,
        x: Tensor,
        y: Tensor,
        generator: torch.Generator,
        *,
        kl_weight: float = 1.0,
        exact: int | None = None,
        samples: int = 1,
        stop_gradient: float = 0.0,
        log_q: Sequence[Tensor] | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Minus a bound on log p(x, what is known of y), `(N,)`: L where all is, U where nothing.

        Parameters
        ----------
        y
            `(N, V)` classes, -1 where not known.
        exact
            Of how many combinations, the most probable ones of each pixel, each block's sum is
            exact; one drawn stands for the rest, without bias. None: of all.
        samples
            Of z a pixel.
        stop_gradient
            Share of the gradient that is kept from the networks of q(y|...).
        log_q
            log q(y) `(N, K)` of each label set, to take in the place of q(y|x) where labels come
            before z: the bound holds with any distribution.
        known
            Which of `y` are known, `(N, V)` on the CPU; None looks, and has to wait for a GPU.
        """
        known = (y >= 0).cpu() if known is None else known
        exact = None if self.sums_all else exact
        if self.after:
            both = y, known
            return self._cost_after(x, both, generator, kl_weight, exact, samples, stop_gradient)
        if bool(known.all()):
            given = {name: of_set[None] for name, of_set in zip(self.counts, y.T, strict=True)}
            return self._cost_of(x, given, generator, kl_weight, samples)[0]
        if log_q is None:
            table = self._table(self.before, self.classifier.hidden(x), {}, stop_gradient)
        else:
            of_name = dict(zip(self.architecture.labels, log_q, strict=True))
            table = independent([of_name[name] for name in self.before])
        labels, states = self._block(self.before, y)
        _, left = conditioned(table, allowed(labels, states))
        chosen = choose(left, self._all_known(self.before, known), exact, generator)
        given = dict(zip(self.before, chosen.classes(states), strict=True))
        return expected(self._cost_of(x, given, generator, kl_weight, samples), chosen, left)

    def _cost_of(
        self, x: Tensor, given: Given, generator: torch.Generator, kl_weight: float, samples: int
    ) -> Tensor:
        """L(x, y) `(n, N)` of classes `(n, N or 1)`, the KL divergence in closed form."""
        mean, logvar = self.q_z(x, given)
        wide = (samples, *mean.shape)
        z = sample_gaussian(mean.expand(wide), logvar.expand(wide), generator)
        log_p_x = self._log_p_x(x, z, given).mean(0)
        kl = kl_between(mean, logvar, *self.p_z(given))
        return cost_l(log_p_x, self._log_p_labels(z, given), kl, kl_weight)

    def _cost_after(
        self,
        x: Tensor,
        y_known: tuple[Tensor, Tensor],
        generator: torch.Generator,
        kl_weight: float,
        exact: int | None,
        samples: int,
        stop_gradient: float,
    ) -> Tensor:
        """The bound where labels come after z, its samples weighted by what is known."""
        hidden, (y, known) = self.classifier.hidden(x), y_known
        log_share = log_before = x.new_zeros(())
        given: Given = {}
        if self.before:
            table = self._table(self.before, hidden, {}, stop_gradient)
            labels, states = self._block(self.before, y)
            _, left = conditioned(table, allowed(labels, states))
            chosen = choose(left, self._all_known(self.before, known), exact, generator)
            given = dict(zip(self.before, chosen.classes(states), strict=True))
            given = {name: y_b.expand(-1, len(x)) for name, y_b in given.items()}
            which = chosen.which.expand(-1, len(x))
            log_share = left.movedim(-1, 0).gather(0, which)
            log_before = chosen.shares.clamp(min=torch.finfo(x.dtype).tiny).log()
        mean, logvar = self.q_z(x, given)
        wide = (samples, *mean.shape)
        z = sample_gaussian(mean.expand(wide), logvar.expand(wide), generator)
        if not self.before:  # an axis of one, where combinations of labels before z would be
            mean, logvar, z = mean[None], logvar[None], z[:, None]
        given = {name: c.expand(z.shape[:-1]) for name, c in given.items()} | {LATENT: z}
        table = self._table(self.after, hidden, given, stop_gradient)
        labels, states = self._block(self.after, y)
        log_known, rest = conditioned(table, allowed(labels, states))
        chosen = choose(rest, self._all_known(self.after, known), exact, generator)
        leaves = {**given, **dict(zip(self.after, chosen.classes(states), strict=True))}
        log_ratio = log_normal(z, mean, logvar) - log_normal(z, *self.p_z(leaves))
        costs = kl_weight * log_ratio - self._log_p_labels(z, leaves) - self._log_p_x(x, z, leaves)
        within = expected(costs, chosen, rest) + log_known + log_share
        return cost_l_sup(within.flatten(0, 1), (log_known + log_before).flatten(0, 1), samples)

    def _table(
        self,
        names: Sequence[str],
        hidden: Sequence[Sequence[Tensor]],
        given: Given,
        stop_gradient: float,
    ) -> Tensor:
        """A block's table; a share of the gradient is kept from the networks, none from z."""
        if not stop_gradient:
            return self.classifier.table(names, hidden, given)
        still = self.classifier.table(names, hidden, given, frozen=True)
        if stop_gradient == 1:
            return still
        moving = self.classifier.table(names, hidden, given)
        return still + (1 - stop_gradient) * (moving - still)

    def _block(self, names: Sequence[str], y: Tensor) -> tuple[Tensor, Tensor]:
        """Labels `(N, sets)` of label sets before or after z, and all combinations `(sets, M)`."""
        labels = torch.stack([y[:, self.architecture.labels.index(name)] for name in names], dim=1)
        return labels, combinations([self.counts[name] for name in names], y.device)

    def _all_known(self, names: Sequence[str], known: Tensor) -> bool:
        """Whether every pixel's labels of some label sets are among the `known (N, V)`."""
        return all(bool(known[:, self.architecture.labels.index(name)].all()) for name in names)

    # p

    def _log_p_x(self, x: Tensor, z: Tensor, given: Given) -> Tensor:
        return self.likelihood.log_density(self.modelled(x), self.decoded(z, given))

    def decoded(self, z: Tensor, given: Given) -> Tensor:
        """Output `(..., N, D)` of the decoder."""
        parents = self.generation.parents(OBSERVED)
        found: Tensor = self.decoder(z, *(given[p] for p in parents if p != LATENT))
        return found

    def _log_p_labels(self, z: Tensor, given: Given) -> Tensor:
        """log p of the classes that are given, summed over label sets."""
        total = z.new_zeros(())
        for i, name in enumerate(self.architecture.labels):
            parents, y = self.generation.parents(name), given[name]
            if not parents:
                total = total + self.log_p_y(i)[y]
                continue
            numbers = z if LATENT in parents else None
            logits = self.prior[i](numbers, *(given[p] for p in parents if p != LATENT))
            shape = np.broadcast_shapes(logits.shape[:-1], y.shape)
            log_p = torch.log_softmax(logits, dim=-1).expand(*shape, -1)
            total = total + log_p.gather(-1, y.expand(shape)[..., None])[..., 0]
        return total

    def p_z(self, given: Given) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of p(z | ...), `(..., J)`, or `()` for N(0, I)."""
        parents = self.generation.parents(LATENT)
        if not parents:
            nothing = self.draws.new_zeros(())
            return nothing, nothing
        return gaussian_head(self.prior[-1](None, *(given[p] for p in parents)))

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """Importance-weighted bound on log p(x, y), `(M, N)`, of every combination of labels.

        With one sample and one label set before z it is -L(x, y). `eps (S, J)`: draws of N(0, I),
        the same for every pixel and class, so that a pixel's result depends on nothing but the
        pixel.
        """
        given = self._every_class(self.architecture.labels, x)
        mean, logvar = self.q_z(x, given)
        p_mean, p_logvar = self.p_z(given)
        log_weights = []
        for e in eps:
            z = mean + torch.exp(0.5 * logvar) * e
            # log p(z|y) - log q(z|x, y); the factors of 2 pi cancel.
            white = (z - p_mean) * torch.exp(-0.5 * p_logvar)
            log_ratio = 0.5 * (e * e + logvar - white * white - p_logvar).sum(-1)
            log_p = self._log_p_labels(z, given) + self._log_p_x(x, z, given)
            log_weights.append(log_p + log_ratio)
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
                shape, dtype = (count, a.latent), self.draws.dtype
                eps = drawn(torch.randn, shape, generator, device=device, dtype=dtype)
                mean, logvar = self.p_z(given)
                given[LATENT] = mean + torch.exp(0.5 * logvar) * eps
                continue
            i = a.labels.index(factor.name)
            logits = self.prior[i](numbers, *known) if parents else self.log_p_y(i)
            p = torch.softmax(logits, dim=-1).expand(count, -1)
            one = torch.multinomial(p.cpu(), 1, generator=generator)[:, 0]
            given[factor.name] = sent(one, device)
        return self.likelihood.mean(self.decoded(given[LATENT], given))
