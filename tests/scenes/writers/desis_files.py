"""A writer of tiny DESIS products: the members and metadata that DLR's ground segment writes."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement

import numpy as np
import numpy.typing as npt
from delivered import Ground, reflectance
from enmap_files import put, write_plane

Floats = npt.NDArray[np.float64]
NAME = "DESIS-HSI-{level}-DT0707652640_011-20220404T193259-V0220"
NM = np.round(np.linspace(401.9, 999.5, 24), 3)
QUALITY_BANDS = 10
"""Shadow, land, snow, haze over land and water, cloud over land and water, water; then amounts."""


def write_desis(
    folder: Path, ground: Ground, *, level: str = "L2A", name: str | None = None
) -> Path:
    """All members in a folder, called `name` or as delivered; gives that of the metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    of = NAME.format(level=level) if name is None else name
    begin = f"{folder}/{of}-" if of else f"{folder}/"
    rows, cols = ground.x.shape
    placed = level != "L1B"
    scale, offset = gains(level)
    values = np.round((reflectance(ground.codes, NM, seed=5) - offset) / scale)
    raw = values.clip(-32767, 32767).astype(np.int16).transpose(2, 0, 1)
    raw[:, 0, 0] = -32768
    image = Path(f"{begin}SPECTRAL_IMAGE.tif")
    write_plane(image, raw, placed=placed, interleave="pixel")
    listed = ", ".join(map(str, NM + 50))
    image.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {cols}\nlines = {rows}\nbands = {len(NM)}\ndata type = 2\n"
        f"interleave = bip\nbyte order = 0\nwavelength = {{{listed}}}\n"
    )
    write_plane(Path(f"{begin}QL_QUALITY.tif"), np.zeros(raw.shape, np.uint8), placed=placed)
    if level == "L2A":
        planes = np.zeros((QUALITY_BANDS, rows, cols), np.uint8)
        planes[1] = 1
        planes[8:] = 40
        write_plane(Path(f"{begin}QL_QUALITY-2.tif"), planes)
    Path(f"{begin}HISTORY.xml").write_text("<hsi_doc/>")
    metadata = Path(f"{begin}METADATA.xml")
    _metadata(metadata, level)
    return metadata


def gains(level: str) -> tuple[Floats, Floats]:
    """Gain and offset of each band."""
    if level == "L2A":
        return np.full(len(NM), 1e-4), np.zeros(len(NM))
    return 2e-5 + 1e-6 * np.arange(float(len(NM))), -0.001 * np.arange(float(len(NM)))


def _metadata(path: Path, level: str) -> None:
    root = Element("hsi_doc")
    put(root, "base/temporalCoverage/startTime", "2022-04-04T19:32:59.123456Z")
    put(root, "base/format", f"DESIS_HSI_{level}")
    put(root, "specific/mission", "DESIS")
    put(root, "specific/backgroundValue", -32768)
    bands = put(root, "specific/bandCharacterisation")
    inner = put(root, "specific/interiorOrientation")
    scale, offset = gains(level)
    for i in reversed(range(len(NM))):  # their numbers count, not how they follow
        band = SubElement(bands, "band")
        put(band, "bandNumber", i + 1)
        put(band, "wavelengthCenterOfBand", NM[i])
        put(band, "wavelengthWidthOfBand", 3.5)
        put(band, "gainOfBand", scale[i])
        put(band, "offsetOfBand", offset[i])
        put(SubElement(inner, "band"), "bandNumber", i + 1)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
