"""What a path holds: a scene, labels, a class map, a library, a dataset, a run, a report."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.describe_library import describe_library
from hsi_ssl.describe_planes import planes_beside
from hsi_ssl.description import Description, counted
from hsi_ssl.errors import LabelError, ModelError, SceneError, VectorError
from hsi_ssl.labels.codes import checked_codes
from hsi_ssl.labels.finding import is_our_mask
from hsi_ssl.labels.label_set import UNLABELLED_CODE
from hsi_ssl.labels.rasters import open_label_raster, own_labels, plane_codes
from hsi_ssl.labels.vector_labels import TYPES
from hsi_ssl.labels.vectors import is_vector, layers_at
from hsi_ssl.libraries.telling import is_library
from hsi_ssl.products import unread_product
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.ranges import WavelengthRange
from hsi_ssl.scenes.scene import Scene

WINDOW = 2**20
"""Pixels of a label raster counted at a time."""


def describe(path: Path, *, variable: str | None = None, axes: str | None = None) -> Description:
    """Describe what is at `path`; `variable` names an array inside a file that holds several.

    `axes` as in `open_scene`.

    Raises
    ------
    SceneNotFoundError, SceneError
        There is nothing, or nothing that hsi-ssl knows.
    VectorError
        A vector file is broken, or has no such layer.
    LibraryError
        A spectral library is broken.
    DatasetError, ModelError
        A dataset, a run folder or a report is broken or of another version.
    """
    if path.is_dir():
        return _folder(path)
    if _is_dataset(path):
        return _dataset(path)
    if is_vector(path):
        try:
            return _layers(path)
        except VectorError as error:
            product = unread_product(path)
            raise error if product is None else SceneError(product) from None
    if is_library(path):
        return describe_library(path)
    try:
        scene = open_scene(path, variable=variable, axes=axes)
    except SceneError as error:
        try:
            with open_label_raster(path, variable=variable) as raster:
                return _labels(path, plane_codes(raster), dict(enumerate(raster.named, start=1)))
        except (LabelError, SceneError):
            product = unread_product(path)
            raise error if product is None else SceneError(product) from None
    with scene:
        return _scene(scene)


def _scene(scene: Scene) -> Description:
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
            counts = None if plane is None else _counts(plane)
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
        "crs": _crs_name(scene.grid.crs),
        "transform": None if scene.grid.transform is None else list(scene.grid.transform),
        "labels": _by_text(counts),
        "notes": notes,
    }
    if planes:
        values["label_sets"] = {name: _by_text(found) for name, found in planes.items()}
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
        lines += _count_lines(counts, scene.rows * scene.cols, names)
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


def _labels(path: Path, codes: npt.NDArray[np.int64], names: dict[int, str]) -> Description:
    counts = _counts(codes)
    rows, cols = codes.shape
    values = {
        "kind": "labels",
        "path": str(path),
        "rows": rows,
        "cols": cols,
        "labels": _by_text(counts),
    }
    if names:
        values["names"] = {str(code): name for code, name in names.items()}
    lines = [f"{path}: labels", f"{counted(rows, 'row')} x {counted(cols, 'column')}"]
    return Description(values, lines + _count_lines(counts, codes.size, names))


def _layers(path: Path) -> Description:
    layers = layers_at(path)
    values = {
        "kind": "vector",
        "path": str(path),
        "layers": [
            {
                "name": one.name,
                "geometry": one.kind,
                "features": one.features,
                "crs": _crs_name(one.crs),
                "fields": {name: TYPES.get(kind, kind) for name, kind in one.fields.items()},
            }
            for one in layers
        ],
    }
    lines = [f"{path}: {counted(len(layers), 'layer')} of labels"]
    for one in layers:
        fields = ", ".join(f"{n} ({TYPES.get(kind, kind)})" for n, kind in one.fields.items())
        lines += [
            f"{one.name}: {counted(one.features, 'feature')} ({one.kind}), "
            f"{_crs_name(one.crs) or 'no CRS'}",
            f"  fields: {fields or 'none'}",
        ]
    return Description(values, lines)


def _dataset(path: Path) -> Description:
    from hsi_ssl.datasets.store import Part, open_dataset

    dataset = open_dataset(path)
    meta = dataset.meta
    parts = {
        part.name.lower(): int((dataset.part == part).sum()) for part in Part if part != Part.OTHER
    }
    learnt = (Part.TRAIN, Part.VALIDATION, Part.TEST)
    label_sets: list[dict[str, Any]] = []
    for one in map(dataset.one, (label_set.name for label_set in dataset.label_sets)):
        classes = [
            {
                "code": c.code,
                "name": c.name,
                **{
                    part.name.lower(): int(((one.label == k) & (one.part == part)).sum())
                    for part in learnt
                },
            }
            for k, c in enumerate(one.label_set.classes)
        ]
        label_sets.append({"label_set": one.label_set.name, "classes": classes})
    kept = ("name", "path", "rows", "cols", "format")
    values = {
        "kind": "dataset",
        "path": str(path),
        "title": meta["title"],
        "pixels": len(dataset),
        "bands": meta["bands"],
        "used_bands": meta["used_bands"],
        "wavelengths_nm": dataset.wavelengths_nm,
        "excluded_nm": meta.get("excluded_nm", []),
        "parts": parts,
        **(label_sets[0] if len(label_sets) == 1 else {"label_sets": label_sets}),
        "scaling": meta["scaling"]["kind"],
        "split": meta["split"],
        "transductive": meta["transductive"],
        "seed": meta["seed"],
        "sources": [{key: source[key] for key in kept} for source in meta["sources"]],
    }
    counts = []
    for found in label_sets:
        width = max(len(c["name"]) for c in found["classes"])
        head = "class" if len(label_sets) == 1 else found["label_set"]
        counts += [
            f"{'code':>5}  {head:{width}}  {'train':>8}  {'validation':>10}  {'test':>8}",
            *(
                f"{c['code']:5}  {c['name']:{width}}  {c['train']:8}  {c['validation']:10}  "
                f"{c['test']:8}"
                for c in found["classes"]
            ),
        ]
    lines = [
        f"{path}: dataset of {meta['title']}",
        f"{len(dataset)} pixels x {dataset.bands} of {_bands(meta)}: "
        + ", ".join(f"{name} {n}" for name, n in parts.items()),
        f"split by {meta['split']['kind']}, scaling {meta['scaling']['kind']}, seed {meta['seed']}"
        + (", transductive" if meta["transductive"] else ""),
        *counts,
        f"from {counted(len(meta['sources']), 'scene')}:",
        *(f"  {s['path']} ({s['rows']} x {s['cols']}, {s['format']})" for s in values["sources"]),
    ]
    return Description(values, lines)


def _folder(path: Path) -> Description:
    """A run, finished or not, or a report."""
    from hsi_ssl.describe_folders import describe_report, describe_unfinished
    from hsi_ssl.training.checkpoint import CARD

    if (path / CARD).exists():
        return _run(path)
    found = describe_unfinished(path) or describe_report(path)
    if found is not None:
        return found
    product = unread_product(path)
    if product is not None:
        raise SceneError(product)
    raise ModelError(
        f"{path} is a folder without {CARD} or a report; give a run folder, a dataset or a scene"
    )


def _run(path: Path) -> Description:
    from hsi_ssl.training.checkpoint import CARD, load_run, model_name
    from hsi_ssl.training.classifier import card_of_label_set

    try:
        kind = json.loads((path / CARD).read_text(encoding="utf-8"))["kind"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ModelError(f"{path / CARD} is broken ({error}); train again") from error
    card, _ = load_run(path, kind)
    if len(card.get("label_sets", [])) == 1:
        card = card_of_label_set(card, 0)
    model = model_name(card)
    label_sets = [
        {
            "label_set": one["name"],
            "classes": [{"code": c["code"], "name": c["name"]} for c in one["classes"]],
        }
        for one in _label_sets(card)
    ]
    classes = [c for one in label_sets for c in one["classes"]]
    values = {
        "kind": "run",
        "path": str(path),
        "finished": True,
        "model": model,
        "architecture": card["architecture"],
        "bands": card["bands"],
        "used_bands": card["used_bands"],
        "wavelengths_nm": card["wavelengths_nm"],
        "excluded_nm": card.get("excluded_nm", []),
        "scaling": card["scaling"]["kind"],
        **({"label_sets": label_sets} if len(label_sets) > 1 else {"classes": classes}),
        "dataset": card["dataset"],
        "training": card["training"],
        "metrics": card["metrics"],
        "created": card["created"],
        "version": card["hsi_ssl"],
        "git_commit": card["git_commit"],
    }
    architecture, training = card["architecture"], card["training"]
    hidden = "-".join(str(width) for width in architecture["hidden"])
    lines = [
        f"{path}: {model}, trained {card['created']} with hsi-ssl {card['hsi_ssl']}",
        f"{counted(architecture['latent'], 'latent unit')}, hidden layers {hidden}, "
        f"{architecture['likelihood']} likelihood, scaling {card['scaling']['kind']}",
        f"learnt on {card['dataset']['title']} ({card['dataset']['path']}), "
        f"{len(card['used_bands'])} of {_bands(card)}",
    ]
    if training["epochs"]:
        lines.append(
            f"{counted(training['epochs'], 'epoch')} in {training['seconds']:.0f} s on "
            f"{training['device']}, best epoch {training['best_epoch']}"
        )
    lines += [
        f"{name.replace('_', ' ')}: {value}"
        for name, value in _flat(card["metrics"])
        if not isinstance(value, list) and value is not None
    ]
    lines += [f"class {c['code']}: {c['name']}" for c in classes]
    return Description(values, lines)


def _is_dataset(path: Path) -> bool:
    """Whether the file is HDF5 with the attribute that every dataset of ours carries."""
    try:
        if not h5py.is_hdf5(path):
            return False
        with h5py.File(path, "r") as file:
            return "meta" in file.attrs and "spectra" in file
    except OSError:
        return False  # opening it as a scene says what is wrong


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
            found += _counts(checked_codes(plane, path=scene.path, nodata=scene.nodata))
    except LabelError:
        return None
    return found


def _counts(codes: npt.NDArray[np.int64]) -> Counter[int]:
    """Labelled pixels by code."""
    values, counts = np.unique(codes, return_counts=True)
    found = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    del found[UNLABELLED_CODE]
    return found


def _by_text(counts: Counter[int] | None) -> dict[str, int] | None:
    return None if counts is None else {str(code): n for code, n in sorted(counts.items())}


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
        code = _crs_name(grid.crs)
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


def _count_lines(counts: Counter[int], pixels: int, names: dict[int, str]) -> list[str]:
    total = counts.total()
    lines = [f"{total} of {pixels} pixels labelled, {counted(len(counts), 'class', 'classes')}:"]
    for code, n in sorted(counts.items()):
        lines.append(f"{code:8}  {n:10}  {names.get(code, '')}".rstrip())
    return lines


def _crs_name(crs: str | None) -> str | None:
    """`EPSG:n` where the system, a WKT or a name, is one of those, else as it is."""
    if crs is None:
        return None
    from rasterio.crs import CRS

    code = CRS.from_user_input(crs).to_epsg()
    return crs if code is None else f"EPSG:{code}"


def _json_number(value: float | None) -> float | int | str | None:
    """A number that JSON can carry: whole ones as such, NaN and infinity as words."""
    if value is None:
        return None
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _label_sets(card: dict[str, Any]) -> list[dict[str, Any]]:
    """Cards of the label sets that a run knows, none for M1."""
    return [one["classes"] for one in card.get("label_sets", [])]


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Pairs of a nested dictionary, the keys of each joined by a space."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key} ")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            found.append((prefix + key, shown))
    return found


def _bands(card: dict[str, Any]) -> str:
    """How many bands the files have, and what of them was excluded."""
    ranges = [str(WavelengthRange(low, high)) for low, high in card.get("excluded_nm", ())]
    return counted(card["bands"], "band") + (f" (without {', '.join(ranges)})" if ranges else "")


def _size(scene: Scene) -> str:
    size = scene.rows * scene.cols * scene.bands * scene.dtype.itemsize
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004
