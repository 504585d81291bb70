"""Processes of this machine, each with one task at a time; one that dies is replaced."""

from __future__ import annotations

import pickle
from multiprocessing.connection import wait

from hsi_ssl.running.helper import Helper, end_all
from hsi_ssl.running.places import Slots
from hsi_ssl.running.task import Heard, Lost, Task, Told


class Processes(Slots):
    """So many processes of so many threads each, started when there is work for them."""

    def __init__(self, workers: int, threads: int = 1) -> None:
        self._workers, self._threads = workers, threads
        self._idle: list[Helper] = []
        self._at_work: dict[Helper, int] = {}

    @property
    def slots(self) -> int:
        """How many there are."""
        return self._workers

    def begin(self, number: int, task: Task) -> None:
        """Hand a task to one that is idle, or to a new one."""
        helper = self._idle.pop() if self._idle else Helper(self._threads)
        self._at_work[helper] = number
        helper.begin(pickle.dumps(task))

    def heard(self) -> tuple[int, Heard]:
        """Wait for what is next heard of any task."""
        by_connection = {helper.connection: helper for helper in self._at_work}
        helper = by_connection[wait(list(by_connection))[0]]  # type: ignore[index]
        number, found = self._at_work[helper], helper.hear()
        if not isinstance(found, Told):
            del self._at_work[helper]
            if not isinstance(found, Lost):
                self._idle.append(helper)
        return number, found

    def drop(self) -> None:
        """End the processes that are at work."""
        end_all(list(self._at_work))
        self._at_work = {}

    def close(self) -> None:
        """End all processes, those at work too."""
        end_all([*self._idle, *self._at_work])
        self._idle, self._at_work = [], {}
