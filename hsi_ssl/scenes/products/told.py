"""A raster with what the metadata of its product tell of its bands and of its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from hsi_ssl.cells import whole_number
from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.products.xml_metadata import numbers_of
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.times import time_of
from hsi_ssl.scenes.units import Kind, units_of
from hsi_ssl.scenes.wavelengths import band_facts


class Tags(NamedTuple):
    """What the elements of a band are called: centre and width in nm, gain and offset."""

    centre: str
    width: str
    gain: str
    offset: str


def in_order(bands: Sequence[Element], numbers: Sequence[str]) -> list[Element]:
    """Bands by their numbers; as they follow each other where one has none."""
    known = [number for number in map(whole_number, numbers) if number is not None]
    if len(known) < len(numbers):
        return list(bands)
    return [bands[i] for i in np.argsort(known, kind="stable")]


def with_told(
    scene: Scene,
    bands: Sequence[Element],
    tags: Tags,
    *,
    metadata: Path,
    kind: Kind | None,
    nodata: int | None,
    time: str | None,
) -> Scene:
    """The scene with wavelengths, widths, units (physical = raw gain + offset), no data and time.

    `bands`: elements in the order of the image's. `nodata` is that of the product, which counts
    where an image of integers declares none. `time`: its beginning, as told.

    Raises
    ------
    SceneError
        Metadata tell of another number of bands, or of no wavelengths.
    """
    if len(bands) != scene.bands:
        raise SceneError(
            f"{scene.path} has {scene.bands} bands and {metadata.name} tells of {len(bands)}; "
            "expected as many: get the product again"
        )
    where = f"METADATA{metadata.suffix}"
    centres, widths, gains, offsets = (numbers_of(bands, tag) for tag in tags)
    facts = band_facts(
        scene.bands, where=metadata.name, wavelengths=centres, units="nm", fwhm=widths
    )
    if facts.wavelengths_nm is None:
        raise SceneError(
            f"{metadata} tells no wavelengths for most of {scene.bands} bands; expected "
            f"{tags.centre} of each: get the product again"
        )
    units = units_of(
        scene.bands, scale=gains, offset=np.nan_to_num(offsets), kind=kind,
        source=f"{tags.gain} in {where}",
    )  # fmt: skip
    taken = time_of(time, f"startTime in {where}")
    origins = replace(
        scene.origins,
        wavelengths=Origin(f"{tags.centre} in {where}", "in nm"),
        bad_bands=None,
        acquired=taken.origin or scene.origins.acquired,
    )
    declared = scene.nodata
    if declared is None and nodata is not None and scene.dtype.kind == "i":
        declared = nodata
        origins = replace(origins, nodata=Origin("the product's specification"))
    return replace(
        scene,
        wavelengths_nm=facts.wavelengths_nm,
        fwhm_nm=facts.fwhm_nm,
        good=np.isfinite(facts.wavelengths_nm),
        nodata=declared,
        units=units or units_of(scene.bands, kind=kind, source=""),
        acquired=taken.at or scene.acquired,
        notes=(*scene.notes, *facts.notes),
        origins=origins,
    )
