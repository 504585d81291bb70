"""Auto-encoders and their relatives: each does to codes or weights what its penalty is for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hsi_ssl.errors import ModelError
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.models.extractors.autoencoder import Autoencoder
from hsi_ssl.models.extractors.base import FeatureExtractor
from hsi_ssl.models.extractors.contractive import Contractive, hutchinson
from hsi_ssl.models.extractors.masked import Masked
from hsi_ssl.models.extractors.pca import PCA, PCAArchitecture
from hsi_ssl.models.extractors.position import Position
from hsi_ssl.models.extractors.relational import unlikeness
from hsi_ssl.models.extractors.sparse_entropy import kl_of_means
from hsi_ssl.models.method import architecture_of

D = 8


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spectra(n: int = 400, noise: float = 0.05) -> Tensor:
    """`(n, D)` of three directions, some noise."""
    g = seeded(5)
    turned = torch.linalg.qr(torch.randn(D, D, generator=g))[0][:3]
    along = torch.randn(n, 3, generator=g) * torch.tensor([2.0, 1.0, 0.6])
    x: Tensor = along @ turned + noise * torch.randn(n, D, generator=g)
    return x


def made(name: str, *, latent: int = 3, hidden: Any = (), **options: Any) -> Any:
    settings = {
        "width": D, "latent": latent, "hidden": hidden, "activation": "tanh",
        "likelihood": "gaussian", "sd_floor": 0.1,
    }  # fmt: skip
    kind = EXTRACTORS[name]
    architecture, _ = architecture_of(kind, settings, options)
    return kind(architecture, seeded(1))


def trained(model: FeatureExtractor, x: Tensor, steps: int = 300, rate: float = 0.02) -> Any:
    generator = seeded(2)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimiser.zero_grad()
        model.cost(x, generator).mean().backward()
        optimiser.step()
    return model.eval()


@pytest.mark.slow
def test_a_linear_autoencoder_reaches_the_loss_of_pca() -> None:
    x = spectra(noise=0.3)
    model = trained(made("ae"), x, rate=0.05)
    pca = PCA(PCAArchitecture(D, 3), seeded())
    pca.solve([x])
    with torch.no_grad():
        best = 0.5 * (pca.decode(pca.encode(x)[0]) - x).square().sum(-1).mean()
        found = model.cost(x, seeded()).mean()
    assert float(best) <= float(found) * (1 + 1e-5)
    assert float(found) < 1.01 * float(best)


@pytest.mark.parametrize(
    ("latent", "hidden"), [(2, ()), (2, (6,)), (2, (6, 5, 4)), (20, ()), (20, (30,))]
)
def test_fewer_units_or_more_one_layer_or_many(latent: int, hidden: tuple[int, ...]) -> None:
    model = made("ae", latent=latent, hidden=hidden)
    x = spectra(50)
    before = model.cost(x, seeded()).mean().item()
    assert trained(model, x, 60).cost(x, seeded()).mean().item() < 0.7 * before
    assert model.encode(x)[0].shape == (50, latent)


def test_settled_features_are_centred_and_decode_as_before() -> None:
    x = spectra()
    model = trained(made("ae", hidden=(6,)), x, 50)
    with torch.no_grad():
        before = model.decode(model.encode(x)[0])
        model.settle(x)
        features = model.encode(x)[0]
        torch.testing.assert_close(model.decode(features), before, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(features.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
        kept = torch.tensor([2, 0])
        layers = torch.nn.Sequential(*model.mean_layers(kept))
        torch.testing.assert_close(layers(x), features[:, kept], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "measure", "rises", "options"),
    [
        ("sparse-l1", "share_of_weights_near_0", True, {}),
        ("sparse-codes", "share_of_codes_near_0", True, {}),
        ("sparse-entropy", "farthest_unit_from_epsilon", False, {"epsilon": 0.2}),
        ("contractive", "mean_squared_jacobian", False, {}),
        ("contractive", "mean_squared_jacobian", False, {"codes": "tanh"}),
    ],
)
def test_the_penalty_brings_what_it_is_for(
    name: str, measure: str, rises: bool, options: dict[str, Any]
) -> None:
    x = spectra(200)
    hidden = (6,) if name == "sparse-l1" else ()
    found = []
    for penalty in (0.0, 0.02, 0.5):
        model = made(name, latent=6, hidden=hidden, penalty=penalty, **options)
        found.append(trained(model, x, 200).measures(x)[measure])
    assert (found[0] < found[1] < found[2]) if rises else (found[0] > found[1] > found[2])


@pytest.mark.slow
def test_l2_makes_weights_smaller_and_l1_more_of_them_0() -> None:
    x = spectra(200)
    plain, one, two = (
        trained(made(name, latent=6, penalty=0.05), x, 300)
        for name in ("sparse-l1", "sparse-l1", "sparse-l2")
    )
    plain = trained(made("ae", latent=6), x, 300)

    def sizes(model: Any) -> Tensor:
        return torch.cat([p.detach().flatten() for p in model.parameters() if p.ndim > 1]).abs()

    assert float(sizes(two).square().sum()) < 0.8 * float(sizes(plain).square().sum())
    assert float((sizes(one) < 1e-3).float().mean()) > float((sizes(two) < 1e-3).float().mean())


def test_unit_means_are_near_epsilon_and_codes_in_the_unit_interval() -> None:
    x = spectra(200)
    model = trained(made("sparse-entropy", latent=6, epsilon=0.2, penalty=20.0), x, 300)
    with torch.no_grad():
        codes = model.encoder(x)
    assert float(codes.min()) >= 0
    assert float(codes.max()) <= 1
    torch.testing.assert_close(codes.mean(0), torch.full((6,), 0.2), atol=0.03, rtol=0)


def test_kl_of_means_is_that_of_bernoullis() -> None:
    mean = torch.tensor([0.02, 0.3, 0.9])
    bernoulli = torch.distributions.Bernoulli
    expected = torch.distributions.kl_divergence(bernoulli(torch.tensor(0.3)), bernoulli(mean))
    torch.testing.assert_close(kl_of_means(0.3, mean), expected, atol=1e-6, rtol=1e-5)
    assert torch.isfinite(kl_of_means(0.3, torch.tensor([0.0, 1.0]))).all()


def test_l1_on_codes_does_not_change_with_their_scale() -> None:
    model, x = made("sparse-codes"), spectra(20)
    before = model.cost(x, seeded())
    with torch.no_grad():
        for name, factor in (("encoder.0.weight", 0.1), ("encoder.0.bias", 0.1)):
            model.get_parameter(name).mul_(factor)
        model.get_parameter("decoder.0.weight").mul_(10)
    torch.testing.assert_close(model.cost(x, seeded()), before, atol=1e-5, rtol=1e-5)


def jacobian_norms(model: Contractive, x: Tensor) -> Tensor:
    """By autograd, a spectrum at a time."""
    return torch.stack(
        [torch.autograd.functional.jacobian(model.encoder, one).square().sum() for one in x]
    )


@pytest.mark.parametrize("codes", ["sigmoid", "linear"])
def test_the_closed_form_of_the_jacobian_is_autograds(codes: str) -> None:
    model, x = made("contractive", latent=5, codes=codes), spectra(12)
    found = model.squared_norm(x, model.encoder(x), seeded())
    torch.testing.assert_close(found, jacobian_norms(model, x), atol=1e-5, rtol=1e-5)


def test_hutchinsons_estimate_is_unbiased() -> None:
    model, x = made("contractive", latent=5, hidden=(7,)), spectra(6)
    exact = jacobian_norms(model, x)
    with torch.no_grad():
        draws = hutchinson(model.encoder, x.repeat(20_000, 1), 1, seeded()).reshape(-1, 6)
    error = draws.std(0) / len(draws) ** 0.5
    assert bool(((draws.mean(0) - exact).abs() < 4 * error).all())
    assert float((error / exact).max()) < 0.02


@pytest.mark.slow
def test_the_gradient_of_the_estimate_is_that_of_the_norm() -> None:
    model, x = made("contractive", latent=4, hidden=(6,)), spectra(3)
    weight = model.get_parameter("encoder.0.weight")
    (found,) = torch.autograd.grad(
        hutchinson(model.encoder, x, 4000, seeded()).sum(), weight, retain_graph=False
    )
    step, direction = 1e-3, torch.randn(weight.shape, generator=seeded(3))
    with torch.no_grad():
        weight += step * direction
        above = jacobian_norms(model, x).sum()
        weight -= 2 * step * direction
        below = jacobian_norms(model, x).sum()
    slope = (above - below) / (2 * step)
    assert float((found * direction).sum()) == pytest.approx(float(slope), rel=0.05, abs=0.02)


def test_denoising_spoils_as_asked() -> None:
    x = torch.ones(2000, D)
    noisy = made("denoising", noise=0.3, zeroed=0.0).spoilt(x, seeded())
    assert float(noisy.std()) == pytest.approx(0.3, abs=0.01)
    assert float(noisy.mean()) == pytest.approx(1.0, abs=0.01)
    zeroed = made("denoising", noise=0.0, zeroed=0.25).spoilt(x, seeded())
    assert float((zeroed == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert set(zeroed.unique().tolist()) == {0.0, 1.0}


@pytest.mark.slow
def test_denoising_takes_noise_away_that_the_plain_one_lets_through() -> None:
    x = spectra()
    noise = 0.5 * torch.randn(x.shape, generator=seeded(9))
    left = []
    for name, options in (("ae", {}), ("denoising", {"noise": 0.5, "zeroed": 0.0})):
        model = trained(made(name, latent=D, **options), x, 300)
        with torch.no_grad():
            left.append(float((model.decode(model.encode(x + noise)[0]) - x).square().mean()))
    assert left[1] < 0.6 * left[0]


def test_unlikeness_is_the_sum_over_pairs_as_written() -> None:
    x, again = spectra(7), spectra(14)[7:]
    expected = torch.zeros(7)
    for i in range(7):
        for j in range(7):
            if i != j:
                of_x, made_of = (max(0.0, float(a[i] @ a[j]) - 0.4) for a in (x, again))
                expected[i] += (made_of - of_x) ** 2 / 6
    torch.testing.assert_close(unlikeness(x, again, 0.4), expected, atol=1e-4, rtol=1e-4)
    assert float(unlikeness(x[:1], again[:1], 0.4)) == 0


@pytest.mark.slow
def test_the_relational_penalty_keeps_likeness() -> None:
    # One unit for two directions: many spectra that differ a little, or few that are much alike.
    x = 0.02 * torch.randn(210, D, generator=seeded(3))
    x[:200, 0] += torch.randn(200, generator=seeded(4))
    x[200:, 1] += 4
    kept = [
        trained(made("relational", latent=1, penalty=penalty, threshold=4.0), x, 200).measures(x)
        for penalty in (0.0, 20.0)
    ]
    assert kept[0]["kept_variance_of_likeness"] < 0.3
    assert kept[1]["kept_variance_of_likeness"] > 0.7


def test_masks_hide_runs_of_the_share_asked_for() -> None:
    model = made("masked", share=0.3, run=3)
    generator = seeded()
    hidden = torch.cat([model.mask(spectra(200), generator) for _ in range(30)])
    assert float(hidden.mean()) == pytest.approx(0.3, abs=0.02)
    # Every band is hidden as often as others, though runs begin anywhere.
    assert float((hidden.mean(0) - 0.3).abs().max()) < 0.03
    together = (hidden[:, 1:] == hidden[:, :-1]).float().mean()
    assert float(together) > 0.8  # of bands hidden each by itself 0.58


def test_the_masked_cost_is_on_hidden_bands_alone() -> None:
    model, x = made("masked", share=0.5, run=2), spectra(30)
    hidden = model.mask(x, seeded(4))
    again = model.reconstruct(model.encoder(x * (1 - hidden) / 0.5))
    expected = (hidden * (again - x).square()).sum(-1)
    torch.testing.assert_close(model.cost(x, seeded(4)), expected)


@pytest.mark.slow
def test_hidden_bands_are_predicted_from_the_others() -> None:
    x = spectra()
    model = trained(made("masked", latent=3, share=0.3, run=1), x, 400)
    assert isinstance(model, Masked)
    assert model.measures(x)["predicted_variance_of_hidden_bands"] > 0.6


def test_relative_places_are_what_they_are_called() -> None:
    model = made("position", latent=8, pieces=4)
    first, second, place = model.pairs(torch.zeros(4000, D), seeded())
    assert bool((first != second).all())
    steps = second - first
    for step, number in {-3: 0, -2: 1, -1: 2, 1: 3, 2: 4, 3: 5}.items():
        assert set(place[steps == step].tolist()) == {number}
    share = float((steps.abs() == 1).float().mean()) / 2
    assert share == pytest.approx(
        model.measures(torch.zeros(10, D))["pairs_told_by_chance"], abs=0.02
    )


def test_position_learns_where_pieces_of_a_slope_belong() -> None:
    # Spectra that bend more to the red: the look of a piece tells its place.
    generator = seeded()
    along = torch.linspace(0, 1, D)
    light = 1 + 0.1 * torch.rand(300, 1, generator=generator)
    x = light * along.square()[None] * 4
    model = made("position", latent=8, hidden=(16,), pieces=4)
    before = model.measures(x)["pairs_told"]
    after = trained(model, x, 200).measures(x)["pairs_told"]
    assert before < 0.6
    assert after > 0.9


def test_position_gives_features_and_no_way_back() -> None:
    model = made("position", latent=8, pieces=4)
    assert isinstance(model, Position)
    x = spectra(20)
    assert model.encode(x)[0].shape == (20, 8)
    assert model.explained(x) is None
    assert not len(model.shown(x, seeded()))
    with pytest.raises(ModelError, match="position gives features only: there is no way back"):
        model.decode(torch.zeros(2, 8))


def test_a_layer_of_a_stack_learns_alone_and_in_its_place() -> None:
    x = spectra(200)
    model = made("stacked", latent=2, hidden=(6, 4))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    first, second, third = model.phases()
    assert (first.name, first.epochs) == ("layer 1", 20)
    trained(first.module, x, 30)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    ends = {"encoder.0.weight", "encoder.0.bias", "decoder.4.weight", "decoder.4.bias"}
    assert moved == ends
    cost = second.module.cost(x, seeded()).mean().item()
    assert trained(second.module, x, 100).cost(x, seeded()).mean().item() < 0.5 * cost
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])} - ends
    assert moved == {"encoder.2.weight", "encoder.2.bias", "decoder.2.weight", "decoder.2.bias"}
    assert third.name == "layer 3"


@pytest.mark.parametrize(
    ("name", "wrong", "sentence"),
    [
        ("ae", {"codes": "square"}, "codes=square is not known; take linear, sigmoid"),
        ("ae", {"penalty": 1.0}, "has no option penalty: it has codes"),
        ("sparse-l1", {"penalty": -1.0}, "penalty=-1 is below 0"),
        ("sparse-l1", {"penalty": "much"}, "is a number such as 0.0001, not 'much'"),
        ("sparse-l1", {"penalty": math.nan}, "penalty of .* is nan; give a finite number"),
        ("stacked", {"layer_epochs": 1.5}, "is a whole number such as 20, not 1.5"),
        ("sparse-entropy", {"codes": "relu"}, r"codes must lie in \[0, 1\]"),
        ("sparse-entropy", {"epsilon": 1.0}, "epsilon=1 is no mean of codes"),
        ("denoising", {"noise": 0.0, "zeroed": 0.0}, "spoils nothing: take ae"),
        ("denoising", {"zeroed": 1.0}, "is a probability from 0 to below 1"),
        ("contractive", {"draws": 0}, "at least 1 is needed"),
        ("stacked", {}, "it has hidden layers to stack"),
        ("stacked", {"hidden": (4,), "layer_epochs": 0}, "at least 1 is needed"),
        ("masked", {"share": 1.0}, "between 0 and 1"),
        ("masked", {"run": 5}, "run=5 bands hidden side by side, of 8: from 1 to 4"),
        ("position", {"pieces": 5}, "pieces=5 of 8 bands: from 2 to 4"),
        ("position", {"pieces": 4}, "ask for a multiple of 4"),
        ("pca", {"penalty": 1.0}, "has no option penalty: it has none"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    name: str, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        made(name, **wrong)


def test_more_units_than_spectra_and_components_for_bands_are_refused() -> None:
    with pytest.raises(ModelError, match="30 units of auto-encoder for 20 spectra"):
        made("ae", latent=30).check(spectra(20), "standard")
    for name in ("masked", "position"):
        model = made(name, latent=10, **({"pieces": 2} if name == "position" else {}))
        with pytest.raises(ModelError, match="scaling noise gives components: prepare with"):
            model.check(spectra(20), "noise")
        model.check(spectra(20), "standard")


@pytest.mark.parametrize("bands", ["constant", "twice"])
def test_constant_and_duplicated_bands_do_no_harm(bands: str) -> None:
    x = spectra(100)
    x[:, 0] = 0.0 if bands == "constant" else x[:, 1]
    for name in EXTRACTORS:
        if EXTRACTORS[name].closed_form:
            continue
        more = {"pieces": 2} if name == "position" else {}
        model = trained(made(name, latent=4, hidden=(6,), **more), x, 5)
        model.settle(x)
        with torch.no_grad():
            assert torch.isfinite(model.encode(x)[0]).all()


def test_dead_units_are_counted() -> None:
    x = spectra(100)
    model = made("ae", latent=5)
    assert isinstance(model, Autoencoder)
    with torch.no_grad():
        model.get_parameter("encoder.0.weight")[1].zero_()
    model.settle(x)
    assert model.use(x).in_words() == "4 of 5 units are active"
