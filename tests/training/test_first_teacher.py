"""Who teaches first, and what left-out labels say of it and of neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from hsi_ssl.datasets.checked_rows import READ_ROWS
from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.training.first_teacher import FirstTeacher, equal_shares, first_teacher
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.neighbour_evidence import (
    CAUTIOUS,
    NeighbourEvidence,
    lead,
    neighbour_evidence,
    within,
)
from hsi_ssl.training.streaming import StreamedInputs

SIDE = 40


def scene(classes: Tensor, spread: float, labels: int, seed: int) -> tuple[Inputs, Tensor, Tensor]:
    """Pixels of a map of classes, labelled ones first, their labels and all neighbours."""
    generator = torch.Generator().manual_seed(seed)
    truth = classes.flatten()
    place = torch.stack(torch.meshgrid(*map(torch.arange, classes.shape), indexing="ij"), -1)
    drawn = [
        torch.nonzero(truth == k).flatten()[
            torch.randperm(int((truth == k).sum()), generator=generator)[:labels]
        ]
        for k in torch.unique(truth)
    ]
    first = torch.cat(drawn)
    others = torch.ones(len(truth), dtype=torch.bool)
    others[first] = False
    order = torch.cat([first, torch.nonzero(others).flatten()])
    middle = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    x = middle[truth[order]] + spread * torch.randn(len(order), 2, generator=generator)
    y = torch.full((len(order),), -1)
    y[: len(first)] = truth[first]
    places = place.reshape(-1, 2)[order].numpy()
    neighbours = neighbour_table(torch.zeros(len(order), dtype=torch.int16).numpy(), places)
    return Inputs(x), y, torch.from_numpy(neighbours)


def halves() -> Tensor:
    """Two classes, each half of the map."""
    return (torch.arange(SIDE) >= SIDE // 2).long().expand(SIDE, SIDE)


def lines() -> Tensor:
    """A class in every third row alone, between two rows of another."""
    return (torch.arange(SIDE) % 3 == 0).long()[:, None].expand(SIDE, SIDE)


def evidence(classes: Tensor, spread: float, labels: int = 20) -> NeighbourEvidence:
    pixels, y, neighbours = scene(classes, spread, labels, seed=0)
    teacher = first_teacher(pixels, y, 2, torch.ones(2), seed=0)
    return neighbour_evidence(
        teacher, y, neighbours, 0.8, torch.arange(int((y >= 0).sum())), seed=0
    )


def test_it_finds_the_classes_and_knows_where_it_has_learnt() -> None:
    pixels, y, _ = scene(halves(), 0.2, 5, seed=1)
    teacher = first_teacher(pixels, y, 2, torch.ones(2), seed=1)
    assert teacher.rows.tolist() == list(range(10))
    log_p = teacher.log_posterior
    truth = pixels.mean[:, 0] > 0.5
    assert ((log_p.argmax(1) == 1) == truth).float().mean() > 0.9
    torch.testing.assert_close(log_p[:50], teacher.of(pixels.mean[:50]))


def test_gaussians_join_where_brightness_hides_the_classes_and_not_where_they_only_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.full((600,), -1)
    y[:40] = torch.arange(40) % 2
    x = torch.randn(600, 2, generator=generator) * torch.tensor([6.0, 1.0])
    x[:, 1] += 3 * (torch.arange(600) % 2)
    bright = first_teacher(Inputs(x), y, 2, torch.ones(2), seed=0)
    assert len(bright.machines) == 2
    assert bright.in_words() == "kernel machine and class Gaussians"
    pixels, y, _ = scene(halves(), 0.01, 5, seed=1)
    assert len(first_teacher(pixels, y, 2, torch.ones(2), seed=0).machines) == 1


@pytest.mark.parametrize("counts", [[3000, 3000], [3000, 900, 20], [1500, 400]])
def test_of_many_labels_classes_have_equal_shares(counts: list[int]) -> None:
    y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    found = torch.bincount(y[equal_shares(y, 2000)]).tolist()
    assert sum(found) <= 2000
    assert sum(found) > 1990 or sum(found) == sum(counts)
    for kept, count in zip(found, counts, strict=True):
        assert kept == min(count, max(found))


def test_where_neighbours_mend_they_are_believed_again_and_again() -> None:
    found = evidence(halves(), 0.7)
    assert found.share == 1
    assert found.again
    assert found.mended[0] > 2 * found.spoilt[0]
    assert "every round" in found.in_words()


def test_thin_lines_are_not_eaten() -> None:
    found = evidence(lines(), 0.5)
    assert found.spoilt[0] > found.mended[0]
    assert found.share < 1
    assert not found.again


def test_where_all_are_right_anyway_neighbours_are_believed_a_little() -> None:
    found = evidence(halves(), 0.02)
    assert found == NeighbourEvidence(CAUTIOUS, False, 40, (0.0, 0.0), (0.0, 0.0))
    assert "proves little" in found.in_words()


def test_labels_of_one_unit_do_not_speak_for_each_other() -> None:
    """One label in a patch of many: its fellows' labels, sent as messages, would mend it."""
    pixels, y, neighbours = scene(halves(), 0.9, 300, seed=2)
    teacher = first_teacher(pixels, y, 2, torch.ones(2), seed=0)
    alone = torch.arange(len(teacher.rows))
    of_class = y[teacher.rows]
    each, together = (
        neighbour_evidence(teacher, y, neighbours, 0.8, unit, seed=0) for unit in (alone, of_class)
    )
    assert together.mended[0] - together.spoilt[0] < each.mended[0] - each.spoilt[0]


def test_lead_is_in_tosses_of_a_coin() -> None:
    assert lead(10, 10) == 0
    assert lead(0, 0) == 0
    assert lead(4, 0) == 2


def test_within_some_steps() -> None:
    neighbours = torch.full((6, 8), -1)
    neighbours[:-1, 0] = torch.arange(1, 6)
    assert within(neighbours, torch.tensor([1]), 2).tolist() == [1, 2, 3]


def test_a_teacher_without_some_labels_has_not_seen_them() -> None:
    pixels, y, _ = scene(halves(), 0.2, 5, seed=1)
    teacher: FirstTeacher = first_teacher(pixels, y, 2, torch.ones(2), seed=1)
    row = torch.tensor([0])
    gone = teacher.without(row)
    other = y.clone()
    other[0] = -1
    anew = first_teacher(pixels, other, 2, torch.ones(2), seed=1)
    ours, theirs = (one.of(pixels.mean[:20]).argmax(1) for one in (gone, anew))
    assert torch.equal(ours, theirs)


def test_of_pixels_in_a_file_it_learns_from_as_many_labels() -> None:
    """More than are read at a time."""
    count = READ_ROWS + 100
    y = torch.arange(count) % 2
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(0))
    x[:, 0] += 4 * y

    def read(rows: npt.NDArray[np.int64]) -> Inputs:
        return Inputs(x[torch.from_numpy(rows)])

    streamed = StreamedInputs(np.arange(count), read, 2, torch.device("cpu"))
    each = [first_teacher(some, y, 2, torch.ones(2), 0) for some in (Inputs(x), streamed)]
    assert int(each[0].rows.max()) >= READ_ROWS
    torch.testing.assert_close(each[0].of(x[:500]), each[1].of(x[:500]))
