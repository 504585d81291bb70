"""One map over several scenes: a VRT, which names the scenes' maps and copies no pixel.

Beside a mosaic `m.vrt` lie the maps (in the folder `m`), `m.qml`, `m.csv`, `m.png` and a VRT for
each layer, `m_confidence.vrt` and so on. Where scenes overlap, the last with a class there shows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import rasterio
from rasterio.crs import CRS
from rasterio.io import DatasetReader

import hsi_ssl
from hsi_ssl.errors import SceneError
from hsi_ssl.files import refuse_taken, withdraw, written_beside
from hsi_ssl.labels.frames import crs_name
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet
from hsi_ssl.labels.legends import CLASSES_TAG
from hsi_ssl.maps.class_map import LAYERS, Layer, pixels_by_code, quicklook, refuse_inputs
from hsi_ssl.maps.legend import (
    attribute_table,
    category_names,
    legend_csv,
    names_tag,
    palette,
    qml,
)
from hsi_ssl.maps.rasters import raster_errors
from hsi_ssl.maps.records import Facts, record_path, write_record
from hsi_ssl.scenes.scene import Scene

MOSAIC_SUFFIX = ".vrt"
TYPES = {"uint8": "Byte", "uint16": "UInt16", "float32": "Float32"}
"""What GDAL calls the number types of maps and layers."""
_Classes = tuple[LabelSet, Mapping[int, int]]
"""All classes of the maps, and the mosaic's pixels by code."""


def is_mosaic(output: Path) -> bool:
    """Whether an output of that name is a mosaic."""
    return output.suffix.lower() == MOSAIC_SUFFIX


def mosaic_outputs(path: Path, layers: Sequence[Layer]) -> dict[str, Path]:
    """All files of a mosaic but the maps themselves."""
    return {
        "map": path,
        "style": path.with_suffix(".qml"),
        "legend": path.with_suffix(".csv"),
        "quicklook": path.with_suffix(".png"),
        **{layer: path.with_name(f"{path.stem}_{layer}{path.suffix}") for layer in layers},
    }


def check_mosaic(
    path: Path,
    scenes: Sequence[Scene],
    layers: Sequence[Layer],
    inputs: Sequence[Path],
) -> None:
    """Refuse a mosaic that could not be made, before any work is done.

    Raises
    ------
    SceneError
        A scene has no coordinates, lies at an angle, or is in another CRS than the first.
    OutputError
        A file of the mosaic is one of `inputs`.
    """
    first = scenes[0]
    for scene in scenes:
        transform = scene.map_grid.transform
        if transform is None or not _north_up(transform):
            what = "has no coordinates" if transform is None else "lies at an angle to its CRS"
            raise SceneError(f"{scene.path} {what}: no mosaic can hold it; give -o a folder")
        if _crs(scene) != _crs(first):
            raise SceneError(
                f"{first.path} is in {crs_name(_crs(first))} and {scene.path} in "
                f"{crs_name(_crs(scene))}: a mosaic has one CRS; "
                "give -o a folder, or classify those of one CRS together"
            )
    files = mosaic_outputs(path, layers).values()
    refuse_inputs(files, inputs)


def withdraw_mosaic(path: Path) -> None:
    """Take away an older mosaic with its layers, before the first of its maps is another one.

    It would show new pixels by old names and counts. The new one stands once all maps do.
    """
    withdraw(path, [*mosaic_outputs(path, LAYERS).values(), record_path(path)])


def write_mosaic(
    path: Path,
    maps: Sequence[Path],
    label_set: LabelSet,
    *,
    layers: Mapping[Layer, Sequence[Path]],
    made_of: Facts,
    overwrite: bool = False,
) -> None:
    """Write the mosaic of finished maps and of their layers, with a record of what it is `made_of`.

    `label_set` are all classes of the maps. Pixels are counted in the mosaic, where scenes overlap
    once.

    Raises
    ------
    OutputError
        A file of the mosaic exists and may not be replaced; the disk is full.
    """
    places = mosaic_outputs(path, tuple(layers)).values()
    refuse_taken(places, overwrite)
    also = [*places, record_path(path)]
    with written_beside(path, also=also, overwrite=overwrite) as beside:
        finished = mosaic_outputs(beside, tuple(layers))
        with raster_errors(path):
            # Parts are named from where the mosaic will lie; to be drawn now, by whole paths.
            _write_vrt(beside, maps, None, None)
            found = pixels_by_code(beside)
            counts = {code: int(found[code]) for code in (UNLABELLED_CODE, *label_set.codes)}
            quicklook(finished["quicklook"], beside, label_set, path.stem)
            _write_vrt(beside, maps, path.parent, (label_set, counts))
            for layer, parts in layers.items():
                _write_vrt(finished[layer], parts, path.parent, None)
        finished["style"].write_text(qml(label_set), encoding="utf-8")
        finished["legend"].write_text(legend_csv(label_set, counts), encoding="utf-8")
        write_record(record_path(beside), made_of, finished.values(), {})


