"""What every benchmark's table says beside its numbers."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path


def machine_in_words() -> str:
    """Processor, cores and memory of this machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
                break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{model}, {os.cpu_count()} cores, {pages / 2**30:.0f} GiB"


def today() -> str:
    """The date, ISO."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()
