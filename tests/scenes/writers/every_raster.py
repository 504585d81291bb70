"""Scenes written as rasters: GeoTIFF and other formats by GDAL, VRT, and ENVI by hand."""

from __future__ import annotations

import gzip
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from drawn_scene import PLACES, UNITS, UP_TO_32_BITS, Draw, DrawnScene, Way, Written
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning

ENVI_TYPES = {"u1": 1, "i2": 2, "i4": 3, "f4": 4, "f8": 5, "u2": 12, "u4": 13, "i8": 14,
              "u8": 15}  # fmt: skip
GDAL_TYPES = {"u1": "Byte", "i2": "Int16", "u2": "UInt16", "i4": "Int32", "u4": "UInt32",
              "i1": "Int8", "i8": "Int64", "u8": "UInt64",
              "f4": "Float32", "f8": "Float64"}  # fmt: skip
ENVI_UNITS = UNITS | {"Millimeters": 1e-6, "Meters": 1e-9}
RECIPROCAL = {"Wavenumber": 1e7, "GHz": 299_792_458.0, "MHz": 299_792_458e3}
RAW = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}


def gdal_file(
    path: Path, scene: DrawnScene, draw: Draw, *, driver: str, how: Sequence[str], **options: Any
) -> None:
    """A raster by GDAL, which says of its bands what it may say in one of the ways `how`."""
    rows, cols, bands = scene.shape
    place = {"transform": scene.transform, "crs": scene.crs} if scene.transform else {}
    nodata_by = draw.pick("nodata by", ("value", "mask")) if driver == "GTiff" else "value"
    masked = scene.nodata is not None and nodata_by == "mask"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=draw.yes("internal mask?") if masked else False),
            rasterio.open(
                path, "w", driver=driver, height=rows, width=cols, count=bands,
                dtype=scene.cube.dtype.name, nodata=None if masked else scene.nodata,
                **place, **options,
            ) as raster,
        ):  # fmt: skip
            raster.write(scene.cube.transpose(2, 0, 1))
            if masked:
                raster.write_mask(scene.valid)
            if scene.scale is not None:
                raster.scales = [scene.scale] * bands
                raster.offsets = [scene.offset] * bands
                raster.units = ["reflectance"] * bands
            tell_bands(raster, scene, draw, how)
    if "header" in how and draw.said["bands by"] == "header":
        header = Path(f"{path}.hdr") if draw.yes("whole name") else path.with_suffix(".hdr")
        header.write_text("ENVI\n" + band_fields(scene, draw))


def tell_bands(raster: Any, scene: DrawnScene, draw: Draw, how: Sequence[str]) -> None:
    by = draw.pick("bands by", how)
    if by == "tags":
        unit = draw.pick("unit", list(UNITS))
        for i, (centre, width, good) in enumerate(
            zip(scene.wavelengths, scene.fwhm, scene.good, strict=True), 1
        ):
            raster.update_tags(
                i, wavelength=number(centre * UNITS[unit]), wavelength_units=unit,
                fwhm=number(width * UNITS[unit]), bbl=int(good),
            )  # fmt: skip
    elif by == "IMAGERY":  # as GDAL 3.10 and later
        for i, (centre, width) in enumerate(zip(scene.wavelengths, scene.fwhm, strict=True), 1):
            raster.update_tags(
                i, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=number(centre / 1000),
                FWHM_UM=number(width / 1000),
            )  # fmt: skip
            raster.update_tags(i, bbl=int(scene.good[i - 1]))
    elif by == "ENVI":
        fields = band_fields(scene, draw).splitlines()
        said = dict(line.split(" = ", 1) for line in fields)
        raster.update_tags(ns="ENVI", **{k.replace(" ", "_"): v for k, v in said.items()})


def number(value: float) -> str:
    return f"{value:.9g}"


def band_fields(scene: DrawnScene, draw: Draw) -> str:
    """What an ENVI header says of the bands, one field a line."""
    unit = draw.pick("unit", [*ENVI_UNITS, *RECIPROCAL])
    if unit in RECIPROCAL:
        centres = RECIPROCAL[unit] / scene.wavelengths
        widths = scene.fwhm * RECIPROCAL[unit] / scene.wavelengths**2
    else:
        centres, widths = (v * ENVI_UNITS[unit] for v in (scene.wavelengths, scene.fwhm))
    fields = {
        "wavelength units": unit,
        "wavelength": listed(map("{:.12g}".format, centres)),
        "fwhm": listed(map("{:.12g}".format, widths)),
    }
    if not scene.good.all():
        fields["bbl"] = listed(map(str, scene.good.astype(int)))
    return "".join(f"{name} = {value}\n" for name, value in fields.items())


def listed(texts: Any) -> str:
    return "{" + ", ".join(texts) + "}"


