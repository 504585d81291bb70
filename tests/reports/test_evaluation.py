from __future__ import annotations

import csv
import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import sklearn.metrics as sk
from rasterio.transform import Affine
from typed import next_steps

from hsi_ssl.checksums import unsealed
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.describing.telling import describe
from hsi_ssl.errors import DatasetError, LabelError, ModelError, OutputError, SceneNotFoundError
from hsi_ssl.files import fingerprint
from hsi_ssl.inference.checkpoint import read_card
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.discovered import map_classes
from hsi_ssl.labels.label_set import red_green_blue
from hsi_ssl.maps.classify import classify
from hsi_ssl.reports.areas import estimated_areas
from hsi_ssl.reports.evaluation import Evaluation, evaluate, with_maps
from hsi_ssl.reports.evaluation_figures import training_figure, worth_of_unlabelled
from hsi_ssl.reports.evaluation_page import largest_confusions, write_evaluation_report
from hsi_ssl.reports.model_maps import glance
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings

KEYS = {"oa", "aa", "kappa", "macro_f1", "balanced_accuracy", "ece", "n_test", "classes"}
CLASS_KEYS = {"code", "name", "train", "test", "precision", "recall", "f1"}


@pytest.fixture(scope="module")
def evaluation(run: Path, tiny_dataset: Dataset) -> Evaluation:
    return evaluate(run, tiny_dataset, device="cpu")


def changed(
    dataset: Dataset, path: Path, *, part: Any = None, unit: Any = None, **meta: Any
) -> Dataset:
    names = ("label", "part", "scene", "pixel", "neighbours", "unit")
    arrays = {name: getattr(dataset, name) for name in names}
    arrays |= {k: v for k, v in (("part", part), ("unit", unit)) if v is not None}
    return write_dataset(path, spectra=dataset.spectra(), meta={**dataset.meta, **meta}, **arrays)


