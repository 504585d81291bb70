"""Prepare: from labelled scenes to a dataset, in one pass over the pixels that are wanted.

Label planes come first and decide; spectra are read in sorted blocks and written as they come, so
memory holds planes and one block, never a cube.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import astuple, replace
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl import __version__
from hsi_ssl.datasets.balance import codes_of
from hsi_ssl.datasets.bands import same_bands, used_bands, without_ranges
from hsi_ssl.datasets.learnt_numbers import LearntNumbers
from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.one_unit import in_one_unit
from hsi_ssl.datasets.sampling import Draw, TilePool, joined, labelled_draws
from hsi_ssl.datasets.scaling import FIT_PIXELS, fit_scaler
from hsi_ssl.datasets.splits import (
    Labels,
    Split,
    split_fixed_test,
    split_pixels,
    split_units,
)
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, writing_dataset
from hsi_ssl.datasets.taking import Rows, Taker
from hsi_ssl.datasets.units import Found, cut, row_units, units_of
from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.files import refuse_existing
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import UNLABELLED, UNLABELLED_CODE, LabelSet, codes_to_indices
from hsi_ssl.labels.labelling import LabelledScene
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.labels.vectors import vector_file
from hsi_ssl.scenes.virtual import identity
from hsi_ssl.settings import PrepareSettings
from hsi_ssl.watcher import SILENT, Watcher

Bools = npt.NDArray[np.bool_]

SCENES_ENOUGH = 5
"""From so many labelled scenes on, whole scenes go to training, validation and test."""
CLASSES_LEAST = 2
PATHS = {
    "sources", "output", "labels", "classes", "train_labels", "test_labels", "wavelengths", "mask",
    "mask_out",
}  # fmt: skip
"""Settings that depend on where files lie; the dataset lists its sources anyway."""


def prepare(
    settings: PrepareSettings, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> Dataset:
    """Dataset made of the settings' sources, written to `settings.output`.

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
    refuse_existing(settings.output, overwrite)
    with sources_of(settings, watcher=watcher) as sources:
        return prepare_sources(sources, settings, overwrite=overwrite, watcher=watcher)


def sources_of(settings: PrepareSettings, *, watcher: Watcher = SILENT) -> Sources:
    """Open the settings' sources, for use in a `with`; bands to exclude are flagged as bad."""
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
            each.append(_without_excluded(one, settings, SILENT if each else watcher))
        on_error.pop_all()
    return replace(each[0], others=tuple(each[1:]))


def _without_excluded(sources: Sources, settings: PrepareSettings, watcher: Watcher) -> Sources:
    if not settings.excluded:
        return sources
    opened = [source.scene for source in sources.scenes]
    scenes = without_ranges(opened, settings.excluded, watcher)
    paired = zip(sources.scenes, scenes, strict=True)
    return replace(sources, scenes=tuple(replace(s, scene=scene) for s, scene in paired))


