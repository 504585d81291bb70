"""Writing a class map by windows, with all that makes it readable elsewhere.

A map `m.tif` is a cloud-optimised GeoTIFF; beside it lie `m.tif.aux.xml` (category names and
attribute table), `m.qml` (QGIS style), `m.csv` (legend with pixel counts), `m.png` (quick-look)
and, where asked for, one GeoTIFF a layer: `m_confidence.tif`, `m_probabilities.tif` and so on.
Of a scene in sensor geometry, `m_placed.vrt` shows the map where it lies.
A map `m.img` is an ENVI classification, with the same beside it and a header for each raster.
A map may tell rejected pixels, by a code of their own above the user's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.windows import Window

import hsi_ssl
from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.files import refuse_taken, written_beside
from hsi_ssl.hidden import DRAFT
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import (
    UNLABELLED_CODE,
    LabelClass,
    LabelSet,
    indices_to_codes,
    red_green_blue,
)
from hsi_ssl.labels.legends import CLASSES_TAG
from hsi_ssl.maps.envi import ENVI_SUFFIX, as_envi, refuse_sheared
from hsi_ssl.maps.legend import UNCLASSIFIED, aux_xml, legend_csv, names_tag, qml
from hsi_ssl.maps.map_grid import onto_map_grid
from hsi_ssl.maps.placed import ENDING as PLACED_ENDING
from hsi_ssl.maps.placed import to_be_placed, write_placed
from hsi_ssl.maps.rasters import blocks, draft, optimised, raster_errors, read_back, unlocated
from hsi_ssl.reports.figures import map_quicklook
from hsi_ssl.scenes.ground import ground_of
from hsi_ssl.scenes.ortho import Ortho
from hsi_ssl.scenes.readers.gdal_opening import gdal_settings
from hsi_ssl.scenes.scene import Grid

Layer = Literal["confidence", "entropy", "novelty", "p_value", "probabilities"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
DESCRIPTIONS: dict[Layer, str] = {
    "confidence": "probability of the most probable class",
    "entropy": "entropy of the class probabilities in nats",
    "novelty": "novelty in nats of a pixel by itself: high where nothing learnt explains it",
    "p_value": "share of validation pixels that are, with what surrounds them, as novel: "
    "low where no class explains a pixel",
}
UNITS: dict[Layer, str] = {
    "confidence": "1",
    "entropy": "nat",
    "novelty": "nat",
    "p_value": "1",
    "probabilities": "1",
}
GEOTIFF_SUFFIXES = {".tif", ".tiff"}
MAP_ENDING = "_classes.tif"
"""What is put to a scene's name to name its map."""
QUICKLOOK_SIDE = 1500
"""Longest side of the quick-look in map pixels; larger maps are thinned out."""
NO_GRID = Grid()
REJECT, REJECT_COLOUR = "reject", "#000000"
"""Name and colour of the pixels that no class explains."""


def with_reject(label_set: LabelSet) -> LabelSet:
    """The label set and, last, the class of rejected pixels: its code is the next above all."""
    reject = LabelClass(int(label_set.codes.max()) + 1, REJECT, REJECT_COLOUR)
    return LabelSet(label_set.name, (*label_set.classes, reject))


