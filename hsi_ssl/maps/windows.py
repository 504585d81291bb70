"""The windows of a scene through a classifier, several at once.

Each is read and classified by one thread. As many compute at a time as there are cores, and one
more than these reads meanwhile, so that no core waits for the disk; memory does not grow with the
scene.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import xlogy

from hsi_ssl.errors import ModelError, VectorError
from hsi_ssl.inference.checkpoint import model_name
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.discovered import MapClasses
from hsi_ssl.inference.novelty import Measure, Novelty
from hsi_ssl.labels.area import Area
from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.maps.bands import BandMatch
from hsi_ssl.maps.class_map import LAYERS, Layer
from hsi_ssl.maps.neighbourhood import Neighbourhood, Seen, reach
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings

T = TypeVar("T")
W = TypeVar("W")
Look = Callable[[slice, slice], Seen]
Raw = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

CPU_BLOCK = 512
"""Spectra that one core takes through the network at a time."""
MOST_THREADS = 16
"""More would hold more windows in memory and read no faster."""
FEEDING = 2
"""Threads that feed a GPU."""
AHEAD = 1
"""Threads more than compute: what they read is there when a core is free."""


@dataclass(frozen=True)
class Classified:
    """One window done: class indices `(r, c)`, -1 where there is none; layers, NaN there.

    `free`: how many pixels are in free slots that are no class of the map; they have layers.
    """

    rows: slice
    cols: slice
    indices: npt.NDArray[np.int64]
    layers: dict[Layer, Floats]
    free: int


def asked_layers(settings: ClassifySettings) -> tuple[Layer, ...]:
    """The layers that the settings ask for beside the map."""
    return tuple(layer for layer in LAYERS if getattr(settings, layer))


def novelty_asked(
    classifier: Classifier, settings: ClassifySettings
) -> tuple[Novelty | None, Measure, int]:
    """What novelty is told by, None where none is asked for; the measure, the samples.

    Raises
    ------
    ModelError
        It is asked for by a measure that this run does not have.
    """
    asked = settings.novelty or settings.p_value or settings.reject is not None
    if asked and settings.novelty_by not in classifier.measures:
        raise ModelError(
            f"novelty by {settings.novelty_by} needs a model of spectra, which "
            f"{model_name(classifier.card)} is not: take --novelty-by classes"
        )
    kept = classifier.novelty_kept if asked else None
    own = kept.samples if kept is not None else 1
    return kept, settings.novelty_by, settings.samples or own


@dataclass(frozen=True)
class Windows:
    """A scene on its way through a classifier, with the classes that its map shows.

    `strength` is that of the spatial prior, 0 for none; with an `area`, the rest is left out.
    """

    scene: Scene
    match: BandMatch
    classifier: Classifier
    classes: MapClasses
    settings: ClassifySettings
    strength: float = 0.0
    area: Area | None = None

    @cached_property
    def near(self) -> Area | None:
        """The area and what its pixels hear from."""
        if self.area is None or not self._reach:
            return self.area
        return self.area.grown(self._reach)

    @property
    def _surroundings(self) -> bool:
        """Whether it counts how strange the surroundings of a pixel are."""
        return self.settings.p_value or self.settings.reject is not None

    @property
    def _reach(self) -> int:
        return reach(self.strength, surroundings=self._surroundings)

    @cached_property
    def places(self) -> list[tuple[slice, slice]]:
        """The windows to read.

        Raises
        ------
        VectorError
            The area holds the centre of no pixel.
        """
        whole = self.scene.windows(self.settings.window)
        if self.near is None:
            return list(whole)
        found = list(self.near.windows(whole))
        if not found:
            raise VectorError(
                f"the area of {self.settings.area} holds the centre of no pixel of "
                f"{self.scene.path}; draw larger polygons"
            )
        return found

    def classified(self, folder: Path, watcher: Watcher) -> Generator[Classified]:
        """All windows, done; where neighbours count, what waits lies on the disk of `folder`."""
        device = self.classifier.device
        read = self.scene.read

        def by_itself(rows: slice, cols: slice, window: Raw) -> Classified:
            return self._decided(rows, cols, self._seen(rows, cols, window))

        if not self._reach:
            yield from in_threads(read, by_itself, self.places, device)
            return
        neighbourhood = Neighbourhood(
            folder,
            (self.scene.rows, self.scene.cols),
            self.classifier.model.classes,
            self.strength,
            device,
            surroundings=self._surroundings,
        )
        done, name = 0, self.scene.name

        def tell(rows: slice, cols: slice, window: Raw) -> int:
            found = self._seen(rows, cols, window)
            neighbourhood.tell(rows, cols, found)
            return found.valid.size

        with (
            neighbourhood,
            contextlib.closing(in_threads(read, tell, self.places, device)) as told,
        ):
            for pixels in told:
                done += pixels
                watcher.progress(f"look at {name}", done, self.scene.rows * self.scene.cols)
            squares: Iterable[tuple[slice, slice]] = neighbourhood.squares()
            hear: Look = neighbourhood.hear
            if self.area is not None:
                squares, hear = self.area.windows(squares), partial(_only, self.area, hear)

            def among_others(rows: slice, cols: slice, read: None) -> Classified:
                return self._decided(rows, cols, hear(rows, cols))

            yield from in_threads(nothing, among_others, squares, device)

    @cached_property
    def _alone(self) -> Classifier:
        """What says what pixels are by themselves."""
        # The prior's strength was learnt beside probabilities that nobody had calibrated.
        return self.classifier.uncalibrated if self.strength else self.classifier

    def _seen(self, rows: slice, cols: slice, window: Raw) -> Seen:
        """What the pixels of a window as it was read, those in the area, are by themselves."""
        classifier = self._alone
        near = None if self.near is None else self.near.mask(rows, cols).ravel()
        spectra, valid = self.match.brought(window, self.scene.nodata, near)
        p = by_blocks(classifier.posterior, spectra, classifier.device)
        kept, measure, samples = novelty_asked(classifier, self.settings)
        novelty = np.empty(0, np.float32)
        if kept is not None:
            told = partial(classifier.novelty_score, measure=measure, samples=samples)
            novelty = by_blocks(told, spectra, classifier.device)
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        return Seen(valid.reshape(shape), p, novelty)

    def _decided(self, rows: slice, cols: slice, seen: Seen) -> Classified:
        """Decide on the classes of a window."""
        settings, classes = self.settings, self.classes
        p, score, shape = seen.p, seen.novelty, seen.valid.shape
        valid = seen.valid.ravel()
        best = p.argmax(1)
        confidence = p[np.arange(len(p)), best]
        found: dict[Layer, Floats] = {}
        kept, measure, _ = novelty_asked(self.classifier, settings)
        p_value = score
        if kept is not None and self._surroundings:
            p_value = kept.p_values(score, seen.around, measure)
        for layer in asked_layers(settings):
            if layer == "confidence":
                found[layer] = confidence
            elif layer == "probabilities":
                found[layer] = p[:, classes.columns]
            elif layer == "entropy":
                found[layer] = -xlogy(p, p).sum(1)
            else:
                found[layer] = score if layer == "novelty" else p_value
        indices = np.full(valid.shape, UNLABELLED, np.int64)
        sure = np.isfinite(confidence)
        known = np.where(sure, classes.indices(best), UNLABELLED)
        if settings.reject is not None:
            discovered = known >= len(self.classifier.label_set)
            known[sure & ~discovered & (p_value <= settings.reject)] = len(classes.label_set)
        indices[valid] = known
        free = int(sure.sum() - (indices >= 0).sum())
        planes = {layer: _plane(values, valid, shape) for layer, values in found.items()}
        return Classified(rows, cols, indices.reshape(shape), planes, free)


def _only(area: Area, look: Look, rows: slice, cols: slice) -> Seen:
    """What is seen of the pixels of an area."""
    return look(rows, cols).only(area.mask(rows, cols))


def in_threads(
    read: Callable[[slice, slice], W],
    task: Callable[[slice, slice, W], T],
    places: Iterable[tuple[slice, slice]],
    device: torch.device,
) -> Generator[T]:
    """Read at each place and do the task with it, a few at once; results come in their order.

    On a CPU each thread computes on one core: a matrix product shared by all cores makes each
    wait for the slowest, and reading would take cores away from it. A GPU is fed by two threads,
    one of which decides on what it said. What is to be read next is read meanwhile.
    """
    cores = torch.get_num_threads()
    on_cpu = device.type == "cpu"
    computing = min(cores, MOST_THREADS) if on_cpu else FEEDING
    threads = computing + AHEAD
    given_up = threading.Event()
    turns = threading.Semaphore(computing)
    begin = partial(_begin, given_up, 1 if on_cpu else cores)

    def one(rows: slice, cols: slice) -> T:
        what = read(rows, cols)
        with turns:
            return task(rows, cols, what)

    try:
        with ThreadPoolExecutor(threads, initializer=begin) as pool:
            pending: deque[Future[T]] = deque()
            try:
                for place in places:
                    pending.append(pool.submit(one, *place))
                    if len(pending) > threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                given_up.set()  # whoever stops this waits for the threads
                for future in pending:
                    future.cancel()
    finally:
        torch.set_num_threads(cores)


def nothing(rows: slice, cols: slice) -> None:
    """What is read for a task that reads by itself."""


def by_blocks(apply: Callable[[Raw], Floats], spectra: Raw, device: torch.device) -> Floats:
    """`apply` to spectra; on a CPU to so few at a time that what it computes stays in the cache."""
    if device.type != "cpu" or len(spectra) <= CPU_BLOCK:
        return apply(spectra)
    found = []
    for first in range(0, len(spectra), CPU_BLOCK):
        if _of_thread.given_up.is_set():
            raise GivenUpError
        found.append(apply(spectra[first : first + CPU_BLOCK]))
    return np.concatenate(found)


class GivenUpError(Exception):
    """Nobody waits for what a thread computes any more."""


class _OfThread(threading.local):
    """What a thread knows of the work that it has a part in."""

    given_up = threading.Event()
    """Set once nobody waits for its results."""


_of_thread = _OfThread()


def _begin(given_up: threading.Event, cores: int) -> None:
    """What each of the threads does first."""
    _of_thread.given_up = given_up
    torch.set_num_threads(cores)


def _plane(values: Floats, valid: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> Floats:
    """Values `(n,)` or `(n, K)` of the valid pixels on their window `(r, c[, K])`, else NaN."""
    plane = np.full((len(valid), *values.shape[1:]), np.nan, np.float32)
    plane[valid] = values
    return plane.reshape(*shape, *values.shape[1:])
