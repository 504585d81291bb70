"""Sources: open scenes with their labels, whatever the user names."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import scipy.io
import shapely
from hearing import Hears
from placed_files import write_layer
from rasterio.errors import NotGeoreferencedWarning

from hsi_ssl.catalog import entries as catalog
from hsi_ssl.errors import CatalogError, LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.scenes.drillcore import LABELLED, LITHOLOGY
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.simulate import simulate

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    simulate(folder, scenes=3, rows=48, cols=80)
    return folder


def tif(path: Path, values: Array, **profile: Any) -> Path:
    """Write a GeoTIFF of `(rows, cols)` or `(rows, cols, bands)`."""
    bands = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=len(bands),
            height=bands.shape[1],
            width=bands.shape[2],
            dtype=bands.dtype,
            **profile,
        ) as file:
            file.write(bands)
    return path


def cube_and_labels(folder: Path, name: str, codes: list[int]) -> Path:
    """A GeoTIFF cube of 6 x 5 pixels and 4 bands, and labels that repeat `codes`."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    path = tif(folder / f"{name}.tif", rng.integers(1, 1000, (6, 5, 4)).astype(np.uint16))
    plane = np.array(list(itertools.islice(itertools.cycle(codes), 30))).reshape(6, 5)
    tif(folder / f"{name}_labels.tif", plane.astype(np.uint16))
    return path


def names_of(sources: Sources) -> list[str]:
    return [source.scene.name for source in sources.scenes]


# ---------------------------------------------------------------------------- catalog names


def test_indian_pines_by_name() -> None:
    hears = Hears()
    with resolve(["indian-pines"], watcher=hears) as sources:
        (one,) = sources.scenes
        assert (one.scene.rows, one.scene.cols, one.scene.bands) == (145, 145, 200)
        assert one.scene.wavelengths_nm is not None
        assert len(one.scene.wavelengths_nm) == 200
        assert one.labels is not None
        assert one.labels.dtype == np.uint16
        assert np.bincount(one.labels.ravel()).tolist()[1:4] == [46, 1428, 830]
        assert one.labels_paths
        assert one.labels_paths[0].name == "Indian_pines_gt.npy"
        assert sources.label_set.names[1] == "Corn-notill"
        assert sources.title == "Indian Pines"
        assert not sources.image_like
    assert sum("nominal" in sentence for sentence in hears.said) == 1


def test_mnist_by_name(real_data: Callable[[str], Path]) -> None:
    with resolve(["mnist"], data_folder=real_data("mnist").parent) as sources:
        assert sources.image_like
        assert [source.role for source in sources.scenes] == ["test", "train"]
        labels = sources.scenes[0].labels
        assert labels is not None
        assert labels.shape == (10_000, 1)
        zeros = np.count_nonzero(labels == 10)
        assert zeros == 980
        assert dict(zip(sources.label_set.codes, sources.label_set.names, strict=True))[10] == "0"


def test_enmap_codes_outside_do_not_count(real_data: Callable[[str], Path]) -> None:
    with resolve(["enmap-potsdam"], data_folder=real_data("enmap-potsdam").parent) as sources:
        labels = sources.scenes[0].labels
        assert labels is not None
        assert np.bincount(labels.ravel())[1:].tolist() == [505, 953, 1694, 2070, 91, 359]
        assert sources.scenes[0].scene.grid.transform is not None


def test_drillcore_sim_by_name_simulates_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functools import partial

    from hsi_ssl.scenes import simulate as module

    monkeypatch.setattr(module, "simulate", partial(module.simulate, rows=24, cols=40))
    monkeypatch.setattr(catalog, "cache_folder", lambda: tmp_path)
    monkeypatch.delenv("HSI_SSL_DATA", raising=False)
    with resolve(["drillcore-sim"]) as sources:
        assert len(sources.scenes) == 10
        assert sources.title == "Simulated drill core"
    assert (tmp_path / "drillcore-sim/drillcore-sim-10.h5").exists()


# ---------------------------------------------------------------------------- folders and files


def test_a_folder_of_simulated_core_knows_its_minerals(core: Path) -> None:
    hears = Hears()
    with resolve([str(core)], watcher=hears) as sources:
        assert names_of(sources) == [f"drillcore-sim-0{i}" for i in (1, 2, 3)]
        assert sources.label_set.name == "mineralogy"
        assert sources.label_set.codes.tolist() == list(LABELLED)
        for source in sources.scenes:
            with h5py.File(source.scene.path) as file:
                inside = file["hsimage/labels"][:]
            assert source.labels is not None
            assert (source.labels == inside).all()
            assert source.labels_paths == (source.scene.path,)
    assert hears.said == ["label set mineralogy; --label-set chooses another: lithology"]