@dataclass(frozen=True)
class _Frame:
    """The grid of a mosaic: as fine as the finest part."""

    left: float
    top: float
    wide: float
    high: float
    cols: int
    rows: int

    @classmethod
    def around(cls, parts: Sequence[DatasetReader]) -> _Frame:
        wide = min(part.transform.a for part in parts)
        high = min(-part.transform.e for part in parts)
        left, top = min(p.bounds.left for p in parts), max(p.bounds.top for p in parts)
        right, bottom = max(p.bounds.right for p in parts), min(p.bounds.bottom for p in parts)
        cols, rows = round((right - left) / wide), round((top - bottom) / high)
        return cls(left, top, wide, high, cols, rows)

    def place(self, part: DatasetReader) -> dict[str, str]:
        """Where a part lies in it, in its pixels."""
        x, y = (part.bounds.left - self.left) / self.wide, (self.top - part.bounds.top) / self.high
        cols = part.width * part.transform.a / self.wide
        rows = part.height * -part.transform.e / self.high
        return {
            key: f"{round(value, 6):.15g}"
            for key, value in zip(
                ("xOff", "yOff", "xSize", "ySize"), (x, y, cols, rows), strict=True
            )
        }


def _write_vrt(
    vrt: Path, paths: Sequence[Path], folder: Path | None, classes: _Classes | None
) -> None:
    """Write a VRT of rasters with the same bands, that is to lie in `folder`; None: anywhere."""
    with _opened(paths) as parts:
        frame, first = _Frame.around(parts), parts[0]
        root = ET.Element("VRTDataset", rasterXSize=str(frame.cols), rasterYSize=str(frame.rows))
        if first.crs is not None:
            ET.SubElement(root, "SRS").text = first.crs.to_wkt()
        place = (frame.left, frame.wide, 0.0, frame.top, 0.0, -frame.high)
        ET.SubElement(root, "GeoTransform").text = ", ".join(f"{v:.17g}" for v in place)
        about = ET.SubElement(root, "Metadata")
        tags = {"TIFFTAG_SOFTWARE": f"hsi-ssl {hsi_ssl.__version__}"}
        if classes is not None:
            tags[CLASSES_TAG] = names_tag(classes[0])
        for key, value in tags.items():
            ET.SubElement(about, "MDI", key=key).text = value
        for band in first.indexes:
            root.append(_band(band, parts, paths, folder, frame, classes))
    ET.indent(root)
    vrt.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def _band(
    band: int,
    parts: Sequence[DatasetReader],
    paths: Sequence[Path],
    folder: Path | None,
    frame: _Frame,
    classes: _Classes | None,
) -> ET.Element:
    first = parts[0]
    kind = TYPES[first.dtypes[band - 1]]
    found = ET.Element("VRTRasterBand", dataType=kind, band=str(band))
    for tag, text in (
        ("Description", first.descriptions[band - 1]),
        ("UnitType", first.units[band - 1]),
        ("NoDataValue", f"{first.nodata:g}"),
    ):
        if text is not None:
            ET.SubElement(found, tag).text = text
    if classes is not None:
        ET.SubElement(found, "ColorInterp").text = "Palette"
        found.append(category_names(classes[0]))
        found.append(palette(classes[0]))
        found.append(attribute_table(*classes))
    for part, path in zip(parts, paths, strict=True):
        source = ET.SubElement(found, "ComplexSource", resampling="near")
        place = path.absolute()
        name = place if folder is None else Path(os.path.relpath(place, folder.absolute()))
        where = ET.SubElement(source, "SourceFilename", relativeToVRT=str(int(folder is not None)))
        where.text = name.as_posix()
        ET.SubElement(source, "SourceBand").text = str(band)
        ET.SubElement(
            source, "SourceProperties", RasterXSize=str(part.width), RasterYSize=str(part.height),
            DataType=kind, BlockXSize=str(part.block_shapes[0][1]),
            BlockYSize=str(part.block_shapes[0][0]),
        )  # fmt: skip
        size = {"xOff": "0", "yOff": "0", "xSize": str(part.width), "ySize": str(part.height)}
        ET.SubElement(source, "SrcRect", size)
        ET.SubElement(source, "DstRect", frame.place(part))
        ET.SubElement(source, "NODATA").text = f"{first.nodata:g}"
    return found


@contextlib.contextmanager
def _opened(paths: Sequence[Path]) -> Iterator[list[DatasetReader]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(rasterio.open(path)) for path in paths]


def _north_up(transform: tuple[float, ...]) -> bool:
    a, b, _, d, e, _ = transform
    return b == 0 == d and a > 0 > e


def _crs(scene: Scene) -> CRS | None:
    crs = scene.map_grid.crs
    return None if crs is None else CRS.from_wkt(crs)
