"""What is told between epochs, to resume from."""

from __future__ import annotations

import torch

from hsi_ssl.training.e_step import EStep


def test_what_was_told_of_many_label_sets_comes_back_in_their_order() -> None:
    told = [torch.full((2, 3), float(v)) for v in range(12)]
    before, after = EStep(pseudo_labels=told), EStep()
    after.restore(before.state())
    assert after.pseudo_labels is not None
    assert [int(t[0, 0]) for t in after.pseudo_labels] == list(range(12))
    assert after.log_prior is None
