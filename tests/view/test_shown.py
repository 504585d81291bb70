"""From maps and runs to scene, model and dataset, wherever the user stands; and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from hearing import Hears

from hsi_ssl.datasets.store import open_dataset
from hsi_ssl.errors import DatasetError, ModelError, SceneError, SceneNotFoundError
from hsi_ssl.inference.checkpoint import save_card
from hsi_ssl.inference.discovered import DiscoveredSlot, save_discovered
from hsi_ssl.labels.label_set import LabelClass
from hsi_ssl.maps.masks import write_mask
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.view.answers import Answers
from hsi_ssl.view.shown import shown


@pytest.fixture
def moved(project: Any, tmp_path: Path) -> Path:
    """The whole project, copied to another folder; the old one is not what is found."""
    found = tmp_path / "elsewhere"
    shutil.copytree(project.folder, found)
    return found


def without(path: Path, *tags: str) -> None:
    """Take tags off a raster."""
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(**dict.fromkeys(tags, ""))


def test_all_that_belongs_to_a_map_is_found(project: Any, hears: Hears) -> None:
    with shown([project.map], watcher=hears) as found:
        assert hears.warned == []
        assert found.classifier is not None
        assert found.dataset is not None
        (one,) = found.scenes
        assert one.scene.path.resolve() == project.scene.resolve()
        assert one.number == 0
        assert [name for name, _ in one.measures] == ["confidence", "entropy"]
        assert [c.code for c in found.classes] == [2, 7, 300]


def test_a_run_shows_what_it_learnt_from(project: Any) -> None:
    with shown([project.run]) as found:
        assert found.scenes[0].map is None
        answers = Answers(found)
        assert sum(answers.scene(0)["labels"].values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["m.tif", "m.img"])
def test_relative_names_are_found_from_any_folder(
    name: str, moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Classified by relative names in its folder, and viewed from another."""
    from hsi_ssl.maps.classify import classify
    from hsi_ssl.settings import ClassifySettings

    monkeypatch.chdir(moved)
    (moved / "maps").mkdir()
    classify(
        ClassifySettings(
            scenes=("flight.tif",),
            model=Path("runs/m2"),
            output=Path("maps") / name,
            confidence=True,
            device="cpu",
        )
    )
    monkeypatch.chdir(tmp_path)
    with shown([Path("elsewhere/maps") / name]) as found:
        assert [measure for measure, _ in found.scenes[0].measures] == ["confidence"]
        assert found.classifier is not None
        assert found.scenes[0].scene.path.resolve() == moved / "flight.tif"
        assert found.scenes[0].number == 0


def test_scene_and_model_that_are_named(project: Any, tmp_path: Path) -> None:
    alone = tmp_path / "alone.tif"
    shutil.copy(project.map, alone)
    without(alone, "SCENE", "MODEL", "MODEL_SHA256", "LABEL_SET", "SETTINGS")
    hears = Hears()
    with pytest.raises(SceneNotFoundError, match="--scene"):
        shown([alone], watcher=hears)
    assert "--model" in hears.warned[0]
    with shown([alone], scene=project.scene, model=project.run) as found:
        assert found.scenes[0].number == 0
        assert found.classifier is not None
        assert len(found.classes) == 3
    hears = Hears()
    with shown([alone], scene=project.scene, watcher=hears) as found:
        assert found.classifier is None
        told = Answers(found).pixel(0, 5, 5)
        assert told["probabilities"] is None
        assert told["neighbours"] == []
        assert len(told["spectrum"]) == 13
        # Names are lost with the legend, colours are in the palette.
        assert len(hears.warned) == 1


def test_without_legend_the_palette_tells(project: Any, tmp_path: Path) -> None:
    plane = np.array([[1, 2], [0, 2]], np.uint8)
    with rasterio.open(
        tmp_path / "m.tif", "w", driver="GTiff", height=2, width=2, count=1, dtype="uint8",
        transform=rasterio.Affine(1, 0, 5, 0, -1, 5),
    ) as raster:  # fmt: skip
        raster.write(plane, 1)
        raster.write_colormap(1, {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 16, 255)})
    np.save(tmp_path / "s.npy", np.ones((2, 2, 4)))
    with shown([tmp_path / "m.tif"], scene=tmp_path / "s.npy") as found:
        assert [(c.code, c.colour) for c in found.classes] == [(1, "#ff0000"), (2, "#0010ff")]
        about = Answers(found).scene(0)
        assert about["transform"] is about["crs"] is about["wavelengths_nm"] is None
        assert about["bands"][3] == {"band": 3, "nm": None}


