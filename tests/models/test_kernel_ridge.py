"""Kernel ridge regression of classes: what it says, and of pixels that it has not learnt from."""

from __future__ import annotations

import torch

from hsi_ssl.models.kernel_ridge import KernelRidge, fit_kernel_ridge, median_distance


def groups(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels `(count, 2)` of three groups, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    middle = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    return middle[y] + 0.8 * torch.randn(count, 2, generator=generator), y


def fitted(x: torch.Tensor, y: torch.Tensor) -> KernelRidge:
    return fit_kernel_ridge(x, y, 3, median_distance(x))


def test_it_tells_groups_apart_and_nothing_far_from_all() -> None:
    x, y = groups(30, 0)
    machine = fitted(x, y)
    others, truth = groups(60, 1)
    log_p = machine.log_posteriors(iter(others.split(7)))
    assert (log_p.argmax(1) == truth).float().mean() > 0.9
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(60))
    far = machine.log_posteriors(iter([torch.full((1, 2), 1e3)])).exp()
    torch.testing.assert_close(far, torch.full((1, 3), 1 / 3))


def test_what_is_left_out_is_as_if_it_had_never_been_there() -> None:
    """The closed form against a regression that is solved without the rows."""
    x, y = groups(24, 2)
    machine = fitted(x, y)
    rows = torch.tensor([0, 1, 5, 9])
    kept = torch.tensor([i for i in range(24) if i not in rows.tolist()])
    weight = 24 / (3 * torch.bincount(y).double()[y[kept]])
    gram = torch.exp(-torch.cdist(x[kept].double(), x[kept].double()).square() / machine.width)
    target = torch.nn.functional.one_hot(y[kept], 3).double() - 1 / 3
    solved = torch.linalg.solve(gram + torch.diag(0.03 / weight), target)
    found = machine.without(rows)
    torch.testing.assert_close(found.coefficients[kept], solved, atol=1e-6, rtol=1e-5)
    assert found.coefficients[rows].abs().max() < 1e-8


def test_a_rare_class_weighs_as_much_as_a_common_one() -> None:
    """Between two groups the border lies in the middle, whatever their numbers."""
    generator = torch.Generator().manual_seed(3)
    x = torch.cat(
        [torch.randn(200, 1, generator=generator), 4 + torch.randn(4, 1, generator=generator)]
    )
    y = torch.tensor([0] * 200 + [1] * 4)
    machine = fit_kernel_ridge(x, y, 2, torch.tensor(4.0))
    line = torch.linspace(0, 4, 401)[:, None]
    border = line[int((machine.log_posteriors(iter([line])).argmax(1) == 1).nonzero()[0])]
    assert 1.2 < float(border) < 2.8


def test_scores_are_as_sure_as_labels_that_are_left_out_allow() -> None:
    """Groups that overlap make it less sure than groups that do not."""
    x, y = groups(60, 4)
    apart, mixed = fitted(3 * x, y), fitted(x + 6 * torch.randn(60, 2), y)
    assert apart.sharpness > 2 * mixed.sharpness


def test_pixels_that_are_all_alike_have_a_width() -> None:
    assert median_distance(torch.ones(5, 3)) == 1
    assert median_distance(torch.ones(1, 3)) == 1
