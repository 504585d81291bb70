"""`hsi-ssl match`: which materials spectra look like."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .output import Terminal


@click.command("match", short_help="Name spectra by a spectral library.")
@click.argument("spectra", type=options.FILE)
@click.option("--library", type=options.FILE, required=True, help="Spectra of known materials.")
@click.option(
    "--background",
    metavar="NAME",
    help="Spectrum in SPECTRA that is mixed into the others, a scene's mean say.",
)
@click.option("--count", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("-o", "--output", type=options.FILE, help="CSV to write.")
@options.overwrite
@options.common
def command(
    spectra: Path,
    library: Path,
    background: str | None,
    count: int,
    output: Path | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
) -> None:
    """Tell which materials of a library each of SPECTRA looks like most, with the runners-up.

    Both are an ENVI library (.sli), an ECOSTRESS database made by the package spectral, or a
    table of text: wavelengths in the first column, in nm or um, then one column a spectrum. The
    score is the spectral angle in degrees after continuum removal, the smaller the better. Bands
    of noise are left out, and said.

    \b
    hsi-ssl match means.csv --library s06av95a_envi.sli
    hsi-ssl match discovered/spectra.csv --library ecostress.db --background "all pixels"
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.files import refuse_existing, written_beside
    from hsi_ssl.libraries.matching import in_words
    from hsi_ssl.libraries.naming import matches_csv, name_spectra
    from hsi_ssl.libraries.reading import open_library

    with claimed(*([] if output is None else [output])):
        if output is not None:
            refuse_existing(output, overwrite)
        found, notes = name_spectra(
            open_library(spectra), open_library(library), background=background, count=count
        )
        for note in notes:
            terminal.say(note)
        if output is not None:
            with written_beside(output, overwrite=overwrite) as beside:
                beside.write_text(matches_csv(found), encoding="utf-8")
    terminal.result(
        {"spectra": [named.to_json() for named in found], "notes": list(notes)},
        *(f"{named.name}: {in_words(named.matches)}" for named in found),
    )
