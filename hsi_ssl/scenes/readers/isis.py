"""What a cube of ISIS, the USGS's programs for other planets, says of its bands.

Its label has a group BandBin with lists Center and Width, one value a band, and sometimes Unit.
GDAL hands the label on as JSON, and makes tags of the bands only of a list with a unit of its own.
"""

from __future__ import annotations

import json
from typing import Any

from rasterio.io import DatasetReader

from hsi_ssl.scenes.wavelengths import BandFacts, band_facts

DRIVER = "ISIS3"
DOMAIN = "json:ISIS3"


def isis_facts(dataset: DatasetReader, *, where: str) -> BandFacts:
    """Wavelengths and widths by the label; nothing where it tells none."""
    if dataset.driver != DRIVER:
        return BandFacts()
    # rasterio takes the text for `name:value`.
    text = next((f"{name}:{value}" for name, value in dataset.tags(ns=DOMAIN).items()), "")
    try:
        told = json.loads(text)["IsisCube"]["BandBin"]
        centres, unit = _listed(told["Center"])
        widths, _ = _listed(told.get("Width", []))
    except (ValueError, KeyError, TypeError, RecursionError):
        return BandFacts()
    unit = unit or str(told.get("Unit", told.get("CenterUnit", ""))) or None
    return band_facts(
        dataset.count,
        where=where,
        wavelengths=centres,
        units=unit,
        fwhm=widths,
        wavelengths_from="the group BandBin of the label",
    )


def _listed(told: Any) -> tuple[list[Any], str | None]:
    """The values of a list, and their unit where it is told beside them."""
    if isinstance(told, dict):
        values, unit = _listed(told["value"])
        return values, str(told.get("unit", "")) or unit
    return (told if isinstance(told, list) else [told]), None
