"""A writer of tiny EnMAP products: the members and metadata that DLR's ground segment writes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ElementTree, SubElement

import numpy as np
import numpy.typing as npt
import rasterio
from delivered import CRS, NORTH, WEST, Ground, reflectance
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform

Floats = npt.NDArray[np.float64]
NAME = "ENMAP01-____{level}-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z"
VNIR = np.round(np.linspace(420, 993, 14), 2)
SWIR = np.round(np.linspace(903, 2440, 20), 2)
EMPTY = float(SWIR[6])
"""Wavelength of the band of level 2A that holds nothing."""
APART = 5
"""Rows by which SWIR sees a place earlier than VNIR in level 1B."""
PLANES = ("CLOUD", "CLOUDSHADOW", "HAZE", "CIRRUS", "SNOW", "CLASSES", "TESTFLAGS")


def merged() -> tuple[Floats, npt.NDArray[np.int64]]:
    """Wavelengths of levels 1C and 2A, sorted, and the detector of each band."""
    nm = np.concatenate([VNIR, SWIR])
    order = np.argsort(nm, kind="stable")
    return nm[order], (order >= len(VNIR)).astype(np.int64)


def write_enmap(
    folder: Path, ground: Ground, *, level: str = "L2A", name: str | None = None, **more: Any
) -> Path:
    """All members in a folder, called `name` or as delivered; gives that of the metadata.

    `more` goes to the images: `driver`, `suffix`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    of = NAME.format(level=level) if name is None else name
    begin = f"{folder}/{of}-" if of else f"{folder}/"
    rows, cols = ground.x.shape
    if level == "L1B":
        ahead = Ground(_ahead(ground.x), _ahead(ground.y))
        _image(begin, "_VNIR", ground, VNIR, level, **more)
        _image(begin, "_SWIR", ahead, SWIR, level, **more)
    else:
        _image(begin, "", ground, merged()[0], level, **more)
    for plane in PLANES:
        for end in ("_VNIR", "_SWIR") if (level, plane) == ("L1B", "TESTFLAGS") else ("",):
            values = np.full((rows, cols), int(plane == "CLASSES"), np.uint8)
            write_plane(Path(f"{begin}QL_QUALITY_{plane}{end}.TIF"), values, placed=level != "L1B")
    for end, bands in (("_VNIR", 14), ("_SWIR", 20)) if level == "L1B" else (("", 34),):
        zeros = np.zeros((bands, rows, cols), np.uint8)
        write_plane(Path(f"{begin}QL_PIXELMASK{end}.TIF"), zeros, placed=level != "L1B")
    metadata = Path(f"{begin}METADATA.XML")
    _metadata(metadata, of or NAME.format(level=level), level, ground)
    return metadata


def write_plane(path: Path, values: npt.NDArray[Any], *, placed: bool = True, **more: Any) -> None:
    """A raster of one plane `(rows, cols)` or of several, as layers are."""
    planes = values if values.ndim > 2 else values[None]
    profile: dict[str, Any] = {"driver": "GTiff", "compress": "deflate", **more}
    if profile["driver"] != "GTiff":
        del profile["compress"]
    if placed:
        profile |= {"crs": CRS, "transform": rasterio.Affine(30, 0, WEST, 0, -30, NORTH)}
    count, height, width = planes.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", count=count, height=height, width=width, dtype=planes.dtype, **profile
        ) as raster:
            raster.write(planes)


def gains(level: str, bands: int) -> tuple[Floats, Floats]:
    """Gain and offset of each band of an image."""
    if level == "L2A":
        return np.full(bands, 1e-4), np.zeros(bands)
    return 2e-5 + 1e-6 * np.arange(float(bands)), 0.001 * np.arange(float(bands))


def _ahead(plane: Floats) -> Floats:
    """What another detector sees that is some rows ahead: straight on beyond the last row."""
    step = plane[-1] - plane[-2]
    beyond = plane[-1] + step * (np.arange(APART)[:, None] + 1)
    return np.concatenate([plane[APART:], beyond])


