"""Wavelengths in the descriptions of a raster's bands, where copies have lost all else.

GDAL describes the bands of an ENVI file as `420.0 Nanometers` or `name (420.0 Nanometers)`, and
programs that copy a raster keep that; in a copy that is ENVI again they are the bands' names, and
there is no list of wavelengths. rioxarray keeps nothing else of each band: what a band says of
itself becomes the first band's word for the whole file (`wavelength=420.0`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hsi_ssl.scenes.wavelengths import NANOMETRES, BandFacts, band_facts, singular

SPELLED = re.compile(r"(?:.*\()?\s*(\d+(?:\.\d+)?)\s*([A-Za-zµμ]+)\s*\)?")
"""A number and a unit, alone or in brackets at the end."""


def described_facts(
    descriptions: Sequence[str | None],
    tags: Mapping[str, str],
    *,
    where: str,
    found_in: str = "the descriptions of the bands",
) -> BandFacts:
    """Facts from descriptions that all spell a length in one unit; `tags` are those of the file.

    A single wavelength among `tags` says nothing of several bands, which is noted.
    """
    each = [SPELLED.fullmatch((text or "").strip()) for text in descriptions]
    found = [match for match in each if match is not None]
    units = {match[2] for match in found}
    if len(found) == len(descriptions) and len(units) == 1 and len(found) > 1:
        unit = units.pop()
        if singular(unit) in NANOMETRES:
            return band_facts(
                len(found),
                where=where,
                wavelengths=[match[1] for match in found],
                units=unit,
                wavelengths_from=found_in,
            )
    lone = next((value for key, value in tags.items() if key.lower() == "wavelength"), None)
    if lone is None or len(descriptions) < 2:  # noqa: PLR2004
        return BandFacts()
    note = (
        f"{where} tells one wavelength, {lone}, for {len(descriptions)} bands, as rioxarray does "
        "of the first one's: it is left out; give those of all bands as --wavelengths CSV"
    )
    return replace(BandFacts(), notes=(note,))
