"""The page of products: a row for each, and its commands from the delivered file to the map."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from delivered import agreement, drawn_fields, on_grid, run
from prisma_files import write_prisma

from hsi_ssl.scenes.products import PRODUCTS

PAGE = (Path(__file__).parents[3] / "docs" / "products.md").read_text(encoding="utf-8")


def test_every_product_has_its_row() -> None:
    table = PAGE.split("| product |")[1].split("\n\n")[0]
    named = re.findall(r"^\| ([^|]+?) +\|", table, re.MULTILINE)
    assert sorted(named) == sorted(PRODUCTS)


@pytest.mark.slow
def test_four_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        shlex.split(line, comments=True) for line in re.findall(r"^    (hsi-ssl .+)", PAGE, re.M)
    ]
    assert len(commands) == 4
    product = Path(commands[0][2])
    write_prisma(product, on_grid())
    drawn_fields(on_grid(), tmp_path / "polygons.gpkg")
    for command in commands:
        run(*command[1:], *(["--epochs", "3"] if command[1] == "train-m2" else []))
    assert agreement(Path(f"{product.stem}_classes.tif")) > 0.95
