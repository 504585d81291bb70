#!/usr/bin/env bash
# h5py==3.16.0
# With a chunk cache of preemption policy w0 = 1 ("chunks which have been fully read or written are
# always preempted first") HDF5 keeps every chunk that is read in part, whatever number of bytes the
# cache may hold: memory grows by each chunk that windows meet, to the size of the whole cube. A
# careful guess says that where no chunk was read whole the least recently used one gives way, as with
# any w0 below 1. So it does at 0.99, and memory stays as it is.
# Source: https://support.hdfgroup.org/documentation/hdf5/latest/group___d_a_p_l.html (H5Pset_chunk_cache:
# "A value of 0 means fully read or written chunks are treated no differently than other chunks (the
# preemption is strictly LRU)", "1 ... always preempted before other chunks").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 h5py==3.16.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import os
import sys

import h5py
import numpy as np

CHUNK, CHUNKS = (16, 100, 1000), 60  # 3.2 MB each
with h5py.File("cube.h5", "w") as file:
    cube = file.create_dataset("cube", (16 * CHUNKS, 100, 1000), "u2", chunks=CHUNK, compression=1)
    for first in range(0, len(cube), 16):
        cube[first : first + 16] = first


def held():
    """Memory of this process in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def grown(w0):
    """MB more after 15 of the 16 rows of every chunk were read, with a cache of 8 MB."""
    with h5py.File("cube.h5") as file:
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_chunk_cache(10_007, 8_000_000, w0)
        cube = h5py.Dataset(h5py.h5d.open(file.id, b"/cube", access))
        before = held()
        for first in range(0, len(cube), 16):
            cube[first : first + 15]
        return held() - before


found = {w0: grown(w0) for w0 in (0.0, 0.75, 0.99, 1.0)}
for w0, more in found.items():
    print(f"w0 = {w0}: {more:.0f} MB more after reading 192 MB by parts of chunks, cache of 8 MB")
as_expected = found[1.0] > 150 and max(found[w0] for w0 in (0.0, 0.75, 0.99)) < 60
sys.exit(0 if as_expected else 1)
PYTHON
