from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.datasets.splits import (
    DUE,
    OUT,
    Marks,
    Split,
    draw_parts,
    guarded,
    near,
    split_fixed_test,
    split_pixels,
    split_units,
    stratify,
)
from hsi_ssl.datasets.store import Part
from hsi_ssl.datasets.units import patches as connected
from hsi_ssl.errors import LabelError

SHARES = {Part.TRAIN: 0.6, Part.VALIDATION: 0.2, Part.TEST: 0.2}
Labels = npt.NDArray[np.int16]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def patches(seed: int, rows: int = 60, cols: int = 50, classes: int = 4) -> Labels:
    """Fields of classes with gaps between them, as maps of ground truth are."""
    plane = np.full((rows, cols), -1, np.int16)
    random = rng(seed)
    for _ in range(60):
        r, c = random.integers(rows), random.integers(cols)
        plane[r : r + random.integers(2, 9), c : c + random.integers(2, 9)] = random.integers(
            -1, classes
        )
    return plane


def counts(split: Split, labels: list[Labels], classes: int) -> npt.NDArray[np.int64]:
    """Pixels (parts, classes)."""
    found = np.zeros((3, classes), np.int64)
    for plane, label in zip(split.planes, labels, strict=True):
        for part in range(3):
            found[part] += np.bincount(label[plane == part], minlength=classes)
    return found


def assert_apart(plane: npt.NDArray[np.uint8], guard: int) -> None:
    """No pixel that is used lies within `guard` of one of another part, by looking at all pairs.

    The pool counts as training, with which it may mix.
    """
    side = np.where(plane == Part.POOL, np.uint8(Part.TRAIN), plane)
    rows, cols = np.nonzero(side != OUT)
    part = side[rows, cols]
    for r, c, p in zip(rows, cols, part, strict=True):
        distance = np.maximum(np.abs(rows - r), np.abs(cols - c))
        assert not ((distance <= guard) & (part != p)).any()


@pytest.mark.parametrize("distance", [0, 1, 3])
def test_near_is_the_chebyshev_distance(distance: int) -> None:
    mask = rng().random((13, 17)) < 0.03
    rows, cols = np.nonzero(mask)
    r, c = np.mgrid[:13, :17]
    away = np.maximum(np.abs(r[..., None] - rows), np.abs(c[..., None] - cols)).min(axis=-1)
    np.testing.assert_array_equal(near(mask, distance), away <= distance)


