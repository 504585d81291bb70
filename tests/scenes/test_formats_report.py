"""The report on formats has a row for each reader, and names tests and scripts that are there."""

from __future__ import annotations

import re
from pathlib import Path

from hsi_ssl.scenes.readers import FORMATS

ROOT = Path(__file__).parents[2]
REPORT = (ROOT / "reports" / "formats.md").read_text(encoding="utf-8")


def test_every_format_has_its_row() -> None:
    table = REPORT.split("\n\n|")[1].split("\n\n")[0]
    named = [row.split("|")[0].strip() for row in table.split("\n|")[2:]]
    formats = [one.name for one in FORMATS.values()]
    assert len(formats) > 1
    assert sorted(named) == sorted(formats)


def test_what_the_report_names_is_there() -> None:
    named = set(re.findall(r"`((?:tests|findings|hsi_ssl)/[\w/.-]+)`", REPORT))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
