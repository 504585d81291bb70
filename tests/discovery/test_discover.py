"""From a run with free slots to the mineral that nobody labelled, on a scene and on a dataset."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from typed import next_steps

from hsi_ssl.checksums import unsealed
from hsi_ssl.discovery.discover import Discovery, discover
from hsi_ssl.errors import ModelError, OutputError, SettingsError
from hsi_ssl.inference.discovered import load_discovered, save_discovered
from hsi_ssl.libraries.naming import name_spectra
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.maps.classify import classify
from hsi_ssl.reports.discovery import ALL_PIXELS, write_discovery
from hsi_ssl.settings import ClassifySettings, DiscoverSettings

pytestmark = pytest.mark.slow


def settings(project: Any, *scenes: Path, **changes: Any) -> DiscoverSettings:
    values = {
        "model": project.run(0),
        "scenes": tuple(map(str, scenes or (project.scene,))),
        "library": project.library,
        "device": "cpu",
        "window": 500,
        **changes,
    }
    return DiscoverSettings(**values)


@pytest.fixture(scope="module")
def found(project: Any) -> Discovery:
    return discover(settings(project, also=(project.run(1),)))


def test_the_mineral_that_nobody_labelled_is_found_and_named(
    found: Discovery, project: Any
) -> None:
    group = found.groups[0]
    assert group.label is not None
    assert (group.label.code, group.label.name) == (33, "unknown-1")
    assert group.label.colour not in found.classifier.label_set.colours
    plane = found.survey.scenes[0].plane
    assert (plane >= 0).tolist() == (project.there > 0).tolist()
    mine, true = plane == group.slot, project.there == 99
    assert (mine & true).sum() > 0.9 * (mine | true).sum()
    assert group.pixels == mine.sum()
    assert group.compactness > 0.7
    assert group.posterior > 0.7
    assert group.stability is not None
    assert group.stability > 0.8
    assert found.agreements[0].adjusted_rand > 0.8
    assert group.matches[0].material == "alunite"
    assert group.matches[1].material != "alunite"
    assert group.nearest is not None


def test_mean_and_spread_are_those_of_its_pixels(found: Discovery, project: Any) -> None:
    group = found.groups[0]
    with rasterio.open(project.scene) as raster:
        spectra = np.moveaxis(raster.read(), 0, -1)
    here = spectra[found.survey.scenes[0].plane == group.slot]
    assert group.mean == pytest.approx(here.mean(axis=0))
    assert group.deviation == pytest.approx(here.std(axis=0), rel=1e-6)
    measured = spectra[spectra.any(axis=-1)]
    assert found.survey.tally.overall == pytest.approx(measured.mean(axis=0))


def test_what_is_asked_of_a_group_decides(project: Any) -> None:
    strict = discover(settings(project, min_pixels=10_000))
    assert not strict.groups
    assert not strict.discovered
    assert "pixels 5" in strict.no_groups[0].why[0]
    assert "below 1e+04" in strict.no_groups[0].why[0]
    assert strict.no_groups[0].stability is None
    later = discover(settings(project, first_code=200))
    assert later.discovered[0].label.code == 200


def test_of_a_dataset(found: Discovery, project: Any) -> None:
    of_pixels = discover(settings(project, project.dataset))
    assert of_pixels.of_dataset
    assert of_pixels.groups[0].matches[0].material == "alunite"
    scene, sparse = found.survey.scenes[0].plane, of_pixels.survey.scenes[0].plane
    known = sparse >= 0
    assert 0 < known.sum()
    assert (scene[known] == sparse[known]).all()


def test_outputs(found: Discovery, project: Any, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    page = write_discovery(found, folder)
    html = page.read_text(encoding="utf-8")
    assert "unknown-1: like alunite" in html
    assert next_steps(page) == [
        f"hsi-ssl view {folder / 'scene_classes.tif'}",
        f"hsi-ssl classify SCENE --model {project.run(0)}",
    ]
    assert 'src="http' not in html
    assert html.count("<svg") == 2 * len(found.groups)  # its spectrum, and its shape
    group = found.groups[0]
    told = unsealed((folder / "groups.json").read_text(encoding="utf-8"))
    assert told["groups"][0]["code"] == 33
    assert told["groups"][0]["matches"][0]["material"] == "alunite"
    with (folder / "groups.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["name"] == "unknown-1"
    assert float(rows[0]["compactness"]) == pytest.approx(group.compactness, abs=1e-4)
    assert len(rows) == len(found.groups) + len(found.no_groups)
    means = open_library(folder / "spectra.csv")
    by_name = {s.name: s.reflectance for s in means.spectra}
    assert by_name["unknown-1"] == pytest.approx(group.mean, rel=1e-5)
    assert set(by_name) >= {ALL_PIXELS, *found.classifier.label_set.names}
    named, _ = name_spectra(means, open_library(project.library), background=ALL_PIXELS)
    again = next(n for n in named if n.name == "unknown-1").matches
    assert again[0].material == group.matches[0].material
    with pytest.raises(OutputError, match="exists already"):
        write_discovery(found, folder)


def test_the_map_and_classify_afterwards_show_the_same(
    found: Discovery, project: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(project.run(0), run)
    write_discovery(found, tmp_path / "out")
    with rasterio.open(tmp_path / "out/scene_classes.tif") as raster:
        own = raster.read(1)
        assert raster.crs.to_epsg() == 32719
        assert raster.transform.a == 5
    assert (own[project.there == 99] == 33).mean() > 0.9
    assert (own[0, :3] == 0).all()

    wanted = ClassifySettings(model=run, scenes=(str(project.scene),), device="cpu")
    before = classify(wanted.model_copy(update={"output": tmp_path / "before.tif"}))[0]
    assert 33 not in before.counts
    # What lies in free slots is nobody's class as long as nothing was discovered.
    assert before.counts[0] >= 3 + found.groups[0].pixels
    save_discovered(run, found.classifier.card, found.discovered)
    layers = {"output": tmp_path / "after.tif", "probabilities": True}
    after = classify(wanted.model_copy(update=layers))[0]
    with rasterio.open(after.map) as raster:
        assert (raster.read(1) == own).all()
    with rasterio.open(tmp_path / "after_probabilities.tif") as raster:
        assert raster.count == len(found.classes.label_set)
        assert raster.descriptions[-1] == found.classes.label_set.names[-1]


def test_runs_that_do_not_suit_are_refused(project: Any) -> None:
    with pytest.raises(ModelError, match=r"no free slots.*--model gm-dgm --free-slots"):
        discover(settings(project, model=project.plain))
    with pytest.raises(ModelError, match="no free slots"):
        discover(settings(project, also=(project.plain,)))
    with pytest.raises(SettingsError, match="nothing to look at"):
        discover(settings(project, scenes=()))
    with pytest.raises(SettingsError, match="one dataset alone"):
        discover(settings(project, project.dataset, project.scene))
    with pytest.raises(SettingsError, match="not above the model's own codes"):
        discover(settings(project, first_code=7))


def test_what_was_discovered_belongs_to_one_model(
    found: Discovery, project: Any, tmp_path: Path
) -> None:
    card = found.classifier.card
    assert load_discovered(tmp_path, card) == ()
    save_discovered(tmp_path, card, found.discovered)
    assert load_discovered(tmp_path, card) == found.discovered
    with pytest.raises(ModelError, match="made with an earlier model"):
        load_discovered(tmp_path, {**card, "weights_sha256": "0"})
    (tmp_path / "discovered.json").write_text("{")
    with pytest.raises(ModelError, match="is broken"):
        load_discovered(tmp_path, card)
