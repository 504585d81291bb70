"""What a folder without a model holds: a run that is not finished, or a report."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from hsi_ssl.checksums import unsealed
from hsi_ssl.describing.description import Description, counted
from hsi_ssl.errors import ModelError
from hsi_ssl.inference.checkpoint import LAST_METRICS, STATE, load_state
from hsi_ssl.plain import checked
from hsi_ssl.training.m2_stage import SUPERVISED

PAGE, METRICS, GROUPS, COMPARISON = "index.html", "metrics.json", "groups.json", "compare.json"
BALANCE = "balance.csv"
CELLS, TABLE = "cells", "table.json"


def describe_unfinished(path: Path) -> Description | None:
    """Describe a run without a card; None where the folder is none.

    Raises
    ------
    ModelError
        Its state is broken.
    """
    parts = [(path, "")]
    parts += [(path / SUPERVISED, ", supervised part")]
    found = [(place, part) for place, part in parts if (place / STATE).is_file()]
    begun = any((place / LAST_METRICS).parent.is_dir() for place, _ in parts)
    if not found and not begun:
        return None
    progress: dict[str, Any] = {}
    written = part = None
    if found:
        # The supervised part comes first: a state of the whole is newer.
        place, part = found[0]
        progress = _progress(place / STATE)
        seconds = (place / STATE).stat().st_mtime
        written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    epoch = int(progress.get("epoch", 0))
    values = {
        "kind": "run",
        "path": str(path),
        "finished": False,
        "epoch": epoch,
        "best_epoch": progress.get("best_epoch"),
        "seconds": progress.get("seconds"),
        "stopped": progress.get("stopped") or None,
        "state_written": written,
    }
    lines = [f"{path}: run, unfinished, epoch {epoch}{part or ''}"]
    if found:
        lines.append(
            f"{counted(int(progress.get('step', 0)), 'step')} in "
            f"{float(progress.get('seconds', 0)):.0f} s, best epoch {progress.get('best_epoch')}; "
            f"state written {written}"
        )
    lines.append("still running, or cut off: --resume goes on with it")
    return Description(values, lines)


def describe_report(path: Path) -> Description | None:
    """Describe a folder that holds a report of ours; None where it holds none.

    Raises
    ------
    ModelError
        Its numbers are broken.
    """
    if (path / METRICS).is_file():
        return _scores(path, _json(path / METRICS))
    if (path / GROUPS).is_file():
        return _groups(path, _json(path / GROUPS))
    if (path / COMPARISON).is_file():
        return _comparison(path, _json(path / COMPARISON))
    if not (path / PAGE).is_file():
        several = sorted(found.parent for found in path.glob(f"*/{METRICS}"))
        if not several:
            return None
        parts = [_scores(one, _json(one / METRICS)) for one in several]
        values = {
            "kind": "report",
            "path": str(path),
            "report": "evaluation",
            "reports": [part.values for part in parts],
        }
        lines = [f"{path}: {counted(len(parts), 'report')}"]
        return Description(values, lines + [line for part in parts for line in part.lines])
    if (path / BALANCE).is_file():
        title = _title(path / PAGE)
        values = {"kind": "report", "path": str(path), "report": "balance", "title": title}
        return Description(values, [f"{path}: report, {title}"])
    return None


def _scores(path: Path, numbers: dict[str, Any]) -> Description:
    """A report of `evaluate`: on a run, or on maps."""
    values: dict[str, Any] = {"kind": "report", "path": str(path)}
    if "run" in numbers:
        kept = ("run", "model", "dataset", "part", "n", "oa", "macro_f1")
        values |= {"report": "evaluation"} | {key: numbers.get(key) for key in kept}
        lines = [
            f"{path}: report of evaluate on {numbers['run']} ({numbers.get('model')})",
            f"{numbers.get('n')} pixels of {numbers.get('dataset')}, part {numbers.get('part')}",
        ]
        return Description(values, [*lines, _headline(numbers)])
    maps = numbers.get("maps", [numbers])
    of_map = ("map", "reference", "n", "oa", "macro_f1")
    each = [{key: one.get(key) for key in of_map} for one in maps]
    values |= {"report": "map accuracy", "maps": each}
    lines = [f"{path}: report on the accuracy of {counted(len(each), 'map')}"]
    for one in maps:
        lines += [
            f"{one.get('map')} by {one.get('reference')}, {one.get('n')} pixels",
            _headline(one),
        ]
    return Description(values, lines)


def _headline(numbers: dict[str, Any]) -> str:
    names = {"oa": "OA", "macro_f1": "macro-F1", "kappa": "kappa"}
    told = [
        f"{name} {numbers[key]:.3f}" for key, name in names.items() if numbers.get(key) is not None
    ]
    return ", ".join(told) or "no scores"


def _groups(path: Path, numbers: dict[str, Any]) -> Description:
    """A report of `discover`."""
    groups, scenes = numbers.get("groups", []), numbers.get("scenes", [])
    values = {
        "kind": "report",
        "path": str(path),
        "report": "discovery",
        "run": numbers.get("run"),
        "scenes": scenes,
        "groups": len(groups),
        "library": numbers.get("library"),
    }
    by = f", named by {numbers['library']}" if numbers.get("library") else ""
    lines = [
        f"{path}: report of discover on {numbers.get('run')}",
        f"{counted(len(groups), 'group')} in {counted(len(scenes), 'scene')}{by}",
    ]
    return Description(values, lines)


def _comparison(path: Path, numbers: dict[str, Any]) -> Description:
    """A table of `compare`, or what is there of it."""
    dataset = numbers.get("title")
    cells = len(list((path / CELLS).glob("*.json")))
    values: dict[str, Any] = {
        "kind": "report",
        "path": str(path),
        "report": "comparison",
        "dataset": dataset,
        "label_set": numbers.get("label_set"),
        "cells": cells,
        "finished": (path / TABLE).exists(),
    }
    if not values["finished"]:
        lines = [f"{path}: comparison on {dataset}, unfinished: {counted(cells, 'cell')} so far"]
        return Description(values, lines)
    table = _json(path / TABLE)
    for name in ("extractor", "classifier", "labels"):
        of_lines = [line.get(name) for line in table.get("lines", [])]
        values[f"{name.removesuffix('s')}s"] = list(dict.fromkeys(of_lines))
    lines = [
        f"{path}: comparison of {', '.join(values['classifiers'])} on "
        f"{', '.join(values['extractors'])}, of {dataset}",
        f"{', '.join(map(str, values['labels']))} labels a class, {counted(cells, 'cell')}",
        *table.get("answers", []),
    ]
    return Description(values, lines)


@dataclass(frozen=True)
class _Numbers:
    """What is told of a report's numbers, as far as it must be of a type."""

    oa: float | None = None
    macro_f1: float | None = None
    kappa: float | None = None
    maps: list[dict[str, Any]] = field(default_factory=list)
    groups: list[Any] = field(default_factory=list)
    scenes: list[Any] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = unsealed(path.read_text(encoding="utf-8"))
        for one in checked(_Numbers, found).maps:
            checked(_Numbers, one, "maps")
        return found
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is broken ({error}); make the report again") from error


def _progress(state: Path) -> dict[str, Any]:
    _, values = load_state(state.parents[1], torch.device("cpu"))
    found: dict[str, Any] = values["progress"]
    return found


def _title(page: Path) -> str:
    text = page.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
    return html.unescape(found[1].strip()) if found else "without a title"
