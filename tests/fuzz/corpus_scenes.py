"""Cubes in every format that readers know, and every product of a sensor, small."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import every_array
import every_raster
import numpy as np
import scipy.io
from aviris_files import RDN, RFL, write_flight, write_gridded, write_seen
from band_plane_files import write_acolite
from cases import INFO, INFO_WORDS, Case
from delivered import bent, on_grid, reflectance, turned
from desis_files import write_desis
from drawn_scene import Draw, Way, drawn_scene
from emit_files import MASK_BANDS, write_emit, write_mask
from enmap_files import write_enmap
from given import NM, cube
from hypso_files import write_hypso
from neon_files import write_neon, write_radiance
from pace_files import write_pace
from prisma_files import write_prisma
from tanager_files import write_tanager
from wyvern_files import write_wyvern

DRAWN = 3
"""Scenes a way, each of other types, axes and places."""
READ = ("classify", "@", "--model", "given/lvq", "-o", "out/map.tif", "--resample", "--force", "-q")
MASKED = ("mask", "@", "-o", "out/mask.tif", "-q")
PREPARED = ("prepare", "@", "--labels", "given/labels.tif", "-o", "out/d.h5", "-q")
ACTIONS = (INFO, INFO_WORDS, READ, INFO, MASKED, INFO_WORDS, INFO, PREPARED)
GRID, SWATH = on_grid(10, 12), turned(10, 12)


def by_way(way: Way, name: str, folder: Path) -> Path:
    """A scene drawn at random, written in one way."""
    draw = Draw(zlib.crc32(name.encode()) % 10**6)
    return way.write(folder, drawn_scene(draw, way), draw).path


def matlab4(folder: Path) -> Path:
    """A cube as pixels by bands: MATLAB 4 holds matrices only."""
    path = folder / "s.mat"
    scipy.io.savemat(path, {"cube": cube()[0].reshape(-1, len(NM)).astype("f8")}, format="4")
    return path


def idx(folder: Path) -> Path:
    """Pictures as MNIST's."""
    path = folder / "train-images-idx3-ubyte"
    values = (cube()[0] >> 5).astype(np.uint8)
    path.write_bytes(
        bytes([0, 0, 8, 3]) + np.array(values.shape, ">i4").tobytes() + values.tobytes()
    )
    return path


def zarr_store(folder: Path, version: int) -> Path:
    """A cube with coordinates, as xarray writes it."""
    import xarray

    ground = GRID
    values = reflectance(ground.codes, NM).transpose(2, 0, 1)
    dataset = xarray.Dataset(
        {"reflectance": (("wavelength", "y", "x"), values)},
        coords={
            "wavelength": ("wavelength", NM / 1000, {"units": "um"}),
            "y": ("y", ground.y[:, 0]),
            "x": ("x", ground.x[0]),
        },
    )
    path = folder / "s.zarr"
    dataset.to_zarr(path, zarr_format=version, encoding={"reflectance": {"chunks": (4, 8, 8)}})
    return path


def emit(folder: Path) -> Path:
    """A granule and its mask."""
    path = write_emit(folder, SWATH)
    write_mask(folder, SWATH, np.zeros((*SWATH.x.shape, len(MASK_BANDS)), np.float32))
    return path


def scenes() -> list[Case]:
    """Formats."""
    ways = every_raster.WAYS | every_array.WAYS
    found = [
        Case(f"{name} {i}", "scenes", partial(by_way, way, f"{name} {i}"), ACTIONS)
        for name, way in ways.items()
        for i in range(DRAWN)
    ]
    more: dict[str, Callable[[Path], Path]] = {
        "MATLAB 4": matlab4,
        "IDX": idx,
        "Zarr 2": partial(zarr_store, version=2),
        "Zarr 3": partial(zarr_store, version=3),
    }
    return found + [Case(name, "scenes", write, ACTIONS) for name, write in more.items()]


def products() -> list[Case]:
    """Products of sensors, as they are delivered."""
    found: dict[str, Callable[[Path], Path]] = {
        "ACOLITE": lambda folder: write_acolite(folder / "PRISMA_L2R.nc", GRID),
        "AVIRIS-3": lambda folder: write_gridded(folder / RFL, GRID),
        "AVIRIS-3 swath": lambda folder: write_seen(folder / RDN, SWATH, cell=30),
        "AVIRIS-NG": lambda folder: write_flight(folder, SWATH, cell=30),
        "DESIS": lambda folder: write_desis(folder / "tile", GRID),
        "EMIT": emit,
        "EnMAP": lambda folder: write_enmap(folder / "scene", GRID),
        "EnMAP L1B": lambda folder: write_enmap(folder / "scene", SWATH, level="L1B"),
        "HYPSO": lambda folder: write_hypso(folder / "svalbard-l1d.nc", bent(10, 12)),
        "NEON": lambda folder: write_neon(folder / "NEON_D17_SOAP.h5", GRID),
        "NEON radiance": lambda folder: write_radiance(folder / "NEON_R.h5", GRID)[0],
        "PACE": lambda folder: write_pace(folder / "PACE_OCI.L2.SFREFL.nc", bent(10, 12)),
        "PRISMA": lambda folder: write_prisma(folder / "PRS_L2D_STD.he5", GRID),
        "PRISMA L1": lambda folder: write_prisma(folder / "PRS_L1_STD.he5", SWATH, level="L1"),
        "Tanager": lambda folder: write_tanager(folder / "ortho_sr.h5", GRID),
        "Tanager basic": lambda folder: write_tanager(
            folder / "basic_radiance.h5", SWATH, ortho=False, radiance=True
        ),
        "Wyvern": lambda folder: write_wyvern(folder / "wyvern", GRID),
    }
    laid = ("prepare", "@", "--labels", "given/ground.tif", "-o", "out/d.h5", "-q")
    actions = (INFO, laid, INFO_WORDS, READ, INFO, MASKED, INFO_WORDS, laid)
    return [Case(name, "products", write, actions) for name, write in found.items()] + [
        replace(
            Case(
                "EnMAP by folder", "products", lambda folder: write_enmap(folder / "s", GRID).parent
            ),
            actions=actions,
        )
    ]
