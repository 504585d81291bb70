"""What a path holds: a scene, labels, a class map, a library, a dataset, a run, a report."""

from __future__ import annotations

from pathlib import Path

from hsi_ssl.catalog.entries import recognise
from hsi_ssl.datasets.store import is_dataset
from hsi_ssl.describing.codes import by_text, count_lines, counts_of, crs_name
from hsi_ssl.describing.description import Description, counted
from hsi_ssl.describing.library import describe_library
from hsi_ssl.describing.products import unread_product
from hsi_ssl.describing.runs import describe_dataset, describe_run
from hsi_ssl.describing.scene import describe_scene, place_lines
from hsi_ssl.errors import LabelError, SceneError, VectorError
from hsi_ssl.labels.class_fields import TYPES
from hsi_ssl.labels.forms.unread import not_read
from hsi_ssl.labels.rasters import LabelRaster, open_label_raster, plane_codes
from hsi_ssl.labels.vectors import is_vector, layers_at
from hsi_ssl.libraries.telling import is_library
from hsi_ssl.scenes.opening import open_as
from hsi_ssl.scenes.products import mains_in, product_at, refuse_broken, refuse_folder
from hsi_ssl.scenes.reading import AS_THEY_ARE, Reading


def describe(path: Path, reading: Reading = AS_THEY_ARE) -> Description:
    """Describe what is at `path`; `reading` says how scenes are opened.

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
    is_product = path.exists() and product_at(path) is not None
    if path.is_dir() and not is_product and not is_vector(path):
        return _folder(path, reading)
    if is_dataset(path):
        return describe_dataset(path)
    if is_vector(path) and not is_product:
        try:
            return _layers(path)
        except VectorError as error:
            product = unread_product(path)
            raise error if product is None else SceneError(product) from None
    if is_library(path):
        return describe_library(path)
    try:
        scene = open_as(path, reading)
    except SceneError as error:
        try:
            with open_label_raster(path, variable=reading.variable) as raster:
                return _labels(path, raster)
        except (LabelError, SceneError):
            if (why := not_read(path)) is not None:
                raise SceneError(why) from None
            product = unread_product(path)
            raise error if product is None else SceneError(product) from None
    with scene:
        known = recognise(path)
        return describe_scene(scene, None if known is None else known[0])


def _labels(path: Path, raster: LabelRaster) -> Description:
    codes, names = plane_codes(raster), dict(enumerate(raster.named, start=1))
    counts = counts_of(codes)
    rows, cols = codes.shape
    values = {
        "kind": "labels",
        "path": str(path),
        "rows": rows,
        "cols": cols,
        "crs": crs_name(raster.grid.crs),
        "transform": None if raster.grid.transform is None else list(raster.grid.transform),
        "labels": by_text(counts),
        "notes": list(raster.notes),
    }
    if names:
        values["names"] = {str(code): name for code, name in names.items()}
    lines = [f"{path}: labels", f"{counted(rows, 'row')} x {counted(cols, 'column')}"]
    if raster.grid.placed:
        lines += place_lines(raster.grid)
    lines += count_lines(counts, codes.size, names)
    return Description(values, lines + [f"note: {note}" for note in raster.notes])


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
                "crs": crs_name(one.crs),
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
            f"{crs_name(one.crs) or 'no CRS'}",
            f"  fields: {fields or 'none'}",
        ]
    return Description(values, lines)


def _folder(path: Path, reading: Reading) -> Description:
    """A run, finished or not, a report, the only product in it, or its scenes."""
    from hsi_ssl.describing.folders import describe_report, describe_unfinished
    from hsi_ssl.describing.scenes_in import describe_scenes_in
    from hsi_ssl.inference.checkpoint import CARD

    if (path / CARD).exists():
        return describe_run(path)
    found = describe_unfinished(path) or describe_report(path)
    if found is not None:
        return found
    mains = mains_in(path)
    if len(mains) == 1:
        return describe(mains[0], reading)
    product = unread_product(path)
    if product is not None:
        raise SceneError(product)
    if mains:
        refuse_folder(path)
    refuse_broken(path)
    return describe_scenes_in(path, reading)
