"""A STAC Item beside a map: where and when, its classes, its files, and the model that made it.

With the extensions projection, classification and MLM (machine learning model). It says only what
the files say; a map without coordinates has no geometry.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.warp
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.transform import AffineTransformer, GCPTransformer, RPCTransformer

from hsi_ssl.inference.checkpoint import WEIGHTS, model_name
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet
from hsi_ssl.maps.class_map import DESCRIPTIONS, Layer, is_envi, outputs
from hsi_ssl.maps.legend import UNCLASSIFIED
from hsi_ssl.maps.rasters import unlocated
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.virtual import is_virtual, shown
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from pystac import Item

EDGE_POINTS = 9
"""Of each side of a footprint: sides that are straight in the map's CRS bend in degrees."""
DEGREES = 7
"""Digits after the point: a centimetre."""
LONGITUDE_LATITUDE = CRS.from_epsg(4326)
ABOUT = {"style": "style for QGIS", "legend": "legend: code, name, colour, pixels"}


def item_path(path: Path) -> Path:
    """Where the item of the map at `path` goes."""
    return path.with_suffix(".json")


def write_item(
    path: Path,
    made: Path,
    scene: Scene,
    classifier: Classifier,
    run: Path,
    label_set: LabelSet,
    counts: Mapping[int, int],
    layers: Sequence[Layer],
    *,
    watcher: Watcher = SILENT,
) -> None:
    """Write the item of the map at `path`, made of `scene` by the classifier in `run`.

    The map and its layers are finished and lie at `made` yet, beside which the item is written, so
    that all come to their place at once. `label_set` are the classes that the map shows, `counts`
    their pixels by code.
    """
    import pystac

    now = datetime.now(UTC).replace(microsecond=0)
    when = scene.acquired
    if when is None:
        watcher.say(
            f"{scene.path.name} does not say when it was taken: "
            f"{item_path(path).name} carries the time of classification"
        )
    with unlocated(), rasterio.open(made) as raster:
        ring = _footprint(raster)
        item = pystac.Item(
            id=path.stem,
            geometry=None if ring is None else {"type": "Polygon", "coordinates": [ring]},
            bbox=None if ring is None else [*np.min(ring, axis=0), *np.max(ring, axis=0)],
            datetime=when or now,
            properties={
                "title": f"{label_set.name} of {scene.name}",
                "description": f"Class map of {scene.path.name} by {model_name(classifier.card)}",
                "created": now.isoformat().replace("+00:00", "Z"),
            },
        )
        _add_projection(item, raster)
    classes = _classes(label_set, counts)
    _add_model(item, classifier, run, path.parent, _classes(classifier.label_set))
    _add_files(item, path, made, layers, classes)
    source = shown(scene.path) if is_virtual(scene.path) else _relative(scene.path, path.parent)
    item.add_link(pystac.Link("derived_from", source, title="the scene"))
    content = json.dumps(item.to_dict(include_self_link=False), indent=1, ensure_ascii=False)
    item_path(made).write_text(content + "\n", encoding="utf-8")


