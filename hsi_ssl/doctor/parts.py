"""The packages that hsi-ssl stands on, each looked at in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

from hsi_ssl.doctor.trouble import Trouble

PARTS = {
    "torch": "training, and maps of it",
    "rasterio": "rasters of any kind, maps among them",
    "pyogrio": "labels drawn as polygons, lines and points",
    "h5py": "HDF5 cubes and prepared datasets",
    "numpy": "everything",
    "scipy": "scaling, labels, maps",
    "sklearn": "baselines and estimators",
    "pydantic": "settings, and so every command",
    "matplotlib": "figures and reports",
    "shapely": "labels drawn as polygons",
    "safetensors": "weights of models",
}
"""What is looked at, and what cannot be done without it."""
PACKAGES = {"sklearn": "scikit-learn"}
"""What pip calls them where it is something else."""
OPTIONAL = {"zarr": "Zarr stores", "xarray": "scenes as DataArray", "distributed": "Dask clusters"}
SECONDS = 60.0
"""A part that has not come by then does not."""
AT_ONCE = 2
OUTSIDE = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH")
"""Variables by which GDAL takes what another installation left, and not what its wheel brings."""


def probed(name: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a part says of itself, or `error`: why it cannot; `without`: variables to leave out."""
    around = {key: value for key, value in os.environ.items() if key not in without}
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "hsi_ssl.doctor.probes", name],
            capture_output=True, text=True, errors="replace", timeout=SECONDS, env=around,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"error": f"importing it took longer than {SECONDS:.0f} s"}
    except OSError as error:
        return {"error": f"no process could be started for it: {error.strerror}"}
    try:
        found = json.loads(ran.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = " ".join(ran.stderr.split())[-200:]
        if ran.returncode < 0:
            return {"error": f"importing it brings Python down (signal {-ran.returncode}) {last}"}
        return {"error": last or f"its process ended with exit code {ran.returncode}"}
    return dict(found) if isinstance(found, dict) else {"error": "it says nothing"}


def parts() -> dict[str, dict[str, Any]]:
    """Every part's answer; the one that measures speed is asked alone."""
    others = [name for name in PARTS if name != "torch"]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = dict(zip(others, threads.map(probed, others), strict=True))
    return {"torch": probed("torch"), **found}


def optional() -> dict[str, str | None]:
    """Versions of what may be there, by its name; None where it is not."""
    found: dict[str, str | None] = {}
    for name in OPTIONAL:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def troubles_of_parts(
    found: Mapping[str, Mapping[str, Any]], environment: Mapping[str, str]
) -> list[Trouble]:
    """What is broken, with what to do."""
    said = []
    for name, answer in found.items():
        package = PACKAGES.get(name, name)
        if "error" in answer:
            said.append(_broken(name, package, str(answer["error"]), environment))
        elif answer.get("missing"):
            said.append(
                Trouble(
                    "wrong",
                    package,
                    f"its GDAL lacks the formats {', '.join(answer['missing'])}",
                    f"pip install --force-reinstall {package} (the wheels have them)",
                )
            )
        if answer.get("read_back") is False:
            said.append(
                Trouble(
                    "wrong",
                    package,
                    "what it writes is not what it reads",
                    f"pip install --force-reinstall {package}",
                )
            )
    crs_error = found.get("rasterio", {}).get("crs_error")
    if crs_error:
        said.append(_lost_coordinates(str(crs_error), environment))
    said += _idle_variables(environment, told=bool(crs_error))
    return said


def _broken(name: str, package: str, error: str, environment: Mapping[str, str]) -> Trouble:
    missing = error.startswith("ModuleNotFoundError") and f"'{name}'" in error
    outside = [key for key in OUTSIDE if key in environment]
    if not missing and outside and name in ("rasterio", "pyogrio"):
        if "error" not in probed(name, tuple(outside)):
            return Trouble(
                "wrong",
                package,
                f"cannot be used for {PARTS[name]} ({error}) because of what another "
                f"installation set: {', '.join(f'{k}={environment[k]}' for k in outside)}",
                f"unset {' '.join(outside)}",
            )
    return Trouble(
        "wrong",
        package,
        f"{'is not installed' if missing else 'cannot be imported'}, and is needed for "
        f"{PARTS[name]}" + ("" if missing else f": {error}"),
        f"pip install {'' if missing else '--force-reinstall '}{package}",
    )


def _lost_coordinates(error: str, environment: Mapping[str, str]) -> Trouble:
    """GDAL knows no coordinate systems: mostly since a variable leads it to others' files."""
    outside = [key for key in OUTSIDE if key in environment]
    if outside and "crs_error" not in probed("rasterio", tuple(outside)):
        which = ", ".join(f"{key}={environment[key]}" for key in outside)
        return Trouble(
            "wrong",
            "coordinates",
            f"no coordinate system is known, since {which} leads GDAL to the files of another "
            f"installation ({error})",
            f"unset {' '.join(outside)} (and where your shell sets it, take it out)",
        )
    return Trouble(
        "wrong",
        "coordinates",
        f"no coordinate system is known: {error}",
        "pip install --force-reinstall rasterio",
    )


def _idle_variables(environment: Mapping[str, str], *, told: bool) -> list[Trouble]:
    """Variables that lead nowhere, or past what the wheels bring, and do no harm that is seen."""
    said = []
    for key in OUTSIDE:
        value = environment.get(key)
        if value is None or told:
            continue
        there = any(os.path.isdir(place) for place in value.split(os.pathsep))
        what = "is of another installation than GDAL's own" if there else "leads nowhere"
        said.append(Trouble("note", key, f"{key}={value} {what}", f"unset {key}"))
    return said
