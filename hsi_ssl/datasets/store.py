"""The prepared dataset: one HDF5 file. The only module that knows the names inside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.errors import DatasetError
from hsi_ssl.files import written_beside
from hsi_ssl.scenes.labels import LabelSet

SCHEMA = 1
CHUNK_ROWS = 1024


class Part(IntEnum):
    """What a pixel is used for."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    POOL = 3


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset of n pixels. All but the spectra lies in memory.

    `label (n,)` int16, -1 without label; `part (n,)` uint8, see `Part`; `scene (n,)` int16, row of
    `meta["sources"]`; `pixel (n, 2)` int32, row and column in that scene; `neighbours (n, 8)`
    int32, rows of this dataset (N, NE, E, SE, S, SW, W, NW), -1 where absent. `meta` as written by
    `prepare`.
    """

    path: Path
    meta: dict[str, Any]
    label: npt.NDArray[np.int16]
    part: npt.NDArray[np.uint8]
    scene: npt.NDArray[np.int16]
    pixel: npt.NDArray[np.int32]
    neighbours: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def bands(self) -> int:
        """Number of used bands: the width of `spectra`."""
        return len(self.meta["used_bands"])

    @property
    def wavelengths_nm(self) -> list[float] | None:
        """Of the used bands."""
        found: list[float] | None = self.meta["wavelengths_nm"]
        return found

    @cached_property
    def label_set(self) -> LabelSet:
        """The classes that occur, in the order of `label`."""
        return LabelSet.from_card(self.meta["label_set"])

    @cached_property
    def scaler(self) -> Scaler:
        """The scaling fitted on this dataset's training pixels and pool."""
        return scaler_from_card(self.meta["scaling"])

    def rows(self, *parts: Part) -> npt.NDArray[np.int64]:
        """Row numbers of the pixels of these parts, ascending."""
        return np.flatnonzero(np.isin(self.part, parts))

    @property
    def unlabelled_rows(self) -> npt.NDArray[np.int64]:
        """Rows whose spectra may be learnt from without label.

        The pool; in a transductive dataset the validation and test pixels too.
        """
        if self.meta["transductive"]:
            return self.rows(Part.POOL, Part.VALIDATION, Part.TEST)
        return self.rows(Part.POOL)

    def spectra(self, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[Any]:
        """Raw spectra `(len(rows), bands)` in the source's number type; of all pixels with None."""
        with _opened(self.path) as file:
            stored = file["spectra"]
            if rows is None:
                return np.asarray(stored[:])
            found = np.empty((len(rows), stored.shape[1]), stored.dtype)
            order = np.argsort(rows, kind="stable")
            step = 16 * CHUNK_ROWS
            for first in range(0, stored.shape[0], step):
                place = order[
                    np.searchsorted(rows, first, sorter=order) : np.searchsorted(
                        rows, first + step, sorter=order
                    )
                ]
                if len(place):
                    found[place] = stored[first : first + step][rows[place] - first]
            return found

    def scaled(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Scaled spectra `(len(rows), width of the scaling)`, float32."""
        found = np.empty((len(rows), self.scaler.width), np.float32)
        step = 64 * CHUNK_ROWS
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            found[first : first + step] = self.scaler.transform(self.spectra(some))
        return found


def open_dataset(path: Path) -> Dataset:
    """Open a dataset written by `hsi-ssl prepare`.

    Raises
    ------
    DatasetError
        The file is missing, broken, no dataset of ours, or of another schema version.
    """
    with _opened(path) as file:
        try:
            meta = json.loads(file.attrs["meta"])
            dataset = Dataset(
                path,
                meta,
                *(file[n][:] for n in ("label", "split", "scene", "pixel", "neighbours")),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise DatasetError(
                f"{path} is no dataset of hsi-ssl ({error}); make one with `hsi-ssl prepare`"
            ) from error
    if meta.get("schema") != SCHEMA:
        raise DatasetError(
            f"{path} has schema {meta.get('schema')}, this version reads {SCHEMA}: "
            "run `hsi-ssl prepare` again"
        )
    return dataset


def write_dataset(
    path: Path,
    *,
    spectra: npt.NDArray[Any],
    label: npt.NDArray[np.int16],
    part: npt.NDArray[np.uint8],
    scene: npt.NDArray[np.int16],
    pixel: npt.NDArray[np.int32],
    neighbours: npt.NDArray[np.int32],
    meta: dict[str, Any],
    overwrite: bool = False,
) -> Dataset:
    """Write a dataset, whole or not at all, and open it; arrays as in `Dataset`."""
    with written_beside(path, overwrite=overwrite) as beside, h5py.File(beside, "w") as file:
        chunk = (min(CHUNK_ROWS, max(1, len(spectra))), spectra.shape[1])
        file.create_dataset("spectra", data=spectra, chunks=chunk)
        file["label"], file["split"], file["scene"] = label, part, scene
        file["pixel"], file["neighbours"] = pixel, neighbours
        # A string of variable length lies in the file's heap, so no limit of 64 kB applies.
        file.attrs["meta"] = json.dumps({"schema": SCHEMA, **meta})
    return open_dataset(path)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    if not Path(path).exists():
        raise DatasetError(f"no dataset {path}; make one with `hsi-ssl prepare`")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DatasetError(
            f"{path} is broken or no HDF5 file ({error}); run `hsi-ssl prepare` again"
        ) from error
    with file:
        yield file
