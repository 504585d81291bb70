"""What a wheel will hold."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_is_declared() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    on_disk = {
        ".".join((name, *init.parent.relative_to(ROOT / folder).parts))
        for name, folder in setuptools["package-dir"].items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert on_disk == set(setuptools["packages"])


def test_every_file_of_the_page_is_declared() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    view = ROOT / "hsi_ssl" / "view"
    declared = {path for pattern in data["hsi_ssl.view"] for path in view.glob(pattern)}
    files = {path for path in (view / "static").rglob("*") if path.is_file()}
    assert files
    assert files <= declared


def test_every_dependency_is_pinned_and_explained() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    explained = (ROOT / "CONTRIBUTING.md").read_text().split("## Dependencies")[1]
    for dependency in dependencies:
        name = dependency.split(">=")[0]
        assert f"\n{name}==" in pinned
        assert name in explained
