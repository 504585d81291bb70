"""From a run with free slots to the groups in them: which are groups, where, and like what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import is_dataset, open_dataset
from hsi_ssl.discovery.coherence import Agreement, agreement, compactness
from hsi_ssl.discovery.likeness import parts_of_classes
from hsi_ssl.discovery.survey import Survey, survey_dataset, survey_scenes
from hsi_ssl.discovery.tally import Tally
from hsi_ssl.errors import ModelError, SceneError, SettingsError
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.inference.discovered import DiscoveredSlot, MapClasses, map_classes
from hsi_ssl.inference.extractor import check_bands
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.palette import next_colour
from hsi_ssl.labels.sources import resolve
from hsi_ssl.libraries.library import Resampled, resample
from hsi_ssl.libraries.matching import Match, best_matches, spectral_angles, verdict
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import DiscoverSettings

Floats = npt.NDArray[np.float64]

NAME = "unknown-{}"
MATCHES = 5
"""Materials that are told of each group, at most."""


@dataclass(frozen=True)
class Nearest:
    """The labelled classes nearest to a group, and how near.

    `by_angle` is the class whose mean spectrum makes the smallest spectral angle (degrees, spectra
    as measured) with the group's; `by_model` the one that the model takes the group's pixels for
    where it has to choose a labelled one, with its mean share among the labelled ones.
    """

    by_angle: LabelClass
    angle: float
    by_model: LabelClass
    share: float


@dataclass(frozen=True)
class Group:
    """The pixels of one free slot. `label` is None where they are no group; `why` says why not.

    `posterior`: mean probability of the slot over its pixels; `compactness` and `stability` as in
    `coherence`, the latter None without other runs; `mean` and `deviation (bands,)` of the spectra;
    `likeness (bands,)`: the nearest library spectrum, where there is one.
    """

    slot: int
    label: LabelClass | None
    why: tuple[str, ...]
    pixels: int
    share: float
    posterior: float
    compactness: float
    stability: float | None
    nearest: Nearest | None
    matches: tuple[Match, ...]
    mean: Floats = field(repr=False)
    deviation: Floats = field(repr=False)
    likeness: Floats | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As JSON, without the spectra."""
        return {
            "slot": self.slot,
            "code": self.label and self.label.code,
            "name": self.label and self.label.name,
            "coherent": self.label is not None,
            "why_not": list(self.why),
            "pixels": self.pixels,
            "share": self.share,
            "posterior": self.posterior,
            "compactness": self.compactness,
            "stability": self.stability,
            "nearest_class": None
            if self.nearest is None
            else {
                "by_angle": self.nearest.by_angle.name,
                "angle": self.nearest.angle,
                "by_model": self.nearest.by_model.name,
                "share": self.nearest.share,
            },
            "verdict": verdict(self.matches) if self.matches else None,
            "matches": [match.to_json() for match in self.matches],
        }


@dataclass(frozen=True)
class Discovery:
    """What was found: `groups` by size, and the free slots that hold `no_groups` though pixels."""

    settings: DiscoverSettings
    classifier: Classifier
    groups: tuple[Group, ...]
    no_groups: tuple[Group, ...]
    agreements: tuple[Agreement, ...]
    survey: Survey = field(repr=False)
    of_dataset: bool
    notes: tuple[str, ...]

    @cached_property
    def discovered(self) -> tuple[DiscoveredSlot, ...]:
        """Slots and new classes of the groups."""
        return tuple(DiscoveredSlot(g.slot, g.label) for g in self.groups if g.label is not None)

    @cached_property
    def classes(self) -> MapClasses:
        """Labelled classes and groups."""
        return map_classes(self.classifier.label_set, self.discovered)

    @property
    def empty_slots(self) -> int:
        """Free slots without a pixel."""
        return self.classifier.free_slots - len(self.groups) - len(self.no_groups)

    def to_json(self) -> dict[str, Any]:
        """Give what `hsi-ssl discover --json` prints and groups.json holds."""
        settings = self.settings
        return {
            "run": str(settings.model),
            "also": [str(run) for run in settings.also],
            "library": settings.library and str(settings.library),
            "scenes": [scene.name for scene in self.survey.scenes],
            "pixels": int(self.survey.tally.pixels.sum()),
            "free_slots": self.classifier.free_slots,
            "empty_slots": self.empty_slots,
            "adjusted_rand": [found.adjusted_rand for found in self.agreements],
            "groups": [group.to_json() for group in self.groups],
            "no_groups": [group.to_json() for group in self.no_groups],
            "notes": list(self.notes),
        }


