"""Whether the spectra of a training fit into memory, or are to be read again in every epoch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import torch

from hsi_ssl.inference.device import module_of
from hsi_ssl.training.processes import ALONE, Processes

SHARE = 0.3
"""Of the memory that is free, for what the networks see: reading, and all else, need some too."""
CGROUP = Path("/sys/fs/cgroup")


class Amount(NamedTuple):
    """So many float32 `numbers` of pixels; `asked`: whether to stream them, None for no wish."""

    pixels: int
    numbers: int
    asked: bool | None

    def streamed(self, device: torch.device, processes: Processes = ALONE) -> bool:
        """Whether to stream them: as asked, else where they would take too much of the first's."""
        return processes.told("streams", lambda: self._streamed(device))

    def _streamed(self, device: torch.device) -> bool:
        if self.asked is not None:
            return self.asked
        free = free_bytes(device)
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return free is not None and 4 * self.numbers * here > SHARE * free

    def in_words(self) -> str:
        """One sentence, where they are streamed."""
        why = (
            "as asked"
            if self.asked
            else "more than fits into memory well; --no-stream keeps them there"
        )
        return (
            f"{self.pixels:,} spectra, {4 * self.numbers / 1e9:.3g} GB, are read from the dataset "
            f"in every epoch ({why})"
        )


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device, None where nobody tells."""
    tells = getattr(module_of(device), "mem_get_info", None)
    if tells is not None:
        return int(tells(device)[0])
    known = [n for n in (_of_machine(), _of_group()) if n is not None]
    return min(known, default=None)


def _of_machine() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        lines = dict(line.split(":", 1) for line in text.splitlines())
        return 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, ValueError, LookupError):
        pass
    try:  # all there is: systems without /proc do not tell what is free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def _of_group() -> int | None:
    """What a container leaves (cgroup v2), less what it could give back of the file cache."""
    try:
        most, used = (int((CGROUP / f"memory.{n}").read_text()) for n in ("max", "current"))
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return most - used + int(stat["inactive_file"])
    except (OSError, ValueError, LookupError):
        return None
