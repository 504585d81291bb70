"""What `info` tells of a folder of scenes: each with its size and the labels found for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hsi_ssl.describing.description import Description, counted
from hsi_ssl.describing.offering import offered

MOST_TOLD = 20
"""Scenes, and files that are none, that are told one by one."""


def describe_scenes_in(path: Path) -> Description | None:
    """Describe a folder of scenes; None where it holds none."""
    offer = offered(path)
    if not offer.scenes:
        return None
    values: dict[str, Any] = {
        "kind": "scenes",
        "path": str(path),
        "scenes": [
            {
                "path": str(one.path),
                **dict(zip(("rows", "cols", "bands"), one.shape, strict=True)),
                "labels": one.labels or None,
            }
            for one in offer.scenes
        ],
        "labels": [one.in_words for one in offer.labels],
        "left_out": offer.left_out,
    }
    lines = [f"{path}: folder of {counted(len(offer.scenes), 'scene')}"]
    each = [
        f"{one.in_words}, {'labels ' + one.labels if one.labels else 'no labels of its own'}"
        for one in offer.scenes
    ]
    lines += _some(each)
    lines += [f"labels: {one.in_words}" for one in offer.labels if one.path is not None]
    lines += _some([f"left out: {why}" for why in offer.left_out])
    return Description(values, lines)


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_TOLD
    return lines[:MOST_TOLD] + ([f"and {more} more"] if more > 0 else [])
