"""Simulated scenes: the files, their bytes, what a learner finds in them."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hsi_ssl.errors import OutputError, SettingsError
from hsi_ssl.scenes.drillcore import LABELLED
from hsi_ssl.scenes.simulate import box_of, scene_paths, simulate
from hsi_ssl.watcher import Watcher


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return simulate(tmp_path_factory.mktemp("scenes"), scenes=4, rows=96, cols=384)


def plane(path: Path, name: str) -> npt.NDArray[Any]:
    with h5py.File(path) as file:
        return np.asarray(file["hsimage"][name][:])


@pytest.mark.slow
def test_the_2016_format(scenes: list[Path]) -> None:
    with h5py.File(scenes[0]) as file:
        data = file["/hsimage/data"]
        assert (data.shape, data.dtype, data.chunks) == ((96, 384, 268), np.uint16, None)
        assert file["/hsimage/labels"].shape == (96, 384)
        assert file["/hsimage/labels"].dtype == np.uint16
        wavelengths = file["/hsimage/wavelengths"][:]
    assert len(wavelengths) == 268
    assert (wavelengths[0], wavelengths[-1]) == (1000, 2500)


def test_labels_of_both_sets(scenes: list[Path]) -> None:
    assert set(np.unique(plane(scenes[0], "labels"))) <= {0, *LABELLED}
    lithology = np.unique(plane(scenes[0], "lithology"))
    assert lithology[0] == 0
    assert ((lithology[1:] >= 101) & (lithology[1:] <= 155)).all()
    for path in scenes:
        assert 0.05 < (plane(path, "labels") > 0).mean() < 0.19


@pytest.mark.slow
def test_default_scenes_have_the_published_label_counts() -> None:
    boxes = [box_of(i, rows=256, cols=384, seed=0).labels for i in range(10)]
    codes, counts = np.unique(np.array(boxes), return_counts=True)
    assert dict(zip(codes[1:].tolist(), counts[1:].tolist(), strict=True)) == LABELLED
    for code, n in LABELLED.items():
        in_scenes = sum(bool((labels == code).any()) for labels in boxes)
        assert in_scenes >= (8 if n > 1000 else 2)


def test_the_same_seed_gives_the_same_bytes_however_many_scenes(tmp_path: Path) -> None:
    few = simulate(tmp_path / "few", scenes=2, rows=40, cols=60, seed=7)
    many = simulate(tmp_path / "many", scenes=3, rows=40, cols=60, seed=7)
    other = simulate(tmp_path / "other", scenes=1, rows=40, cols=60, seed=8)
    assert [p.read_bytes() for p in few] == [p.read_bytes() for p in many[:2]]
    assert few[0].read_bytes() != few[1].read_bytes() != many[2].read_bytes()
    assert few[0].read_bytes() != other[0].read_bytes()


def test_values_are_reflectance_with_noise_faults_and_dropouts(scenes: list[Path]) -> None:
    data, labels = plane(scenes[0], "data").astype(float), plane(scenes[0], "labels")
    assert 1500 < np.median(data[labels > 0]) < 8000
    # Noise: what differs between neighbours in the bands' curvature; worse at the long end.
    rough = np.abs(np.diff(data[labels > 0], n=2, axis=1))
    w = plane(scenes[0], "wavelengths")
    long, middle = (
        np.median(rough[:, sel]) / np.median(data[labels > 0][:, 1:-1][:, sel])
        for sel in (w[1:-1] > 2440, (w[1:-1] > 1550) & (w[1:-1] < 1700))
    )
    assert long > 2 * middle
    # Dead detector elements are whole columns of one band, the same in every scene.
    other = plane(scenes[1], "data")
    dead = (data == data[:1]).all(axis=0)
    assert 5 < dead.sum() < 60
    assert (dead == (other == other[:1]).all(axis=0)).all()
    lost = [(plane(path, "data") == 0).all(axis=-1).sum() for path in scenes]
    assert 0 < sum(lost) < 500


def test_neighbours_are_alike_and_flanks_are_dark(scenes: list[Path]) -> None:
    data = plane(scenes[0], "data")[:, :, 100].astype(float)
    labelled = plane(scenes[0], "labels") > 0
    both = labelled[1:] & labelled[:-1]
    together = np.corrcoef(data[1:][both], data[:-1][both])[0, 1]
    assert together > 0.7
    profile = ndimage.uniform_filter1d(np.median(data, axis=0), 3)
    inner, rim = profile[30:46].mean(), profile[7:10].mean()
    assert inner > 1.3 * rim


def test_classes_can_be_learned_across_scenes_but_overlap(scenes: list[Path]) -> None:
    spectra = [plane(p, "data")[plane(p, "labels") > 0].astype(np.float32) for p in scenes]
    codes = [plane(p, "labels")[plane(p, "labels") > 0] for p in scenes]
    x, y = np.concatenate(spectra[:3]), np.concatenate(codes[:3])
    rng = np.random.default_rng(0)
    some = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:150] for c in np.unique(y)])
    test = rng.permutation(len(codes[3]))[:2000]
    scaler = StandardScaler().fit(x[some])
    svm = SVC(C=1000, gamma=0.0003).fit(scaler.transform(x[some]), y[some])
    accuracy = svm.score(scaler.transform(spectra[3][test]), codes[3][test])
    assert 0.75 < accuracy < 0.95
    assert LinearDiscriminantAnalysis().fit(x[some], y[some]).score(spectra[3], codes[3]) > 0.6


def test_small_scenes_work(tmp_path: Path) -> None:
    (path,) = simulate(tmp_path, scenes=1, rows=32, cols=48)
    assert plane(path, "data").shape == (32, 48, 268)
    assert (plane(path, "labels") > 0).any()


@pytest.mark.parametrize(
    "wrong", [{"scenes": 0}, {"rows": 15}, {"cols": 0}, {"rows": -5}, {"seed": -1}]
)
def test_senseless_requests_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="expected"):
        simulate(tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    (path,) = simulate(tmp_path, scenes=1, rows=16, cols=16)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        simulate(tmp_path, scenes=2, rows=16, cols=16, seed=1)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before
    simulate(tmp_path, scenes=1, rows=16, cols=16, seed=1, overwrite=True)
    assert path.read_bytes() != before


def test_all_scenes_or_none(tmp_path: Path) -> None:
    class Interrupts(Watcher):
        def progress(self, what: str, done: float, total: float) -> None:
            if done == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, scenes=3, rows=16, cols=16, watcher=Interrupts())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(OutputError, match="GB"):
        simulate(tmp_path / "new", scenes=1, rows=16, cols=16)
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="folder"):
        simulate(tmp_path / "file", scenes=1, rows=16, cols=16)


def test_names_sort_in_order(tmp_path: Path) -> None:
    names = [path.name for path in scene_paths(tmp_path, 120)]
    assert names == sorted(names)
    assert scene_paths(tmp_path)[0].name == "drillcore-sim-01.h5"
