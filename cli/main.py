"""The command group: finds commands, turns our errors into one sentence and an exit code."""

from __future__ import annotations

import importlib
import os
import sys

import click

from hsi_ssl import __version__
from hsi_ssl.errors import HsiSslError, ScenesError, ToldElsewhereError

from .output import has_joined, one_line
from .raw_lines import left_out
from .stopping import exit_code, stops_heard

COMMANDS = {
    "init": "init",
    "catalog": "catalog",
    "simulate": "simulate",
    "mask": "mask",
    "prepare": "prepare",
    "balance": "balance",
    "train-m1": "train_m1",
    "train-m2": "train_m2",
    "distil": "distil",
    "evaluate": "evaluate",
    "classify": "classify",
    "areas": "areas",
    "view": "view",
    "suggest": "suggest",
    "features": "features",
    "discover": "discover",
    "quantise": "quantise",
    "generate": "generate",
    "match": "match",
    "compare": "compare",
    "info": "info",
    "demo": "demo",
}
"""Command -> module beside this one, which holds a click command called `command`."""


SHARED = ("train-m1", "train-m2")
"""What several processes may do together."""


class LazyGroup(click.Group):
    """Imports a command's module when it is asked for, so that starting stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the work, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load the command of that name."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[name]}", __package__)
        command: click.Command = module.command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hsi-ssl")
@click.pass_context
def cli(context: click.Context) -> None:
    """Class maps of hyperspectral images from few labelled and many unlabelled pixels.

    \b
    hsi-ssl init indian-pines     choose a recipe
    hsi-ssl prepare               labelled cubes -> dataset, with its label balance
    hsi-ssl train-m1              features from every pixel
    hsi-ssl train-m2              the classifier
    hsi-ssl classify              a georeferenced class map
    """
    if context.invoked_subcommand not in SHARED:
        from .options import refuse_several

        refuse_several(str(context.invoked_subcommand))


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 the user must change something, 1 our bug, 130 and 143 after Ctrl-C and
    SIGTERM.
    """
    os.environ.setdefault("CPL_LOG", os.devnull)  # GDAL's own warnings: ours say what matters
    os.environ["GDAL_VRT_ENABLE_PYTHON"] = "NO"  # code that a raster brings along
    with left_out(), stops_heard() as stop:
        try:
            cli(prog_name="hsi-ssl")
        except BaseException as error:
            if stop.number:  # whatever else went wrong then came of it
                stop.say(stop.number)
                sys.exit(exit_code(stop.number))
            if not isinstance(error, HsiSslError | MemoryError):
                raise
            said = error.lines if isinstance(error, ScenesError) else [str(error)]
            if isinstance(error, MemoryError):
                why = str(error) or "for this"
                said = [f"there is not enough memory ({why}); take a part of the scene"]
            if not isinstance(error, ToldElsewhereError):
                click.echo(
                    click.style("Error: ", fg="red") + "\n".join(map(one_line, said)), err=True
                )
            if has_joined():  # messages to processes that are gone would hold this one up
                sys.stdout.flush()
                os._exit(2)
            sys.exit(2)