def discover(settings: DiscoverSettings, *, watcher: Watcher = SILENT) -> Discovery:
    """Find what holds together in the free slots of a run, on scenes or on a dataset.

    Raises
    ------
    ModelError
        A run is missing, has no free slots, or is not of the first one's classes and bands.
    SettingsError
        Nothing is named to look at, or a dataset beside something else.
    SceneError
        No pixel is valid.
    LibraryError
        The library is missing, broken or does not cover the bands.
    DatasetError, SceneNotFoundError, CatalogError, BandsError, DeviceError
        As in `classify`.
    """
    classifiers = _classifiers(settings)
    first = classifiers[0]
    if not settings.scenes:
        raise SettingsError(
            "nothing to look at; name scenes (files, folders or data sets of the catalog) or one "
            "dataset"
        )
    codes = _codes(first.label_set, settings.first_code)
    library = None if settings.library is None else open_library(settings.library)
    datasets = [name for name in settings.scenes if is_dataset(Path(name))]
    if datasets:
        if len(settings.scenes) > 1:
            raise SettingsError("give one dataset alone, or scenes")
        dataset = open_dataset(Path(datasets[0]))
        check_bands(first.card, dataset, settings.model)
        survey = survey_dataset(dataset, classifiers, settings, watcher)
    else:
        with resolve(
            settings.scenes,
            reading=settings.reading,
            labelled=False,
            watcher=watcher,
        ) as sources:
            opened = [source.scene for source in sources.scenes]
            survey = survey_scenes(opened, classifiers, settings, watcher)
    total = survey.tally
    if not total.pixels.sum():
        raise SceneError("no valid pixel in what was given; check the nodata values and the bands")
    notes: list[str] = []
    samples = None
    if library is not None and first.wavelengths_nm is None:
        notes.append("the model has no wavelengths: its groups are matched with no library")
    elif library is not None:
        samples = resample(library, np.asarray(first.wavelengths_nm), survey.fwhm_nm)
        notes.extend(samples.notes)
    known = len(first.label_set)
    agreements = tuple(agreement(shared, known) for shared in total.shared)
    groups, no_groups = _groups(settings, first, survey, agreements, codes, samples)
    return Discovery(
        settings,
        first,
        groups,
        no_groups,
        agreements,
        survey,
        bool(datasets),
        tuple(notes),
    )


def _classifiers(settings: DiscoverSettings) -> list[Classifier]:
    """The run's classifier and those of the other runs, which must see the same."""
    found = [load_classifier(run, settings.device) for run in (settings.model, *settings.also)]
    for run, classifier in zip((settings.model, *settings.also), found, strict=True):
        if not classifier.free_slots:
            raise ModelError(
                f"{run} has no free slots, so it cannot hold what nobody has labelled; train one "
                "with `hsi-ssl train-m2 --model gm-dgm --free-slots 10`"
            )
        same = classifier.label_set.codes.tolist() == found[0].label_set.codes.tolist()
        bands = classifier.used_bands == found[0].used_bands
        if not (same and bands and classifier.bands == found[0].bands):
            raise ModelError(
                f"{run} has other {'bands' if same else 'classes'} than {settings.model}; compare "
                "runs on one dataset with other seeds"
            )
    return found


def _codes(known: LabelSet, first: int | None) -> int:
    """The first group's code."""
    above = int(known.codes.max(initial=0)) + 1
    if first is not None and first < above:
        raise SettingsError(
            f"first_code {first} is not above the model's own codes, which go up to {above - 1}"
        )
    return above if first is None else first


