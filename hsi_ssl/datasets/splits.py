"""Splits: which pixels may train, validate and test, decided from the labels alone.

Units (scenes, square blocks of scenes, polygons) go to parts by iterative stratification (Sechidis,
Tsoumakas & Vlahavas 2011), so that rare classes reach every part; a guard border keeps the parts
of one scene apart. Label planes `(rows, cols)` hold indices 0..K-1, -1 without label. Of several
label sets they are `(sets, rows, cols)`, with class numbers that run on from set to set: a pixel
then counts for every class that it is labelled with, and goes to one part with all its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Part
from hsi_ssl.datasets.units import Units, combined
from hsi_ssl.errors import LabelError

Labels = npt.NDArray[np.signedinteger[Any]]
Parts = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]
Ints = npt.NDArray[np.signedinteger[Any]]

OUT = 255
"""In a plane of parts: a pixel that nobody may take."""
DUE = 0.5
"""A class counts as being in a part from this fraction of its due number of pixels on."""
SMALLEST_BLOCK = 8
"""Smaller blocks would test on pixels that hardly differ from training pixels next door."""
BLOCKS_ALONG = 5
"""Blocks along the longest side of the scenes, at least: a fifth of the pixels is to be tested."""
JITTER = 0.5
"""Spread of the logarithm of the number by which chance multiplies a unit's pixel count."""
RESTARTS = 32
UNITS_TRIED = 15_000
"""Restarts times units: large scenes have so many blocks that one try is as good as another."""
GUARDED = 2
"""Best tries whose counts behind the guard border are compared."""

ADVICE = {
    "blocks": "the labels lie too close together; take smaller --block or --split pixels, or label "
    "more",
    "scenes": "too few scenes are labelled; take --split blocks, or label more",
    "polygons": "each class lies in too few polygons; take --split blocks, or label more of them",
}
"""What to do where a part stays empty."""


@dataclass(frozen=True)
class Split:
    """Planes of parts, one a scene, and how they came about.

    A labelled pixel has its `Part`; an unlabelled one is `Part.POOL` where the pool may draw it;
    `OUT` are those that nobody may take. `rare` are the classes kept in training as a whole,
    `guard_lost` the labelled pixels lost to the guard border, `block` the side of the blocks.
    """

    kind: str
    planes: list[Parts]
    block: int | None = None
    guard: int = 0
    guard_lost: int = 0
    rare: tuple[int, ...] = ()


def split_pixels(
    labels: Sequence[Labels], classes: int, shares: dict[Part, float], rng: np.random.Generator
) -> Split:
    """Each class's pixels at random; a class with fewer pixels than parts only trains.

    Of several label sets, each combination of labels at random. Neighbours of test pixels, nearly
    copies of them, end up in training.

    Raises
    ------
    LabelError
        No class has a pixel for each part.
    """
    flat, combinations = combined(labels, classes)
    parts = draw_parts(
        np.concatenate([plane[plane >= 0] for plane in flat]), combinations, shares, rng
    )
    planes, done = [], 0
    for plane in flat:
        labelled = plane >= 0
        out: Parts = np.full(plane.shape, Part.POOL, np.uint8)
        n = int(np.count_nonzero(labelled))
        out[labelled] = parts[done : done + n]
        planes.append(out)
        done += n
    marks = [_marks(plane) for plane in labels]
    found = _counts_of(planes, marks, classes, np.array(list(shares), np.uint8))
    rare = np.flatnonzero(found.any(axis=0) & ~found.all(axis=0))
    split = Split("pixels", planes, rare=tuple(rare.tolist()))
    _refuse_empty_parts(split, shares, f"no class has {len(shares)} labelled pixels; label more")
    return split


def split_fixed_test(
    labels: Sequence[Labels],
    held_out: Sequence[npt.NDArray[np.bool_]],
    classes: int,
    validation: float,
    rng: np.random.Generator,
    *,
    kind: str,
    blocks: bool = False,
    guard: int = 0,
    block: int | None = None,
) -> Split:
    """Test on the labelled pixels of `held_out (rows, cols)`, none dropped; train on the others.

    Validation pixels are drawn from the training pixels, at random or by `blocks`; a share of 0
    draws none. With blocks the pool keeps `guard` pixels from the test pixels too.
    """
    kept = [np.where(out, np.int16(-1), plane) for plane, out in zip(labels, held_out, strict=True)]
    shares = {Part.TRAIN: 1 - validation}
    if validation:
        shares[Part.VALIDATION] = validation
    if blocks:
        split = split_units(kept, classes, shares, rng, guard=guard, block=block)
    else:
        split = split_pixels(kept, classes, shares, rng)
    for plane, label, out in zip(split.planes, labels, held_out, strict=True):
        test = out & _any_set(label >= 0)
        if blocks:
            plane[(plane == Part.POOL) & near(test, guard)] = OUT
        plane[test] = Part.TEST
    return replace(split, kind=kind, rare=())


