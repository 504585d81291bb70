"""Questions at the terminal, each with a proposal that Enter takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from hsi_ssl.errors import SettingsError

from .output import Terminal, readable


def asks(terminal: Terminal) -> bool:
    """Whether somebody sits there who can be asked."""
    there = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    return there and not terminal.as_json and terminal.verbosity >= 0


def chosen(question: str, answers: Sequence[str]) -> int:
    """Number, from 0, of one of several answers; the first is the proposal.

    Raises
    ------
    SettingsError
        No answer comes.
    """
    click.echo(f"\n{readable(question)}")
    for number, answer in enumerate(answers, 1):
        click.echo(f"  {number}  {readable(answer)}")
    while True:
        text = _answer(f"Which, 1 to {len(answers)}? Enter takes 1:")
        if not text:
            return 0
        if text.isdigit() and 1 <= int(text) <= len(answers):
            return int(text) - 1
        click.echo(f"{readable(text)} is none of the numbers 1 to {len(answers)}")


def agreed(question: str) -> bool:
    """Whether the answer is yes, which Enter is."""
    while True:
        text = _answer(f"\n{readable(question)} Enter or y: yes, n: no:").lower()
        if text in ("", "y", "yes", "n", "no"):
            return text in ("", "y", "yes")


def _answer(prompt: str) -> str:
    """What is typed; not by `input`, which may write the prompt to where nothing is shown."""
    click.echo(f"{prompt} ", nl=False)
    typed = sys.stdin.readline()
    if not typed:
        click.echo()
        raise SettingsError("no answer came: --yes takes what is proposed")
    return typed.strip()
