"""What the card of a run says: its schema, as dataclasses, checked when a run is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from hsi_ssl.datasets.cards import BandsCard, LabelSetCard
from hsi_ssl.inference.schema import NOVELTY
from hsi_ssl.plain import checked, refused

LARGEST_PART = 10_000
"""Numbers of an architecture that are no tensor's side are smaller."""
LONGEST_LIST = 1000
MOST_SAMPLES = 10_000


@dataclass(frozen=True)
class SourceOfRun:
    """A scene that was learnt from."""

    name: str
    fingerprint: str


@dataclass(frozen=True)
class DatasetOfRun:
    """The dataset that was learnt from."""

    path: str
    title: str
    sources: list[SourceOfRun]
    transductive: bool
    draw: str | None
    masks: list[str] = field(default_factory=list)
    nodata: float | None = None


@dataclass(frozen=True)
class TrainingCard:
    """How training went."""

    epochs: int
    seconds: float
    device: str
    best_epoch: int = 0
    generative_epoch: int | None = None


@dataclass(frozen=True)
class ArchitectureCard:
    """What networks of every kind say of themselves, where they have it; more is their own."""

    latent: int = 0
    hidden: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class RunCard(BandsCard):
    """What runs of every kind say."""

    kind: Literal["m1", "m2", "quantiser"] = field(kw_only=True)
    hsi_ssl: str = field(kw_only=True)
    torch: str = field(kw_only=True)
    git_commit: str | None = field(kw_only=True)
    created: str = field(kw_only=True)
    weights_sha256: str = field(kw_only=True)
    metrics_sha256: str | None = field(kw_only=True, default=None)
    architecture: dict[str, Any] = field(kw_only=True)
    dataset: DatasetOfRun = field(kw_only=True)
    training: TrainingCard = field(kw_only=True)
    metrics: dict[str, Any] = field(kw_only=True)
    settings: dict[str, Any] = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        checked(ArchitectureCard, self.architecture, "architecture")


@dataclass(frozen=True)
class M1Card(RunCard):
    """An extractor of features."""

    kind: Literal["m1"] = field(kw_only=True)
    extractor: str = field(kw_only=True)


@dataclass(frozen=True)
class TunedStrength:
    """Of the spatial prior, chosen on validation pixels."""

    strength: float


@dataclass(frozen=True)
class MetricsOfLabelSet:
    """Scores; more depends on the model."""

    validation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelSetOfRun:
    """How a label set is predicted."""

    classes: LabelSetCard
    spatial_strength: float
    rule: Literal["classifier", "bayes"]
    temperature: dict[str, float] = field(default_factory=dict)
    spatial_tuned: TunedStrength | None = None
    metrics: MetricsOfLabelSet = field(default_factory=MetricsOfLabelSet)

    def __post_init__(self) -> None:
        if not self.classes.classes:
            raise ValueError("classes: there are none")
        if any(value <= 0 for value in self.temperature.values()):
            raise refused("temperature", "above 0", self.temperature)


@dataclass(frozen=True)
class SettingsOfM2:
    """Of the settings of a classifier: those that it is applied with."""

    bayes_samples: int

    def __post_init__(self) -> None:
        if not 0 < self.bayes_samples <= MOST_SAMPLES:
            raise refused("bayes_samples", f"from 1 to {MOST_SAMPLES}", self.bayes_samples)


@dataclass(frozen=True)
class M2Card(RunCard):
    """A classifier."""

    model: str = field(kw_only=True)
    label_sets: list[LabelSetOfRun] = field(kw_only=True)
    m1: M1Card | None = field(kw_only=True)
    kept_units: list[bool] = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.label_sets:
            raise ValueError("label_sets: there are none")
        checked(SettingsOfM2, self.settings, "settings")
        counts, free = (self.architecture.get(name) for name in ("counts", "free"))
        known = [len(one.classes.classes) for one in self.label_sets]
        if isinstance(free, list) and isinstance(counts, list):
            known = [n + extra for n, extra in zip(known, free, strict=False)]
        if isinstance(counts, list) and counts != known:
            raise refused("architecture.counts", f"{known}, as label_sets say", counts)
        if self.m1 is not None and self.m1.used_bands != self.used_bands:
            raise ValueError("m1 has other used_bands")


@dataclass(frozen=True)
class QuantiserCard(RunCard):
    """A quantiser."""

    method: str = field(kw_only=True)
    units: LabelSetCard = field(kw_only=True)


KINDS: dict[str, type[RunCard]] = {"m1": M1Card, "m2": M2Card, "quantiser": QuantiserCard}


def check_card(card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError where a card of today's schema, or its weights, cannot be so."""
    checked(KINDS[card["kind"]], card)
    sides = [side for tensor in tensors.values() for side in tensor.shape]
    largest = max([LARGEST_PART, *sides])
    parts = [card, card.get("m1")]
    for part in parts:
        if isinstance(part, dict):
            for name, value in part["architecture"].items():
                _check_part(f"architecture.{name}", value, largest)
    for name, tensor in tensors.items():
        if name.startswith(NOVELTY):
            continue  # NaN stands for pixels without surroundings
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise ValueError(f"the weights {name} hold what is no number")


def _check_part(place: str, value: Any, largest: int) -> None:
    """A name, a number or a list of them: nothing that a network too large for memory is made of.

    No side of a layer is larger than the largest side of a tensor.
    """
    if isinstance(value, list):
        if len(value) > max(LONGEST_LIST, largest):
            raise refused(place, "a shorter list", value)
        for one in value:
            _check_part(place, one, largest)
    elif isinstance(value, int) and not 0 <= value <= largest:
        raise refused(place, f"from 0 to {largest}", value)
    elif not isinstance(value, str | int | float | None):
        raise refused(place, "a number, a text or a list of them", value)