@pytest.mark.parametrize("guard", [0, 1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_guard_keeps_parts_apart_and_drops_no_pixel_without_cause(seed: int, guard: int) -> None:
    label = patches(seed, 24, 20)
    zone = np.kron(rng(seed).integers(0, 3, (4, 4)), np.ones((6, 5))).astype(np.uint8)
    forced = label == 3
    flat = np.flatnonzero(label >= 0)
    marks = Marks((24, 20), flat, label.ravel()[flat])
    plane = guarded(marks, zone.ravel()[flat], forced.ravel()[flat], guard)
    assert_apart(plane, guard)
    assert (plane[forced] == Part.TRAIN).all()
    labelled = (label >= 0) & ~forced
    used = plane != OUT
    assert (plane[labelled & used] == zone[labelled & used]).all()
    assert (plane[(label < 0) & used] == Part.POOL).all()
    for r, c in zip(*np.nonzero(((label < 0) | (zone == Part.TRAIN)) & ~used), strict=True):
        around = plane[max(0, r - guard) : r + guard + 1, max(0, c - guard) : c + guard + 1]
        assert np.isin(around, (Part.VALIDATION, Part.TEST)).any()
    for r, c in zip(*np.nonzero(labelled & (zone == Part.TEST) & ~used), strict=True):
        assert forced[max(0, r - guard) : r + guard + 1, max(0, c - guard) : c + guard + 1].any()


@pytest.mark.slow
@pytest.mark.parametrize("guard", [0, 1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_blocks_are_whole_apart_and_complete(seed: int, guard: int) -> None:
    labels = [patches(seed, 90, 70), patches(seed + 50, 40, 80)]
    split = split_units(labels, 4, SHARES, rng(seed), guard=guard)
    assert split.kind == "blocks"
    assert split.block is not None
    lost = 0
    for plane, label in zip(split.planes, labels, strict=True):
        assert_apart(plane, guard)
        lost += int(((plane == OUT) & (label >= 0)).sum())
        for r in range(0, label.shape[0], split.block):
            for c in range(0, label.shape[1], split.block):
                box = slice(r, r + split.block), slice(c, c + split.block)
                common = label[box] >= 0
                common &= ~np.isin(label[box], split.rare) & (plane[box] != OUT)
                assert len(np.unique(plane[box][common])) <= 1
        assert np.isin(plane[label >= 0], (Part.TRAIN, Part.VALIDATION, Part.TEST, OUT)).all()
    assert split.guard_lost == lost
    assert lost == 0 or guard > 0
    totals = sum(np.bincount(p[p >= 0], minlength=4) for p in labels)
    found = counts(split, labels, 4)
    assert (found >= DUE * np.array([[0.6], [0.2], [0.2]]) * totals).all()


def test_larger_blocks_are_preferred_where_they_do() -> None:
    # Stripes of four classes, side by side all the way down: any size will do.
    stripes = np.tile(np.arange(4, dtype=np.int16), (100, 5))
    assert split_units([stripes], 4, SHARES, rng(), guard=1).block == 20
    # Each class in patches of 12 pixels, wide apart: larger blocks would join too many of them.
    fields = np.full((96, 96), -1, np.int16)
    for i in range(16):
        r, c = divmod(i, 4)
        fields[24 * r : 24 * r + 12, 24 * c : 24 * c + 12] = (i + r) % 4
    split = split_units([fields], 4, SHARES, rng(), guard=1)
    assert split.block is not None
    assert split.block < 20
    assert (counts(split, [fields], 4) > 0).all()


def test_block_size_asked_for_is_taken() -> None:
    assert split_units([patches(1)], 4, SHARES, rng(), guard=1, block=10).block == 10


def with_rare_class() -> list[Labels]:
    """Class 4 is one pixel in the midst of others, class 5 a patch of six."""
    plane = patches(3, 90, 90)
    plane[20:26, 20:26] = 1
    plane[22, 22] = 4
    plane[60:62, 60:63] = 5
    return [plane]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["pixels", "blocks"])
def test_rare_class_stays_in_training_with_all_its_pixels(kind: str, seed: int) -> None:
    labels = with_rare_class()
    if kind == "pixels":
        split = split_pixels(labels, 6, SHARES, rng(seed))
        assert split.rare == (4,)
    else:
        split = split_units(labels, 6, SHARES, rng(seed), guard=1)
        assert set(split.rare) == {4, 5}
        assert_apart(split.planes[0], 1)
    for k in split.rare:
        assert (split.planes[0][labels[0] == k] == Part.TRAIN).all()
    assert (counts(split, labels, 6)[:, :4] > 0).all()


def test_scenes_go_as_wholes_and_every_class_trains() -> None:
    labels = [patches(seed, 20, 20, classes=3) for seed in range(12)]
    for label in labels[:4]:
        label[label == 2] = -1
    labels[5][:3, :3] = 3  # in one scene only
    for seed in range(10):
        split = split_units(labels, 4, SHARES, rng(seed), guard=1, whole=True)
        assert split.kind == "scenes"
        for plane, label in zip(split.planes, labels, strict=True):
            assert len(np.unique(plane[(label >= 0)])) == 1
        found = counts(split, labels, 4)
        assert (found[:, :3] > 0).all()
        assert found[Part.TRAIN, 3] == 9
        shares = found[:, :3].sum(axis=1) / found[:, :3].sum()
        np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.12)


def test_pool_comes_from_every_scene_but_not_from_beside_test_pixels() -> None:
    labels = [patches(seed, 20, 20) for seed in range(6)] + [np.full((9, 9), -1, np.int16)]
    split = split_units(labels, 4, SHARES, rng(), guard=1, whole=True)
    assert (split.planes[-1] == Part.POOL).all()
    for plane in split.planes:
        assert (plane == Part.POOL).any()
        assert_apart(plane, 1)


def test_too_few_scenes_say_so() -> None:
    with pytest.raises(LabelError, match=r"no .*: too few scenes .*--split blocks"):
        split_units([patches(0), patches(1)], 4, SHARES, rng(), guard=1, whole=True)


def test_labels_in_one_spot_cannot_be_split_by_blocks() -> None:
    spot = np.full((80, 80), -1, np.int16)
    spot[33:36, 33:36] = [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    with pytest.raises(LabelError, match=r"leaves no .*--split pixels"):
        split_units([spot], 2, SHARES, rng(), guard=1)


def test_classes_too_small_for_any_split_say_so() -> None:
    label = np.full((9, 9), -1, np.int16)
    label[0, :4] = [0, 0, 1, 1]
    with pytest.raises(LabelError, match="no class has 3 labelled pixels"):
        split_pixels([label], 2, SHARES, rng())


@pytest.mark.parametrize("seed", range(20))
def test_stratify_leaves_no_part_without_a_class_that_has_a_unit_for_each(seed: int) -> None:
    random = rng(seed)
    # Class k lies in 3 + k units of its own, of very different sizes.
    counts = np.zeros((25, 5), np.int64)
    unit = 0
    for k in range(5):
        for _ in range(3 + k):
            counts[unit, k] = random.integers(1, 100)
            unit += 1
    part = stratify(counts, np.array([0.6, 0.2, 0.2]), random)
    found = np.zeros((3, 5), np.int64)
    np.add.at(found, part, counts)
    assert (found > 0).all()


def test_stratify_comes_near_the_shares() -> None:
    counts = rng().poisson(3, (300, 6)) * (rng(1).random((300, 6)) < 0.3)
    part = stratify(counts, np.array([0.6, 0.2, 0.2]), rng(2))
    found = np.array([counts[part == p].sum(axis=0) for p in range(3)])
    expected = np.array([[0.6], [0.2], [0.2]]) * counts.sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=0.1)


def test_pixels_are_drawn_to_shares_with_one_in_each_part() -> None:
    classes = np.repeat(np.arange(5), [1000, 100, 5, 3, 2]).astype(np.int16)
    for seed in range(20):
        parts = draw_parts(classes, 5, SHARES, rng(seed))
        found = [[int(((parts == p) & (classes == k)).sum()) for p in range(3)] for k in range(5)]
        assert found == [[600, 200, 200], [60, 20, 20], [3, 1, 1], [1, 1, 1], [2, 0, 0]]


def test_small_shares_still_get_a_pixel() -> None:
    shares = {Part.TRAIN: 0.96, Part.VALIDATION: 0.02, Part.TEST: 0.02}
    parts = draw_parts(np.zeros(9, np.int16), 1, shares, rng())
    assert np.bincount(parts).tolist() == [7, 1, 1]


def test_large_shares_leave_training_its_pixel() -> None:
    shares = {Part.TRAIN: 0.04, Part.VALIDATION: 0.48, Part.TEST: 0.48}
    for n in range(3, 12):
        parts = draw_parts(np.zeros(n, np.int16), 1, shares, rng())
        assert set(parts.tolist()) == {0, 1, 2}


def test_pixel_split_leaves_every_unlabelled_pixel_to_the_pool() -> None:
    labels = [patches(0), patches(1)]
    split = split_pixels(labels, 4, SHARES, rng())
    for plane, label in zip(split.planes, labels, strict=True):
        np.testing.assert_array_equal(plane == Part.POOL, label < 0)


def test_fixed_test_pixels_are_all_kept() -> None:
    label = patches(0)
    out = [(rng().random(label.shape) < 0.5) & (label >= 0)]
    split = split_fixed_test([label], out, 4, 0.2, rng(), kind="maps")
    assert split.kind == "maps"
    (plane,) = split.planes
    np.testing.assert_array_equal(plane == Part.TEST, out[0])
    trained = (label >= 0) & ~out[0]
    assert np.isin(plane[trained], (Part.TRAIN, Part.VALIDATION)).all()
    for k in range(4):
        n = (trained & (label == k)).sum()
        assert (plane[trained & (label == k)] == Part.VALIDATION).sum() == round(0.2 * n)
    assert (plane[label < 0] == Part.POOL).all()


def test_fixed_test_scene_is_tested_on_as_a_whole() -> None:
    labels = [patches(0, 90, 90), patches(1)]
    out = [np.zeros((90, 90), bool), np.ones((60, 50), bool)]
    split = split_fixed_test(labels, out, 4, 0.2, rng(), kind="catalog", blocks=True, guard=1)
    np.testing.assert_array_equal(split.planes[1] == Part.TEST, labels[1] >= 0)
    assert (split.planes[0] == Part.VALIDATION).any()
    for plane in split.planes:
        assert (plane == Part.POOL).any()
        assert_apart(plane, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda labels, random: split_pixels(labels, 4, SHARES, random),
        lambda labels, random: split_units(labels, 4, SHARES, random, guard=1),
        lambda labels, random: split_units(labels * 4, 4, SHARES, random, guard=1, whole=True),
    ],
)
def test_same_seed_same_split_and_another_seed_another(make: Callable[..., Split]) -> None:
    def planes(seed: int) -> npt.NDArray[Any]:
        found = make([patches(0), patches(1)], rng(seed)).planes
        return np.concatenate([plane.ravel() for plane in found])

    np.testing.assert_array_equal(planes(0), planes(0))
    assert any((planes(0) != planes(seed)).any() for seed in range(1, 5))


@pytest.mark.slow
def test_indian_pines_by_blocks(real_data: Callable[[str], Path]) -> None:
    import rasterio

    folder = real_data("indian-pines-split")
    plane = np.zeros((145, 145), np.int16)
    for path in folder.glob("*.tif"):
        with rasterio.open(path) as file:
            plane = np.maximum(plane, file.read(1))
    labels = [(plane - 1).astype(np.int16)]
    for seed in range(3):
        split = split_units(labels, 16, SHARES, rng(seed), guard=1)
        assert_apart(split.planes[0], 1)
        found = counts(split, labels, 16)
        assert (found[Part.TRAIN] > 0).all()
        # Two classes of 20 and 28 pixels lie in one field each.
        assert len(split.rare) <= 2
        assert ((found > 0).all(axis=0)).sum() >= 13


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_polygons_stay_whole_and_apart(seed: int) -> None:
    labels = [patches(10 * seed + i, rows=90, cols=80) for i in range(2)]
    # The first patch of the second scene is that of the first scene once more.
    units = connected(labels)
    units[1].number[units[1].number == units[1].number[0]] = units[0].number[0]
    split = split_units(labels, 4, SHARES, rng(seed), guard=1, polygons=units)
    assert split.kind == "polygons"
    assert split.block is None
    part_of: dict[int, set[int]] = {}
    for plane, one in zip(split.planes, units, strict=True):
        assert_apart(plane, 1)
        for number, part in zip(one.number.tolist(), plane.ravel()[one.flat].tolist(), strict=True):
            if part != OUT:
                part_of.setdefault(number, set()).add(part)
    assert all(len(parts) == 1 for parts in part_of.values())
    found = counts(split, labels, 4)
    total = sum(int((plane >= 0).sum()) for plane in labels)
    assert (found > 0).all()
    assert found[2].sum() > 0.08 * total


def test_too_few_polygons_are_told() -> None:
    plane = np.full((20, 20), -1, np.int16)
    plane[2:5, 2:5], plane[10:14, 10:14] = 0, 1
    with pytest.raises(LabelError, match="too few polygons"):
        split_units([plane], 2, SHARES, rng(), guard=1, polygons=connected([plane]))