def test_the_other_label_set(core: Path) -> None:
    with resolve([str(core)], label_set="lithology") as sources:
        assert len(sources.label_set) == len(LITHOLOGY)
        labels = sources.scenes[0].labels
        assert labels is not None
        assert labels[labels > 0].min() >= 101
        assert (labels > 0).any()


def test_one_plane_may_hold_both_label_sets(tmp_path: Path) -> None:
    path = tmp_path / "core.h5"
    plane = np.array([[0, 3, 12], [101, 155, 99]], np.uint16)
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = np.ones((2, 3, 4), np.uint16)
        file["hsimage/labels"] = plane
    for name, codes in ((None, {0, 3, 12, 99}), ("lithology", {0, 101, 155})):
        with resolve([str(path)], label_set=name) as sources:
            labels = sources.scenes[0].labels
            assert labels is not None
            assert set(labels.ravel().tolist()) == codes
            occurring = sources.label_set.occurring(np.unique(labels).astype(np.int64))
            assert occurring.names[0] == f"class {min(codes - {0})}"


def test_rasters_beside_are_found_and_codes_stay(tmp_path: Path) -> None:
    cube_and_labels(tmp_path, "b", [0, 32, 500])
    cube_and_labels(tmp_path, "a", [7, 0])
    with resolve([str(tmp_path)]) as sources:
        assert names_of(sources) == ["a", "b"]
        assert [set(np.unique(s.labels)) for s in sources.scenes] == [{0, 7}, {0, 32, 500}]  # type: ignore[arg-type]
        assert sources.scenes[1].labels_paths == (tmp_path / "b_labels.tif",)
        assert len(sources.label_set) == 0
        assert sources.title == tmp_path.name


def test_a_known_mat_file_gets_names_and_wavelengths(real_data: Callable[[str], Path]) -> None:
    with resolve([str(real_data("salinas-a/SalinasA_corrected.mat"))]) as sources:
        assert sources.label_set.names[0] == "Brocoli_green_weeds_1"
        assert sources.scenes[0].scene.wavelengths_nm is not None


@pytest.mark.slow
def test_the_order_of_sources_does_not_matter(core: Path, tmp_path: Path) -> None:
    files = sorted(str(path) for path in core.iterdir())
    seen = set()
    for order in itertools.permutations([*files, str(core)]):
        with resolve(order) as sources:
            seen.add((tuple(names_of(sources)), sources.label_set, sources.title))
    assert len(seen) == 1


def test_what_is_no_cube_in_a_folder_is_left_out_with_a_warning(tmp_path: Path) -> None:
    cube_and_labels(tmp_path, "a", [1, 2])
    (tmp_path / "broken.h5").write_bytes(b"no HDF5")
    hears = Hears()
    with resolve([str(tmp_path)], watcher=hears) as sources:
        assert names_of(sources) == ["a"]
    assert len(hears.warned) == 1
    assert "broken.h5" in hears.warned[0]
    with pytest.raises(SceneError, match=r"broken\.h5"):
        resolve([str(tmp_path / "broken.h5")])


def test_wavelengths_and_variable_are_passed_on(tmp_path: Path) -> None:
    cubes = {"one": np.ones((3, 4, 5)), "two": np.full((3, 4, 5), 2.0)}
    scipy.io.savemat(tmp_path / "x.mat", cubes)
    tif(tmp_path / "x_labels.tif", np.full((3, 4), 3, np.uint8))
    (tmp_path / "w.csv").write_text("400\n500\n600\n700\n800\n")
    cube = str(tmp_path / "x.mat")
    with resolve([cube], reading=Reading("two", tmp_path / "w.csv")) as sources:
        scene = sources.scenes[0].scene
        assert scene.read()[0, 0, 0] == 2
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [400, 500, 600, 700, 800]


def test_scenes_close_with_the_sources_and_after_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hsi_ssl.scenes.scene import Scene

    closed: list[str] = []
    close = Scene.close

    def closing(scene: Scene) -> None:
        if not scene.name.endswith("_labels"):
            closed.append(scene.name)
        close(scene)

    monkeypatch.setattr(Scene, "close", closing)
    cube_and_labels(tmp_path, "a", [1, 2])
    cube_and_labels(tmp_path, "b", [1, 2])
    with resolve([str(tmp_path)]):
        assert not closed
    assert sorted(closed) == ["a", "b"]
    tif(tmp_path / "b_labels.tif", np.ones((2, 2), np.uint8))
    closed.clear()
    with pytest.raises(LabelError):
        resolve([str(tmp_path)])
    assert sorted(closed) == ["a", "b"]


