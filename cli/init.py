"""`hsi-ssl init`: list the recipes, or copy one to ./hsi-ssl.toml."""

from __future__ import annotations

import click

from . import options
from .output import Terminal


@click.command("init", short_help="List recipes, or copy one to ./hsi-ssl.toml.")
@click.argument("recipe", required=False)
@options.overwrite
@options.common
def command(recipe: str | None, overwrite: bool, project: object, terminal: Terminal) -> None:
    """List the RECIPEs, or copy one to ./hsi-ssl.toml, ready for `hsi-ssl prepare`."""
    from hsi_ssl.recipes import copy_recipe, recipes

    if recipe is None:
        found = recipes()
        width = max(len(name) for name in found)
        lines = [f"{name:{width}}  {about}" for name, about in found.items()]
        terminal.result({"recipes": found}, *lines)
        return
    path = copy_recipe(recipe, options.DEFAULT_PROJECT, overwrite=overwrite)
    terminal.result({"recipe": recipe, "path": str(path)}, f"wrote {path}; now: hsi-ssl prepare")
