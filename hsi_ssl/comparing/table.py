"""The table of a comparison: means over seeds, what is told apart, in words and as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from hsi_ssl.comparing.grid import NONE, SCORES, Result
from hsi_ssl.reports.metrics import listed

PCA = "pca"
BEST, LEVEL = "best", "level"
"""Marks of the highest mean macro-F1, and of what is not told apart from it."""
Spread = tuple[float | None, float | None]


@dataclass(frozen=True)
class Line:
    """One extractor with one classifier and a number of labels, over seeds.

    `scores`: mean and standard deviation (None of one seed) by name, none where all seeds were
    refused, for the reason `refused`; times and bytes are means.
    """

    extractor: str
    classifier: str
    labels: int
    seeds: int
    scores: dict[str, Spread]
    seconds: float
    extractor_seconds: float
    bytes: float
    features: int
    tuned: tuple[str, ...]
    refused: str
    mark: str = ""

    @property
    def name(self) -> str:
        """As in figures."""
        return f"{self.classifier} on {self.extractor}"


def summary(results: Iterable[Result]) -> list[Line]:
    """One line for each extractor, classifier and number of labels, in their order; marked."""
    by_labels: dict[int, dict[tuple[str, str], list[Result]]] = {}
    for r in results:
        of = by_labels.setdefault(r.labels, {})
        of.setdefault((r.extractor, r.classifier), []).append(r)
    found = []
    for labels, cells in sorted(by_labels.items()):
        best = max(cells.values(), key=lambda some: _mean_of(some, "macro_f1", -1.0))
        for some in cells.values():
            mark = ""
            if some is best and _scored(some):
                mark = BEST
            elif _scored(some) and told_apart(best, some) == 0:
                mark = LEVEL
            found.append(_line(labels, some, mark))
    return found


def told_apart(a: Sequence[Result], b: Sequence[Result]) -> int | None:
    """1 where a's macro-F1 is better than b's, -1 where worse, 0 where that cannot be told.

    Seeds are paired, since they drew the same labels: a difference is one if its mean exceeds its
    standard deviation. None where fewer than two seeds have both.
    """
    theirs = {r.seed: r.macro_f1 for r in b if r.macro_f1 is not None}
    away = [r.macro_f1 - theirs[r.seed] for r in a if r.macro_f1 is not None and r.seed in theirs]
    if len(away) < 2:  # noqa: PLR2004
        return None
    if abs(mean(away)) <= stdev(away):
        return 0
    return 1 if mean(away) > 0 else -1


def by_chance(seeds: int) -> float:
    """How often extractors that are alike are told apart: of normal differences, Student's t."""
    return float(2 * student.sf(math.sqrt(seeds), seeds - 1))


def answers(results: Sequence[Result]) -> list[str]:
    """In words: each extractor against none and against PCA, classifier by classifier."""
    if len({r.seed for r in results}) < 2:  # noqa: PLR2004
        return ["one seed: no difference can be judged; give more with --seeds"]
    extractors = list(dict.fromkeys(r.extractor for r in results))
    said = []
    for labels in sorted({r.labels for r in results}):
        for other in (NONE, PCA):
            for extractor in extractors:
                if other in extractors and extractor not in (other, NONE):
                    said += _against(extractor, other, labels, results)
    return said


def _against(extractor: str, other: str, labels: int, results: Sequence[Result]) -> list[str]:
    better: list[str] = []
    worse: list[str] = []
    level = 0
    for classifier in dict.fromkeys(r.classifier for r in results):
        a, b = (
            [r for r in results if (r.extractor, r.classifier, r.labels) == (e, classifier, labels)]
            for e in (extractor, other)
        )
        verdict = told_apart(a, b)
        if verdict == 0:
            level += 1
        elif verdict is not None:
            (better if verdict > 0 else worse).append(classifier)
    if not better and not worse and not level:
        return []
    parts = [f"better with {listed(better)}"] if better else []
    parts += [f"worse with {listed(worse)}"] if worse else []
    parts += [f"not told apart with {level} classifier{'s' * (level > 1)}"] if level else []
    against = "scaled spectra" if other == NONE else other
    return [f"{labels} labels a class, {extractor} against {against}: {', '.join(parts)}"]


def in_words(result: Result) -> str:
    """One cell as a line."""
    name = f"{result.classifier} on {result.extractor}, {result.labels} labels, seed {result.seed}"
    if result.refused:
        return f"{name}: not possible: {result.refused}"
    oa, f1 = (percent(value) for value in (result.oa, result.macro_f1))
    return f"{name}: OA {oa}, macro-F1 {f1} ({result.seconds:.1f} s)"


def text_table(results: Sequence[Result]) -> list[str]:
    """The table as lines of text: scores in percent, standard deviations over seeds in brackets."""
    head = ["classifier", "features", "OA", "AA", "macro-F1", "kappa", "seconds", "size", ""]
    text: list[str] = []
    for labels, lines in groupby(summary(results), key=lambda line: line.labels):
        some = list(lines)
        rows = [[*_cells(line), _mark(line)] for line in some]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        text += ["", f"{labels} labels a class, {some[0].seeds} seed{'s' * (some[0].seeds > 1)}"]
        for row in [head, *rows]:
            cells = [
                cell.ljust(width) if i in (0, 1, len(row) - 1) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            text.append("  ".join(cells).rstrip())
    return [*text, "", *answers(results)]


def _cells(line: Line) -> list[str]:
    count = f" ({line.features})" if line.features else ""
    named = [line.classifier, line.extractor + count]
    if line.refused:
        return [*named, *["-"] * (len(SCORES) + 2)]
    scores = [spread(line.scores[name]) for name in SCORES]
    return [*named, *scores, f"{line.seconds:.1f}", size(line.bytes)]


def _mark(line: Line) -> str:
    if line.refused:
        return f"not possible: {line.refused}"
    return {BEST: "* highest", LEVEL: "= not told apart from it"}.get(line.mark, "")


def spread(value: Spread) -> str:
    """Mean and standard deviation in percent."""
    middle, sd = value
    return percent(middle) + ("" if sd is None else f" ({100 * sd:.1f})")


def percent(value: float | None) -> str:
    """A score in percent without the sign."""
    return "-" if value is None else f"{100 * value:.1f}"


def size(count: float) -> str:
    """Bytes in words."""
    for unit, name in ((1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def _scored(results: Sequence[Result]) -> list[Result]:
    return [r for r in results if r.macro_f1 is not None]


def _mean_of(results: Sequence[Result], name: str, otherwise: float) -> float:
    values = [getattr(r, name) for r in _scored(results)]
    return mean(values) if values else otherwise


def _line(labels: int, results: Sequence[Result], mark: str) -> Line:
    scored, first = _scored(results), results[0]
    return Line(
        extractor=first.extractor,
        classifier=first.classifier,
        labels=labels,
        seeds=len(scored),
        scores={name: _spread([getattr(r, name) for r in scored]) for name in SCORES}
        if scored
        else {},
        seconds=_mean_of(results, "seconds", 0.0),
        extractor_seconds=_mean_of(results, "extractor_seconds", 0.0),
        bytes=_mean_of(results, "bytes", 0.0),
        features=max(r.features for r in results),
        tuned=tuple(dict.fromkeys(r.tuned for r in scored)),
        refused="" if scored else first.refused,
        mark=mark,
    )


def _spread(values: list[Any]) -> Spread:
    there = [v for v in values if v is not None]
    if not there:
        return None, None
    return mean(there), stdev(there) if len(there) > 1 else None