def prepare_sources(
    sources: Sources,
    settings: PrepareSettings,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> Dataset:
    """Dataset made of sources that are open; see `prepare`."""
    _refuse_own_sources(sources, settings)
    wavelengths, fwhm = same_bands([s.scene for s in sources.scenes])
    if not sources.image_like:
        sources = in_one_unit(sources, watcher)
    scenes = [s.scene for s in sources.scenes]
    seeds = np.random.SeedSequence(settings.seed).spawn(4)
    split_rng, draw_rng, pool_rng, fit_rng = (np.random.default_rng(seed) for seed in seeds)

    label_sets, each = zip(*(_indices(one) for one in sources.by_label_set), strict=True)
    labels = _running_on(label_sets, each)
    classes = sum(map(len, label_sets))
    units = cache(partial(units_of, sources, labels, classes))
    split = _split(sources, labels, classes, settings, split_rng, units)
    names = [name for label_set in label_sets for name in label_set.names]
    _tell(split, names, labels, sources, units, watcher)
    limits = _limits(settings, split)
    draws = labelled_draws(labels, split.planes, classes, limits, draw_rng)
    used = used_bands(scenes, labels, draw_rng, watcher)

    with writing_dataset(
        settings.output,
        bands=int(used.sum()),
        dtype=np.result_type(*(scene.dtype for scene in scenes)),
        overwrite=overwrite,
    ) as writer:
        taker = Taker(scenes, used, writer, watcher, [len(label_set) for label_set in label_sets])
        taker.take_draws(draws)
        eligible = _eligible(split, draws, anywhere=settings.transductive)
        tile = 1 if sources.image_like else settings.tile
        taker.take_pool(TilePool(eligible, tile, pool_rng), settings.unlabelled)
        taker.refuse_empty_scenes()
        rows = taker.rows()
        cards, columns = [], []
        for i, label_set in enumerate(label_sets):
            own = replace(rows, label=rows.label[:, i])
            there = _with_pixels(label_set, own)
            if not there.all():
                lost = [label_set.names[k] for k in np.flatnonzero(~there)]
                watcher.warn(
                    "left out, because none of their labelled pixels is valid: "
                    f"{listed(lost, len(lost))}"
                )
            columns.append(np.append(np.cumsum(there) - 1, UNLABELLED).astype(np.int16)[own.label])
            before = sum(map(len, label_sets[:i]))
            rare = [k - before for k in split.rare if 0 <= k - before < len(label_set)]
            kept = LabelSet(label_set.name, tuple(itertools.compress(label_set.classes, there)))
            cards.append(
                {
                    "label_set": kept.to_card(),
                    "counts": _counts(label_set, each[i], own, split.guard_lost, there),
                    "split": {
                        "kind": split.kind,
                        "block": split.block,
                        "guard": split.guard,
                        "rare": [int(label_set.codes[k]) for k in rare],
                    },
                }
            )

        fit = np.flatnonzero(np.isin(rows.part, (Part.TRAIN, Part.POOL)))
        if len(fit) > FIT_PIXELS:
            fit = np.sort(fit_rng.choice(fit, FIT_PIXELS, replace=False))
        scaling = settings.scaling or ("max" if sources.image_like else "noise")
        scaler = fit_scaler(
            scaling,
            writer.spectra(fit),
            components=settings.components,
            wavelengths=None if wavelengths is None else wavelengths[used],
            neighbours=neighbour_table(rows.scene[fit], rows.pixel[fit])
            if scaling == "mnf"
            else None,
            band_numbers=np.flatnonzero(used).tolist(),
            watcher=watcher,
        )
        neighbours = neighbour_table(rows.scene, rows.pixel)
        if sources.image_like:  # its rows and columns are no place on the ground
            neighbours[:] = -1
        unit, unit_kind = None, "pixel"
        if not sources.image_like:
            unit, unit_kind = row_units(rows, split, [scene.cols for scene in scenes], units)
        writer.finish(
            label=columns[0] if len(columns) == 1 else np.stack(columns, axis=1),
            part=rows.part,
            scene=rows.scene,
            pixel=rows.pixel,
            neighbours=neighbours,
            unit=unit,
            meta={
                "version": __version__,
                "title": sources.title,
                "sources": [_source_card(source) for source in sources.scenes],
                "bands": scenes[0].bands,
                "used_bands": np.flatnonzero(used).tolist(),
                "wavelengths_nm": None if wavelengths is None else wavelengths[used].tolist(),
                "fwhm_nm": None if fwhm is None else fwhm[used].tolist(),
                "excluded_nm": [[one.low, one.high] for one in settings.excluded],
                "settings": settings.model_dump(mode="json", exclude=PATHS),
                "scaling": scaler.to_card(),
                "numbers": None
                if sources.image_like
                else LearntNumbers.of(
                    writer.spectra(fit),
                    scenes[0].units and scenes[0].units.of_bands(used),
                ).to_card(),
                "recoded": {str(value): code for value, code in sources.recoded.items()},
                "seed": settings.seed,
                "transductive": settings.transductive,
                "image_like": sources.image_like,
                "unit_kind": unit_kind,
                **(
                    cards[0]
                    if len(cards) == 1
                    else {"label_sets": cards, "split": cards[0]["split"]}
                ),
            },
        )
        if sources.class_file is not None:
            sources.class_file.save(watcher)
    return open_dataset(settings.output)


def _indices(sources: Sources) -> tuple[LabelSet, list[Labels]]:
    """The classes that occur, and each scene's plane of their indices."""
    for source in sources.scenes:
        _refuse_overlap(source)
    planes = [codes_of(source) for source in sources.scenes]
    occurs = np.zeros(LARGEST_CODE + 1, bool)
    for plane in planes:
        occurs[plane] = True
    label_set = sources.label_set.occurring(np.flatnonzero(occurs))
    if not len(label_set):
        raise LabelError(
            f"not one pixel of {len(planes)} scene(s) is labelled: expected codes above 0; "
            "give label maps with --labels"
        )
    if len(label_set) < CLASSES_LEAST:
        only = label_set.classes[0]
        raise LabelError(
            f"all labelled pixels are of one class, {only.name} ({only.code}): expected two "
            "classes or more; label pixels of another, or choose another --label-set"
        )
    return label_set, [codes_to_indices(plane, label_set) for plane in planes]


def _running_on(label_sets: Sequence[LabelSet], each: Sequence[list[Labels]]) -> list[Labels]:
    """Each scene's indices as `splits` takes them: numbers that run on from set to set."""
    if len(label_sets) == 1:
        return each[0]
    first = np.cumsum([0, *map(len, label_sets)])[:-1, None, None]
    stacked = (np.stack(planes) for planes in zip(*each, strict=True))
    return [np.where(planes < 0, UNLABELLED, planes + first) for planes in stacked]


def _refuse_overlap(source: LabelledScene) -> None:
    """Raise `LabelError` if a pixel is in the training map and in the test map."""
    train, test = source.train_labels, source.test_labels
    if train is not None and test is not None:
        both = np.count_nonzero((train != UNLABELLED_CODE) & (test != UNLABELLED_CODE))
        if both:
            raise LabelError(
                f"{both} pixels of {source.scene.path} are in the training map and in the test "
                "map; take them out of one of the two"
            )


def _limits(settings: PrepareSettings, split: Split) -> dict[Part, int | None]:
    """Pixels a class that each part takes at most, None for all.

    A published training map is taken as a whole, unless a few labels a class are asked for.
    """
    if settings.per_class is None:
        most = None if split.kind == "maps" else settings.cap
        return {Part.TRAIN: most, Part.VALIDATION: most, Part.TEST: None}
    few = round(settings.validation * settings.per_class)
    if settings.validation:
        few = max(few, min(1, settings.per_class - 1))
    return {Part.TRAIN: settings.per_class - few, Part.VALIDATION: few, Part.TEST: None}


def _split(
    sources: Sources,
    labels: list[Labels],
    classes: int,
    settings: PrepareSettings,
    rng: np.random.Generator,
    units: Callable[[], Found],
) -> Split:
    """The split asked for, or the one that suits the sources."""
    given = sources.scenes
    if any(source.test_labels is not None for source in given):
        held_out = [
            np.zeros(plane.shape[-2:], bool) if s.test_labels is None else s.test_labels != 0
            for s, plane in zip(given, labels, strict=True)
        ]
        return split_fixed_test(labels, held_out, classes, settings.validation, rng, kind="maps")
    if settings.split is None and any(source.role == "test" for source in given):
        held_out = [
            np.full(plane.shape[-2:], s.role == "test")
            for s, plane in zip(given, labels, strict=True)
        ]
        return split_fixed_test(
            labels,
            held_out,
            classes,
            settings.validation,
            rng,
            kind="catalog",
            blocks=not sources.image_like,
            guard=settings.guard,
            block=settings.block,
        )
    labelled = sum(bool((plane >= 0).any()) for plane in labels)
    kind = settings.split
    if kind is None:
        kind = "pixels" if sources.image_like else "blocks"
        kind = "scenes" if labelled >= SCENES_ENOUGH else kind
    shares = {
        Part.TRAIN: 1 - settings.validation - settings.test,
        Part.VALIDATION: settings.validation,
        Part.TEST: settings.test,
    }
    if not settings.validation:
        del shares[Part.VALIDATION]
    if kind == "pixels":
        return split_pixels(labels, classes, shares, rng)
    return split_units(
        labels,
        classes,
        shares,
        rng,
        guard=settings.guard,
        block=settings.block,
        whole=kind == "scenes",
        polygons=units()[0] if kind == "polygons" else None,
    )


def _tell(
    split: Split,
    names: Sequence[str],
    labels: Sequence[Labels],
    sources: Sources,
    units: Callable[[], Found],
    watcher: Watcher,
) -> None:
    """Say how the pixels were split, and what is wrong with it."""
    drawn = all(source.polygons is not None for source in sources.scenes)
    if split.kind == "blocks":
        watcher.say(f"split by blocks of {split.block} x {split.block} pixels")
    if split.kind == "polygons":
        watcher.say(f"split by {'polygons' if drawn else 'connected patches of labels'}")
    elif drawn and split.block is not None:
        several, n = cut(units()[0], split.planes)
        if several:
            watcher.warn(
                f"{several} of {n} polygons are in more than one part, so that scores are too good "
                "for other polygons; --split polygons keeps each in one"
            )
    if split.kind == "scenes":
        # Rare classes train in scenes of other parts too.
        test, validation, train = (
            {i for i, plane in enumerate(split.planes) if (plane == part).any()}
            for part in (Part.TEST, Part.VALIDATION, Part.TRAIN)
        )
        watcher.say(
            f"split by scenes: {len(train - validation - test)} to train on, "
            f"{len(validation)} to validate, {len(test)} to test"
        )
    if split.kind == "pixels" and not sources.image_like:
        watcher.warn(
            "split pixels puts neighbours of test pixels into training, so its scores are too "
            "good for pixels elsewhere; --split blocks or scenes says more"
        )
    if split.rare:
        totals = [sum(int((plane == k).sum()) for plane in labels) for k in split.rare]
        rare = ", ".join(f"{names[k]} ({n})" for k, n in zip(split.rare, totals, strict=True))
        watcher.warn(
            f"too rare to be split, kept in training with all pixels and not tested: {rare}"
        )


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


def _source_card(source: LabelledScene) -> dict[str, Any]:
    """What the dataset remembers of a scene, to find it again and to know it."""
    scene = source.scene
    return {
        "name": scene.name,
        "path": str(scene.path),
        "labels_paths": [str(path) for path in source.labels_paths],
        **identity(scene),
        "rows": scene.rows,
        "cols": scene.cols,
        "bands": scene.bands,
        "dtype": str(scene.dtype),
        "crs": scene.grid.crs,
        "transform": scene.grid.transform,
        "control_points": [astuple(point) for point in scene.grid.control_points],
        "format": scene.format,
        "masks": [] if scene.looked is None else list(scene.looked.names),
    }
