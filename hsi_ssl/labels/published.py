"""Names for the codes of published maps, whose codes and order need not be the catalog's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.watcher import SILENT, Watcher

Codes = npt.NDArray[Any]

SAME_CODE = 0.99
"""Share of a code's pixels that must carry the very same code for it to keep its name."""
SAME_CLASS = 0.95
"""Share of a code's pixels, and of a class's, that must be each other's for the class's name."""
OVERLAP = 0.5
"""Share of a code's pixels that the catalog's plane must label at all."""


def named_by_overlap(
    published: Sequence[Codes],
    known: Sequence[Codes | None],
    label_set: LabelSet,
    *,
    watcher: Watcher = SILENT,
) -> LabelSet:
    """The label set of published maps: names of `label_set` where the pixels bear them out.

    `published` and `known` hold the planes of each scene; the latter's codes are those of
    `label_set`. Codes without a name are left out (they are called "class N" later). What was
    found is said.
    """
    pairs = [(p, k) for p, k in zip(published, known, strict=True) if k is not None]
    names = {c.code: c for c in label_set.classes}
    codes = sorted({int(code) for plane in published for code in np.unique(plane) if code})
    found: dict[int, LabelClass] = {}
    for code in codes if pairs and names else []:
        here = np.concatenate([k[p == code] for p, k in pairs])
        seen = here[here != 0]
        if len(seen) == 0 or len(seen) < OVERLAP * len(here):
            continue
        values, counts = np.unique(seen, return_counts=True)
        class_code, share = int(values[counts.argmax()]), counts.max() / len(seen)
        if class_code not in names:
            continue
        if class_code == code and share >= SAME_CODE:
            found[code] = names[code]
        elif share >= SAME_CLASS:
            back = np.concatenate([p[(k == class_code) & (p != 0)] for p, k in pairs])
            if (back == code).mean() >= SAME_CLASS:
                a_class = names[class_code]
                found[code] = LabelClass(code, a_class.name, a_class.colour)
    _tell(codes, found, names, watcher)
    return LabelSet(label_set.name, tuple(found.values()))


def _tell(
    codes: list[int], found: dict[int, LabelClass], names: dict[int, LabelClass], watcher: Watcher
) -> None:
    other = {code: c for code, c in found.items() if code not in names or names[code] != c}
    if other:
        listed = ", ".join(f"{code} {c.name}" for code, c in other.items())
        watcher.say(
            "the maps' codes are not those of the catalog; named by the pixels that they share "
            f"with its labels: {listed}"
        )
    nameless = [code for code in codes if code not in found]
    if nameless and names:
        listed = ", ".join(map(str, nameless))
        watcher.say(f"no class of the catalog agrees with code {listed} of the maps: left nameless")
