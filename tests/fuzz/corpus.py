"""All cases."""

from __future__ import annotations

from cases import Case
from corpus_labels import labels, libraries
from corpus_runs import datasets, runs, settings
from corpus_scenes import products, scenes


def every_case() -> dict[str, Case]:
    """Cases by their names."""
    found = [*scenes(), *products(), *labels(), *libraries(), *runs(), *datasets(), *settings()]
    return {case.name: case for case in found}
