"""Labels drawn as polygons, lines and points: planes of codes and of polygons, scene by scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.class_codes import ClassFile, coded, remembered, styled
from hsi_ssl.labels.class_fields import class_field
from hsi_ssl.labels.coverage import pixels_of
from hsi_ssl.labels.frames import extent
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelClass
from hsi_ssl.labels.layer_classes import BY_LAYER, classed_by_layer, layers_of_classes
from hsi_ssl.labels.layers import Layer, listed
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.labels.vector_grid import layer_extent, on_grid
from hsi_ssl.labels.vectors import beside, layer_facts, read_layer
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

Ints = npt.NDArray[np.int64]

SUFFIX = ".classes.csv"
OR_BY_LAYER = f", or, where each layer is a class, give --label-field {BY_LAYER}"


@dataclass(frozen=True)
class DrawnLabels:
    """Planes `(rows, cols)` of each scene: codes, 0 unlabelled, and numbers of polygons, or -1.

    A polygon has one number in all scenes; those of one class that overlap share theirs. `classes`
    are all names that are known, `class_file` remembers them where the field holds names.
    """

    codes: list[npt.NDArray[np.uint16]] = field(repr=False)
    polygons: list[npt.NDArray[np.int32]] = field(repr=False)
    classes: tuple[LabelClass, ...]
    class_file: ClassFile | None


def drawn_labels(
    scenes: Sequence[Scene],
    paths: Sequence[Sequence[Path]],
    rules: LabelRules,
    known: Sequence[LabelClass] = (),
    watcher: Watcher = SILENT,
) -> DrawnLabels:
    """Labels of scenes from the vector layers `paths` of each.

    A pixel that two classes claim is left unlabelled. What overlaps, what lies outside and what is
    too small is said with the features' ids.

    Parameters
    ----------
    known
        Classes of the scenes' data set, whose names keep their codes.

    Raises
    ------
    SceneNotFoundError, VectorError
        A layer cannot be read, or nobody knows where it lies.
    LabelError
        There is no such field, or no telling which names the class; a value is no class; not one
        feature labels a pixel.
    """
    files = list(dict.fromkeys(path for some in paths for path in some))
    layers, number, why = _read(files, rules.field, watcher)
    places = [rules.classes] if rules.classes is not None else _places(files, rules.field)
    class_file = remembered(places)
    codes, classes = coded(layers, class_file.classes or known, watcher, rules.ignore)
    kept = class_file.classes
    of_numbers = () if classes else styled(layers, codes, kept, nameless=not known)
    board = _Board(layers, codes, rules.min_coverage)
    planes = [
        board.rasterised(scene, [i for path in some for i in number[path]], watcher)
        for scene, some in zip(scenes, paths, strict=True)
    ]
    board.names = {c.code: c.name for c in classes or (*kept, *of_numbers) or known}
    board.refuse_nothing(scenes, why)
    board.tell(watcher)
    return DrawnLabels(
        codes=[plane for plane, _ in planes],
        polygons=board.merged([polygons for _, polygons in planes]),
        classes=classes or (*kept, *of_numbers),
        class_file=class_file.extended(classes) if classes else None,
    )


def _places(files: Sequence[Path], field: str | None) -> list[Path]:
    """Where codes of names may be remembered: beside each file, first beside all that are classes.

    So a class whose file goes takes no codes along.
    """
    each = [beside(path, SUFFIX) for path in files]
    if field == BY_LAYER and len(each) > 1:
        each = [*(path.with_name(f"layers{SUFFIX}") for path in each), *each]
    return list(dict.fromkeys(each))


def _read(
    files: Sequence[Path], field: str | None, watcher: Watcher
) -> tuple[list[Layer], dict[Path, range], str]:
    """The layers of files with classes as values, the numbers of each file's, and a refusal's end.

    It tells why no feature of the first one may have a class, and what to do.
    """
    if field == BY_LAYER:
        each = {path: layers_of_classes(path) for path in files}
        layers = [read_layer(f, None, watcher) for some in each.values() for f in some]
        ends = np.cumsum([0, *map(len, each.values())]).tolist()
        number = {path: range(*ends[i : i + 2]) for i, path in enumerate(files)}
        why = "its name stands for none; call it after its class, or name a field"
        return classed_by_layer(layers, watcher), number, why
    facts = [layer_facts(path, OR_BY_LAYER) for path in files]
    columns = [class_field(one, field, watcher, alone=len(facts) == 1) for one in facts]
    layers = [read_layer(f, column, watcher) for f, column in zip(facts, columns, strict=True)]
    number = {path: range(i, i + 1) for i, path in enumerate(files)}
    why = f"field {columns[0]} holds nothing that names one; fill it in, or name another"
    return layers, number, why


class _Board:
    """Features brought onto scenes, and what became of each: numbers run on from layer to layer."""

    def __init__(self, layers: Sequence[Layer], codes: Sequence[Ints], least: float) -> None:
        self._layers = layers
        self._code = np.concatenate(codes)
        self._first = np.cumsum([0, *map(len, layers)])
        self._least = least
        n = len(self._code)
        self._on_scene, self._labels = np.zeros(n, bool), np.zeros(n, bool)
        self._same: list[Ints] = []
        """Pairs of features of one class that share pixels: `first * features + second`."""
        self._disputes: list[Ints] = []
        """Pairs of features of two classes that claim the same pixels, and how many, `(2, n)`."""
        self._kept = 0
        self.names: dict[int, str] = {}
        """Of codes, for people."""

    def rasterised(
        self, scene: Scene, numbers: Sequence[int], watcher: Watcher
    ) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int32]]:
        """Codes and feature numbers `(rows, cols)` of a scene, from some of the layers."""
        shape = scene.rows, scene.cols
        code = np.zeros(scene.rows * scene.cols, np.uint16)
        owner = np.full(code.size, -1, np.int32)
        disputed = np.zeros(code.size, bool)
        for i in numbers:
            mine = slice(self._first[i], self._first[i + 1])
            geometries = on_grid(self._layers[i], scene, watcher)
            geometries[self._code[mine] == UNLABELLED_CODE] = None
            frame = shapely.box(0, 0, scene.cols, scene.rows)
            self._on_scene[mine] |= shapely.intersects(geometries, frame)
            for covered in pixels_of(geometries, shape, self._least):
                self._rasterise(covered.owner + mine.start, covered.flat, code, owner, disputed)
        code[disputed], owner[disputed] = UNLABELLED_CODE, -1
        self._kept += int(np.count_nonzero(code))
        return code.reshape(shape), owner.reshape(shape)

    def _rasterise(
        self,
        feature: Ints,
        flat: Ints,
        code: npt.NDArray[np.uint16],
        owner: npt.NDArray[np.int32],
        disputed: npt.NDArray[np.bool_],
    ) -> None:
        """Give pixels to features: the first to come has it, until another class claims it."""
        self._labels[feature] = True
        free = np.flatnonzero(owner[flat] < 0)[::-1]
        owner[flat[free]] = feature[free]  # of several the last one stays, which came first
        code[flat[free]] = self._code[owner[flat[free]]]
        other = np.flatnonzero(owner[flat] != feature)
        first, second, where = owner[flat[other]].astype(np.int64), feature[other], flat[other]
        same = self._code[first] == self._code[second]
        pairs = first * len(self._code) + second
        self._same.append(np.unique(pairs[same]))
        disputed[where[~same]] = True
        self._disputes.append(np.stack(np.unique(pairs[~same], return_counts=True)))

    def merged(self, owners: list[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.int32]]:
        """Planes of features' numbers as those of polygons: of one class that overlap are one."""
        n = len(self._code)
        row, col = np.divmod(np.concatenate([np.empty(0, np.int64), *self._same]), n)
        graph = coo_array((np.ones(len(row), bool), (row, col)), shape=(n, n))
        number = np.append(connected_components(graph, directed=False)[1], -1).astype(np.int32)
        for owner in owners:
            for line in owner:  # in place: such a plane may be large
                line[:] = number[line]  # -1 is the last one
        return owners

    def refuse_nothing(self, scenes: Sequence[Scene], why: str) -> None:
        """Raise `LabelError` if not one pixel is labelled, saying why."""
        if self._kept:
            return
        layer, scene = self._layers[0], scenes[0]
        if not self._code.any():
            raise LabelError(f"no feature of {layer.path} has a class: {why} with --label-field")
        if not self._on_scene.any():
            raise LabelError(
                f"not one feature of {layer.path} lies on {scene.path}: the layer spans "
                f"{layer_extent(layer)}, the scene {extent(scene)}; check the CRS of both"
            )
        if not self._labels.any():
            raise LabelError(
                f"every feature of {layer.path} is too small: none covers "
                f"{100 * self._least:g} % of a pixel of {scene.path}; lower --min-coverage"
            )
        raise LabelError(
            f"every labelled pixel is claimed by two classes: features {self._disputed()}; correct "
            "the polygons"
        )

    def tell(self, watcher: Watcher) -> None:
        """Say which features label nothing, and which claim pixels of others."""
        classed = self._code != UNLABELLED_CODE
        for i, layer in enumerate(self._layers):
            mine = slice(self._first[i], self._first[i + 1])
            outside = classed[mine] & ~self._on_scene[mine]
            if outside.any():
                watcher.warn(
                    f"{layer.path}: {np.count_nonzero(outside)} of {len(layer)} feature(s) "
                    f"outside the scenes, which label nothing: {layer.listed(outside)}"
                )
            small = classed[mine] & self._on_scene[mine] & ~self._labels[mine]
            if small.any():
                what = f"cover {100 * self._least:g} %" if self._least else "hold the centre"
                watcher.warn(
                    f"{layer.path}: {np.count_nonzero(small)} of {len(layer)} feature(s) too "
                    f"small to {what} of a pixel, which label nothing: {layer.listed(small)}"
                )
        if disputed := self._disputed():
            watcher.warn(f"pixels that two classes claim are left unlabelled: features {disputed}")

    def _disputed(self) -> str:
        """Pairs of features that claim the same pixels, those with most pixels first."""
        pairs, n = np.concatenate([np.empty((2, 0), np.int64), *self._disputes], axis=1)
        pairs, which = np.unique(pairs, return_inverse=True)
        pixels = np.bincount(which, n, minlength=len(pairs)).astype(int)
        order = np.argsort(-pixels, kind="stable")
        return listed((self._dispute(pairs[k], pixels[k]) for k in order), len(order), "; ")

    def _dispute(self, pair: int, pixels: int) -> str:
        first, second = divmod(int(pair), len(self._code))
        return f"{self._called(first)} and {self._called(second)} ({pixels} pixels)"

    def _called(self, feature: int) -> str:
        """A feature by its id, its layer where there are several, and its class."""
        i = int(np.searchsorted(self._first, feature, side="right")) - 1
        layer, code = self._layers[i], int(self._code[feature])
        where = f"{layer.path.name} " if len(self._layers) > 1 else ""
        return f"{where}{layer.ids[feature - self._first[i]]} ({self.names.get(code, code)})"
