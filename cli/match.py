"""`hsi-ssl match`: which materials spectra, pixels, classes look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal


class Place(click.ParamType[tuple[int, int]]):
    """Row and column of a pixel, `120,35`."""

    name = "ROW,COL"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse one value."""
        try:
            row, col = map(int, value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no row and column such as 120,35", param, ctx)
        return row, col


PLACE = Place()


@click.command("match", short_help="Name spectra by a spectral library.")
@click.argument("spectra", metavar="SPECTRA|SCENE|MAP|RUN", type=options.FILE)
@click.option("--library", type=options.FILE, required=True, help="Spectra of known materials.")
@click.option(
    "--background",
    metavar="NAME",
    help="Spectrum in SPECTRA that is mixed into the others, a scene's mean say.",
)
@click.option(
    "--at",
    type=PLACE,
    multiple=True,
    metavar="ROW,COL",
    help="Pixel of a SCENE, counted from 0; several may be given.",
)
@click.option("--scene", type=options.FILE, help="Scene of a MAP, where it cannot be found.")
@options.data
@click.option("--count", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("-o", "--output", type=options.FILE, help="CSV to write.")
@options.overwrite
@options.common
def command(
    spectra: Path,
    library: Path,
    background: str | None,
    at: tuple[tuple[int, int], ...],
    scene: Path | None,
    data: tuple[Path, ...],
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

    In the place of SPECTRA also pixels of a SCENE (--at); a class MAP: the means of its classes
    over its scene; a RUN of train-m2: the means of what it learnt each class from, or generated
    ones where that is gone; a folder of generate, discover or quantise. Of maps and runs "all
    pixels" is one of the spectra, to be a --background.

    \b
    hsi-ssl match means.csv --library s06av95a_envi.sli
    hsi-ssl match scene.tif --at 120,35 --at 80,200 --library s06av95a_envi.sli
    hsi-ssl match scene_classes.tif --library ecostress.db --background "all pixels"
    hsi-ssl match runs/m2 --library ecostress.db
    """
    from hsi_ssl.claims import claimed
    from hsi_ssl.files import refuse_existing, written_beside
    from hsi_ssl.libraries.matching import in_words
    from hsi_ssl.libraries.naming import matches_csv, name_spectra
    from hsi_ssl.libraries.reading import open_library
    from hsi_ssl.naming.spectra import spectra_of

    with claimed(*([] if output is None else [output])):
        if output is not None:
            refuse_existing(output, overwrite)
        found, notes = name_spectra(
            spectra_of(spectra, at=at, scene=scene, data=data, watcher=terminal),
            open_library(library),
            background=background,
            count=count,
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
