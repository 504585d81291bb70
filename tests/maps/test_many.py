"""Many scenes: records, failures, shards, processes; however maps are made, they are the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hearing import Hears
from rasterio.transform import Affine

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import (
    BandsError,
    DamagedSceneError,
    OutputError,
    SceneNotFoundError,
    ScenesError,
    SettingsError,
)
from hsi_ssl.inference.classifier import load_classifiers
from hsi_ssl.maps.classify import classify, classify_scenes
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings, PrepareSettings

Cube = npt.NDArray[np.uint16]
Wavelengths = npt.NDArray[np.float64]
WriteScene = Callable[..., Path]
Tree = dict[str, bytes]


@pytest.fixture
def flights(cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene, tmp_path: Path) -> Path:
    """A folder of three scenes in one CRS, side by side."""
    folder = tmp_path / "flights"
    folder.mkdir()
    for i, name in enumerate("abc"):
        place = Affine(20.0, 0.0, 300_000.0 + 600 * i, 0.0, -20.0, 7_400_000.0)
        scene = np.roll(cube, 7 * i, axis=1)
        write_scene(scene, wavelengths, name=f"flights/{name}.tif", transform=place)
    return folder


@pytest.fixture
def asked(tiny_run: Path, flights: Path, tmp_path: Path) -> Callable[..., ClassifySettings]:
    """Settings for the three scenes, with what is given."""

    def ask(output: str = "maps", **more: Any) -> ClassifySettings:
        usual = {"scenes": (str(flights),), "model": tiny_run, "device": "cpu", "confidence": True}
        return ClassifySettings(**{**usual, "output": tmp_path / output, **more})

    return ask


def tree(folder: Path) -> Tree:
    """All files of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_maps_do_not_tell_where_nor_by_whom_they_were_made(
    asked: Callable[..., ClassifySettings], tmp_path: Path
) -> None:
    classify(asked("one"))
    classify(asked("two/deep", shard="1/1", device="auto"))
    assert tree(tmp_path / "one") == tree(tmp_path / "two" / "deep")
    with rasterio.open(tmp_path / "one" / "a_classes.tif") as raster:
        tags = raster.tags()
    told = json.loads(tags["SETTINGS"])
    assert told["scenes"] == [str(tmp_path / "flights" / "a.tif")]
    assert not {"output", "workers", "shard", "scheduler"} & set(told)
    assert str(tmp_path / "one") not in json.dumps(tags)


def test_a_second_run_leaves_what_is_made_of_the_same(
    asked: Callable[..., ClassifySettings], tmp_path: Path, hears: Hears
) -> None:
    first = classify(asked())
    before = tree(tmp_path / "maps")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").iterdir()}
    second = classify(asked(), watcher=hears)
    assert [one.left for one in second] == [True, True, True]
    assert [one.counts for one in second] == [one.counts for one in first]
    assert f"left {tmp_path / 'maps' / 'b_classes.tif'} as it is" in hears.all
    assert tree(tmp_path / "maps") == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").iterdir()} == times
    again = classify(asked(), overwrite=True)
    assert not any(one.left for one in again)
    assert tree(tmp_path / "maps") == before


def test_one_map_that_is_missing_is_made_and_the_others_stay(
    asked: Callable[..., ClassifySettings], tmp_path: Path
) -> None:
    classify(asked())
    before = tree(tmp_path / "maps")
    for path in (tmp_path / "maps").glob("b_*"):
        path.unlink()
    assert [one.left for one in classify(asked())] == [True, False, True]
    assert tree(tmp_path / "maps") == before


@pytest.fixture(scope="module")
def made_before(
    tiny_run: Path, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with scenes in `flights` and their maps in `maps`; to be copied."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "flights").mkdir()
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0)
    for name in "ab":
        with rasterio.open(
            folder / "flights" / f"{name}.tif", "w", driver="GTiff", height=40, width=30, count=12,
            dtype="uint16", crs="EPSG:32719", transform=Affine(20, 0, 3e5, 0, -20, 7.4e6),
        ) as raster:  # fmt: skip
            raster.write(cube)
            for band, nm in enumerate(tiny_dataset.wavelengths_nm or (), 1):
                raster.update_tags(band, wavelength=f"{nm:.4f}", wavelength_units="nm")
    scenes = (str(folder / "flights"),)
    common: dict[str, Any] = {"model": tiny_run, "device": "cpu", "confidence": True}
    classify(ClassifySettings(scenes=scenes, output=folder / "maps", **common))
    return folder


