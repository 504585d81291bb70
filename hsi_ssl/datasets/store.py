"""The prepared dataset: one HDF5 file. The only module that knows the names inside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.checksums import checksum
from hsi_ssl.datasets.cards import check_meta
from hsi_ssl.datasets.checked_rows import CHUNK_ROWS, READ_ROWS, CheckedRows, RunningChecksums
from hsi_ssl.datasets.columns import check_columns
from hsi_ssl.datasets.hdf5_writing import Disk, writing_hdf5
from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.errors import DatasetError
from hsi_ssl.files import written_beside
from hsi_ssl.json_text import parsed
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.scenes.readers.hdf5_probe import look_first

SCHEMA = 3
COLUMNS = {n: n for n in ("scene", "pixel", "neighbours", "unit")} | {"y": "label", "part": "split"}
"""Columns in memory, and their names in the file."""
META, CHECKS, SPECTRA = "meta", "checksums", "spectra"
"""Names of the rest: two texts of JSON in bytes, and the spectra."""
VERSION = ("v110", "v110")
"""Of the file format: the oldest in which HDF5 has checksums of its own structure, and knows what
was damaged before it is misled by it."""
MOST_PACKED = 1100
"""Times that deflate makes an array smaller, at most."""
BROKEN = (
    ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, SystemError,
    TypeError, ValueError,
)  # fmt: skip
"""What HDF5 and what reads a damaged file may raise."""
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
    spectra_checksums: tuple[int, ...] | None = None
    """Of each block of rows; None in datasets of earlier versions, which have none."""
    data: tuple[Path, ...] = ()
    """Folders in which scenes are looked for that are not where they were."""

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
        """Raw spectra `(len(rows), bands)` in the source's number type; of all pixels with None.

        Raises
        ------
        DatasetError
            The file is gone, broken, or holds other spectra than were written.
        """
        with _opened(self.path) as file:
            stored = CheckedRows(file[SPECTRA], self.spectra_checksums, self.path)
            if rows is None:
                return stored.read(0, len(self))
            return stored.gather(rows)

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


def open_dataset(path: Path, label_set: str | None = None, *, data: Sequence[Path] = ()) -> Dataset:
    """Open a dataset written by `hsi-ssl prepare`, with all its label sets or with that one.

    `data`: folders in which scenes are looked for that are not where they were.

    Raises
    ------
    DatasetError
        The file is missing, broken, no dataset of ours, or of another schema version; it has no
        such label set.
    """
    with _opened(path) as file:
        meta, checks = _meta_of(path, file)
        columns = _columns_of(file, checks)
        spectra = file[SPECTRA]
        if "unit" not in columns:
            columns["unit"] = _lone_pixels(columns["y"])
        try:
            columns = check_columns(columns, spectra, check_meta(meta))
        except ValueError as error:
            raise DatasetError(
                f"{path} is no sound dataset ({error}); make one with `hsi-ssl prepare`"
            ) from error
        sums = None if checks is None else tuple(checks[SPECTRA])
    of_rows: dict[str, Any] = columns
    dataset = Dataset(path, meta, **of_rows, spectra_checksums=sums, data=tuple(data))
    return dataset if label_set is None else dataset.one(label_set)


def _meta_of(path: Path, file: h5py.File) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What a dataset says of itself, by today's schema, and the checksums, where it has them."""
    if META not in file:
        look_first(path)
        meta = parsed(file.attrs[META])  # up to schema 2
        checks = None
    else:
        written = _bytes_of(file[META])
        checks = parsed(_bytes_of(file[CHECKS]).tobytes())
        if set(checks) != {META, SPECTRA, *COLUMNS.values()} or not _are_checksums(checks):
            raise ValueError("its checksums are not all there")
        if checksum(written) != checks[META]:
            raise ValueError(f"{META} is not what was written")
        meta = parsed(written.tobytes())
    if not isinstance(meta, dict):
        raise ValueError(f"{META} is no JSON object")
    if meta.get("schema") not in ((1, 2) if checks is None else (SCHEMA,)):
        raise DatasetError(
            f"{path} has schema {meta.get('schema')}, this version reads 1 to {SCHEMA}: "
            "run `hsi-ssl prepare` again"
        )
    return _converted(meta), checks


def _are_checksums(checks: dict[str, Any]) -> bool:
    """Whether a file's checksums are numbers, a list of them for the spectra."""
    each = [value for name, value in checks.items() if name != SPECTRA]
    of_spectra = checks[SPECTRA]
    return isinstance(of_spectra, list) and all(
        isinstance(value, int) for value in [*each, *of_spectra]
    )


def _columns_of(file: h5py.File, checks: dict[str, Any] | None) -> dict[str, npt.NDArray[Any]]:
    """The columns by their names in memory, as they were written."""
    columns = {}
    for field, name in COLUMNS.items():
        if field == "unit" and checks is None and name not in file:
            continue  # older still
        columns[field] = column = _all_of(file[name])
        if checks is not None and checksum(column) != checks[name]:
            raise ValueError(f"{name} is not what was written")
    columns["y"] = columns["y"].reshape(len(columns["y"]), -1)
    return columns


def _bytes_of(stored: h5py.Dataset) -> npt.NDArray[np.uint8]:
    """A text, as bytes that nobody has looked at."""
    found = _all_of(stored)
    if found.dtype != np.uint8 or found.ndim != 1:
        raise ValueError(f"{stored.name} is no text")
    return found


