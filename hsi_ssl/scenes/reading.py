"""How the user wants scenes to be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hsi_ssl.scenes.product import Overlap, Quality


@dataclass(frozen=True)
class Reading:
    """What `open_scene` takes, and what is made of it.

    `scale`: what raw numbers are multiplied by to be physical, in the place of what files say.
    `mask`: files that mark what to look at (rasters that are not 0 there, or polygons), laid on
    scenes by their place; `auto`: what `masks.propose_mask` proposes. `mask_out`: files that mark
    what not to look at.
    """

    variable: str | None = None
    wavelengths: Path | None = None
    scale: float | None = None
    mask: tuple[Path, ...] = ()
    mask_out: tuple[Path, ...] = ()
    axes: str | None = None
    overlap: Overlap = "both"
    quality: Quality = "lenient"
    nodata: float | None = None


AS_THEY_ARE = Reading()
