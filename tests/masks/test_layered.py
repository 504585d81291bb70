"""Quality layers of a product in the masks of its scenes."""

from __future__ import annotations

from dataclasses import replace

import cores
import numpy as np
import pytest
from hearing import Hears

from hsi_ssl.maps.masks import mask_labels
from hsi_ssl.masks.codes import CIRRUS, CLOUD, HAZE, LOOK, NO_DATA, SHADOW
from hsi_ssl.masks.layered import lay_layers
from hsi_ssl.masks.propose import propose_mask
from hsi_ssl.scenes.layers import Layer, any_of, doubtful
from hsi_ssl.scenes.scene import Bools


def _plane(*columns: int) -> Bools:
    plane = np.zeros((3, 6), bool)
    plane[1, list(columns)] = True
    return plane


LAYERS = {
    "cirrus": Layer(lambda: _plane(1, 2), "QL_CIRRUS"),
    "cloud": Layer(lambda: _plane(2, 3), "QL_CLOUD"),
    "cloud shadow": Layer(lambda: _plane(3, 4), "QL_CLOUD"),
    "snow": Layer(lambda: _plane(5), "QL_SNOW"),
}


def test_layers_go_over_what_is_proposed_but_not_over_nothing() -> None:
    scene = replace(cores.held(np.ones((3, 6, 4), np.uint16), np.arange(4.0)), layers=LAYERS)
    mask = np.full((3, 6), LOOK, np.uint8)
    mask[1, 3] = NO_DATA
    said = lay_layers(mask, scene)
    assert mask[1].tolist() == [LOOK, CIRRUS, CLOUD, NO_DATA, SHADOW, LOOK]
    assert (mask[[0, 2]] == LOOK).all()
    assert said == "cloud shadow, cirrus, cloud as the product's own QL_CLOUD, QL_CIRRUS say"


def test_a_scene_without_layers_stays_as_it_is() -> None:
    scene = cores.held(np.ones((3, 6, 4), np.uint16), np.arange(4.0))
    mask = np.full((3, 6), LOOK, np.uint8)
    assert lay_layers(mask, scene) == ""
    assert (mask == LOOK).all()


def test_the_proposed_mask_has_them_and_says_so() -> None:
    cube = np.random.default_rng(1).integers(100, 900, (3, 6, 8)).astype(np.uint16)
    cube[0, 0] = 0
    scene = replace(cores.held(cube, np.linspace(500, 2400, 8)), layers=LAYERS)
    hears = Hears()
    mask = propose_mask(scene, hears)
    assert mask[0, 0] == NO_DATA
    assert mask[1, :5].tolist() == [LOOK, CIRRUS, CLOUD, CLOUD, SHADOW]
    assert "cloud as the product's own QL_CLOUD, QL_CIRRUS say" in hears.said[-1]
    assert "11.1 % cloud" in hears.said[-1]
    assert "5.6 % cirrus" in hears.said[-1]


@pytest.mark.parametrize(("code", "extra"), [(CLOUD, []), (HAZE, [HAZE]), (CIRRUS, [CIRRUS])])
def test_a_legend_tells_what_only_a_product_says_where_it_occurs(
    code: int, extra: list[int]
) -> None:
    labels = mask_labels(np.full((2, 2), code, np.uint8))
    assert [one.code for one in labels.classes] == [1, 2, 3, 4, *extra]


def test_doubtful_layers_together() -> None:
    assert list(doubtful(LAYERS)) == ["cloud", "cloud shadow", "cirrus"]
    assert any_of(doubtful(LAYERS).values())()[1].tolist() == [False, *[True] * 4, False]
