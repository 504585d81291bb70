"""Cluster and label: names of slots and scores, against sklearn and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from hsi_ssl.reports.clusters import cluster_and_label

LABELLED = np.array([2, 32])


def test_free_slots_are_named_and_labelled_ones_keep_their_class() -> None:
    truth = np.array([2, 2, 7, 7, 7, 2, 32, 7])
    slot = np.array([0, 2, 2, 2, 3, 3, 0, 1])
    found = cluster_and_label(slot, truth, LABELLED, 3)
    assert [s.code for s in found.slots] == [2, 32, 7, 2, 0]
    assert [s.pixels for s in found.slots] == [2, 1, 3, 2, 0]
    assert [s.purity for s in found.slots[:4]] == [0.5, 0.0, pytest.approx(2 / 3), 0.5]
    # Right: pixels 0 (slot 0), 2 and 3 (slot 2), 5 (slot 3, a tie, the lower code).
    assert found.oa == 4 / 8
    assert found.oa_labelled == 2 / 4
    assert found.oa_unlabelled == 2 / 4
    assert found.ari == pytest.approx(adjusted_rand_score(truth, slot))
    assert found.ari_unlabelled == pytest.approx(adjusted_rand_score([7] * 4, [2, 2, 3, 1]))
    card = json.loads(json.dumps(found.to_json()))
    assert card["slots"][4] == {"free": True, "code": 0, "pixels": 0, "purity": None}


def test_without_pixels_of_other_classes_their_scores_are_undefined() -> None:
    found = cluster_and_label(np.array([0, 1]), np.array([2, 32]), LABELLED, 1)
    assert found.oa == 1
    assert np.isnan(found.oa_unlabelled)
    assert found.to_json()["ari_unlabelled"] is None
