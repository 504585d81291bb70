"""What `info` tells of a folder of scenes: each with its size and the labels found for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hsi_ssl.describing.description import Description, counted
from hsi_ssl.describing.offering import MOST_TOLD as MOST_REASONS
from hsi_ssl.describing.offering import offered
from hsi_ssl.errors import SceneNotFoundError
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.sources import in_catalog
from hsi_ssl.scenes.reading import AS_THEY_ARE, Reading
from hsi_ssl.watcher import SILENT

MOST_TOLD = 20
"""Scenes, and files that are none, that are told one by one."""


def describe_scenes_in(path: Path, reading: Reading = AS_THEY_ARE) -> Description:
    """Describe a folder of scenes; `reading` says how they are opened.

    Raises
    ------
    SceneNotFoundError
        It holds none: what it holds is said.
    """
    offer = offered(path, SILENT, reading)
    if not offer.scenes:
        names = [f"{one.name}/" if one.is_dir() else one.name for one in sorted(path.iterdir())]
        holds = f"it holds {listed(names, len(names))}" if names else "it is empty"
        why = "; ".join(offer.left_out[:MOST_REASONS])
        raise SceneNotFoundError(
            f"{path} is a folder without a run, a report, a product or scenes that can be read: "
            f"{holds}{f' (left out: {why})' if why else ''}; give a run folder, a dataset, a scene "
            "or a folder of scenes"
        )
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
        "notes": [],
    }
    lines = [f"{path}: folder of {counted(len(offer.scenes), 'scene')}"]
    each = [
        f"{one.in_words}, {'labels ' + one.labels if one.labels else 'no labels of its own'}"
        for one in offer.scenes
    ]
    lines += _some(each)
    lines += [f"labels: {one.in_words}" for one in offer.labels if one.path is not None]
    lines += _some([f"left out: {why}" for why in offer.left_out])
    if in_catalog(str(path)):
        note = f"other commands take {path} for the catalog's, and ./{path} for this folder"
        values["notes"] = [note]
        lines.append(f"note: {note}")
    return Description(values, lines)


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_TOLD
    return lines[:MOST_TOLD] + ([f"and {more} more"] if more > 0 else [])