def split_units(
    labels: Sequence[Labels],
    classes: int,
    shares: dict[Part, float],
    rng: np.random.Generator,
    *,
    guard: int,
    block: int | None = None,
    whole: bool = False,
    polygons: Sequence[Units] | None = None,
) -> Split:
    """Whole scenes (`whole`), `polygons`, or square blocks of side `block`, to parts by `shares`.

    With `block` None: the largest blocks with which as many classes are in every part as with
    any size. Kept in this order: every class trains; as many classes as possible are in every
    part, with half of their due pixels or more; each class's pixels come near the shares.
    A class left without training or test pixels trains with all of its pixels, wherever they lie.

    No pixel of one part lies within `guard` pixels (Chebyshev distance) of a pixel of another.
    The pool comes from everywhere, but keeps as far from validation and test pixels.

    Raises
    ------
    LabelError
        A part stays empty whatever the size.
    """
    kind = "scenes" if whole else "blocks" if polygons is None else "polygons"
    sizes: list[int | None] = [None]
    if kind == "blocks":
        sizes = [block] if block else list(_block_sizes(labels, guard))
    marks = [_marks(plane) for plane in labels]
    totals = sum((np.bincount(m.label, minlength=classes) for m in marks), np.zeros(classes, int))
    possible = np.count_nonzero(totals >= len(shares))
    best: tuple[tuple[int, int], int | None, list[Parts]] | None = None
    for size in sizes:
        if polygons is not None:
            units = [u.at(m.flat) for u, m in zip(polygons, marks, strict=True)]
        else:
            units = _numbered(marks, size)
        score, parts = _search(marks, totals, shares, rng, None if whole else guard, units)
        if best is None or score[:2] > best[0]:
            best = score[:2], size, parts
        if best[0][1] >= possible:
            break
    assert best is not None
    _, size, parts = best
    split = Split(kind, [], size, guard)
    return _settle(marks, totals, parts, list(shares), split)


