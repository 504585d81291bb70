"""The virtual core: counts, shapes, coherence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hsi_ssl.scenes import drillcore
from hsi_ssl.scenes.drillcore import (
    DECK_PIXELS,
    INDEX,
    LABELLED,
    LITHOLOGY,
    MINERALOGY,
    PREVAILING,
    Box,
    drill,
    label_targets,
)


def targets(seed: int, scene: int = 0) -> dict[int, int]:
    deck = label_targets(np.random.default_rng(seed))
    return dict(zip(LABELLED, deck[scene].tolist(), strict=True))


@pytest.fixture(scope="module")
def box() -> Box:
    return drill(np.random.default_rng(3), 256, 384, targets(3))


@pytest.mark.parametrize("seed", range(4))
def test_a_deck_has_the_published_counts_spread_over_scenes(seed: int) -> None:
    deck = label_targets(np.random.default_rng(seed))
    assert (deck >= 0).all()
    assert deck.sum(axis=0).tolist() == list(LABELLED.values())
    share = deck.sum(axis=1) / DECK_PIXELS
    assert share.min() > 0.14
    assert share.max() < 0.19
    for total, scenes in zip(LABELLED.values(), (deck > 0).sum(axis=0), strict=True):
        assert scenes >= (8 if total > 1000 else 2)


@pytest.mark.parametrize("seed", range(3))
def test_every_target_is_met(seed: int) -> None:
    for scene in (0, 5):
        wanted = targets(seed, scene)
        made = drill(np.random.default_rng(seed), 256, 384, wanted)
        assert {code: int((made.labels == code).sum()) for code in wanted} == wanted


def test_labels_are_patches_on_core(box: Box) -> None:
    assert not box.labels[box.prevailing == INDEX["wood"]].any()
    assert not box.lithology[box.prevailing == INDEX["wood"]].any()
    assert set(np.unique(box.lithology)) <= {0, *LITHOLOGY}
    labelled = box.labels > 0
    neighbours = ndimage.uniform_filter(labelled.astype(float), 3)
    # Were they strewn at random, a labelled pixel's neighbourhood would be labelled by a sixth.
    assert neighbours[labelled].mean() > 0.75
    assert 0.05 < (box.lithology > 0).mean() < 0.18


def test_a_few_labels_are_wrong_and_only_near_borders(box: Box) -> None:
    code = np.zeros(len(drillcore.MATERIALS), int)
    for c, i in PREVAILING.items():
        code[i] = c
    truth = code[box.prevailing]
    wrong = (box.labels > 0) & (truth != box.labels)
    assert 0.01 < wrong.sum() / (box.labels > 0).sum() < 0.08
    calm = ndimage.maximum_filter(truth, 7) == ndimage.minimum_filter(truth, 7)
    assert not (wrong & calm).any()


def test_abundances_sum_to_one_and_the_prevailing_mineral_prevails_mostly(box: Box) -> None:
    assert box.abundance.shape == (256, 384, len(drillcore.MATERIALS))
    assert box.abundance.min() >= 0
    assert box.abundance.sum(axis=-1) == pytest.approx(1, abs=1e-5)
    core = box.prevailing != INDEX["wood"]
    same = box.abundance.argmax(axis=-1) == box.prevailing
    assert same[core].mean() > 0.7
    assert 0.6 < core.mean() < 0.86


def test_every_mineral_and_lithology_has_its_own_name() -> None:
    assert set(MINERALOGY) == set(LABELLED)
    assert len(set(MINERALOGY.values())) == len(MINERALOGY) == 11
    assert list(LITHOLOGY) == list(range(101, 156))
    assert len(set(LITHOLOGY.values())) == 55


def test_smooth_planes_are_smooth_and_standard() -> None:
    plane = drillcore.smooth(np.random.default_rng(0), (300, 200), 20)
    assert plane.shape == (300, 200)
    assert plane.mean() == pytest.approx(0, abs=1e-3)
    assert plane.std() == pytest.approx(1, abs=1e-3)
    assert abs(np.diff(plane, axis=0)).max() < 0.4
    far = np.corrcoef(plane[:200].ravel(), plane[100:].ravel())[0, 1]
    assert abs(far) < 0.4


@pytest.mark.parametrize("shape", [(16, 16), (32, 48), (16, 400), (300, 16)])
def test_odd_sizes_hold_core_and_labels(shape: tuple[int, int]) -> None:
    scale = shape[0] * shape[1] / DECK_PIXELS
    wanted = {code: round(n * scale) for code, n in targets(0).items()}
    made = drill(np.random.default_rng(0), *shape, wanted)
    assert made.labels.shape == shape
    assert (made.labels > 0).any()
