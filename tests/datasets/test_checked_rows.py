"""Rows of spectra that are held to their checksums: which chunks of the file are read for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from hsi_ssl.checksums import checksum
from hsi_ssl.datasets.checked_rows import CHUNK_ROWS, READ_ROWS, CheckedRows

SPECTRA = 3 * READ_ROWS + 100


class Counted(CheckedRows):
    """Keeps which chunks were fetched."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.chunks: list[int] = []

    def _fetch(self, block: np.ndarray[Any, Any], first: int) -> None:
        self.chunks.append(first // CHUNK_ROWS)
        super()._fetch(block, first)


@pytest.mark.parametrize(
    "rows",
    [
        np.array([5, 2 * CHUNK_ROWS, 2 * CHUNK_ROWS + 1, 15 * CHUNK_ROWS, 16 * CHUNK_ROWS]),
        np.array([SPECTRA - 1, 3, 3, 9 * CHUNK_ROWS, 4]),
        np.arange(0, SPECTRA, 300),
        np.arange(CHUNK_ROWS - 1, CHUNK_ROWS + 1),
        np.zeros(0, np.int64),
    ],
    ids=["scattered", "any order, twice", "strided", "neighbours", "none"],
)
def test_chunks_that_hold_none_of_the_rows_are_not_read(
    tmp_path: Path, rows: np.ndarray[Any, Any]
) -> None:
    spectra = np.random.default_rng(0).integers(0, 9999, (SPECTRA, 3)).astype(np.uint16)
    blocks = np.split(spectra, np.arange(CHUNK_ROWS, SPECTRA, CHUNK_ROWS))
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        stored = file.create_dataset("rows", data=spectra, chunks=(CHUNK_ROWS, 3))
        checked = Counted(stored, [checksum(block) for block in blocks], tmp_path / "rows.h5")
        np.testing.assert_array_equal(checked.gather(rows), spectra[rows])
    assert sorted(checked.chunks) == np.unique(rows // CHUNK_ROWS).tolist()
