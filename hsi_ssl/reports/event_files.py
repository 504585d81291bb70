"""A training's curves as event files, which TensorBoard reads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from hsi_ssl.errors import SettingsError
from hsi_ssl.os_errors import os_errors
from hsi_ssl.reports.training_log import logs_of, rows_of

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

ABOUT = ("epoch", "step", "seconds")
"""Columns of a log that are no curves."""


class EventFiles:
    """Event files of a run: in `folder`, a folder of the run's name; in that one a part before it.

    Curves are over epochs, called as the columns of the run's log. What an earlier training of that
    name left there is not shown any more; a resumed one is shown from its first epoch.

    Raises
    ------
    SettingsError
        The package that writes them is not there.
    OutputError
        They cannot be written.
    """

    def __init__(self, folder: Path, run: Path) -> None:
        try:
            import tensorboardX  # noqa: F401
        except ImportError:
            raise SettingsError(
                "--tensorboard needs tensorboardX: pip install 'hsi-ssl[tensorboard]'; or look at "
                "the curves with --watch"
            ) from None
        self.folder, self._run = folder / run.resolve().name, run
        with os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._writers: dict[str, SummaryWriter] = {}
        self._written: dict[str, int] = {}

    def update(self) -> None:
        """Write the epochs that have ended since."""
        for name, log in logs_of(self._run).items():
            rows = rows_of(log)
            new = rows[self._written.get(name, 0) :]
            if not new:
                continue
            with os_errors(self.folder):
                writer = self._writer(name)
                for row in new:
                    for column, value in row.items():
                        if column not in ABOUT and math.isfinite(value):
                            writer.add_scalar(column, value, int(row["epoch"]))
                writer.flush()
            self._written[name] = len(rows)

    def close(self) -> None:
        """Release the files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, name: str) -> SummaryWriter:
        if name not in self._writers:
            from tensorboardX import SummaryWriter

            self._writers[name] = SummaryWriter(str(self.folder / name), purge_step=0)
        return self._writers[name]