def stratify(
    counts: Counts, shares: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Part `(units,)` of each unit with class counts `(units, classes)`; 0 for empty units.

    Iterative stratification: the class found in the fewest units left goes first; its units,
    largest first, go to the part that wants most pixels of it, then to the one that wants most of
    all. As soon as a class has no more units left than parts that lack it, only those parts bid.
    Chance shuffles units of similar size, so that another call gives another answer.
    """
    wanted = shares[:, None] * counts.sum(axis=0)
    part = np.zeros(len(counts), np.int64)
    present = counts > 0
    free = present.sum(axis=1) > 0
    has = np.zeros((len(shares), counts.shape[1]), bool)
    left = present.sum(axis=0)
    while left.any():
        k = int(np.where(left > 0, left, np.iinfo(left.dtype).max).argmin())
        units = np.flatnonzero(free & present[:, k])
        keys = counts[units, k] * np.exp(JITTER * rng.normal(size=len(units)))
        for unit in units[np.argsort(-keys, kind="stable")]:
            lacking = ~has[:, k]
            bidders = (
                np.flatnonzero(lacking)
                if 0 < np.count_nonzero(lacking) >= left[k]
                else np.arange(len(shares))
            )
            bids = wanted[bidders, k]
            bidders = bidders[bids >= bids.max() - 1e-9]
            if len(bidders) > 1:
                bidders = bidders[[wanted[bidders].sum(axis=1).argmax()]]
            p = bidders[0]
            part[unit] = p
            wanted[p] -= counts[unit]
            has[p] |= present[unit]
            left -= present[unit]
        free[units] = False
    return part


def draw_parts(
    classes_of: Labels, classes: int, shares: dict[Part, float], rng: np.random.Generator
) -> Parts:
    """Part of each pixel with class `(n,)`: shares of each class, at least one pixel a part.

    A class with fewer pixels than parts goes to training.
    """
    parts: Parts = np.full(len(classes_of), Part.TRAIN, np.uint8)
    held_out = [part for part in shares if part != Part.TRAIN]
    for k in range(classes):
        pixels = rng.permutation(np.flatnonzero(classes_of == k))
        if len(pixels) <= len(held_out):
            continue
        done = 0
        for waiting, part in zip(range(len(held_out), 0, -1), held_out, strict=True):
            n = max(1, round(shares[part] * len(pixels)))
            n = min(n, len(pixels) - done - waiting)  # one each for those that come after
            parts[pixels[done : done + n]] = part
            done += n
    return parts


def near(mask: npt.NDArray[np.bool_], distance: int) -> npt.NDArray[np.bool_]:
    """Pixels within a Chebyshev distance of a pixel of `mask (rows, cols)`, itself included."""
    found = mask.copy()
    for _ in range(distance):
        wide = found.copy()
        wide[1:] |= found[:-1]
        wide[:-1] |= found[1:]
        found = wide.copy()
        found[:, 1:] |= wide[:, :-1]
        found[:, :-1] |= wide[:, 1:]
    return found


class Marks(NamedTuple):
    """The labels of a scene: places `row * cols + col` and class indices, both `(n,)`.

    Of several label sets a place may be there several times.
    """

    shape: tuple[int, int]
    flat: npt.NDArray[np.int64]
    label: Labels


def guarded(marks: Marks, parts: Parts, forced: npt.NDArray[np.bool_], guard: int) -> Parts:
    """Plane of parts of one scene, with the guard border cut out between `parts (n,)`.

    `forced (n,)` pixels train whatever their part, with all their labels. Before whom the others
    give way: forced, test, validation, then training and the pool; test pixels, the rarest, keep
    all they can.
    """
    plane: Parts = np.full(marks.shape, Part.POOL, np.uint8)
    plane.ravel()[marks.flat] = parts
    plane.ravel()[marks.flat[forced]] = Part.TRAIN
    test, validation = plane == Part.TEST, plane == Part.VALIDATION
    if not test.any() and not validation.any():
        return plane
    fixed = np.zeros(marks.shape, bool)
    fixed.ravel()[marks.flat[forced]] = True
    if forced.any():
        lost = test & near(fixed, guard)
        plane[lost], test[lost] = OUT, False
    if validation.any():
        lost = validation & near(fixed | test, guard)
        plane[lost], validation[lost] = OUT, False
    held_out = test | validation
    plane[near(held_out, guard) & ~held_out & ~fixed] = OUT
    return plane


Score = tuple[int, int, float]


def _search(
    marks: Sequence[Marks],
    totals: Counts,
    shares: dict[Part, float],
    rng: np.random.Generator,
    guard: int | None,
    units: Sequence[Ints],
) -> tuple[Score, list[Parts]]:
    """Best of several assignments of units: its score and the parts of all marks.

    `units` are numbers `(n,)` that run through all scenes; `guard` None: they cannot touch.
    """
    counts = _unit_counts(marks, units, len(totals))
    parts, wanted = np.array(list(shares), np.uint8), np.array(list(shares.values()))
    tries = []
    labelled = int(np.count_nonzero(counts.sum(axis=1)))
    restarts = int(np.clip(UNITS_TRIED // max(1, labelled), 1, RESTARTS))
    for _ in range(restarts):
        assigned = stratify(counts, wanted, rng)
        found = np.zeros((len(parts), len(totals)), np.int64)
        np.add.at(found, assigned, counts)
        tries.append((_score(found, totals, wanted), assigned))
    tries.sort(key=lambda t: t[0], reverse=True)

    best: tuple[Score, list[Parts]] | None = None
    for first_score, assigned in tries[:GUARDED]:
        given = [parts[assigned[u]] for u in units]
        if guard is None:
            return first_score, given
        planes = _planes(marks, given, [], guard)
        score = _score(_counts_of(planes, marks, len(totals), parts), totals, wanted)
        if best is None or score > best[0]:
            best = score, given
    assert best is not None
    return best


def _settle(
    marks: Sequence[Marks],
    totals: Counts,
    given: Sequence[Parts],
    parts: Sequence[Part],
    split: Split,
) -> Split:
    """`split` with these parts, classes that lack training or test pixels kept in training."""
    needed = np.array([part for part in (Part.TRAIN, Part.TEST) if part in parts])
    rare: list[int] = []
    while True:
        planes = _planes(marks, given, rare, split.guard)
        found = _counts_of(planes, marks, len(totals), needed)
        more = np.flatnonzero((totals > 0) & (found == 0).any(axis=0))
        more = np.setdiff1d(more, rare)
        if not len(more):
            break
        rare += more.tolist()
    lost = sum(
        int(np.count_nonzero(plane.ravel()[np.unique(m.flat)] == OUT))
        for plane, m in zip(planes, marks, strict=True)
    )
    split = replace(split, planes=planes, guard_lost=lost, rare=tuple(sorted(rare)))
    _refuse_empty_parts(split, parts, ADVICE[split.kind])
    return split


def _refuse_empty_parts(split: Split, parts: Iterable[Part], advice: str) -> None:
    """Raise `LabelError` if no pixel may go to one of `parts`."""
    empty = [p.name.lower() for p in parts if not any((plane == p).any() for plane in split.planes)]
    if empty:
        raise LabelError(f"split {split.kind} leaves no {' and no '.join(empty)} pixels: {advice}")


def _score(found: Counts, totals: Counts, shares: npt.NDArray[np.float64]) -> Score:
    """How good pixel counts `(parts, classes)` are: classes that train, in all parts, nearness."""
    there = totals > 0
    due = DUE * shares[:, None] * totals
    fits = (found >= np.maximum(1, due)).all(axis=0)
    away = np.abs(found[:, there] / totals[there] - shares[:, None]).sum(axis=0).mean()
    return int((found[0] > 0).sum()), int(fits.sum()), -float(away)


def _planes(
    marks: Sequence[Marks], given: Sequence[Parts], rare: Sequence[int], guard: int
) -> list[Parts]:
    return [
        guarded(m, parts, np.isin(m.label, rare) if rare else np.zeros(len(parts), bool), guard)
        for m, parts in zip(marks, given, strict=True)
    ]


def _counts_of(
    planes: Sequence[Parts], marks: Sequence[Marks], classes: int, parts: npt.NDArray[Any]
) -> Counts:
    """Pixels `(parts, classes)`."""
    found = np.zeros((OUT + 1, classes), np.int64)
    for plane, m in zip(planes, marks, strict=True):
        group = plane.ravel()[m.flat].astype(np.int64) * classes + m.label
        found += np.bincount(group, minlength=found.size).reshape(found.shape)
    chosen: Counts = found[parts]
    return chosen


def _block_sizes(labels: Sequence[Labels], guard: int) -> list[int]:
    """Sides to try, down by factors of about 1.4."""
    longest = max(max(plane.shape[-2:]) for plane in labels)
    # In tiny scenes even fewer pixels have to do, but a block must keep some behind its guard.
    smallest = max(min(SMALLEST_BLOCK, longest // 8), 2 * guard + 2)
    largest = max(smallest, longest // BLOCKS_ALONG)
    steps = int(2 * np.log2(largest / smallest))
    sizes = {round(largest / 2 ** (step / 2)) for step in range(steps + 1)} | {smallest}
    return sorted(sizes, reverse=True)


def _marks(plane: Labels) -> Marks:
    places = np.flatnonzero(plane >= 0)
    rows, cols = plane.shape[-2:]
    return Marks((rows, cols), places % (rows * cols), plane.ravel()[places])


def _any_set(labelled: npt.NDArray[np.bool_]) -> Any:
    """Whether any label set labels a pixel, `(rows, cols)`."""
    return np.logical_or.reduce(labelled.reshape(-1, *labelled.shape[-2:]))


def _numbered(marks: Sequence[Marks], size: int | None) -> list[Ints]:
    """Numbers `(n,)` of each labelled pixel's block, or of its scene where `size` is None."""
    found: list[Ints] = []
    first = 0
    for m in marks:
        rows, cols = np.divmod(m.flat, m.shape[1])
        side = size or max(m.shape)
        units = rows // side * -(-m.shape[1] // side) + cols // side
        found.append(units + first)
        first += int(units.max(initial=-1)) + 1
    return found


def _unit_counts(marks: Sequence[Marks], units: Sequence[Ints], classes: int) -> Counts:
    """Pixels `(units, classes)` of each class in each unit."""
    n = max(int(u.max(initial=-1)) for u in units) + 1
    counts: Counts = np.zeros(n * classes, np.int64)
    for m, u in zip(marks, units, strict=True):
        counts += np.bincount(u.astype(np.int64) * classes + m.label, minlength=n * classes)
    return counts.reshape(n, classes)
