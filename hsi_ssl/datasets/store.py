"""The prepared dataset: one HDF5 file. The only module that knows the names inside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.errors import DatasetError
from hsi_ssl.files import written_beside
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.stopping import uninterrupted

SCHEMA = 2
CHUNK_ROWS = 1024
READ_ROWS = 16 * CHUNK_ROWS
"""Rows that are read at once; who reads a dataset piece by piece takes pieces that begin there."""
COLUMNS = {n: n for n in ("scene", "pixel", "neighbours")} | {"y": "label", "part": "split"}
"""Columns in memory, and their names in the file."""
UnitKind = Literal["polygon", "patch", "block", "scene", "pixel"]


class Part(IntEnum):
    """What a pixel is used for."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    POOL = 3
    OTHER = 4
    """Held out for another label set; this one says nothing of it."""


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset of n pixels. All but the spectra lies in memory.

    `y (n, V)` int16, a column a label set, -1 without label; `part (n,)` uint8, see `Part`; `scene
    (n,)` int16, row of `meta["sources"]`; `pixel (n, 2)` int32, row and column in that scene;
    `neighbours (n, 8)` int32, rows of this dataset (N, NE, E, SE, S, SW, W, NW), -1 where absent.
    `unit (n,)` int32: which labelled pixels belong together on the ground, so that errors are told
    by drawing units, not pixels; -1 without label; `unit_kind` says what they are. `meta` as
    written by `prepare`; `whole` is the dataset of all label sets where this is `one` of them.
    """

    path: Path
    meta: dict[str, Any]
    y: npt.NDArray[np.int16]
    part: npt.NDArray[np.uint8]
    scene: npt.NDArray[np.int16]
    pixel: npt.NDArray[np.int32]
    neighbours: npt.NDArray[np.int32]
    unit: npt.NDArray[np.int32]
    whole: Dataset | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{len(self.rows(part)):,} {part.name.lower()}" for part in Part if part in self.part
        )
        sets = (f"  {s.name}: {len(s)} classes" for s in self.label_sets)
        head = f"<Dataset {self.path}: {len(self):,} pixels of {self.bands} bands: {parts}"
        return "\n".join([head, *sets]) + ">"

    def one(self, name: str) -> Dataset:
        """The same pixels with the labels of one label set.

        Training pixels that it does not label join the pool; validation and test pixels that it
        does not label are `Part.OTHER`.

        Raises
        ------
        DatasetError
            There is no label set of that name.
        """
        names = [label_set.name for label_set in self.label_sets]
        if name not in names:
            raise DatasetError(
                f"{self.path} has no label set {name}; it has {', '.join(names)}: name one of "
                "these with --label-set, or prepare again"
            )
        if len(names) == 1:
            return self
        i = names.index(name)
        y, part = self.y[:, [i]], self.part.copy()
        label = y[:, 0]
        part[(label < 0) & (part == Part.TRAIN)] = Part.POOL
        part[(label < 0) & np.isin(part, (Part.VALIDATION, Part.TEST))] = Part.OTHER
        meta = {k: v for k, v in self.meta.items() if k != "label_sets"} | self.meta["label_sets"][
            i
        ]
        return replace(self, meta=meta, y=y, part=part, whole=self)

    @property
    def bands(self) -> int:
        """Number of used bands: the width of `spectra`."""
        return len(self.meta["used_bands"])

    @property
    def wavelengths_nm(self) -> list[float] | None:
        """Of the used bands."""
        found: list[float] | None = self.meta["wavelengths_nm"]
        return found

    @property
    def unit_kind(self) -> UnitKind:
        """What `unit` numbers."""
        found: UnitKind = self.meta.get("unit_kind", "pixel")
        return found

    @cached_property
    def label_sets(self) -> tuple[LabelSet, ...]:
        """The label sets, in the order of the columns of `y`."""
        each = self.meta.get("label_sets", [self.meta])
        return tuple(LabelSet.from_card(card["label_set"]) for card in each)

    @property
    def label(self) -> npt.NDArray[np.int16]:
        """Labels `(n,)`, -1 without, where there is one label set; errors as `label_set`."""
        return self.y[:, self._only]

    @property
    def label_set(self) -> LabelSet:
        """The classes that occur, in the order of `label`, where there is one label set.

        Raises
        ------
        DatasetError
            There are several.
        """
        return self.label_sets[self._only]

    @property
    def _only(self) -> int:
        """The column of the only label set."""
        if len(self.label_sets) > 1:
            names = ", ".join(label_set.name for label_set in self.label_sets)
            raise DatasetError(
                f"{self.path} holds several label sets ({names}), one is needed here: name it with "
                "--label-set"
            )
        return 0

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
            return self.rows(Part.POOL, Part.VALIDATION, Part.TEST, Part.OTHER)
        return self.rows(Part.POOL)

    @property
    def learnt_rows(self) -> npt.NDArray[np.int64]:
        """Rows that are learnt from where labels are not looked at, validation pixels kept apart.

        Training pixels and the pool; in a transductive dataset the test pixels too.
        """
        return self.rows(Part.TRAIN, Part.POOL, *[Part.TEST] * self.meta["transductive"])

    def spectra(self, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[Any]:
        """Raw spectra `(len(rows), bands)` in the source's number type; of all pixels with None."""
        with _opened(self.path) as file:
            stored = file["spectra"]
            if rows is None:
                return np.asarray(stored[:])
            return _gather(stored, rows)

    def scaled(
        self, rows: npt.NDArray[np.int64], scaler: Scaler | None = None
    ) -> npt.NDArray[np.float32]:
        """Scaled spectra `(len(rows), width of the scaling)`, float32; None: this dataset's own."""
        scaler = scaler or self.scaler
        step = 64 * CHUNK_ROWS
        if len(rows) <= step:
            return scaler.transform(self.spectra(rows))
        found = np.empty((len(rows), scaler.width), np.float32)
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            found[first : first + step] = scaler.transform(self.spectra(some))
        return found


