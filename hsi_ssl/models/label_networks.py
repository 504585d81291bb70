"""q(labels | x): networks for any number of label sets at once.

What they give is a table (`hsi_ssl/models/tables.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.models.dependence import LATENT, Dependence
from hsi_ssl.models.networks import ACTIVATIONS, Conditional, linear


class LabelNetwork(nn.Module):
    """Layers of its own for each label set, and a linear head on them.

    A head also sees z and the label sets that it depends on, and is linear in all of them, so
    that a table of combinations costs sums only. Layers that all share would be ruled by the label
    set that is hardest to learn.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        counts: Mapping[str, int],
        dependence: Dependence,
        latent: int,
        activation: str,
        generator: torch.Generator,
    ) -> None:
        """`counts`: label sets and how many classes each has."""
        super().__init__()
        self.layers = nn.ModuleList()
        self.parents = {name: dependence.parents(name) for name in counts}
        self.order = list(counts)
        self.heads = nn.ModuleList()
        for name, count in counts.items():
            layers: list[nn.Module] = []
            last = inputs
            for width in hidden:
                layers += [linear(last, width, generator), ACTIVATIONS[activation]()]
                last = width
            self.layers.append(nn.Sequential(*layers))
            wide = last + latent * (LATENT in self.parents[name])
            known = [counts[p] for p in self.parents[name] if p != LATENT]
            self.heads.append(Conditional(wide, known, (), count, activation, generator))

    def hidden(self, x: Tensor) -> list[Tensor]:
        """What each label set's layers make of `x (N, D)`, `(N, H)` each."""
        return [layers(x) for layers in self.layers]

    def factors(
        self,
        names: Sequence[str],
        hidden: Sequence[Tensor],
        given: Mapping[str, Tensor],
        *,
        frozen: bool = False,
    ) -> list[Tensor]:
        """log q of each name given those before it, `(..., N, K_1 or 1, ..., K_i)`.

        `hidden`: of x, each `(N, H)`; `given`: z `(..., N, J)` and classes `(..., N)`
        that come before them. `frozen`: the gradient reaches z, but not the network.
        """
        found = []
        for i, name in enumerate(names):
            place = self.order.index(name)
            head = self.heads[place]
            assert isinstance(head, Conditional)
            logits = self._from_numbers(head, name, hidden[place], given, frozen)
            known = [p for p in self.parents[name] if p != LATENT]
            within = []
            for parent, parameter in zip(known, head.tables, strict=True):
                of_class = parameter.detach() if frozen else parameter
                if parent in given:
                    logits = logits + F.embedding(given[parent], of_class)
                else:
                    within.append((names.index(parent), of_class))
            logits = logits.reshape(*logits.shape[:-1], *[1] * i, logits.shape[-1])
            for axis, of_class in within:
                axes = [1] * (i + 1)
                axes[axis], axes[i] = of_class.shape
                logits = logits + of_class.view(axes)
            found.append(torch.log_softmax(logits, dim=-1))
        return found

    def _from_numbers(
        self, head: Conditional, name: str, x: Tensor, given: Mapping[str, Tensor], frozen: bool
    ) -> Tensor:
        assert head.from_x is not None
        x = x.detach() if frozen else x
        if LATENT in self.parents[name]:
            z = given[LATENT]
            x = torch.cat([x.expand(*z.shape[:-1], -1), z], dim=-1)
        if not frozen:
            found: Tensor = head.from_x(x)
            return found
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = head.from_x.weight.detach(), head.from_x.bias.detach()
            return F.linear(x.to(weight.dtype), weight, bias)


