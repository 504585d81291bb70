"""A trained classifier applied: raw spectra in, p(y|x) out. Holds its own scaling and its M1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.errors import ModelError
from hsi_ssl.inference.checkpoint import load_run
from hsi_ssl.inference.device import SMALLEST_BATCH, choose_device, pixels_at_once
from hsi_ssl.inference.extractor import Extractor, load_weights, rebuild_m1, rebuilding
from hsi_ssl.inference.novelty import MEASURES, PREFIX, Measure, Novelty, means
from hsi_ssl.inference.pipeline import Pipeline
from hsi_ssl.inference.temperature import tempered
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.models.classifiers import CLASSIFIERS
from hsi_ssl.models.classifiers.base import ClassifierModel
from hsi_ssl.models.classifiers.one_head import OneHead
from hsi_ssl.models.declared import DeclaredArchitecture, DeclaredVAE
from hsi_ssl.models.density import log_density, stacked_log_density
from hsi_ssl.models.factor_m2 import make_model
from hsi_ssl.models.moving import sent
from hsi_ssl.models.one_label_set import OneLabelSet
from hsi_ssl.models.presets import PRESETS
from hsi_ssl.models.spatial import mean_field

Raw = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Rule = Literal["classifier", "bayes"]

EPS_SEED = 1406_5298
SMALLEST_POSTERIOR = 1e-12
"""What rounding has made 0 must not outweigh all neighbours."""


@dataclass(frozen=True)
class Classifier:
    """A trained M2, or another model that knows q(y|x), on spectra or on the features of its M1.

    Of a model of several label sets, it is one of them.

    `rule` says how classes are found: by q(y|x), or by Bayes' rule with the generative part;
    whichever did better on the validation pixels, unless settled otherwise.
    """

    card: dict[str, Any]
    model: OneLabelSet | OneHead
    m1: Extractor | None
    device: torch.device
    rule: Rule
    novelty: Novelty | None = None

    @property
    def label_set(self) -> LabelSet:
        """The labelled classes, in the order of the posterior's first columns."""
        return LabelSet.from_card(self.card["classes"])

    @property
    def free_slots(self) -> int:
        """How many slots for what nobody has labelled follow the classes in the posterior."""
        return self.model.free

    @property
    def generates(self) -> bool:
        """Whether it has a generative part, p(x|y, z)."""
        return isinstance(self.model, OneLabelSet)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """By what classes can be found."""
        return ("classifier", "bayes") if self.generates else ("classifier",)

    @property
    def generative(self) -> OneLabelSet:
        """The model as one of p(x, y).

        Raises
        ------
        ModelError
            It knows q(y|x) alone.
        """
        if isinstance(self.model, OneHead):
            raise ModelError(
                f"{self.model.whole.title} knows q(y|x) alone: Bayes' rule, log p(x) and generated "
                f"spectra need {' or '.join(PRESETS)} (`hsi-ssl train-m2 --model`)"
            )
        return self.model

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What novelty can be told by: by the likelihood only where spectra have a density."""
        if not (self.generates and self.pipeline.generates):
            return ("classes",)
        return MEASURES

    @property
    def bands(self) -> int:
        """Number of bands in the files that this was trained on."""
        return int(self.card["bands"])

    @property
    def used_bands(self) -> list[int]:
        """Which of them are used, counted from 0."""
        return list(self.card["used_bands"])

    @property
    def wavelengths_nm(self) -> list[float] | None:
        """Of the used bands."""
        found: list[float] | None = self.card["wavelengths_nm"]
        return found

    @property
    def temperature(self) -> float:
        """At which probabilities were as sure as right on validation pixels, 1 without any."""
        return float(self.card.get("temperature", {}).get(self.rule, 1.0))

    @property
    def uncalibrated(self) -> Classifier:
        """The same with probabilities as the network gives them."""
        return replace(self, card={**self.card, "temperature": {}})

    @torch.inference_mode()
    def posterior(self, raw: Raw) -> Floats:
        """p(y|x) `(n, K + free_slots)` of raw spectra `(n, used bands)` in any number type.

        At the temperature that was fitted on validation pixels.
        """
        found = torch.empty(len(raw), self.model.classes, device=self.device)
        for first, x in self._inputs(raw, every_class=self.rule == "bayes"):
            if self.rule == "classifier":
                log_p = self.model.log_q_y(x)
            else:
                log_p = self.generative.log_posterior_bayes(x, self._eps)
            found[first : first + len(x)] = tempered(log_p, self.temperature).exp()
        return _read(found)

    @torch.inference_mode()
    def among_neighbours(
        self,
        posterior: Floats,
        neighbours: Raw,
        known: Raw | None = None,
        strength: float | None = None,
    ) -> Floats:
        """`posterior (n, K)` under a Potts prior, by default of the strength learnt in training.

        The strength was learnt beside uncalibrated probabilities: give it those.
        `neighbours (n, 8)`: rows, -1 where there is none; `known (n,)`: class indices of labelled
        pixels, -1 elsewhere. See `hsi_ssl.models.spatial`.
        """
        p = sent(torch.from_numpy(posterior), self.device)
        places = sent(torch.from_numpy(neighbours.astype(np.int64)), self.device)
        sure = None
        if known is not None:
            sure = sent(torch.from_numpy(known.astype(np.int64)), self.device)
        beta = self.card["spatial_strength"] if strength is None else strength
        return _read(mean_field(p.clamp(min=SMALLEST_POSTERIOR).log(), places, beta, sure))

    @torch.inference_mode()
    def log_density(self, raw: Raw, samples: int) -> Floats:
        """log p(x) `(n,)` of the scaled spectra in nats, by importance sampling.

        For M1+M2 it is that of the stacked model, see `hsi_ssl.models.density`. The noise is the
        same for every pixel, so that windows do not matter.
        """
        found = torch.empty(len(raw), device=self.device)
        above = fixed_noise(samples, self.generative.whole.architecture.latent).to(self.device)
        for first, x in self._scaled(raw):
            if self.m1 is None:
                log_p = log_density(self.generative, x, above)
            else:
                m1 = self.m1.model
                eps = fixed_noise(samples, m1.units, seed=EPS_SEED + 1)
                kept = torch.from_numpy(self.pipeline.kept).to(self.device)
                log_p = stacked_log_density(
                    m1, self.generative, kept, x, eps.to(self.device), above
                )
            found[first : first + len(x)] = log_p
        return _read(found)

    @torch.inference_mode()
    def novelty_score(self, raw: Raw, measure: Measure, samples: int) -> Floats:
        """Novelty `(n,)` in nats by `measure`: the larger, the more novel a spectrum is.

        Raises
        ------
        ModelError
            The run keeps nothing to tell novelty by.
        """
        if measure == "likelihood":
            return -self.log_density(raw, samples)
        found = torch.empty(len(raw), device=self.device)
        for first, x in self._scaled(raw):
            level = sent(torch.from_numpy(means(raw[first : first + len(x)])), self.device)
            found[first : first + len(x)] = self.novelty_kept.appearance.strangeness(x, level)
        return _read(found)

    @property
    def novelty_kept(self) -> Novelty:
        """What novelty is told by.

        Raises
        ------
        ModelError
            The run was written by a version that kept nothing.
        """
        if self.novelty is None:
            raise ModelError(
                "this run keeps no scores to tell novelty by, since another version wrote it: "
                "train again with `hsi-ssl train-m2`"
            )
        return self.novelty

    @cached_property
    def _eps(self) -> Tensor:
        samples = int(self.card["settings"]["bayes_samples"])
        return fixed_noise(samples, self.generative.whole.architecture.latent).to(self.device)

    @cached_property
    def pipeline(self) -> Pipeline:
        """From raw spectra to the model's input."""
        return Pipeline.from_card(self.card, self.m1)

    @property
    def scaler(self) -> Scaler:
        """From raw spectra to what the first network sees."""
        return self.pipeline.scaler

    def _batch(self, *, every_class: bool) -> int:
        """Pixels at a time, fewer where the generative part runs for every class."""
        rows = self.model.rows(every_class=every_class)
        return max(SMALLEST_BATCH, pixels_at_once(self.device) // rows)

    def _scaled(self, raw: Raw) -> Iterator[tuple[int, Tensor]]:
        """Batches (first pixel, scaled spectra) for what looks at every class."""
        batch = self._batch(every_class=True)
        for first in range(0, len(raw), batch):
            some = self.scaler.transform(raw[first : first + batch])
            yield first, sent(torch.from_numpy(some), self.device)

    def _inputs(self, raw: Raw, *, every_class: bool) -> Iterator[tuple[int, Tensor]]:
        """Batches (first pixel, input of M2 `(n, width)`)."""
        batch = self._batch(every_class=every_class)
        for first in range(0, len(raw), batch):
            some = raw[first : first + batch]
            features = every_class or self._reads_features
            yield first, self.pipeline.input(some, self.device, features=features)

    @cached_property
    def _reads_features(self) -> bool:
        """Whether q(y|x) reads M1's features."""
        if isinstance(self.model, OneHead):
            return True
        reads = self.model.reads
        return bool(reads[: len(reads) - self.pipeline.side_inputs].any())


def _read(found: Tensor) -> Floats:
    """What was worked out of many pixels, in one copy from where it was."""
    read: Floats = found.cpu().numpy()
    return read


def load_classifier(run: Path, device: str = "auto", rule: Rule | None = None) -> Classifier:
    """The classifier of a run folder; `rule` overrides the one chosen on validation pixels.

    Raises
    ------
    ModelError
        As `checkpoint.load_run`; the model is one of several label sets.
    DeviceError
        The device is not there.
    """
    found = load_classifiers(run, device)
    if len(found) > 1:
        names = ", ".join(one.label_set.name for one in found)
        raise ModelError(
            f"{run} holds a model of several label sets ({names}); one is needed here: train one "
            "with `hsi-ssl train-m2 --label-set NAME`"
        )
    return found[0] if rule is None else replace(found[0], rule=rule)


def load_classifiers(run: Path, device: str = "auto") -> list[Classifier]:
    """The classifiers of a run folder, one a label set; errors as `load_classifier`."""
    where = choose_device(device)
    card, tensors = load_run(run, "m2")
    with rebuilding(run):
        own, m1 = _own_and_m1(card, tensors, where)
        model = _untrained(card)
        load_weights(model, own)
        model.to(where).eval()
        found = [
            Classifier(
                card_of_label_set(card, v),
                of_label_set(model, v),
                m1,
                where,
                one["rule"],
                Novelty.from_tensors(tensors, where, v),
            )
            for v, one in enumerate(card["label_sets"])
        ]
        for one in found:
            one.posterior(np.ones((1, len(one.used_bands)), np.float32))
    return found


def of_label_set(model: DeclaredVAE | ClassifierModel, place: int) -> OneLabelSet | OneHead:
    """A model as one of one of its label sets."""
    if isinstance(model, DeclaredVAE):
        return OneLabelSet(model, place).eval()
    return OneHead(model, place).eval()


def _untrained(card: dict[str, Any]) -> DeclaredVAE | ClassifierModel:
    """The model of a card, its weights still to come."""
    if card["model"] not in PRESETS:
        kind = CLASSIFIERS.find(card["model"])
        return kind(kind.architecture_type.from_card(card["architecture"]), torch.Generator())
    architecture = DeclaredArchitecture.from_card(card["architecture"])
    nothing = [torch.ones(count) for count in architecture.counts]  # weights bring their own
    return make_model(architecture, nothing, torch.Generator())


def card_of_label_set(card: dict[str, Any], place: int) -> dict[str, Any]:
    """A run's card with what holds for one of its label sets in the place of what holds for all."""
    own = card["label_sets"][place]
    metrics = {**card.get("metrics", {}), **own.get("metrics", {})}
    return {**card, **own, "metrics": metrics}


def _own_and_m1(
    card: dict[str, Any], tensors: dict[str, Tensor], device: torch.device
) -> tuple[dict[str, Tensor], Extractor | None]:
    """A run's weights without M1's, and M1."""
    own = {name: t for name, t in tensors.items() if not name.startswith(("m1.", PREFIX))}
    if card["m1"] is None:
        return own, None
    theirs = {n.removeprefix("m1."): t for n, t in tensors.items() if n.startswith("m1.")}
    return own, rebuild_m1(card["m1"], theirs, device)


def fixed_noise(samples: int, width: int, *, seed: int = EPS_SEED) -> Tensor:
    """Draws `(samples, width)` of N(0, I), always the same ones, the same for every pixel."""
    return torch.randn(samples, width, generator=torch.Generator().manual_seed(seed))
