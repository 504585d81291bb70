"""Arrays of pixels as a prepared dataset, for the stages to train on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl import __version__
from hsi_ssl.datasets.learnt_numbers import LearntNumbers
from hsi_ssl.datasets.scaling import fit_scaler, rows_to_fit
from hsi_ssl.datasets.splits import OUT, draw_parts, split_units
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import LabelError
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import UNLABELLED, LabelClass, LabelSet
from hsi_ssl.labels.palette import colours_for
from hsi_ssl.library.positions import Positions, neighbours_of
from hsi_ssl.watcher import Watcher

Ints = npt.NDArray[np.int64]
Parts = npt.NDArray[np.uint8]
GUARD = 1
"""Pixels between training and validation pixels, where it is known where they lie."""


def dataset_of_arrays(
    path: Path,
    spectra: npt.NDArray[Any],
    label: Ints,
    label_set: LabelSet,
    *,
    positions: Positions | None,
    validation: float,
    scaling: str,
    components: int,
    wavelengths_nm: npt.ArrayLike | None,
    seed: int,
    watcher: Watcher,
) -> Dataset:
    """Write a dataset of raw spectra `(n, bands)` with class indices `label (n,)`, -1 without.

    A share `validation` of the labelled pixels of each class validates; by blocks with a guard
    border where positions `(n, 3)` are known and the labels allow it, so that pixels do not
    validate what their neighbours have taught. What lies in the border is left out.

    Raises
    ------
    DatasetError
        The scaling cannot be fitted.
    """
    split_seed, fit_seed = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(split_seed)
    part, kind = _parts(label, len(label_set), positions, validation, rng, watcher)
    kept = np.flatnonzero(part != OUT)
    spectra, label, part = spectra[kept], label[kept], part[kept]
    label = np.where(np.isin(part, (Part.TRAIN, Part.VALIDATION)), label, UNLABELLED)
    place = np.column_stack([np.zeros(len(kept), np.int64), np.arange(len(kept)), 0 * kept])
    neighbours = np.full((len(kept), 8), -1, np.int32)
    if positions is not None:
        place = positions[kept]
        neighbours = neighbours_of(place)
    fit = rows_to_fit(np.flatnonzero(part != Part.VALIDATION), np.random.default_rng(fit_seed))
    wavelengths = None if wavelengths_nm is None else np.asarray(wavelengths_nm, np.float64)
    scaler = fit_scaler(
        scaling,
        spectra[fit],
        components=components,
        wavelengths=wavelengths,
        neighbours=neighbours_of(place[fit])
        if scaling == "mnf" and positions is not None
        else None,
        watcher=watcher,
    )
    return write_dataset(
        path,
        spectra=spectra,
        label=label.astype(np.int16),
        part=part,
        scene=place[:, 0].astype(np.int16),
        pixel=place[:, 1:].astype(np.int32),
        neighbours=neighbours,
        meta={
            **_facts(spectra, wavelengths, (place.max(axis=0) + 1).tolist()),
            "scaling": scaler.to_card(),
            "numbers": LearntNumbers.of(spectra[fit], None).to_card(),
            "seed": seed,
            "label_set": label_set.to_card(),
            "split": {"kind": kind, "guard": GUARD if kind == "blocks" else 0},
        },
    )


def _facts(
    spectra: npt.NDArray[Any], wavelengths: npt.NDArray[np.float64] | None, size: list[int]
) -> dict[str, Any]:
    """What a dataset of arrays says of its sources and bands; `size`: scenes, rows, cols."""
    scenes, rows, cols = size
    nowhere = {"path": "", "rows": rows, "cols": cols, "masks": []}
    digest = hashlib.sha256(np.ascontiguousarray(spectra).tobytes()).hexdigest()
    bands = spectra.shape[1]
    return {
        "version": __version__,
        "title": "arrays",
        "sources": [
            {"name": f"array {i + 1}", "fingerprint": f"{digest}-{i}", **nowhere}
            for i in range(scenes)
        ],
        "bands": bands,
        "used_bands": list(range(bands)),
        "wavelengths_nm": None if wavelengths is None else wavelengths.tolist(),
        "fwhm_nm": None,
        "excluded_nm": [],
        "settings": {},
        "recoded": {},
        "transductive": False,
        "image_like": False,
        "unit_kind": "pixel",
    }


def label_set_of(classes: Sequence[Any]) -> LabelSet:
    """Classes, numbers or names, as a label set: numbers that may be codes are; others get some.

    Raises
    ------
    LabelError
        There are more than there are codes.
    """
    if len(classes) > LARGEST_CODE:
        raise LabelError(f"{len(classes)} classes; expected {LARGEST_CODE} at most")
    whole = all(isinstance(c, (int, np.integer)) and 0 < c <= LARGEST_CODE for c in classes)
    codes = [int(c) for c in classes] if whole else range(1, len(classes) + 1)
    names = [str(c) for c in classes]
    return LabelSet("labels", tuple(map(LabelClass, codes, names, colours_for(names))))


def _parts(
    label: Ints,
    classes: int,
    positions: Positions | None,
    validation: float,
    rng: np.random.Generator,
    watcher: Watcher,
) -> tuple[Parts, str]:
    """What each pixel is for, and how that was drawn."""
    labelled = label != UNLABELLED
    part: Parts = np.full(len(label), Part.POOL, np.uint8)
    if not validation:
        part[labelled] = Part.TRAIN
        return part, "pixels"
    shares = {Part.TRAIN: 1 - validation, Part.VALIDATION: validation}
    if positions is not None:
        try:
            return _by_blocks(label, classes, positions, shares, rng), "blocks"
        except LabelError:
            watcher.say(
                "the labels lie too close together to validate on blocks of their own: validation "
                "pixels are neighbours of training pixels, and flatter the model"
            )
    part[labelled] = draw_parts(label[labelled], classes, shares, rng)
    return part, "pixels"


def _by_blocks(
    label: Ints,
    classes: int,
    positions: Positions,
    shares: dict[Part, float],
    rng: np.random.Generator,
) -> Parts:
    planes = []
    for scene in range(int(positions[:, 0].max()) + 1):
        here = positions[:, 0] == scene
        rows, cols = positions[here, 1:].T
        plane = np.full((rows.max() + 1, cols.max() + 1), UNLABELLED, np.int16)
        plane[rows, cols] = label[here]
        planes.append(plane)
    split = split_units(planes, classes, shares, rng, guard=GUARD)
    found = np.empty(len(label), np.uint8)
    for scene, plane in enumerate(split.planes):
        here = positions[:, 0] == scene
        rows, cols = positions[here, 1:].T
        found[here] = plane[rows, cols]
    return found
