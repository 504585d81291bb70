"""Spectra of single pixels of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hsi_ssl.errors import SceneError
from hsi_ssl.labels.sources import resolve
from hsi_ssl.libraries.library import SpectralLibrary
from hsi_ssl.naming.measured import as_library, physical
from hsi_ssl.scenes.scene import valid_spectra
from hsi_ssl.watcher import Watcher


def of_pixels(path: Path, at: Sequence[tuple[int, int]], watcher: Watcher) -> SpectralLibrary:
    """Spectra of the pixels at these rows and columns, counted from 0.

    Raises
    ------
    SceneError
        One is outside or has no measurement; `path` stands for several scenes.
    SceneNotFoundError, CatalogError, FetchError
        The scene is not there.
    LibraryError
        It tells no wavelengths.
    """
    spectra = {}
    with resolve([str(path)], labelled=False, watcher=watcher) as sources:
        if len(sources.scenes) > 1:
            raise SceneError(
                f"{path} holds {len(sources.scenes)} scenes; name the file that the pixels are in, "
                f"such as {sources.scenes[0].scene.path}"
            )
        scene = sources.scenes[0].scene
        for row, col in at:
            if not (0 <= row < scene.rows and 0 <= col < scene.cols):
                raise SceneError(
                    f"pixel {row},{col} is outside {path}, which has {scene.rows} rows and "
                    f"{scene.cols} columns, counted from 0"
                )
            raw = scene.read(slice(row, row + 1), slice(col, col + 1))
            if not valid_spectra(raw[..., scene.good], scene.nodata).all():
                raise SceneError(f"pixel {row},{col} of {path} has no measurement; name another")
            spectra[f"row {row}, col {col}"] = physical(scene, raw[0, 0])
        return as_library(path, spectra, scene.wavelengths_nm)
