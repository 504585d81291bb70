"""The group: help that starts fast, exit codes, --json."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hsi_ssl.cli.main import COMMANDS

HEAVY = ("torch", "rasterio", "h5py", "numpy", "pydantic", "matplotlib", "sklearn", "scipy")


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from hsi_ssl.cli.main import cli\n"
        "cli.main(['--help'], prog_name='hsi-ssl', standalone_mode=False)\n"
        f"print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in ran.stdout
    for name in COMMANDS:
        assert f"\n  {name} " in ran.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(hsi_ssl: Callable[..., Any], name: str) -> None:
    ran = hsi_ssl(name, "--help")
    assert ran.code == 0
    assert "Usage: hsi-ssl" in ran.out
    assert name in ran.out


def test_an_unknown_command_is_the_users_mistake(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl("trane-m1")
    assert ran.code == 2
    assert "No such command" in ran.err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("trian", "train-m1, train-m2"),
        ("train", "train-m1, train-m2"),
        ("clasify", "classify"),
        ("evalaute", "evaluate"),
        ("Prepare", "prepare"),
        ("quantize", "quantise"),
    ],
)
def test_an_unknown_command_names_those_that_may_be_meant(
    hsi_ssl: Callable[..., Any], typed: str, meant: str
) -> None:
    ran = hsi_ssl(typed)
    assert ran.code == 2
    assert f"No such command '{typed}': did you mean {meant}?" in ran.err


def test_what_is_like_no_command_is_not_guessed(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl("xyzzy")
    assert ran.code == 2
    assert "did you mean" not in ran.err


def test_alone_and_without_a_terminal_it_prints_help(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl()
    assert ran.code == 2
    assert "Usage: hsi-ssl [OPTIONS] [COMMAND]" in ran.err
