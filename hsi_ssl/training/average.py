"""A running average of what a module learns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """A running average of what a module learns, each step's weight falling by `decay` a step.

    The first steps are averaged as if they were all there is, so the random start has no part in
    it: after t steps it is sum_s decay^(t-s) w_s (1 - decay) / (1 - decay^t), which is what Adam
    does with its moments (Kingma and Ba 2015, section 3). With `decay` 0 it is the parameters.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.steps = 0
        self.values: dict[str, Tensor] = {}
        if decay:
            self.values = {n: p.detach().clone() for n, p in self._learnt()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as a step has left them."""
        if self.decay:
            self.steps += 1
            share = (1 - self.decay) / (1 - self.decay**self.steps)
            now: list[Tensor] = [parameter for _, parameter in self._learnt()]
            torch._foreach_lerp_(list(self.values.values()), now, share)

    def _learnt(self) -> list[tuple[str, nn.Parameter]]:
        return [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]

    @contextmanager
    def in_module(self) -> Iterator[None]:
        """The module with the average in place of its parameters."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, parameter in self.module.named_parameters():
            if name in self.values:
                now = parameter.clone()
                parameter.copy_(self.values[name])
                self.values[name] = now