def test_scores_are_those_of_the_test_pixels(
    evaluation: Evaluation, run: Path, tiny_dataset: Dataset
) -> None:
    rows = tiny_dataset.rows(Part.TEST)
    predicted = load_classifier(run, "cpu").posterior(tiny_dataset.spectra(rows)).argmax(1)
    truth = tiny_dataset.label[rows]
    found = evaluation.to_json()
    assert found["n"] == found["n_test"] == len(rows)
    assert found["oa"] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert found["confusion"] == sk.confusion_matrix(truth, predicted).tolist()
    assert KEYS <= found.keys()
    assert all(CLASS_KEYS <= c.keys() for c in found["classes"])
    assert [c["code"] for c in found["classes"]] == [2, 7, 32]
    assert found["oa"] > 0.9
    assert set(found["by_rule"]) == {"classifier", "bayes"}
    assert found["by_rule"][found["rule"]]["oa"] == found["oa"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_intervals_are_by_units_of_the_dataset(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    def found(unit: Any, kind: str) -> dict[str, Any]:
        path = tmp_path / f"{kind}.h5"
        other = changed(tiny_dataset, path, unit=unit.astype(np.int32), unit_kind=kind)
        scored = evaluate(run, other, device="cpu")
        assert scored.intervals is not None
        assert any("too few to tell" in w for w in scored.warnings) == (kind == "block")
        return scored.to_json()

    lone = found(np.where(tiny_dataset.label < 0, -1, np.arange(len(tiny_dataset))), "pixel")
    rows, cols = tiny_dataset.pixel.T
    in_blocks = (rows - 28) // 3 * 3 + cols // 10 + 100  # test pixels begin in row 28
    blocks = found(np.where(tiny_dataset.label < 0, -1, in_blocks), "block")
    assert blocks["intervals"]["units"] == 6
    assert lone["intervals"]["units"] == lone["n"]
    for score in (lone, blocks):
        low, high = score["intervals"]["oa"]
        assert low <= score["oa"] <= high
    assert blocks["intervals"]["oa"][0] < lone["intervals"]["oa"][0]
    assert [c["units"] for c in blocks["classes"]] == [2, 2, 2]


def test_both_rules_are_scored(evaluation: Evaluation, run: Path, tiny_dataset: Dataset) -> None:
    rows = tiny_dataset.rows(Part.TEST)
    bayes = load_classifier(run, "cpu", "bayes").posterior(tiny_dataset.spectra(rows))
    expected = sk.accuracy_score(tiny_dataset.label[rows], bayes.argmax(1))
    assert evaluation.by_rule["bayes"].oa == pytest.approx(expected)


def test_another_part_can_be_scored(run: Path, tiny_dataset: Dataset) -> None:
    found = evaluate(run, tiny_dataset, part="validation", device="cpu").to_json()
    assert found["part"] == "validation"
    assert found["n"] == len(tiny_dataset.rows(Part.VALIDATION))
    assert found["n_test"] == len(tiny_dataset.rows(Part.TEST))


def test_largest_confusions(evaluation: Evaluation) -> None:
    confusion = evaluation.scores.confusion.copy()
    np.fill_diagonal(confusion, 0)
    listed = largest_confusions(evaluation)
    assert sum(c.count for c in listed) == confusion.sum()
    assert [c.count for c in listed] == sorted((c.count for c in listed), reverse=True)


def test_report_files_agree_with_the_scores(evaluation: Evaluation, tmp_path: Path) -> None:
    page = write_evaluation_report(evaluation, tmp_path / "report")
    written = {p.name for p in (tmp_path / "report").iterdir()}
    tables = {"scores.csv", "per_class.csv", "confusion.csv"}
    assert written == {"index.html", "metrics.json", *tables}
    assert unsealed((tmp_path / "report/metrics.json").read_text()) == evaluation.to_json()
    with (tmp_path / "report/confusion.csv").open() as file:
        head, *rows = csv.reader(file)
    assert head == ["true code", "true name", "predicted 2", "predicted 7", "predicted 32"]
    np.testing.assert_array_equal(
        np.array([row[2:] for row in rows], int), evaluation.scores.confusion
    )
    with (tmp_path / "report/per_class.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["recall"]) for row in table] == pytest.approx(evaluation.scores.recall)
    assert evaluation.intervals is not None
    lows = [float(row["f1_low"]) for row in table]
    assert lows == pytest.approx(evaluation.intervals.found["f1"][:, 0])
    with (tmp_path / "report/scores.csv").open() as file:
        single = {row["score"]: row for row in csv.DictReader(file)}
    assert float(single["oa"]["value"]) == pytest.approx(evaluation.scores.oa)
    assert float(single["oa"]["high"]) == pytest.approx(evaluation.intervals.found["oa"][1])
    assert single["ece"]["low"] == ""
    html = page.read_text()
    for name in ("quartz", "kaolinite", "white mica"):
        assert name in html
    assert "label set minerals, " not in html  # said of one among several
    run = evaluation.run
    scene = next_steps(page)[-1].split()[2]
    assert next_steps(page) == [f"hsi-ssl classify {scene} --model {run}"]
    assert "mathdefault" not in html
    assert "hsi-ssl train-m2" in html
    assert not re.search(r"\b1 ([a-z]+ )?pixels", re.sub("<[^>]*>", "", html))
    with pytest.raises(OutputError, match="--overwrite"):
        write_evaluation_report(evaluation, tmp_path / "report")


def test_a_map_picture_is_shown(evaluation: Evaluation, run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "scene_classes.png"
    shutil.copyfile(run / "figures/generated.png", picture)
    page = write_evaluation_report(evaluation, tmp_path / "report", maps=[picture])
    assert 'alt="class map scene_classes"' in page.read_text()


@pytest.fixture(scope="module")
def scene(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene that the tiny dataset was made of, as a file."""
    path = tmp_path_factory.mktemp("scenes") / "scene.npy"
    np.save(path, tiny_dataset.spectra().reshape(40, 30, 12))
    return path


def test_the_scene_is_shown_with_the_models_map(
    run: Path, tiny_dataset: Dataset, scene: Path, tmp_path: Path
) -> None:
    card = {**tiny_dataset.meta["sources"][0], "path": str(scene), "labels_paths": []}
    there = {**card, "fingerprint": fingerprint(scene)}
    dataset = changed(tiny_dataset, tmp_path / "a.h5", sources=[there])
    found = evaluate(run, dataset, device="cpu")
    html = write_evaluation_report(found, tmp_path / "report").read_text()
    # The file itself has no wavelengths.
    assert re.search(r'alt="tiny: (true|false) colours: [0-9, ]+ nm', html)
    for caption in ("map by this model", "labels", "what each pixel is used for"):
        assert f'alt="tiny: {caption}' in html
    assert found.classifier is not None
    with open_scene(scene) as opened:
        classes = map_classes(found.label_set)
        picture = glance(found.classifier, classes, opened, 1)[1]
        _, small = glance(found.classifier, classes, opened, 3)
    slots = found.classifier.posterior(tiny_dataset.spectra()).argmax(1).reshape(40, 30)
    colours = np.array([red_green_blue(c) for c in found.label_set.colours])
    np.testing.assert_array_equal(picture[..., :3], colours[slots])
    np.testing.assert_array_equal(small, picture[::3, ::3])
    gone = changed(tiny_dataset, tmp_path / "b.h5", sources=[card])  # the file is another now
    html = write_evaluation_report(evaluate(run, gone, device="cpu"), tmp_path / "b").read_text()
    assert "map by this model" not in html
    assert "no picture and no map of it" in html


def test_areas_of_a_map(run: Path, tiny_dataset: Dataset, scene: Path, tmp_path: Path) -> None:
    settings = ClassifySettings(scenes=(str(scene),), model=run, output=tmp_path / "map.tif")
    made = classify(settings)[0]
    (found,) = with_maps([evaluate(run, tiny_dataset, device="cpu")], [made.map])
    page = write_evaluation_report(found, tmp_path / "report")
    areas = json.loads((tmp_path / "report/metrics.json").read_text())["areas"][0]
    assert areas["unit"] == "pixel"
    assert [c["mapped"] for c in areas["classes"]] == [made.counts[code] for code in (2, 7, 32)]
    expected = estimated_areas(np.array([made.counts[c] for c in (2, 7, 32)]),
                               found.scores.confusion)  # fmt: skip
    assert [c["estimated"] for c in areas["classes"]] == pytest.approx(expected.estimated)
    assert "Areas on map.tif" in page.read_text()
    with (tmp_path / "report/areas.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["estimated"]) for row in table] == pytest.approx(expected.estimated)
    assert found.warnings == evaluate(run, tiny_dataset, device="cpu").warnings
    # The model's own map of the same scene has the model's own mistakes.
    assert areas["confusion"] == found.to_json()["confusion"]
    assert areas["accuracy"]["oa"] == found.scores.oa
    assert areas["intervals"] == found.to_json()["intervals"]


def test_another_product_has_its_own_accuracies(
    evaluation: Evaluation, tiny_dataset: Dataset, write_map: Any, tmp_path: Path, hears: Any
) -> None:
    true = np.repeat(np.array([2, 7, 32], np.uint8), 10)[None].repeat(40, 0)
    turned = np.roll(true, 10, axis=1)  # wrong in every pixel
    bare = {"crs": None, "transform": None}
    right, wrong = write_map("right.tif", true, **bare), write_map("wrong.tif", turned, **bare)
    half = np.where(np.arange(40)[:, None] < 31, true, 0).astype(np.uint8)
    (found,) = with_maps([evaluation], [right, wrong, write_map("half.tif", half, **bare)])
    assert [m.scores.oa for m in found.maps] == [1, 0, 1]
    assert [m.areas.oa for m in found.maps] == [1, 0, 1]
    assert [m.areas.users.tolist() for m in found.maps] == [[1, 1, 1], [0, 0, 0], [1, 1, 1]]
    assert found.maps[2].not_classified == 90
    assert any("90 of 180 test pixels (50 %) are not classified on half.tif" in w
               for w in found.warnings)  # fmt: skip
    assert found.scores is evaluation.scores  # the model's own stay what they are
    write_evaluation_report(found, tmp_path / "report")
    with (tmp_path / "report/areas.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["users_accuracy"] for row in table] == 3 * ["1.0"] + 3 * ["0.0"] + 3 * ["1.0"]
    names = {2: "quartz", 7: "calcite", 32: "white mica"}
    with pytest.raises(LabelError, match=r"calls code 7 calcite, .* calls it kaolinite"):
        with_maps([evaluation], [write_map("other.tif", true, names, **bare)])
    moved = {2: "kaolinite", 7: "white mica", 32: "quartz"}
    (found,) = with_maps([evaluation], [write_map("m.tif", turned, moved, **bare)], watcher=hears)
    assert found.maps[0].scores.oa == 1
    assert "matched by name" in hears.all


def test_maps_of_other_label_sets_are_left_out_and_named(
    evaluation: Evaluation, write_map: Any
) -> None:
    true = np.repeat(np.array([2, 7, 32], np.uint8), 10)[None].repeat(40, 0)
    rocks = write_map("rocks.tif", true, None, {"LABEL_SET": "rocks"}, crs=None, transform=None)
    (found,) = with_maps([evaluation], [rocks])
    assert not found.maps
    assert found.warnings[-1] == (
        "rocks.tif is left out: it is a map of the label set rocks, the scores are of minerals"
    )


def test_hectares_and_foreign_maps(
    evaluation: Evaluation, tmp_path: Path, tiny_dataset: Dataset
) -> None:
    codes = np.tile(np.array([2, 7, 32, 0], np.uint8), (40, 8))[:, :30]

    def written(name: str, epsg: int, **tags: str) -> Path:
        place = {"crs": f"EPSG:{epsg}", "transform": Affine(30, 0, 4e5, 0, -30, 5e6)}
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", width=30, height=40, count=1, dtype="uint8",
            **place,
        ) as raster:  # fmt: skip
            raster.write(codes, 1)
            raster.update_tags(**tags)
        return tmp_path / name

    metres = written("m.tif", 32633, MODEL_SHA256="0", SETTINGS='{"spatial": 1.5}')
    (found,) = with_maps([evaluation], [metres, written("d.tif", 4326)])
    assert [one.hectares for one in found.maps] == [pytest.approx(0.09), None]
    assert found.maps[0].to_json()["classes"][0]["mapped"] == pytest.approx(320 * 0.09)
    other = written("o.tif", 32633, LABEL_SET="rocks")
    assert with_maps([evaluation], [other])[0].maps == ()
    codes[:] = 99
    with pytest.raises(LabelError, match="99"):
        with_maps([evaluation], [written("n.tif", 32633)])
    with pytest.raises(SceneNotFoundError, match=r"missing\.tif"):
        with_maps([evaluation], [tmp_path / "missing.tif"])


def test_names_cannot_break_the_page(evaluation: Evaluation, tmp_path: Path) -> None:
    card = {**evaluation.card, "dataset": {**evaluation.card["dataset"], "title": "<script>x"}}
    fields = {n: getattr(evaluation, n) for n in Evaluation.__dataclass_fields__}
    page = write_evaluation_report(Evaluation(**{**fields, "card": card}), tmp_path / "report")
    assert "<script" not in page.read_text()


def test_other_bands_are_refused(run: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    other = changed(tiny_dataset, tmp_path / "a.h5", bands=14)
    with pytest.raises(ModelError, match=r"12 of 12 bands.*12 of 14"):
        evaluate(run, other, device="cpu")
    shifted = (np.array(tiny_dataset.meta["wavelengths_nm"]) + 30).tolist()
    other = changed(tiny_dataset, tmp_path / "b.h5", wavelengths_nm=shifted)
    with pytest.raises(ModelError, match="differ by up to 30 nm"):
        evaluate(run, other, device="cpu")


def test_other_classes_are_refused(run: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    card = json.loads(json.dumps(tiny_dataset.meta["label_set"]))
    card["classes"][2]["code"] = 33
    other = changed(tiny_dataset, tmp_path / "a.h5", label_set=card)
    with pytest.raises(ModelError, match=r"\[2, 7, 32\].*\[2, 7, 33\]"):
        evaluate(run, other, device="cpu")


def test_a_part_without_pixels_is_refused(run: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    part = np.where(tiny_dataset.part == Part.TEST, Part.VALIDATION, tiny_dataset.part)
    other = changed(tiny_dataset, tmp_path / "a.h5", part=part.astype(np.uint8))
    with pytest.raises(DatasetError, match="no test pixels"):
        evaluate(run, other, device="cpu")


def test_another_draw_from_the_same_scenes_is_said(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    part = tiny_dataset.part.copy()
    part[tiny_dataset.rows(Part.TRAIN)[:9]] = Part.TEST
    other = changed(tiny_dataset, tmp_path / "a.h5", part=part)
    assert "another draw from the same scenes" in evaluate(run, other, device="cpu").warnings[0]
    elsewhere = [{**s, "fingerprint": "1" * 64} for s in tiny_dataset.meta["sources"]]
    other = changed(tiny_dataset, tmp_path / "b.h5", part=part, sources=elsewhere)
    assert evaluate(run, other, device="cpu").warnings == ()


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_stands_alone_and_fits(
    evaluation: Evaluation, browser: Any, tmp_path: Path, write_map: Any, width: int, dark: bool
) -> None:
    codes = np.repeat(np.array([2, 7, 32, 33], np.uint8), [8, 8, 8, 6])[None].repeat(40, 0)
    names = {2: "quartz", 7: "kaolinite", 32: "white mica", 33: "reject"}
    product = write_map("product.tif", codes, names, crs=None, transform=None)
    (found,) = with_maps([evaluation], [product])
    page = write_evaluation_report(found, tmp_path / "report")
    browser.open(page, width=width, dark=dark)
    assert browser.errors() == []
    assert browser.requests() == []
    assert browser.overflow() == 0
    # Calibration, training, latent space, and spectra of three classes.
    assert browser.evaluate("document.querySelectorAll('svg').length") == 6
    broken = "[...document.images].filter(i => !i.naturalWidth).length"
    assert browser.evaluate(broken) == 0


def test_a_damaged_log_is_refused(m2_run: Path, tmp_path: Path) -> None:
    card = read_card(m2_run)
    log, whole = tmp_path / "metrics.csv", (m2_run / "metrics.csv").read_bytes()
    log.write_bytes(whole)
    assert "</svg>" in str(training_figure(log, card))
    digit = whole.rindex(b"1")
    log.write_bytes(whole[:digit] + b"2" + whole[digit + 1 :])
    with pytest.raises(ModelError, match=r"metrics\.csv is broken \(it is not as it was written"):
        training_figure(log, card)
    assert training_figure(log, {**card, "metrics_sha256": None}) is not None
    for broken in (b"\xff", b"epoch,a\n1,x\n", b"epoch,a_batch\n1\n", b"epoch\n1\n", b"a\n1,2\n"):
        log.write_bytes(broken)
        with pytest.raises(ModelError, match=r"metrics\.csv is broken .* remove it"):
            training_figure(log, {"training": card["training"]})
    for empty in (b"", b"epoch,bound_batch\n"):
        log.write_bytes(empty)
        assert training_figure(log, {"training": card["training"]}) is None
    log.write_bytes(b"epoch,bound_batch,bound_validation\n1,inf,nan\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert training_figure(log, {"training": card["training"]}) is not None


def test_the_page_says_what_unlabelled_pixels_were_worth(m2_run: Path) -> None:
    card = read_card(m2_run)
    metrics = {"supervised": {"macro_f1": 0.81}, "semi_supervised": {"macro_f1": 0.78}}
    worse = {**card, "metrics": {**metrics, "gained": -0.03, "kept": "supervised"}}
    told = worth_of_unlabelled(worse)
    assert "did not help" in told
    assert "81.0 % without them, 78.0 % with them" in told
    assert "(kept)" in str(training_figure(m2_run / "metrics.csv", worse))
    better = {**card, "metrics": {**metrics, "gained": 0.01, "kept": "semi-supervised"}}
    assert "did not help" not in worth_of_unlabelled(better)
    assert "(kept)" not in str(training_figure(m2_run / "metrics.csv", better))
    assert worth_of_unlabelled({**card, "metrics": {}}) == ""


def test_a_damaged_report_is_noticed(evaluation: Evaluation, tmp_path: Path) -> None:
    metrics = write_evaluation_report(evaluation, tmp_path / "report").parent / "metrics.json"
    whole = metrics.read_text()
    assert describe(metrics.parent).values["oa"] == evaluation.to_json()["oa"]
    place = re.search(r'"oa": (\d)', whole)
    assert place is not None
    other = str((int(place[1]) + 1) % 10)
    metrics.write_text(whole[: place.start(1)] + other + whole[place.end(1) :])
    with pytest.raises(ModelError, match=r"metrics\.json is broken \(oa differ.* make the report"):
        describe(metrics.parent)
