"""Label rasters of any format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.codes import checked_codes
from hsi_ssl.scenes.opening import read_plane
from hsi_ssl.scenes.scene import Scene


def read_label_plane(
    path: Path,
    *,
    variable: str | None = None,
    shape: tuple[int, int] | None = None,
    ignore: tuple[int, ...] = (),
) -> npt.NDArray[np.int64]:
    """Codes `(rows, cols)` of a label raster of any format, as they are in the file.

    NaN, the raster's nodata value and the codes in `ignore` become 0; in IDX files the digit 0
    becomes 10 (see `readers.idx`).

    Parameters
    ----------
    variable
        As in `read_plane`.
    shape
        Rows and columns of the scene that the labels belong to.

    Raises
    ------
    LabelError
        Another shape than the scene's, several bands, or values that are no codes.
    SceneNotFoundError, SceneError
        As in `open_scene`.
    """
    values, nodata = read_plane(Path(path), variable, shape)
    return checked_codes(values, path=Path(path), nodata=nodata, ignore=ignore, shape=shape)


def own_labels(scene: Scene) -> npt.NDArray[np.int64] | None:
    """Codes `(rows, cols)` of the label plane in a scene's own file, None where there is none.

    Raises
    ------
    LabelError
        It holds values that are no codes.
    """
    plane = scene.label_plane()
    return None if plane is None else checked_codes(plane[0], path=scene.path, nodata=plane[1])