def touched(folder: Path) -> None:
    os.utime(folder / "flights" / "b.tif", ns=(1, 1))


def other_numbers(folder: Path) -> None:
    with rasterio.open(folder / "flights" / "b.tif", "r+") as raster:
        raster.write(raster.read(1) + 1, 1)


def without_record(folder: Path) -> None:
    (folder / "maps" / "b_classes.record.json").unlink()


def broken_record(folder: Path) -> None:
    (folder / "maps" / "b_classes.record.json").write_text('{"made of": 3')


def empty_record(folder: Path) -> None:
    place = folder / "maps" / "b_classes.record.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "result": {}}))


def other_map(folder: Path) -> None:
    shutil.copy(folder / "maps" / "a_classes.tif", folder / "maps" / "b_classes.tif")


def no_layer(folder: Path) -> None:
    (folder / "maps" / "b_classes_confidence.tif").unlink()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (touched, "another scene: its time was another"),
        (other_numbers, "another scene: its"),
        (without_record, r"no record \(b_classes\.record\.json\) tells"),
        (broken_record, "cannot be read"),
        (empty_record, "cannot be read"),
        (other_map, r"b_classes\.tif is not as it was made"),
        (no_layer, r"b_classes_confidence\.tif is not as it was made"),
    ],
)
def test_a_map_of_something_else_is_refused_and_the_others_go_on(
    asked: Callable[..., ClassifySettings], made_before: Path, tmp_path: Path,
    change: Callable[[Path], None], why: str,
) -> None:  # fmt: skip
    folder = Path(shutil.copytree(made_before, tmp_path / "again"))
    change(folder)
    before = tree(folder)
    own = {"scenes": (str(folder / "flights"),), "output": folder / "maps"}
    with pytest.raises(ScenesError, match=rf"1 of 2 scenes failed.*\n.*b\.tif: .*{why}") as caught:
        classify(asked(**own))
    assert [(Path(one["map"]).name[0], one["left"]) for one in caught.value.results] == [
        ("a", True)
    ]
    assert tree(folder) == before