def open_dataset(path: Path, label_set: str | None = None) -> Dataset:
    """Open a dataset written by `hsi-ssl prepare`, with all its label sets or with that one.

    Raises
    ------
    DatasetError
        The file is missing, broken, no dataset of ours, or of another schema version; it has no
        such label set.
    """
    with _opened(path) as file:
        try:
            meta = _converted(json.loads(file.attrs["meta"]))
            columns = {field: file[name][:] for field, name in COLUMNS.items()}
            columns["y"] = columns["y"].reshape(len(columns["y"]), -1)
            unit = file["unit"][:] if "unit" in file else _lone_pixels(columns["y"])
            dataset = Dataset(path, meta, **columns, unit=unit)
        except (KeyError, ValueError, TypeError) as error:
            raise DatasetError(
                f"{path} is no dataset of hsi-ssl ({error}); make one with `hsi-ssl prepare`"
            ) from error
    if meta.get("schema") != SCHEMA:
        raise DatasetError(
            f"{path} has schema {meta.get('schema')}, this version reads {SCHEMA}: "
            "run `hsi-ssl prepare` again"
        )
    return dataset if label_set is None else dataset.one(label_set)


def _converted(meta: dict[str, Any]) -> dict[str, Any]:
    """What a dataset of schema 1 says, as one of schema 2 says it."""
    if meta.get("schema") != 1:
        return meta
    sources = [
        {
            **{key: value for key, value in source.items() if key != "labels_path"},
            "labels_paths": [] if source["labels_path"] is None else [source["labels_path"]],
            "control_points": [],
        }
        for source in meta["sources"]
    ]
    return {**meta, "schema": SCHEMA, "sources": sources, "recoded": {}}


