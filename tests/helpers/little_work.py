"""Less of what takes most of a command's time: steps of a training, classes and pixels in figures.

For tests of what is done at all, on small data: a step, or a class's figure, is like the next.
"""

from __future__ import annotations

import pytest

TRAINING = ("stage", "classifier_task", "semi_supervised_task", "supervised_task")


def few_steps(patch: pytest.MonkeyPatch, steps: int = 6) -> None:
    """Have an epoch of few pixels take so many steps, not 30."""
    for name in TRAINING:
        patch.setattr(f"hsi_ssl.training.{name}.STEPS_AN_EPOCH", steps)


def few_points(patch: pytest.MonkeyPatch) -> None:
    """Have `evaluate` lay out few pixels by t-SNE."""
    patch.setattr("hsi_ssl.reports.model_figures.POINTS", 60)
    patch.setattr("hsi_ssl.reports.model_figures.ROUNDS", 250)


def small_reports(patch: pytest.MonkeyPatch) -> None:
    """Have `evaluate` lay out few pixels, and draw the spectra of few classes."""
    few_points(patch)
    patch.setattr("hsi_ssl.reports.model_figures.SPECTRA", 30)
    patch.setattr("hsi_ssl.reports.model_figures.PANELS", 2)