def _all_of(stored: h5py.Dataset) -> npt.NDArray[Any]:
    """All of an array, if the file holds as much as it promises, packed perhaps."""
    packed = MOST_PACKED if stored.id.get_create_plist().get_nfilters() else 1
    if stored.nbytes > packed * stored.id.get_storage_size():
        raise ValueError(f"{stored.name} promises more than there is")
    return np.asarray(stored[:])


def _converted(meta: dict[str, Any]) -> dict[str, Any]:
    """What a dataset of any schema says, as one of today's says it.

    Schema 2 had no checksums, and `meta` as an attribute.
    """
    meta = {"settings": {}, **meta}
    if meta["schema"] != 1:
        return {**meta, "schema": SCHEMA}
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
    """Whether a file is a dataset of ours, of whatever schema version.

    One that is too broken to tell is none; whoever opens it as something else says what is wrong.
    """
    try:
        if not path.is_file() or not h5py.is_hdf5(path):
            return False
        with h5py.File(path, "r") as file:
            named = META in file or META in file.attrs
            return named and SPECTRA in file and COLUMNS["part"] in file
    except BROKEN:
        return False


class DatasetWriter:
    """A dataset being written: spectra block by block, then all the rest at once."""

    def __init__(self, file: h5py.File, disk: Disk, bands: int, dtype: npt.DTypeLike) -> None:
        self._file = file
        self._disk = disk
        self._spectra = file.create_dataset(
            SPECTRA, (0, bands), dtype, maxshape=(None, bands), chunks=(CHUNK_ROWS, bands)
        )
        self._checksums = RunningChecksums()

    def append(self, spectra: npt.NDArray[Any]) -> None:
        """Add raw spectra `(n, bands)` as the next rows."""
        old = len(self._spectra)
        spectra = np.asarray(spectra, self._spectra.dtype)
        self._checksums.add(spectra)
        self._spectra.resize(old + len(spectra), axis=0)
        self._spectra[old:] = spectra
        self._disk.check()

    def spectra(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Raw spectra `(len(rows), bands)` of rows written before."""
        return CheckedRows(self._spectra, None, Path(self._file.filename)).gather(rows)

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
            y=label,
            part=part,
            scene=scene,
            pixel=pixel,
            neighbours=neighbours,
            unit=_lone_pixels(label.reshape(len(label), -1)) if unit is None else unit,
            meta=meta,
            spectra_checksums=self._checksums.all(),
        )


def _write_columns(
    file: h5py.File,
    *,
    meta: dict[str, Any],
    spectra_checksums: Sequence[int] | None,
    **columns: npt.NDArray[Any],
) -> None:
    """Write what is known of the rows; `columns` by their names in memory."""
    text = json.dumps({"schema": SCHEMA, **meta}, allow_nan=False)
    # Bytes, whose checksum is looked at before anybody reads them; HDF5's own texts of variable
    # length lie in a heap without checksum, which takes the process down where it is damaged.
    written = {META: np.frombuffer(text.encode(), np.uint8)}
    written |= {COLUMNS[field]: np.ascontiguousarray(column) for field, column in columns.items()}
    for name, array in written.items():
        file[name] = array
    checks = {name: checksum(array) for name, array in written.items()}
    text = json.dumps({**checks, SPECTRA: spectra_checksums})
    file[CHECKS] = np.frombuffer(text.encode(), np.uint8)


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
    # Without a cache of chunks, blocks go to the file as they are, uncopied.
    with (
        written_beside(path, overwrite=overwrite) as beside,
        writing_hdf5(beside, rdcc_nbytes=0, libver=VERSION) as (file, disk),
    ):
        yield DatasetWriter(file, disk, bands, dtype)


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

    Spectra are not copied: the file refers to those of `dataset`, whose file must stay, and holds
    their checksums. It tells no counts of classes, since those that `prepare` made are no longer
    its own.
    """
    meta = {k: v for k, v in dataset.meta.items() if k not in ("counts", "schema")}
    with written_beside(path) as beside, writing_hdf5(beside, libver=VERSION) as (file, _):
        file[SPECTRA] = h5py.ExternalLink(str(dataset.path.resolve()), SPECTRA)
        _write_columns(
            file,
            y=label,
            part=part,
            scene=dataset.scene,
            pixel=dataset.pixel,
            neighbours=dataset.neighbours,
            unit=np.where(label < 0, -1, dataset.unit).astype(np.int32),
            meta=meta,
            spectra_checksums=_spectra_checksums(dataset),
        )
    return open_dataset(path)


def _spectra_checksums(dataset: Dataset) -> Sequence[int]:
    """Of a dataset's spectra; of one that has none, those of what is there now."""
    if dataset.spectra_checksums is not None:
        return dataset.spectra_checksums
    sums = RunningChecksums()
    for first in range(0, len(dataset), READ_ROWS):
        sums.add(dataset.spectra(np.arange(first, min(first + READ_ROWS, len(dataset)))))
    return sums.all()


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """A dataset's file, open to be read in the body; what is broken in it is a `DatasetError`."""
    if not Path(path).exists():
        raise DatasetError(f"no dataset {path}; make one with `hsi-ssl prepare`")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DatasetError:
        raise
    except BROKEN as error:
        raise DatasetError(
            f"{path} is broken, no HDF5 file or no dataset of hsi-ssl ({error}); bring back a "
            "copy, or run `hsi-ssl prepare` again"
        ) from error
