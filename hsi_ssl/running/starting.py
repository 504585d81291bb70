"""From what the user asks for to the place where tasks are done."""

from __future__ import annotations

from hsi_ssl.errors import SettingsError
from hsi_ssl.running.places import Here, Slots
from hsi_ssl.watcher import SILENT, Watcher


def place_of(
    workers: int, scheduler: str | None, watcher: Watcher = SILENT, *, threads: int = 1
) -> Here | Slots:
    """Give this process, so many of so many threads each, or the cluster of a scheduler.

    Raises
    ------
    SettingsError
        Workers and a scheduler are asked for, or Dask is not installed.
    WorkerError
        The scheduler is not there, or has another version.
    """
    if scheduler is not None:
        if workers > 1:
            raise SettingsError(
                "--workers are processes of this machine and --scheduler is a cluster, which has "
                "its own: give one of them"
            )
        from hsi_ssl.running.on_dask import OnDask

        return OnDask(scheduler, watcher)
    if workers > 1:
        from hsi_ssl.running.processes import Processes

        return Processes(workers, threads)
    return Here()