def _image(
    begin: str, end: str, ground: Ground, nm: Floats, level: str, suffix: str = ".TIF", **more: Any
) -> None:
    scale, offset = gains(level, len(nm))
    values = (reflectance(ground.codes, nm, seed=len(nm)) - offset) / scale
    kind = np.int16 if level == "L2A" else np.uint16
    raw = np.round(values).clip(1, np.iinfo(kind).max).astype(kind).transpose(2, 0, 1)
    if level == "L2A":
        raw[nm == EMPTY] = -32768
        more |= {"nodata": -32768}
    path = Path(f"{begin}SPECTRAL_IMAGE{end}{suffix}")
    write_plane(path, raw, placed=level != "L1B", **more)


def _metadata(path: Path, of: str, level: str, ground: Ground) -> None:
    root = Element("level_X")
    put(root, "metadata/name", f"{of}-METADATA.XML")
    put(root, "base/temporalCoverage/startTime", "2022-07-24T10:45:31.123456Z")
    put(root, "base/level", level)
    for key, value in (
        ("mission", "EnMAP"), ("backgroundValue", 0), ("meanGroundElevation", 40.5),
        ("numberOfVNIRBands", len(VNIR)), ("numberOfSWIRBands", len(SWIR)),
    ):  # fmt: skip
        put(root, f"specific/{key}", value)
    nm, owner = merged()
    for i, detector in enumerate(("vnir", "swir")):
        listed = ",".join(map(str, np.flatnonzero(owner == i) + 1))
        put(root, f"specific/{detector}ProductQuality/expectedChannelsList", listed)
    told = np.concatenate([VNIR, SWIR]) if level == "L1B" else nm
    per_image = [len(VNIR), len(SWIR)] if level == "L1B" else [len(nm)]
    scale, offset = (
        np.concatenate(both) for both in zip(*(gains(level, n) for n in per_image), strict=True)
    )
    bands = put(root, "specific/bandCharacterisation")
    statistics = put(root, "product/bandStatistics")
    for i, wavelength in enumerate(told):
        band = SubElement(bands, "bandID", number=str(i + 1))
        put(band, "wavelengthCenterOfBand", wavelength)
        put(band, "FWHMOfBand", 8.5)
        put(band, "GainOfBand", scale[i])
        put(band, "OffsetOfBand", offset[i])
        one = SubElement(statistics, "bandID", number=str(i + 1))
        empty = level == "L2A" and wavelength == EMPTY
        put(one, "mean", -1000000 if empty else 0.2)
        put(one, "stdDeviation", 0 if empty else 0.1)
    if level == "L1B":
        put(root, "product/image/vnir/channels", len(VNIR))
        _coefficients(root, ground)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _coefficients(root: Element, ground: Ground) -> None:
    """RPC of both detectors, linear: rows and columns of a place, whatever its height."""
    lon, lat = (
        np.reshape(one, ground.x.shape)
        for one in transform(CRS, "EPSG:4326", ground.x.ravel(), ground.y.ravel())
    )
    along = (lon - lon.mean()) / 0.05
    up = (lat - lat.mean()) / 0.05
    terms = np.stack([np.ones(lon.size), along.ravel(), up.ravel()], axis=1)
    place = np.meshgrid(*(np.arange(n) for n in ground.x.shape), indexing="ij")
    every = put(root, "product/navigation/RPC")
    for number in range(len(VNIR) + len(SWIR)):
        shift = 0 if number < len(VNIR) else -APART
        one = SubElement(every, "bandID", number=str(number + 1))
        for key, value in (
            ("LAT_OFF", lat.mean()), ("LONG_OFF", lon.mean()), ("HEIGHT_OFF", 0.0),
            ("LAT_SCALE", 0.05), ("LONG_SCALE", 0.05), ("HEIGHT_SCALE", 500.0),
        ):  # fmt: skip
            put(one, key, value)
        for name, plane, add in (("ROW", place[0], shift), ("COL", place[1], 0)):
            fitted = np.linalg.lstsq(terms, plane.ravel() + add, rcond=None)[0]
            put(one, f"{name}_OFF", 0.0)
            put(one, f"{name}_SCALE", 1.0)
            for i in range(20):
                put(one, f"{name}_NUM_{i + 1:02d}", float(fitted[i]) if i < len(fitted) else 0.0)
                put(one, f"{name}_DEN_{i + 1:02d}", float(i == 0))


def put(root: Element, place: str, value: object = None) -> Element:
    """The element at a place, made where it is not there, with a text."""
    for tag in place.split("/"):
        found = root.find(tag)
        root = SubElement(root, tag) if found is None else found
    if value is not None:
        root.text = f"{value:.17g}" if isinstance(value, float) else str(value)
    return root
