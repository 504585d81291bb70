"""Where `view` looks for the scene of a map."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsi_ssl.maps.finding import places_of


@pytest.mark.parametrize(
    ("given", "folder"),
    [(".", "in"), ("..", "."), ("sub", "in/sub"), ("m.nc", "in"), ("sub/m.nc", "in/sub")],
)
def test_a_scene_that_was_given_by_its_folder_or_another_member(
    tmp_path: Path, given: str, folder: str
) -> None:
    for one in (tmp_path, tmp_path / "in", tmp_path / "in" / "sub"):
        one.mkdir(exist_ok=True)
        (one / "cube.nc").write_bytes(b"x")
    found = places_of("cube.nc", {"scenes": [given]}, None, [tmp_path / "in"])
    assert found[0].resolve() == tmp_path / folder / "cube.nc"
