"""`hsi-ssl simulate`: labelled drill-core scenes."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .output import Terminal


@click.command("simulate", short_help="Write labelled drill-core scenes.")
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    default=Path("scenes"),
    show_default=True,
    help="Folder for the scenes.",
)
@click.option("--scenes", default=10, show_default=True, help="How many.")
@click.option("--rows", default=256, show_default=True, help="Rows of each; real ones have 2848.")
@click.option("--cols", default=384, show_default=True, help="Columns of each.")
@options.seed
@options.overwrite
@options.common
def command(
    output: Path,
    scenes: int,
    rows: int,
    cols: int,
    seed: int | None,
    overwrite: bool,
    project: object,
    terminal: Terminal,
) -> None:
    """Write labelled drill-core scenes to a folder: HDF5 cubes of 268 bands, 1000 to 2500 nm.

    The same seed and size give the same bytes.
    """
    from hsi_ssl.scenes.simulate import simulate

    paths = simulate(
        output,
        scenes=scenes,
        rows=rows,
        cols=cols,
        seed=seed or 0,
        overwrite=overwrite,
        watcher=terminal,
    )
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    terminal.result(
        {"folder": str(output), "scenes": [str(path) for path in paths]},
        f"wrote {scenes} scenes of {rows} x {cols} pixels, {megabytes:,.0f} MB, to {output}",
        f"now: hsi-ssl prepare {output}",
    )
