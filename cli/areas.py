"""`hsi-ssl areas`: the share of each class by depth, along the axis of a class map."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import click

from . import options
from .output import Terminal

CENTIMETRES, MILLIMETRES = 100, 1000


@click.command("areas", short_help="Log the share of each class along drill core.")
@click.argument("maps", metavar="MAP...", nargs=-1, required=True, type=options.FILE)
@click.option("--every", type=click.IntRange(min=1), help="Pixel lines an interval [default: 50].")
@click.option(
    "--every-cm",
    type=click.FloatRange(min=0, min_open=True),
    help="Centimetres an interval; needs --pixel-mm.",
)
@click.option(
    "--pixel-mm",
    type=click.FloatRange(min=0, min_open=True),
    help="Length of a pixel along the core; depths are then metres.",
)
@click.option("--top", type=float, default=0.0, help="Depth of the first line [default: 0].")
@click.option(
    "--along",
    type=click.Choice(["rows", "cols"]),
    help="Depth runs down the rows or along the columns [default: along the longer side].",
)
@click.option(
    "--sticks",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Sticks of core side by side in each map, of equal width.",
)
@click.option("--reverse", is_flag=True, help="The last line is the shallowest.")
@click.option(
    "-o", "--output", type=options.FILE, help="CSV; a figure (.png) lies beside it "
    "[default: <first map>_log.csv]."
)  # fmt: skip
@options.overwrite
@options.common
def command(
    maps: tuple[Path, ...],
    every: int | None,
    every_cm: float | None,
    pixel_mm: float | None,
    top: float,
    along: Literal["rows", "cols"] | None,
    sticks: int,
    reverse: bool,
    output: Path | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Log the share of each class by depth, of class MAPs in the order of their depth.

    Lines of pixels across the core are counted, those of an interval together; shares are of the
    classified pixels. Beside the CSV lies a figure as logs are drawn: depth downwards, the shares
    side by side in the colours of the classes, blank where nothing is classified.

    \b
    hsi-ssl areas core_classes.tif
    hsi-ssl areas box1_classes.tif box2_classes.tif --sticks 4 --every-cm 10 --pixel-mm 1.2
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.files import refuse_existing, written_beside
    from hsi_ssl.reports.core_log import Depths, core_log, draw_log

    if every is not None and every_cm is not None:
        raise SettingsError("--every and --every-cm both say how long an interval is; give one")
    if every_cm is not None and pixel_mm is None:
        raise SettingsError("--every-cm needs the length of a pixel along the core: --pixel-mm")
    metres = None if pixel_mm is None else pixel_mm / MILLIMETRES
    lines = 50 if every is None else every
    length = every_cm / CENTIMETRES if every_cm is not None else lines * (metres or 1)
    if metres is not None and length < metres:
        raise SettingsError(
            f"an interval of {every_cm:g} cm is shorter than a pixel of {pixel_mm:g} mm; make it "
            "longer"
        )
    table = output or Path(f"{maps[0].stem}_log.csv")
    figure = table.with_suffix(".png")
    if table == figure:
        raise SettingsError(f"{table} is the table's name, and that of the figure; end it in .csv")
    with claimed(table, figure):
        for path in (table, figure):
            refuse_existing(path, overwrite)
        log = core_log(maps, Depths(length, metres, top, reverse), along=along, sticks=sticks)
        with written_beside(table, also=[figure], overwrite=overwrite) as beside:
            beside.write_text(log.to_csv(), encoding="utf-8")
            draw_log(log, beside.with_name(figure.name), maps[0].stem)
    total = log.counts.sum(axis=0) / log.counts.sum()
    width = max(len(c.name) for c in log.classes)
    terminal.result(
        {"table": str(table), "figure": str(figure), **log.to_json()},
        *(f"{c.name:{width}} {100 * s:5.1f} %" for c, s in zip(log.classes, total, strict=True)),
        f"wrote {table} and {figure}: {len(log.counts):,} intervals from {log.edges[0]:g} to "
        f"{log.edges[-1]:g} {log.unit}; now: hsi-ssl view {shlex.quote(str(maps[0]))}",
    )
