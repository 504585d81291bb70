"""GM-DGM, the Gaussian-mixture deep generative model: some classes labelled, others not at all.

Willetts, Doherty, Roberts, Holmes 2018, "Semi-unsupervised learning of human activity using deep
generative models" (arXiv:1810.12176). It differs from M2 (`hsi_ssl/models/m2.py`) in two places:

p(z|y) = N(mu(y), sigma^2(y))   learnt for each slot, where M2 has N(0, I)   `prior`
p_theta(x | z)                  x does not see y                             `decoder`

so that all that the model knows of a class is where it lies in the space of z, and a slot that no
label speaks for can find a group there by itself. y runs over the labelled classes and, after
them, free slots. The bounds are M2's with KL(q(z|x, y) || p(z|y)) in the place of
KL(q(z|x, y) || p(z)).
"""

from __future__ import annotations

import torch

from hsi_ssl.models.m2 import M2, M2Architecture
from hsi_ssl.models.priors import GaussianPerClass, Prior


class GMDGM(M2):
    """The model: M2 with a Gaussian p(z|y) a slot and a decoder that does not see y."""

    decoder_sees_class = False

    @staticmethod
    def _make_prior(architecture: M2Architecture, generator: torch.Generator) -> Prior:
        return GaussianPerClass(architecture.classes, architecture.latent, generator)


MODELS: dict[str, type[M2]] = {"m2": M2, "gm-dgm": GMDGM}
"""What the setting `model` and a card's `model` name."""
