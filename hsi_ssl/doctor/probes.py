"""What each heavy part says of itself, in a process of its own: `python -m ... NAME`, in JSON.

A part may be missing, raise, bring the process down or never come back, which is its parent's to
tell (`parts.py`). So nothing here is imported by anything else.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from typing import Any

RASTERS = ("GTiff", "COG", "ENVI", "HDF5", "netCDF", "JP2OpenJPEG", "VRT")
LAYERS = ("GPKG", "ESRI Shapefile", "GeoJSON", "KML")
SPEED_SECONDS = 0.3
SIDE = 1024
UTM = 32633


def numpy() -> dict[str, Any]:
    """Arrays."""
    import numpy as np

    return {"version": np.__version__, "sum": float(np.ones(8).sum())}


def torch() -> dict[str, Any]:
    """Networks: threads, GPUs, and how fast matrices are multiplied."""
    import torch

    found: dict[str, Any] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "gpus": [],
    }
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
        if usable:
            found["gpus"] = [
                torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
            ]
    found["gpu_said"] = " ".join(str(w.message) for w in warned)
    found["gflops"] = _gflops(torch, "cpu")
    if usable:
        try:
            found["gpu_gflops"] = _gflops(torch, "cuda")
        except RuntimeError as error:
            found["gpu_error"] = " ".join(str(error).split())
    return found


def _gflops(torch: Any, device: str) -> float:
    """Thousand millions of operations a second in products of square matrices."""
    a = torch.ones(SIDE, SIDE, device=device)

    def run() -> None:
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()

    run()
    products, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < SPEED_SECONDS:
        run()
        products += 1
    return float(2e-9 * SIDE**3 * products / spent)


def rasterio() -> dict[str, Any]:
    """Rasters: GDAL, its drivers, and whether it knows coordinate systems and writes a file."""
    import numpy as np
    import rasterio
    from rasterio.crs import CRS
    from rasterio.drivers import raster_driver_extensions
    from rasterio.env import Env

    with Env() as env:
        drivers = set(env.drivers())
    found: dict[str, Any] = {
        "version": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
        "drivers": [name for name in RASTERS if name in drivers],
        "missing": [name for name in RASTERS if name not in drivers],
        "suffixes": len(raster_driver_extensions()),
    }
    try:
        CRS.from_epsg(UTM).to_wkt()
    except Exception as error:
        found["crs_error"] = " ".join(str(error).split())
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "probe.tif")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(
                path, "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8"
            ) as raster:
                raster.write(np.full((1, 4, 4), 7, np.uint8))
            with rasterio.open(path) as raster:
                found["read_back"] = bool((raster.read() == 7).all())  # noqa: PLR2004
    return found


def pyogrio() -> dict[str, Any]:
    """Layers of polygons, lines and points."""
    import pyogrio

    drivers = pyogrio.list_drivers()
    return {
        "version": pyogrio.__version__,
        "gdal": ".".join(map(str, pyogrio.__gdal_version__)),
        "drivers": [name for name in LAYERS if name in drivers],
        "missing": [name for name in LAYERS if name not in drivers],
    }


def h5py() -> dict[str, Any]:
    """HDF5: a file is written with its lock and read again."""
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "probe.h5")
        with h5py.File(path, "w") as file:
            file["a"] = [1, 2, 3]
        with h5py.File(path) as file:
            read_back = file["a"][()].tolist() == [1, 2, 3]
    return {"version": h5py.__version__, "hdf5": h5py.version.hdf5_version, "read_back": read_back}


def plain(name: str) -> dict[str, Any]:
    """Anything else: whether it can be imported."""
    import importlib

    module = importlib.import_module(name)
    return {"version": str(getattr(module, "__version__", ""))}


def main() -> None:
    """Say it as the last line of standard output, whatever the part prints."""
    name = sys.argv[1]
    probe = (
        globals().get(name) if name in ("numpy", "torch", "rasterio", "pyogrio", "h5py") else None
    )
    try:
        found = probe() if probe is not None else plain(name)
    except BaseException as error:
        found = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    print("\n" + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
