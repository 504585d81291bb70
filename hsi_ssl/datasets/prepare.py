"""Prepare: from labelled scenes to a dataset, in one pass over the pixels that are wanted.

Label planes come first and decide; spectra are read in sorted blocks and written as they come, so
memory holds planes and one block, never a cube.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.claims import claimed
from hsi_ssl.datasets.asked import asked_of
from hsi_ssl.datasets.balance import balance_folder, refuse_former_report
from hsi_ssl.datasets.bands import Bands, in_bands_of_first, same_bands, without_ranges
from hsi_ssl.datasets.facts import facts_of
from hsi_ssl.datasets.learnt_numbers import LearntNumbers
from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.one_unit import in_one_unit
from hsi_ssl.datasets.planning import CLASSES_LEAST, Bools, Plan, planned
from hsi_ssl.datasets.privileged import beside, seconds_of, write_privileged
from hsi_ssl.datasets.reading import Spectra, openings_of
from hsi_ssl.datasets.sampling import Draw, TilePool, joined
from hsi_ssl.datasets.scaling import Scaler, fit_scaler, rows_to_fit
from hsi_ssl.datasets.splits import (
    Labels,
    Split,
)
from hsi_ssl.datasets.store import Dataset, DatasetWriter, Part, open_dataset, writing_dataset
from hsi_ssl.datasets.taking import Rows, Taker
from hsi_ssl.datasets.units import row_units
from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.files import refuse_existing, written_beside
from hsi_ssl.labels.label_set import UNLABELLED, LabelSet
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.palette import alike
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.labels.vectors import vector_file
from hsi_ssl.running.starting import place_of
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.settings import PrepareSettings
from hsi_ssl.watcher import SILENT, Watcher

PATHS = {
    "sources", "output", "labels", "classes", "train_labels", "test_labels", "wavelengths", "mask",
    "mask_out", "privileged", "workers", "scheduler",
}  # fmt: skip
"""Settings that say where files lie, which the dataset lists anyway, and how the work is done."""


def prepare(
    settings: PrepareSettings, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> Dataset:
    """Dataset made of the settings' sources, written to `settings.output`.

    The report on the label balance of a dataset that it replaces goes with that.

    Raises
    ------
    SceneNotFoundError, SceneError, LabelError, CatalogError, FetchError
        The sources cannot be had or used.
    BandsError
        The scenes' bands differ.
    UnitsError
        Their numbers are in different units, or were scaled twice.
    SettingsError
        All bands are excluded.
    DatasetError
        The scaling cannot be fitted.
    OutputError
        The output exists and `overwrite` is false, or cannot be written.
    """
    with claimed(settings.output, balance_folder(settings.output)):
        refuse_existing(settings.output, overwrite)
        with sources_of(settings, watcher=watcher) as sources:
            return prepare_sources(sources, settings, overwrite=overwrite, watcher=watcher)


def sources_of(settings: PrepareSettings, *, watcher: Watcher = SILENT) -> Sources:
    """Open the settings' sources, for use in a `with`.

    Bands to exclude are flagged as bad; other bands than those of the first scene are resampled,
    where the settings say so.
    """
    place_of(settings.workers, settings.scheduler).close()  # is it there?
    each: list[Sources] = []
    with ExitStack() as on_error:
        for name in settings.label_sets or (None,):
            one = resolve(
                settings.sources,
                labels=settings.labels,
                label_set=name,
                reading=settings.reading,
                train_labels=settings.train_labels,
                test_labels=settings.test_labels,
                rules=settings.label_rules,
                watcher=SILENT if each else watcher,
            )
            on_error.callback(one.close)
            each.append(_in_wanted_bands(one, settings, SILENT if each else watcher))
        on_error.pop_all()
    return replace(each[0], others=tuple(each[1:]))


def _in_wanted_bands(sources: Sources, settings: PrepareSettings, watcher: Watcher) -> Sources:
    scenes = [source.scene for source in sources.scenes]
    if settings.resample:
        scenes = in_bands_of_first(scenes, settings.excluded, watcher)
    if settings.excluded:
        scenes = without_ranges(scenes, settings.excluded, watcher)
    paired = zip(sources.scenes, scenes, strict=True)
    return replace(sources, scenes=tuple(replace(s, scene=scene) for s, scene in paired))


def prepare_sources(
    sources: Sources,
    settings: PrepareSettings,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> Dataset:
    """Dataset made of sources that are open; see `prepare`.

    And, where the settings name privileged scenes, the dataset of both sensors beside it.
    """
    with preparing(sources, settings, overwrite=overwrite, watcher=watcher):
        pass
    return open_dataset(settings.output)


@contextmanager
def preparing(
    sources: Sources,
    settings: PrepareSettings,
    *,
    also: Iterable[Path] = (),
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> Iterator[Dataset]:
    """As `prepare_sources`; the dataset comes to its place when the `with` ends.

    With it comes what the body has written of the outputs `also`, by their names beside the
    dataset that it gets, as of `written_beside`.
    """
    _refuse_own_sources(sources, settings)
    both = [beside(settings.output)] if settings.privileged else []
    for path in both:
        refuse_existing(path, overwrite)
    also = [*both, *also]
    report = balance_folder(settings.output)
    former = [] if report in also else [report]
    for path in former:
        refuse_former_report(path, overwrite)
    with ExitStack() as opened:
        seconds: Sequence[Scene] = ()
        if settings.privileged:
            firsts = [s.scene for s in sources.scenes]
            seconds = opened.enter_context(seconds_of(settings.privileged, firsts))
        made = opened.enter_context(
            written_beside(settings.output, also=also, without=former, overwrite=overwrite)
        )
        yield _prepared(sources, settings, seconds, made, watcher)


def _prepared(
    sources: Sources,
    settings: PrepareSettings,
    seconds: Sequence[Scene],
    path: Path,
    watcher: Watcher,
) -> Dataset:
    """The dataset, written to `path`."""
    before = [s.scene for s in sources.scenes]
    bands = same_bands(before, watcher)
    if not sources.image_like:
        sources = in_one_unit(sources, watcher)
    seeds = np.random.SeedSequence(settings.seed).spawn(4)
    split_rng, draw_rng, pool_rng, fit_rng = (np.random.default_rng(seed) for seed in seeds)
    plan = planned(sources, settings, split_rng, draw_rng, watcher)
    with (
        closing(place_of(settings.workers, settings.scheduler, watcher)) as place,
        writing_dataset(
            path,
            bands=int(plan.used.sum()),
            dtype=np.result_type(*(scene.dtype for scene in plan.scenes)),
        ) as writer,
    ):
        openings = openings_of(sources, before, settings) if settings.elsewhere else ()
        spectra = Spectra(plan.scenes, plan.used, place, openings)
        rows = _taken(writer, spectra, sources, plan, settings, pool_rng, watcher)
        columns, cards = _columns(plan, rows, watcher)
        learnt = np.flatnonzero(np.isin(rows.part, (Part.TRAIN, Part.POOL)))
        fit = rows_to_fit(learnt, fit_rng)
        scaler = _scaler(writer.spectra(fit), rows, fit, sources, plan, settings, bands[0], watcher)
        neighbours = neighbour_table(rows.scene, rows.pixel)
        unit, unit_kind = None, "pixel"
        if sources.image_like:  # its rows and columns are no place on the ground
            neighbours[:] = -1
        else:
            cols = [scene.cols for scene in plan.scenes]
            unit, unit_kind = row_units(rows, plan.split, cols, plan.units)
        of_rows: dict[str, Any] = {
            "label": columns[0] if len(columns) == 1 else np.stack(columns, axis=1),
            "part": rows.part,
            "scene": rows.scene,
            "pixel": rows.pixel,
            "neighbours": neighbours,
            "unit": unit,
        }
        meta = {
            **_meta(sources, plan, settings, bands, writer.spectra(fit)),
            "scaling": scaler.to_card(),
            "unit_kind": unit_kind,
            **(cards[0] if len(cards) == 1 else {"label_sets": cards, "split": cards[0]["split"]}),
        }
        writer.finish(**of_rows, meta=meta)
        if seconds:
            write_privileged(path, writer, seconds, of_rows, meta, fit)
        if sources.class_file is not None:
            sources.class_file.save(watcher)
    return open_dataset(path)


def _taken(
    writer: DatasetWriter,
    spectra: Spectra,
    sources: Sources,
    plan: Plan,
    settings: PrepareSettings,
    pool_rng: np.random.Generator,
    watcher: Watcher,
) -> Rows:
    """Spectra written; the pixels that they are of."""
    counts = [len(label_set) for label_set in plan.label_sets]
    taker = Taker(spectra, writer, watcher, counts)
    taker.take_draws(plan.draws)
    eligible = _eligible(plan.split, plan.draws, anywhere=settings.transductive)
    tile = 1 if sources.image_like else settings.tile
    taker.take_pool(TilePool(eligible, tile, pool_rng), settings.unlabelled)
    taker.refuse_empty_scenes()
    return taker.rows()


def _columns(
    plan: Plan, rows: Rows, watcher: Watcher
) -> tuple[list[npt.NDArray[np.int16]], list[dict[str, Any]]]:
    """Of each label set the dataset's labels, of the classes that have pixels, and its card."""
    columns, cards, split = [], [], plan.split
    for i, label_set in enumerate(plan.label_sets):
        own = replace(rows, label=rows.label[:, i])
        there = _with_pixels(label_set, own)
        if not there.all():
            lost = [label_set.names[k] for k in np.flatnonzero(~there)]
            watcher.warn(
                "left out, because none of their labelled pixels is valid: "
                f"{listed(lost, len(lost))}"
            )
        columns.append(np.append(np.cumsum(there) - 1, UNLABELLED).astype(np.int16)[own.label])
        before = sum(map(len, plan.label_sets[:i]))
        rare = [k - before for k in split.rare if 0 <= k - before < len(label_set)]
        kept = LabelSet(label_set.name, tuple(itertools.compress(label_set.classes, there)))
        same = alike(kept.names, kept.colours)
        if same is not None:
            watcher.say(same)
        cards.append(
            {
                "label_set": kept.to_card(),
                "counts": _counts(label_set, plan.each[i], own, split.guard_lost, there),
                "split": {
                    "kind": split.kind,
                    "block": split.block,
                    "guard": split.guard,
                    "rare": [int(label_set.codes[k]) for k in rare],
                },
            }
        )
    return columns, cards


