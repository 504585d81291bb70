"""Privileged information: what a second sensor saw of a dataset's pixels, for a teacher alone.

Beside the dataset of x lies one of (x, x*), row by row the same pixels, parts and labels (Vapnik
and Izmailov 2015, "learning using privileged information").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import DatasetWriter, writing_dataset
from hsi_ssl.datasets.taking import BLOCK
from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.resting import Room, resting
from hsi_ssl.scenes.scene import Scene, valid_spectra

Ints = npt.NDArray[Any]

OF_LEVELS = ("none", "max", "minmax", "standard")
"""Scalings that look at each band by itself; in the place of others, noise."""
SAME_PLACE = 0.5
"""Of a pixel: two grids no farther apart are one."""


def beside(path: Path) -> Path:
    """Where the dataset of both sensors lies."""
    return path.with_name(f"{path.stem}_privileged{path.suffix}")


@contextmanager
def seconds_of(paths: Sequence[Path], scenes: Sequence[Scene]) -> Iterator[tuple[Scene, ...]]:
    """Open the second sensor's scenes, one for each of `scenes` in their order.

    Raises
    ------
    SceneError
        They are not as many; one has other pixels, lies elsewhere, or has other bands than the
        first.
    SceneNotFoundError
        A file is missing.
    """
    if len(paths) != len(scenes):
        raise SceneError(
            f"{len(paths)} privileged scenes for {len(scenes)} scenes; expected one for each, in "
            "the same order"
        )
    with ExitStack() as opened:
        room = Room()
        found = tuple(opened.enter_context(_resting(path, room)) for path in paths)
        for first, second in zip(scenes, found, strict=True):
            _check(first, second)
            if second.bands != found[0].bands or not (second.good == found[0].good).all():
                raise SceneError(
                    f"{second.path} has other bands than {found[0].path}; a second sensor is one: "
                    "prepare them apart"
                )
        yield found


def _resting(path: Path, room: Room) -> Scene:
    return resting(open_scene(path), partial(open_scene, path), room)


def _check(first: Scene, second: Scene) -> None:
    if first.path.resolve() == second.path.resolve():
        raise SceneError(
            f"{second.path} is the scene itself, which tells a teacher nothing more: name the cube "
            "of a second sensor"
        )
    if (first.rows, first.cols) != (second.rows, second.cols):
        raise SceneError(
            f"{second.path} has {second.rows} x {second.cols} pixels and {first.path} has "
            f"{first.rows} x {first.cols}; privileged information is of the same pixels: resample "
            "it onto that grid first (gdalwarp)"
        )
    here, there = first.grid.transform, second.grid.transform
    if here is None or there is None:
        return
    corners = np.array([[0, first.cols, 0, first.cols], [0, 0, first.rows, first.rows], [1] * 4])

    def place(t: Sequence[float]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = np.array([[*t[:2], t[2]], [*t[3:5], t[5]]]) @ corners
        return found

    pixel = float(np.hypot(here[0], here[3]))
    elsewhere = np.abs(place(here) - place(there)).max() > SAME_PLACE * pixel
    other_crs = None not in (first.grid.crs, second.grid.crs) and first.grid.crs != second.grid.crs
    if elsewhere or other_crs:
        raise SceneError(
            f"{second.path} lies elsewhere than {first.path}"
            f"{' (another CRS)' if other_crs else ''}; privileged information is of the same "
            "pixels: resample it onto that grid first (gdalwarp)"
        )


def write_privileged(
    path: Path,
    writer: DatasetWriter,
    seconds: Sequence[Scene],
    columns: dict[str, Any],
    meta: dict[str, Any],
    fit: Ints,
) -> None:
    """Write the dataset of both sensors beside that of the first, whose spectra `writer` has.

    `columns`: as `DatasetWriter.finish` takes them; `fit`: rows that the scaling is fitted on.

    Raises
    ------
    SceneError
        A pixel has no measurement in the second scene.
    OutputError
        As `writing_dataset`.
    """
    scene, pixel = columns["scene"], columns["pixel"]
    good = np.flatnonzero(seconds[0].good)
    own, theirs = len(meta["used_bands"]), len(good)
    with writing_dataset(beside(path), bands=own + theirs, dtype=np.float32) as both:
        for first in range(0, len(scene), BLOCK):
            rows = np.arange(first, min(first + BLOCK, len(scene)))
            x_star = _read(seconds, good, scene[rows], pixel[rows])
            both.append(np.hstack([writer.spectra(rows).astype(np.float32), x_star]))
        kind = meta["scaling"]["kind"]
        scaler = fit_scaler(
            kind if kind in OF_LEVELS else "noise",
            both.spectra(fit),
            components=int(meta["settings"].get("components", 30)),
        )
        changed = {
            "bands": own + theirs,
            "used_bands": list(range(own + theirs)),
            "wavelengths_nm": None,
            "fwhm_nm": None,
            "numbers": None,
            "excluded_nm": [],
            "scaling": scaler.to_card(),
            "privileged": {"bands": theirs, "scenes": [str(s.path) for s in seconds]},
        }
        both.finish(**columns, meta={**meta, **changed})


def _read(
    seconds: Sequence[Scene], good: Ints, scene: Ints, pixel: Ints
) -> npt.NDArray[np.float32]:
    """Spectra `(n, bands)` of pixels of the second sensor's scenes."""
    found = np.empty((len(scene), len(good)), np.float32)
    for number in np.unique(scene):
        here = np.flatnonzero(scene == number)
        one = seconds[int(number)]
        order = here[np.lexsort((pixel[here, 1], pixel[here, 0]))]
        places = pixel[order].astype(np.int64)
        spectra = one.pixels(places[:, 0], places[:, 1])[:, good]
        valid = valid_spectra(spectra, one.nodata)
        if not valid.all():
            row, col = places[~valid][0]
            raise SceneError(
                f"{one.path} has no measurement at row {row}, col {col}, and {int((~valid).sum())} "
                "of the pixels to take; leave them out of both with --mask-out"
            )
        found[order] = spectra
    return found
