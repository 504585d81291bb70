"""Recipes: settings files that ship with the package."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

from hsi_ssl.errors import SettingsError
from hsi_ssl.files import written_beside


def recipes() -> dict[str, str]:
    """Names of the shipped recipes and what each is for (the first line of its file)."""
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        .splitlines()[0]
        .lstrip("# ")
        for entry in sorted(resources.files("hsi_ssl.configs").iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".toml")
    }


def recipe_text(name: str) -> str:
    """The text of a recipe.

    Raises
    ------
    SettingsError
        There is no recipe of that name.
    """
    known = recipes()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "there are: " + ", ".join(known)
        raise SettingsError(f"no recipe {name}; {hint}")
    return (resources.files("hsi_ssl.configs") / f"{name}.toml").read_text(encoding="utf-8")


def copy_recipe(name: str, path: Path, *, overwrite: bool = False) -> Path:
    """Write a recipe to `path`, whole or not at all.

    Raises
    ------
    SettingsError
        There is no recipe of that name.
    OutputError
        `path` exists and `overwrite` is false.
    """
    text = recipe_text(name)
    with written_beside(path, overwrite=overwrite) as beside:
        beside.write_text(text, encoding="utf-8")
    return path
