"""What `meta` of a dataset says, and what of it runs say too: their schema, as dataclasses.

A value that is not of its type, or contradicts another, is refused when it is read, so that the
rest of the program need not ask.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from hsi_ssl.datasets.scaling import scaler_from_card
from hsi_ssl.datasets.scalings import SCALINGS
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.plain import checked, refused
from hsi_ssl.scenes.product import Overlap, Quality

Settings = dict[str, Any]
TRANSFORM = (6, 9)
"""Numbers of an affine transform, without and with its last row."""
GROUND_POINT = (4, 5)
"""Numbers of a ground control point, without and with height."""


@dataclass(frozen=True)
class ClassCard:
    """See `LabelClass`."""

    code: int
    name: str
    colour: str

    def __post_init__(self) -> None:
        if not 0 < self.code <= LARGEST_CODE:
            raise refused("code", f"from 1 to {LARGEST_CODE}", self.code)
        if not re.fullmatch("#[0-9a-fA-F]{6}", self.colour):
            raise refused("colour", "of the form #rrggbb", self.colour)


@dataclass(frozen=True)
class LabelSetCard:
    """See `LabelSet`."""

    name: str
    classes: list[ClassCard]

    def __post_init__(self) -> None:
        codes = [c.code for c in self.classes]
        if len(set(codes)) < len(codes):
            raise ValueError("two classes have one code")


@dataclass(frozen=True)
class NumbersCard:
    """See `LearntNumbers`."""

    scale: list[float]
    offset: list[float]
    kind: str | None
    source: str | None
    quantiles: list[list[float]]


@dataclass(frozen=True)
class SplitCard:
    """How parts were told apart; more of it depends on the kind."""

    kind: str


@dataclass(frozen=True)
class BandsCard:
    """What datasets and runs say of bands."""

    bands: int
    used_bands: list[int]
    wavelengths_nm: list[float] | None
    fwhm_nm: list[float] | None
    scaling: dict[str, Any]
    image_like: bool
    numbers: NumbersCard | None = None
    excluded_nm: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        used = self.used_bands
        if not used or used != sorted(set(used)) or not 0 <= used[0] <= used[-1] < self.bands:
            raise refused("used_bands", f"numbers from 0 to {self.bands - 1}, ascending", used)
        of_bands = dict[str, list[float] | None](
            wavelengths_nm=self.wavelengths_nm, fwhm_nm=self.fwhm_nm
        )
        if self.numbers is not None:
            of_bands["numbers.scale"] = self.numbers.scale
            of_bands["numbers.offset"] = self.numbers.offset
            for level, of_level in enumerate(self.numbers.quantiles):
                of_bands[f"numbers.quantiles[{level}]"] = of_level
        for name, values in of_bands.items():
            if values is not None and len(values) != len(used):
                raise ValueError(f"{name} has {len(values)} values for {len(used)} used bands")
        for one in self.excluded_nm:
            if len(one) != 2:  # noqa: PLR2004
                raise refused("excluded_nm", "pairs of wavelengths", one)
        check_scaling(self.scaling, len(used))


def check_scaling(card: dict[str, Any], bands: int) -> None:
    """Raise ValueError where a scaling's card cannot scale spectra of so many bands.

    One that no package offers here is refused where it is used.
    """
    kind = card.get("kind")
    if not isinstance(kind, str):
        raise refused("scaling.kind", "a text", kind)
    for name, values in card.items():
        if name == "kind":
            continue
        try:
            array = np.asarray(values, np.float64)
        except (ValueError, TypeError):
            raise refused(f"scaling.{name}", "numbers", values) from None
        if not np.isfinite(array).all():
            raise ValueError(f"scaling.{name} holds what is no finite number")
    if not SCALINGS.knows(kind):
        return
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            scaler = scaler_from_card(card)
            shape = scaler.transform(np.ones((1, bands), np.float32)).shape
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"scaling does not suit {bands} bands ({error})") from None
    if shape != (1, scaler.width):
        raise ValueError(f"scaling gives {shape[1:]} columns, not {scaler.width}")


@dataclass(frozen=True)
class SourceCard:
    """A scene that pixels are of."""

    name: str
    fingerprint: str
    rows: int
    cols: int
    path: str
    format: str = ""
    labels_paths: list[str] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)
    crs: str | None = None
    transform: list[float] | None = None
    control_points: list[list[float]] = field(default_factory=list)
    sensor_geometry: bool = False
    """Whether its own file alone says where its pixels lie."""

    def __post_init__(self) -> None:
        if min(self.rows, self.cols) < 1:
            raise ValueError(f"it has {self.rows} x {self.cols} pixels")
        if self.transform is not None and len(self.transform) not in TRANSFORM:
            raise refused("transform", "six numbers", self.transform)
        for point in self.control_points:
            if len(point) not in GROUND_POINT:
                raise refused("control_points", "of four or five numbers each", point)


@dataclass(frozen=True)
class CountCard:
    """Pixels of a class."""

    count: int
    by_scene: dict[str, int]

    def __post_init__(self) -> None:
        if min([self.count, *self.by_scene.values()]) < 0:
            raise ValueError("a count is below 0")


@dataclass(frozen=True)
class CountsCard:
    """Pixels found and kept, for the report on label balance."""

    classes: list[CountCard]
    pixels: int
    unlabelled: int
    pool: int
    guard: int


@dataclass(frozen=True)
class OfLabelSet:
    """What is told of one label set."""

    label_set: LabelSetCard
    split: SplitCard
    counts: CountsCard | None = None

    def __post_init__(self) -> None:
        if self.counts is not None and len(self.counts.classes) != len(self.label_set.classes):
            raise ValueError("counts are not of the classes of label_set")


@dataclass(frozen=True)
class Reopening:
    """Of the settings of `prepare`: those that a scene is opened with again."""

    components: int = 1
    variable: str | None = None
    scale: Any = None
    axes: str | None = None
    overlap: Overlap | None = None
    quality: Quality | None = None
    nodata: float | None = None
    min_coverage: float = 0.5
    ignore_codes: list[int] = field(default_factory=list)
    zero_is_a_class: bool = False


@dataclass(frozen=True)
class Meta(BandsCard):
    """All that a dataset says of itself."""

    title: str = field(kw_only=True)
    sources: list[SourceCard] = field(kw_only=True)
    settings: Reopening = field(kw_only=True)
    seed: int = field(kw_only=True)
    transductive: bool = field(kw_only=True)
    split: SplitCard = field(kw_only=True)
    recoded: dict[str, int] = field(default_factory=dict)
    unit_kind: Literal["polygon", "patch", "block", "scene", "pixel"] = "pixel"
    label_set: LabelSetCard | None = None
    label_sets: list[OfLabelSet] | None = None
    counts: CountsCard | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sources:
            raise ValueError("it has no sources")
        for value in self.recoded:
            _whole("recoded", value)
        for one in self.each:
            for found in [] if one.counts is None else one.counts.classes:
                for scene in found.by_scene:
                    if not 0 <= _whole("by_scene", scene) < len(self.sources):
                        raise refused("by_scene", "of the sources", scene)

    @property
    def each(self) -> list[OfLabelSet]:
        """Of each label set."""
        if self.label_sets:
            return self.label_sets
        if self.label_set is None:
            raise ValueError("label_set is missing")
        return [OfLabelSet(self.label_set, self.split, self.counts)]


def check_meta(meta: Any) -> Meta:
    """What a dataset says of itself, checked; ValueError where it cannot be so."""
    return checked(Meta, meta)


def _whole(place: str, text: str) -> int:
    """A whole number that is a key."""
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise refused(place, "by whole numbers", text)
    return int(text)
