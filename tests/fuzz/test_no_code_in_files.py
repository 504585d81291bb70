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
SENT = {f"hsi_ssl/running/{name}.py" for name in ("helper", "on_dask", "task")}
"""Modules that unpickle what processes of one command send each other, and open no file."""
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


def imports(node: ast.AST) -> Iterator[str]:
    """Modules, and names of modules, that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{one.name}" for one in node.names)


def wrong(source: str) -> list[str]:
    """What of a module's source might run or fetch what a file says."""
    found: list[str] = []
    calls: list[ast.Call] = []
    safe = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            calls.append(node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("defusedxml"):
            safe |= {one.asname or one.name for one in node.names}
        for module in imports(node):
            parser = any(module == p or module.startswith(f"{p}.") for p in PARSERS)
            if module in MODULES or module.startswith("pickle.") or parser:
                found.append(f"import {module}")
    return found + [one for call in calls for one in wrong_call(call, safe)]


def wrong_call(node: ast.Call, safe: set[str]) -> Iterator[str]:
    """What is wrong with a call; `safe` are modules of defusedxml."""
    name = dotted(node.func)
    owner, _, method = name.rpartition(".")
    told = {word.arg: word.value for word in node.keywords}
    place = f"{node.lineno}: {name}"
    if owner == "pickle" and method != "dumps":  # of which the size is measured
        yield place
    if name in CALLS or ((owner, method) in METHODS and owner not in safe):
        yield place
    if method in {"extractall", "extract"} and "filter" not in told:
        yield f"{place} without a filter"
    if method == "load" and owner in {"np", "numpy"} and not is_false(told.get("allow_pickle")):
        yield f"{place} without allow_pickle=False"
    for word in {"allow_pickle", "shell"} & set(told):
        if not is_false(told[word]):
            yield f"{place}({word}=...)"


def is_false(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


@pytest.mark.slow
def test_nothing_runs_what_a_file_says() -> None:
    assert len(SOURCES) > 400
    texts = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in SOURCES}
    every = {path: found for path, text in texts.items() if (found := wrong(text))}
    assert every.keys() == SENT
    for path, found in every.items():
        assert all(one.endswith("pickle.loads") for one in found), found
        calls = [n for n in ast.walk(ast.parse(texts[path])) if isinstance(n, ast.Call)]
        opened = {"open", "read_bytes", "read_text"}
        assert not opened & {dotted(call.func).rpartition(".")[2] for call in calls}, path


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
