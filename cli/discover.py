"""`hsi-ssl discover`: groups of pixels that nobody has labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal


@click.command("discover", short_help="Find groups that nobody has labelled.")
@click.argument("model", metavar="RUN", type=options.FILE)
@click.argument("scenes", metavar="[SCENE|DATASET]...", nargs=-1)
@click.option(
    "--also",
    type=options.FILE,
    multiple=True,
    help="Run of the same settings with another seed; stable groups are in it too.",
)
@click.option("--library", type=options.FILE, help="Spectra of known materials, to name groups by.")
@click.option("-o", "--output", type=options.FILE, help="Folder [default: discovered].")
@click.option("--first-code", type=int, help="Code of the first group.")
@click.option("--min-pixels", type=int, help="Pixels that a group has at least [default: 50].")
@click.option("--min-posterior", type=float, help="Its least mean probability [default: 0.5].")
@click.option(
    "--min-compactness",
    type=float,
    help="How far neighbours are of the group too, 0 as by chance, 1 all [default: 0.2].",
)
@click.option(
    "--min-stability", type=float, help="Least overlap with the other runs' groups [default: 0.5]."
)
@click.option(
    "--resample",
    is_flag=True,
    default=None,
    help="Bring a scene's other bands to the model's.",
)
@options.force
@options.reading
@options.device
@options.overwrite
@options.common
def command(project: Path | None, terminal: Terminal, *, overwrite: bool, **given: Any) -> None:
    """Tell which free slots of RUN hold a group of pixels in SCENEs or a DATASET, and what it is.

    Writes a page, tables, the groups' spectra and, of scenes, maps with unknown-1, unknown-2 and so
    on as new classes; `classify --model RUN` maps them from then on. A library is an ENVI one
    (.sli), an ECOSTRESS database made by the package spectral, or a CSV.

    \b
    hsi-ssl discover runs/m2 cores/ --library s06av95a_envi.sli
    hsi-ssl discover runs/seed0 cores/ --also runs/seed1 --also runs/seed2 -o unknown
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.discovery.discover import discover
    from hsi_ssl.files import refuse_existing
    from hsi_ssl.inference.discovered import save_discovered
    from hsi_ssl.libraries.matching import in_words
    from hsi_ssl.reports.discovery import write_discovery

    settings = options.override(options.read_project(project).discover, **given)
    with claimed(settings.output, settings.model):  # what is found is told there, too
        refuse_existing(settings.output, overwrite)
        found = discover(settings, watcher=terminal)
        # Two folders: no page tells of other groups than the run has, whenever this is killed.
        page = write_discovery(
            found,
            settings.output,
            meanwhile=lambda: save_discovered(
                settings.model, found.classifier.card, found.discovered
            ),
            overwrite=overwrite,
        )
    for note in found.notes:
        terminal.say(note)
    for group in found.no_groups:
        terminal.say(f"slot {group.slot} holds no group: {'; '.join(group.why)}")
    lines = []
    for group in found.groups:
        name = group.label.name if group.label else ""
        likeness = f"; {in_words(group.matches)}" if group.matches else ""
        lines.append(f"{name}: {group.pixels:,} pixels{likeness}")
    if not found.groups:
        terminal.warn("no free slot holds a coherent group")
    terminal.result(
        {**found.to_json(), "report": str(page)},
        *lines,
        f"report: {page}",
        f"now: hsi-ssl classify SCENE --model {settings.model}",
    )
