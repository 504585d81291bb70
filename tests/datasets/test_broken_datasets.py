"""Datasets that are not as they were written, by a bit or by structure, are refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from mutating import flipped, mutated

from hsi_ssl.checksums import checksum
from hsi_ssl.datasets.balance import balance_of_dataset
from hsi_ssl.datasets.checked_rows import CHUNK_ROWS, RunningChecksums
from hsi_ssl.datasets.few_labels import with_labels_of
from hsi_ssl.datasets.store import CHECKS, META, Dataset, Part, is_dataset, open_dataset
from hsi_ssl.describing.telling import describe
from hsi_ssl.errors import DatasetError, HsiSslError
from hsi_ssl.inference.lineage import dataset_card

ARRAYS = ("label", "split", "scene", "pixel", "neighbours", "unit", META, CHECKS, "spectra")


def read(path: Path) -> Dataset:
    """All of a dataset, by rows here and there as trainings read."""
    dataset = open_dataset(path)
    for rows in (dataset.rows(Part.TRAIN), dataset.rows(*Part)):
        dataset.spectra(rows)
    return dataset


def first_byte(path: Path, name: str) -> tuple[int, int]:
    """Where an array of a dataset begins and ends in its file."""
    with h5py.File(path, "r") as file:
        array = file[name]
        first = array.id.get_offset()
        if first is None:
            first = array.id.get_chunk_info(0).byte_offset
        return first, first + min(array.nbytes, CHUNK_ROWS * array.nbytes // len(array))


@pytest.mark.parametrize("name", ARRAYS)
def test_a_flipped_bit_in_an_array_is_noticed(
    tiny_dataset: Dataset, tmp_path: Path, name: str
) -> None:
    whole = tiny_dataset.path.read_bytes()
    path = tmp_path / "dataset.h5"
    for seed in range(25):
        path.write_bytes(flipped(whole, seed, *first_byte(tiny_dataset.path, name)))
        with pytest.raises(DatasetError, match=r"broken|not those that were written"):
            read(path)


@pytest.mark.slow
def test_a_flipped_bit_anywhere_is_noticed_or_of_no_account(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    whole, path = tiny_dataset.path.read_bytes(), tmp_path / "dataset.h5"
    for seed in range(300):
        path.write_bytes(flipped(whole, seed))
        is_dataset(path)
        try:
            found = read(path)
        except DatasetError:
            continue
        assert found.meta == tiny_dataset.meta
        np.testing.assert_array_equal(found.spectra(), tiny_dataset.spectra())


def with_meta(dataset: Path, path: Path, meta: Any) -> Path:
    """A dataset that says something else, with the checksum of that."""
    shutil.copy(dataset, path)
    with h5py.File(path, "r+") as file:
        checks = json.loads(file[CHECKS][:].tobytes())
        text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        checks[META] = checksum(text)
        del file[META], file[CHECKS]
        file[META] = text
        file[CHECKS] = np.frombuffer(json.dumps(checks).encode(), np.uint8)
    return path


def used(path: Path) -> None:
    """What commands ask of a dataset."""
    dataset = open_dataset(path)
    for label_set in dataset.label_sets:
        one = dataset.one(label_set.name)
        one.scaled(one.rows(Part.TRAIN))
        if "counts" in one.meta:
            balance_of_dataset(one)
    describe(path)
    dataset_card(dataset)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["tiny_dataset", "two_label_sets"])
def test_whatever_is_changed_in_meta_is_a_sentence_or_a_dataset(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    dataset = request.getfixturevalue(which)
    for seed in range(150):
        what, meta = mutated(dataset.meta, seed)
        path = with_meta(dataset.path, tmp_path / "dataset.h5", meta)
        try:
            used(path)
        except HsiSslError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: {error}") from error


def with_column(dataset: Path, path: Path, name: str, values: Any) -> Path:
    """A dataset with another column, with the checksum of that."""
    shutil.copy(dataset, path)
    with h5py.File(path, "r+") as file:
        checks = json.loads(file[CHECKS][:].tobytes())
        del file[name], file[CHECKS]
        file[name] = values
        checks[name] = checksum(np.asarray(values))
        file[CHECKS] = np.frombuffer(json.dumps(checks).encode(), np.uint8)
    return path


N = 1200


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", np.full(N, 3, np.int16)),
        ("label", np.full(N, -2, np.int16)),
        ("label", np.full(N, -1, np.int16)),
        ("label", np.zeros((N, 2), np.int16)),
        ("label", np.zeros(N, np.float32)),
        ("split", np.full(N, 5, np.uint8)),
        ("split", np.zeros(N - 1, np.uint8)),
        ("scene", np.ones(N, np.int16)),
        ("scene", np.full(N, -1, np.int16)),
        ("pixel", np.full((N, 2), 40, np.int32)),
        ("pixel", np.zeros((N, 3), np.int32)),
        ("neighbours", np.full((N, 8), N, np.int32)),
        ("unit", np.full(N, 2**40, np.int64)),
        ("split", np.array([b"a"] * N)),
    ],
)
def test_a_column_out_of_range_is_refused(
    tiny_dataset: Dataset, tmp_path: Path, name: str, values: np.ndarray
) -> None:
    path = with_column(tiny_dataset.path, tmp_path / "dataset.h5", name, values)
    with pytest.raises(DatasetError, match="no sound dataset"):
        open_dataset(path)


def test_a_column_that_promises_more_than_there_is_is_refused(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "dataset.h5"
    shutil.copy(tiny_dataset.path, path)
    with h5py.File(path, "r+") as file:
        del file["split"]
        file.create_dataset("split", (10**12,), np.uint8, chunks=(10**6,))
    with pytest.raises(DatasetError, match="promises more"):
        open_dataset(path)


def test_relabelled_spectra_are_those_that_they_were(tiny_dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "dataset.h5"
    shutil.copy(tiny_dataset.path, path)
    whole = open_dataset(path)
    few = with_labels_of(whole, whole.rows(Part.TRAIN)[:9], tmp_path / "few.h5")
    np.testing.assert_array_equal(few.spectra(), whole.spectra())
    first, stop = first_byte(path, "spectra")
    path.write_bytes(flipped(path.read_bytes(), 0, first, stop))
    with pytest.raises(DatasetError, match="damaged or replaced"):
        few.spectra()
    path.unlink()
    with pytest.raises(DatasetError, match="broken"):
        few.spectra()


def test_a_dataset_of_schema_2_is_read_as_before(tiny_dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    with h5py.File(tiny_dataset.path, "r") as new, h5py.File(path, "w") as old:
        for name in set(new) - {META, CHECKS}:
            old[name] = new[name][:]
        old.attrs["meta"] = json.dumps({**tiny_dataset.meta, "schema": 2})
    found = read(path)
    assert is_dataset(path)
    assert found.spectra_checksums is None
    assert found.meta == tiny_dataset.meta
    np.testing.assert_array_equal(found.spectra(), tiny_dataset.spectra())
    few = with_labels_of(found, found.rows(Part.TRAIN)[:9], tmp_path / "few.h5")
    assert few.spectra_checksums == tiny_dataset.spectra_checksums


def test_names_that_are_no_text_are_no_dataset(tmp_path: Path) -> None:
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file[b"\xff\xfe"] = np.zeros(3)
        file["spectra"] = file["split"] = np.zeros((3, 2))
        file.attrs["meta"] = b"\xff\xfe{"
    assert is_dataset(path)
    with pytest.raises(DatasetError):
        open_dataset(path)


@pytest.mark.parametrize("sizes", [(2500,), (1, 1023, 1024, 452), (1000, 30, 1470), (2048, 452)])
def test_checksums_do_not_depend_on_the_pieces(sizes: tuple[int, ...]) -> None:
    rows = np.random.default_rng(0).integers(0, 9999, (2500, 7)).astype(np.uint16)
    sums, done = RunningChecksums(), 0
    for size in sizes:
        sums.add(rows[done : done + size])
        done += size
    whole = [checksum(rows[i : i + CHUNK_ROWS]) for i in range(0, 2500, CHUNK_ROWS)]
    assert sums.all() == whole


def test_a_checksum_knows_bytes_types_and_places() -> None:
    page = 4096
    values = np.frombuffer(os.urandom(40 * page), np.uint16)
    known = checksum(values)
    assert checksum(values.copy()) == known
    assert checksum(values.view(np.int16)) != known
    assert checksum(values.reshape(2, -1)) != known
    swapped = values.copy().reshape(40, -1)
    swapped[[3, 17]] = swapped[[17, 3]]
    assert checksum(swapped.reshape(-1)) != known
    lost = values.copy()
    lost[: page // 2] = 0
    assert checksum(lost) != known
    for place in (0, 5, len(values) - 1):
        for bit in range(16):
            one = values.copy()
            one[place] ^= 1 << bit
            assert checksum(one) != known
