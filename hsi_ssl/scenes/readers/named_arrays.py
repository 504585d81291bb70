"""Cubes in files that hold arrays by name and say little of them: .mat to version 7, .npz."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from hsi_ssl.scenes.axes import BANDS, Asked, Order, decide, names_wavelengths
from hsi_ssl.scenes.origins import Origins
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.cf_grid import turned
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.scenes.wavelengths import band_facts, unit_in, with_facts


def scene_of_arrays(
    path: Path,
    arrays: Mapping[str, tuple[int, ...]],
    load: Callable[[str], Array],
    variable: str | None,
    asked: Asked,
    *,
    format: str,  # as in Scene
    cube: Callable[[str, Order], BoxReader],
) -> Scene:
    """The array `variable`, or the only one of three dimensions, with wavelengths and labels.

    Parameters
    ----------
    arrays
        Name -> shape of what the file holds; fields of structs are called `data.cube`.
    load
        Gives the array of a name, a small one: wavelengths, the plane of labels when it is asked
        for.
    cube
        Gives a reader of the array of a name, whose axes are as told.

    Raises
    ------
    SceneError
        There is no such array, or several; which axis holds the bands remains open.
    SceneNotFoundError
        There is no `variable`.
    """
    name = choose(arrays, variable, path=path, dimensions=CUBE)
    first, second, third = shape = arrays[name]
    vectors = [
        found
        for found, size in arrays.items()
        if names_wavelengths(found) and np.prod(size) == max(size, default=0) > 1
    ]
    vectors.sort(key=lambda found: found.rpartition(".")[0] != name.rpartition(".")[0])
    decided = decide(
        (first, second, third),
        asked,
        of=name,
        path=path,
        vectors=[(found, max(arrays[found])) for found in vectors],
        planes={n: size for n, size in arrays.items() if len(size) == PLANE and min(size) > 1},
    )
    rows, cols, bands = decided.sizes(shape)
    sizes = tuple(n for n, axis in zip(shape, decided.order, strict=True) if axis != BANDS)
    planes = [found for found, size in arrays.items() if size == sizes]
    vectors = [found for found in vectors if max(arrays[found]) == bands]
    facts = band_facts(
        bands,
        where=path.name,
        wavelengths=load(vectors[0]) if vectors else None,
        units=unit_in(vectors[0]) if vectors else None,
        wavelengths_from=f"the array {vectors[0]}" if vectors else "",
    )

    def own_labels() -> tuple[Array, None]:
        return turned(load(planes[0]), decided, upside_down=False), None

    reader = cube(name, decided.order)
    scene = Scene(
        path=path,
        format=format,
        rows=rows,
        cols=cols,
        bands=bands,
        dtype=reader.dtype,
        reader=reader,
        block=reader.piece[:2],
        label_reader=own_labels if len(planes) == 1 else None,
        notes=decided.notes,
        origins=Origins(axes=decided.origin),
    )
    return with_facts(scene, facts)
