"""Adam (Kingma and Ba 2015) over parameters that lie in a row; gradients are clipped before.

torch's own optimiser takes them one by one, and imports its compiler first, which takes longer than
a small training; the step itself is torch's fused one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError

if TYPE_CHECKING:
    from hsi_ssl.training.task import Turn

BETAS, EPS = (0.9, 0.999), 1e-8
SMALLEST_NORM = 1e-6


class Adam:
    """Adam for the parameters of a module that take one turn.

    The prior N(0, 1) on the weights is the gradient w / N of the mean cost per pixel: `decay` is
    1 / N, of matrices alone. Gradients of each of the module's networks are clipped to a norm of
    `clip`, by themselves: a decoder's gradient is a thousand times the classifier's, which one
    common norm would scale down to nothing. Parameters without a gradient stay as they are.

    From now on the parameters are views of rows of numbers: whoever changes them, writes into them.
    """

    def __init__(self, module: nn.Module, turn: Turn, *, decay: float, clip: float) -> None:
        self.clip = clip
        left = dict.fromkeys(turn.parameters)
        networks = [[p for p in child.parameters() if p in left] for child in module.children()]
        each = [[p for p in some if left.pop(p, True) is None] for some in networks if some]
        each.append(list(left))  # of no network: not clipped
        matrices, others = (
            [[p for p in some if (p.ndim > 1) == wide] for some in each] for wide in (True, False)
        )
        self.every = list(module.parameters())
        self.rows = [_Row(matrices, decay), _Row(others, 0.0)]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Clip the gradients that there are, and move the parameters.

        Then forget all gradients of the module, also those of what takes another turn.
        """
        for row in self.rows:
            row.gather()
        for ends in zip(*(row.networks[:-1] for row in self.rows), strict=True):
            parts = [row.gradient[end] for row, end in zip(self.rows, ends, strict=True)]
            norm = torch.stack(torch._foreach_norm(parts)).norm()
            torch._foreach_mul_(parts, (self.clip / (norm + SMALLEST_NORM)).clamp_(max=1.0))
        for row in self.rows:
            row.step(rate)
        for parameter in self.every:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Moments and steps of all parameters, by name."""
        return {
            f"{place}.{name}": tensor
            for place, row in enumerate(self.rows)
            for name, tensor in row.state().items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state`.

        Raises
        ------
        ModelError
            It is another optimiser's.
        """
        ours = self.state()
        if {k: t.shape for k, t in state.items()} != {k: t.shape for k, t in ours.items()}:
            raise ModelError(
                "the state to resume from was saved by another version of hsi-ssl: go on with "
                "that version, or start anew with --overwrite"
            )
        for place, row in enumerate(self.rows):
            row.restore({name: state[f"{place}.{name}"] for name in row.state()})


class _Row:
    """Parameters of some networks in one row of numbers, with their gradients and moments."""

    def __init__(self, networks: Sequence[Sequence[nn.Parameter]], decay: float) -> None:
        self.decay = decay
        self.parameters = [p for network in networks for p in network]
        sizes = [p.numel() for p in self.parameters]
        ends = list(itertools.accumulate(sizes, initial=0))
        self.places = [slice(a, b) for a, b in itertools.pairwise(ends)]
        lengths = [sum(p.numel() for p in network) for network in networks]
        ends = list(itertools.accumulate(lengths, initial=0))
        self.networks = [slice(a, b) for a, b in itertools.pairwise(ends)]
        like = self.parameters[0] if self.parameters else torch.zeros(0)
        self.weights = like.new_empty(sum(sizes)).detach()
        for parameter, place in zip(self.parameters, self.places, strict=True):
            self.weights[place] = parameter.detach().reshape(-1)
            parameter.data = self.weights[place].view(parameter.shape)
        self.gradient = torch.zeros_like(self.weights)
        self.first, self.second = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.steps = [0] * len(self.parameters)
        self.there: list[bool] = []
        self.runs: list[slice] = []
        """Neighbours with a gradient that have moved equally often."""
        self.counts: list[Tensor] = []
        """Steps of each run, where they are reckoned with."""

    def state(self) -> dict[str, Tensor]:
        """Moments of all numbers, steps of all parameters."""
        return {"first": self.first, "second": self.second, "steps": torch.tensor(self.steps)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Inverse of `state`."""
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])
        self.steps, self.there = state["steps"].tolist(), []

    def gather(self) -> None:
        """Take the gradients of all parameters that have one."""
        there = [p.grad is not None for p in self.parameters]
        if there != self.there:
            self.there = there
            self.runs = _runs(
                [s if has else None for has, s in zip(there, self.steps, strict=True)]
            )
            starts = [float(self.steps[run.start]) for run in self.runs]
            self.counts = [torch.tensor(s, device=self.weights.device) for s in starts]
            self.gradient.zero_()
        for run in self.runs:
            some = [p.grad.reshape(-1) for p in self.parameters[run] if p.grad is not None]
            torch.cat(some, out=self._of(run, self.gradient))

    def step(self, rate: float) -> None:
        """Move what has a gradient."""
        if not self.runs:
            return
        rows = (self.weights, self.gradient, self.first, self.second)
        weights, gradient, first, second = ([self._of(r, row) for r in self.runs] for row in rows)
        self.steps = [s + has for s, has in zip(self.steps, self.there, strict=True)]
        torch._foreach_add_(self.counts, 1)
        torch._fused_adam_(
            weights, gradient, first, second, [], self.counts,
            lr=rate, beta1=BETAS[0], beta2=BETAS[1], weight_decay=self.decay, eps=EPS,
            amsgrad=False, maximize=False, grad_scale=None, found_inf=None,
        )  # fmt: skip

    def _of(self, run: slice, row: Tensor) -> Tensor:
        """Numbers of a run of parameters."""
        return row[self.places[run.start].start : self.places[run.stop - 1].stop]


def _runs(keys: Sequence[int | None]) -> list[slice]:
    """Stretches of neighbours of one key, but for None."""
    found, start = list[slice](), 0
    for key, some in itertools.groupby(keys):
        stop = start + len(list(some))
        found += [] if key is None else [slice(start, stop)]
        start = stop
    return found
