"""A small trained run, class maps, and datasets whose scenes have places."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from few_points import few_points
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from small_datasets import plain_meta

from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.labels.label_set import LabelClass, LabelSet

__all__ = ["few_points"]

GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)
UTM = "EPSG:32632"
MINERALS = {2: "quartz", 7: "kaolinite", 32: "white mica"}


@pytest.fixture(scope="session")
def run(m2_run: Path) -> Path:
    """A small M2 trained on the tiny dataset, with its figure of generated spectra."""
    return m2_run


@pytest.fixture
def write_map(tmp_path: Path) -> Callable[..., Path]:
    """Write a class map `(rows, cols)`, by default a GeoTIFF on `GRID` with nodata 0.

    `names` are put into the tag CLASSES, as our own maps have them; `tags` are further ones.
    """

    def write(
        name: str,
        codes: npt.NDArray[Any],
        names: Mapping[int, str] | None = None,
        tags: Mapping[str, str] | None = None,
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands = codes[None] if codes.ndim == 2 else codes
        place = {"driver": "GTiff", "crs": UTM, "transform": GRID, "nodata": 0, **profile}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(
                path, "w", count=len(bands), height=bands.shape[1], width=bands.shape[2],
                dtype=bands.dtype.name,
                **{key: value for key, value in place.items() if value is not None},
            ) as file:  # fmt: skip
                file.write(bands)
                file.update_tags(**(tags or {}))
                if names is not None:
                    file.update_tags(CLASSES=json.dumps(names))
        return path

    return write


@pytest.fixture
def dataset_of(tmp_path: Path) -> Callable[..., Dataset]:
    """A dataset of label planes `(rows, cols)` of codes, one a scene, all pixels to test on.

    `grids` are the scenes' transforms (None: no place), `names` of codes, `scenes` their names.
    """

    def make(
        *planes: npt.NDArray[Any],
        grids: Any = GRID,
        crs: str | None = UTM,
        names: Mapping[int, str] | None = None,
        scenes: tuple[str, ...] = ("scene",),
        unit: npt.NDArray[Any] | None = None,
        **meta: Any,
    ) -> Dataset:
        each = grids if isinstance(grids, list) else [grids] * len(planes)
        names = MINERALS if names is None else names
        classes = tuple(LabelClass(c, n, f"#{40 * c % 256:02x}80a0") for c, n in names.items())
        label_set = LabelSet("minerals", classes)
        place = [np.argwhere(plane > 0) for plane in planes]
        codes = np.concatenate([p[p > 0] for p in planes])
        n = len(codes)
        label = np.array([list(names).index(int(c)) for c in codes], np.int16)
        wkt = None if crs is None else rasterio.crs.CRS.from_user_input(crs).to_wkt()
        return write_dataset(
            tmp_path / f"dataset{len(list(tmp_path.glob('dataset*')))}.h5",
            spectra=np.ones((n, 3), np.uint16),
            label=label,
            part=np.full(n, Part.TEST, np.uint8),
            scene=np.repeat(np.arange(len(planes)), [len(p) for p in place]).astype(np.int16),
            pixel=np.concatenate(place).astype(np.int32),
            neighbours=np.full((n, 8), -1, np.int32),
            unit=np.arange(n, dtype=np.int32) if unit is None else unit,
            meta={
                **plain_meta(3, title="made"),
                "scaling": fit_scaler(
                    "standard", np.eye(3, dtype=np.float32), components=3
                ).to_card(),
                "unit_kind": "pixel",
                "sources": [
                    {
                        "name": name,
                        "path": f"/data/{name}.tif",
                        "fingerprint": "0" * 64,
                        "rows": plane.shape[0],
                        "cols": plane.shape[1],
                        "crs": None if grid is None else wkt,
                        "transform": None if grid is None else tuple(grid)[:6],
                        "control_points": [],
                    }
                    for name, plane, grid in zip(scenes, planes, each, strict=True)
                ],
                "label_set": label_set.to_card(),
                "recoded": {},
                **meta,
            },
        )

    return make
