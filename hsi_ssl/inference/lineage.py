"""What a run keeps of the dataset that it learnt from, and whether it may have seen another's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from hsi_ssl.datasets.store import Dataset


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