class LabelExperts(nn.Module):
    """A product of label networks, each of which sees the columns of x times its own gains.

    Factor by factor, q(y | parents) is proportional to product_e q_e(y | parents)^(w_e), weights
    being each label set's own (Hinton 2002); one expert with gains of 1 is a plain network. Experts
    of no weight in any label set are not computed: below, E counts those that have one.
    """

    gain: Tensor
    weight: Tensor

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        counts: Mapping[str, int],
        dependence: Dependence,
        latent: int,
        activation: str,
        generator: torch.Generator,
        experts: int = 1,
    ) -> None:
        """Gains of 1 and equal weights until they are set: `gain (E, D)`, `weight (V, E)`."""
        super().__init__()
        self.networks = nn.ModuleList(
            LabelNetwork(inputs, hidden, counts, dependence, latent, activation, generator)
            for _ in range(experts)
        )
        self.register_buffer("gain", torch.ones(experts, inputs))
        self.register_buffer("weight", torch.full((len(counts), experts), 1 / experts))
        self.order = list(counts)
        self._heard: tuple[Tensor, int, list[int]] | None = None

    def __len__(self) -> int:
        return len(self.heard)

    @property
    def heard(self) -> list[int]:
        """Which experts have a weight; asked of the device when the weights have changed."""
        weight = self.weight
        if self._heard is None or self._heard[0] is not weight or self._heard[1] != weight._version:
            found = weight.detach().any(0).nonzero()[:, 0].tolist()
            self._heard = weight, weight._version, found
        return self._heard[2]

    def each(self) -> Iterator[LabelNetwork]:
        """The networks of those."""
        for place in self.heard:
            network = self.networks[place]
            assert isinstance(network, LabelNetwork)
            yield network

    @property
    def reads(self) -> Tensor:
        """Which columns of x they see, `(D,)`."""
        return self.gain[self.heard].any(0)

    def hidden(self, x: Tensor) -> list[list[Tensor]]:
        """What each expert's layers make of `x (N, D)`, or `(E, N, D)`, each its own."""
        each = x if x.ndim > 2 else x.expand(len(self), *x.shape)  # noqa: PLR2004
        gains = (self.gain[place] for place in self.heard)
        return [
            network.hidden(some * gain)
            for network, some, gain in zip(self.each(), each, gains, strict=True)
        ]

    def each_marginal(
        self, names: Sequence[str], hidden: Sequence[Sequence[Tensor]]
    ) -> list[Tensor]:
        """log q_e of each of the names, the first ones of all, by each expert: `(E, N, K)` each.

        The gradient reaches a name's own factor, not those that it depends on: else a label set
        that is hard to learn would use the ones before it as a code for itself.
        """
        found = []
        for network, h in zip(self.each(), hidden, strict=True):
            factors = network.factors(names, h, {})
            still = [factor.detach() for factor in factors]
            of_expert = []
            for i, factor in enumerate(factors):
                total = factor
                for place, before in enumerate(still[:i]):
                    shape = (*before.shape, *[1] * (i - place))
                    total = total + before.reshape(shape)
                axes = list(range(-1 - i, -1))
                of_expert.append(torch.logsumexp(total, dim=axes) if axes else total)
            found.append(of_expert)
        return [torch.stack(of_set) for of_set in zip(*found, strict=True)]

    def table(
        self,
        names: Sequence[str],
        hidden: Sequence[Sequence[Tensor]],
        given: Mapping[str, Tensor],
        *,
        frozen: bool = False,
    ) -> Tensor:
        """log q(names | x, given), `(..., N, M)`; arguments as in `LabelNetwork.factors`."""
        each = [
            network.factors(names, h, given, frozen=frozen)
            for network, h in zip(self.each(), hidden, strict=True)
        ]
        if len(each) == 1:
            return chained(each[0], given)
        mixed = []
        for name, factors in zip(names, zip(*each, strict=True), strict=True):
            of_set = self.weight[self.order.index(name)]
            weights = (of_set[place] for place in self.heard)
            weighted = [w * factor for w, factor in zip(weights, factors, strict=True)]
            mixed.append(torch.log_softmax(torch.stack(weighted).sum(0), dim=-1))
        return chained(mixed, given)


def chained(factors: Sequence[Tensor], given: Mapping[str, Tensor]) -> Tensor:
    """The table `(..., N, M)` of a chain of factors; `...` as of z where that is given."""
    total = factors[0]
    for factor in factors[1:]:
        total = total[..., None] + factor
    if LATENT in given:
        total = total.expand(*given[LATENT].shape[:-1], *total.shape[-len(factors) :])
    return total.flatten(-len(factors))
