"""Random numbers of some rows of a batch: those that one process would have drawn for them."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from hsi_ssl.models.bounds import some_classes
from hsi_ssl.models.draws import RowsGenerator, drawn


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize(("shape", "axis"), [((6, 3), -2), ((2, 4, 6, 3), -2), ((5, 6), -1)])
def test_rows_get_the_numbers_that_they_have_in_the_whole_batch(
    shape: tuple[int, ...], axis: int
) -> None:
    at = torch.tensor([1, 2, 5])
    whole = drawn(torch.randn, shape, generator(), axis=axis)
    part = [*shape]
    part[axis] = 3
    source = generator()
    found = drawn(torch.randn, part, RowsGenerator(source, at, 6), axis=axis)
    assert torch.equal(found, whole.index_select(axis, at))
    one = generator()
    drawn(torch.randn, shape, one, axis=axis)
    assert torch.equal(source.get_state(), one.get_state())  # as far as one process's


def test_pixels_several_times_in_a_row() -> None:
    whole = torch.rand((3, 2, 6), generator=generator())
    rows = RowsGenerator(generator(), torch.tensor([4, 5]), 6)
    found = drawn(torch.rand, (3, 4), rows, axis=-1)
    assert torch.equal(found, whole[:, :, 4:].flatten(1))
    with pytest.raises(ValueError, match="not those of 2 rows"):
        drawn(torch.rand, (3, 5), rows, axis=-1)


def test_what_all_pixels_share_is_the_same() -> None:
    draw = partial(torch.randint, 100)
    rows = RowsGenerator(generator(), torch.tensor([0]), 6)
    assert drawn(draw, (1,), rows, axis=None) == drawn(draw, (1,), generator(), axis=None)


def test_a_class_is_drawn_as_in_one_process() -> None:
    log_q = torch.log_softmax(torch.randn(5, 40, generator=generator()), dim=0)
    at = torch.arange(10, 30)
    whole = some_classes(log_q, 1, generator())
    part = some_classes(log_q[:, at], 1, RowsGenerator(generator(), at, 40))
    for of_whole, of_part in zip(whole, part, strict=True):
        torch.testing.assert_close(of_whole[:, at], of_part)


def test_who_draws_past_it_gets_numbers_of_its_own_and_moves_nobody() -> None:
    source = generator()
    before = source.get_state()
    two = [RowsGenerator(source, torch.tensor([i]), 2) for i in range(2)]
    first, second = (torch.randn(8, generator=rows) for rows in two)
    assert not torch.equal(first, second)
    assert torch.equal(source.get_state(), before)
