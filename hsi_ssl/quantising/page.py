"""The page of a quantiser: its map or units, how good, how dense, of which classes, a caution."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from markupsafe import Markup

from hsi_ssl.inference.quantising import TrainedQuantiser
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.libraries.matching import in_words, verdict
from hsi_ssl.maps.rasters import unlocated
from hsi_ssl.models.quantisers.som import SelfOrganisingMap
from hsi_ssl.quantising.figures import colours_panel, panel, spectra_figure
from hsi_ssl.quantising.looks import Looks
from hsi_ssl.quantising.next_steps import after_quantising
from hsi_ssl.quantising.units import Units
from hsi_ssl.reports.figures import paint
from hsi_ssl.reports.html import page, picture_uri
from hsi_ssl.reports.thumbnails import see_through

if TYPE_CHECKING:
    from hsi_ssl.settings import QuantiseSettings

PAGE, UNITS_CSV, SPECTRA_CSV = "index.html", "units.csv", "spectra.csv"
SIDE = 900
"""Longest side of a map's picture in cells."""
MOST_CLASSES = 24
"""Classes whose hits have a panel of their own, those with most pixels."""


@dataclass(frozen=True)
class Panel:
    """A picture of a map's units with its heading."""

    title: str
    about: str
    figure: Markup


def write_page(
    folder: Path,
    settings: QuantiseSettings,
    trained: TrainedQuantiser,
    units: Units,
    looks: Looks,
    label_set: LabelSet,
    wavelengths_nm: Sequence[float] | None,
    maps: Sequence[Path],
) -> None:
    """Write index.html, units.csv and spectra.csv into a run folder; `maps` lie there already."""
    rows = _rows(units, looks, label_set)
    named = [path.name for path in maps]
    html = page(
        "quantiser.html",
        steps=list(after_quantising(settings, units, named, names=wavelengths_nm is not None)),
        card=trained.card,
        on_map=isinstance(trained.model, SelfOrganisingMap),
        overview=_panels(trained, units, looks, label_set),
        planes=_planes(trained, looks),
        hits=_hits(trained, looks),
        all_hits=looks.hits,
        classes=_class_rows(looks),
        units=rows,
        spectra=spectra_figure(units.means, units.pixels, label_set.colours, wavelengths_nm),
        named=bool(units.matches),
        maps=[(path.name, _picture(path, label_set)) for path in maps],
    )
    (folder / PAGE).write_text(html, encoding="utf-8")
    _write_csv(folder / UNITS_CSV, _unit_table(units, looks, label_set))
    axis = range(1, units.means.shape[1] + 1) if wavelengths_nm is None else wavelengths_nm
    head = ["band" if wavelengths_nm is None else "wavelength_nm", *label_set.names]
    body = [
        [place, *(f"{value:.7g}" for value in values)]
        for place, values in zip(axis, units.means.T, strict=True)
    ]
    _write_csv(folder / SPECTRA_CSV, [head, *body])


def _panels(
    trained: TrainedQuantiser, units: Units, looks: Looks, label_set: LabelSet
) -> list[Panel]:
    """Of a map: the U-matrix, density, pixels won, and the colours that maps of scenes have."""
    model = trained.model
    if not isinstance(model, SelfOrganisingMap) or looks.u_matrix is None:
        return []
    lattice = model.lattice
    nearest = trained.card["settings"]["nearest"]
    won = np.where(units.pixels > 0, units.pixels, np.nan).astype(float)
    return [
        Panel(
            "U-matrix",
            "mean distance of a unit's prototype to its neighbours': ridges part groups",
            panel(lattice, looks.u_matrix),
        ),
        Panel(
            "Density",
            f"mean distance of a prototype to the {nearest} nearest spectra: small where dense",
            panel(lattice, looks.crowding),
        ),
        Panel(
            "Pixels won",
            "of those that it learnt from, on a logarithmic scale; none where grey",
            panel(lattice, won, logarithmic=True),
        ),
        Panel(
            "Colours",
            "of units on maps of scenes: neighbours look alike",
            colours_panel(lattice, label_set.colours),
        ),
    ]


