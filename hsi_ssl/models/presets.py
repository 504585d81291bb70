"""Models by name: which factors p and q are made of, in lines as `dependence` reads them.

Several label sets depend on each other in their order, in p as in q given x (Siddharth et al. 2017,
arXiv:1706.00400): "a", "b | a", and so on. On M1's features any of them is M1+M2 (Kingma et al.
2014, section 2.3): x is then the features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hsi_ssl.models.dependence import LATENT, OBSERVED, Dependence, generation_of, inference_of
from hsi_ssl.registry import Registry

Lines = list[str]


@dataclass(frozen=True)
class Preset:
    """A model's name and its factors, of label sets in an order."""

    title: str
    generation: Callable[[Sequence[str]], Lines]
    inference: Callable[[Sequence[str]], Lines]


def _chain(labels: Sequence[str]) -> Lines:
    return [f"{name} | {', '.join(labels[:i])}" if i else name for i, name in enumerate(labels)]


def _given(name: str, parents: Sequence[str]) -> str:
    return f"{name} | {', '.join(parents)}"


def m2_generation(labels: Sequence[str]) -> Lines:
    """p(y) p(z) p(x | y, z) (Kingma et al. 2014, eq. 2)."""
    return [*_chain(labels), LATENT, _given(OBSERVED, [*labels, LATENT])]


def gm_dgm_generation(labels: Sequence[str]) -> Lines:
    """p(y) p(z | y) p(x | z): a Gaussian a class in the space of z (Willetts et al. 2018, eq. 6).

    All that the model knows of a class is where it lies there, and a slot that no label speaks for
    can find a group there by itself (arXiv:1810.12176).
    """
    return [*_chain(labels), _given(LATENT, labels), _given(OBSERVED, [LATENT])]


def label_first(labels: Sequence[str]) -> Lines:
    """q(y | x) q(z | x, y), the inference of both (Kingma et al. 2014, eq. 4)."""
    return [*_chain(labels), _given(LATENT, labels)]


M2 = Preset("M2", m2_generation, label_first)
GM_DGM = Preset("GM-DGM", gm_dgm_generation, label_first)

PRESETS: Registry[Preset] = Registry(
    "hsi_ssl.presets",
    "model",
    {"m2": "hsi_ssl.models.presets:M2", "gm-dgm": "hsi_ssl.models.presets:GM_DGM"},
)
"""What the setting `model` of `[m2]` names; other packages offer one in the group of that name."""


def declared(
    preset: str,
    labels: Sequence[str],
    generation: Sequence[str] | None = None,
    inference: Sequence[str] | None = None,
) -> tuple[Dependence, Dependence]:
    """p and q of a preset, or of lines in its place.

    Raises
    ------
    SettingsError
        The lines declare no such distribution.
    """
    found = PRESETS.find(preset)
    p = generation_of(generation or found.generation(labels), labels)
    q = inference_of(inference or found.inference(labels), labels)
    return p, q
