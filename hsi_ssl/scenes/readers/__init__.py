"""Readers of each format, one file each; the first in this order that takes a file reads it.

To add one: a module with a `Format` as `hsi_ssl.scenes.format` describes it, and a line in
`FORMATS`; in another package, an entry point in the group `hsi_ssl.formats`, asked after ours. What
nobody takes is left to GDAL.
"""

from __future__ import annotations

from hsi_ssl.registry import Registry
from hsi_ssl.scenes.format import Format

HOME = "hsi_ssl.scenes.readers"
FORMATS: Registry[Format] = Registry(
    "hsi_ssl.formats",
    "format",
    {
        "MATLAB": f"{HOME}.matlab:FORMAT",
        "HDF5": f"{HOME}.hdf5:FORMAT",
        "NumPy array": f"{HOME}.numpy_file:FORMAT",
        "NumPy archive": f"{HOME}.numpy_archive:FORMAT",
        "netCDF-3": f"{HOME}.netcdf3:FORMAT",
        "GDAL": f"{HOME}.geotiff:FORMAT",
        "ENVI": f"{HOME}.envi:FORMAT",
        "text": f"{HOME}.text:FORMAT",
        "IDX": f"{HOME}.idx:FORMAT",
    },
)