def test_a_model_trained_anew_is_said(project: Any, moved: Path, hears: Hears) -> None:
    with rasterio.open(moved / "flight_classes.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(MODEL_SHA256="0" * 64)
    with shown([moved / "flight_classes.tif"], watcher=hears):
        assert "another model" in hears.warned[0]


def test_a_dataset_that_is_gone(
    moved: Path, project: Any, monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    text = (moved / "runs/m2/model.json").read_text()
    save_card(moved / "runs/m2", json.loads(text.replace(str(project.folder), "/nowhere")))
    (moved / "runs/dataset.h5").unlink()
    with pytest.raises(DatasetError, match="--scene"):
        shown([moved / "runs/m2"], watcher=hears)
    assert "no labels" in hears.warned[0]
    with shown([moved / "runs/m2"], scene=project.scene) as found:
        told = Answers(found).pixel(0, 5, 5)
        assert sum(told["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert told["neighbours"] == []


@pytest.mark.slow
def test_free_slots_and_what_was_discovered_in_them(project: Any, tmp_path: Path) -> None:
    run, threads = tmp_path / "free", torch.get_num_threads()
    torch.set_num_threads(1)
    train_m2(
        M2Settings(
            dataset=project.folder / "runs/dataset.h5", output=run, m1=None, latent=2, hidden=(8,),
            model="gm-dgm", free_slots=2, epochs=1, supervised_epochs=1, device="cpu",
        )
    )  # fmt: skip
    torch.set_num_threads(threads)
    with shown([run]) as found:
        assert found.columns == (2, 7, 300, None, None)
        assert found.classifier is not None
        group = DiscoveredSlot(4, LabelClass(301, "unknown-1", "#123456"))
        save_discovered(run, found.classifier.card, [group])
    with shown([run]) as found:
        assert found.columns == (2, 7, 300, None, 301)
        assert found.classes[-1] == group.label
        answers = Answers(found)
        assert answers.overview["labelled"] == 3
        assert len(answers.pixel(0, 5, 5)["probabilities"]) == 5
        assert answers.class_range(301)["quantiles"] is None


def test_several_maps_are_scenes_to_choose_from(project: Any, moved: Path) -> None:
    both = [project.map, moved / "flight_classes.tif"]
    with shown(both) as found:
        answers = Answers(found)
        names = [s["name"] for s in answers.overview["scenes"]]
        assert names == [
            f"{project.folder.name}/flight_classes.tif",
            "elsewhere/flight_classes.tif",
        ]
        assert answers.pixel(1, 9, 9) == answers.pixel(0, 9, 9)
    with pytest.raises(SceneError, match="2 things"):
        shown([project.map, project.run])
    with pytest.raises(SceneError, match="2 things"):
        shown(both, scene=project.scene)


@pytest.mark.slow
def test_a_mosaic_is_its_maps(project: Any, tmp_path: Path) -> None:
    rasterio.shutil.copy(project.map, tmp_path / "all.vrt", driver="VRT")
    with shown([tmp_path / "all.vrt"]) as found:
        (one,) = found.scenes
        assert one.map is not None
        assert one.map.path.resolve() == project.map.resolve()
        assert len(one.measures) == 2


def test_a_map_that_has_lost_its_legend_keeps_its_names(project: Any, tmp_path: Path) -> None:
    shutil.copy(project.map, tmp_path / "m.tif")
    with rasterio.open(tmp_path / "m.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.update_tags(CLASSES='{"2": "lime", "7": "clay", "300": "mud"}', MODEL="")
    with shown([tmp_path / "m.tif"], scene=project.scene) as found:
        assert [c.name for c in found.classes] == ["lime", "clay", "mud"]
        assert found.classes[0].colour == palette(project)[2]
        assert found.scenes[0].counts is None


def palette(project: Any) -> dict[int, str]:
    data = open_dataset(project.folder / "runs" / "dataset.h5")
    return {c.code: c.colour for c in data.label_set.classes}


def test_what_is_no_map_or_not_of_the_scene(project: Any, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"no class map.*14"):
        shown([project.scene])
    with pytest.raises(SceneError, match="no class map"):
        shown([project.folder / "flight_classes_confidence.tif"])
    with pytest.raises(SceneNotFoundError, match=r"nothing\.tif"):
        shown([tmp_path / "nothing.tif"])
    with pytest.raises(ModelError, match="no model in"):
        shown([tmp_path])
    np.save(tmp_path / "other.npy", np.ones((7, 8, 14)))
    with pytest.raises(SceneError, match=r"300 x 340 pixels.* 7 x 8"):
        shown([project.map], scene=tmp_path / "other.npy")
    with pytest.raises(ModelError, match="no label set rocks; it has labels"):
        shown([project.run], label_set="rocks")


def test_scenes_of_other_formats_answer_alike(project: Any, tmp_path: Path) -> None:
    """The same scene in HDF5 chunks and in ENVI's lines: tiles and spectra are the same."""
    with h5py.File(tmp_path / "flight.h5", "w") as file:
        file.create_dataset("cube", data=project.cube, chunks=(32, 32, 14), compression="gzip")
        file["cube"].attrs["Data_Ignore_Value"] = -1
    with rasterio.open(
        tmp_path / "flight.img", "w", driver="ENVI", height=300, width=340, count=14,
        dtype="int16", nodata=-1, interleave="bil", transform=rasterio.Affine(1, 0, 9, 0, -1, 9),
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(project.cube, -1, 0))
    with shown([project.map]) as usual:
        picture = Answers(usual).tile(0, "scene", 1, 1, 0, (9, 4, 1))
        pixel = Answers(usual).pixel(0, 200, 33)
    for name in ("flight.h5", "flight.img"):
        with shown([project.map], scene=tmp_path / name) as found:
            answers = Answers(found)
            if name == "flight.img":
                assert answers.tile(0, "scene", 1, 1, 0, (9, 4, 1)) == picture
            for key in ("spectrum", "probabilities", "map"):
                assert answers.pixel(0, 200, 33)[key] == pixel[key]


@pytest.mark.slow
def test_a_mask_is_shown_over_its_scene_and_asks_for_no_model(
    project: Any, tmp_path: Path, hears: Hears
) -> None:
    with open_scene(project.scene) as scene:
        codes = np.ones((scene.rows, scene.cols), np.uint8)
        codes[:, :5] = 2
        write_mask(tmp_path / "a_mask.tif", scene, codes)
    with shown([tmp_path / "a_mask.tif"], scene=project.scene, watcher=hears) as found:
        assert hears.warned == []
        assert [(c.code, c.name) for c in found.classes] == [
            (1, "look at"),
            (2, "shadow or background"),
            (3, "glint"),
            (4, "cloud"),
        ]
        counts = found.scenes[0].counts
        assert counts is not None
        assert counts[2] == 5 * scene.rows
