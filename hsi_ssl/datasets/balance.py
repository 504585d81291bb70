"""Label balance: how many pixels each class has, in which scene and part, and what that means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError, LabelError, OutputError
from hsi_ssl.files import refuse_existing
from hsi_ssl.hidden import is_hidden
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelClass, LabelSet

if TYPE_CHECKING:
    from hsi_ssl.labels.labelling import LabelledScene
from hsi_ssl.labels.sources import Sources

FEW = 50
"""Below so many labelled pixels a class's scores say little."""
DOMINANT = 0.5
"""A class with more than this share of the labels rules the overall accuracy."""
REPORT = {"index.html", "balance.csv", "balance.png"}
"""Files of a report, which is in a folder for each label set where there are several."""
MUCH_LOST = 0.1
"""A guard border that costs more than this share of the labels is worth a warning."""


def balance_folder(dataset: Path) -> Path:
    """Where the report on a dataset lies, beside it."""
    return dataset.with_name(f"{dataset.stem}_balance")


def refuse_former_report(folder: Path, overwrite: bool) -> None:
    """Refuse to take away the report on an older dataset with it.

    Raises
    ------
    OutputError
        It is there and `overwrite` is false, or holds what is no report's.
    """
    refuse_existing(folder, overwrite)
    strange = [p for p in folder.rglob("*") if p.name not in REPORT and not p.is_dir()]
    own = sorted(p.relative_to(folder).as_posix() for p in strange if not is_hidden(p))
    if own or folder.is_file():
        what = f"also holds {own[0]}, which would be lost" if own else "is a file"
        raise OutputError(
            f"{folder}, the report on the dataset that is replaced, {what}; move it away"
        )


@dataclass(frozen=True)
class ClassBalance:
    """One class. `kept` and the parts are None before `prepare`.

    `count` are the labelled pixels found, `kept` those in the dataset (after cap and guard),
    `by_scene` the labelled pixels found in each scene that has any, by scene number.
    """

    label: LabelClass
    count: int
    by_scene: dict[int, int]
    kept: int | None = None
    train: int | None = None
    validation: int | None = None
    test: int | None = None


@dataclass(frozen=True)
class Guesser:
    """What always answering the commonest class scores."""

    label: LabelClass
    oa: float
    balanced_accuracy: float
    macro_f1: float


