"""A writer of tiny files of the layout of Planet's Tanager Product Specification."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from delivered import CRS, Ground, reflectance
from rasterio.warp import transform

NM = np.round(np.linspace(376.4, 2499, 24), 2)
BAD = (13, 18)
"""Bands in which water vapour absorbs everything."""
EPOCH = 1_744_000_000.0
GRID = """GROUP=SwathStructure
END_GROUP=SwathStructure
GROUP=GridStructure
\tGROUP=GRID_1
\t\tGridName="HYP"
\t\tBand={bands}
\t\tXDim={cols}
\t\tYDim={rows}
\t\tUpperLeftPointMtrs=({left:.2f},{top:.2f})
\t\tLowerRightMtrs=({right:.2f},{bottom:.2f})
\t\tProjection=HE5_GCTP_UTM
\t\tZoneCode=33
\t\tSphereCode=12
\t\tPixelRegistration=HE5_HDFE_CORNER
\t\tGridOrigin=HE5_HDFE_GD_UL
\t\tGROUP=Dimension
\t\t\tOBJECT=Dimension_1
\t\t\t\tDimensionName="Band"
\t\t\t\tSize={bands}
\t\t\tEND_OBJECT=Dimension_1
\t\tEND_GROUP=Dimension
\tEND_GROUP=GRID_1
END_GROUP=GridStructure
END
"""


def write_tanager(
    path: Path, ground: Ground, *, ortho: bool = True, radiance: bool = False, crs: str = CRS
) -> Path:
    """One product; ortho where the ground is a grid with north up."""
    rows, cols = ground.x.shape
    place = f"HDFEOS/{'GRIDS' if ortho else 'SWATHS'}/HYP"
    fields = f"{place}/Data Fields"
    values = reflectance(ground.codes, NM).transpose(2, 0, 1).astype(np.float32)
    with h5py.File(path, "w") as file:
        name = "toa_radiance" if radiance else "surface_reflectance"
        if radiance:
            values *= 120
        else:
            values[list(BAD)] = -9999
        cube = file.create_dataset(
            f"{fields}/{name}", data=values, chunks=(1, rows, cols), compression="gzip"
        )
        cube.attrs["_FillValue"] = np.float32(-9999)
        cube.attrs["wavelengths"] = NM.astype(np.float32)
        cube.attrs["wavelengths_units"] = np.bytes_("nm")
        cube.attrs["fwhm"] = np.full(len(NM), 5.5, np.float32)
        cube.attrs["fwhm_units"] = np.bytes_("nm")
        if not radiance:
            good = np.ones(len(NM), np.uint8)
            good[list(BAD)] = 0
            cube.attrs["good_wavelengths"] = good
            uncertainty = file.create_dataset(f"{fields}/{name}_uncertainty", data=values * 0.01)
            uncertainty.attrs["_FillValue"] = np.float32(-9999)
        for mask in ("nodata_pixels", "beta_cloud_mask", "beta_cirrus_mask"):
            file[f"{fields}/{mask}"] = np.zeros((rows, cols), np.uint8)
            file[f"{fields}/{mask}"].attrs["_FillValue"] = np.uint8(255)
        file[place].attrs["strip_id"] = "7421"
        if ortho:
            width = ground.x[0, 1] - ground.x[0, 0]
            height = ground.y[0, 0] - ground.y[1, 0]
            file[place].attrs["epsg_code"] = np.int64(32633)
            file["HDFEOS INFORMATION/StructMetadata.0"] = np.bytes_(
                GRID.format(
                    bands=len(NM), rows=rows, cols=cols,
                    left=ground.x[0, 0] - width / 2, top=ground.y[0, 0] + height / 2,
                    right=ground.x[0, -1] + width / 2, bottom=ground.y[-1, 0] - height / 2,
                )
            )  # fmt: skip
            file[f"{fields}/time"] = np.full((rows, cols), EPOCH)
        else:
            lon, lat = transform(crs, "EPSG:4326", ground.x.ravel(), ground.y.ravel())
            located = f"{place}/Geolocation Fields"
            file[f"{located}/Longitude"] = np.reshape(lon, (rows, cols)).astype(np.float64)
            file[f"{located}/Latitude"] = np.reshape(lat, (rows, cols)).astype(np.float64)
            file[f"{located}/Time"] = EPOCH + np.arange(rows) * 0.004
            framing = {"epsg_code": 32633, "rows": rows, "cols": cols, "geotransform": [0.0] * 6}
            file[located].attrs["Planet_Ortho_Framing"] = json.dumps(framing)
            file["HDFEOS INFORMATION/StructMetadata.0"] = np.bytes_(
                "GROUP=SwathStructure\nEND_GROUP=SwathStructure\nEND\n"
            )
    return path
