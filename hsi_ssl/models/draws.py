"""Random numbers of a batch, on whatever device it lies, whoever works on its other rows.

One seed gives one training, on every device and however many processes share its batches: the CPU
draws, in one order, and a device is sent what was drawn; each process draws the numbers of the
whole batch and takes those of its own rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from hsi_ssl.models.moving import sent


class RowsGenerator(torch.Generator):
    """A generator whose `drawn` numbers are those of some rows of a batch.

    What draws from it directly, past `drawn`, gets other numbers in each process; they depend on
    the seed alone, too, and leave `source` as it is.
    """

    source: torch.Generator
    at: Tensor
    of: int

    def __new__(cls, source: torch.Generator, at: Tensor, of: int) -> Self:
        """Of the rows `at (n,)` of a batch of `of`; `source` is as far in every process."""
        made: Self = super().__new__(cls, source.device)  # type: ignore[call-arg]
        made.source, made.at, made.of = source, at, of
        told = hashlib.sha256(source.get_state().numpy().tobytes())
        told.update(at.cpu().numpy().tobytes())
        made.manual_seed(int.from_bytes(told.digest()[:7], "little"))
        return made


def drawn(
    draw: Callable[..., Tensor],
    shape: Sequence[int],
    generator: torch.Generator,
    *,
    axis: int | None = -2,
    device: torch.device | None = None,
    **how: Any,
) -> Tensor:
    """`draw(shape, generator=generator, **how)`, such as `torch.randn`, of this process's rows.

    `axis`: along which pixels lie, or some times as many numbers, the pixel running fastest; None:
    numbers that all pixels share. `device`: where they are wanted; they are the same on all.
    """
    if not isinstance(generator, RowsGenerator):
        found = draw(tuple(shape), generator=generator, **how)
    elif axis is None:
        found = draw(tuple(shape), generator=generator.source, **how)
    else:
        found = _of_rows(draw, shape, generator, axis, how)
    return found if device is None else sent(found, device)


def _of_rows(
    draw: Callable[..., Tensor],
    shape: Sequence[int],
    generator: RowsGenerator,
    axis: int,
    how: dict[str, Any],
) -> Tensor:
    """Numbers of the whole batch, of which those of the generator's rows are taken."""
    sizes, axis, rows = list(shape), axis % len(shape), len(generator.at)
    times, left = divmod(sizes[axis], rows)
    if left:
        raise ValueError(f"{sizes[axis]} numbers along axis {axis} are not those of {rows} rows")
    sizes[axis : axis + 1] = [times, generator.of]
    whole = draw(tuple(sizes), generator=generator.source, **how)
    return whole.index_select(axis + 1, generator.at).reshape(tuple(shape))
