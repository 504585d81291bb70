"""What a case is: valid files of one kind, and what a user does with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from given import made
from mutations import Also, Files, mutate, seed_of

Write = Callable[[Path], object]
"""Writes valid files into a folder; gives the path that a user names, or nothing."""
INFO = ("info", "@", "--json")
INFO_WORDS = ("info", "@")


@dataclass(frozen=True)
class Case:
    """Valid files of one kind, and commands that read them.

    `actions` are arguments of `hsi-ssl`, run in a folder in which `in` holds the files, `given`
    what is shared and not changed (`given.py`), and `out` is for what is written; `@` stands for
    the path that `write` gave. Each input goes through one of them, in turn.
    """

    name: str
    group: str
    write: Write
    actions: tuple[tuple[str, ...], ...] = (INFO, INFO_WORDS)
    targets: tuple[str, ...] = ("**/*",)
    """Patterns of the files that are changed."""
    also: Also | None = None
    """Another way to change the files of a case, taken instead half of the time."""
    writes: tuple[str, ...] = ()
    """Folders that may change, too: `in` of a run that goes on, `.` where settings name outputs."""


@dataclass(frozen=True)
class Corpus:
    """A case's files as they are before they are changed."""

    case: Case
    files: Files
    main: str
    """The path that stands for `@`, in the folder of the files."""
    targets: tuple[str, ...]

    def mutated(self, number: int) -> tuple[str, Files]:
        """What is done to input `number`, and its files; those below 0 are as they were written."""
        if number < 0:
            return "unchanged", dict(self.files)
        return mutate(self.files, self.targets, seed_of(self.case.name, number), self.case.also)

    def action(self, number: int) -> list[str]:
        """Arguments of the command that reads input `number`."""
        actions = self.case.actions
        chosen = actions[(number if number >= 0 else -1 - number) % len(actions)]
        return [f"in/{self.main}".rstrip("/.") if word == "@" else word for word in chosen]


def corpus_of(case: Case, folder: Path) -> Corpus:
    """Write a case's valid files into an empty folder, and keep them."""
    folder.mkdir(parents=True)
    for action in case.actions:
        for word in action:
            if word.startswith("given/"):
                made(word.removeprefix("given/"))
    given = case.write(folder)
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    main = str(given.relative_to(folder)) if isinstance(given, Path) else next(iter(files))
    chosen = {
        str(path.relative_to(folder)) for pattern in case.targets for path in folder.glob(pattern)
    }
    return Corpus(case, files, main, tuple(sorted(chosen & files.keys())))
