"""What `info` tells of a scene, and of rasters that are read as one: labels, class maps, masks."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np

from hsi_ssl.describing.codes import by_text, count_lines, counts_of, crs_name
from hsi_ssl.describing.description import Description, counted
from hsi_ssl.describing.planes import planes_beside
from hsi_ssl.errors import LabelError
from hsi_ssl.labels.codes import checked_codes
from hsi_ssl.labels.finding import is_our_mask
from hsi_ssl.labels.rasters import own_labels
from hsi_ssl.scenes.scene import Scene

WINDOW = 2**20
"""Pixels of a label raster counted at a time."""


def describe_scene(scene: Scene) -> Description:
    """Describe an open scene, which may be labels, a class map or a mask in one band."""
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
    wavelengths = scene.wavelengths_nm
    values = {
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
        "good_bands": np.flatnonzero(scene.good).tolist(),
        "nodata": _json_number(scene.nodata),
        "units": _units(scene),
        "crs": crs_name(scene.grid.crs),
        "transform": None if scene.grid.transform is None else list(scene.grid.transform),
        "labels": by_text(counts),
        "notes": notes,
    }
    if planes:
        values["label_sets"] = {name: by_text(found) for name, found in planes.items()}
    lines = [
        f"{scene.path}: {kind}, {scene.format}",
        f"{counted(scene.rows, 'row')} x {counted(scene.cols, 'column')} x "
        f"{counted(scene.bands, 'band')}, {scene.dtype}, {_size(scene)} as numbers",
    ]
    if kind == "scene":
        lines += _band_lines(scene)
    lines.append("no nodata value" if scene.nodata is None else f"nodata {values['nodata']}")
    if scene.units is not None and scene.units.said:
        lines.append(scene.units.in_words)
    elif scene.units is not None:
        lines.append(f"{scene.units.kind}, in numbers without a scale")
    lines += _grid_lines(scene)
    if counts is not None:
        lines += count_lines(counts, scene.rows * scene.cols, names)
    lines += [
        f"labels in {name}: {found.total()} of {scene.rows * scene.cols} pixels, "
        f"{counted(len(found), 'class', 'classes')}"
        for name, found in planes.items()
    ]
    lines += [f"note: {note}" for note in notes]
    return Description(values, lines)


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
    from hsi_ssl.scenes.readers.geotiff import opened

    with opened(scene.path) as dataset:
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


def _band_lines(scene: Scene) -> list[str]:
    if scene.wavelengths_nm is None:
        lines = ["wavelengths not known"]
    else:
        low, high = np.nanmin(scene.wavelengths_nm), np.nanmax(scene.wavelengths_nm)
        lines = [f"wavelengths {low:.1f} to {high:.1f} nm"]
    bad = np.flatnonzero(~scene.good)
    if len(bad):
        runs = np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1)
        named = [f"{run[0] + 1}-{run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs]
        lines.append(
            f"{scene.bands - len(bad)} of {counted(scene.bands, 'band')} good; "
            f"bad, counted from 1: {', '.join(named)}"
        )
    return lines


def _grid_lines(scene: Scene) -> list[str]:
    grid = scene.grid
    lines = []
    if grid.crs is not None:
        title = re.search(r'"([^"]+)"', grid.crs)
        code = crs_name(grid.crs)
        short = f" ({code})" if code and code.startswith("EPSG:") else ""
        lines.append(f"coordinates in {title[1] if title else 'an unnamed system'}{short}")
    if grid.transform is not None:
        a, b, c, d, e, f = grid.transform
        size = f"{math.hypot(a, d):g} x {math.hypot(b, e):g}"
        turned = ", rotated" if b or d else ""
        lines.append(f"pixels of {size}{turned}, upper left corner at {c:.10g}, {f:.10g}")
    if grid.control_points:
        lines.append(counted(len(grid.control_points), "ground control point"))
    if grid.rpcs:
        lines.append("rational polynomial coefficients")
    return lines or ["no coordinates"]


def _json_number(value: float | None) -> float | int | str | None:
    """A number that JSON can carry: whole ones as such, NaN and infinity as words."""
    if value is None:
        return None
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _size(scene: Scene) -> str:
    size = scene.rows * scene.cols * scene.bands * scene.dtype.itemsize
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004
