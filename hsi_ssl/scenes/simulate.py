"""Simulated drill-core scenes in the 2016 format: light, sensor and files.

What lies in the boxes is `drillcore`'s; spectra of minerals are `minerals`'.

A file holds `/hsimage/data` (rows, cols, 268) uint16, contiguous, reflectance times 10,000;
`/hsimage/labels` (rows, cols) uint16, mineralogy codes; `/hsimage/lithology` (rows, cols) uint16,
lithology codes; `/hsimage/wavelengths` (268,) float32, nm. 0 means unlabelled.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.claims import claimed
from hsi_ssl.errors import OutputError, SettingsError
from hsi_ssl.files import refuse_existing, written_beside
from hsi_ssl.scenes.drillcore import (
    DECK,
    DECK_PIXELS,
    LABELLED,
    MATERIALS,
    Box,
    drill,
    label_targets,
)
from hsi_ssl.scenes.minerals import LIQUID_WATER, MINERALS
from hsi_ssl.watcher import SILENT, Watcher

Floats = npt.NDArray[np.float32]

BANDS = 268
WAVELENGTHS_NM = np.linspace(1000.0, 2500.0, BANDS)
REFLECTANCE_ONE = 10_000
"""Raw value of reflectance 1."""
SMALLEST = 16
"""Rows and columns that a box needs at least."""
WINDOW_PIXELS = 16_384
"""Pixels rendered and written at a time."""
GRAINS = (0.4, 1.0, 1.9)
"""Grain sizes at which pure spectra are computed; those between are interpolated."""
DEAD = 2e-4
"""Share of dead detector elements."""
INTIMATE = 0.4
"""Share of a pixel mixed within (ln R adds up); the rest lies side by side (R adds up)."""


def simulate(
    folder: Path,
    *,
    scenes: int = 10,
    rows: int = 256,
    cols: int = 384,
    seed: int = 0,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[Path]:
    """Write `scenes` labelled scenes `drillcore-sim-01.h5`, ... into `folder`; all or none.

    A scene's bytes depend on the seed, its number and its size alone.

    Raises
    ------
    SettingsError
        No scenes are asked for, or too small ones.
    OutputError
        A scene is there already and `overwrite` is false; the folder cannot be written to; the
        disk has not the space.
    """
    if scenes < 1:
        raise SettingsError(f"expected one scene or more, found {scenes}")
    if min(rows, cols) < SMALLEST:
        raise SettingsError(
            f"expected scenes of {SMALLEST} x {SMALLEST} pixels or more, found {rows} x {cols}"
        )
    if seed < 0:
        raise SettingsError(f"expected a seed of 0 or more, found {seed}")
    paths = scene_paths(folder, scenes)
    with claimed(*paths):
        for path in paths:
            refuse_existing(path, overwrite)
        _refuse_full_disk(folder, scenes * rows * cols * (BANDS + 2) * 2)
        with written_beside(paths[0], also=paths[1:], overwrite=overwrite) as beside:
            for index, path in enumerate(paths):
                watcher.progress("simulating scenes", index, scenes)
                place = beside.with_name(path.name)
                write_scene(place, index=index, rows=rows, cols=cols, seed=seed)
    watcher.progress("simulating scenes", scenes, scenes)
    return paths


def scene_paths(folder: Path, scenes: int = 10) -> list[Path]:
    """Where `simulate` puts its scenes."""
    digits = max(2, len(str(scenes)))
    return [Path(folder) / f"drillcore-sim-{i + 1:0{digits}}.h5" for i in range(scenes)]


def box_of(index: int, *, rows: int, cols: int, seed: int) -> Box:
    """What scene number `index` (from 0) shows."""
    deck = label_targets(_rng(seed, "deck", index // DECK))[index % DECK]
    scale = rows * cols / DECK_PIXELS
    targets = {code: round(n * scale) for code, n in zip(LABELLED, deck.tolist(), strict=True)}
    return drill(_rng(seed, "core", index), rows, cols, targets)


def write_scene(path: Path, *, index: int, rows: int, cols: int, seed: int) -> None:
    """Write scene number `index` (from 0), by windows of rows."""
    box = box_of(index, rows=rows, cols=cols, seed=seed)
    planes: dict[str, npt.NDArray[Any]] = {
        "labels": box.labels,
        "lithology": box.lithology,
        "wavelengths": WAVELENGTHS_NM.astype(np.float32),
    }
    offsets = _skeleton(
        path,
        {"data": ((rows, cols, BANDS), np.dtype(np.uint16))}
        | {name: (plane.shape, plane.dtype) for name, plane in planes.items()},
    )
    # The values go past HDF5, which cannot close a file on a full disk and ends the process.
    with path.open("r+b") as file:
        for name, plane in planes.items():
            file.seek(offsets[name])
            file.write(plane.tobytes())
        file.seek(offsets["data"])
        for values in render(box, seed=seed, index=index):
            file.write(values.data)


def _skeleton(
    path: Path, arrays: dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
) -> dict[str, int]:
    """Write an HDF5 file of empty contiguous arrays in `/hsimage`; where in it each begins.

    Fixed format versions and no times of day: the same seed gives the same bytes.
    """
    plain = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plain.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plain.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plain.set_obj_track_times(False)
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        group = file.create_group("hsimage")
        offsets = {}
        for name, (shape, dtype) in arrays.items():
            kind, space = h5py.h5t.py_create(dtype), h5py.h5s.create_simple(shape)
            array = h5py.h5d.create(group.id, name.encode(), kind, space, plain)
            offsets[name] = array.get_offset()
        group["wavelengths"].attrs["units"] = np.bytes_("nm")
    return offsets


def render(box: Box, *, seed: int, index: int) -> Iterator[npt.NDArray[np.uint16]]:
    """Raw values `(r, cols, bands)` of one window of rows after the other."""
    rows, cols = box.grain.shape
    spectra = _spectra(_rng(seed, "spectra", index))
    sensor = _sensor(_rng(seed, "sensor", 0), cols)
    noise = _rng(seed, "noise", index)
    dropped = _dropouts(_rng(seed, "dropouts", index), rows, cols)
    step = max(1, WINDOW_PIXELS // cols)
    for row in range(0, rows, step):
        window = slice(row, min(row + step, rows))
        reflectance = _reflectance(box, window, spectra)
        values = _measured(reflectance.reshape(-1, cols, BANDS), sensor, noise)
        values[dropped[window]] = 0
        yield values


@dataclass(frozen=True)
class _Spectra:
    """What the materials look like in one scene: `(rows, bands)` float32 each.

    `pure` holds reflectance of the materials at each of `GRAINS`; `intimate` their ln continua,
    then their negative ln absorptions; `light` ln of the lamp, ln R per unit of tilt and of water.
    """

    pure: Floats
    intimate: Floats
    light: Floats


def _spectra(rng: np.random.Generator) -> _Spectra:
    """The scene's own variant of each material and its lamp."""
    continua, absorptions = [], []
    for name in MATERIALS:
        mineral = MINERALS[name]
        shift, strength, level, slope = rng.normal(0, (2.0, 0.12, 0.12, 0.08))
        tilt = 1000 / WAVELENGTHS_NM - 0.6
        continua.append(mineral.log_continuum(WAVELENGTHS_NM) + level + slope * tilt)
        absorptions.append(mineral.log_absorption(WAVELENGTHS_NM, shift) * np.exp(strength))
    c, a = np.array(continua), np.array(absorptions)
    pure = np.concatenate([np.exp(c - grain * a) for grain in GRAINS])
    across = (WAVELENGTHS_NM - 1750) / 750
    lamp = rng.normal(0, 0.06) + rng.normal(0, 0.04) * across + rng.normal(0, 0.02) * across**2
    light = np.stack([lamp, across, -LIQUID_WATER.log_absorption(WAVELENGTHS_NM)])
    return _Spectra(*(x.astype(np.float32) for x in (pure, np.concatenate([c, -a]), light)))


