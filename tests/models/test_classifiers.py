"""The mathematics of classifiers that are no declared model."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hsi_ssl.models.classifiers import CLASSIFIERS
from hsi_ssl.models.classifiers.base import Batch, ClassifierModel, cross_entropy
from hsi_ssl.models.classifiers.student import imitation

K, WIDTH = 3, 6


def made(name: str, **more: Any) -> ClassifierModel:
    kind = CLASSIFIERS.find(name)
    asked: dict[str, Any] = {
        "width": WIDTH,
        "counts": (K,),
        "latent": 2,
        "hidden": (8,),
        "activation": "tanh",
    }
    asked["width_both"] = WIDTH + 2
    known = kind.architecture_type.__dataclass_fields__
    values = {n: v for n, v in {**asked, **more}.items() if n in known}
    return kind(kind.architecture_type(**values), torch.Generator().manual_seed(1)).double()


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    x, every = (torch.randn(n, WIDTH, generator=generator).double() for n in (5, 7))
    return Batch(x, torch.tensor([[0], [1], [2], [1], [-1]]), every)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_each_gives_probabilities_and_comes_back_from_its_card(name: str, batch: Batch) -> None:
    model = made(name)
    log_q = model.log_q_y(batch.x)
    torch.testing.assert_close(log_q.exp().sum(-1), torch.ones(5).double())
    again = type(model.architecture).from_card(model.architecture.to_card())
    assert again == model.architecture
    assert model.title
    assert model.in_words


def test_pixels_without_label_cost_nothing() -> None:
    log_q = torch.log_softmax(torch.randn(3, K, generator=generator()), -1)
    expected = -(log_q[0, 2] + log_q[2, 0]) / 2
    torch.testing.assert_close(cross_entropy(log_q, torch.tensor([2, -1, 0])), expected)
    assert float(cross_entropy(log_q, torch.full((3,), -1))) == 0


def gradient(total: Tensor, parameters: Any) -> float:
    found = torch.autograd.grad(total, list(parameters), allow_unused=True, retain_graph=True)
    return math.sqrt(sum(float(g.square().sum()) for g in found if g is not None))


@torch.no_grad()
def test_joint_autoencoder_is_the_sum_of_both_terms(batch: Batch) -> None:
    model: Any = made("autoencoder", weight=2.5)
    found = model.cost(batch, generator())
    again = model.decoder(model.encoder(batch.every))
    errors = [0.5 * float(((again - batch.every)[i] ** 2).sum()) for i in range(7)]
    p = torch.softmax(model.head(model.encoder(batch.x)), -1)
    labels = -sum(float(p[i, k].log()) for i, k in enumerate((0, 1, 2, 1))) / 4
    assert float(found.total) == pytest.approx(sum(errors) / 7 + 2.5 * labels)


def test_unlabelled_pixels_move_what_labels_are_told_by(batch: Batch) -> None:
    model: Any = made("autoencoder", weight=0.0)
    found = model.cost(batch, generator())
    assert gradient(found.total, model.encoder.parameters()) > 0.01
    assert gradient(found.total, model.head.parameters()) == 0
    of_labels = model.cost(batch, generator()).terms["cross_entropy"]
    assert gradient(of_labels, model.encoder.parameters()) > 0.01
    assert gradient(of_labels, model.decoder.parameters()) == 0


@torch.no_grad()
def test_gan_has_one_output_more_than_classes(batch: Batch) -> None:
    """The costs are those of a softmax over K + 1 outputs, the last one being 0."""
    model: Any = made("gan", weight=0.7).eval()
    found = model.cost_of_discriminator(batch, generator())
    fake = model.generate(7, generator())

    def outputs(x: Tensor) -> Tensor:
        logits = model.head(model.body(x))
        return torch.log_softmax(torch.cat([logits, torch.zeros(len(x), 1).double()], 1), -1)

    labelled = outputs(batch.x)[:4]
    given = labelled[:, :K] - labelled[:, :K].logsumexp(-1, keepdim=True)
    of_labels = -given[range(4), [0, 1, 2, 1]].mean()
    measured = -(1 - outputs(batch.every)[:, K].exp()).log().mean()
    made_up = -outputs(fake)[:, K].mean()
    torch.testing.assert_close(found.total, of_labels + 0.7 * (measured + made_up))


def test_gans_turns_move_one_network_each_and_the_generator_matches_features(batch: Batch) -> None:
    model: Any = made("gan", noise=0.0)
    (of_d, cost_d), (of_g, cost_g) = model.moves()
    assert not {id(p) for p in of_d} & {id(p) for p in of_g}
    assert len(of_d) + len(of_g) == len(list(model.parameters()))
    assert gradient(cost_d(batch, generator()).total, of_g) == 0
    found = cost_g(batch, generator()).total
    assert gradient(found, of_g) > 0
    h = [model.body(x).mean(0) for x in (model.generate(7, generator()), batch.every)]
    torch.testing.assert_close(found, (h[0] - h[1]).square().sum())


def test_a_gan_learns_where_its_pixels_lie_and_tells_when_it_has_collapsed() -> None:
    model: Any = made("gan", noise=0.0)
    every = torch.randn(500, WIDTH, generator=generator()).double() * 3 + 5
    model.start(every)
    torch.testing.assert_close(model.mean, every.mean(0))
    with torch.no_grad():
        assert not any("collapsed" in w for w in model.findings(every, generator()).warnings)
        for p in model.made.parameters():
            p.zero_()
        found = model.findings(every, generator())
    assert any("generator has collapsed" in w for w in found.warnings)
    assert found.metrics["generated_variance"] == pytest.approx(0, abs=1e-9)


@torch.no_grad()
def test_a_discriminator_that_tells_all_is_told() -> None:
    model: Any = made("gan", hidden=(WIDTH,), activation="relu", noise=0.0)
    every = torch.rand(200, WIDTH, generator=generator()).double() + 9
    model.body[0].weight.copy_(torch.eye(WIDTH))
    model.head[0].weight.fill_(1.0)
    model.head[0].bias.fill_(-40.0)
    found = model.findings(every, generator())  # generated ones lie about 0, of which it says no
    assert any("tells every generated spectrum" in w for w in found.warnings)


def test_a_student_imitates_at_a_temperature(batch: Batch) -> None:
    """The cost is T^2 times KL(a || b) but for the teacher's entropy, 0 where both are alike."""
    model: Any = made("student", temperature=3.0)
    with torch.no_grad():
        taught = torch.log_softmax(torch.randn(7, K, generator=generator()).double() * 4, -1)
        found = model.cost(batch._replace(taught=taught), generator())
        a, b = (torch.softmax(v / 3.0, -1) for v in (taught, model.network(batch.every)))
        divergence = (a * (a / b).log()).sum(-1)
        entropy = -(a * a.log()).sum(-1)
        torch.testing.assert_close(found.total, 9 * (divergence + entropy).mean())
    logits = taught.clone().requires_grad_()
    flat = torch.autograd.grad(imitation(logits, taught, 3.0), logits)[0]
    torch.testing.assert_close(flat, torch.zeros_like(flat))