@dataclass(frozen=True)
class Balance:
    """The label balance of scenes, or of the dataset prepared from them.

    `pixels` counts all pixels of all scenes, `unlabelled` those without label; `pool` the
    unlabelled ones in the dataset, `guard` the labelled ones lost to the border between parts.
    """

    label_set: LabelSet
    scenes: tuple[str, ...]
    classes: tuple[ClassBalance, ...]
    pixels: int
    unlabelled: int
    prepared: bool = False
    pool: int = 0
    guard: int = 0

    @property
    def total(self) -> int:
        """Labelled pixels found."""
        return sum(c.count for c in self.classes)

    @property
    def unlabelled_share(self) -> float:
        """Share of the scenes' pixels that have no label."""
        return self.unlabelled / self.pixels

    @property
    def imbalance_ratio(self) -> float:
        """Labelled pixels of the commonest class over those of the rarest."""
        counts = [c.count for c in self.classes]
        return max(counts) / min(counts)

    @cached_property
    def guesser(self) -> Guesser:
        """What always answering the commonest class scores on all labelled pixels."""
        return guess([c.count for c in self.classes], self.label_set)

    @cached_property
    def test_guesser(self) -> Guesser | None:
        """The same on the test pixels; None if there are none."""
        counts = [c.test or 0 for c in self.classes]
        return guess(counts, self.label_set) if any(counts) else None

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know before trusting scores made of these labels, in sentences."""
        return tuple(_warnings(self))

    def to_json(self) -> dict[str, Any]:
        """Give what `hsi-ssl balance --json` prints."""
        return {
            "label_set": self.label_set.name,
            "scenes": list(self.scenes),
            "pixels": self.pixels,
            "total": self.total,
            "unlabelled": self.unlabelled,
            "pool": self.pool,
            "guard": self.guard,
            "imbalance_ratio": self.imbalance_ratio,
            "majority": {
                "code": self.guesser.label.code,
                "oa": self.guesser.oa,
                "balanced_accuracy": self.guesser.balanced_accuracy,
                "macro_f1": self.guesser.macro_f1,
            },
            "classes": [
                {
                    "code": c.label.code,
                    "name": c.label.name,
                    "count": c.count,
                    "kept": c.kept,
                    "train": c.train,
                    "validation": c.validation,
                    "test": c.test,
                    "scenes": len(c.by_scene),
                    "by_scene": {self.scenes[i]: n for i, n in c.by_scene.items()},
                }
                for c in self.classes
            ],
            "warnings": list(self.warnings),
        }


def balance_of_dataset(dataset: Dataset) -> Balance:
    """Balance of a prepared dataset: found pixels from its record, kept ones from its rows.

    Raises
    ------
    DatasetError
        It keeps no record: its labels are not those that were prepared.
    """
    K = len(dataset.label_set)
    counts = dataset.meta.get("counts")
    if counts is None:
        raise DatasetError(
            f"{dataset.path} does not say how many labelled pixels were found; look at the balance "
            "of the dataset that `hsi-ssl prepare` made"
        )
    parts = {
        part: np.bincount(dataset.label[dataset.rows(part)], minlength=K)
        for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)
    }
    return Balance(
        label_set=dataset.label_set,
        scenes=unique_names([source["name"] for source in dataset.meta["sources"]]),
        classes=tuple(
            ClassBalance(
                label,
                count=found["count"],
                by_scene={int(i): n for i, n in found["by_scene"].items() if n},
                kept=int(sum(part[k] for part in parts.values())),
                train=int(parts[Part.TRAIN][k]),
                validation=int(parts[Part.VALIDATION][k]),
                test=int(parts[Part.TEST][k]),
            )
            for k, (label, found) in enumerate(
                zip(dataset.label_set.classes, counts["classes"], strict=True)
            )
        ),
        pixels=counts["pixels"],
        unlabelled=counts["unlabelled"],
        prepared=True,
        pool=counts["pool"],
        guard=counts["guard"],
    )


def balance_of_planes(
    planes: Iterable[npt.NDArray[Any]], names: Sequence[str], label_set: LabelSet
) -> Balance:
    """Balance of label planes `(rows, cols)` of codes, one a scene, read one at a time.

    `label_set` gives names and colours; only the classes that occur are kept.
    """
    found: dict[int, dict[int, int]] = {}
    pixels = unlabelled = 0
    for scene, plane in enumerate(planes):
        codes, counts = np.unique(plane, return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            pixels += count
            if code == UNLABELLED_CODE:
                unlabelled += count
            else:
                found.setdefault(code, {})[scene] = count
    occurring = label_set.occurring(np.array(list(found), np.int64))
    return Balance(
        label_set=occurring,
        scenes=unique_names(names),
        classes=tuple(
            ClassBalance(label, sum(found[label.code].values()), found[label.code])
            for label in occurring.classes
        ),
        pixels=pixels,
        unlabelled=unlabelled,
    )


def balance_of_sources(sources: Sources) -> Balance:
    """Balance of labelled scenes, before anything is prepared.

    Raises
    ------
    LabelError
        Not one pixel is labelled.
    """
    balance = balance_of_planes(
        (codes_of(source) for source in sources.scenes),
        [source.scene.name for source in sources.scenes],
        sources.label_set,
    )
    if not balance.classes:
        raise LabelError(
            f"not one pixel of {len(sources.scenes)} scene(s) is labelled: expected codes above "
            "0; give label maps with --labels"
        )
    return balance


def codes_of(source: LabelledScene) -> npt.NDArray[Any]:
    """Codes `(rows, cols)` of a scene: of its label map, or of its published maps together."""
    if source.train_labels is not None and source.test_labels is not None:
        test = source.test_labels
        both: npt.NDArray[Any] = np.where(test != UNLABELLED_CODE, test, source.train_labels)
        return both
    if source.labels is None:
        return np.zeros((source.scene.rows, source.scene.cols), np.int16)
    codes: npt.NDArray[Any] = source.labels
    return codes


def guess(counts: Sequence[int], label_set: LabelSet) -> Guesser:
    """Score always answering the commonest class, on pixels of which class k has `counts[k]`.

    Its recall is 1 for that class and 0 for the others; its precision there is the class's share
    p, so F1 = 2 p / (1 + p). Classes without pixels are left out of the means.
    """
    present = sum(count > 0 for count in counts)
    p = max(counts) / sum(counts)
    return Guesser(
        label_set.classes[int(np.argmax(counts))],
        oa=p,
        balanced_accuracy=1 / present,
        macro_f1=2 * p / (1 + p) / present,
    )


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names made unique by a number, so that they can head columns: a, b, a (2)."""
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(unique)


def _warnings(balance: Balance) -> Iterable[str]:
    classes, total = balance.classes, balance.total
    for c in classes:
        if c.count > DOMINANT * total:
            yield (
                f"{c.label.name} holds {100 * c.count / total:.0f} % of the labelled pixels: "
                f"a model that answers nothing else reaches that overall accuracy; "
                "look at balanced accuracy and macro-F1"
            )
    few = [f"{c.label.name} ({c.count})" for c in classes if c.count < FEW]
    if few:
        yield (
            f"fewer than {FEW} labelled pixels: {', '.join(few)}; "
            "scores of such a class are uncertain"
        )
    if len(balance.scenes) > 1:
        alone = [
            f"{c.label.name} ({balance.scenes[next(iter(c.by_scene))]})"
            for c in classes
            if len(c.by_scene) == 1
        ]
        if alone:
            yield (
                f"in one scene only: {', '.join(alone)}; "
                "nothing shows that such a class is recognised elsewhere"
            )
    if balance.prepared:
        for part, consequence in (
            ("train", "cannot be learnt"),
            ("validation", "do not take part in choosing the best model"),
            ("test", "cannot be scored"),
        ):
            missing = [c.label.name for c in classes if not getattr(c, part)]
            if missing:
                name = "training" if part == "train" else part
                yield f"no {name} pixels: {', '.join(missing)}; these {consequence}"
    if balance.guard > MUCH_LOST * total:
        yield (
            f"the guard border between parts costs {balance.guard} labelled pixels "
            f"({100 * balance.guard / total:.0f} %); a smaller --guard, or larger blocks "
            "(--split blocks, --block), cost fewer"
        )