def _scaler(
    spectra: npt.NDArray[Any],
    rows: Rows,
    fit: npt.NDArray[np.int64],
    sources: Sources,
    plan: Plan,
    settings: PrepareSettings,
    wavelengths: npt.NDArray[np.float64] | None,
    watcher: Watcher,
) -> Scaler:
    """The scaling asked for, or the one that suits, fitted on the spectra of the rows `fit`."""
    scaling = settings.scaling or ("max" if sources.image_like else "noise")
    beside = neighbour_table(rows.scene[fit], rows.pixel[fit]) if scaling == "mnf" else None
    return fit_scaler(
        scaling,
        spectra,
        components=settings.components,
        wavelengths=None if wavelengths is None else wavelengths[plan.used],
        neighbours=beside,
        band_numbers=np.flatnonzero(plan.used).tolist(),
        watcher=watcher,
    )


def _meta(
    sources: Sources,
    plan: Plan,
    settings: PrepareSettings,
    bands: Bands,
    spectra: npt.NDArray[Any],
) -> dict[str, Any]:
    """What the dataset says of its sources; `spectra`: those that its scaling was fitted on."""
    numbers = None
    if not sources.image_like:
        units = plan.scenes[0].units
        numbers = LearntNumbers.of(spectra, units and units.of_bands(plan.used)).to_card()
    return {
        **facts_of(sources, plan.used, bands),
        "excluded_nm": [[one.low, one.high] for one in settings.excluded],
        "settings": settings.model_dump(mode="json", exclude=PATHS),
        "asked": asked_of(settings),
        "numbers": numbers,
        "recoded": {str(value): code for value, code in sources.recoded.items()},
        "seed": settings.seed,
        "transductive": settings.transductive,
        "image_like": sources.image_like,
    }


