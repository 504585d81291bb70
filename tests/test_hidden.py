"""What is brought to its place is all old or all new, whenever it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hsi_ssl.claims import claimed
from hsi_ssl.errors import OutputError
from hsi_ssl.files import withdraw, written_beside
from hsi_ssl.hidden import visible

FILES = ("map.tif", "map.csv", "map_balance/page.html", "map_balance/table.csv")
WRITE = """
import os, signal, sys
from pathlib import Path
from hsi_ssl.files import written_beside

which, left = sys.argv[2], int(sys.argv[3])

def hook(event, args):
    global left
    if event in ("os.rename", "os.remove", "os.rmdir") and "map" in str(args[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
folder = Path(sys.argv[1])
also = [folder / "map.csv", folder / "map_balance"]
with written_beside(
    folder / "map.tif", also=also, without=[folder / "map_old.tif"], overwrite=True
) as beside:
    beside.write_text(which)
    beside.with_name("map.draft").write_text(which)
    beside.with_name("map.csv").write_text(which)
    beside.with_name("map_balance").mkdir()
    for name in ("page.html", "table.csv"):
        (beside.with_name("map_balance") / name).write_text(which)
"""


def written(folder: Path, which: str, kill_at: int = 0) -> int:
    """Write all files in another process, which kills itself at so many changes of names."""
    command = [sys.executable, "-c", WRITE, str(folder), which, str(kill_at)]
    return subprocess.run(command, check=False).returncode


def there(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


@pytest.mark.slow
def test_a_kill_at_any_change_of_names_leaves_all_old_or_all_new(tmp_path: Path) -> None:
    old = {**dict.fromkeys(FILES, "old"), "map_old.tif": "old"}
    new = dict.fromkeys(FILES, "new")
    found, kill_at = [], 0
    while True:
        kill_at += 1
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        assert written(folder, "old") == 0
        (folder / "map_old.tif").write_text("old")
        ended = written(folder, "new", kill_at)
        with claimed(folder / "map.tif"):
            pass
        assert there(folder) in (old, new), kill_at
        found.append(there(folder) == new)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert found[0] is False
    assert found[-1] is True
    assert found == sorted(found)
    assert len(found) > 6


def test_names_of_hidden_things_are_told_as_their_places() -> None:
    hidden = (
        "cannot write /a b/.m 1.tif-ab_d1234.part/.x-ab_d1235.done/m.tif.hsi-ssl.draft: no space"
    )
    assert visible(hidden) == "cannot write /a b/m.tif: no space"
    assert visible("'.m-abcdefgh.part/m'") == "'m'"
    plain = "read file. Then .m-abcdefgh/x, a.b-abcdefgh.part/c and .m-abcdefghi.part/x"
    assert visible(plain) == plain
    assert str(OutputError(hidden)) == visible(hidden)


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes there")
def test_what_was_made_as_a_temporary_file_gets_the_usual_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with written_beside(tmp_path / "run") as beside:
            beside.mkdir()
            for name, mode in (("weights", 0o600), ("card", 0o644), ("program", 0o700)):
                (beside / name).touch()
                (beside / name).chmod(mode)
    finally:
        os.umask(before)
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "run").iterdir()}
    assert modes == {"weights": 0o640, "card": 0o644, "program": 0o700}
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o750


def test_what_is_refused_at_the_end_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.txt").write_text("years of work")

    def write() -> None:
        with written_beside(tmp_path / "data", also=[tmp_path / "report"]) as beside:
            beside.write_text("new")
            beside.with_name("report").mkdir()

    with pytest.raises(OutputError, match=r"report also holds thesis\.txt"):
        write()
    assert there(tmp_path) == {"report/thesis.txt": "years of work"}


WRITE_BOTH = """
import os, signal, sys
from pathlib import Path
from hsi_ssl.files import written_beside

which, left = sys.argv[2], int(sys.argv[3])

def hook(event, args):
    global left
    if event in ("os.rename", "os.remove", "os.rmdir") and "-both" in str(args[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
folder = Path(sys.argv[1])

def groups():
    with written_beside(folder / "run" / "groups.json", overwrite=True) as beside:
        beside.write_text(which)

with written_beside(folder / "page", meanwhile=groups, overwrite=True) as beside:
    beside.mkdir()
    (beside / "index.html").write_text(which)
"""


@pytest.mark.slow
def test_two_places_never_tell_different_things(tmp_path: Path) -> None:
    found, kill_at, ended = [], 0, -1
    while ended:
        kill_at += 1
        folder = tmp_path / f"{kill_at}-both"
        (folder / "run").mkdir(parents=True)
        for which, kill in (("old", 0), ("new", kill_at)):
            command = [sys.executable, "-c", WRITE_BOTH, str(folder), which, str(kill)]
            ended = subprocess.run(command, check=False).returncode
        seen = [there(folder)]
        with claimed(folder / "page", folder / "run"):
            pass
        seen.append(there(folder))
        for one in seen:
            page, groups = one.get("page/index.html"), one["run/groups.json"]
            assert page in (None, groups), kill_at
        hidden = [p for p in folder.rglob("*") if p.name.startswith(".")]
        assert not hidden
        found.append((page, groups))
    assert found[0] == ("old", "old")
    assert (None, "old") in found
    assert (None, "new") in found
    assert found[-1] == ("new", "new")


def test_what_fails_meanwhile_leaves_all_as_it_was(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("old")

    def fail() -> None:
        assert not page.exists()
        raise OutputError("no")

    def write() -> None:
        with written_beside(page, meanwhile=fail, overwrite=True) as beside:
            beside.mkdir()
            (beside / "index.html").write_text("new")

    with pytest.raises(OutputError, match="no"):
        write()
    assert there(tmp_path) == {"page/index.html": "old"}


def test_what_no_longer_holds_goes_at_once(tmp_path: Path) -> None:
    for name in ("all.vrt", "all.csv", "all.md"):
        (tmp_path / name).write_text("mine")
    withdraw(tmp_path / "all.vrt", [tmp_path / "all.csv", tmp_path / "all.png"])
    assert there(tmp_path) == {"all.md": "mine"}
    withdraw(tmp_path / "all.vrt", [tmp_path / "all.csv"])
    assert there(tmp_path) == {"all.md": "mine"}
