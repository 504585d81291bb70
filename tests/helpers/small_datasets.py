"""Datasets that are small and easy to learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.labels.label_set import LabelClass, LabelSet


def plain_meta(bands: int, *, scenes: int = 1, **more: Any) -> dict[str, Any]:
    """What a dataset says at least, but for its labels and its scaling; scenes are `box 1`, ..."""
    return {
        "title": "plain",
        "sources": [
            {"name": f"box {i + 1}", "fingerprint": f"{i}" * 64, "rows": 1000, "cols": 1000,
             "path": ""}
            for i in range(scenes)
        ],
        "bands": bands,
        "used_bands": list(range(bands)),
        "wavelengths_nm": None,
        "fwhm_nm": None,
        "settings": {},
        "seed": 0,
        "transductive": False,
        "split": {"kind": "blocks", "guard": 0},
        "image_like": False,
        **more,
    }  # fmt: skip


def three_minerals(path: Path) -> Dataset:
    """A dataset of 3 classes (codes 2, 7, 32) on a 40 x 30 scene of 12 bands, easy to learn."""
    rng = np.random.default_rng(0)
    rows, cols, bands = 40, 30, 12
    place = np.indices((rows, cols)).reshape(2, -1).T
    label = (place[:, 1] // 10).astype(np.int16)
    shapes = 2000 + 600 * np.sin(np.linspace(0, 4, bands)[None] * np.array([[1.0], [1.6], [2.3]]))
    light = rng.uniform(0.7, 1.3, (len(place), 1))
    spectra = (shapes[label] * light + rng.normal(0, 25, (len(place), bands))).astype(np.uint16)
    # Rows 0-19 train, 20-27 validation, 28-33 test, the rest pool; few training labels.
    part = np.select(
        [place[:, 0] < 20, place[:, 0] < 28, place[:, 0] < 34],
        [Part.TRAIN, Part.VALIDATION, Part.TEST],
        Part.POOL,
    ).astype(np.uint8)
    part[(part == Part.TRAIN) & (rng.random(len(part)) < 0.8)] = Part.POOL
    label[part == Part.POOL] = -1
    learnt = spectra[np.isin(part, (Part.TRAIN, Part.POOL))]
    label_set = LabelSet(
        "minerals",
        (
            LabelClass(2, "quartz", "#aaaaaa"),
            LabelClass(7, "kaolinite", "#dd8844"),
            LabelClass(32, "white mica", "#3366aa"),
        ),
    )
    return write_dataset(
        path,
        spectra=spectra,
        label=label,
        part=part,
        scene=np.zeros(len(part), np.int16),
        pixel=place.astype(np.int32),
        neighbours=np.full((len(part), 8), -1, np.int32),
        unit=np.where(label < 0, -1, place[:, 0] * 3 + place[:, 1] // 10).astype(np.int32),
        meta={
            "title": "tiny",
            "unit_kind": "patch",
            "sources": [
                {"name": "tiny", "fingerprint": "0" * 64, "rows": rows, "cols": cols, "path": ""}
            ],
            "bands": bands,
            "used_bands": list(range(bands)),
            "wavelengths_nm": np.linspace(1000, 2500, bands).tolist(),
            "fwhm_nm": None,
            "label_set": label_set.to_card(),
            "settings": {},
            "scaling": fit_scaler("standard", learnt, components=bands).to_card(),
            "seed": 0,
            "transductive": False,
            "split": {"kind": "blocks", "guard": 0},
            "image_like": False,
            "counts": {
                "classes": [
                    {
                        "code": c.code,
                        "name": c.name,
                        "count": int((label == k).sum()),
                        "by_scene": {"0": int((label == k).sum())},
                    }
                    for k, c in enumerate(label_set.classes)
                ],
                "pixels": rows * cols,
                "unlabelled": int((label < 0).sum()),
                "pool": int((part == Part.POOL).sum()),
                "guard": 0,
            },
        },
    )


def minerals_and_rocks(path: Path) -> Dataset:
    """A dataset of 3 minerals and 2 rocks on a 40 x 40 scene of 12 bands, easy to learn.

    Of its labelled pixels two fifths have lost their mineral, two fifths their rock.
    """
    rng = np.random.default_rng(1)
    rows, cols, bands = 40, 40, 12
    place = np.indices((rows, cols)).reshape(2, -1).T
    mineral, rock = place[:, 1] // 14, place[:, 0] // 5 % 2
    along = np.linspace(0, 4, bands)[None]
    shapes = 2000 + 600 * np.sin(along * np.array([[1.0], [1.6], [2.3]]))
    spectra = shapes[mineral] + np.array([[0.0], [150.0]])[rock] * along
    spectra = spectra * rng.uniform(0.9, 1.1, (len(place), 1)) + rng.normal(0, 20, (1600, bands))
    part = np.select(
        [place[:, 1] % 14 < 8, place[:, 1] % 14 < 10, place[:, 1] % 14 < 12],
        [Part.TRAIN, Part.VALIDATION, Part.TEST],
        Part.POOL,
    ).astype(np.uint8)
    part[(part == Part.TRAIN) & (rng.random(len(part)) < 0.7)] = Part.POOL
    label = np.stack([mineral, rock], axis=1).astype(np.int16)
    label[part == Part.POOL] = -1
    lost = rng.choice([0, 1, 2], len(part), p=[0.4, 0.4, 0.2])
    for i in (0, 1):
        label[(lost == i) & np.isin(part, (Part.TRAIN, Part.VALIDATION)), i] = -1
    sets = (
        LabelSet("mineralogy", tuple(LabelClass(c, f"mineral {c}", "#aa8844") for c in (2, 7, 32))),
        LabelSet("lithology", tuple(LabelClass(c, f"rock {c}", "#3366aa") for c in (101, 104))),
    )
    raw = spectra.astype(np.uint16)
    each = [
        {
            "label_set": label_set.to_card(),
            "split": {"kind": "blocks", "guard": 0},
            "counts": {
                "classes": [
                    {
                        "code": c.code,
                        "name": c.name,
                        "count": int((label[:, i] == k).sum()),
                        "by_scene": {"0": int((label[:, i] == k).sum())},
                    }
                    for k, c in enumerate(label_set.classes)
                ],
                "pixels": rows * cols,
                "unlabelled": int((label[:, i] < 0).sum()),
                "pool": int(((part == Part.POOL) | ((part == 0) & (label[:, i] < 0))).sum()),
                "guard": 0,
            },
        }
        for i, label_set in enumerate(sets)
    ]
    learnt = np.isin(part, (Part.TRAIN, Part.POOL))
    return write_dataset(
        path,
        spectra=raw,
        label=label,
        part=part,
        scene=np.zeros(len(part), np.int16),
        pixel=place.astype(np.int32),
        neighbours=neighbour_table(np.zeros(len(part), np.int16), place.astype(np.int32)),
        meta={
            "title": "two",
            "sources": [
                {"name": "two", "fingerprint": "1" * 64, "rows": rows, "cols": cols, "path": ""}
            ],
            "bands": bands,
            "used_bands": list(range(bands)),
            "wavelengths_nm": np.linspace(1000, 2500, bands).tolist(),
            "fwhm_nm": None,
            "label_sets": each,
            "settings": {},
            "scaling": fit_scaler("noise", raw[learnt], components=6).to_card(),
            "seed": 0,
            "transductive": False,
            "split": {"kind": "blocks", "guard": 0},
            "image_like": False,
        },
    )
