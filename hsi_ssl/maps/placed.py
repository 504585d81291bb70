"""A map in sensor geometry, shown where it lies: a small VRT beside it.

What opens a raster by its control points (QGIS, `gdalwarp` without `-tps`) fits a polynomial, which
misses wide swaths by up to a hundred pixels. GDAL's warped VRT (its documentation, "VRT -- GDAL
Virtual Format") carries how to place another raster: here by thin plate splines through the
control points, each cell of the nearest pixel. The numbers stay in the map itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio

import hsi_ssl
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.labels.legends import CLASSES_TAG
from hsi_ssl.maps.control_points import control_points, on_plane
from hsi_ssl.maps.legend import category_names, names_tag, palette
from hsi_ssl.scenes.geolocation import Geolocation
from hsi_ssl.scenes.scene import Grid

ENDING = "_placed.vrt"
TYPES = {"uint8": "Byte", "uint16": "UInt16"}
NEAR = 0.25
"""Pixels that the place of one may be off for speed."""
BORDER = 65
"""Points a side by which a scene's outline is found."""
BLOCK = 256


def to_be_placed(grid: Grid) -> Geolocation | None:
    """The places of pixels of a scene without a map grid, which maps are placed by."""
    return grid.geolocation if grid.transform is None else None


def write_placed(
    vrt: Path, source: Path, grid: Grid, label_set: LabelSet, rest: str, *, named: str
) -> None:
    """Write the VRT of the class map `source`, to lie beside it when that is called `named`.

    Cells are square on the ground, as large as the pixels in the middle of their sizes.
    """
    located = grid.geolocation
    assert located is not None
    with rasterio.open(source) as raster:
        kind, nodata = TYPES[raster.dtypes[0]], f"{raster.nodata:g}"
    points, crs = control_points(located, grid.crs)
    left, top, wide, high, cols, rows = _frame(located, grid.crs, crs)
    root = ET.Element(
        "VRTDataset",
        rasterXSize=str(cols),
        rasterYSize=str(rows),
        subClass="VRTWarpedDataset",
    )
    about = ET.SubElement(root, "Metadata")
    tags = {
        "TIFFTAG_SOFTWARE": f"hsi-ssl {hsi_ssl.__version__}",
        CLASSES_TAG: names_tag(label_set),
    }
    for key, value in tags.items():
        ET.SubElement(about, "MDI", key=key).text = value
    if crs is not None:
        ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = crs
    forward, back = _both_ways((left, wide, 0.0, top, 0.0, -high))
    ET.SubElement(root, "GeoTransform").text = forward
    band = ET.SubElement(
        root, "VRTRasterBand", dataType=kind, band="1", subClass="VRTWarpedRasterBand"
    )
    ET.SubElement(band, "Description").text = "class"
    ET.SubElement(band, "NoDataValue").text = nodata
    ET.SubElement(band, "ColorInterp").text = "Palette"
    band.extend((category_names(label_set, rest), palette(label_set)))
    for axis in "XY":
        ET.SubElement(root, f"Block{axis}Size").text = str(BLOCK)
    warp = ET.SubElement(root, "GDALWarpOptions")
    ET.SubElement(warp, "ResampleAlg").text = "NearestNeighbour"
    ET.SubElement(warp, "WorkingDataType").text = kind
    ET.SubElement(warp, "Option", name="INIT_DEST").text = "NO_DATA"
    ET.SubElement(warp, "SourceDataset", relativeToVRT="1").text = named
    approximate = ET.SubElement(ET.SubElement(warp, "Transformer"), "ApproxTransformer")
    ET.SubElement(approximate, "MaxError").text = str(NEAR)
    base = ET.SubElement(ET.SubElement(approximate, "BaseTransformer"), "GenImgProjTransformer")
    splines = ET.SubElement(ET.SubElement(base, "SrcTPSTransformer"), "TPSTransformer")
    ET.SubElement(splines, "Reversed").text = "0"
    listed = ET.SubElement(splines, "GCPList")
    for i, point in enumerate(points, 1):
        place = {"Pixel": point.col, "Line": point.row, "X": point.x, "Y": point.y}
        ET.SubElement(listed, "GCP", {"Id": str(i)} | {k: repr(v) for k, v in place.items()})
    ET.SubElement(base, "DstGeoTransform").text = forward
    ET.SubElement(base, "DstInvGeoTransform").text = back
    mapping = ET.SubElement(ET.SubElement(warp, "BandList"), "BandMapping", src="1", dst="1")
    for name in ("SrcNoDataReal", "DstNoDataReal"):
        ET.SubElement(mapping, name).text = nodata
    ET.indent(root)
    vrt.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def _frame(
    located: Geolocation, crs: str | None, own: str | None
) -> tuple[float, float, float, float, int, int]:
    """Left, top, width and height of a cell, columns and rows, in the CRS `own`."""
    high, wide = located.x.shape
    x, y = (np.linspace(0, size, BORDER) for size in (wide, high))
    net = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    east, north = on_plane(located, net, crs, own)
    across = on_plane(located, net + np.array([1.0, 0]), crs, own)
    down = on_plane(located, net + np.array([0, 1.0]), crs, own)
    area = (across[0] - east) * (down[1] - north) - (across[1] - north) * (down[0] - east)
    side = float(np.sqrt(np.median(np.abs(area))))
    # A degree of longitude is shorter than one of latitude.
    narrow = 1.0
    if located.degrees and own == crs:
        narrow = float(np.cos(np.deg2rad(np.clip(north.mean(), -80, 80))))
    cell = side / np.sqrt(narrow), side * np.sqrt(narrow)
    left, top = float(east.min()), float(north.max())
    cols = int(np.ceil((float(east.max()) - left) / cell[0]))
    rows = int(np.ceil((top - float(north.min())) / cell[1]))
    return left, top, float(cell[0]), float(cell[1]), cols, rows


def _both_ways(transform: tuple[float, ...]) -> tuple[str, str]:
    """GDAL's six numbers of a grid and of its inverse, as texts."""
    forward = rasterio.Affine.from_gdal(*transform)
    return _text(transform), _text((~forward).to_gdal())


def _text(numbers: Any) -> str:
    return ", ".join(f"{number:.17g}" for number in numbers)
