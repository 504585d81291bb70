"""What `discover` has found in a run's free slots, kept beside its model as discovered.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.checksums import sealed, unsealed
from hsi_ssl.datasets.cards import ClassCard
from hsi_ssl.errors import ModelError
from hsi_ssl.files import written_beside
from hsi_ssl.inference.checkpoint import DISCOVERED
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import UNLABELLED, LabelClass, LabelSet
from hsi_ssl.plain import checked, refused


@dataclass(frozen=True)
class DiscoveredSlot:
    """A column of the posterior, counted from 0 over classes and free slots, and its new class."""

    slot: int
    label: LabelClass


@dataclass(frozen=True)
class MapClasses:
    """What a map shows: the classes of the labels, then what was discovered.

    `columns (M,)` are the posterior's columns of the `label_set`'s M classes.
    """

    label_set: LabelSet
    columns: npt.NDArray[np.int64]

    def indices(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Class indices of slots; -1 for slots that are no class."""
        table = np.full(max(self.columns.max(), slots.max(initial=0)) + 2, UNLABELLED, np.int64)
        table[self.columns] = np.arange(len(self.columns))
        found: npt.NDArray[np.int64] = table[slots]
        return found


@dataclass(frozen=True)
class _Group(ClassCard):
    slot: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.slot <= LARGEST_CODE:
            raise refused("slot", f"from 0 to {LARGEST_CODE}", self.slot)


@dataclass(frozen=True)
class _Groups:
    weights_sha256: str
    groups: list[_Group]


def map_classes(known: LabelSet, discovered: Sequence[DiscoveredSlot] = ()) -> MapClasses:
    """The labelled classes `known`, which are the first slots, and the discovered ones."""
    return MapClasses(
        LabelSet(known.name, (*known.classes, *(d.label for d in discovered))),
        np.array([*range(len(known)), *(d.slot for d in discovered)], np.int64),
    )


def save_discovered(run: Path, card: dict[str, Any], found: Sequence[DiscoveredSlot]) -> None:
    """Write discovered.json into a run folder, in the place of an older one.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    content = {
        "weights_sha256": card["weights_sha256"],
        "groups": [{"slot": d.slot, **vars(d.label)} for d in found],
    }
    with written_beside(run / DISCOVERED, overwrite=True) as beside:
        beside.write_text(json.dumps(sealed(content), indent=1) + "\n", encoding="utf-8")


def load_discovered(run: Path, card: dict[str, Any]) -> tuple[DiscoveredSlot, ...]:
    """What was discovered with the model that `card` describes; nothing where nobody looked.

    Raises
    ------
    ModelError
        The file is broken, or was made with other weights.
    """
    path = run / DISCOVERED
    if not path.exists():
        return ()
    try:
        text = path.read_text(encoding="utf-8")
        content = unsealed(text)
        if set(content) != {"weights_sha256", "groups"}:
            raise ValueError("it lacks a part, or has one too many")
        weights = content["weights_sha256"]
        found = tuple(
            DiscoveredSlot(g.slot, LabelClass(g.code, g.name, g.colour))
            for g in checked(_Groups, content).groups
        )
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ModelError(
            f"{path} is broken ({error}); run `hsi-ssl discover` again, or remove it"
        ) from error
    if weights != card["weights_sha256"]:
        raise ModelError(
            f"{path} was made with an earlier model; run `hsi-ssl discover` again, or remove it"
        )
    return found