def _lone_pixels(y: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """Units of a dataset whose labelled pixels do not belong together: each one its own."""
    labelled = y.max(axis=1, initial=-1) >= 0
    return np.where(labelled, np.arange(len(y)), -1).astype(np.int32)


def is_dataset(path: Path) -> bool:
    """Whether a file is a dataset of ours, of whatever schema version."""
    if not path.is_file() or not h5py.is_hdf5(path):
        return False
    with _opened(path) as file:
        return "meta" in file.attrs and "spectra" in file and "split" in file


class DatasetWriter:
    """A dataset being written: spectra block by block, then all the rest at once."""

    def __init__(self, file: h5py.File, disk: _Disk, bands: int, dtype: npt.DTypeLike) -> None:
        self._file = file
        self._disk = disk
        self._spectra = file.create_dataset(
            "spectra", (0, bands), dtype, maxshape=(None, bands), chunks=(CHUNK_ROWS, bands)
        )

    def append(self, spectra: npt.NDArray[Any]) -> None:
        """Add raw spectra `(n, bands)` as the next rows."""
        old = len(self._spectra)
        self._spectra.resize(old + len(spectra), axis=0)
        self._spectra[old:] = spectra
        self._disk.check()

    def spectra(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Raw spectra `(len(rows), bands)` of rows written before."""
        return _gather(self._spectra, rows)

    def finish(
        self,
        *,
        label: npt.NDArray[np.int16],
        part: npt.NDArray[np.uint8],
        scene: npt.NDArray[np.int16],
        pixel: npt.NDArray[np.int32],
        neighbours: npt.NDArray[np.int32],
        meta: dict[str, Any],
        unit: npt.NDArray[np.int32] | None = None,
    ) -> None:
        """Write what is known of the rows, arrays as in `Dataset`; `unit` None: lone pixels."""
        _write_columns(
            self._file,
            label=label,
            part=part,
            scene=scene,
            pixel=pixel,
            neighbours=neighbours,
            unit=unit,
            meta=meta,
        )


def _write_columns(
    file: h5py.File, *, meta: dict[str, Any], **columns: npt.NDArray[Any] | None
) -> None:
    """Write what is known of the rows; `columns` by their names in memory."""
    for field, column in columns.items():
        if column is not None:
            file[COLUMNS.get(field, field)] = column
    # A string of variable length lies in the file's heap, so no limit of 64 kB applies.
    file.attrs["meta"] = json.dumps({"schema": SCHEMA, **meta}, allow_nan=False)


@contextmanager
def writing_dataset(
    path: Path, *, bands: int, dtype: npt.DTypeLike, overwrite: bool = False
) -> Iterator[DatasetWriter]:
    """Write a dataset, whole or not at all; it is in its place when the `with` ends.

    Raises
    ------
    OutputError
        As `written_beside`.
    """
    with written_beside(path, overwrite=overwrite) as beside, _Disk(beside) as disk:
        # Without a cache of chunks, blocks go to the file as they are, uncopied.
        with h5py.File(disk, "w", rdcc_nbytes=0) as file:
            yield DatasetWriter(file, disk, bands, dtype)
        disk.check()


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
    unit: npt.NDArray[np.int32] | None = None,
    overwrite: bool = False,
) -> Dataset:
    """Write a dataset that lies in memory, and open it; arrays as in `Dataset`."""
    with writing_dataset(
        path, bands=spectra.shape[1], dtype=spectra.dtype, overwrite=overwrite
    ) as writer:
        writer.append(spectra)
        writer.finish(
            label=label,
            part=part,
            scene=scene,
            pixel=pixel,
            neighbours=neighbours,
            meta=meta,
            unit=unit,
        )
    return open_dataset(path)


def write_relabelled(
    dataset: Dataset, path: Path, *, label: npt.NDArray[np.int16], part: npt.NDArray[np.uint8]
) -> Dataset:
    """Write the same pixels with other labels and parts, and open that.

    Spectra are not copied: the file refers to those of `dataset`, whose file must stay. It tells no
    counts of classes, since those that `prepare` made are no longer its own.
    """
    meta = {k: v for k, v in dataset.meta.items() if k not in ("counts", "schema")}
    with written_beside(path) as beside, h5py.File(beside, "w") as file:
        file["spectra"] = h5py.ExternalLink(str(dataset.path.resolve()), "spectra")
        _write_columns(
            file,
            label=label,
            part=part,
            scene=dataset.scene,
            pixel=dataset.pixel,
            neighbours=dataset.neighbours,
            unit=np.where(label < 0, -1, dataset.unit).astype(np.int32),
            meta=meta,
        )
    return open_dataset(path)


class _Disk:
    """The file that HDF5 writes to, for h5py's driver for Python files.

    Nothing may be raised in what HDF5 calls, so no stop is. A full disk must not reach it: it
    cannot close a file that it cannot flush, and takes the process down. So the first refusal is
    kept for `check` to raise, and HDF5 is told that all is well.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("x+b", buffering=0)
        self._error: OSError | None = None
        self.seek, self.tell = self._file.seek, self._file.tell
        self.read, self.readinto = self._file.read, self._file.readinto

    @uninterrupted
    def write(self, data: memoryview) -> int:
        """Write all of `data`, or keep the error."""
        done = 0
        try:
            while done < len(data) and self._error is None:
                done += self._file.write(data[done:])
        except OSError as error:
            self._error = error
        return len(data)

    @uninterrupted
    def truncate(self, size: int) -> int:
        """Set the size, or keep the error."""
        try:
            self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size

    @uninterrupted
    def flush(self) -> None:
        """Nothing waits here."""

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> _Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _gather(stored: h5py.Dataset, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Rows of a stored array in any order, read in blocks of whole chunks."""
    if len(rows) and bool((rows[1:] == rows[:-1] + 1).all()):
        return np.asarray(stored[rows[0] : rows[-1] + 1])
    found = np.empty((len(rows), stored.shape[1]), stored.dtype)
    ascending = bool((rows[1:] >= rows[:-1]).all())
    order = np.arange(len(rows)) if ascending else np.argsort(rows, kind="stable")
    step = READ_ROWS
    firsts = np.arange(0, stored.shape[0] + step, step)
    bounds = np.searchsorted(rows, firsts, sorter=order)
    for first, start, stop in zip(firsts[:-1], bounds[:-1], bounds[1:], strict=True):
        if stop > start:
            place = order[start:stop]
            block, within = stored[first : first + step], rows[place] - first
            if ascending:
                np.take(block, within, axis=0, out=found[start:stop], mode="clip")
            else:
                found[place] = block[within]
    return found


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