def _planes(trained: TrainedQuantiser, looks: Looks) -> list[Panel]:
    """Component planes: the prototypes' values in some bands."""
    model = trained.model
    if not isinstance(model, SelfOrganisingMap):
        return []
    return [Panel(plane.title, "", panel(model.lattice, found)) for plane, found in looks.planes]


def _hits(trained: TrainedQuantiser, looks: Looks) -> list[Panel]:
    """Where labelled pixels of the commonest classes lie on the map."""
    model = trained.model
    if not isinstance(model, SelfOrganisingMap):
        return []
    most = sorted(looks.hits, key=lambda one: -int(one.pixels.sum()))[:MOST_CLASSES]
    return [
        Panel(
            one.label.name,
            f"{int(one.pixels.sum()):,} pixels",
            panel(model.lattice, np.where(one.pixels > 0, one.pixels, np.nan).astype(float)),
        )
        for one in most
    ]


def _class_rows(looks: Looks) -> list[dict[str, Any]]:
    """What the page's table says of classes, in their order."""
    if not looks.hits:
        return []
    commonest = np.argmax([one.pixels for one in looks.hits], axis=0)
    return [
        {
            "label": one.label,
            "pixels": int(one.pixels.sum()),
            "units": int(np.count_nonzero(one.pixels)),
            "own": float(one.pixels[commonest == k].sum() / one.pixels.sum()),
        }
        for k, one in enumerate(looks.hits)
    ]


def _rows(units: Units, looks: Looks, label_set: LabelSet) -> list[dict[str, Any]]:
    """What the page's table says of units, those with most pixels first."""
    found = []
    for unit in np.argsort(-units.pixels, kind="stable").tolist():
        mostly = looks.class_of(unit)
        found.append(
            {
                "name": label_set.names[unit],
                "colour": label_set.colours[unit],
                "code": int(label_set.codes[unit]),
                "pixels": int(units.pixels[unit]),
                "share": units.pixels[unit] / max(1, len(units.rows)),
                "crowding": float(looks.crowding[unit]),
                "mostly": mostly and mostly[0],
                "purity": mostly and mostly[1],
                "likeness": in_words(units.matches[unit])
                if units.matches and units.matches[unit]
                else "",
            }
        )
    return found


def _unit_table(units: Units, looks: Looks, label_set: LabelSet) -> list[list[Any]]:
    """Rows of units.csv: one a unit, with the labelled pixels of each class."""
    head = [
        "code",
        "name",
        "colour",
        "pixels",
        "crowding",
        "u_matrix",
        "material",
        "angle",
        "verdict",
    ]
    names = [f"class {one.label.code} {one.label.name}" for one in looks.hits]
    table: list[list[Any]] = [[*head, *names]]
    for unit, label in enumerate(label_set.classes):
        first = units.matches[unit][0] if units.matches and units.matches[unit] else None
        table.append(
            [
                label.code,
                label.name,
                label.colour,
                int(units.pixels[unit]),
                f"{looks.crowding[unit]:.6g}",
                "" if looks.u_matrix is None else f"{looks.u_matrix[unit]:.6g}",
                first and first.material,
                first and f"{first.angle:.3f}",
                first and verdict(units.matches[unit]),
                *(int(one.pixels[unit]) for one in looks.hits),
            ]
        )
    return table


def _picture(path: Path, label_set: LabelSet) -> str:
    """A map thinned to a picture, clear where nothing was measured."""
    with unlocated(), rasterio.open(path) as raster:
        step = max(1, -(-max(raster.shape) // SIDE))
        shape = tuple(-(-side // step) for side in raster.shape)
        plane = np.asarray(raster.read(1, out_shape=shape), np.int64)
    return picture_uri(see_through(paint(plane, label_set), plane > 0))


def _write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