def geotiff(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    options: dict[str, Any] = {
        "interleave": draw.pick("interleave", ("pixel", "band")),
        "bigtiff": draw.pick("bigtiff", ("YES", "NO")),
        "endianness": draw.pick("endianness", ("LITTLE", "BIG")),
        "compress": draw.pick("compress", ("NONE", "LZW", "DEFLATE", "ZSTD", "PACKBITS")),
    }
    if draw.yes("tiled?"):
        options |= {"tiled": True, "blockxsize": 16, "blockysize": 16}
    else:
        options["blockysize"] = draw.pick("strip", (1, 3, scene.shape[0]))
    if options["compress"] in {"LZW", "DEFLATE", "ZSTD"}:
        predictors = (1, 2, 3) if scene.cube.dtype.kind == "f" else (1, 2)
        options["predictor"] = draw.pick("predictor", predictors)
    path = folder / "s.tif"
    gdal_file(
        path, scene, draw, driver="GTiff", how=("tags", "IMAGERY", "ENVI", "header"), **options
    )
    return Written(path)


def point_geotiff(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    """A GeoTIFF whose tie point is the middle of a pixel (PixelIsPoint)."""
    path = folder / "s.tif"
    gdal_file(path, scene, draw, driver="GTiff", how=("tags",))
    with rasterio.open(path, "r+") as raster:
        raster.update_tags(AREA_OR_POINT="Point")
    return Written(path)


def world_file(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    """A TIFF that has its place in a world file, and its CRS in `.aux.xml`, as ArcGIS leaves it."""
    path = folder / "s.tif"
    gdal_file(path, replace(scene, transform=None), draw, driver="GTiff", how=("tags",))
    if scene.transform is not None:
        a, b, c, d, e, f = scene.transform[:6]
        lines = (a, d, b, e, c + a / 2 + b / 2, f + d / 2 + e / 2)  # of the first pixel's middle
        path.with_suffix(".tfw").write_text("\n".join(map(repr, map(float, lines))))
        wkt = CRS.from_string(scene.crs).to_wkt()
        text = wkt.replace("&", "&amp;").replace('"', "&quot;")
        Path(f"{path}.aux.xml").write_text(f"<PAMDataset><SRS>{text}</SRS></PAMDataset>\n")
    return Written(path)


def stacked(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    """A VRT of one TIFF a band, as gdalbuildvrt -separate makes it."""
    rows, cols, bands = scene.shape
    parts = []
    for i in range(bands):
        one = replace(
            scene, cube=scene.cube[..., [i]], scale=None, nodata=None, good=scene.good[[i]]
        )
        gdal_file(folder / f"band{i:02}.tif", one, draw, driver="GTiff", how=("nothing",))
        nodata = "" if scene.nodata is None else f"<NoDataValue>{scene.nodata!r}</NoDataValue>"
        packed = (
            ""
            if scene.scale is None
            else f"<Scale>{scene.scale}</Scale><Offset>{scene.offset}</Offset>"
            "<UnitType>reflectance</UnitType>"
        )
        parts.append(
            f'<VRTRasterBand dataType="{GDAL_TYPES[scene.cube.dtype.str[1:]]}" '
            f'band="{i + 1}"><Metadata><MDI key="wavelength">{scene.wavelengths[i]}</MDI>'
            '<MDI key="wavelength_units">nm</MDI>'
            f'<MDI key="fwhm">{scene.fwhm[i]}</MDI><MDI key="bbl">{int(scene.good[i])}</MDI>'
            f"</Metadata>{nodata}{packed}<SimpleSource>"
            f'<SourceFilename relativeToVRT="1">band{i:02}.tif</SourceFilename>'
            f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"/>'
            f'<DstRect xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"/></SimpleSource>'
            "</VRTRasterBand>"
        )
    place = ""
    if scene.transform is not None:
        a, b, c, d, e, f = scene.transform[:6]
        place = f"<SRS>{scene.crs}</SRS><GeoTransform>{c}, {a}, {b}, {f}, {d}, {e}</GeoTransform>"
    path = folder / "s.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">{place}{"".join(parts)}'
        "</VRTDataset>\n"
    )
    return Written(path)


def by_gdal(
    folder: Path, scene: DrawnScene, draw: Draw, *, driver: str, suffix: str, **options: Any
) -> Written:
    path = folder / f"s{suffix}"
    gdal_file(path, scene, draw, driver=driver, how=("tags",), **options)
    return Written(path)


def envi(folder: Path, scene: DrawnScene, draw: Draw) -> Written:
    """ENVI as its documentation has it: any interleave, byte order, offset and reference pixel."""
    rows, cols, bands = scene.shape
    interleave = draw.pick("interleave", list(RAW))
    big = draw.yes("big-endian?")
    offset = draw.pick("header offset", (0, 512))
    array = scene.cube.transpose(RAW[interleave]).astype(
        scene.cube.dtype.newbyteorder(">" if big else "<")
    )
    packed = draw.yes("gzip?")
    data = b"\x7f" * offset + np.ascontiguousarray(array).tobytes()
    path = folder / ("s.img" + ".gz" * packed)
    path.write_bytes(gzip.compress(data) if packed else data)
    header = (
        f"ENVI\nsamples = {cols}\nlines = {rows}\nbands = {bands}\nheader offset = {offset}\n"
        f"file type = ENVI Standard\ndata type = {ENVI_TYPES[scene.cube.dtype.str[1:]]}\n"
        f"interleave = {interleave}\nbyte order = {int(big)}\n"
        + f"file compression = {int(packed)}\n"
        + band_fields(scene, draw)
        + envi_place(scene, draw)
    )
    if scene.nodata is not None:
        header += f"data ignore value = {scene.nodata!r}\n"
    if scene.scale is not None:
        header += f"reflectance scale factor = {round(1 / scene.scale)}\n"
    (folder / "s.hdr").write_text(header)
    return Written(folder / draw.pick("given", (path.name, "s.hdr")))


def envi_place(scene: DrawnScene, draw: Draw) -> str:
    """`map info` and CRS; rows and columns have to be at a right angle."""
    if scene.transform is None or scene.crs is None:
        return ""
    a, _, _, d, e, _ = scene.transform[:6]
    turned = math.degrees(math.atan2(d, a))
    wide, high = math.hypot(a, d), math.hypot(scene.transform.b, e)
    col, row = draw.pick("reference pixel", ((1, 1), (1.5, 1.5), (3, 2), (7.25, 1)))
    x, y = scene.on_map(np.array(col - 1.0), np.array(row - 1.0))
    crs = CRS.from_string(scene.crs)
    code = int(crs.to_epsg())
    name, datum = "Arbitrary", ""
    if code in (32633, 32733):
        name, datum = "UTM", f", 33, {'North' if code == 32633 else 'South'}, WGS-84, units=Meters"
    elif code == 4326:
        name, datum = "Geographic Lat/Lon", ", WGS-84, units=Degrees"
    elif code == 3035:
        name, datum = "ETRS89_LAEA_Europe", ", D_ETRS_1989, units=Meters"
    rotation = f", rotation={turned:.8f}" if turned or draw.yes("rotation 0?") else ""
    text = f"map info = {{{name}, {col}, {row}, {float(x)!r}, {float(y)!r}, {wide!r}, {high!r}"
    text += f"{datum}{rotation}}}\n"
    if name == "ETRS89_LAEA_Europe" or draw.yes("coordinate system string?"):
        text += f"coordinate system string = {{{crs.to_wkt(version='WKT1_ESRI')}}}\n"
    return text


INTEGERS_16 = ("u1", "i2", "u2")
WAYS: dict[str, Way] = {
    "GeoTIFF": Way(geotiff),
    "GeoTIFF of points": Way(point_geotiff, places=PLACES[:-1]),
    "TIFF and world file": Way(world_file),
    "VRT of bands": Way(stacked),
    # GDAL loses nodata values of 64 bits on the way into a COG.
    "COG": Way(partial(by_gdal, driver="COG", suffix=".tif"), dtypes=UP_TO_32_BITS),
    "ERDAS Imagine": Way(
        partial(by_gdal, driver="HFA", suffix=".img"), dtypes=UP_TO_32_BITS,
        places=("north up", "south up", "nowhere")
    ),
    "PCIDSK": Way(
        partial(by_gdal, driver="PCIDSK", suffix=".pix"), dtypes=("u1", "i2", "u2", "f4")
    ),
    "JPEG 2000": Way(
        partial(
            by_gdal, driver="JP2OpenJPEG", suffix=".jp2", quality=100, reversible=True
        ),
        dtypes=INTEGERS_16, places=("north up", "nowhere"),
    ),
    # Its header holds eight digits of a nodata value, too few of one of 32 bits.
    "ESRI BIL": Way(
        partial(by_gdal, driver="EHdr", suffix=".bil"), dtypes=("u1", "i2", "u2", "f4"),
        places=("north up",), crss=("EPSG:32633", "EPSG:32733", "EPSG:4326"),
    ),
    "MRF": Way(
        partial(by_gdal, driver="MRF", suffix=".mrf", compress="DEFLATE"),
        places=("north up", "south up"),
    ),
    "RRASTER": Way(
        partial(by_gdal, driver="RRASTER", suffix=".grd"), dtypes=UP_TO_32_BITS,
        places=("north up", "south up"), tells=("nodata",),
    ),
    "ENVI": Way(
        envi, dtypes=tuple(ENVI_TYPES), places=("north up", "turned", "nowhere"),
        tells=("nodata", "wavelengths", "fwhm", "good", "scale"),
    ),
    "ENVI by GDAL": Way(
        partial(by_gdal, driver="ENVI", suffix=".img"), dtypes=tuple(ENVI_TYPES),
        places=("north up", "south up", "nowhere"),
        tells=("nodata", "wavelengths", "fwhm"),
    ),
}  # fmt: skip
