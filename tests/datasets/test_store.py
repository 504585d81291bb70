from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small_datasets import plain_meta

from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset, writing_dataset
from hsi_ssl.errors import DatasetError, OutputError
from hsi_ssl.labels.label_set import LabelClass, LabelSet

ROWS, BANDS = 40_000, 6
SPECTRA = np.random.default_rng(0).integers(1, 60_000, (ROWS, BANDS)).astype(np.uint16)


def columns(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    part = rng.integers(0, 4, n).astype(np.uint8)
    label = rng.integers(-1, 4, n).astype(np.int16)
    return {
        "label": np.where(part == Part.POOL, label, np.abs(label)).astype(np.int16),
        "part": part,
        "scene": rng.integers(0, 9, n).astype(np.int16),
        "pixel": rng.integers(0, 999, (n, 2)).astype(np.int32),
        "neighbours": rng.integers(-1, n, (n, 8)).astype(np.int32),
    }


def meta(**more: Any) -> dict[str, Any]:
    card = fit_scaler("noise", SPECTRA, components=3).to_card()
    classes = tuple(LabelClass(k + 1, f"class {k}", "#aabbcc") for k in range(4))
    labels = LabelSet("four", classes).to_card()
    return {**plain_meta(BANDS, scenes=9), "scaling": card, "label_set": labels, **more}


def written(path: Path, **more: Any) -> Dataset:
    return write_dataset(path, spectra=SPECTRA, **columns(ROWS), meta=meta(**more))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    dataset = written(tmp_path / "deep" / "dataset.h5", title="Grün")
    for name, values in columns(ROWS).items():
        found = dataset.y[:, 0] if name == "label" else getattr(dataset, name)
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype
    assert dataset.meta["title"] == "Grün"
    assert len(dataset) == ROWS
    assert dataset.bands == BANDS
    np.testing.assert_array_equal(dataset.spectra(), SPECTRA)
    assert dataset.spectra().dtype == SPECTRA.dtype


def test_rows_come_in_the_order_asked_for_with_repeats(tmp_path: Path) -> None:
    dataset = written(tmp_path / "dataset.h5")
    rows = np.random.default_rng(2).integers(0, ROWS, 5000)
    np.testing.assert_array_equal(dataset.spectra(rows), SPECTRA[rows])
    np.testing.assert_array_equal(dataset.spectra(rows[:0]), SPECTRA[:0])
    for ordered in (np.sort(rows), np.unique(rows), np.arange(15_000, 36_000), np.array([0, 0, 2])):
        np.testing.assert_array_equal(dataset.spectra(ordered), SPECTRA[ordered])
    np.testing.assert_array_equal(dataset.scaled(rows), dataset.scaler.transform(SPECTRA[rows]))


def test_test_pixels_are_unlabelled_ones_only_when_transductive(tmp_path: Path) -> None:
    part = columns(ROWS)["part"]
    strict = written(tmp_path / "strict.h5")
    np.testing.assert_array_equal(strict.unlabelled_rows, np.flatnonzero(part == Part.POOL))
    open_to_all = written(tmp_path / "open.h5", transductive=True)
    np.testing.assert_array_equal(open_to_all.unlabelled_rows, np.flatnonzero(part != Part.TRAIN))
    seen = np.isin(part, (Part.TRAIN, Part.POOL))
    np.testing.assert_array_equal(strict.learnt_rows, np.flatnonzero(seen))
    seen |= part == Part.TEST
    np.testing.assert_array_equal(open_to_all.learnt_rows, np.flatnonzero(seen))


def test_blocks_of_any_size_make_one_dataset(tmp_path: Path) -> None:
    path = tmp_path / "dataset.h5"
    with writing_dataset(path, bands=BANDS, dtype=np.uint16) as writer:
        done = 0
        for size in (0, 1, 1023, 5000, 1024, 3):
            writer.append(SPECTRA[done : done + size])
            done += size
        rows = np.array([done - 1, 0, 1024])
        np.testing.assert_array_equal(writer.spectra(rows), SPECTRA[rows])
        assert not path.exists()
        writer.finish(**columns(done), meta=meta())
    np.testing.assert_array_equal(open_dataset(path).spectra(), SPECTRA[:done])


def test_meta_may_be_larger_than_an_hdf5_attribute(tmp_path: Path) -> None:
    text = "x" * 300_000
    assert written(tmp_path / "dataset.h5", title=text).meta["title"] == text


def test_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one.h5"), written(tmp_path / "two.h5")
    assert one.path.read_bytes() == two.path.read_bytes()


def interrupted(path: Path) -> None:
    with writing_dataset(path, bands=BANDS, dtype=np.uint16, overwrite=True) as writer:
        writer.append(SPECTRA)
        raise KeyboardInterrupt


def test_failure_half_way_leaves_nothing_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "dataset.h5"
    written(path, title="old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert os.listdir(tmp_path) == ["dataset.h5"]
    assert open_dataset(path).meta["title"] == "old"


def test_existing_output_is_kept_without_overwrite(tmp_path: Path) -> None:
    written(tmp_path / "dataset.h5", title="old")
    with pytest.raises(OutputError, match="--overwrite"):
        written(tmp_path / "dataset.h5", title="new")
    assert open_dataset(tmp_path / "dataset.h5").meta["title"] == "old"


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from hsi_ssl.datasets.store import writing_dataset
from hsi_ssl.errors import OutputError
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
n = 10_000
try:
    with writing_dataset(Path(sys.argv[1]), bands=100, dtype=np.uint16) as writer:
        for _ in range(10):
            writer.append(np.ones((n // 10, 100), np.uint16))
        flat = np.zeros(n, np.int16)
        writer.finish(label=flat, part=flat, scene=flat, pixel=flat, neighbours=flat,
                      meta={"title": "x" * 200_000})
except OutputError as error:
    print(error)
"""


# Nothing fits, no chunk, some chunks, all but the columns, all but the last bytes.
@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 3000, 500_000, 2_060_000, 2_300_000])
def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "dataset.h5"), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    # HDF5 brings the process down if it is left alone with the error.
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "cannot write" in ran.stdout
    assert os.listdir(tmp_path) == []


def test_read_only_folder_is_one_sentence() -> None:
    # Not in tmp_path, whose parents pytest shuts for everyone else.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:  # whom no folder refuses: be nobody for a moment
            os.seteuid(65534)
        try:
            with pytest.raises(OutputError, match="may not be written to"):
                written(Path(folder) / "dataset.h5")
        finally:
            if is_root:
                os.seteuid(0)


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no dataset"):
        open_dataset(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DatasetError, match="no HDF5 file"):
        open_dataset(tmp_path / "text.h5")
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(DatasetError, match="no dataset of hsi-ssl"):
        open_dataset(tmp_path / "other.h5")
    path = written(tmp_path / "dataset.h5").path
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(DatasetError, match="broken"):
        open_dataset(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "later.h5", "w") as file:
        file.attrs["meta"] = '{"schema": 99}'
    with pytest.raises(DatasetError, match="schema 99"):
        open_dataset(tmp_path / "later.h5")


def test_units_are_kept_and_lone_pixels_where_there_are_none(tmp_path: Path) -> None:
    label = columns(ROWS)["label"]
    unit = np.where(label >= 0, np.arange(ROWS) // 50, -1).astype(np.int32)
    path = tmp_path / "dataset.h5"
    kept = write_dataset(
        path, spectra=SPECTRA, **columns(ROWS), unit=unit, meta=meta(unit_kind="polygon")
    )
    assert (kept.unit == unit).all()
    assert kept.unit.dtype == np.int32
    assert kept.unit_kind == "polygon"
    without = written(tmp_path / "without.h5")
    assert (without.unit == np.where(label >= 0, np.arange(ROWS), -1)).all()
    assert without.unit_kind == "pixel"
