"""`hsi-ssl doctor`: what this machine has, and what on it would go wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from . import options
from .output import Terminal


@click.command("doctor", short_help="What this machine has, and what would go wrong on it.")
@options.common
def command(project: Path | None, terminal: Terminal) -> None:
    """Look at packages, GDAL's formats, cores, GPU, memory, and the disks that runs go to.

    Measures how fast matrices are multiplied and files are written and read, for a fraction of a
    second each. Tells what would go wrong, what is slower than it need be, and what to do about it.
    Parts that are broken are reported, not met. The exit code is 2 where something would fail.

    \\b
    hsi-ssl doctor
    hsi-ssl doctor --json
    """
    from hsi_ssl.doctor.checkup import checkup

    found = checkup(project, terminal)
    terminal.result(found.values, *found.lines)
    if not found.well:
        sys.stdout.flush()
        sys.exit(2)
