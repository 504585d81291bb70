"""`hsi-ssl features`: what M1 makes of spectra, for other programs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from . import options
from .output import Terminal


@click.command("features", short_help="Write M1's features of a scene or a dataset.")
@click.argument("source", metavar="SCENE_OR_DATASET")
@click.option("--m1", type=options.FILE, help="Run folder of M1 [default: runs/m1].")
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    help="GeoTIFF, or HDF5 [default: <scene>_features.tif or <dataset>_features.h5 here].",
)
@click.option("--resample", is_flag=True, help="Bring a scene's other bands to M1's.")
@options.force
@options.reading
@options.device
@options.overwrite
@options.common
def command(
    source: str,
    m1: Path | None,
    output: Path | None,
    resample: bool,
    force: bool,
    device: str | None,
    overwrite: bool,
    project: Path | None,
    terminal: Terminal,
    **given: Any,
) -> None:
    """Write features, M1's with log-variance: of a scene as a GeoTIFF, of a dataset as HDF5.

    \b
    hsi-ssl features scene.tif
    hsi-ssl features runs/dataset.h5 --m1 runs/m1 -o features.h5
    """
    from hsi_ssl.datasets.store import is_dataset, open_dataset
    from hsi_ssl.errors import SettingsError
    from hsi_ssl.inference.extractor import load_m1
    from hsi_ssl.labels.sources import resolve
    from hsi_ssl.maps.features import dataset_features, scene_features

    settings = options.read_project(project)
    run, device = m1 or settings.m1.output, device or settings.m1.device
    if is_dataset(Path(source)):
        output = output or Path(f"{Path(source).stem}_features.h5")
        with _free(output, overwrite):
            extractor = load_m1(run, device)
            pixels = dataset_features(
                open_dataset(Path(source)), extractor, output, run=run, overwrite=overwrite
            )
    else:
        reading = options.reading_of(given)
        with (
            contextlib.nullcontext() if output is None else _free(output, overwrite),
            resolve((source,), reading=reading, labelled=False, watcher=terminal) as sources,
        ):
            if len(sources.scenes) > 1:
                raise SettingsError(
                    f"{source} holds {len(sources.scenes)} scenes; name one file of them"
                )
            scene = sources.scenes[0].scene
            output = output or Path(f"{scene.name}_features.tif")
            with _free(output, overwrite):
                extractor = load_m1(run, device)
                pixels = scene_features(
                    scene,
                    extractor,
                    output,
                    resample=resample,
                    force=force,
                    overwrite=overwrite,
                    watcher=terminal,
                )
    units = extractor.model.units
    terminal.result(
        {"output": str(output), "pixels": pixels, "units": units},
        f"wrote {output}: {units} units of {pixels:,} pixels",
    )


@contextlib.contextmanager
def _free(output: Path, overwrite: bool) -> Iterator[None]:
    """An output that is claimed before anything is computed for it."""
    from hsi_ssl.claims import claimed
    from hsi_ssl.files import refuse_existing

    with claimed(output):
        refuse_existing(output, overwrite)
        yield
