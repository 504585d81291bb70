"""Commands that are run one after another, each shown as one would type it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from .output import Terminal


def run_step(step: Sequence[str], terminal: Terminal) -> None:
    """Show a command and run it, as quiet as this one; what it raises is raised."""
    from .main import cli

    quiet = ["-q"] if terminal.as_json or terminal.verbosity < 0 else []
    more = ["-v"] if terminal.verbosity > 0 and not quiet else []
    terminal.say("\n$ hsi-ssl " + shlex.join(step))
    cli.main([*step, *quiet, *more], prog_name="hsi-ssl", standalone_mode=False)