# ---------------------------------------------------------------------------- labels of the user


def test_labels_go_to_scenes_in_the_users_order(tmp_path: Path) -> None:
    a, b = (cube_and_labels(tmp_path, name, [1]) for name in "ab")
    mine = [tif(tmp_path / f"map{i}.tif", np.full((6, 5), i, np.uint8)) for i in (4, 5)]
    with resolve([str(b), str(a)], labels=mine) as sources:
        assert names_of(sources) == ["a", "b"]
        assert [int(s.labels.max()) for s in sources.scenes if s.labels is not None] == [5, 4]
        assert sources.scenes[0].labels_paths == (mine[1],)
    with pytest.raises(LabelError, match=r"nothing tells which of 2 scenes .*map4"):
        resolve([str(b), str(a)], labels=mine[:1])


def test_labels_may_be_left_unread(tmp_path: Path) -> None:
    path = tif(tmp_path / "x.tif", np.ones((3, 4, 2), np.uint8))
    with resolve([str(path)], labelled=False) as sources:
        assert sources.scenes[0].labels is None


# ---------------------------------------------------------------------------- published maps


def test_published_maps_with_codes_of_their_own_get_the_right_names(
    real_data: Callable[[str], Path],
) -> None:
    folder = real_data("indian-pines-split")
    hears = Hears()
    with resolve(
        ["indian-pines"],
        train_labels=[folder / "IndianTR123_temp123.tif"],
        test_labels=[folder / "IndianTE123_temp123.tif"],
        watcher=hears,
    ) as sources:
        (one,) = sources.scenes
        assert one.labels is None
        assert one.train_labels is not None
        assert one.test_labels is not None
        assert np.count_nonzero(one.train_labels) == 695
        assert np.count_nonzero(one.test_labels) == 9671
        names = dict(zip(sources.label_set.codes.tolist(), sources.label_set.names, strict=True))
    assert len(names) == 16
    assert names[1] == "Corn-notill"
    assert names[14] == "Alfalfa"
    assert names[16] == "Oats"
    assert any("not those of the catalog" in sentence for sentence in hears.said)


def test_published_maps_come_in_pairs_and_fit(tmp_path: Path) -> None:
    cube = str(cube_and_labels(tmp_path, "a", [1, 2]))
    maps = [tif(tmp_path / f"{n}.tif", np.ones((6, 5), np.uint8)) for n in ("train", "test")]
    with pytest.raises(LabelError, match="together"):
        resolve([cube], train_labels=maps[:1])
    cubes = [cube, str(cube_and_labels(tmp_path, "b", [1, 2]))]
    with pytest.raises(LabelError, match="--train-labels: nothing tells which of 2 scenes"):
        resolve(cubes, train_labels=maps[:1], test_labels=maps)
    other = tif(tmp_path / "other.tif", np.ones((6, 4), np.uint8))
    with pytest.raises(LabelError, match="6 x 4"):
        resolve([cube], train_labels=[other], test_labels=maps[1:])


# ---------------------------------------------------------------------------- bad input


def test_no_labels_at_all(tmp_path: Path) -> None:
    path = tif(tmp_path / "x.tif", np.ones((3, 4, 2), np.uint8))
    with pytest.raises(LabelError, match=r"x_labels\.tif"):
        resolve([str(path)])
    tif(tmp_path / "x_labels.tif", np.zeros((3, 4), np.uint8))
    with pytest.raises(LabelError, match="not one pixel"):
        resolve([str(path)])


def test_two_names_for_one_code(real_data: Callable[[str], Path]) -> None:
    folder = real_data("enmap-potsdam").parent
    with pytest.raises(LabelError, match="code 1 is"):
        resolve(["salinas-a", "enmap-potsdam"], data_folder=folder)


def test_a_label_set_that_nobody_knows(tmp_path: Path) -> None:
    path = cube_and_labels(tmp_path, "a", [1, 2])
    with pytest.raises(CatalogError, match="--label-set"):
        resolve([str(path)], label_set="mineralogy")
    with pytest.raises(CatalogError, match="there are: land cover"):
        resolve(["indian-pines"], label_set="mineralogy")


def test_no_source() -> None:
    with pytest.raises(SceneNotFoundError, match="no source"):
        resolve([])


