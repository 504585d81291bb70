"""Places where tasks are done: here one after another, or several at once in slots elsewhere."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Protocol

from hsi_ssl.closing import Closes
from hsi_ssl.errors import WorkerError
from hsi_ssl.running.task import Done, Heard, Lost, Task, Told, performed
from hsi_ssl.watcher import SILENT, Watcher

TRIES = 2
"""How often a task is begun whose process dies: once may be another's fault."""
AHEAD = 2
"""Tasks a slot that may be done before the one whose result is due, where order counts."""
Watchers = Callable[[int], Watcher]
"""Who hears of the task of a number, counted from 0."""


class Place(Protocol):
    """Where tasks are done. Close it, or use it in a `with`: what is still at work then ends."""

    def results(
        self, tasks: Iterable[Task], watchers: Watchers, *, in_order: bool = False
    ) -> Generator[tuple[int, Done]]:
        """Numbers of tasks, counted from 0, with what came of each, as they are done.

        Or `in_order` of their numbers. A task that fails ends no other.
        """

    def close(self) -> None:
        """End what is at work."""


class Here(Closes):
    """In this process, one task after another."""

    def results(
        self, tasks: Iterable[Task], watchers: Watchers, *, in_order: bool = False
    ) -> Generator[tuple[int, Done]]:
        """As `Place`."""
        del in_order  # they are
        for number, task in enumerate(tasks):
            yield number, performed(task, watchers(number))


class Slots(Closes, ABC):
    """Slots elsewhere, each of which does one task at a time.

    No more tasks are handed out than there are slots. So a task that ends its process costs no
    other, and the one that was at work is the one to blame.
    """

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many there are now."""

    @abstractmethod
    def begin(self, number: int, task: Task) -> None:
        """Hand out a task."""

    @abstractmethod
    def heard(self) -> tuple[int, Heard] | None:
        """Wait for what is next heard of any task; None: nothing for a while."""

    @abstractmethod
    def drop(self) -> None:
        """End what is at work; other tasks may follow."""

    def results(
        self, tasks: Iterable[Task], watchers: Watchers, *, in_order: bool = False
    ) -> Generator[tuple[int, Done]]:
        """As `Place`."""
        waiting = _Waiting(tasks)
        try:
            yield from self._results(waiting, watchers, in_order)
        finally:
            if waiting.at_work:  # nobody waits for these any more
                self.drop()

    def _results(
        self, waiting: _Waiting, watchers: Watchers, in_order: bool
    ) -> Generator[tuple[int, Done]]:
        due, early = 0, dict[int, Done]()
        while True:
            while len(waiting.at_work) < self.slots and (
                not in_order or waiting.again or waiting.next < due + AHEAD * self.slots
            ):
                begun = waiting.more()
                if begun is None:
                    break
                self.begin(*begun)
            if not waiting.at_work:
                return
            found = self.heard()
            if found is None:
                continue
            number, what = found
            if isinstance(what, Told):
                tell(watchers(number), what)
                continue
            done = waiting.lost(number, what, watchers) if isinstance(what, Lost) else what
            if done is None:
                continue
            waiting.at_work.pop(number, None)
            if not in_order:
                yield number, done
                continue
            early[number] = done
            while due in early:
                yield due, early.pop(due)
                due += 1


class _Waiting:
    """Tasks that are still to be handed out, and those that are at work."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._new: Iterator[tuple[int, Task]] = enumerate(tasks)
        self.again: deque[tuple[int, Task]] = deque()
        """Those whose process is gone."""
        self._tries: dict[int, int] = {}
        self.at_work: dict[int, Task] = {}
        self.next = 0
        """Number of the next one that is new."""

    def more(self) -> tuple[int, Task] | None:
        """One to hand out, None if there is none left."""
        if self.again:
            number, task = self.again.popleft()
        else:
            found = next(self._new, None)
            if found is None:
                return None
            number, task = found
            self.next = number + 1
        self.at_work[number] = task
        self._tries[number] = self._tries.get(number, 0) + 1
        return number, task

    def lost(self, number: int, what: Lost, watchers: Watchers) -> Done | None:
        """What comes of a task whose process is gone: None if it is to be begun again."""
        task = self.at_work.pop(number)
        if self._tries[number] < TRIES:
            watchers(number).warn(f"{task.name}: the process at work {what.how}; it begins again")
            self.again.append((number, task))
            return None
        return Done(
            error=WorkerError(
                f"{task.name}: the process at work on it {what.how}, {TRIES} times, perhaps for "
                "want of memory: give it more, or take fewer workers at a time"
            )
        )


def tell(watcher: Watcher, told: Told) -> None:
    """Have a watcher hear what was told elsewhere."""
    if isinstance(told.how, str):
        getattr(watcher, told.how)(*told.arguments)
    else:
        warnings.warn(told.arguments[0], told.how, stacklevel=2)


def values_of(
    place: Place, tasks: Iterable[Task], watcher: Watcher = SILENT, *, in_order: bool = False
) -> Generator[tuple[int, object]]:
    """Values of tasks that must all be done: the error of the first that fails is raised."""
    for number, done in place.results(tasks, lambda _: watcher, in_order=in_order):
        yield number, value_of(done)


def value_of(done: Done) -> object:
    """The value of a task that is done, or its error raised, with where it comes from."""
    if done.error is None:
        return done.value
    if done.trace:
        done.error.add_note(f"in a process at work:\n{done.trace}")
    raise done.error
