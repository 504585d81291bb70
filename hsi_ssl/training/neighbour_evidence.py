"""How far neighbours may be believed: labels that are left out tell, before any pixel is taught.

Neighbours agree by the pool's own posteriors (`models/spatial.py`), which says nothing of whether
they are right: a thin class agrees with itself less than with what surrounds it, and would go. So
labelled pixels are left out, a fold at a time, of the first teacher and of the messages; what comes
out for them, with neighbours and without, is compared. Where they speak clearly for neighbours
these are believed at the strength that was learnt, in every round; where they speak against them
not at all; where they are silent half as much, and once, since from round to round posteriors get
surer of themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.moving import numbers, sent
from hsi_ssl.models.spatial import mean_field
from hsi_ssl.training.first_teacher import FirstTeacher
from hsi_ssl.training.folds import repeated_folds, repeats_of

HOPS = 6
"""How far from labelled pixels messages are followed."""
CLEAR = 1.0
"""Lead, in standard deviations, from which left-out labels speak clearly: once in six by chance.
Neighbours that are believed wrongly cost a few points, those that are not may be worth twenty."""
CAUTIOUS = 0.5
"""Share of the learnt strength where they do not."""


@dataclass(frozen=True)
class NeighbourEvidence:
    """What left-out labels say of neighbours.

    `share` of the learnt strength: 0, `CAUTIOUS` or 1; `again`: whether they may be asked again
    when q(y|x) has learnt; `mended` and `spoilt`: of `pixels` labels, on average over the times
    that each was left out, by the learnt strength and by `CAUTIOUS` of it.
    """

    share: float
    again: bool
    pixels: int
    mended: tuple[float, float]
    spoilt: tuple[float, float]

    def in_words(self) -> str:
        """One sentence."""
        told = (
            f"of {self.pixels} labels that are left out neighbours mend {self.mended[0]:.1f} and "
            f"spoil {self.spoilt[0]:.1f}"
        )
        if self.again:
            return f"{told}: believed in every round"
        half = f"at {CAUTIOUS:g} of their strength {self.mended[1]:.1f} and {self.spoilt[1]:.1f}"
        if self.share:
            return f"{told}, {half}, which proves little: believed at that, once"
        return f"{told}, {half}: not believed, no spatial prior"


def neighbour_evidence(
    teacher: FirstTeacher,
    y: Tensor,
    neighbours: Tensor,
    strength: float,
    unit: Tensor,
    seed: int,
) -> NeighbourEvidence:
    """What the labels of the teacher's rows say of `neighbours (N, 8)` at a `strength`.

    `y (N,)`: -1 where not known; `unit (n,)`: which of the teacher's rows lie together on the
    ground, on the CPU: of one that has a pixel left out no label is sent as a message.
    """
    rows, classes = sent(teacher.rows, y.device), y.cpu()[teacher.rows]
    near = within(neighbours, rows, HOPS)
    place = torch.full((len(y),), -1, device=y.device)
    place[near] = torch.arange(len(near), device=y.device)
    among = neighbours[near]
    among = torch.where(among >= 0, place[among.clamp(min=0)], -1)
    x = rows_of(teacher, near)
    changed: list[Tensor] = []
    for left_out in repeated_folds(classes, seed):
        log_p = teacher.without(left_out).of(x)
        beside = torch.nonzero(torch.isin(unit, unit[left_out])).flatten()
        known = y[near].clone()
        known.index_fill_(0, place[rows[sent(beside, y.device)]], -1)
        mine = place[rows[sent(left_out, y.device)]]
        truth = sent(classes[left_out], y.device)
        alone = log_p[mine].argmax(1) == truth
        for share in (1.0, CAUTIOUS):
            found = mean_field(log_p, among, share * strength, known)[mine].argmax(1) == truth
            changed += [(found & ~alone).sum(), (~found & alone).sum()]
    counts, times = numbers(changed), repeats_of(classes)
    mended, spoilt = ([sum(n / times for n in counts[i::4]) for i in (w, w + 2)] for w in (0, 1))
    if lead(mended[0], spoilt[0]) > CLEAR:
        share, again = 1.0, True
    else:
        share, again = (0.0 if spoilt[1] > mended[1] else CAUTIOUS), False
    both = (mended[0], mended[1]), (spoilt[0], spoilt[1])
    return NeighbourEvidence(share, again, len(rows), *both)


def lead(mended: float, spoilt: float) -> float:
    """How far more are mended than spoilt, in standard deviations of as many tosses of a coin."""
    return float((mended - spoilt) / max(1.0, mended + spoilt) ** 0.5)


def within(neighbours: Tensor, rows: Tensor, hops: int) -> Tensor:
    """Rows that are at most so many steps from `rows` along `neighbours (N, 8)`, sorted."""
    found = torch.zeros(len(neighbours), dtype=torch.bool, device=neighbours.device)
    found[rows] = True
    edge = rows
    for _ in range(hops):
        near = torch.unique(neighbours[edge])
        near = near[near >= 0]
        edge = near[~found[near]]
        found[edge] = True
    return torch.nonzero(found).flatten()


def rows_of(teacher: FirstTeacher, rows: Tensor) -> Tensor:
    """What the teacher sees of some pixels, `(n, D)`; `rows` are sorted."""
    pieces, first = [], 0
    for block in teacher.blocks():
        here = rows[(rows >= first) & (rows < first + len(block))] - first
        pieces.append(block[here])
        first += len(block)
    return torch.cat(pieces)
