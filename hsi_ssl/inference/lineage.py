"""What a run keeps of the dataset that it learnt from, and whether it may have seen another's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.datasets.store import Dataset, is_dataset, open_dataset
from hsi_ssl.datasets.whereabouts import moved, within
from hsi_ssl.errors import DatasetError


def dataset_card(dataset: Dataset) -> dict[str, Any]:
    """What a card keeps of the dataset that a model was trained on."""
    meta = dataset.meta
    kept = ("bands", "used_bands", "wavelengths_nm", "fwhm_nm", "image_like")
    return {
        **{name: meta[name] for name in kept},
        "numbers": meta.get("numbers"),
        "excluded_nm": meta.get("excluded_nm", []),
        "dataset": {
            "path": str(dataset.path),
            "title": meta["title"],
            "sources": [{k: s[k] for k in ("name", "fingerprint")} for s in meta["sources"]],
            "masks": sorted({name for s in meta["sources"] for name in s.get("masks", ())}),
            "nodata": meta["settings"].get("nodata"),
            "split": meta["split"],
            "seed": meta["seed"],
            "transductive": meta["transductive"],
            "draw": draw_fingerprint(dataset),
        },
    }


def draw_fingerprint(dataset: Dataset) -> str:
    """Hex sha256 of which pixels are in the dataset, as what, and of the scaling fitted on them."""
    dataset = dataset.whole or dataset
    digest = hashlib.sha256(json.dumps(dataset.meta["scaling"], sort_keys=True).encode())
    for array in (dataset.part, dataset.y, dataset.scene, dataset.pixel):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def dataset_of(card: dict[str, Any], run: Path, data: Sequence[Path] = ()) -> Path:
    """Where the dataset that a run learnt from lies now.

    As remembered, else at the same place beside the run, else in one of the folders `data`; there
    one that holds the same pixels.

    Raises
    ------
    DatasetError
        It is nowhere there.
    """
    remembered = Path(card["dataset"]["path"])
    found = remembered_dataset(card, run, data)
    if found.exists():
        return found
    looked = [str(remembered.parent), f"beside {run}", *(f"in {folder}" for folder in data)]
    raise DatasetError(
        f"the dataset {remembered.name} that {run} learnt from is not there: looked in "
        f"{', '.join(looked)}; name the dataset, the folder that holds it with --data, or make it "
        "again with `hsi-ssl prepare`"
    )


def remembered_dataset(card: dict[str, Any], run: Path, data: Sequence[Path] = ()) -> Path:
    """As `dataset_of`; where the dataset was, if it is nowhere there."""
    remembered = Path(card["dataset"]["path"])
    if remembered.exists():
        return remembered
    draw = card["dataset"].get("draw")
    inside = [path for folder in data for path in within(folder, remembered.name)]
    for path in (*moved(remembered, run), *inside):
        if is_dataset(path) and draw_fingerprint(open_dataset(path)) == draw:
            return path
    return remembered


def seen_elsewhere(card: dict[str, Any], dataset: Dataset, what: str) -> Iterator[str]:
    """Warn where a model was trained on another draw from this dataset's scenes.

    What is a test pixel here may then have been a training pixel there.
    """
    known, meta = card["dataset"], dataset.meta
    theirs, ours = ({s["fingerprint"] for s in d["sources"]} for d in (known, meta))
    if not theirs & ours:
        return
    if known["draw"] != draw_fingerprint(dataset):
        yield (
            f"{what} was trained on another draw from the same scenes ({known['path']}): it may "
            "have learnt from some of the test or validation pixels here, and scores may flatter it"
        )
    if known["transductive"] and not meta["transductive"]:
        yield f"{what} was trained transductively: it has seen spectra of test pixels"