def test_labels_among_the_scenes_that_are_named_are_labels(tmp_path: Path, hears: Hears) -> None:
    cube, plane = tmp_path / "x.npy", tmp_path / "x_labels.npy"
    np.save(cube, np.random.default_rng(0).random((6, 7, 5)))
    np.save(plane, np.arange(42).reshape(6, 7) % 3)
    with resolve([str(cube), str(plane)], watcher=hears) as found:
        (one,) = found.scenes
        assert one.scene.path == cube
        assert one.labels_paths == (plane,)
    assert "left out, since they are no scenes: x_labels.npy (labels);" in hears.all


def test_a_header_and_its_data_are_one_scene(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).integers(1, 99, (6, 7, 5)).astype(np.uint8)
    cube.tofile(tmp_path / "x.img")
    (tmp_path / "x.hdr").write_text(
        "ENVI\nsamples = 7\nlines = 6\nbands = 5\ndata type = 1\ninterleave = bip\n"
    )
    np.save(tmp_path / "x_labels.npy", np.arange(42).reshape(6, 7) % 3)
    with resolve([str(tmp_path / "x.hdr"), str(tmp_path / "x.img")]) as found:
        assert [one.scene.path.name for one in found.scenes] == ["x.img"]
        assert found.scenes[0].labels is not None


def test_labels_beside_that_are_no_scenes_own_are_named(tmp_path: Path) -> None:
    for name in ("Szene 1", "Szene 2"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).random((6, 7, 5)))
    with pytest.raises(LabelError, match=r"labels\.tif or \.gpkg; give labels with --labels$"):
        resolve([str(tmp_path)])
    layer = write_layer(tmp_path / "labels.gpkg", [shapely.box(0, 0, 1, 1)])
    with pytest.raises(LabelError, match=rf"found labels\.gpkg; .* --labels {layer}$"):
        resolve([str(tmp_path / "Szene 1.npy")])


def test_labels_called_so_are_for_all_scenes_that_they_lie_on(tmp_path: Path, hears: Hears) -> None:
    cube = np.random.default_rng(0).integers(1, 99, (8, 8, 5)).astype(np.uint8)
    for name, left in (("a", 0), ("b", 40)):
        tif(tmp_path / f"{name}.tif", cube, transform=rasterio.Affine(5, 0, left, 0, -5, 40))
    boxes = [shapely.box(0, 0, 20, 40), shapely.box(40, 0, 60, 40)]
    layer = write_layer(tmp_path / "labels.gpkg", boxes, {"class": ["oak", "pine"]}, crs=None)
    with resolve([str(tmp_path)], watcher=hears) as found:
        planes = [one.labels for one in found.scenes]
        assert [0 if plane is None else np.count_nonzero(plane) for plane in planes] == [32, 32]
        assert found.label_set.names == ("oak", "pine")
    assert f"labels of all scenes: {layer}, which lies beside them" in hears.said
    with resolve([str(tmp_path / "b.tif")]) as found:  # also named alone
        plane = found.scenes[0].labels
        assert plane is not None
        assert np.unique(plane).tolist() == [0, 2]
    # One of two scenes has labels of its own: then they are all that there are.
    tif(tmp_path / "a_labels.tif", np.full((8, 8, 1), 7, np.uint8))
    with resolve([str(tmp_path)]) as found:
        assert found.scenes[1].labels is None


def test_labels_without_a_place_may_be_those_of_another_scene(tmp_path: Path) -> None:
    for name in ("a", "b"):
        tif(tmp_path / f"{name}.tif", np.ones((8, 8, 5), np.uint8))
    np.save(tmp_path / "labels.npy", np.ones((8, 8), np.uint8))
    with pytest.raises(LabelError, match=r"found labels\.npy; give labels with --labels"):
        resolve([str(tmp_path / "b.tif")])


def test_labels_that_are_one_of_several_arrays_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scene.mat"
    cube = np.random.default_rng(0).random((6, 7, 5))
    plane = np.arange(42).reshape(6, 7) % 3
    arrays = {"data": cube, "easting": np.ones((6, 7)), "gt": plane, "valid": np.ones((6, 7))}
    scipy.io.savemat(path, {"hsi": arrays})
    with pytest.raises(LabelError, match=rf"an array in it as --labels {path}:NAME"):
        resolve([str(path)])
    with pytest.raises(SceneError, match=r"several arrays .* hsi\.gt .*as --labels .*:NAME"):
        resolve([str(path)], labels=[path])
    with resolve([str(path)], labels=[Path(f"{path}:hsi.gt")]) as found:
        np.testing.assert_array_equal(found.scenes[0].labels, plane)
        assert found.scenes[0].labels_paths == (path,)
    with pytest.raises(SceneNotFoundError, match=r"holds no hsi\.none; it holds"):
        resolve([str(path)], labels=[Path(f"{path}:hsi.none")])
