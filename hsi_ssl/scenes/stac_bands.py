"""STAC Items beside rasters: which file is the cube, and what the Item says of its bands.

By the STAC specification 1.0 and 1.1 (Item, Asset, common metadata) and its extensions Electro-
Optical 1.1 and 2.0, Raster 1.1 and 2.0, Projection 1.2 and 2.0. Up to 1.0 an asset lists `eo:bands`
(`center_wavelength`, `full_width_half_max` in micrometres) and `raster:bands` (`nodata`, `scale`,
`offset`, `unit`), one object a band each; from 1.1 on both stand in `bands`, with prefixes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

from hsi_ssl.scenes.listing import names_in
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts

LARGEST = 2**22
"""Bytes of an Item, at most; other JSON may be anything."""
FEW = 8
"""JSON files in a folder up to which all are looked at; among more, those called like the file."""
CUBE_BANDS = 2
"""Bands with a wavelength from which on an asset is a cube."""


@dataclass(frozen=True)
class Asset:
    """A file that an Item names: its key, what stands there, and the file's own name."""

    key: str
    told: Mapping[str, Any]
    name: str

    @cached_property
    def bands(self) -> list[Mapping[str, Any]]:
        """What it says of each band, under the names of STAC 1.0, without prefixes."""
        both = [self.told.get(key) for key in ("eo:bands", "raster:bands", "bands")]
        lists = [[one for one in each if isinstance(one, dict)] for each in map(_list, both)]
        return [
            {k.split(":")[-1]: v for one in at for k, v in one.items()}
            for at in _side_by_side([each for each in lists if each])
        ]

    @property
    def is_cube(self) -> bool:
        """Whether it lists bands with wavelengths."""
        return (
            sum(_number(b.get("center_wavelength")) is not None for b in self.bands) >= CUBE_BANDS
        )

    def column(self, name: str) -> list[float | None]:
        """One number a band, or of the asset as a whole where bands have none."""
        whole = self.told.get(name, self.told.get(f"raster:{name}"))
        return [_number(band.get(name, whole)) for band in self.bands]

    def facts(self, item: Path) -> BandFacts:
        """Wavelengths and widths; micrometres as the extension has it, nanometres above 100."""
        centres, widths = self.column("center_wavelength"), self.column("full_width_half_max")
        known = [value for value in centres if value is not None]
        return band_facts(
            len(centres),
            where=item.name,
            wavelengths=centres,
            units="um" if known and max(known) < 100 else None,  # noqa: PLR2004
            fwhm=widths if any(value is not None for value in widths) else None,
            wavelengths_from=f"center_wavelength of the STAC Item {item.name}",
        )


@dataclass(frozen=True)
class Item:
    """A STAC Item: its file, what stands in it, its assets."""

    path: Path
    told: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """Of the whole Item."""
        found = self.told.get("properties")
        return found if isinstance(found, dict) else {}

    @cached_property
    def assets(self) -> list[Asset]:
        """All of its files."""
        found = self.told.get("assets")
        each = found.items() if isinstance(found, dict) else ()
        return [
            Asset(key, told, PurePosixPath(unquote(urlparse(str(told.get("href", ""))).path)).name)
            for key, told in each
            if isinstance(told, dict)
        ]

    @property
    def cubes(self) -> list[Asset]:
        """Those that list bands with wavelengths."""
        return [asset for asset in self.assets if asset.is_cube]

    def named(self, name: str) -> Asset | None:
        """The asset that is a file of that name."""
        return next((asset for asset in self.assets if asset.name == name), None)


def item_at(path: Path) -> Item | None:
    """The Item that a JSON file is; None where it is none."""
    try:
        if path.suffix.lower() != ".json" or not 0 < path.stat().st_size <= LARGEST:
            return None
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("type") != "Feature" or "stac_version" not in told:
        return None
    return Item(path, told)


def items_beside(path: Path) -> Iterator[Item]:
    """Items in the folder of a file that name it as an asset."""
    names = [name for name in names_in(path.parent) if name.lower().endswith(".json")]
    stem, many = path.stem, len(names) > FEW
    for name in (n for n in names if not many or stem.startswith(n[: -len(".json")])):
        item = item_at(path.with_name(name))
        if item is not None and item.named(path.name) is not None:
            yield item


def _side_by_side(lists: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Lists of one length, band by band; those of another length than the first are left out."""
    same = [each for each in lists if len(each) == len(lists[0])]
    return list(zip(*same, strict=True))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
