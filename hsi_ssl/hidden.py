"""What is hidden beside an output while it is made, and what becomes of it after a kill.

.NAME-XXXXXXXX.part      what is being written; whoever claims NAME next removes it
.NAME-XXXXXXXX.done      what is whole, on its way to its place; the next claim completes it
.NAME.hsi-ssl.lock       who writes NAME (`claims.py`)
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

PART, DONE, LOCK = ".part", ".done", ".hsi-ssl.lock"
DRAFT = ".hsi-ssl.draft"
"""What is put to the name of a file that is not yet as it is to be."""
_WORKSHOP = re.compile(r"\.(?P<of>.+)-[a-z0-9_]{8}(?P<state>\.part|\.done)", re.DOTALL)
"""Names as `tempfile.mkdtemp` makes them."""
_IN_TEXT = re.compile(r"(?<![^\s/\\'\"(=:])\.[^/\\]+?-[a-z0-9_]{8}\.(?:part|done)[/\\]")
GONE = ".gone"
"""Folder in what is done: a file there is to be removed, a folder has given way already."""
DEPTH = 5
"""Of folders within an output that are looked through."""
PRIVATE = 0o600
"""Mode of files that programs made as temporary ones."""


def visible(text: str) -> str:
    """`text` with the users' own paths in the place of hidden ones."""
    return _IN_TEXT.sub("", text).replace(DRAFT, "")


def is_hidden(path: Path) -> bool:
    """Whether a path is one of ours that nobody is to see."""
    return _WORKSHOP.fullmatch(path.name) is not None or path.name.endswith(LOCK)


def lock_of(place: Path) -> Path:
    """Where the lock of an output lies: beside it, or within a folder that nothing may be beside.

    A container's volume, say, that is the output itself.
    """
    alone = place.is_dir() and not os.access(place.parent, os.W_OK)
    return place / LOCK if alone or not place.name else place.parent / f".{place.name}{LOCK}"


def workshop_of(path: Path) -> Path:
    """Make a hidden folder in which an output is to be made."""
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=PART, dir=path.parent))
    return path.parent / made.name  # as relative as the output


def finish(workshop: Path, names: Collection[str], without: Collection[str] = ()) -> None:
    """Bring what was made in a workshop to its place, beside it: all of it, whenever it is killed.

    `names` are what is wanted of it, files and folders, which take the place of what is there;
    `without`: files and folders beside it that go at the same time. One rename says that all is
    done. From then on `recover` completes what a kill interrupts.
    """
    for entry in workshop.iterdir():
        if entry.name not in names:
            _remove(entry)
    _as_usual(workshop)
    if without:
        (workshop / GONE).mkdir()
        for name in without:
            (workshop / GONE / name).touch()
    done = workshop.with_suffix(DONE)
    workshop.rename(done)
    _put_in_place(done)


@contextlib.contextmanager
def put_away(place: Path, workshop: Path) -> Iterator[None]:
    """Within it, and from then on, an output is away; it comes back where that fails.

    A kill finds it in the workshop, so that it is forgotten with it.
    """
    gone = workshop / GONE
    if not os.path.lexists(place):
        yield
        return
    gone.mkdir()
    place.rename(gone / place.name)
    try:
        yield
    except BaseException:
        (gone / place.name).rename(place)
        raise
    _remove(gone)


def recover(place: Path) -> None:
    """Clear what a killed run left of an output that is claimed; complete what was done."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        for name in sorted(os.listdir(place.parent)):
            found = _WORKSHOP.fullmatch(name)
            hidden = place.parent / name
            if found is None or found["of"] != place.name or hidden.is_symlink():
                continue
            if found["state"] == DONE:
                _put_in_place(hidden)
            else:
                shutil.rmtree(hidden, ignore_errors=True)


def remains_in(folder: Path) -> Iterator[Path]:
    """Outputs within a folder of which something hidden is left, or is being made."""
    for found, folders, files in os.walk(folder):
        here = Path(found)
        for name in folders:
            workshop = _WORKSHOP.fullmatch(name)
            if workshop is not None:
                yield here / workshop["of"]
        for name in files:
            if name.startswith(".") and name.endswith(LOCK) and name != LOCK:
                yield here / name[1 : -len(LOCK)]
        deep = len(here.relative_to(folder).parts) >= DEPTH
        folders[:] = [] if deep else [name for name in folders if not name.startswith(".")]


def remove_empty(folder: Path) -> None:
    """Remove a folder that holds nothing but empty folders; another one stays as it is."""
    if folder.is_symlink() or not folder.is_dir():
        return
    if any(files for _, _, files in os.walk(folder)):
        return
    for found, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(found)


def _put_in_place(done: Path) -> None:
    """Move what is done to its place, or what is left of it to be moved.

    A folder that is in its way waits inside until the new one is there.
    """
    beside, gone = done.parent, done / GONE
    entries = sorted(entry for entry in done.iterdir() if entry.name != GONE)
    try:
        for entry in entries:
            _move(entry, beside / entry.name, gone)
    except OSError:
        if all(entry.exists() for entry in entries):  # nothing has changed yet: let it be so
            shutil.rmtree(done, ignore_errors=True)
        raise
    if gone.is_dir():
        for name in [entry.name for entry in gone.iterdir() if entry.is_file()]:
            if os.path.lexists(beside / name):
                _remove(beside / name)
    shutil.rmtree(done, ignore_errors=True)


def _move(entry: Path, place: Path, gone: Path) -> None:
    if place.is_symlink() or not place.is_dir():
        os.replace(entry, place)
        return
    gone.mkdir(exist_ok=True)
    old = gone / place.name
    if old.exists():
        _remove(old)
    place.rename(old)
    try:
        entry.rename(place)
    except OSError:
        old.rename(place)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _as_usual(folder: Path) -> None:
    """Give files that were made as temporary ones, for one user alone, the mode of any new file."""
    private = [
        path
        for path in folder.rglob("*")
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & 0o777 == PRIVATE
    ]
    if private:
        probe = folder / GONE
        probe.touch()
        usual = probe.stat().st_mode & 0o777
        probe.unlink()
        for path in private:
            path.chmod(usual)
