"""What was discovered, to look at and to go on with: a page, tables, spectra, maps."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from hsi_ssl.checksums import sealed
from hsi_ssl.datasets.scalings.shapes import continuum_removed
from hsi_ssl.discovery.discover import Discovery, Group
from hsi_ssl.discovery.survey import Surveyed
from hsi_ssl.files import written_beside
from hsi_ssl.labels.label_set import UNLABELLED, LabelClass, LabelSet, indices_to_codes
from hsi_ssl.libraries.matching import in_words, verdict
from hsi_ssl.maps.class_map import MAP_ENDING, class_map
from hsi_ssl.reports.figures import BLUE, GREY, ORANGE, SENTINEL, paint, style
from hsi_ssl.reports.html import inline_svg, page, picture_uri
from hsi_ssl.reports.next_steps import after_discovery
from hsi_ssl.reports.thumbnails import see_through, shrink_codes, shrinking

SIDE = 260
"""Longest side of a thumbnail in cells."""
SCENES_SHOWN = 4
"""Of each group, those that hold most of it."""
MAP_ROWS = 4096
"""Rows of a map written at a time."""
ELSEWHERE = "#c9ced4"
ALL_PIXELS = "all pixels"
"""Name of the mean of everything in spectra.csv."""
GROUP_COLUMNS = (
    "code",
    "name",
    "slot",
    "pixels",
    "share",
    "posterior",
    "compactness",
    "stability",
    "nearest_class",
    "nearest_class_angle",
    "nearest_class_by_model",
    "first_match",
    "first_angle",
    "runner_up",
    "runner_up_angle",
    "verdict",
    "why_not",
)


@dataclass(frozen=True)
class Shown:
    """A group on the page: its figures, and pictures of where it lies (scene, pixels, URI)."""

    group: Group
    likeness: str | None
    figures: list[Any]
    places: list[tuple[str, int, str]]


def write_discovery(
    found: Discovery,
    folder: Path,
    *,
    meanwhile: Callable[[], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write index.html, groups.json, groups.csv, spectra.csv, spread.csv and maps, all or nothing.

    Of scenes there is one map each, `<scene>_classes.tif`, of labelled classes and groups; of a
    dataset none. `meanwhile` as of `written_beside`. Returns the page's path.

    Raises
    ------
    OutputError
        The folder exists and `overwrite` is false, or cannot be written.
    """
    maps = [] if found.of_dataset else map_names(found.survey.scenes)
    html = page(
        "discovery.html",
        d=found,
        steps=after_discovery(found, folder, maps),
        shown=[_shown(found, group) for group in found.groups],
    )
    with written_beside(folder, meanwhile=meanwhile, overwrite=overwrite) as beside:
        beside.mkdir()
        (beside / "index.html").write_text(html, encoding="utf-8")
        text = json.dumps(sealed(found.to_json()), indent=1, allow_nan=False)
        (beside / "groups.json").write_text(text + "\n", encoding="utf-8")
        _write_csv(beside / "groups.csv", [GROUP_COLUMNS, *map(_row, _both(found))])
        means, spreads = _spectra(found)
        _write_csv(beside / "spectra.csv", means)
        _write_csv(beside / "spread.csv", spreads)
        for name, scene in zip(maps, found.survey.scenes, strict=False):
            _write_map(found, scene, beside / name)
    return folder / "index.html"


def map_names(scenes: Iterable[Surveyed]) -> list[str]:
    """File names of the scenes' maps; scenes of one name get a number."""
    names: list[str] = []
    for scene in scenes:
        name, n = scene.name, 1
        while f"{name}{MAP_ENDING}" in names:
            n += 1
            name = f"{scene.name}-{n}"
        names.append(f"{name}{MAP_ENDING}")
    return names


def _write_map(found: Discovery, scene: Surveyed, path: Path) -> None:
    rows, cols = scene.plane.shape
    card = found.classifier.card
    tags = {
        "SCENE": scene.name,
        "MODEL": str(found.settings.model),
        "MODEL_SHA256": card["weights_sha256"],
        "LABEL_SET": found.classes.label_set.name,
        "SETTINGS": json.dumps(found.settings.model_dump(mode="json", exclude={"output"})),
    }
    with class_map(
        path,
        rows=rows,
        cols=cols,
        grid=scene.grid,
        ortho=scene.ortho,
        label_set=found.classes.label_set,
        tags=tags,
    ) as written:
        for first in range(0, rows, MAP_ROWS):
            part = slice(first, min(first + MAP_ROWS, rows))
            indices = found.classes.indices(scene.plane[part].astype(np.int64))
            written.write(part, slice(0, cols), indices)


def _both(found: Discovery) -> tuple[Group, ...]:
    return found.groups + found.no_groups


def _row(group: Group) -> list[Any]:
    first, second = [*group.matches[:2], None, None][:2]
    near = group.nearest
    return [
        group.label and group.label.code,
        group.label and group.label.name,
        group.slot,
        group.pixels,
        f"{group.share:.6f}",
        f"{group.posterior:.4f}",
        f"{group.compactness:.4f}",
        "" if group.stability is None else f"{group.stability:.4f}",
        near and near.by_angle.name,
        near and f"{near.angle:.3f}",
        near and near.by_model.name,
        first and first.material,
        first and f"{first.angle:.3f}",
        second and second.material,
        second and f"{second.angle:.3f}",
        verdict(group.matches) if first else None,
        "; ".join(group.why),
    ]


