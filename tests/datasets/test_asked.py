"""The command that makes a dataset again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from hsi_ssl.cli import options
from hsi_ssl.cli.prepare import command
from hsi_ssl.datasets.asked import asked_of, prepare_command
from hsi_ssl.datasets.prepare import PATHS
from hsi_ssl.settings import PrepareSettings

PLAIN = PrepareSettings(sources=("indian-pines",))
ODD = PrepareSettings(
    sources=("a scene.tif", "b.tif"),
    labels=(Path("draw n.gpkg"),),
    label_field="class",
    min_coverage=0.0,
    ignore_codes=(255, -1),
    exclude=("1350-1450", "1800-1950"),
    per_class=10,
    split="polygons",
    validation=0.25,
    transductive=True,
    classes=Path("names.csv"),
    mask=(Path("core_mask.tif"),),
    seed=7,
)


def meta_of(settings: PrepareSettings) -> dict[str, Any]:
    return {
        "asked": asked_of(settings),
        "settings": settings.model_dump(mode="json", exclude=PATHS),
    }


def understood(line: str) -> PrepareSettings:
    """Settings that the command line makes of a command."""
    words = shlex.split(line)
    assert words[:2] == ["hsi-ssl", "prepare"]
    with command.make_context("prepare", words[2:]) as context:
        assert isinstance(context, click.Context)
        given = {k: v for k, v in context.params.items() if k in PrepareSettings.model_fields}
        found = options.override(PrepareSettings(), **options.vectors_are_labels(given))
        assert isinstance(found, PrepareSettings)
        return found


def test_what_was_asked_is_asked_again() -> None:
    for settings in (PLAIN, ODD):
        line = prepare_command(meta_of(settings), Path("runs/dataset.h5"))
        assert line is not None
        assert understood(line) == settings


def test_defaults_are_not_told() -> None:
    line = prepare_command(meta_of(PLAIN), Path("d.h5"))
    assert line == "hsi-ssl prepare indian-pines -o d.h5 --overwrite"


def test_a_dataset_that_does_not_tell_has_no_command() -> None:
    assert prepare_command({"settings": {}}, Path("d.h5")) is None
