"""Whatever a file holds is data: nothing in the package runs, unpickles or unpacks it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for name in ("hsi_ssl", "cli") for p in (ROOT / name).rglob("*.py"))
MODULES = {
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "yaml",
    "joblib.numpy_pickle",
}
PARSERS = {"xml.sax", "xml.dom", "xml.dom.minidom", "lxml", "xml.parsers.expat"}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {
    ("torch", "load"), ("torch", "save"), ("joblib", "load"), ("joblib", "dump"), ("os", "system"),
    ("np", "fromregex"), ("yaml", "load"), ("shutil", "unpack_archive"), ("ElementTree", "parse"),
    ("ElementTree", "fromstring"), ("ET", "parse"), ("ET", "fromstring"), ("ET", "XML"),
}  # fmt: skip
"""Of modules under these names; `ElementTree` and `ET` are the standard library's where it is not
defusedxml's that has the name."""


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression; empty for others."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Modules that are imported, and the names that they get."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield one.name, one.asname or one.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                yield f"{node.module}.{one.name}", one.asname or one.name
                yield node.module, ""


def wrong(source: str) -> list[str]:
    """What of a module's source might run or fetch what a file says."""
    tree = ast.parse(source)
    found = []
    safe = {name for module, name in imports(tree) if module.startswith("defusedxml")}
    for module, _ in imports(tree):
        if (
            module in MODULES
            or module.startswith("pickle.")
            or any(module == p or module.startswith(f"{p}.") for p in PARSERS)
        ):
            found.append(f"import {module}")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        owner, _, method = name.rpartition(".")
        told = {word.arg: word.value for word in node.keywords}
        if owner == "pickle" and method != "dumps":  # of which the size is measured
            found.append(f"{node.lineno}: {name}")
        if name in CALLS or ((owner, method) in METHODS and owner not in safe):
            found.append(f"{node.lineno}: {name}")
        if method in {"extractall", "extract"} and "filter" not in told:
            found.append(f"{node.lineno}: {name} without a filter")
        if method in {"load", "loadmat"} and owner in {"np", "numpy"}:
            allowed = told.get("allow_pickle")
            if not (isinstance(allowed, ast.Constant) and allowed.value is False):
                found.append(f"{node.lineno}: {name} without allow_pickle=False")
        for word, value in told.items():
            right = isinstance(value, ast.Constant) and value.value is False
            if word in {"allow_pickle", "shell"} and not right:
                found.append(f"{node.lineno}: {name}({word}=...)")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_runs_what_a_file_says(path: Path) -> None:
    assert wrong(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(x)", "from pickle import loads",
        "from yaml import safe_load", "eval('1')", "import torch\ntorch.load('x')",
        "import numpy as np\nnp.load('x')", "import numpy as np\nnp.load('x', allow_pickle=True)",
        "from xml.etree import ElementTree\nElementTree.parse('x')", "a.extractall('x')",
        "import xml.dom.minidom", "import subprocess\nsubprocess.run('x', shell=True)",
    ],
)  # fmt: skip
def test_what_would_is_seen(source: str) -> None:
    assert wrong(source)


def test_what_does_not_is_not() -> None:
    assert wrong("from defusedxml import ElementTree\nElementTree.parse('x')") == []
    assert wrong("import numpy as np\nnp.load('x', allow_pickle=False)\nx.load()") == []