class MapWriter:
    """Takes windows of a map in any order. Got from `class_map`."""

    def __init__(
        self,
        path: Path,
        classes: rasterio.io.DatasetWriter,
        layers: Mapping[Layer, rasterio.io.DatasetWriter],
        label_set: LabelSet,
    ) -> None:
        self._path = path
        self._classes = classes
        self._layers = layers
        self._label_set = label_set
        self._counts = np.zeros(len(label_set), np.int64)
        self.masked: int | None = None
        """Pixels that a mask left out, where there was one: to be set by who knows."""
        self.finish: Callable[[Path], None] | None = None
        """Told where the finished map lies before it goes to its place: makes what is `also`, and
        takes away what no longer holds once the map is another one."""
        self.cells: dict[int, int] = {}
        """Of the finished map, cells by code: `counts` where it has the scene's own pixels."""

    @property
    def counts(self) -> dict[int, int]:
        """Pixels by code, 0 (not classified, or not written so far) first."""
        rest = self._classes.height * self._classes.width - int(self._counts.sum())
        codes = self._label_set.codes.tolist()
        return {UNLABELLED_CODE: rest} | dict(zip(codes, self._counts.tolist(), strict=True))

    def write(
        self,
        rows: slice,
        cols: slice,
        indices: npt.NDArray[Any],
        layers: Mapping[Layer, npt.NDArray[np.float32]] | None = None,
    ) -> None:
        """Write one window.

        `indices (r, c)` are class indices, -1 where not classified. `layers` holds one `(r, c)`
        array for each layer of the map, `(r, c, K)` for the probabilities, NaN where not
        classified.

        Raises
        ------
        OutputError
            The disk is full or fails.
        """
        self._counts += np.bincount(indices.ravel() + 1, minlength=len(self._counts) + 1)[1:]
        window = Window.from_slices(rows, cols)
        codes = indices_to_codes(indices, self._label_set).astype(self._classes.dtypes[0])
        with raster_errors(self._path):
            self._classes.write(codes, 1, window=window)
            for name, values in (layers or {}).items():
                planes = np.moveaxis(values.reshape(*indices.shape, -1), -1, 0)
                self._layers[name].write(planes, window=window)


def outputs(path: Path, layers: Sequence[Layer] = (), grid: Grid = NO_GRID) -> dict[str, Path]:
    """All files that a map at `path` comes with, the map itself as "map".

    One in sensor geometry, as the scene's map `grid` tells, has one more, which places it.

    Raises
    ------
    OutputError
        `path` is named neither as a GeoTIFF nor as ENVI data.
    """
    if not named_as_map(path):
        raise OutputError(
            f"a class map is a GeoTIFF or ENVI data: name it {path.name}.tif or "
            f"{path.name}{ENVI_SUFFIX} rather than {path}"
        )
    rasters: dict[str, Path] = {
        "map": path,
        **{layer: path.with_name(f"{path.stem}_{layer}{path.suffix}") for layer in layers},
    }
    found = {
        **rasters,
        "names": _aux(path),
        "style": path.with_suffix(".qml"),
        "legend": path.with_suffix(".csv"),
        "quicklook": path.with_suffix(".png"),
    }
    if to_be_placed(grid) is not None:
        found["placed"] = path.with_name(path.stem + PLACED_ENDING)
    if is_envi(path):
        found |= {f"{name} header": raster.with_suffix(".hdr") for name, raster in rasters.items()}
        found |= {f"{layer} about": _aux(rasters[layer]) for layer in layers}
    return found


def named_as_map(path: Path) -> bool:
    """Whether a file of that name would be a map, rather than a folder for maps."""
    return path.suffix.lower() in GEOTIFF_SUFFIXES or is_envi(path)


def is_envi(path: Path) -> bool:
    """Whether a map of that name is an ENVI classification."""
    return path.suffix.lower() == ENVI_SUFFIX


def _aux(raster: Path) -> Path:
    return raster.with_name(raster.name + ".aux.xml")


