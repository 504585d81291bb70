from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
import torch

from hsi_ssl.reports.metrics import score
from hsi_ssl.training.validation import scores


@pytest.mark.parametrize("seed", range(4))
def test_training_and_reports_score_alike_and_as_scikit_learn(seed: int) -> None:
    """Class 5 is predicted but absent, class 1 there but never predicted."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, 300)
    log_p = torch.log_softmax(torch.from_numpy(rng.normal(0, 1, (300, 6))), -1)
    log_p[:, 1] = -torch.inf
    found, predicted = scores(torch.from_numpy(truth), log_p), log_p.argmax(-1).numpy()
    reported = score(truth, predicted, 6)
    assert found == {
        "oa": reported.oa,
        "balanced_accuracy": reported.aa,
        "macro_f1": reported.macro_f1,
    }
    by_others = sk.f1_score(truth, predicted, labels=range(5), average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(by_others, abs=1e-12)
    recalls = sk.recall_score(truth, predicted, labels=range(5), average="macro")
    assert found["balanced_accuracy"] == pytest.approx(recalls, abs=1e-12)
