"""Names in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from hsi_ssl.scenes.listing import names_in


def test_names_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "b").touch()
    assert names_in(tmp_path) == ("b",)
    (tmp_path / "a").touch()
    assert names_in(tmp_path) == ("a", "b")
    os.utime(tmp_path, (1e9, 1e9))
    assert names_in(tmp_path) == ("a", "b")
    (tmp_path / "c").touch()
    assert names_in(tmp_path) == ("a", "b", "c")
    assert names_in(tmp_path / "a") == names_in(tmp_path / "nowhere") == ()