def _groups(
    settings: DiscoverSettings,
    classifier: Classifier,
    survey: Survey,
    agreements: Sequence[Agreement],
    first_code: int,
    library: Resampled | None,
) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """Groups by size, then the free slots that hold pixels and no group."""
    known, total = classifier.label_set, survey.tally
    slots = len(total.pixels)
    compact = compactness((scene.plane for scene in survey.scenes), slots)
    free = np.arange(len(known), slots)
    free = free[total.pixels[free] > 0]
    free = free[np.argsort(-total.pixels[free], kind="stable")]
    means, deviations = total.means, total.deviations
    matches: list[list[Match]] = [[] for _ in free]
    if library is not None and len(free):
        assert classifier.wavelengths_nm is not None
        matches = best_matches(
            means[free],
            classifier.wavelengths_nm,
            library,
            background=total.overall,
            scatter=total.scatter,
            count=MATCHES,
        )
    wavelengths = classifier.wavelengths_nm
    parts = {} if wavelengths is None else parts_of_classes(total, len(known), wavelengths)
    colours = list(known.colours)
    found: list[Group] = []
    rejected: list[Group] = []
    for slot, matched in zip(free.tolist(), matches, strict=True):
        numbers = _numbers(slot, len(known), total, compact, agreements)
        why = _why(numbers, settings, known, parts.get(slot))
        label = None if why else _new_class(len(found), first_code, colours)
        (rejected if why else found).append(
            Group(
                slot=slot,
                label=label,
                why=why,
                share=numbers["pixels"] / int(total.pixels.sum()),
                nearest=_nearest(slot, known, total, means),
                matches=tuple(matched),
                mean=means[slot],
                deviation=deviations[slot],
                likeness=None
                if library is None or not matched
                else library.reflectance[matched[0].row],
                **numbers,
            )
        )
    return tuple(found), tuple(rejected)


def _numbers(
    slot: int, known: int, total: Tally, compact: Floats, agreements: Sequence[Agreement]
) -> dict[str, Any]:
    """What a group is judged by; `known`: how many slots are of labelled classes."""
    stable = [float(a.overlap[slot - known]) for a in agreements]
    pixels = int(total.pixels[slot])
    return {
        "pixels": pixels,
        "posterior": float(total.posterior[slot, slot] / pixels),
        "compactness": float(np.nan_to_num(compact[slot])),
        "stability": float(np.mean(stable)) if stable else None,
    }


def _why(
    numbers: dict[str, Any],
    settings: DiscoverSettings,
    known: LabelSet,
    part: tuple[int, float] | None,
) -> tuple[str, ...]:
    """Why a slot holds no group, nothing where it does; `part`: the class that it looks part of."""
    why = [
        f"{name} {value:,.4g} is below {least:,.4g}"
        for name, value in numbers.items()
        if value is not None and value < (least := getattr(settings, f"min_{name}"))
    ]
    if part is not None:
        k, distance = part
        why.append(
            f"it looks like part of {known.classes[k].name}: their mean spectra are "
            f"{distance:.1f} standard deviations apart"
        )
    return tuple(why)


def _new_class(place: int, first_code: int, colours: list[str]) -> LabelClass:
    """The class of the group that is found next; its colour joins `colours`."""
    code = first_code + place
    if code > LARGEST_CODE:
        raise SettingsError(f"a group would get code {code}; maps hold {LARGEST_CODE}")
    label = LabelClass(code, NAME.format(place + 1), next_colour("", colours))
    colours.append(label.colour)
    return label


def _nearest(slot: int, known: LabelSet, total: Tally, means: Floats) -> Nearest | None:
    """The labelled classes nearest to a slot; None where the model gives no pixel to any."""
    there = np.flatnonzero(total.pixels[: len(known)])
    if not len(there):
        return None
    angles = spectral_angles(means[[slot]], means[there])[0]
    shares = total.posterior[slot, : len(known)]
    by_model = int(shares.argmax())
    return Nearest(
        known.classes[int(there[angles.argmin()])],
        float(angles.min()),
        known.classes[by_model],
        float(shares[by_model] / max(shares.sum(), 1e-300)),
    )