def _spectra(found: Discovery) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows of spectra.csv and spread.csv: means and standard deviations, a column a group."""
    total, classifier = found.survey.tally, found.classifier
    waves = classifier.wavelengths_nm
    slots = [(g.label.name, g.slot) for g in found.groups if g.label is not None]
    there = enumerate(total.pixels[: len(classifier.label_set)])
    slots += [(classifier.label_set.names[k], k) for k, n in there if n]
    names = [name for name, _ in slots]
    columns = [slot for _, slot in slots]
    head = "band" if waves is None else "wavelength_nm"
    axis = np.arange(len(total.overall)) if waves is None else np.asarray(waves)
    means = np.column_stack([axis, total.means[columns].T, total.overall])
    spreads = np.column_stack([axis, total.deviations[columns].T])
    return (
        [[head, *names, ALL_PIXELS], *_texts(means)],
        [[head, *names], *_texts(spreads)],
    )


def _texts(table: npt.NDArray[np.float64]) -> list[list[str]]:
    return [[f"{value:.7g}" for value in row] for row in table]


def _shown(found: Discovery, group: Group) -> Shown:
    counts = [int((scene.plane == group.slot).sum()) for scene in found.survey.scenes]
    most = [i for i in np.argsort(counts)[::-1][:SCENES_SHOWN] if counts[i]]
    places = [
        (found.survey.scenes[i].name, counts[i], _thumbnail(found.survey.scenes[i], group))
        for i in most
    ]
    likeness = in_words(group.matches) if group.matches else None
    return Shown(group, likeness, _figures(found, group), places)


def _thumbnail(scene: Surveyed, group: Group) -> str:
    """Picture of a scene: the group in its colour, other pixels grey, what is not there clear."""
    assert group.label is not None
    rows, cols = scene.plane.shape
    step = shrinking(rows, cols, SIDE)
    elsewhere = LabelClass(1, "elsewhere", ELSEWHERE)
    both = LabelSet("where", (elsewhere, LabelClass(2, group.label.name, group.label.colour)))
    indices = np.where(scene.plane == group.slot, 1, np.where(scene.plane >= 0, 0, UNLABELLED))
    codes = indices_to_codes(indices, both)
    small = shrink_codes(codes, step)
    small = np.where(shrink_codes(np.where(codes == 2, 2, 0), step) == 2, 2, small)  # noqa: PLR2004
    return picture_uri(see_through(paint(small, both), small > 0))


def _figures(found: Discovery, group: Group) -> list[Any]:
    """The group's mean with its spread and the nearest class; absorptions beside the library's."""
    assert group.label is not None
    waves = found.classifier.wavelengths_nm
    x = np.arange(len(group.mean), dtype=np.float64) if waves is None else np.asarray(waves)
    order = np.argsort(x, kind="stable")
    gaps = np.flatnonzero(np.diff(x[order]) > 3 * np.median(np.diff(x[order]))) + 1

    def line(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """In the order of the wavelengths, broken where bands are left out."""
        return np.insert(values[order], gaps, np.nan)

    total = found.survey.tally
    with style(SENTINEL):
        figures = [Figure(figsize=(4.6, 3.1), layout="constrained") for _ in range(2)]
        left, right = (figure.subplots() for figure in figures)
        low, high = group.mean - group.deviation, group.mean + group.deviation
        colour = group.label.colour
        left.fill_between(line(x), line(low), line(high), color=colour, alpha=0.25, linewidth=0)
        left.plot(line(x), line(group.mean), color=colour, label=group.label.name)
        near = group.nearest
        if near is not None:
            slot = found.classifier.label_set.classes.index(near.by_angle)
            left.plot(
                line(x),
                line(total.means[slot]),
                color=GREY,
                linestyle="--",
                label=near.by_angle.name,
            )
        left.set_title("mean and standard deviation")
        right.plot(line(x), line(_removed(group.mean, x)), color=colour, label=group.label.name)
        right.plot(line(x), line(_removed(total.overall, x)), color=GREY, label=ALL_PIXELS)
        if group.likeness is not None:
            right.plot(
                line(x),
                line(_removed(group.likeness, x)),
                color=BLUE if colour != BLUE else ORANGE,
                label=group.matches[0].material,
            )
        right.set_title("divided by the hull")
        for axes in (left, right):
            axes.set_xlabel("band" if waves is None else "wavelength (nm)")
            axes.legend(loc="best", fontsize=8)
        return [inline_svg(figure) for figure in figures]


def _removed(
    spectrum: npt.NDArray[np.float64], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """A spectrum over its upper hull; NaN where it has no value."""
    known = np.isfinite(spectrum)
    found = np.full(len(x), np.nan)
    found[known] = continuum_removed(spectrum[None, known], x[known])[0]
    return found


def _write_csv(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