def _reflectance(box: Box, window: slice, spectra: _Spectra) -> Floats:
    """Apparent reflectance `(pixels, bands)` of a window of rows."""
    share = box.abundance[window].reshape(-1, len(MATERIALS))
    grain = box.grain[window].reshape(-1, 1)
    position = np.interp(grain, GRAINS, range(len(GRAINS))).astype(np.float32)
    by_grain = [share * np.clip(1 - abs(position - i), 0, None) for i in range(len(GRAINS))]
    side_by_side = np.hstack(by_grain) @ spectra.pure
    within = np.hstack([share, share * grain]) @ spectra.intimate
    np.exp(within, out=within)
    side_by_side *= 1 - INTIMATE
    within *= INTIMATE
    side_by_side += within
    tilt, water = box.tilt[window].ravel(), box.water[window].ravel()
    light = np.stack([np.ones_like(tilt), tilt, water], axis=1) @ spectra.light
    np.exp(light, out=light)
    light *= box.light[window].reshape(-1, 1)
    side_by_side *= light
    return side_by_side


@dataclass(frozen=True)
class _Sensor:
    """A line camera: noise variance `photon * R + read` a band; gain and faults a column and band.

    `stuck` is the raw value of a dead detector element, -1 for one that works, `(cols, bands)`.
    """

    photon: Floats
    read: Floats
    gain: Floats
    stuck: npt.NDArray[np.int32]


