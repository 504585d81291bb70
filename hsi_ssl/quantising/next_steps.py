"""What to do after quantising spectra, as the page says it first."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hsi_ssl.quantising.units import Units
from hsi_ssl.reports.next_steps import Step

if TYPE_CHECKING:
    from hsi_ssl.settings import QuantiseSettings

SPARE = 0.25
"""Share of prototypes without a spectrum from which on there are too many; a map has some."""


def after_quantising(
    settings: QuantiseSettings, units: Units, maps: Sequence[str], *, names: bool
) -> Iterator[Step]:
    """What to do after looking at units; `maps` lie in the run, `names`: units may be named."""
    run = settings.run
    if maps:
        yield Step(
            "Look at the map beside the scene, pixel by pixel.", _line("view", run / maps[0])
        )
    else:
        yield Step("Map a scene by these units.", _line("quantise", "SCENE", "--model", run))
    idle = int((units.pixels == 0).sum())
    if settings.method != "som" and idle > SPARE * len(units.pixels):
        fewer = len(units.pixels) - idle
        yield Step(
            f"Take fewer units: {idle} of {len(units.pixels)} won no spectrum.",
            _line(*_again(settings), "--units", fewer, "-o", _beside(run, f"{fewer}-units")),
        )
    if names and not units.matches:
        spectra = run / "spectra.csv"
        yield Step("Name units by a spectral library.", _line("match", spectra, "--library", "LIB"))
    seed = settings.seed + 1
    yield Step(
        "Learn it again from another seed, and believe what stays.",
        _line(
            *_again(settings), *_size(settings), "--seed", seed, "-o", _beside(run, f"seed{seed}")
        ),
    )


def _again(settings: QuantiseSettings) -> list[object]:
    return ["quantise", *settings.sources, "--method", settings.method]


def _size(settings: QuantiseSettings) -> list[object]:
    if settings.method == "som":
        return ["--rows", settings.rows, "--cols", settings.cols]
    return ["--units", settings.units]


def _beside(run: Path, ending: str) -> Path:
    return run.with_name(f"{run.name}-{ending}")


def _line(*words: object) -> str:
    return shlex.join(["hsi-ssl", *map(str, words)])