def _refuse_own_sources(sources: Sources, settings: PrepareSettings) -> None:
    """Raise `OutputError` if the output would replace what it is made of."""
    taken = [settings.wavelengths, *settings.train_labels, *settings.test_labels]
    taken += [vector_file(path) for path in settings.labels]
    if sources.class_file is not None:
        taken.append(sources.class_file.path)
    for source in sources.scenes:
        taken += [source.scene.path, *source.labels_paths]
    if settings.output.resolve() in {path.resolve() for path in taken if path is not None}:
        raise OutputError(
            f"{settings.output} is a source of this dataset and would be lost; name another output"
        )


def _eligible(split: Split, draws: Sequence[Draw], *, anywhere: bool) -> list[Bools]:
    """Pixels that the pool may take: unlabelled or not drawn, not among those tested on."""
    eligible = [
        np.ones(plane.shape, bool) if anywhere else (plane == Part.POOL) | (plane == Part.TRAIN)
        for plane in split.planes
    ]
    drawn = joined([draw.order[: draw.taken] for draw in draws])
    for number, plane in enumerate(eligible):
        plane.ravel()[drawn.flat[drawn.scene == number]] = False
    return eligible


def _with_pixels(label_set: LabelSet, rows: Rows) -> Bools:
    """Which classes `(K,)` have valid pixels."""
    trained = np.unique(rows.label[(rows.part == Part.TRAIN) & (rows.label >= 0)])
    if len(trained) < CLASSES_LEAST:
        found = ", ".join(label_set.names[k] for k in trained) or "none"
        raise LabelError(
            f"expected valid training pixels of two classes or more, found: {found}; "
            "label more pixels, or check the scenes' nodata value"
        )
    return np.bincount(rows.label[rows.label >= 0], minlength=len(label_set)) > 0


