from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import torch
from hearing import Hears
from holding import held
from rasterio.transform import Affine

from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import (
    BandsError,
    ModelError,
    OutputError,
    SceneError,
    ScenesError,
    SettingsError,
)  # fmt: skip
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.novelty import Measure
from hsi_ssl.inference.surroundings import medians_on_grid
from hsi_ssl.maps.classify import classify
from hsi_ssl.maps.one_map import ClassifyResult, classify_scene, peak_memory_mb
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings, M2Settings
from hsi_ssl.training.m2_stage import train_m2

Cube = npt.NDArray[np.uint16]
Wavelengths = npt.NDArray[np.float64]
WriteScene = Callable[..., Path]
CODES = np.array([2, 7, 32])
TRUTH = np.tile(CODES.repeat(10), (40, 1))


def mapped(scene: Path, classifier: Classifier, output: Path, **settings: Any) -> ClassifyResult:
    with open_scene(scene) as opened:
        return classify_scene(
            opened, classifier, ClassifySettings(**settings), output, overwrite=True
        )


def read(path: Path) -> npt.NDArray[Any]:
    with rasterio.open(path) as raster:
        found: npt.NDArray[Any] = np.moveaxis(raster.read(), 0, -1)
        return found[..., 0] if raster.count == 1 else found


