"""What may import what, as in CONTRIBUTING's table, and no circle of modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = {
    "errors", "os_errors", "hidden", "claims", "files", "watcher", "closing", "registry",
    "cells", "checksums", "durations", "json_text", "plain", "stopping",
}  # fmt: skip
"""Modules beside the packages that all may import."""
LAYERS = {
    "running": set(),
    "scenes": set(),
    "masks": {"scenes"},
    "catalog": {"scenes", "labels", "checking"},
    "labels": {"scenes", "catalog", "masks"},
    "libraries": {"scenes"},
    "datasets": {"running", "labels", "scenes", "settings"},
    "models": set(),
    "inference": {"models", "datasets", "labels"},
    "training": {"inference", "models", "datasets", "labels", "scenes"},
    "maps": {"running", "inference", "models", "masks", "labels", "scenes", "datasets", "reports"},
    "suggesting": {"inference", "maps", "datasets", "labels", "scenes"},
    "quantising": {
        "training", "reports", "maps", "inference", "models", "libraries", "datasets", "labels",
        "scenes",
    },
    "discovery": {"inference", "maps", "libraries", "datasets", "labels", "scenes"},
    "naming": {"inference", "maps", "libraries", "datasets", "labels", "scenes"},
    "reports": {"discovery", "maps", "inference", "libraries", "datasets", "labels", "scenes"},
    "comparing": {"running", "training", "inference", "models", "datasets", "labels", "reports"},
    "view": {
        "reports", "maps", "inference", "masks", "datasets", "labels", "scenes", "catalog",
    },
    "checking": set(),
    "settings": {"checking", "datasets", "labels", "models", "scenes"},
    "recipes": set(),
    "doctor": set(),
}  # fmt: skip
"""Packages of `hsi_ssl`, and single modules, and what of the others they may import at all."""
ANYTHING = {"library", "describing"}
"""Packages that may import every other."""


def modules() -> dict[str, Path]:
    """Dotted names of all modules of `hsi_ssl`."""
    found = {}
    for path in (ROOT / "hsi_ssl").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Modules of `hsi_ssl` that a module imports, within functions too; not for types alone."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.expr):
            continue  # holds no statement
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hsi_ssl"):
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("hsi_ssl"))
        waiting += ast.iter_child_nodes(node)


@cache
def graph() -> dict[str, set[str]]:
    """What each module imports; seconds of reading, so not where tests are collected."""
    return {name: set(imported(path)) - {name} for name, path in MODULES.items()}


def package(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_no_module_imports_itself_by_way_of_others() -> None:
    try:
        tuple(TopologicalSorter(graph()).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("name", sorted({package(m) for m in MODULES} - ANYTHING - BASE - {""}))
def test_each_package_imports_only_what_it_may(name: str) -> None:
    allowed = LAYERS[name] | BASE | {name, ""}
    wrong = sorted(
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in others
        if package(module) == name and package(other) not in allowed
    )
    assert not wrong


def test_the_map_of_a_class_map_alone_needs_figures_of_reports() -> None:
    """`maps` and `reports` would else be a circle of packages."""
    used = {o for m, others in graph().items() if package(m) == "maps" for o in others}
    assert {o for o in used if package(o) == "reports"} == {"hsi_ssl.reports.figures"}
