"""Outputs that are whole or absent."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hsi_ssl.errors import OutputError
from hsi_ssl.files import FINGERPRINT_BLOCK, FINGERPRINT_BLOCKS, fingerprint, written_beside


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_success_puts_the_file_in_its_place(tmp_path: Path) -> None:
    with written_beside(tmp_path / "new" / "out.tif") as beside:
        assert beside.suffix == ".tif"
        beside.write_text("whole")
        assert not (tmp_path / "new" / "out.tif").exists()
    assert (tmp_path / "new" / "out.tif").read_text() == "whole"
    assert left_in(tmp_path / "new") == ["out.tif"]


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "out.txt"
    place.write_text("old")
    with pytest.raises(UnicodeError), written_beside(place, overwrite=True) as beside:
        beside.write_bytes("half\ud800".encode())
    assert place.read_text() == "old"
    assert left_in(tmp_path) == ["out.txt"]


def test_existing_is_refused_or_replaced_also_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "report"
    place.mkdir()
    (place / "page.html").write_text("old")
    with pytest.raises(OutputError, match="--overwrite"), written_beside(place):
        pass
    with written_beside(place, overwrite=True) as beside:
        beside.mkdir()
        (beside / "page.html").write_text("new")
        (beside / "table.csv").write_text("new")
    assert left_in(place) == ["page.html", "table.csv"]
    assert left_in(tmp_path) == ["report"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_folder_that_holds_other_things_is_never_replaced(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "docs"
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")

    def write(beside: Path) -> None:
        if kind == "folder":
            beside.mkdir()
            (beside / "page.html").write_text("new")
        else:
            beside.write_text("new")

    with pytest.raises(OutputError, match=r"is a folder|also holds thesis\.txt"):
        with written_beside(place, overwrite=True) as beside:
            write(beside)
    assert (place / "thesis.txt").read_text() == "years of work"
    assert left_in(tmp_path) == ["docs"]


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"), written_beside(tmp_path / "file" / "x"):
        pass


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space is left"), written_beside(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert left_in(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="permissions work otherwise there")
def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write everywhere: take one that even root may not
        folder = Path("/sys/kernel")
    with pytest.raises(OutputError, match="cannot write"), written_beside(folder / "x"):
        pass


def test_fingerprint_tells_files_apart_and_does_not_read_all(tmp_path: Path) -> None:
    size = 4 * FINGERPRINT_BLOCKS * FINGERPRINT_BLOCK
    path = tmp_path / "cube.h5"
    path.write_bytes(bytes(size))
    first = fingerprint(path)
    with path.open("r+b") as file:
        file.seek(size - 1)
        file.write(b"\1")
    assert fingerprint(path) != first
    path.write_bytes(bytes(size + 1))
    assert fingerprint(path) != first
    small = tmp_path / "small"
    small.write_bytes(b"abc")
    assert len(fingerprint(small)) == 64
