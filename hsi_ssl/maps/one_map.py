"""From one scene and a trained classifier to its class map, and what goes with it."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsi_ssl.claims import claimed
from hsi_ssl.errors import OutputError, SceneError
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.dataset_prior import strength_of
from hsi_ssl.inference.discovered import load_discovered, map_classes
from hsi_ssl.inference.precision import quick_products
from hsi_ssl.labels.area import Area
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.looking import MASKED_TAG
from hsi_ssl.maps.bands import BandMatch, ModelBands
from hsi_ssl.maps.class_map import MapWriter, class_map, outputs, with_reject
from hsi_ssl.maps.fitting import all_fitted
from hsi_ssl.maps.map_grid import say_where
from hsi_ssl.maps.places import check_place, claims_of, of_label_set
from hsi_ssl.maps.records import (
    ABOUT_RUNNING,
    Facts,
    kept_result,
    made_of,
    record_path,
    write_record,
)
from hsi_ssl.maps.stac import former_item, item_path, write_item
from hsi_ssl.maps.windows import Windows, asked_layers, novelty_asked
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings


RECORDED = (
    "label_set", "pixels", "classified", "counts", "in_free_slots", "rejected", "masked", "cells"
)  # fmt: skip
"""What a record tells of a map."""


@dataclass(frozen=True)
class ClassifyResult:
    """What was made and how fast. `counts` are pixels by code, 0 = not classified.

    `in_free_slots`: those among the latter whose most probable slot is free; `rejected`: those that
    no class explains, None if nothing was to be rejected.
    """

    map: Path
    label_set: str
    pixels: int
    classified: int
    seconds: float
    pixels_per_second: float
    peak_memory_mb: float
    """Of the whole process since it began."""
    counts: dict[int, int]
    in_free_slots: int
    rejected: int | None
    masked: int | None = None
    """Pixels that a mask left out, which are not classified; None without a mask."""
    cells: dict[int, int] | None = None
    """Of a map on a grid of its own, by a lookup table: cells by code. The rest is of pixels."""
    mosaic: Path | None = None
    """Of which the map is a part."""
    left: bool = False
    """It was there, made of the same, and stays as it is; nothing was timed."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        found = {**vars(self), "map": str(self.map), "mosaic": self.mosaic and str(self.mosaic)}
        optional = {"mosaic", "masked", "cells"}
        if not self.left:
            del found["left"]
        return {k: value for k, value in found.items() if k not in optional or value is not None}

    def to_record(self) -> dict[str, Any]:
        """What its record keeps of it: all but places and times."""
        return {name: value for name, value in vars(self).items() if name in RECORDED}


def check_novelty(classifier: Classifier, settings: ClassifySettings) -> None:
    """Refuse what the run cannot tell of novelty."""
    kept, measure, samples = novelty_asked(classifier, settings)
    if kept is not None and (settings.p_value or settings.reject is not None):
        kept.check(measure, samples, settings.reject)


def shown_classes(classifier: Classifier, settings: ClassifySettings) -> LabelSet:
    """All classes that a map shows, those that were discovered and the rejected among them."""
    discovered = load_discovered(settings.model, classifier.card)
    label_set = map_classes(classifier.label_set, discovered).label_set
    return with_reject(label_set) if settings.reject is not None else label_set


