"""Commands as texts and pages show them, parsed as the command line would."""

from __future__ import annotations

import html
import itertools
import re
import shlex
from pathlib import Path

import click

from hsi_ssl.cli.main import cli


def parse(text: str) -> list[list[str]]:
    """Parse a line as the command line would, without running it; the words of its calls.

    Raises `click.UsageError` for what it would refuse: commands, options, choices, numbers, and
    arguments that are missing or too many.
    """
    calls = []
    typed = shlex.split(text, comments=True)
    for joined, call in itertools.groupby(typed, key="&&".__eq__):
        if joined:
            continue
        program, *words = call
        assert program == "hsi-ssl"
        calls.append(words)
        command: click.Command = cli
        rest = words
        while isinstance(command, click.Group):
            name, inner, rest = command.resolve_command(click.Context(command), rest)
            assert inner is not None, name
            command = inner
        command.make_context("hsi-ssl", list(rest))
    return calls


def next_steps(page: Path) -> list[str]:
    """Commands that a page says to go on with; its first section does, and all of them parse."""
    text = page.read_text(encoding="utf-8")
    first = text.index("<section")
    assert text.startswith('<section class="steps"><h2>What to do next', first)
    box = text[first : text.index("</section>", first)]
    assert "<li>" in box
    commands = [html.unescape(found) for found in re.findall("<code>(.*?)</code>", box)]
    for command in commands:
        parse(command)
    return commands
