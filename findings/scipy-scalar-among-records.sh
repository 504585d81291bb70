#!/usr/bin/env bash
# scipy==1.17.1
# scipy.io.netcdf_file writes a scalar variable, which is what a CF grid mapping is, into the second
# record of a file that has an unlimited dimension: four bytes of a cube are lost, without a word. A
# careful guess says that variables without dimensions lie among those of fixed size, before all
# records. But it is laid out behind the first record, where the second begins. With a dimension of
# length 1 for the scalar, or none that is unlimited, all is as written.
# Source: https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html (netCDF
# classic format: "data = non_recs recs"; "the data for non-record variables ... first").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
from scipy.io import netcdf_file

cube = np.arange(1, 121, dtype="i1").reshape(5, 4, 6)


def lost(unlimited, mapping):
    """How many numbers of a cube read back otherwise than they were written."""
    with netcdf_file("cube.nc", "w") as file:
        file.createDimension("y", None if unlimited else 5)
        for name, size in (("band", 4), ("x", 6), ("one", 1)):
            file.createDimension(name, size)
        file.createVariable("reflectance", "i1", ("y", "band", "x"))[:] = cube
        file.createVariable("y", "f8", ("y",))[:] = np.arange(5.0)
        file.createVariable("crs", "i4", mapping).grid_mapping_name = "latitude_longitude"
    with netcdf_file("cube.nc", mmap=False) as file:
        return int((file.variables["reflectance"][:] != cube).sum())


found = {
    "unlimited, scalar": lost(True, ()),
    "unlimited, vector of one": lost(True, ("one",)),
    "fixed, scalar": lost(False, ()),
}
for case, count in found.items():
    print(f"{case}: {count} of {cube.size} numbers lost")
first, *others = found.values()
sys.exit(0 if first > 0 and not any(others) else 1)
PYTHON