def test_the_map_shows_what_the_classifier_says(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    result = mapped(write_scene(cube, wavelengths), classifier, tmp_path / "m.tif")
    found = read(tmp_path / "m.tif")
    says = CODES[classifier.posterior(cube.reshape(-1, 12)).argmax(1)].reshape(40, 30)
    np.testing.assert_array_equal(found, says)
    assert (found == TRUTH).mean() > 0.9
    assert (result.pixels, result.classified) == (1200, 1200)
    assert result.counts == {0: 0} | {int(c): int((found == c).sum()) for c in CODES}
    assert result.pixels_per_second == pytest.approx(1200 / result.seconds)
    with rasterio.open(tmp_path / "m.tif") as raster, rasterio.open(tmp_path / "scene.tif") as own:
        assert (raster.crs, raster.transform) == (own.crs, own.transform)
        assert raster.tags()["SCENE"] == "scene.tif"
        assert raster.tags()["MODEL_SHA256"] == classifier.card["weights_sha256"]


@pytest.mark.parametrize(("window", "copies"), [(256, 1), (65_536, 1), (1024, 31)])
def test_a_map_with_the_spatial_prior_is_the_mean_field_of_the_whole_scene(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path, window: int, copies: int,
) -> None:  # fmt: skip
    """31 scenes on top of each other are more than one square of pixels and their neighbours."""
    values = np.tile(cube, (copies, 1, 1)).astype(np.float32)
    noise = np.random.default_rng(0).normal(size=values.shape) * 1.2 * values.std()
    values = np.maximum(values + noise, 1).astype(np.float32)
    values[5:9, 11:20] = np.nan
    scene = write_scene(values, wavelengths)
    mapped(scene, classifier, tmp_path / "alone.tif")
    mapped(scene, classifier, tmp_path / "m.tif", spatial=0.8, window=window, confidence=True)
    valid = np.isfinite(values).all(-1)
    p = np.zeros((*valid.shape, 3), np.float32)
    log_f = np.log(np.maximum(classifier.uncalibrated.posterior(values[valid]), 1e-12))
    p[valid] = np.exp(log_f)
    for _ in range(10):  # the plain way, on the grid itself
        edge = np.pad(p, ((1, 1), (1, 1), (0, 0)))
        around = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
        votes = np.sum([edge[i : i + len(p), j : j + 30] for i, j in around], axis=0)
        log_p = log_f + 0.8 * votes[valid]
        q = np.exp(log_p - log_p.max(1, keepdims=True))
        p[valid] = q / q.sum(1, keepdims=True)
    found, alone = read(tmp_path / "m.tif"), read(tmp_path / "alone.tif")
    np.testing.assert_array_equal(found, np.where(valid, CODES[p.argmax(-1)], 0))
    confidence = read(tmp_path / "m_confidence.tif")
    np.testing.assert_allclose(confidence[valid], p.max(-1)[valid], atol=1e-4)
    truth = np.tile(TRUTH, (copies, 1))
    assert (found == truth)[valid].mean() > (alone == truth)[valid].mean() + 0.005


def test_pixels_without_measurement_are_0(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    values = cube.astype(np.float32)
    values[0] = -9999
    values[1, :5, 3] = -9999
    values[2, 7] = 0
    values[3, 4, 11] = np.nan
    values[3, 5, 0] = np.inf
    invalid = np.zeros((40, 30), bool)
    invalid[0], invalid[1, :5], invalid[2, 7], invalid[3, 4:6] = True, True, True, True
    scene = write_scene(values, wavelengths, nodata=-9999)
    result = mapped(scene, classifier, tmp_path / "m.tif", confidence=True)
    np.testing.assert_array_equal(read(tmp_path / "m.tif") == 0, invalid)
    np.testing.assert_array_equal(np.isnan(read(tmp_path / "m_confidence.tif")), invalid)
    assert result.classified == 1200 - invalid.sum()


@pytest.mark.parametrize(
    "layout",
    [
        {"interleave": "pixel"},
        {"interleave": "band"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    ],
    ids=["pixel", "band", "tiles"],
)
def test_windows_do_not_show(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path, layout: dict[str, Any],
) -> None:  # fmt: skip
    large = np.tile(cube, (2, 3, 1))
    scene = write_scene(large, wavelengths, **layout)
    mapped(scene, classifier, tmp_path / "whole.tif", novelty=True)
    mapped(scene, classifier, tmp_path / "parts.tif", novelty=True, window=256)
    np.testing.assert_array_equal(read(tmp_path / "whole.tif"), read(tmp_path / "parts.tif"))
    np.testing.assert_allclose(
        read(tmp_path / "whole_novelty.tif"), read(tmp_path / "parts_novelty.tif"), 1e-4, 1e-3
    )


def test_layers_say_what_their_names_promise(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    flags = dict.fromkeys(("confidence", "entropy", "novelty", "probabilities"), True)
    mapped(write_scene(cube, wavelengths), classifier, tmp_path / "m.tif", **flags)
    p = read(tmp_path / "m_probabilities.tif")
    np.testing.assert_allclose(p.reshape(-1, 3), classifier.posterior(cube.reshape(-1, 12)), 1e-3)
    np.testing.assert_array_equal(read(tmp_path / "m.tif"), CODES[p.argmax(-1)])
    np.testing.assert_array_equal(read(tmp_path / "m_confidence.tif"), p.max(-1))
    entropy = -(p * np.log(p.clip(1e-30))).sum(-1)
    np.testing.assert_allclose(read(tmp_path / "m_entropy.tif"), entropy, atol=1e-5)
    novelty = classifier.novelty_score(cube.reshape(-1, 12), "classes", 1).reshape(40, 30)
    np.testing.assert_allclose(read(tmp_path / "m_novelty.tif"), novelty, rtol=1e-4, atol=1e-3)


def test_a_spectrum_like_no_other_is_novel(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    odd = cube.copy()
    odd[20, 15, ::2] *= 3
    mapped(write_scene(odd, wavelengths), classifier, tmp_path / "m.tif", novelty=True)
    novelty = read(tmp_path / "m_novelty.tif")
    assert novelty.argmax() == 20 * 30 + 15


@pytest.mark.parametrize("measure", ["classes", "likelihood"])
def test_what_no_class_explains_is_rejected(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path, measure: Measure,
) -> None:  # fmt: skip
    odd = cube.copy()
    odd[20:24, 12:16, ::2] *= 3
    odd[0, 0] = 0
    flags = {"reject": 0.01, "p_value": True, "probabilities": True, "novelty_by": measure}
    scene = write_scene(odd, wavelengths, nodata=0)
    result = mapped(scene, classifier, tmp_path / "m.tif", **flags)
    found, p = read(tmp_path / "m.tif"), read(tmp_path / "m_p_value.tif")
    kept = classifier.novelty_kept
    score = np.full((40, 30), np.nan, np.float32)
    told = classifier.novelty_score(odd.reshape(-1, 12)[1:], measure, kept.samples)
    score.ravel()[1:] = told
    around = medians_on_grid(score).ravel()[1:]
    # Batches of other sizes round scores in another way, and move ranks.

    def moved(nats: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
        return np.asarray(nats + share * (1 + np.abs(nats)), np.float32)

    low = kept.p_values(moved(told, 1e-4), moved(around, 1e-4), measure)
    high = kept.p_values(moved(told, -1e-4), moved(around, -1e-4), measure)
    assert (low <= p.ravel()[1:]).all()
    assert (p.ravel()[1:] <= high).all()
    assert np.mean(high - low) < 0.02
    assert (found[20:24, 12:16] == 33).all()
    assert found[0, 0] == 0
    assert np.isnan(p[0, 0])
    np.testing.assert_array_equal(found == 33, p <= 0.01)
    assert (found == 33).mean() < 0.06
    assert result.counts[33] == (found == 33).sum()
    assert read(tmp_path / "m_probabilities.tif").shape == (40, 30, 3)
    with rasterio.open(tmp_path / "m.tif") as raster:
        assert raster.nodata == 0
        assert raster.colormap(1)[33] == (0, 0, 0, 255)
    for suffix in (".qml", ".csv", ".tif.aux.xml"):
        text = (tmp_path / f"m{suffix}").read_text()
        assert "reject" in text
        assert "white mica" in text


@pytest.mark.slow
def test_a_patch_is_rejected_whole_whatever_the_windows_and_so_is_a_lone_pixel(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    """A grey patch with a line in which a detector shows rock."""
    kept = classifier.novelty_kept
    usual = cube.reshape(-1, 12)
    typical = usual[np.argsort(classifier.novelty_score(usual, "classes", 1))[len(usual) // 2]]
    rng = np.random.default_rng(0)
    odd = np.tile(cube, (2, 2, 1))
    grey = rng.normal(typical.mean(), 0.02 * typical.mean(), (14, 14, 12))
    odd[20:34, 16:30] = grey
    odd[20:34, 23] = typical
    odd[60, 45] = 3 * typical[::-1]
    odd[70:, 50:] = 0
    alone = kept.reference["classes"].p_alone
    told = alone(classifier.novelty_score(odd[20:34, 23], "classes", 1))
    assert (told > 0.2).all()  # by itself nothing is strange about it
    scene = write_scene(odd, wavelengths, nodata=0)
    flags = {"reject": 0.01, "p_value": True, "confidence": True}
    maps = []
    for window in (256, 1100, 65536):
        mapped(scene, classifier, tmp_path / f"{window}.tif", window=window, **flags)
        maps.append([read(tmp_path / f"{window}{s}.tif") for s in ("", "_p_value", "_confidence")])
    for one in maps[1:]:
        np.testing.assert_array_equal(one[0], maps[0][0])
        np.testing.assert_allclose(one[1], maps[0][1], atol=1e-6)
        np.testing.assert_allclose(one[2], maps[0][2], atol=1e-5)
    found, p, confidence = maps[0]
    assert (found[22:32, 18:28] == 33).all()
    assert found[60, 45] == 33
    np.testing.assert_array_equal(found == 33, p <= 0.01)
    assert (found[70:, 50:] == 0).all()
    assert np.isnan(p[70:, 50:]).all()
    mapped(scene, classifier, tmp_path / "plain.tif", confidence=True)
    np.testing.assert_allclose(read(tmp_path / "plain_confidence.tif"), confidence, atol=1e-5)


def test_a_level_that_nothing_can_reach_is_refused(
    classifier: Classifier, tiny_run: Path, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    scene = write_scene(cube, wavelengths)
    settings = ClassifySettings(
        scenes=(str(scene),), model=tiny_run, output=tmp_path / "m.tif", reject=0.001, device="cpu"
    )
    with pytest.raises(ModelError, match="nothing would be rejected"):
        classify(settings)
    assert not (tmp_path / "m.tif").exists()


def test_bands_are_matched_by_wavelength(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    mapped(write_scene(cube, wavelengths), classifier, tmp_path / "own.tif")
    more = np.insert(cube[..., ::-1], 4, 60_000, axis=2)
    scene = write_scene(more, np.insert(wavelengths[::-1], 4, 3000), name="more.tif")
    mapped(scene, classifier, tmp_path / "more_classes.tif")
    np.testing.assert_array_equal(read(tmp_path / "own.tif"), read(tmp_path / "more_classes.tif"))


def test_other_bands_are_refused_or_resampled(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    finer = np.linspace(990, 2510, 60)
    spectra = [np.interp(finer, wavelengths, s) for s in cube.reshape(-1, 12)]
    scene = write_scene(np.array(spectra, np.uint16).reshape(40, 30, 60), finer)
    with pytest.raises(BandsError, match="--resample"):
        mapped(scene, classifier, tmp_path / "maps" / "m.tif")
    assert not (tmp_path / "maps").exists()
    mapped(scene, classifier, tmp_path / "m.tif", resample=True)
    assert (read(tmp_path / "m.tif") == TRUTH).mean() > 0.9


def test_a_scene_that_breaks_off_leaves_the_old_map(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    large = np.tile(cube, (10, 1, 1))
    scene = write_scene(large, wavelengths, compress="deflate", blockysize=8)
    output = tmp_path / "maps" / "m.tif"
    mapped(scene, classifier, output)
    before = {p: p.read_bytes() for p in output.parent.iterdir()}
    third = scene.stat().st_size // 3
    with scene.open("r+b") as file:  # the strips in the middle are no longer what they were
        file.seek(third)
        file.write(bytes(third))
    with pytest.raises(SceneError, match="cut short or broken"):
        mapped(scene, classifier, output, window=600)
    assert {p: p.read_bytes() for p in output.parent.iterdir()} == before


def test_a_scene_without_a_valid_pixel_is_refused(
    classifier: Classifier, cube: Cube, wavelengths: Wavelengths,
    write_scene: WriteScene, tmp_path: Path,
) -> None:  # fmt: skip
    scene = write_scene(np.full(cube.shape, np.nan, np.float32), wavelengths)
    with pytest.raises(SceneError, match="has no valid pixel"):
        mapped(scene, classifier, tmp_path / "maps" / "m.tif")
    assert not (tmp_path / "maps").exists()


@pytest.mark.slow
@pytest.mark.parametrize("other", ["m.vrt", "m/b_classes.tif", "m/b_classes_confidence.tif"])
def test_what_another_run_writes_is_left_to_it(
    tiny_run: Path, cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene, tmp_path: Path,
    other: str,
) -> None:  # fmt: skip
    """Of a mosaic nothing is begun then; of several maps the others are made."""
    maps = tmp_path / "maps"
    place = {"transform": Affine(20.0, 0.0, 300_000.0, 0.0, -20.0, 7_400_000.0)}
    scenes = tuple(
        str(write_scene(cube, wavelengths, name=f"{name}.tif", **place)) for name in "ab"
    )
    settings = ClassifySettings(
        scenes=scenes, output=maps / "m.vrt", confidence=True, model=tiny_run, device="cpu"
    )
    kind = OutputError if other == "m.vrt" else ScenesError
    with held(maps / other), pytest.raises(kind, match="is being written by another run"):
        classify(settings)
    made = {path.name for path in maps.rglob("*.tif")} if maps.exists() else set()
    whole = {"a_classes.tif", "a_classes_confidence.tif"}
    assert made == (set() if other == "m.vrt" else whole)
    assert not list(maps.rglob("*.vrt"))


@pytest.mark.slow
def test_maps_of_one_name_in_two_formats_are_one_output(
    tiny_run: Path, cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene, tmp_path: Path
) -> None:
    scene = write_scene(cube, wavelengths)
    settings = ClassifySettings(
        scenes=(str(scene),), output=tmp_path / "m.img", model=tiny_run, device="cpu"
    )
    with held(tmp_path / "m.tif"), pytest.raises(OutputError, match=r"m\.tif is being written by"):
        classify(settings)


def test_what_a_map_is_made_of_is_never_replaced(
    tiny_run: Path, cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene, tmp_path: Path
) -> None:
    scene = write_scene(cube)
    table = tmp_path / "m.csv"
    table.write_text("\n".join(str(w) for w in wavelengths))
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for name in ("scene.tif", "m.tif"):
        settings = ClassifySettings(
            scenes=(str(scene),), model=tiny_run, output=tmp_path / name, wavelengths=table
        )
        with pytest.raises(OutputError, match="which it is made of"):
            classify(settings, overwrite=True)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_progress_reaches_the_end(
    tiny_run: Path,
    cube: Cube,
    wavelengths: Wavelengths,
    write_scene: WriteScene,
    tmp_path: Path,
    hears: Hears,
) -> None:
    scene = write_scene(cube, wavelengths)
    settings = ClassifySettings(
        scenes=(str(scene),), model=tiny_run, output=tmp_path / "m.tif", window=300
    )
    threads = torch.get_num_threads()
    classify(settings, watcher=hears)
    assert torch.get_num_threads() == threads
    assert {(what, total) for what, _, total in hears.steps} == {("classify scene", 1200)}
    done = [done for _, done, _ in hears.steps]
    assert len(done) >= 4
    assert done == sorted(set(done))
    assert done[-1] == 1200


def test_an_envi_map_is_the_same_map(
    tiny_run: Path, cube: Cube, wavelengths: Wavelengths, write_scene: WriteScene, tmp_path: Path
) -> None:
    scene = str(write_scene(cube, wavelengths))
    common = {"scenes": (scene,), "model": tiny_run, "device": "cpu", "confidence": True}
    (geotiff,) = classify(ClassifySettings(**common, output=tmp_path / "m.tif"))
    (envi,) = classify(ClassifySettings(**common, output=tmp_path / "maps", format="envi"))
    assert envi.map == tmp_path / "maps" / "scene_classes.img"
    assert envi.counts == geotiff.counts
    np.testing.assert_array_equal(read(envi.map), read(geotiff.map))
    with rasterio.open(envi.map) as one, rasterio.open(geotiff.map) as other:
        assert one.crs == other.crs
        np.testing.assert_allclose(one.transform, other.transform, rtol=1e-12)
    with pytest.raises(SettingsError, match=r"name it m\.img rather than m\.tif"):
        classify(ClassifySettings(**common, output=tmp_path / "m.tif", format="envi"))
    sheared = write_scene(cube, wavelengths, name="s.tif", transform=Affine(9, 5, 0, 0, -9, 0))
    with pytest.raises(OutputError, match="not at a right angle"):
        classify(
            ClassifySettings(**{**common, "scenes": (str(sheared),)}, output=tmp_path / "s.img")
        )
    assert not list(tmp_path.glob("s.*m*"))


def test_no_scene_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no scene to classify"):
        classify(ClassifySettings())
    with pytest.raises(ModelError, match="no model in"):
        classify(ClassifySettings(scenes=("x.tif",), model=tmp_path / "nowhere"))


@pytest.mark.slow
def test_peak_memory_is_of_this_process_alone() -> None:
    # Whoever starts a command may hold much more than it.
    ballast = np.ones(300 * 2**17)
    code = "from hsi_ssl.maps.one_map import peak_memory_mb as peak; import numpy as np;"
    code += "a = peak(); x = np.ones(2**24); print(a, peak())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = (float(word) for word in ran.stdout.split())
    assert 50 < before < peak_memory_mb() - 200
    assert 100 < after - before < 160
    assert ballast.all()


@pytest.mark.slow
def test_pixels_in_free_slots_are_0_on_the_map(
    tiny_dataset: Dataset, cube: npt.NDArray[np.uint16], write_scene: WriteScene,
    wavelengths: npt.NDArray[np.float64], tmp_path: Path,
) -> None:  # fmt: skip
    part = tiny_dataset.part.copy()
    part[(part == Part.TRAIN) & (tiny_dataset.label == 1)] = Part.POOL
    names = ("label", "scene", "pixel", "neighbours")
    dataset = write_dataset(
        tmp_path / "d.h5",
        spectra=tiny_dataset.spectra(),
        part=part,
        meta=tiny_dataset.meta,
        **{name: getattr(tiny_dataset, name) for name in names},
    )
    small = {"hidden": (32,), "latent": 2, "epochs": 10, "supervised_epochs": 8, "device": "cpu"}
    asked = {"m1": None, "free_slots": 2, "batch_labelled": 30, "batch_unlabelled": 100}
    run = tmp_path / "run"
    train_m2(M2Settings.model_validate({"dataset": dataset.path, "output": run, **small, **asked}))
    settings = ClassifySettings(
        scenes=(str(write_scene(cube, wavelengths)),), model=run, output=tmp_path / "map.tif",
        confidence=True, probabilities=True,
    )  # fmt: skip
    (result,) = classify(settings)
    with rasterio.open(tmp_path / "map.tif") as file:
        codes = file.read(1)
    # Columns 10-19 are the class without labels.
    assert np.mean(codes[:, 10:20] == 0) > 0.8
    assert np.mean(codes[:, :10] == 2) > 0.8
    assert result.in_free_slots == np.count_nonzero(codes == 0) == result.counts[0]
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:
        shares = file.read()
        assert file.descriptions == ("quartz", "white mica")
    assert np.mean(shares[:, :, 10:20].sum(0) < 0.5) > 0.8
    with rasterio.open(tmp_path / "map_confidence.tif") as file:
        assert np.isfinite(file.read(1)).all()
