"""`exclude`: ranges of wavelengths that are left out of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hearing import Hears

from hsi_ssl.datasets.prepare import prepare, sources_of
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import SceneError, SettingsError
from hsi_ssl.settings import PrepareSettings
from hsi_ssl.watcher import SILENT, Watcher

ROWS, COLS = 40, 32
WAVELENGTHS = np.arange(1000.0, 2500.0, 50.0)
WATER = "1350-1450,1800-1950"
IN_WATER = [7, 8, 9, 16, 17, 18, 19]
PLACE = {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 365_000, 0, -30, 5_810_000)}
Cube = npt.NDArray[np.float32]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    plane = np.zeros((ROWS, COLS), np.uint8)
    for i in range(24):
        row, col = 6 * (i // 4), 8 * (i % 4)
        plane[row : row + 4, col : col + 5] = i % 3 + 1
    with rasterio.open(
        tmp_path / "labels.tif", "w", width=COLS, height=ROWS, count=1, dtype="uint8", **PLACE
    ) as file:
        file.write(plane, 1)
    return tmp_path / "labels.tif"


def cube() -> Cube:
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(ROWS, COLS, 3)) @ rng.normal(size=(3, len(WAVELENGTHS)))
    noise = rng.normal(size=mixed.shape)
    values: Cube = (5000 + 300 * mixed + 20 * noise).astype(np.float32)
    return values


def write(path: Path, values: Cube, wavelengths: npt.NDArray[Any] | None = WAVELENGTHS) -> Path:
    with rasterio.open(
        path, "w", width=COLS, height=ROWS, count=values.shape[2], dtype="float32", nodata=-9999,
        **PLACE,
    ) as file:  # fmt: skip
        file.write(values.transpose(2, 0, 1))
        for band, nm in enumerate(() if wavelengths is None else wavelengths, 1):
            file.update_tags(band, wavelength=str(nm), wavelength_units="nm")
    return path


def prepared(
    scene: Path, labels: Path, exclude: object, *, watcher: Watcher = SILENT, **settings: Any
) -> Dataset:
    output = scene.with_name(f"{scene.stem}.h5")
    return prepare(
        PrepareSettings(
            sources=(str(scene),), labels=(labels,), output=output, components=4, unlabelled=300,
            cap=40, exclude=exclude, **settings,
        ),
        overwrite=True,
        watcher=watcher,
    )  # fmt: skip


def test_bands_in_the_ranges_are_not_used_and_it_is_said(tmp_path: Path, labels: Path) -> None:
    hears = Hears()
    dataset = prepared(write(tmp_path / "a.tif", cube()), labels, WATER, watcher=hears)
    used = [b for b in range(len(WAVELENGTHS)) if b not in IN_WATER]
    assert dataset.meta["used_bands"] == used
    assert dataset.meta["wavelengths_nm"] == WAVELENGTHS[used].tolist()
    assert dataset.meta["bands"] == len(WAVELENGTHS)
    assert dataset.meta["excluded_nm"] == [[1350, 1450], [1800, 1950]]
    assert dataset.meta["settings"]["exclude"] == ["1350-1450", "1800-1950"]
    assert dataset.spectra().shape[1] == len(used)
    assert [s for s in hears.said if "exclude" in s] == [
        "excluded 7 of 30 bands: 8-10 (1350.0 to 1450.0 nm), 17-20 (1800.0 to 1950.0 nm) "
        "(counted from 1)"
    ]
    assert not [w for w in hears.warned if "band" in w]


def test_what_lies_in_excluded_bands_does_not_matter(tmp_path: Path, labels: Path) -> None:
    clean = cube()
    dirty = clean.copy()
    dirty[..., IN_WATER] = np.nan
    dirty[::2, :, IN_WATER[2:]] = -9999
    dirty[:, ::3, IN_WATER[4:]] = 1e20
    one = prepared(write(tmp_path / "clean.tif", clean), labels, WATER)
    other = prepared(write(tmp_path / "dirty.tif", dirty), labels, WATER)
    for name in ("label", "part", "scene", "pixel"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.spectra(), other.spectra())
    assert one.meta["scaling"] == other.meta["scaling"]
    assert prepared(tmp_path / "dirty.tif", labels, "").spectra().max() > 1e19  # so it did matter


def test_pictures_of_the_scenes_do_without_them_too(tmp_path: Path, labels: Path) -> None:
    scene = write(tmp_path / "a.tif", cube())
    settings = PrepareSettings(sources=(str(scene),), labels=(labels,), exclude=WATER)
    with sources_of(settings) as sources:
        assert np.flatnonzero(~sources.scenes[0].scene.good).tolist() == IN_WATER


def test_micrometres_are_understood_and_a_guess_is_said_once(tmp_path: Path, labels: Path) -> None:
    scene = write(tmp_path / "a.tif", cube())
    nm = prepared(scene, labels, WATER).meta["used_bands"]
    hears = Hears()
    with_units = prepared(scene, labels, "1.35-1.45um,1.8-1.95um", watcher=hears)
    assert with_units.meta["used_bands"] == nm
    assert not [s for s in hears.said if "micrometres" in s]
    assert prepared(scene, labels, "1.35-1.45,1.8-1.95", watcher=hears).meta["used_bands"] == nm
    assert [s for s in hears.said if "micrometres" in s] == [
        "1.35-1.45, 1.8-1.95 to exclude carry no unit: taken as micrometres"
    ]


def test_a_range_without_a_band_is_said_with_the_scenes_range(tmp_path: Path, labels: Path) -> None:
    hears = Hears()
    dataset = prepared(
        write(tmp_path / "a.tif", cube()), labels, "3000-3100,1351-1399,2400-2600", watcher=hears
    )
    assert dataset.meta["used_bands"] == list(range(28))
    assert [w for w in hears.warned if "no band" in w] == [
        "no band lies in 3000-3100 nm, to be excluded; the scenes' lie at 1000.0 to 2450.0 nm",
        "no band lies in 1351-1399 nm, to be excluded; the scenes' lie at 1000.0 to 2450.0 nm",
    ]


def test_without_wavelengths_they_are_asked_for(tmp_path: Path, labels: Path) -> None:
    scene = write(tmp_path / "a.tif", cube(), None)
    with pytest.raises(SceneError, match=r"a\.tif has no wavelengths.*--wavelengths"):
        prepared(scene, labels, WATER)
    assert not scene.with_suffix(".h5").exists()
    table = tmp_path / "bands.csv"
    table.write_text("wavelength_nm\n" + "\n".join(map(str, WAVELENGTHS)))
    used = prepared(scene, labels, WATER, wavelengths=table).meta["used_bands"]
    assert not set(used) & set(IN_WATER)


def test_excluding_everything_is_refused(tmp_path: Path, labels: Path) -> None:
    scene = write(tmp_path / "a.tif", cube())
    with pytest.raises(SettingsError, match=r"900-2500 nm hold every good band.*exclude less"):
        prepared(scene, labels, "900-2500")
    assert not scene.with_suffix(".h5").exists()