def _counts(
    label_set: LabelSet, labels: Sequence[Labels], rows: Rows, guard_lost: int, there: Bools
) -> dict[str, Any]:
    """Pixels of each class that is `there`, found and kept, for the report on label balance."""
    K = len(label_set)
    found = np.array([np.bincount(plane[plane >= 0], minlength=K) for plane in labels])
    parts = {
        part: np.bincount(rows.label[(rows.part == part) & (rows.label >= 0)], minlength=K)
        for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)
    }
    total, pixels = int(found.sum()), sum(plane.size for plane in labels)
    drawn_by_others = (rows.part == Part.TRAIN) & (rows.label < 0)
    return {
        "classes": [
            {
                "code": label.code,
                "name": label.name,
                "count": int(found[:, k].sum()),
                "kept": int(sum(n[k] for n in parts.values())),
                **{part.name.lower(): int(n[k]) for part, n in parts.items()},
                "scenes": int(np.count_nonzero(found[:, k])),
                "by_scene": {str(i): int(n) for i, n in enumerate(found[:, k]) if n},
            }
            for k, label in enumerate(label_set.classes)
            if there[k]
        ],
        "total": total,
        "pixels": pixels,
        "unlabelled": pixels - total,
        "pool": int(np.count_nonzero((rows.part == Part.POOL) | drawn_by_others)),
        "guard": guard_lost,
    }
