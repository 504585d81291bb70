"""What `info` tells of a scene, and of rasters that are read as one: labels, class maps, masks."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import numpy as np

from hsi_ssl.catalog.entries import Entry
from hsi_ssl.describing.codes import by_text, count_lines, counts_of, crs_name
from hsi_ssl.describing.description import Description, counted, runs_of
from hsi_ssl.describing.looking import Looked, looked_at
from hsi_ssl.describing.planes import planes_beside
from hsi_ssl.errors import LabelError
from hsi_ssl.labels.codes import checked_codes
from hsi_ssl.labels.finding import is_our_mask
from hsi_ssl.labels.rasters import own_labels
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.scene import Floats, Grid, Scene
from hsi_ssl.scenes.wavelengths import with_facts

WINDOW = 2**20
"""Pixels of a label raster counted at a time."""
OVERLAPS = 3
"""Told one by one."""
UNNAMED = "unnamed"
"""What GDAL calls a coordinate system that it has made of its parameters."""
SIZES = ((1e9, "GB", 2), (1e6, "MB", 1), (1e3, "kB", 1))
"""Bytes, and decimals to show of so many."""


def describe_scene(scene: Scene, known: Entry | None = None) -> Description:
    """Describe an open scene, which may be labels, a class map or a mask in one band.

    `known` is the data set of the catalog that it belongs to; what that says of bands counts, as it
    does for `prepare`.
    """
    if known is not None:
        scene = with_facts(scene, known.facts(scene.bands))
    kind, counts, names, notes = "scene", None, {}, [*scene.notes]
    if scene.bands == 1:
        counts = _counts_by_windows(scene)
        kind = "scene" if counts is None else "labels"
        of_map = None if counts is None else _map_names(scene)
        if of_map is not None:
            kind, names = "class map", of_map
            if is_our_mask(scene.path):
                kind = "mask"
    else:
        try:
            plane = own_labels(scene)
            counts = None if plane is None else counts_of(plane)
        except LabelError as error:
            notes.append(str(error))
    planes = {} if scene.bands == 1 else planes_beside(scene.path, scene.rows, scene.cols)
    if len(planes) == 1 and counts is not None:
        planes = {}  # the labels that are told of anyway
    looked = Looked() if kind != "scene" else looked_at(scene)
    notes += looked.notes
    values = _values(scene, kind, counts, notes) | {
        "catalog": known.name if known else None,
        "stripes": looked.stripes,
    }
    if planes:
        values["label_sets"] = {name: by_text(found) for name, found in planes.items()}
    lines = [f"{scene.path}: {kind}, {scene.format}"]
    if known is not None:
        lines.append(f"of {known.title} ({known.name} in the catalog), by its name")
    lines += _shape_lines(scene)
    if kind == "scene":
        lines += band_lines(scene)
    lines += looked.lines
    lines += [*_nodata_lines(scene), *_unit_lines(scene), *place_lines(scene.grid, scene.origins)]
    if scene.ortho is not None:
        where = place_lines(scene.ortho.grid)
        size = f"{counted(scene.ortho.rows, 'row')} x {counted(scene.ortho.cols, 'column')}"
        lines.append(f"maps of it have {size}, by {scene.ortho.source}; {'; '.join(where)}")
    if scene.acquired is not None:
        lines.append(f"taken {scene.acquired.isoformat()}, {scene.origins.acquired}")
    if scene.layers:
        each = ", ".join(f"{name} ({layer.source})" for name, layer in scene.layers.items())
        lines.append(f"its product tells of pixels: {each}")
    if counts is not None:
        lines += count_lines(counts, scene.rows * scene.cols, names)
    lines += [
        f"labels in {name}: {found.total()} of {scene.rows * scene.cols} pixels, "
        f"{counted(len(found), 'class', 'classes')}"
        for name, found in planes.items()
    ]
    lines += [f"note: {note}" for note in notes]
    return Description(values, lines)


def _values(
    scene: Scene, kind: str, counts: Counter[int] | None, notes: list[str]
) -> dict[str, Any]:
    wavelengths = scene.wavelengths_nm
    return {
        "kind": kind,
        "format": scene.format,
        "path": str(scene.path),
        "rows": scene.rows,
        "cols": scene.cols,
        "bands": scene.bands,
        "dtype": str(scene.dtype),
        "wavelengths_nm": None
        if wavelengths is None
        else [nm if math.isfinite(nm) else None for nm in wavelengths.tolist()],
        "overlaps_nm": [list(one[:2]) for one in overlaps(wavelengths)],
        "good_bands": np.flatnonzero(scene.good).tolist(),
        "nodata": _json_number(scene.nodata),
        "units": _units(scene),
        "crs": crs_name(scene.grid.crs),
        "transform": None if scene.grid.transform is None else list(scene.grid.transform),
        "acquired": None if scene.acquired is None else scene.acquired.isoformat(),
        "ortho": _ortho(scene),
        "labels": by_text(counts),
        "layers": {name: layer.source for name, layer in scene.layers.items()},
        "sources": {
            one.name: None
            if (origin := getattr(scene.origins, one.name)) is None
            else origin.to_json()
            for one in fields(scene.origins)
        },
        "notes": notes,
    }


def _ortho(scene: Scene) -> dict[str, Any] | None:
    """The map grid of a scene in sensor geometry."""
    if scene.ortho is None:
        return None
    grid = scene.ortho.grid
    return {
        "rows": scene.ortho.rows,
        "cols": scene.ortho.cols,
        "crs": crs_name(grid.crs),
        "transform": None if grid.transform is None else list(grid.transform),
    }


def _units(scene: Scene) -> dict[str, Any] | None:
    """What the file tells of its numbers."""
    units = scene.units
    if units is None:
        return None
    scale, offset = (values.tolist() for values in (units.scale, units.offset))
    return {"scale": scale, "offset": offset, "kind": units.kind, "source": units.source or None}


def _map_names(scene: Scene) -> dict[int, str] | None:
    """Names by code if this is a class map of ours: the file itself carries them."""
    if scene.format not in {"GeoTIFF", "ENVI", "VRT"} or scene.path.suffix.lower() == ".hdr":
        return None
    from hsi_ssl.labels.legends import CLASSES_TAG, tagged_names
    from hsi_ssl.scenes.readers.gdal_opening import looked_into

    with looked_into(scene.path) as dataset:
        tag = dataset.tags().get(CLASSES_TAG)
    return None if tag is None else tagged_names(tag)


def _counts_by_windows(scene: Scene) -> Counter[int] | None:
    """Pixels by code of a raster of one band; None if its values are no codes."""
    found: Counter[int] = Counter()
    try:
        for rows, cols in scene.windows(WINDOW):
            plane = scene.read(rows, cols)[:, :, 0]
            found += counts_of(checked_codes(plane, path=scene.path, nodata=scene.nodata))
    except LabelError:
        return None
    return found


def _shape_lines(scene: Scene) -> list[str]:
    lines = [
        f"{counted(scene.rows, 'row')} x {counted(scene.cols, 'column')} x "
        f"{counted(scene.bands, 'band')}, {scene.dtype}, {_size(scene)} as numbers"
    ]
    axes = scene.origins.axes
    if axes is None:
        return lines
    return [*lines, _told(f"axes {axes.said}".strip(), replace(axes, said=""))]


def band_lines(scene: Scene) -> list[str]:
    """Wavelengths, where detectors overlap, and bad bands, each with what says so."""
    origins, nm = scene.origins, scene.wavelengths_nm
    if nm is None:
        lines = ["wavelengths not known"]
    else:
        span = f"wavelengths {np.nanmin(nm):.1f} to {np.nanmax(nm):.1f} nm"
        lines = [_told(span, origins.wavelengths)]
    twice = overlaps(nm)
    lines += [
        f"bands to {before} and from {after} on overlap, from {low:.1f} to {high:.1f} nm"
        for low, high, before, after in twice[:OVERLAPS]
    ]
    if len(twice) > OVERLAPS:
        lines.append(f"and {len(twice) - OVERLAPS} more overlaps: wavelengths are in no order")
    bad = np.flatnonzero(~scene.good)
    if not len(bad):
        return lines
    lacking = np.zeros(scene.bands, bool) if nm is None else np.isnan(nm)
    listed = np.flatnonzero(~scene.good & ~lacking)
    good = f"{scene.bands - len(bad)} of {counted(scene.bands, 'band')} good; bad, counted from 1: "
    reasons = []
    if len(listed):
        reasons.append(_told(runs_of(listed), origins.bad_bands))
    if lacking.any():
        reasons.append(f"{runs_of(np.flatnonzero(lacking))}, without a wavelength")
    return [*lines, good + "; ".join(reasons)]


def overlaps(wavelengths_nm: Floats | None) -> list[tuple[float, float, int, int]]:
    """Where two runs of bands cover the same wavelengths: from, to, and bands, counted from 1.

    The bands are the last of one run and the first of the next: cubes of two detectors.
    """
    if wavelengths_nm is None:
        return []
    known = np.flatnonzero(np.isfinite(wavelengths_nm))
    nm = wavelengths_nm[known]
    steps = np.diff(nm)
    back = np.flatnonzero(steps > 0 if (steps < 0).sum() > len(steps) / 2 else steps < 0)
    found = []
    edges = [0, *(back + 1).tolist(), len(nm)]
    for first, edge, last in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        one, other = nm[first:edge], nm[edge:last]
        low, high = max(one.min(), other.min()), min(one.max(), other.max())
        if low < high:
            found.append((float(low), float(high), int(known[edge - 1]) + 1, int(known[edge]) + 1))
    return found


def _nodata_lines(scene: Scene) -> list[str]:
    lines = []
    if scene.nodata is None:
        lines.append("no nodata value")
    else:
        origins = scene.origins
        lines.append(_told(f"nodata {_json_number(scene.nodata)}", origins.nodata or origins.mask))
    if scene.origins.mask is not None:
        lines.append(f"pixels are hidden by {scene.origins.mask.where}")
    return lines


def _unit_lines(scene: Scene) -> list[str]:
    if scene.units is None:
        return []
    if scene.units.said:
        return [scene.units.in_words]
    return [f"{scene.units.kind}, in numbers without a scale"]


def place_lines(grid: Grid, origins: Origins = Origins()) -> list[str]:  # noqa: B008
    """Coordinate system and pixels, each with what says so."""
    lines = []
    if grid.crs is not None:
        title = re.search(r'"([^"]+)"', grid.crs)
        code = crs_name(grid.crs)
        known = code if code and code.startswith("EPSG:") else None
        if title is None or title[1] == UNNAMED:
            words = f"coordinates in {known or 'an unnamed system'}"
        else:
            words = f"coordinates in {title[1]}" + (f" ({known})" if known else "")
        lines.append(_told(words, origins.crs))
    if grid.transform is not None:
        a, b, c, d, e, f = grid.transform
        size = f"{math.hypot(a, d):g} x {math.hypot(b, e):g}"
        turned = ", rotated" if b or d else ""
        words = f"pixels of {size}{turned}, upper left corner at {c:.10g}, {f:.10g}"
        lines.append(_told(words, origins.transform))
    if grid.geolocation is not None:
        lines.append(_told("in sensor geometry, a place for each pixel", origins.transform))
    if grid.control_points:
        lines.append(counted(len(grid.control_points), "ground control point"))
    if grid.rpcs:
        lines.append("rational polynomial coefficients")
    return lines or ["no coordinates"]


def _told(words: str, origin: Origin | None) -> str:
    """A fact and what says so."""
    return words if origin is None else f"{words}, {origin}"


def _json_number(value: float | None) -> float | int | str | None:
    """A number that JSON can carry: whole ones as such, NaN and infinity as words."""
    if value is None:
        return None
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _size(scene: Scene) -> str:
    size = scene.rows * scene.cols * scene.bands * scene.dtype.itemsize
    factor, unit, digits = next((one for one in SIZES if size >= one[0]), SIZES[-1])
    return f"{size / factor:.{digits}f} {unit}"