def test_another_file_beside_the_cube_is_another_scene(
    asked: Callable[..., ClassifySettings], tmp_path: Path
) -> None:
    """A mask that hides other pixels, whose header says the same."""
    path = tmp_path / "flights" / "a.tif"
    mask = np.ones((40, 30), bool)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as raster:
        raster.write_mask(mask)
    scene = (str(path),)
    classify(asked(scenes=scene))
    time = path.stat().st_mtime_ns
    mask[3, 4] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as raster:
        raster.write_mask(mask)
    os.utime(path, ns=(time, time))
    assert (tmp_path / "flights" / "a.tif.msk").is_file()
    with pytest.raises(OutputError, match="another scene: its files beside it were others"):
        classify(asked(scenes=scene))
    (again,) = classify(asked(scenes=scene), overwrite=True)
    assert not again.left
    (tmp_path / "flights" / "a.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    assert classify(asked(scenes=scene))[0].left  # as after looking at it with QGIS


def test_other_settings_and_models_are_named(
    asked: Callable[..., ClassifySettings], tiny_run: Path, tmp_path: Path
) -> None:
    scene = (str(tmp_path / "flights" / "a.tif"),)
    classify(asked(scenes=scene))
    with pytest.raises(OutputError, match=r"made with spatial = 0\.0, now 1\.5; pass --overwrite"):
        classify(asked(scenes=scene, spatial=1.5))
    run = shutil.copytree(tiny_run, tmp_path / "run")
    assert classify(asked(scenes=scene, model=run))[0].left  # the same wherever it lies
    card = json.loads((run / "model.json").read_text())
    card["checksums"] = None
    card["label_sets"][0]["temperature"] = {"classifier": 3.0, "bayes": 3.0}
    (run / "model.json").write_text(json.dumps(card))
    with pytest.raises(OutputError, match="another model: its card was another"):
        classify(asked(scenes=scene, model=run))


def test_what_lies_in_the_way_of_a_map_is_no_map(
    asked: Callable[..., ClassifySettings], tmp_path: Path
) -> None:
    (tmp_path / "maps" / "b_classes.tif").mkdir(parents=True)
    with pytest.raises(ScenesError, match="is a folder where a file is to be written"):
        classify(asked())


def test_scenes_that_fail_are_told_at_the_end_with_their_reasons(
    asked: Callable[..., ClassifySettings], flights: Path, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    write_scene(cube, wavelengths + 9, name="flights/aa.tif")
    whole = (flights / "b.tif").read_bytes()
    (flights / "b.tif").write_bytes(whole[: len(whole) // 2])
    sources = [str(flights / f"{name}.tif") for name in ("c", "b", "aa", "a")]
    with pytest.raises(ScenesError) as caught:
        classify(asked(scenes=(*sources, "nowhere.tif")))
    names = [Path(name).name for name, _ in caught.value.failed]
    assert names == ["nowhere.tif", "aa.tif", "b.tif"]
    reasons = dict(zip(names, (why for _, why in caught.value.failed), strict=True))
    assert "there is no file or folder nowhere.tif" in reasons["nowhere.tif"]
    assert "has other bands than the model" in reasons["aa.tif"]
    assert "3 of 5 scenes failed; the other maps are there" in str(caught.value)
    assert {path.name for path in (tmp_path / "maps").glob("*_classes.tif")} == {
        "a_classes.tif", "c_classes.tif",
    }  # fmt: skip
    assert not list((tmp_path / "maps").glob("b*")) + list((tmp_path / "maps").glob("aa*"))


def test_a_damaged_cube_in_a_folder_fails_and_what_is_no_cube_is_left_out(
    asked: Callable[..., ClassifySettings], flights: Path, hears: Hears
) -> None:
    (flights / "notes.h5").write_text("none of HDF5's", encoding="ascii")
    with h5py.File(flights / "cut.h5", "w") as file:
        file["hsimage/data"] = np.ones((20, 20, 12), np.uint16)
    whole = (flights / "cut.h5").read_bytes()
    (flights / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ScenesError, match=r"cut\.h5: is cut short.* or take it out") as caught:
        classify(asked(), watcher=hears)
    assert [Path(name).name for name, _ in caught.value.failed] == ["cut.h5"]
    assert any("left out" in one and "notes.h5" in one for one in hears.warned)
    with pytest.raises(DamagedSceneError, match=r"cut\.h5 is cut short"):
        prepare(PrepareSettings(sources=(str(flights),)))


def test_one_scene_alone_fails_as_itself(
    asked: Callable[..., ClassifySettings], cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    other = write_scene(cube, wavelengths + 9, name="other.tif")
    with pytest.raises(BandsError, match=r"other\.tif has other bands"):
        classify(asked(scenes=(str(other),)))
    with pytest.raises(SceneNotFoundError, match=r"nowhere\.tif"):
        classify(asked(scenes=("nowhere.tif",)))
    assert not (tmp_path / "maps").exists()


def test_what_holds_for_all_is_said_once(
    asked: Callable[..., ClassifySettings], hears: Hears, tmp_path: Path
) -> None:
    classify(asked(spatial="learnt"), watcher=hears)
    assert sum("spatial prior of strength" in one for one in hears.said) == 1
    assert ("scenes", 3, 3) in hears.steps


def test_shards_together_make_what_one_run_makes(
    asked: Callable[..., ClassifySettings], tmp_path: Path, hears: Hears
) -> None:
    classify(asked("one"))
    of_each = [classify(asked("parts", shard=f"{i}/4"), watcher=hears) for i in (3, 1, 4, 2)]
    assert [len(some) for some in of_each] == [1, 1, 0, 1]
    assert "shard 4 of 4: 0 of 3 scenes" in hears.said
    assert tree(tmp_path / "parts") == tree(tmp_path / "one")
    assert all(one.left for one in classify(asked("parts")))


@pytest.mark.parametrize("shard", ["0/3", "4/3", "3", "1/", "a/b", "-1/2", "1/0", "1.5/2"])
def test_shards_that_are_none_are_refused(
    asked: Callable[..., ClassifySettings], shard: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="expected a shard such as 1/3, 2/3 or 3/3, counted"):
        classify(asked(shard=shard))
    assert not (tmp_path / "maps").exists()


def test_a_mosaic_is_made_after_its_shards(
    asked: Callable[..., ClassifySettings], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=r"a shard knows only its own maps"):
        classify(asked("all.vrt", shard="1/2"))
    for i in (1, 2):
        classify(asked("all", shard=f"{i}/2"))
    made = classify(asked("all.vrt"))
    assert [one.left for one in made] == [True, True, True]
    assert {one.mosaic for one in made} == {tmp_path / "all.vrt"}
    before = tree(tmp_path)
    classify(asked("all.vrt"))
    assert tree(tmp_path) == before
    shutil.rmtree(tmp_path / "all")
    classify(asked("all", spatial=1.0))
    with pytest.raises(OutputError, match=r"all\.vrt exists already and was made with"):
        classify(asked("all.vrt", spatial=1.0))
    (tmp_path / "all.record.json").unlink()
    with pytest.raises(OutputError, match=r"all\.vrt exists already"):
        classify(asked("all.vrt", spatial=1.0))


def test_maps_that_are_made_anew_take_an_older_mosaic_of_them_away(
    asked: Callable[..., ClassifySettings], tmp_path: Path, hears: Hears
) -> None:
    classify(asked("all.vrt"))
    classify(asked("all"))  # all are left, and so is it
    assert (tmp_path / "all.vrt").is_file()
    classify(asked("all", spatial=1.0), overwrite=True, watcher=hears)
    assert f"{tmp_path / 'all.vrt'} is taken away" in hears.all
    assert sorted(path.name for path in tmp_path.glob("all*")) == ["all"]
    foreign = tmp_path / "all.vrt"
    foreign.write_text("somebody else's")
    classify(asked("all"), overwrite=True)
    assert foreign.read_text() == "somebody else's"


def test_masks_and_areas_are_for_the_scenes_that_they_mark(
    asked: Callable[..., ClassifySettings], flights: Path, tmp_path: Path, hears: Hears
) -> None:
    masks = []
    for name in "ac":
        with rasterio.open(flights / f"{name}.tif") as scene:
            place = {"crs": scene.crs, "transform": scene.transform}
        mask = np.zeros((1, 40, 30), np.uint8)
        mask[:, :, : 5 + ord(name) - ord("a")] = 1
        path = tmp_path / f"{name}_mask.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=40, width=30, count=1, dtype="uint8", **place
        ) as raster:
            raster.write(mask)
        masks.append(path)
    made = classify(asked(mask=masks), watcher=hears)
    assert [(one.map.name[0], one.masked) for one in made] == [("a", 1000), ("c", 920)]
    assert "b.tif: no mask says to look at anything in it" in hears.all
    assert [one.left for one in classify(asked(mask=masks))] == [True, True]
    inside = classify(asked("inside", area=masks[0]), watcher=hears)
    assert [(one.map.name[0], one.classified) for one in inside] == [("a", 200)]


def test_no_scene_stays_open(
    asked: Callable[..., ClassifySettings], flights: Path, tmp_path: Path
) -> None:
    """However many there are: what is open while one is mapped does not grow with the others."""
    for i in range(60):
        shutil.copy(flights / "a.tif", flights / f"more{i}.tif")
    most: list[int] = []

    class Counts(Hears):
        def progress(self, what: str, done: float, total: float) -> None:
            most.append(len(os.listdir("/proc/self/fd")))

    before = len(os.listdir("/proc/self/fd"))
    with rasterio.open(flights / "a.tif") as scene:
        profile = {"crs": scene.crs, "transform": scene.transform, "dtype": "uint8"}
    area = tmp_path / "area.tif"
    with rasterio.open(
        area, "w", driver="GTiff", height=40, width=30, count=1, **profile
    ) as raster:
        raster.write(np.ones((1, 40, 30), np.uint8))
    settings = asked(shard="1/21", area=area)  # so that each is looked at
    assert len(classify(settings, watcher=Counts())) == 3
    assert max(most) < before + 15


def test_open_scenes_are_of_this_process(
    asked: Callable[..., ClassifySettings], tiny_run: Path, flights: Path
) -> None:
    classifiers = load_classifiers(tiny_run, "cpu")
    with open_scene(flights / "a.tif") as a, open_scene(flights / "b.tif") as b:
        made = classify_scenes([b, a], classifiers, asked(scenes=()))
        assert [one.map.name for one in made] == ["b_classes.tif", "a_classes.tif"]
        with pytest.raises(SettingsError, match="give files, not open scenes"):
            classify_scenes([a], classifiers, asked(scenes=(), workers=2))


@pytest.mark.slow
def test_processes_make_the_same_maps_and_report_failures(
    asked: Callable[..., ClassifySettings], flights: Path, tmp_path: Path, hears: Hears,
    cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_scene(cube, wavelengths + 9, name="flights/bad.tif")
    relative = {"scenes": ("flights",), "spatial": "learnt"}
    with pytest.raises(ScenesError, match=r"1 of 4 scenes failed"):
        classify(asked("one", **relative))
    with pytest.raises(ScenesError, match=r"1 of 4 scenes failed.*\n.*flights/bad\.tif: ") as found:
        classify(asked("two", workers=2, **relative), watcher=hears)
    assert len(found.value.results) == 3
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert sum("spatial prior of strength" in one for one in hears.said) == 1
