"""GeoTIFF and every other raster that GDAL opens, ENVI's included (see envi.py)."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.enums import Interleaving
from rasterio.io import DatasetReader
from rasterio.windows import Window

from hsi_ssl.errors import LabelError, SceneError
from hsi_ssl.scenes.axes import Asked, told_by_itself
from hsi_ssl.scenes.described import described_facts
from hsi_ssl.scenes.format import Format
from hsi_ssl.scenes.measured import Measured, decoding
from hsi_ssl.scenes.origins import Origins
from hsi_ssl.scenes.readers.boxes import THINNED_BUDGET, BoxReader
from hsi_ssl.scenes.readers.gdal_errors import FAILURES, one_sentence, reason
from hsi_ssl.scenes.readers.gdal_grid import grid_of
from hsi_ssl.scenes.readers.gdal_masks import Layout, PixelMasks, layout_of, picture_with_alpha
from hsi_ssl.scenes.readers.gdal_opening import gdal_settings, handle_of, opened
from hsi_ssl.scenes.readers.gdal_origins import Sources
from hsi_ssl.scenes.readers.isis import isis_facts
from hsi_ssl.scenes.readers.tiff_pages import pages_of, stack_of, stacked
from hsi_ssl.scenes.scene import Array, CubeReader, Scene
from hsi_ssl.scenes.times import Taken, time_of
from hsi_ssl.scenes.units import Units, band_units, envi_units
from hsi_ssl.scenes.wavelengths import (
    BandFacts,
    companion_facts,
    envi_facts,
    finest,
    imagery_facts,
    tagged_facts,
    with_facts,
)

ENVI = "ENVI"
RAW = {
    "BT", "EHdr", "ENVI", "ERS", "FAST", "GenBin", "ISCE", "ISIS2", "ISIS3", "KRO", "LAN", "MFF",
    "NITF", "PAux", "PDS", "PDS4", "PNM", "ROI_PAC", "RRASTER", "VICAR",
}  # fmt: skip
"""Drivers of GDAL for raw numbers: thinning out, they take the first pixel of each cell, not the
middle one as the others and as masks do."""
FACTOR = "reflectance_scale_factor"
"""The field of an ENVI header, as a tag."""
OTHER_FORMATS = (
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8",
    b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51\xff", b"<VRTDataset", b"PCIDSK  ", b"NITF0",
    b"\x89HDF\r\n", b"\x0e\x03\x13\x01", b"CDF\x01", b"CDF\x02", b"CDF\x05", b"EHFA_HEADER_TAG",
    b"SIMPLE  =", b"<?xml",
)  # fmt: skip
"""How files of other formats begin, which may have an ENVI header beside them all the same."""


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Open a raster; `variable` names one of several data sets in it (HDF4).

    Raises
    ------
    SceneError
        GDAL cannot read it; it holds several data sets and none is asked for; complex numbers.
    SceneNotFoundError
        It holds no `variable`.
    """
    return open_turned(path, variable, Asked())


def open_turned(path: Path, variable: str | None, asked: Asked) -> Scene:
    """As `open_cube`, with what is known of the axes of a stack of TIFF pages.

    Raises
    ------
    SceneError
        As `open_cube`; which axis of a stack is of bands remains open.
    SceneNotFoundError
        As `open_cube`.
    """
    dataset = opened(path, variable)
    pages = [] if variable is not None else pages_of(dataset)
    if pages and stacked(dataset):
        return stack_of(dataset, path, asked)
    notes = []
    if pages:
        notes.append(f"only the first of the {len(pages)} pages of {path.name} is read")
    if asked.order is not None:
        notes.append(told_by_itself(path.name))
    return scene_of(dataset, path, notes=tuple(notes))


def scene_of(
    dataset: DatasetReader,
    path: Path,
    *,
    on_close: Callable[[], None] | None = None,
    unmasked: Callable[[CubeReader], CubeReader] = lambda reader: reader,
    header: Mapping[str, str] | None = None,
    notes: tuple[str, ...] = (),
) -> Scene:
    """The scene of an open raster; `on_close` clears up after it.

    `unmasked` may put another reader in place of GDAL's where no mask says what is data. `header`
    is the ENVI header, where the raster has one of its own and GDAL may not know all of it.

    Raises
    ------
    SceneError
        Its values are complex numbers; what it says of them is broken.
    """
    try:
        with one_sentence(path), gdal_settings():
            return _scene_of(dataset, path, on_close, unmasked, header, notes)
    except BaseException:
        dataset.close()
        raise


