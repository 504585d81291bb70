"""Spectra to be named: of a table or library, pixels of a scene, the classes of a map or a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hsi_ssl.errors import HsiSslError, LibraryError, SettingsError
from hsi_ssl.inference.checkpoint import CARD
from hsi_ssl.libraries.library import SpectralLibrary
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.libraries.telling import is_library
from hsi_ssl.naming.of_generated import is_generated, of_generated
from hsi_ssl.naming.of_map import is_map, of_map
from hsi_ssl.naming.of_pixels import of_pixels
from hsi_ssl.naming.of_run import of_run
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.watcher import SILENT, Watcher

SPECTRA = "spectra.csv"
"""What `discover` and `quantise` keep of their groups and units."""
Place = tuple[int, int]


def spectra_of(
    path: Path,
    *,
    at: Sequence[Place] = (),
    scene: Path | None = None,
    data: Sequence[Path] = (),
    watcher: Watcher = SILENT,
) -> SpectralLibrary:
    """The spectra that `path` stands for, in numbers proportional to what was measured.

    Parameters
    ----------
    path
        A table of text or an ENVI or ECOSTRESS library; a folder of `generate`, `discover` or
        `quantise`; a run of `train-m2`, of which they are means a class; a class map, of which they
        are means over its scene; with `at` a scene.
    at
        Rows and columns of pixels, from 0.
    scene
        The scene of a map that does not find it.
    data
        Folders in which scenes and datasets are looked for that are not where they were.

    Raises
    ------
    LibraryError
        It is none of these, or has no wavelengths.
    SettingsError
        `scene` is given of what is no map.
    SceneError, SceneNotFoundError, DatasetError, ModelError
        What it was made of is not there or another, or a pixel is outside or no measurement.
    """
    mapped = not at and path.is_file() and not is_library(path) and is_map(path)
    if scene is not None and not mapped:
        raise SettingsError(f"--scene is that of a class map, and {path} is none: leave it out")
    if at:
        return of_pixels(path, at, watcher)
    if mapped:
        return of_map(path, scene, data, watcher)
    if not path.is_dir():
        return _library(path)
    if (path / CARD).is_file() and not (path / SPECTRA).is_file():
        return of_run(path, data)
    if is_generated(path):
        return of_generated(path)
    if (path / SPECTRA).is_file():
        return open_library(path / SPECTRA)
    raise LibraryError(
        f"{path} holds no spectra: expected a run, or a folder of `hsi-ssl generate`, `discover` "
        "or `quantise`; of a scene name pixels with --at ROW,COL"
    )


def _library(path: Path) -> SpectralLibrary:
    """A library or table; of a scene it is said what to give."""
    try:
        return open_library(path)
    except LibraryError as error:
        try:
            open_scene(path).close()
        except HsiSslError:
            raise error from None
        raise LibraryError(
            f"{path} is a scene, no spectral library: name pixels of it with --at ROW,COL"
        ) from None
