"""The command group: finds commands, turns our errors into one sentence and an exit code."""

from __future__ import annotations

import difflib
import gc
import importlib
import os
import signal
import sys

import click

from hsi_ssl import __version__
from hsi_ssl.errors import HsiSslError, ScenesError, ToldElsewhereError
from hsi_ssl.stopping import Stopped

from .output import has_joined, one_line
from .raw_lines import left_out
from .stopping import exit_code, stops_heard

COMMANDS = {
    "start": "start",
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
    "doctor": "doctor",
}
"""Command -> module beside this one, which holds a click command called `command`."""


LIKE, EVENLY = 0.6, 0.05
"""Share of letters in which a command is like what was typed, and how much less is alike, too."""
OBJECTS = 20_000
"""New ones before Python looks for those that hold each other: by default, importing torch makes it
look hundreds of times, a quarter of a command's start."""
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for; of one that there is not, those that may be meant."""
        near = alike(args[0]) if args else []
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and near:
            ctx.fail(f"No such command {args[0]!r}: did you mean {', '.join(near)}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what click would end with "Aborted!" ends as any other stop does."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Stopped(signal.SIGINT) from None


def alike(name: str) -> list[str]:
    """Commands that a name may stand for, the likest first; `train` is like both trainings."""

    def likeness(command: str) -> float:
        return max(
            difflib.SequenceMatcher(None, name.lower(), part).ratio()
            for part in (command, command.split("-", maxsplit=1)[0])
        )

    found = {command: likeness(command) for command in COMMANDS}
    best = max(found.values())
    return [c for c, share in found.items() if share >= max(LIKE, best - EVENLY)]


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="hsi-ssl")
@click.pass_context
def cli(context: click.Context) -> None:
    """Class maps of hyperspectral images from few labelled and many unlabelled pixels.

    \b
    hsi-ssl start FOLDER          the whole way, asking three questions; or step by step:
    hsi-ssl init indian-pines     choose a recipe
    hsi-ssl prepare               labelled cubes -> dataset, with its label balance
    hsi-ssl train-m1              features from every pixel
    hsi-ssl train-m2              the classifier
    hsi-ssl classify              a georeferenced class map
    """
    if context.invoked_subcommand is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            click.echo(context.get_help(), err=True)
            context.exit(2)
        start = cli.get_command(context, "start")
        assert start is not None
        start.main([], prog_name="hsi-ssl start", standalone_mode=False)
        return
    if context.invoked_subcommand not in SHARED:
        from .options import refuse_several

        refuse_several(str(context.invoked_subcommand))


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 the user must change something, 1 our bug, 130 and 143 after Ctrl-C and
    SIGTERM.
    """
    gc.set_threshold(OBJECTS)
    os.environ.setdefault("CPL_LOG", os.devnull)  # GDAL's own warnings: ours say what matters
    os.environ["GDAL_VRT_ENABLE_PYTHON"] = "NO"  # code that a raster brings along
    with left_out(), stops_heard() as stop:
        try:
            cli(prog_name="hsi-ssl")
        except BaseException as error:
            number = error.number if isinstance(error, Stopped) else stop.number
            if number:  # whatever else went wrong then came of it
                stop.say(number)
                sys.exit(exit_code(number))
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