def test_a_student_hears_labels_only_where_asked(batch: Batch) -> None:
    taught = torch.log_softmax(torch.zeros(7, K).double(), -1)
    deaf, hears = made("student"), made("student", labels=2.0, imitation=0.0)
    assert "cross_entropy" not in deaf.cost(batch._replace(taught=taught), generator()).terms
    found = hears.cost(batch._replace(taught=taught), generator())
    expected = 2 * cross_entropy(hears.log_q_y(batch.x), batch.y[:, 0])
    torch.testing.assert_close(found.total, expected)


def test_tasks_share_a_code_and_their_costs_add(batch: Batch) -> None:
    model: Any = made("multi-task", counts=(K, 2))
    y = torch.tensor([[0, -1], [1, -1], [-1, 1], [1, 0], [-1, -1]])
    found = model.cost(batch._replace(y=y), generator())
    first, second = model.log_q_each(batch.x)
    of_first = -(first[0, 0] + first[1, 1] + first[3, 1]) / 3
    of_second = -(second[2, 1] + second[3, 0]) / 2
    torch.testing.assert_close(found.total, of_first + of_second)
    for cost in (of_first, of_second):
        assert gradient(cost, model.code.parameters()) > 0.01
    assert gradient(of_first, model.heads[1].parameters()) == 0


def test_student_and_teacher_at_once_are_three_terms(batch: Batch) -> None:
    model: Any = made("joint-student", teaching=0.5, imitation=2.0)
    extra = [torch.randn(n, 2, generator=generator()).double() for n in (5, 7)]
    both = [torch.cat(pair, 1) for pair in zip((batch.x, batch.every), extra, strict=True)]
    found = model.cost(batch._replace(x_both=both[0], every_both=both[1]), generator())
    own = cross_entropy(model.log_q_y(batch.x), batch.y[:, 0])
    theirs = cross_entropy(torch.log_softmax(model.tutor(both[0]), -1), batch.y[:, 0])
    a_star = torch.softmax(model.tutor(both[1]), -1)
    imitated = -(a_star * model.log_q_y(batch.every)).sum(-1).mean()
    torch.testing.assert_close(found.total, own + 0.5 * theirs + 2 * imitated)
    assert gradient(imitated, model.network.parameters()) > 0.01
    assert gradient(own, model.tutor.parameters()) == 0