def _scene_of(
    dataset: DatasetReader,
    path: Path,
    on_close: Callable[[], None] | None,
    unmasked: Callable[[CubeReader], CubeReader],
    header: Mapping[str, str] | None,
    notes: tuple[str, ...],
) -> Scene:
    dtype = np.result_type(*dataset.dtypes)
    if dtype.kind not in "iuf":
        raise SceneError(f"{path} holds values of type {dtype}; expected real numbers")
    sources = Sources(dataset, header)
    layout = layout_of(dataset, path.name, lambda: _has_wavelengths(dataset, path, header, sources))
    measured = _measured(dataset, layout, header or {}, sources)
    how = decoding(dtype, measured, marked=layout.each_its_own)
    reader = GdalReader(dataset, path, how.dtype, on_close, layout=layout, nothing=how.nodata)
    grid, taken = grid_of(dataset), _taken(dataset, header)
    scene = Scene(
        path=path,
        format="GeoTIFF" if dataset.driver == "GTiff" else dataset.driver,
        rows=dataset.height,
        cols=dataset.width,
        bands=len(layout.spectral),
        dtype=how.dtype,
        reader=how.through(reader if layout.masked else unmasked(reader)),
        nodata=how.nodata,
        units=_units(dataset, layout.spectral, header, sources),
        grid=grid,
        acquired=taken.at,
        block=reader.piece[:2],
        notes=(*notes, *layout.notes),
        origins=Origins(
            axes=sources.axes,
            nodata=how.origin,
            mask=sources.mask(layout),
            crs=None if grid.crs is None else sources.crs,
            transform=sources.transform if grid.placed else None,
            acquired=taken.origin,
        ),
    )
    return with_facts(scene, _band_facts(dataset, path, layout.spectral, header, sources))


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a raster of one band, and its nodata value.

    Raises
    ------
    LabelError
        It has more than one band.
    SceneError, SceneNotFoundError
        As for cubes.
    """
    with open_cube(path, variable) as scene:
        return one_band(scene), scene.nodata


def one_band(scene: Scene) -> Array:
    """Values `(rows, cols)` of a scene that is a label raster.

    Raises
    ------
    LabelError
        It has more than one band.
    """
    if scene.bands != 1:
        raise LabelError(f"{scene.path} has {scene.bands} bands; expected labels in one band")
    return scene.read()[:, :, 0]


def colours(scene: Scene) -> Array:
    """All values of a scene; of a picture in three colours also its transparency, as the fourth."""
    found = scene.reader.picture() if isinstance(scene.reader, GdalReader) else None
    return scene.read() if found is None else found


class GdalReader(BoxReader):
    """A raster read through GDAL, one thread at a time.

    Its bands are the `spectral` ones of `layout`. Pixels that its masks hide are `nothing` in all
    of them: the nodata value; where there is none NaN, or 0, since no spectrum is 0 in all bands.
    """

    def __init__(
        self,
        dataset: DatasetReader,
        path: Path,
        dtype: np.dtype[np.generic],
        on_close: Callable[[], None] | None = None,
        *,
        layout: Layout,
        nothing: float | None = None,
        whole: GdalReader | None = None,
    ) -> None:
        shape = (dataset.height, dataset.width, len(layout.spectral))
        high, wide = dataset.block_shapes[0]
        # A block holds all bands at its place, or the next block of the same line does.
        together = dataset.interleaving in {Interleaving.pixel, Interleaving.line}
        super().__init__(shape, dtype, (high, wide, shape[2] if together else 1))
        self.lone_bands = dataset.interleaving is not Interleaving.pixel
        self._dataset = dataset
        self._path = path
        self._on_close = on_close
        self._layout = layout
        if nothing is None:
            nothing = np.nan if dtype.kind == "f" else 0
        self._masks = PixelMasks(dataset, layout, nothing) if layout.masked else None
        self._lock = threading.Lock()
        if whole is not None:  # an overview of that, whose masks it asks
            self._masks, self._lock = whole._masks, whole._lock
        self._overviews: dict[int, GdalReader] = {}

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """Raw values where rows and columns cross, of the overview that lies so wide or closer."""
        step = min((int(np.diff(i).min()) for i in (rows, cols) if len(i) > 1), default=1)
        factors = self._dataset.overviews(1)
        level = max((i for i, f in enumerate(factors) if f <= step), default=None)
        if level is None:
            return self._thinned_here(rows, cols, bands)
        with self._lock:
            if level not in self._overviews:
                reduced = handle_of(
                    self._dataset.name, self._path, self._dataset.driver, overview_level=level
                )
                self._overviews[level] = GdalReader(
                    reduced, self._path, self.dtype, layout=self._layout, whole=self
                )
        overview = self._overviews[level]
        (high, wide), (tall, broad) = overview.shape[:2], self.shape[:2]
        return overview._thinned_here(rows * high // tall, cols * wide // broad, bands)

    def _thinned_here(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """As `thinned`, without overviews; GDAL itself thins out what lies evenly.

        Each call costs milliseconds. A last row or column that lies nearer, at the edge, has its
        own.
        """
        down, across, size = self._pieces(rows, cols, bands)
        down_parts, across_parts = _evenly(rows, self.shape[0]), _evenly(cols, self.shape[1])
        evenly = bool(down_parts and across_parts) and self._dataset.driver not in RAW
        if down * across * size > THINNED_BUDGET or not evenly:
            return super().thinned(rows, cols, bands)
        found = np.empty((len(rows), len(cols), len(bands)), self.dtype)
        for (r, high), (c, wide) in itertools.product(down_parts, across_parts):
            window = Window(
                cols[c][0] - wide // 2,
                rows[r][0] - high // 2,
                len(cols[c]) * wide,
                len(rows[r]) * high,
            )
            self._read(found[r, c], list(bands), window)
        return found

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        found = np.empty(tuple(s.stop - s.start for s in (rows, cols, bands)), self.dtype)
        if not found.size:
            return found
        window = Window.from_slices(rows, cols)
        self._read(found, list(range(bands.start, bands.stop)), window)
        return found

    def picture(self) -> Array | None:
        """A coloured picture with what hides its pixels; see `picture_with_alpha`."""
        try:
            with self._lock, gdal_settings():
                return picture_with_alpha(self._dataset, self._layout)
        except FAILURES as error:
            raise SceneError(f"{self._path} is cut short or broken ({reason(error)})") from error

    def _read(self, found: Array, bands: list[int], window: Window) -> None:
        """Fill `found (rows, cols, bands)`, thinned out if it is smaller than the window.

        `bands` counts the cube's from 0.
        """
        indexes = [self._layout.spectral[band] for band in bands]
        try:
            with self._lock, gdal_settings():
                # GDAL writes into our order itself.
                self._dataset.read(indexes=indexes, window=window, out=found.transpose(2, 0, 1))
                if self._masks is not None:
                    self._masks.cover(found, bands, self._dataset, window)
        except FAILURES as error:
            last = window.row_off + window.height - 1
            raise SceneError(
                f"{self._path} is cut short or broken: rows {window.row_off} to {last} cannot "
                f"be read ({reason(error)}); get the file again"
            ) from error

    def close(self) -> None:
        """Release the file."""
        for overview in self._overviews.values():
            overview.close()
        self._dataset.close()
        if self._on_close is not None:
            self._on_close()


def _evenly(places: npt.NDArray[np.int64], size: int) -> list[tuple[slice, int]]:
    """Parts of ascending places that are the middles of cells of one width, with that width.

    The first and the last may have to be parts of their own. Nothing where that is not all.
    """
    step = int(places[1] - places[0]) if len(places) > 1 else 1
    first, last = 0, len(places)
    parts = []
    if places[0] < step // 2:
        first = 1
        parts.append((slice(0, 1), 1))
    ends = places[-1] - step // 2 + step
    if last - first > 1 and (ends > size or places[-1] - places[-2] != step):
        last -= 1
        parts.append((slice(last, last + 1), 1))
    even = places[first:last]
    if not len(even) or (np.diff(even) != step).any() or even[-1] - step // 2 + step > size:
        return []
    return [*parts, (slice(first, last), step)]


def _measured(
    dataset: DatasetReader, layout: Layout, header: Mapping[str, str], sources: Sources
) -> list[Measured]:
    """What values of each band are measurements.

    Of ENVI's integers of 64 bits the header tells: in its own .aux.xml GDAL takes 9.999E+03 for 9.
    """
    declared = dict(zip(dataset.indexes, dataset.nodatavals, strict=True))
    fills, said_by = [declared[band] for band in layout.spectral], sources.nodata
    if np.dtype(dataset.dtypes[0]) in (np.int64, np.uint64):
        with contextlib.suppress(ValueError):
            fills = [float(header.get("data ignore value", ""))] * len(fills)
            said_by = "the field `data ignore value` of the header"
    none = Measured()
    return [none if f is None else Measured((f,), said_by=(said_by,)) for f in fills]


def _has_wavelengths(
    dataset: DatasetReader, path: Path, header: Mapping[str, str] | None, sources: Sources
) -> bool:
    """Whether all bands of a raster have a wavelength, by itself or by a header beside it."""
    facts = _band_facts(dataset, path, dataset.indexes, header, sources)
    facts = facts.else_from(companion_facts(path, dataset.count))
    return facts.wavelengths_nm is not None and bool(np.isfinite(facts.wavelengths_nm).all())


def _band_facts(
    dataset: DatasetReader,
    path: Path,
    bands: Sequence[int],
    header: Mapping[str, str] | None,
    sources: Sources,
) -> BandFacts:
    """What a raster says of its bands; `header` as in `scene_of`."""
    told = dataset.tags(ns="ENVI") if header is None else header
    found_in = "its domain ENVI" if header is None else "the header"
    facts = envi_facts(told, len(bands), where=path.name, found_in=found_in)
    every = [dataset.tags(band) for band in bands]
    tags = tagged_facts(every, where=path.name, found_in=sources.tag_beside)
    if dataset.driver != ENVI:
        imagery = imagery_facts(
            [dataset.tags(band, ns="IMAGERY") for band in bands],
            found_in=sources.tag_beside("CENTRAL_WAVELENGTH_UM"),
        )
        described = described_facts(
            [dataset.descriptions[band - 1] for band in bands], dataset.tags(), where=path.name
        )
        found = finest(imagery, tags, facts, isis_facts(dataset, where=path.name))
        return found if found.wavelengths_nm is not None else found.else_from(described)
    # There GDAL makes the tags of the header itself, unless it wrote them beside.
    if "wavelength" in told:
        return facts
    if tags.wavelengths_nm is None:
        names = [dataset.descriptions[band - 1] for band in bands]
        said = "the band names of the header"
        return facts.else_from(described_facts(names, {}, where=path.name, found_in=said))
    note = (
        f"the header of {path.name} tells no wavelengths: those that GDAL wrote beside it "
        "(.aux.xml) are taken; a list of bad bands that there may have been is lost"
    )
    return facts.else_from(replace(tags, notes=(*tags.notes, note)))


def _units(
    dataset: DatasetReader,
    bands: Sequence[int],
    own: Mapping[str, str] | None,
    sources: Sources,
) -> Units | None:
    """What the bands say of their numbers, else an ENVI header, whose fields copies keep too."""
    header = envi_units(dataset.tags(ns="ENVI") if own is None else own, len(bands))
    if dataset.driver == ENVI:  # GDAL knows the gains alone
        return header
    tags = [dataset.tags(), dataset.tags(1)]
    texts = [some.get(key) for some in tags for key in ("long_name", "standard_name", "units")]
    each = (dataset.scales, dataset.offsets, dataset.units)
    scales, offsets, units = ([values[band - 1] for band in bands] for values in each)
    found = band_units(scales, offsets, units, texts, source=sources.scale)
    if header is None or not header.said:  # copies by rioxarray keep the header's field as a tag
        header = envi_units({k: v for k, v in tags[0].items() if k.lower() == FACTOR}, len(bands))
    return found if found is not None and found.said else header or found


def _taken(dataset: DatasetReader, header: Mapping[str, str] | None) -> Taken:
    """When a scene was taken, by GDAL's domain IMAGERY or an ENVI header, as copies keep it."""
    told = dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME")
    found = time_of(told, "`ACQUISITIONDATETIME` in GDAL's domain IMAGERY")
    if found.at is not None:
        return found
    if header is not None:
        return time_of(header.get("acquisition time"), "the field `acquisition time` of the header")
    told = dataset.tags(ns="ENVI").get("acquisition_time")
    return time_of(told, "the field `acquisition time` of its domain ENVI")


def begins_otherwise(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a format that a header only adds facts to."""
    return start.lstrip().startswith(OTHER_FORMATS) or start.startswith(OTHER_FORMATS)


FORMAT = Format(
    "GDAL",
    lambda head: begins_otherwise(head.start),  # what no other format takes is GDAL's, too
    open_cube,
    read_plane,
    open_turned,
    by_windows=True,
)
