"""Scenes and datasets as the library offers them: the commands' own functions, with keywords."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_ssl.checking import checked
from hsi_ssl.datasets import prepare as preparing
from hsi_ssl.datasets import store
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import SceneError
from hsi_ssl.labels.sources import resolve
from hsi_ssl.library.telling import TELLING
from hsi_ssl.scenes.readers.data_array import from_xarray as scene_of_array
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.settings import PrepareSettings, ReadingSettings
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    import xarray

PathLike = str | os.PathLike[str]
LISTS = ("sources", "labels", "train_labels", "test_labels", "mask", "mask_out")
"""Settings that hold several files, of which a program may give a single one."""


def open_scene(path: PathLike, *, watcher: Watcher = TELLING, **reading: Any) -> Scene:
    """Open a cube `(rows, cols, bands)` of any format, lazily.

    Parameters
    ----------
    path
        A file, an address that GDAL reads, or a name from `hsi-ssl catalog list`.
    watcher
        Hears what the reader guessed; by default it is logged by `hsi_ssl`.
    **reading
        How it is read, as the options of the commands: `variable`, the array's name in a file that
        holds several; `wavelengths`, a CSV with one a band; `axes`, such as `bands,rows,cols`;
        `scale`, what raw numbers are multiplied by; `nodata`, the one that stands for none; `mask`
        and `mask_out`, rasters or polygons that say where to look.

    Raises
    ------
    SceneNotFoundError, SceneError
        There is no such file, or it is no cube, or holds several.
    SettingsError
        A keyword is unknown.

    Examples
    --------
    >>> import numpy as np, hsi_ssl
    >>> np.save("scene.npy", np.ones((20, 30, 5), "uint16"))
    >>> with hsi_ssl.open_scene("scene.npy") as scene:
    ...     scene.read(rows=slice(0, 2)).shape
    (2, 30, 5)
    """
    settings = checked(ReadingSettings, _with_lists(reading), where="open_scene")
    sources = resolve([os.fspath(path)], reading=settings.reading, labelled=False, watcher=watcher)
    if len(sources.scenes) != 1:
        sources.close()
        raise SceneError(
            f"{path} holds {len(sources.scenes)} scenes; expected one: name one of its files"
        )
    return sources.scenes[0].scene


def from_xarray(
    array: xarray.DataArray, *, axes: str | None = None, watcher: Watcher = TELLING
) -> Scene:
    """A scene made of a `DataArray` of three dimensions, read when it is wanted.

    Which dimension holds the bands is told by names and coordinates, as in netCDF; or by `axes`,
    `bands,rows,cols` say. Wavelengths are a coordinate along the bands (nm where it has no unit,
    below 100 micrometres); `spatial_ref`, or regular coordinates, say where pixels lie;
    `_FillValue`, `scale_factor` and `add_offset` among the attributes count as in files. `watcher`
    hears what was guessed.

    Raises
    ------
    SceneError
        It has other dimensions, or holds no numbers; which one holds the bands remains open.

    Examples
    --------
    >>> import numpy as np, xarray, hsi_ssl
    >>> array = xarray.DataArray(
    ...     np.ones((3, 20, 30)),
    ...     dims=("wavelength", "y", "x"),
    ...     coords={"wavelength": ("wavelength", [450.0, 550.0, 650.0], {"units": "nm"})},
    ... )
    >>> scene = hsi_ssl.from_xarray(array)
    >>> scene.rows, scene.cols, scene.wavelengths_nm.tolist()
    (20, 30, [450.0, 550.0, 650.0])
    """
    scene = scene_of_array(array, axes=axes)
    for note in scene.notes:
        watcher.say(note)
    return scene


def prepare(
    sources: PathLike | Iterable[PathLike],
    *,
    overwrite: bool = False,
    watcher: Watcher = TELLING,
    **settings: Any,
) -> Dataset:
    """Make a dataset of labelled scenes and write it to `output`.

    As `hsi-ssl prepare` does, but for its report on label balance.

    Parameters
    ----------
    sources
        Files, folders or names from `hsi-ssl catalog list`; or one of them.
    overwrite
        Replace a dataset that is there.
    watcher
        Hears how pixels were split, and what is wrong with it.
    **settings
        Those of `[prepare]` in `hsi-ssl.toml`: `output`, `labels`, `split`, `cap`, `scaling`,
        `seed` and so on.

    Raises
    ------
    SettingsError
        A setting is unknown or unfit; the sentence names all of them.
    HsiSslError
        The sources cannot be had or used, or the output cannot be written.

    Examples
    --------
    >>> import numpy as np, hsi_ssl
    >>> rng = np.random.default_rng(0)
    >>> classes = np.repeat([1, 2], 600).reshape(40, 30)  # codes; 0 is no label
    >>> np.save("cube.npy", classes[..., None] * [10, 20, 40] + rng.normal(0, 1, (40, 30, 3)))
    >>> np.save("classes.npy", classes)
    >>> dataset = hsi_ssl.prepare(
    ...     "cube.npy", labels="classes.npy", output="dataset.h5", split="pixels", unlabelled=100
    ... )
    >>> dataset.label_set.codes.tolist(), dataset.bands
    ([1, 2], 3)
    """
    given = _with_lists({"sources": sources, **settings})
    given["sources"] = tuple(os.fspath(source) for source in given["sources"])
    chosen = checked(PrepareSettings, given, where="prepare")
    return preparing.prepare(chosen, overwrite=overwrite, watcher=watcher)


def open_dataset(path: PathLike, *, label_set: str | None = None) -> Dataset:
    """Open a dataset that `prepare` has written; of several label sets all, or the one named.

    `spectra(rows)` gives raw spectra `(n, bands)`; `label (n,)` class indices, -1 without label;
    `part (n,)`, `scene (n,)` and `pixel (n, 2)` say what each pixel is for and where it lies.

    Raises
    ------
    DatasetError
        The file is missing, broken or no dataset, or has no such label set.

    Examples
    --------
    >>> import numpy as np, hsi_ssl
    >>> rng = np.random.default_rng(0)
    >>> classes = np.repeat([1, 2], 600).reshape(40, 30)
    >>> np.save("cube.npy", classes[..., None] * [10, 20, 40] + rng.normal(0, 1, (40, 30, 3)))
    >>> np.save("classes.npy", classes)
    >>> made = hsi_ssl.prepare(
    ...     "cube.npy", labels="classes.npy", output="dataset.h5", split="pixels", overwrite=True
    ... )
    >>> dataset = hsi_ssl.open_dataset("dataset.h5")
    >>> dataset.spectra().shape == (len(dataset), 3)
    True
    """
    return store.open_dataset(Path(path), label_set)


def _with_lists(given: dict[str, Any]) -> dict[str, Any]:
    """`given` with a single file as a list of one, where a list is wanted."""
    return {key: _listed(value) if key in LISTS else value for key, value in given.items()}


def _listed(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, (str, os.PathLike)) else tuple(value)