def classify_scene(
    scene: Scene,
    classifier: Classifier,
    settings: ClassifySettings,
    output: Path,
    *,
    match: BandMatch | None = None,
    area: Area | None = None,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> ClassifyResult:
    """Write the class map of a scene, or of an area in it, to `output`, and its layers beside it.

    `match` is how the scene is brought to the model, where that is known already.

    Pixels without measurement, ones on which the model gives no finite answer, and ones in free
    slots in which nothing was discovered are 0; the layers hold the last ones' values, and the
    probabilities of the classes then sum to less than 1. Pixels to
    reject get the next code above all classes, unless they lie in a group that was discovered.

    Raises
    ------
    BandsError, UnitsError
        The scene's bands or numbers are not the model's and cannot or may not be brought to them.
    OutputError
        As `class_map`.
    SceneError
        The scene is broken, or none of its pixels (in the area) is valid.
    VectorError
        The area is smaller than a pixel.
    ModelError
        What was discovered with the model cannot be read.
    """
    started = time.perf_counter()
    facts = made_of(scene, classifier, settings)  # before it is read: it may change meanwhile
    match = match or _fitted([scene], classifier, settings, watcher)[0]
    classes = map_classes(classifier.label_set, load_discovered(settings.model, classifier.card))
    label_set, layers = classes.label_set, asked_layers(settings)
    strength = _said_strength(scene, classifier, settings, watcher)
    pixels = scene.rows * scene.cols
    work = Windows(scene, match, classifier, classes, settings, strength, area)
    say_where(scene, watcher)
    watcher.detail(f"{scene.name}: {len(work.places)} windows to read")
    with class_map(
        output,
        rows=scene.rows,
        cols=scene.cols,
        grid=scene.grid,
        ortho=scene.ortho,
        label_set=label_set,
        layers=layers,
        reject=settings.reject is not None,
        tags=_tags(scene, classifier, settings, label_set, strength),
        also=[record_path(output), *([item_path(output)] if settings.stac else [])],
        without=_former(output, facts, settings) if overwrite else (),
        overwrite=overwrite,
    ) as written:
        free = _write_windows(work, written, output.parent, watcher)
        counts = written.counts
        # Their code is the last, above all classes.
        rejected = counts[max(counts)] if settings.reject is not None else None
        if counts[0] == pixels and not free:
            raise _nothing_valid(scene, None if area is None else settings.area)

        def result() -> ClassifyResult:
            seconds = time.perf_counter() - started
            return ClassifyResult(
                map=output,
                label_set=label_set.name,
                pixels=pixels,
                classified=pixels - counts[0] - (rejected or 0),
                seconds=seconds,
                pixels_per_second=pixels / seconds,
                peak_memory_mb=peak_memory_mb(),
                counts=counts,
                in_free_slots=free,
                rejected=rejected,
                masked=written.masked,
                cells=None if scene.ortho is None else written.cells,
            )

        def finish(made: Path) -> None:
            if settings.stac:
                write_item(
                    output, made, scene, classifier, settings.model,
                    shown_classes(classifier, settings), written.cells, layers, watcher=watcher,
                )  # fmt: skip
            if facts is not None:
                names = [place.name for place in _files(output, scene, settings)]
                files = [made.with_name(name) for name in names]
                write_record(record_path(made), facts, files, result().to_record())

        written.finish = finish
    if free:
        watcher.say(_free_in_words(free, settings.model, scene.path))
    return result()


def made_or_left(
    scene: Scene,
    look: Callable[[], Scene | None],
    classifiers: Sequence[Classifier],
    settings: ClassifySettings,
    output: Path,
    *,
    area: Area | None = None,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[ClassifyResult]:
    """The map of a scene for each label set, made, or left where it was made of the same before.

    `look` gives the scene with what masks leave of it, None for nothing; to propose them takes
    longer than to find that a map is there.

    Raises
    ------
    OutputError
        A map is there and its record tells otherwise, or there is none; another run writes it.
    HsiSslError
        As `classify_scene`.
    """
    layers, found = asked_layers(settings), list[ClassifyResult]()
    inputs = [path for path in (settings.wavelengths, settings.area) if path is not None]
    inputs += [scene.path, *settings.mask, *settings.mask_out]
    looked: Scene | None = None
    match: BandMatch | None = None
    for classifier in classifiers:
        path = of_label_set(output, classifier.label_set, len(classifiers))
        with claimed(*claims_of([path], layers)):
            left = None if overwrite else _left(path, scene, classifier, settings)
            if left is not None:
                found.append(left)
                continue
            check_place(
                path, layers, scene.map_grid, inputs, stac=settings.stac, overwrite=overwrite
            )
            looked = looked or look()
            if looked is None:
                return found
            match = match or _fitted([looked], classifier, settings, watcher)[0]
            made = classify_scene(
                looked, classifier, settings, path,
                match=match, area=area, overwrite=overwrite, watcher=watcher,
            )  # fmt: skip
            found.append(made)
    return found


def _left(
    path: Path, scene: Scene, classifier: Classifier, settings: ClassifySettings
) -> ClassifyResult | None:
    """The map that is there, where it would be made of the same; None where there is none.

    Raises
    ------
    OutputError
        It would be made of something else, or nobody knows.
    """
    if not path.is_file():
        return None
    kept, why = kept_result(path, made_of(scene, classifier, settings))
    try:
        if kept is not None:
            codes = ("counts", "cells")
            by_code = {k: {int(c): n for c, n in kept[k].items()} for k in codes if kept[k]}
            same = {name: kept[name] for name in RECORDED} | by_code
            return ClassifyResult(
                map=path, seconds=0.0, pixels_per_second=0.0, peak_memory_mb=peak_memory_mb(),
                left=True, **same,
            )  # fmt: skip
    except (LookupError, ValueError, AttributeError, TypeError):
        why = f"its record {record_path(path).name} cannot be read"
    raise OutputError(
        f"{path} exists already and {why}; pass --overwrite to replace it, or name another"
    )


def _files(path: Path, scene: Scene, settings: ClassifySettings) -> list[Path]:
    """What is made for a map, but its record."""
    layers = asked_layers(settings)
    item = [item_path(path)] if settings.stac else []
    return [*outputs(path, layers, scene.map_grid).values(), *item]


def _former(path: Path, facts: Facts | None, settings: ClassifySettings) -> list[Path]:
    """What goes with a map that is replaced and has no successor: its item, its record."""
    item = [] if settings.stac else former_item(path)
    return [*item, record_path(path)] if facts is None else item


def _free_in_words(free: int, run: Path, scene: Path) -> str:
    return (
        f"{free:,} pixels lie in free slots that hold no group: 0 on the map; "
        f"`hsi-ssl discover {run} {scene}` looks for groups"
    )


def _nothing_valid(scene: Scene, area: Path | None) -> SceneError:
    where = "" if area is None else f" in the area of {area}"
    if scene.looked is not None:
        where += " that its masks leave"
    return SceneError(
        f"{scene.path} has no valid pixel{where}: in each some used band is nodata or not "
        "finite, or all are one number, such as zero; check the scene's nodata value and its bands"
    )


def _said_strength(
    scene: Scene, classifier: Classifier, settings: ClassifySettings, watcher: Watcher
) -> float:
    """Strength of the spatial prior; what is to be said before a map is begun is said."""
    masks = classifier.card["dataset"].get("masks", ())
    if masks and scene.looked is None:
        watcher.say(
            f"the model learnt under a mask ({listed(masks, len(masks))}) and {scene.path.name} is "
            "mapped without: what its mask left out is mapped too; give --mask, or --mask auto"
        )
    nodata = classifier.card["dataset"].get("nodata")
    if nodata is not None and settings.nodata is None and scene.nodata != nodata:
        watcher.say(
            f"the model learnt from scenes in which {nodata:g} stands for no data (--nodata), and "
            f"{scene.path.name} is mapped without: give it here too if it does here"
        )
    strength = strength_of(classifier.card, settings.spatial)
    if isinstance(settings.spatial, str):
        watcher.say(f"spatial prior of strength {strength:.2f}, {settings.spatial}")
    return strength


def _tags(
    scene: Scene,
    classifier: Classifier,
    settings: ClassifySettings,
    label_set: LabelSet,
    strength: float,
) -> dict[str, str]:
    """What a map says of how it was made."""
    return {
        "SCENE": scene.path.name,
        "MODEL": str(settings.model),
        "MODEL_SHA256": classifier.card["weights_sha256"],
        "LABEL_SET": label_set.name,
        "SPATIAL_PRIOR": f"{strength:g}",
        "SETTINGS": json.dumps(settings.model_dump(mode="json", exclude=ABOUT_RUNNING)),
        **({MASKED_TAG: ", ".join(scene.looked.names)} if scene.looked else {}),
    }


def _write_windows(work: Windows, written: MapWriter, folder: Path, watcher: Watcher) -> int:
    """Classify and write window by window; gives how many pixels lie in free slots."""
    scene, done, free = work.scene, 0, 0
    pixels = scene.rows * scene.cols
    # Closing waits for the threads, so that nobody closes the scene under their hands.
    found = work.classified(folder, watcher)
    with quick_products(work.classifier.device), contextlib.closing(found) as windows:
        for window in windows:
            written.write(window.rows, window.cols, window.indices, window.layers)
            done += window.indices.size
            free += window.free
            if scene.looked is not None:
                hidden = ~scene.looked.mask(window.rows, window.cols)
                written.masked = (written.masked or 0) + int(np.count_nonzero(hidden))
            watcher.progress(f"classify {scene.name}", done, pixels)
    if done < pixels:  # what lies outside the area needs no work
        watcher.progress(f"classify {scene.name}", pixels, pixels)
    return free


def _fitted(
    scenes: Sequence[Scene], classifier: Classifier, settings: ClassifySettings, watcher: Watcher
) -> list[BandMatch]:
    return all_fitted(
        scenes, ModelBands.from_card(classifier.card), resample=settings.resample,
        force=settings.force, watcher=watcher,
    )  # fmt: skip


def peak_memory_mb() -> float:
    """The most memory in MiB that this process has held at once."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; there ru_maxrss also counts what the parent held at the fork
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
