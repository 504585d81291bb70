"""Who says first what unlabelled pixels are: machines that are fitted to the labels in closed form.

Few labels choose settings badly, so these are fixed: components at the power `POWER` of whitening,
and a kernel as wide as the median distance between pixels. A kernel machine
(`models/kernel_ridge.py`) always speaks; class Gaussians (`models/shrunk_gaussians.py`), which see
farther than any kernel reaches and are wrong where classes are no Gaussians, where labels that are
left out are more often right with them than without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from hsi_ssl.models.kernel_ridge import fit_kernel_ridge, median_distance
from hsi_ssl.models.moving import sent
from hsi_ssl.models.shrunk_gaussians import ShrunkGaussians, fit_shrunk_gaussians
from hsi_ssl.training.folds import repeated_folds
from hsi_ssl.training.inputs import Pixels

POWER = 0.6
"""Of whitening."""
MOST = 2000
"""Labelled pixels that it learns from, in equal shares of classes; networks do well with more."""
ENOUGH = 1500
"""Pixels whose distances tell how wide the kernel is."""
BLOCK = 16_384
SHARPNESS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Of class Gaussians; the one by which left-out labels are likeliest."""


class Machine(Protocol):
    """What is fitted to labelled pixels."""

    def log_posteriors(self, blocks: Iterator[Tensor]) -> Tensor:
        """log p(y|x) `(N, K)` of blocks of pixels `(m, D)`."""

    def without(self, rows: Tensor) -> Machine:
        """The same without some of its pixels."""

    def to(self, device: torch.device) -> Machine:
        """The same to be applied on a device."""


@dataclass(frozen=True)
class FirstTeacher:
    """What machines say of N pixels, of which they know the classes of some.

    `rows (n,)`: those that they have learnt from; `gain (D,)`: what columns are multiplied by.
    Machines and rows are on the CPU, which is asked for many small systems of equations in float64;
    pixels are where they are, and so is what is said of them.
    """

    machines: tuple[Machine, ...]
    rows: Tensor
    gain: Tensor
    pixels: Pixels

    def blocks(self) -> Iterator[Tensor]:
        """What machines see of all pixels, `(m, D)` at a time."""
        for some in self.pixels.blocks(BLOCK):
            yield some.mean * self.gain

    @cached_property
    def log_posterior(self) -> Tensor:
        """log p(y|x) `(N, K)` of all pixels, the product of what machines say."""
        there = self.to(self.gain.device)
        return torch.cat([there.of(block) for block in self.blocks()])

    def to(self, device: torch.device) -> FirstTeacher:
        """With machines that are applied on a device, and no more without some of their pixels."""
        return replace(self, machines=tuple(machine.to(device) for machine in self.machines))

    def of(self, seen: Tensor) -> Tensor:
        """log p(y|x) `(m, K)` of pixels as machines see them, `(m, D)`."""
        each = [m.log_posteriors(iter([seen])) for m in self.to(seen.device).machines]
        return torch.log_softmax(torch.stack(each).sum(0), dim=-1)

    def without(self, rows: Tensor) -> FirstTeacher:
        """The same without some of the pixels that it has learnt from, places in its `rows`."""
        return replace(self, machines=tuple(machine.without(rows) for machine in self.machines))

    def in_words(self) -> str:
        """Who speaks."""
        return " and ".join(["kernel machine", "class Gaussians"][: len(self.machines)])


def first_teacher(pixels: Pixels, y: Tensor, classes: int, gain: Tensor, seed: int) -> FirstTeacher:
    """A teacher of `pixels` by the classes `y (N,)` of some of them, -1 elsewhere.

    `gain (D,)`: what columns are multiplied by. The labelled pixels are the first ones.
    """
    y = y.cpu()
    rows = equal_shares(y, MOST)
    seen = (_of_rows(pixels, rows) * gain).cpu()
    known = y[rows]
    width = median_distance((pixels.some(ENOUGH).mean * gain).cpu())
    kernel = fit_kernel_ridge(seen, known, classes, width)
    alone = FirstTeacher((kernel,), rows, gain, pixels)
    gaussians = _sharpened(fit_shrunk_gaussians(seen, known, classes, 1.0), seed)
    together = replace(alone, machines=(kernel, gaussians))
    first, second = (_right(teacher, seen, known, seed) for teacher in (alone, together))
    return together if second > first else alone


def _of_rows(pixels: Pixels, rows: Tensor) -> Tensor:
    """What is seen of some pixels `(n, D)`, by their rows, ascending; the first ones at best."""
    found, first = [], 0
    for some in pixels.blocks(BLOCK):
        here = rows[(rows >= first) & (rows < first + len(some))] - first
        found.append(some.mean[sent(here, some.mean.device)])
        first += len(some)
        if first > int(rows[-1]):
            break
    return torch.cat(found)


def _right(teacher: FirstTeacher, seen: Tensor, y: Tensor, seed: int) -> int:
    """How many of the labels that are left out are found."""
    found = 0
    for left_out in repeated_folds(y, seed):
        said = teacher.without(left_out).of(seen[left_out]).argmax(1)
        found += int((said == y[left_out]).sum())
    return found


def _sharpened(gaussians: ShrunkGaussians, seed: int) -> ShrunkGaussians:
    """With the sharpness by which labels that are left out are likeliest."""
    x, y = gaussians.x, gaussians.y
    likelihood = torch.zeros(len(SHARPNESS), dtype=x.dtype, device=x.device)
    for left_out in repeated_folds(y, seed):
        scores = gaussians.without(left_out).scores(x[left_out])
        for place, sharpness in enumerate(SHARPNESS):
            log_p = torch.log_softmax(sharpness * scores, dim=-1)
            likelihood[place] += log_p.gather(1, y[left_out][:, None]).sum()
    return replace(gaussians, sharpness=SHARPNESS[int(likelihood.argmax())])


def equal_shares(y: Tensor, most: int) -> Tensor:
    """Rows with a class in `y (N,)`: all, or `most`, of large classes evenly spaced ones."""
    known = torch.nonzero(y >= 0).flatten()
    if len(known) <= most:
        return known
    counts = torch.bincount(y[known])
    smallest_first = torch.sort(counts[counts > 0]).values.tolist()
    left, share = most, most
    for place, count in enumerate(smallest_first):
        share = left // (len(smallest_first) - place)
        left -= min(count, share)
    kept = []
    for k in torch.nonzero(counts).flatten():
        of_class = known[y[known] == k]
        spaced = torch.linspace(0, len(of_class) - 1, min(share, len(of_class)))
        kept.append(of_class[spaced.round().long().to(of_class.device)])
    return torch.cat(kept).sort().values
