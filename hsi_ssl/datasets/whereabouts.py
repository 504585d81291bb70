"""Where the scenes of a dataset lie now: as remembered, beside the dataset, or in a folder given.

Trees are moved as a whole, so the ends of a remembered path are looked for from the dataset's
folder and from those above it. What is found is known again by its size and fingerprint.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_ssl.errors import DatasetError
from hsi_ssl.files import fingerprint, folder_fingerprint
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.datasets.store import Dataset

FOLDERS_ABOVE = 3
"""Datasets and runs lie in `runs/` of a project, or a folder or two deeper."""
Card = dict[str, Any]


def place_of(card: Card, dataset: Dataset) -> Path | None:
    """Where the scene of a dataset's record lies now; None where it is gone, or never was a file.

    One that is no file, on a server say, is where it was.

    Raises
    ------
    DatasetError
        A folder given holds another file of its name, and none that is the same.
    """
    remembered = Path(card["path"])
    if not card["path"]:
        return None
    if is_virtual(remembered):
        return remembered
    for path in moved(remembered, dataset.path):
        if is_same(path, card):
            return path
    others = [path for folder in dataset.data for path in within(folder, remembered.name)]
    for path in others:
        if is_same(path, card):
            return path
    if others:
        raise DatasetError(
            f"{others[0]} is another file than the {remembered.name} that {dataset.path} was made "
            f"of: expected {_told(card)}, found {_told(_facts(others[0]))}; name the folder of "
            "that one with --data"
        )
    return None


def moved(remembered: Path, by: Path) -> Iterator[Path]:
    """Paths that are there and may be one that a file or folder `by` it remembers."""
    if remembered.exists():
        yield remembered
    parts = [part for part in remembered.parts if part not in (remembered.anchor, "..")]
    for folder in by.resolve().parents[: FOLDERS_ABOVE + 1]:
        for first in range(len(parts)):
            path = folder.joinpath(*parts[first:])
            if path.exists():
                yield path


def within(folder: Path, name: str) -> list[Path]:
    """Files and folders of a name in a folder or below it, in order."""
    return sorted(folder.rglob(glob.escape(name)))


def is_same(path: Path, card: Card) -> bool:
    """Whether a file or folder is the one of a record, by size and fingerprint."""
    size = card.get("size")
    if path.is_file() and size is not None and path.stat().st_size != size:
        return False
    return bool(_facts(path)["fingerprint"] == card["fingerprint"])


def missing(dataset: Dataset, numbers: Sequence[int] | None = None) -> list[int]:
    """Which of a dataset's scenes, or of those `numbers`, were files and are gone."""
    cards = dataset.meta["sources"]
    asked = range(len(cards)) if numbers is None else numbers
    return [i for i in asked if cards[i]["path"] and place_of(cards[i], dataset) is None]


def warn_of_missing(dataset: Dataset, watcher: Watcher) -> None:
    """Warn a report's reader of scenes that are gone."""
    gone = missing(dataset)
    if gone:
        watcher.warn(f"{missing_in_words(dataset, gone)}; the report does without")


def missing_in_words(dataset: Dataset, gone: Sequence[int]) -> str:
    """Which scenes are gone, where they were looked for, and what to give."""
    card = dataset.meta["sources"][gone[0]]
    if not card["path"]:
        return f"{card['name']}, of which {dataset.path} was made, was no file: name a scene"
    first = Path(card["path"])
    others = f" and {len(gone) - 1} other scenes" if len(gone) > 1 else ""
    looked = [str(first.parent), f"beside {dataset.path}", *(f"in {f}" for f in dataset.data)]
    return (
        f"{first.name}{others}, of which {dataset.path} was made, "
        f"{'are' if others else 'is'} not there or no longer the same: looked in "
        f"{', '.join(looked)}; name the folder that holds {'them' if others else 'it'} with --data"
    )


def _facts(path: Path) -> Card:
    if path.is_dir():
        size, found = folder_fingerprint(path)
    else:
        size, found = path.stat().st_size, fingerprint(path)
    return {"size": size, "fingerprint": found}


def _told(card: Card) -> str:
    size = "" if card.get("size") is None else f"{card['size']:,} bytes, "
    return f"{size}fingerprint {card['fingerprint'][:8]}"
