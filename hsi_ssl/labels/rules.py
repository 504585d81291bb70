"""How labels are taken from what users draw and from their rasters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LabelRules:
    """How labels are taken.

    `field` is that of vector layers which names the class (None: the only one that may), or
    `@layer`: the layer's own name, or its file's, is the class of all that it holds. A polygon
    labels the pixels of which it covers a share of `min_coverage` or more, with 0 those whose
    centre it holds; a raster laid on another grid gives a pixel the class that covers most of it,
    and so much or more, with 0 that at its centre. `classes` is a CSV: of drawn labels the one that
    remembers the codes of names (None: one beside the files, by default the first), of rasters one
    with names and colours. `ignore` are codes that stand for no label. `zero_is_a_class`: 0 is a
    class in rasters, which it is anyway where they declare another value for nothing.
    """

    field: str | None = None
    min_coverage: float = 0.5
    classes: Path | None = None
    ignore: tuple[int, ...] = ()
    zero_is_a_class: bool = False


USUAL_RULES = LabelRules()