def former_item(path: Path) -> list[Path]:
    """The item of a map that is about to be replaced; none where what is there is not ours."""
    place = item_path(path)
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        ours = "stac_version" in found and found["assets"]["map"]["href"] == _relative(
            path, path.parent
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [place] if ours else []


def _footprint(raster: DatasetReader) -> list[list[float]] | None:
    """The outline `[lon, lat]`, anticlockwise and closed; None where pixels have no place."""
    points, points_crs = raster.gcps
    crs = raster.crs or points_crs
    transformer: AffineTransformer | GCPTransformer | RPCTransformer
    if not raster.transform.is_identity:
        transformer = AffineTransformer(raster.transform)
    elif points:
        transformer = GCPTransformer(points)
    elif raster.rpcs:
        transformer, crs = RPCTransformer(raster.rpcs), LONGITUDE_LATITUDE
    else:
        return None
    if crs is None:
        return None
    along = np.linspace(0, 1, EDGE_POINTS)[:-1]
    # Down the left side, along the bottom, up the right side, back along the top.
    rows = np.concatenate([along, np.ones_like(along), 1 - along, np.zeros_like(along)])
    cols = np.concatenate([np.zeros_like(along), along, np.ones_like(along), 1 - along])
    with transformer:
        x, y = transformer.xy(rows * raster.height, cols * raster.width, offset="ul")
    lon, lat = rasterio.warp.transform(crs, LONGITUDE_LATITUDE, x, y)
    ring = np.stack([lon, lat], axis=1).round(DEGREES)
    if not np.isfinite(ring).all():
        return None
    if _area(ring) < 0:
        ring = ring[::-1]
    closed: list[list[float]] = [*ring.tolist(), ring[0].tolist()]
    return closed


def _area(ring: Any) -> float:
    """Twice the signed area: above 0 if anticlockwise."""
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _add_projection(item: Item, raster: DatasetReader) -> None:
    from pystac.extensions.projection import ProjectionExtension

    projection = ProjectionExtension.ext(item, add_if_missing=True)
    crs = raster.crs or raster.gcps[1]
    authority = crs.to_authority() if crs else None
    placed = not raster.transform.is_identity
    projection.apply(
        code=":".join(authority) if authority else None,
        wkt2=crs.to_wkt(version="WKT2_2019") if crs and not authority else None,
        bbox=_bounds(raster) if placed else None,
        shape=[raster.height, raster.width],
        transform=list(raster.transform)[:6] if placed else None,
    )


def _bounds(raster: DatasetReader) -> list[float]:
    """In the map's own CRS; of a rotated map, around its corners."""
    rows, cols = [0, 0, raster.height, raster.height], [0, raster.width, 0, raster.width]
    corners = np.array([raster.transform @ (c, r) for r, c in zip(rows, cols, strict=True)])
    return [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()]


def _classes(label_set: LabelSet, counts: Mapping[int, int] | None = None) -> list[Any]:
    """Classes as the extension has them; with `counts`, those of a map, not classified first."""
    from pystac.extensions.classification import Classification

    found = []
    if counts is not None:
        found.append(
            Classification.create(
                UNLABELLED_CODE,
                name="not-classified",
                title=UNCLASSIFIED,
                nodata=True,
                count=counts[UNLABELLED_CODE],
            )
        )
    used: set[str] = set()
    for c in label_set.classes:
        name = _plain(c.name)
        name = f"class-{c.code}" if not name or name in used else name
        used.add(name)
        found.append(
            Classification.create(
                c.code,
                name=name,
                title=c.name,
                color_hint=c.colour[1:].upper(),
                count=None if counts is None else counts[c.code],
            )
        )
    return found


def _plain(name: str) -> str:
    """A name of letters, digits and hyphens."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^0-9A-Za-z_]+", "-", ascii_only).strip("-")


def _add_model(
    item: Item, classifier: Classifier, run: Path, folder: Path, classes: list[Any]
) -> None:
    """What the MLM extension says of the model, and its weights as an asset."""
    import pystac
    from pystac.extensions.mlm import (
        Hyperparameters,
        InputStructure,
        MLMExtension,
        ModelInput,
        ModelOutput,
        ResultStructure,
        TaskType,
    )
    from pystac.extensions.raster import DataType

    card = classifier.card
    bands, slots = len(classifier.used_bands), len(classifier.label_set) + classifier.free_slots
    wavelengths = classifier.wavelengths_nm
    span = f", {wavelengths[0]:.0f} to {wavelengths[-1]:.0f} nm" if wavelengths else ""
    networks = [classifier.model, *([classifier.m1.model] if classifier.m1 else [])]
    MLMExtension.ext(item, add_if_missing=True).apply(
        name=f"hsi-ssl {model_name(card).replace('+', ' ')}",
        architecture=model_name(card),
        tasks=[TaskType.CLASSIFICATION],
        input=[
            ModelInput.create(
                name="spectra",
                bands=[],
                input=InputStructure.create([-1, bands], ["batch", "channel"], DataType.FLOAT32),
                description=f"Raw values of the {bands} used bands of a pixel{span}",
            )
        ],
        output=[
            ModelOutput.create(
                name="class probabilities",
                tasks=[TaskType.CLASSIFICATION],
                result=ResultStructure.create([-1, slots], ["batch", "class"], DataType.FLOAT32),
                description="p(y|x), by the rule that did better on validation pixels",
                classes=classes,
            )
        ],
        framework="PyTorch",
        framework_version=card["torch"],
        total_parameters=sum(p.numel() for network in networks for p in network.parameters()),
        hyperparameters=Hyperparameters(dict(card["architecture"])),
    )
    weights = pystac.Asset(
        _relative(run / WEIGHTS, folder),
        title="weights of the model",
        description=f"SHA-256 {card['weights_sha256']}",
        media_type="application/octet-stream",
        roles=["mlm:model"],
        extra_fields={"mlm:artifact_type": "safetensors.torch.save_file"},
    )
    item.add_asset("model", weights)


def _add_files(
    item: Item, path: Path, made: Path, layers: Sequence[Layer], classes: list[Any]
) -> None:
    """The map and what lies beside it; at `made` it can be read."""
    import pystac
    from pystac.extensions.classification import ClassificationExtension

    kinds = {
        "style": "application/xml",
        "legend": "text/csv",
        "names": pystac.MediaType.XML,
        "quicklook": pystac.MediaType.PNG,
    }
    for name, place in outputs(path, layers).items():
        raster = name == "map" or name in layers
        about = "the class map" if name == "map" else ABOUT.get(name, name)
        role = "data" if raster else "thumbnail" if name == "quicklook" else "metadata"
        kind = kinds.get(name, pystac.MediaType.TEXT)
        if raster:
            kind = "application/x-envi" if is_envi(path) else pystac.MediaType.COG
        asset = pystac.Asset(
            _relative(place, path.parent),
            title=DESCRIPTIONS.get(name, about),  # type: ignore[call-overload]
            media_type=kind,
            roles=[role],
            extra_fields={"bands": _bands(made.with_name(place.name))} if raster else None,
        )
        item.add_asset(name.replace(" ", "_"), asset)
    shown = ClassificationExtension.ext(item.assets["map"], add_if_missing=True)
    shown.classes = classes


def _bands(path: Path) -> list[dict[str, Any]]:
    """What a raster says of its bands."""
    found = []
    with unlocated(), rasterio.open(path) as raster:
        for i, name in enumerate(raster.descriptions):
            nodata = raster.nodata
            band = {
                "name": name,
                "data_type": raster.dtypes[i],
                "nodata": "nan" if np.isnan(nodata) else int(nodata),
                "unit": raster.units[i],
            }
            found.append({key: value for key, value in band.items() if value is not None})
    return found


def _relative(path: Path, folder: Path) -> str:
    """A path as the item in `folder` names it."""
    place = os.path.relpath(path.absolute(), folder.absolute()).replace(os.sep, "/")
    return place if place.startswith("../") else f"./{place}"
