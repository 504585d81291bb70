"""Discriminant analysis of few pixels."""

from __future__ import annotations

import torch

from hsi_ssl.models.shrunk_gaussians import fit_shrunk_gaussians


def test_what_varies_within_classes_does_not_tell_them_apart() -> None:
    """Brightness varies tenfold within both classes, which differ in the second column."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(40) % 2
    x = torch.randn(40, 2, generator=generator) * torch.tensor([10.0, 0.3])
    x[:, 1] += y
    found = fit_shrunk_gaussians(x[:20], y[:20], 2, 4.0).log_posteriors(iter(x.split(11)))
    assert (found.argmax(1) == y).float().mean() > 0.85
    torch.testing.assert_close(found.exp().sum(1), torch.ones(40))


def test_one_pixel_a_class_is_enough() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = fit_shrunk_gaussians(x, torch.arange(3), 3, 1.0).log_posteriors(iter([x]))
    assert found.argmax(1).tolist() == [0, 1, 2]


def test_a_class_without_pixels_is_never_found() -> None:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    y = torch.arange(20) % 2 * 2
    found = fit_shrunk_gaussians(x, y, 4, 8.0).log_posteriors(iter([10 * x]))
    assert set(found.argmax(1).tolist()) <= {0, 2}
    assert found.isfinite().all()


def test_leaving_out_is_fitting_without() -> None:
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(2))
    y = torch.arange(12) % 3
    left = fit_shrunk_gaussians(x, y, 3, 2.0).without(torch.tensor([0, 1, 2]))
    alone = fit_shrunk_gaussians(x[3:], y[3:], 3, 2.0)
    torch.testing.assert_close(left.scores(x), alone.scores(x))


def test_of_classes_that_are_alike_it_says_nothing() -> None:
    for value in (0.0, 0.9999999, 9000.0):
        x = torch.full((20, 2), value)
        fitted = fit_shrunk_gaussians(x, torch.arange(20) % 2, 2, 8.0)
        found = fitted.log_posteriors(iter([x])).exp()
        torch.testing.assert_close(found, torch.full((20, 2), 0.5))
        assert fitted.log_posteriors(iter([x + 0.5])).isfinite().all()