def _sensor(rng: np.random.Generator, cols: int) -> _Sensor:
    """Signal to noise near 200 at 1300 nm on white, 40 at 2500 nm: fewer photons, weaker response.

    Water vapour in the light's way takes some at 1400 and 1900 nm.
    """
    w = WAVELENGTHS_NM
    photons = np.exp(-(((w - 1450) / 700) ** 2))
    for centre, width, depth in ((1380, 40, 0.25), (1880, 50, 0.35)):
        photons *= 1 - depth * np.exp(-(((w - centre) / width) ** 2))
    gain = 1 + 0.004 * rng.standard_normal((cols, BANDS), dtype=np.float32)
    stuck = np.full((cols, BANDS), -1, np.int32)
    dead = rng.random((cols, BANDS)) < DEAD
    stuck[dead] = rng.choice([0, 0, 300, 14_000], int(dead.sum()))
    photon = (1 / 200**2 / photons).astype(np.float32)
    read = ((0.002 / photons) ** 2).astype(np.float32)
    return _Sensor(photon, read, gain, stuck)


def _measured(
    reflectance: Floats, sensor: _Sensor, rng: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Raw values of reflectance `(rows, cols, bands)`, which is used up."""
    sd = reflectance * sensor.photon
    sd += sensor.read
    np.sqrt(sd, out=sd)
    sd *= rng.standard_normal(sd.shape, dtype=np.float32)
    reflectance *= sensor.gain
    reflectance += sd
    reflectance *= REFLECTANCE_ONE
    reflectance += 0.5
    np.clip(reflectance, 0, np.iinfo(np.uint16).max, out=reflectance)
    values = reflectance.astype(np.uint16)
    cols, bands = np.nonzero(sensor.stuck >= 0)
    values[:, cols, bands] = sensor.stuck[cols, bands]
    return values


def _dropouts(rng: np.random.Generator, rows: int, cols: int) -> npt.NDArray[np.bool_]:
    """Pixels lost in transmission: a few short pieces of lines."""
    lost = np.zeros((rows, cols), bool)
    for _ in range(rng.poisson(rows * cols / 50_000)):
        row, col = rng.integers(rows), rng.integers(cols)
        lost[row, col : col + rng.integers(5, 30)] = True
    return lost


def _rng(seed: int, use: str, number: int) -> np.random.Generator:
    """A stream of random numbers of its own for each use and scene."""
    uses = ("deck", "core", "spectra", "sensor", "noise", "dropouts")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(uses.index(use), number)))


def _refuse_full_disk(folder: Path, size: int) -> None:
    """Raise `OutputError` if the disk of `folder` has not `size` bytes and a little."""
    there: Any = Path(folder).absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < size + 2**20:
        raise OutputError(
            f"cannot write {folder}: the scenes take {size / 1e9:.1f} GB and {free / 1e9:.1f} GB "
            "are free; free some, write elsewhere, or ask for fewer or smaller scenes"
        )