def refuse_inputs(files: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise `OutputError` if one of the files to be written is what the map is made of."""
    taken = {path.resolve() for path in inputs}
    for path in files:
        if path.resolve() in taken:
            raise OutputError(f"the map would replace {path}, which it is made of")


@contextlib.contextmanager
def class_map(
    path: Path,
    *,
    rows: int,
    cols: int,
    grid: Grid,
    ortho: Ortho | None = None,
    label_set: LabelSet,
    layers: Sequence[Layer] = (),
    reject: bool = False,
    tags: Mapping[str, str] | None = None,
    rest: str = UNCLASSIFIED,
    also: Iterable[Path] = (),
    without: Iterable[Path] = (),
    overwrite: bool = False,
) -> Iterator[MapWriter]:
    """Make the class map at `path`, whole or not at all; the body writes its windows.

    The map is uint8 (uint16 when a code is above 255), 0 is nodata and called `rest`, with the
    scene's grid, the label set's colours and names, and `tags`; layers are float32 with NaN as
    nodata. What the body does not write is nodata. With `reject`, index K stands for rejected
    pixels. The name's ending tells the format, GeoTIFF or ENVI. Memory does not grow with the map.
    With a map that is replaced go layers that the new one lacks, and what it is to be `without`.
    What is `also` made of it (`MapWriter.finish`) comes to its place with it.

    The body writes pixels of the scene, `rows` x `cols`. Where it has an `ortho`, the map has the
    cells of that map grid, and so do the counts beside it.

    Raises
    ------
    OutputError
        A file of the map exists and `overwrite` is false; the folder cannot be written to; the
        disk is full; the grid cannot be told by an ENVI header.
    LabelError
        A class code is not between 1 and 65,535.
    """
    predicted, label_set = label_set, with_reject(label_set) if reject else label_set
    dtype = _code_type(label_set)
    map_grid = grid if ortho is None else ortho.grid
    refuse_taken(outputs(path, layers, map_grid).values(), overwrite)
    if is_envi(path):
        refuse_sheared(map_grid, path)
    places = set(outputs(path, layers, map_grid).values())
    former = {*outputs(path, LAYERS).values(), path.with_name(path.stem + PLACED_ENDING)}
    former = former - places if overwrite else set()
    with (
        written_beside(
            path,
            also={*places, *also} - {path},
            without={*former, *without},
            overwrite=overwrite,
        ) as beside,
        gdal_settings(),
    ):
        finished = outputs(beside, layers, map_grid)
        rasters = {name: finished[name] for name in ("map", *layers)}
        drafts = {name: path.with_name(path.name + DRAFT) for name, path in rasters.items()}
        software = f"hsi-ssl {hsi_ssl.__version__}"
        about = {"TIFFTAG_SOFTWARE": software, CLASSES_TAG: names_tag(label_set), **(tags or {})}
        shape = {"height": rows, "width": cols}
        with contextlib.ExitStack() as stack:
            with raster_errors(path):
                classes = stack.enter_context(
                    draft(drafts["map"], grid, about, **shape, dtype=dtype, nodata=0, count=1)
                )
                _with_colours(classes, label_set)
                opened = {
                    layer: stack.enter_context(
                        _layer_draft(drafts[layer], layer, grid, about, predicted, shape)
                    )
                    for layer in layers
                }
            writer = MapWriter(path, classes, opened, label_set)
            yield writer
            # Closing writes what is still in the cache.
            with raster_errors(path):
                stack.close()
        writer.cells = writer.counts
        masked = writer.masked
        if ortho is not None:
            masked = None  # of the scene's pixels, not of the map's
            with raster_errors(path):
                _read_back(drafts, layers, writer.counts)
                for drafted in drafts.values():
                    onto_map_grid(drafted, ortho)
                found = pixels_by_code(drafts["map"])
            writer.cells = {code: int(found[code]) for code in writer.counts}
        names = aux_xml(label_set, writer.cells, rest)
        with raster_errors(path):
            if is_envi(path):
                _aux(drafts["map"]).write_text(names, encoding="utf-8")
                as_envi(drafts["map"], finished["map"], label_set)
                for layer in layers:
                    as_envi(drafts[layer], finished[layer])
            else:
                _as_geotiffs(drafts, finished, layers)
                finished["names"].write_text(names, encoding="utf-8")
            _read_back(finished, layers, writer.cells)
            quicklook(finished["quicklook"], finished["map"], label_set, path.stem, rest, masked)
        if "placed" in finished:
            write_placed(
                finished["placed"], finished["map"], map_grid, label_set, rest, named=path.name
            )
        finished["style"].write_text(qml(label_set), encoding="utf-8")
        legend = legend_csv(label_set, writer.cells, rest, masked)
        finished["legend"].write_text(legend, encoding="utf-8")
        if writer.finish is not None:
            writer.finish(beside)


def _with_colours(classes: rasterio.io.DatasetWriter, label_set: LabelSet) -> None:
    """Name the map's band and give it the classes' palette."""
    classes.set_band_description(1, "class")
    classes.write_colormap(1, {c.code: (*red_green_blue(c.colour), 255) for c in label_set.classes})


def _as_geotiffs(
    drafts: Mapping[str, Path], finished: Mapping[str, Path], layers: Sequence[Layer]
) -> None:
    """Make cloud-optimised GeoTIFFs of a map's drafts."""
    optimised(drafts["map"], finished["map"], overview_resampling="mode")
    for layer in layers:
        # Noise in the last digits hardly packs at any level: take the fastest. A tile
        # holds all classes, so small ones keep memory low.
        optimised(
            drafts[layer],
            finished[layer],
            overview_resampling="average",
            predictor="YES",
            level="1",
            tile=256,
        )


def _code_type(label_set: LabelSet) -> str:
    wrong = [c for c in label_set.codes.tolist() if not 0 < c <= LARGEST_CODE]
    if wrong:
        raise LabelError(
            f"class codes of a map lie between 1 and {LARGEST_CODE}, found {wrong[0]}: "
            "give the class another code in the label raster"
        )
    return "uint8" if label_set.codes.max() <= np.iinfo(np.uint8).max else "uint16"


def _layer_draft(
    path: Path,
    layer: Layer,
    grid: Grid,
    tags: Mapping[str, str],
    label_set: LabelSet,
    shape: Mapping[str, int],
) -> rasterio.io.DatasetWriter:
    per_class = layer == "probabilities"
    count = len(label_set) if per_class else 1
    raster = draft(path, grid, tags, **shape, dtype="float32", nodata=np.nan, count=count)
    for i in range(count):
        if per_class:
            raster.set_band_description(i + 1, label_set.names[i])
            raster.update_tags(i + 1, CODE=str(label_set.codes[i]), CLASS=label_set.names[i])
        else:
            raster.set_band_description(i + 1, DESCRIPTIONS[layer])
    raster.units = (UNITS[layer],) * count
    return raster


def pixels_by_code(path: Path) -> npt.NDArray[np.int64]:
    """How many pixels of a map have each code, `(65536,)`."""
    found = np.zeros(LARGEST_CODE + 1, np.int64)
    for block in blocks(path):
        found += np.bincount(block.ravel(), minlength=len(found))
    return found


def _read_back(
    paths: Mapping[str, Path], layers: Sequence[Layer], counts: Mapping[int, int]
) -> None:
    """Read finished rasters whole: GDAL does not say when the disk fills up while it closes."""
    found = pixels_by_code(paths["map"])
    if any(found[code] != n for code, n in counts.items()):
        raise OutputError(
            f"cannot write {paths['map'].name}: it does not read back as it was written"
        )
    for layer in layers:
        read_back(paths[layer])


def quicklook(
    picture: Path,
    path: Path,
    label_set: LabelSet,
    title: str,
    rest: str = UNCLASSIFIED,
    masked: int | None = None,
) -> None:
    """Draw the map at `path`, at most `QUICKLOOK_SIDE` pixels a side, with its legend.

    `rest` and `masked` as in `legend_csv`.
    """
    with unlocated(), rasterio.open(path) as raster:
        step = max(1, -(-max(raster.shape) // QUICKLOOK_SIDE))
        shape = tuple(-(-side // step) for side in raster.shape)
        plane = np.asarray(raster.read(1, out_shape=shape), np.int64)
        share = (masked or 0) / (raster.width * raster.height)
        ground = None
        if raster.crs is not None and not raster.transform.is_identity:
            a, b, c, d, e, f = raster.transform[:6]
            down, right = (n / m for n, m in zip(raster.shape, plane.shape, strict=True))
            # Of the picture's cells, which hold several pixels of a large map.
            grid = Grid(raster.crs.to_wkt(), (a * right, b * down, c, d * right, e * down, f))
            ground = ground_of(grid, *plane.shape)
    map_quicklook(picture, plane, label_set, title, rest=rest, masked=share, ground=ground)
