"""The logs that a training writes into its run folder, a row an epoch."""

from __future__ import annotations

import csv
from pathlib import Path

from hsi_ssl.inference.checkpoint import LAST_METRICS

Rows = list[dict[str, float]]


def logs_of(run: Path) -> dict[str, Path]:
    """Logs by the name of their part, those of parts before the whole first; the whole's is ""."""
    before = sorted(run.glob(f"last/*/{LAST_METRICS}"))
    named = {log.relative_to(run).parts[1]: log for log in before} | {"": run / LAST_METRICS}
    return {name: log for name, log in named.items() if log.exists()}


def rows_of(log: Path) -> Rows:
    """The lines of a log that are whole: the last one may be being written."""
    found: Rows = []
    with log.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                found.append({name: float(value) for name, value in row.items() if name})
            except (TypeError, ValueError):
                break
    return found
