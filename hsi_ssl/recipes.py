"""Recipes: settings files that ship with the package."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from hsi_ssl.errors import SettingsError
from hsi_ssl.files import written_beside

QUICK_M1, QUICK_M2 = 5, 6
"""Epochs of a quick first look."""


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


def text_of_start(
    sources: Sequence[str], labels: str | None, label_field: str | None, *, quick: bool
) -> str:
    """The settings of a first way from scenes to maps; `quick`: with little training.

    Raises
    ------
    SettingsError
        A name cannot be written down.
    """
    lines = [
        "# Written by `hsi-ssl start` for what lay there. Every command reads this file.",
        "",
        "[prepare]",
        f"sources = {_listed(sources)}",
    ]
    if labels is not None:
        lines.append(f"labels = {_listed([labels])}")
    if label_field is not None:
        lines.append(f"label_field = {_quoted(label_field)}")
    if quick:
        lines += ["", "# A quick first look: without these lines training goes on for longer."]
        lines += ["[m1]", f"epochs = {QUICK_M1}", "", "[m2]", f"epochs = {QUICK_M2}"]
    lines += ["", "[classify]", f"scenes = {_listed(sources)}", "confidence = true"]
    return "\n".join(lines) + "\n"


def _listed(names: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, names))}]"


def _quoted(name: str) -> str:
    """As TOML's basic strings are, whose escapes are those of JSON."""
    if not name.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise SettingsError(f"the name {name!a} is no UTF-8, which settings are; rename the file")
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")


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
