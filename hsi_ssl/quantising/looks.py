"""What is told of a quantiser's units: how dense, how far apart, of which classes, which planes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import SettingsError
from hsi_ssl.inference.quantising import TrainedQuantiser
from hsi_ssl.labels.label_set import LabelClass, codes_to_indices, indices_to_codes
from hsi_ssl.models.quantisers.crowding import crowding
from hsi_ssl.models.quantisers.som import SelfOrganisingMap
from hsi_ssl.quantising.units import Units

if TYPE_CHECKING:
    from hsi_ssl.settings import QuantiseSettings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

GROUPS = 6
"""Planes where none are asked for."""


@dataclass(frozen=True)
class Plane:
    """Some bands, numbered among the used ones, whose mean a plane shows."""

    title: str
    bands: Ints


@dataclass(frozen=True)
class ClassHits:
    """Labelled pixels of a class that each unit won, `pixels (C,)`."""

    label: LabelClass
    pixels: Ints


@dataclass(frozen=True)
class Looks:
    """Of C units: `crowding (C,)`, mean distance to the nearest spectra; `u_matrix (C,)` of a map.

    `planes`: with each, the mean of the units' raw values `(C,)`.
    """

    crowding: Floats
    u_matrix: Floats | None
    planes: tuple[tuple[Plane, Floats], ...]
    hits: tuple[ClassHits, ...]

    def class_of(self, unit: int) -> tuple[str, float] | None:
        """The class with most labelled pixels in a unit and its share of them; None without any."""
        if not self.hits:
            return None
        counts = [one.pixels[unit] for one in self.hits]
        total = int(sum(counts))
        best = int(np.argmax(counts))
        return (self.hits[best].label.name, counts[best] / total) if total else None


def planes_of(dataset: Dataset, settings: QuantiseSettings) -> tuple[Plane, ...]:
    """The groups of bands to show: those in the ranges asked for, or equal parts in their order.

    Raises
    ------
    SettingsError
        Ranges are asked for where there are no wavelengths, or no band lies in one.
    """
    waves = dataset.wavelengths_nm
    if not settings.ranges:
        order = np.arange(dataset.bands) if waves is None else np.argsort(waves, kind="stable")
        parts = np.array_split(order, min(GROUPS, dataset.bands))
        return tuple(Plane(_title(part, waves), part.astype(np.int64)) for part in parts)
    if waves is None:
        raise SettingsError(
            f"{dataset.meta['title']} has no wavelengths, so nobody knows which bands "
            f"{settings.ranges[0]} are; leave out --plane, or give --wavelengths"
        )
    found = []
    for one in settings.ranges:
        bands = np.flatnonzero(one.holds(np.asarray(waves)))
        if not len(bands):
            raise SettingsError(
                f"no used band lies in {one}; expected a range within {min(waves):.0f} to "
                f"{max(waves):.0f} nm as --plane"
            )
        found.append(Plane(_title(bands, waves), bands))
    return tuple(found)


def _title(bands: npt.NDArray[Any], waves: list[float] | None) -> str:
    if waves is None:
        first, last = int(bands.min()) + 1, int(bands.max()) + 1
        return f"band {first}" if first == last else f"bands {first} to {last}"
    low, high = (round(f(waves[i] for i in bands)) for f in (min, max))
    return f"{low} nm" if low == high else f"{low} to {high} nm"


def looks_of(
    trained: TrainedQuantiser,
    dataset: Dataset,
    units: Units,
    planes: tuple[Plane, ...],
    nearest: int,
) -> Looks:
    """All that the page tells of units, of the spectra that they learnt from.

    Hits of classes count training and validation pixels; test pixels are not looked at.
    """
    x = torch.from_numpy(dataset.scaled(units.rows, trained.scaler)).to(trained.device)
    weights = trained.model.weights
    raw = units.means
    if trained.scaler.invertible:
        raw = trained.scaler.inverse(weights.cpu().numpy())
    model = trained.model
    apart = None
    if isinstance(model, SelfOrganisingMap):
        apart = model.lattice.u_matrix(weights).cpu().double().numpy()
    return Looks(
        crowding(x, weights, nearest).cpu().double().numpy(),
        apart,
        tuple((plane, raw[:, plane.bands].mean(1)) for plane in planes),
        tuple(_class_hits(trained, dataset)),
    )


def _class_hits(trained: TrainedQuantiser, dataset: Dataset) -> Iterator[ClassHits]:
    """Of every class of every label set that has labelled pixels to look at."""
    for label_set in dataset.label_sets:
        one = dataset.one(label_set.name)
        rows = one.rows(Part.TRAIN, Part.VALIDATION)
        label = codes_to_indices(indices_to_codes(one.label[rows], one.label_set), label_set)
        winner = trained.assign(dataset.spectra(rows)) if len(rows) else rows
        for k, label_class in enumerate(label_set.classes):
            pixels = np.bincount(winner[label == k], minlength=trained.units)
            if pixels.any():
                yield ClassHits(label_class, pixels)
