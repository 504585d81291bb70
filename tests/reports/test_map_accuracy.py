"""Maps judged by their own values at a dataset's pixels: where they lie, what they hold."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import LabelError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.maps.mosaic import write_mosaic
from hsi_ssl.reports.areas import estimated_areas
from hsi_ssl.reports.class_maps import open_class_map
from hsi_ssl.reports.map_accuracy import MapAccuracy, accuracy_on_dataset

Write = Callable[..., Path]
Make = Callable[..., Dataset]
Codes = npt.NDArray[Any]
GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)
UTM = "EPSG:32632"
TRUE = np.array([2, 7, 32], np.uint8)[np.random.default_rng(0).integers(0, 3, (20, 30))]


def judged(path: Path, dataset: Dataset, ignore: tuple[int, ...] = ()) -> MapAccuracy:
    with open_class_map(path, ignore) as found:
        rows = dataset.rows(Part.TEST)
        return accuracy_on_dataset(found, dataset.label_set, dataset, rows, "test")


def matrix(true: Codes, mapped: Codes, codes: tuple[int, ...] = (2, 7, 32)) -> list[list[int]]:
    """Counted one by one."""
    there = (true > 0) & (mapped > 0)
    return [[int(np.sum(there & (true == a) & (mapped == b))) for b in codes] for a in codes]


def wrong(codes: Codes, share: float = 0.3) -> Codes:
    """Some pixels of other classes."""
    rng = np.random.default_rng(1)
    changed = np.where(rng.random(codes.shape) < share, TRUE[::-1], codes)
    return changed.astype(codes.dtype)


def test_the_map_itself_is_judged(write_map: Write, dataset_of: Make) -> None:
    true = TRUE.copy()
    true[:5] = 0  # without label
    dataset = dataset_of(true)
    codes = wrong(TRUE)
    found = judged(write_map("m.tif", codes), dataset)
    assert found.scores.confusion.tolist() == matrix(true, codes)
    right = np.mean(codes[5:] == TRUE[5:])
    answer = found.to_json()
    assert answer["accuracy"]["oa"] == found.scores.oa == pytest.approx(right)
    assert answer["n"] == 15 * 30
    assert answer["not_classified"] == answer["outside"] == 0
    counts = np.array([np.sum(codes == c) for c in (2, 7, 32)])
    expected = estimated_areas(counts, np.array(matrix(true, codes)))
    assert [c["mapped"] for c in answer["classes"]] == pytest.approx(counts * 0.01)
    assert [c["estimated"] for c in answer["classes"]] == pytest.approx(expected.estimated * 0.01)
    assert answer["unit"] == "ha"
    low, high = answer["intervals"]["oa"]
    assert low < right < high
    assert not list(found.words())
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    # Another product, wrong everywhere, on the same pixels.
    turned = np.array([0, 0, 7, 0, 0, 0, 0, 32] + 25 * [2], np.uint8)[TRUE]
    other = judged(write_map("o.tif", turned), dataset)
    assert other.scores.oa == other.areas.oa == 0
    assert other.scores.precision.tolist() == [0, 0, 0]
    assert other.to_json()["accuracy"]["kappa"] < 0
    assert other.to_json()["intervals"]["kappa"] is None


@pytest.mark.parametrize(("rows", "cols"), [(3, 5), (-4, -2)])
def test_maps_shifted_by_whole_pixels(
    write_map: Write, dataset_of: Make, rows: int, cols: int
) -> None:
    codes = wrong(TRUE)
    moved = write_map("m.tif", codes, transform=GRID @ Affine.translation(cols, rows))
    found = judged(moved, dataset_of(TRUE))
    there = np.zeros_like(TRUE)
    down, across = slice(max(rows, 0), 20 + min(rows, 0)), slice(max(cols, 0), 30 + min(cols, 0))
    from_down = slice(max(-rows, 0), 20 - max(rows, 0))
    there[down, across] = codes[from_down, max(-cols, 0) : 30 - max(cols, 0)]
    assert found.scores.confusion.tolist() == matrix(TRUE, there)
    assert found.outside == np.sum(there == 0)
    assert found.not_classified == 0
    assert any("pixel on pixel" in note for note in found.notes)
    assert any("lie beyond m.tif" in note for note in found.notes)


def test_cut_turned_and_half_empty_maps(write_map: Write, dataset_of: Make) -> None:
    dataset, codes = dataset_of(TRUE), wrong(TRUE)
    cut = write_map("cut.tif", codes[4:12, 6:20], transform=GRID @ Affine.translation(6, 4))
    found = judged(cut, dataset)
    assert found.scores.confusion.tolist() == matrix(TRUE[4:12, 6:20], codes[4:12, 6:20])
    assert (found.n, found.outside) == (8 * 14, 600 - 8 * 14)
    up = Affine(10, 0, 300_000, 0, 10, 5_000_000 - 200)
    found = judged(write_map("up.tif", codes[::-1].copy(), transform=up), dataset)
    assert found.scores.confusion.tolist() == matrix(TRUE, codes)
    empty = codes.copy()
    empty[:, :12] = 0
    empty[TRUE == 7] = 0
    found = judged(write_map("empty.tif", empty), dataset)
    assert found.scores.confusion.tolist() == matrix(TRUE, empty)
    assert found.not_classified == np.sum(empty == 0)
    said = " | ".join(found.words())
    assert f"{found.not_classified} of 600 test pixels" in said
    assert "most test pixels of kaolinite have no class on empty.tif" in said


def test_another_crs(write_map: Write, dataset_of: Make, tmp_path: Path) -> None:
    # Fields of 5 x 5 pixels, so that most pixels have one class in any projection.
    fields = np.repeat(np.repeat(TRUE[:8, :12], 5, 0), 5, 1)
    place, cols, rows = calculate_default_transform(
        UTM, "EPSG:4326", 60, 40, 300_000, 4_999_600, 300_600, 5_000_000
    )
    codes = np.zeros((rows * 4, cols * 4), np.uint8)
    fine = place @ Affine.scale(0.25)
    reproject(
        fields, codes, src_transform=GRID, src_crs=UTM, dst_transform=fine, dst_crs="EPSG:4326",
        resampling=Resampling.nearest,
    )  # fmt: skip
    found = judged(write_map("m.tif", codes, crs="EPSG:4326", transform=fine), dataset_of(fields))
    assert found.n == fields.size
    assert found.scores.oa > 0.98
    assert any("each pixel by what covers most of it" in note for note in found.notes)
    assert found.hectares is None


def test_finer_and_coarser_maps_are_weighed_by_area(write_map: Write, dataset_of: Make) -> None:
    true = np.array([[2, 7], [32, 2]], np.uint8)
    fine = np.array([[2, 2, 7, 2], [2, 7, 2, 7], [32, 32, 0, 0], [7, 7, 0, 2]], np.uint8)
    found = judged(
        write_map("fine.tif", fine, transform=GRID @ Affine.scale(0.5)), dataset_of(true)
    )
    # (0, 0) is 2; (0, 1) and (1, 0) are tied: the class at the middle counts; (1, 1) is three
    # quarters empty: not classified.
    assert found.scores.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert (found.n, found.not_classified) == (3, 1)
    coarse = write_map("coarse.tif", np.array([[2]], np.uint8), transform=GRID @ Affine.scale(2))
    assert judged(coarse, dataset_of(true)).scores.confusion.tolist() == [
        [2, 0, 0], [1, 0, 0], [1, 0, 0],
    ]  # fmt: skip


def test_control_points(write_map: Write, dataset_of: Make, tmp_path: Path) -> None:
    codes = wrong(TRUE)
    points = [(0.0, 0.0), (0.0, 30.0), (20.0, 0.0), (20.0, 30.0)]
    ground = [(r, c, *(GRID @ (c, r)), 0.0) for r, c in points]
    dataset = dataset_of(TRUE)
    (card,) = dataset.meta["sources"]
    card |= {"transform": None, "control_points": ground}
    moved = write_map("m.tif", codes, transform=GRID @ Affine.translation(0, 2))
    there = np.zeros_like(TRUE)
    there[2:] = codes[:-2]
    assert judged(moved, dataset).scores.confusion.tolist() == matrix(TRUE, there)
    by_points = write_map(
        "p.tif", codes, transform=None,
        gcps=[GroundControlPoint(r, c, x, y, z) for r, c, x, y, z in ground],
    )  # fmt: skip
    assert judged(by_points, dataset).scores.confusion.tolist() == matrix(TRUE, codes)
    assert judged(by_points, dataset_of(TRUE)).scores.confusion.tolist() == matrix(TRUE, codes)


def test_scenes_without_place_count_by_position(write_map: Write, dataset_of: Make) -> None:
    codes = wrong(TRUE)
    dataset = dataset_of(TRUE, grids=None)
    plain = write_map("any.tif", codes, crs=None, transform=None)
    found = judged(plain, dataset)
    assert found.scores.confusion.tolist() == matrix(TRUE, codes)
    assert not found.notes
    placed = judged(write_map("placed.tif", codes), dataset)
    assert placed.scores.confusion.tolist() == matrix(TRUE, codes)
    assert any("row by row, column by column, as the scene has no place" in n
               for n in placed.notes)  # fmt: skip
    assert any("as the map has no place" in n for n in judged(plain, dataset_of(TRUE)).notes)
    with pytest.raises(LabelError, match=r"10 x 30 pixels.*scenes of .* are 20 x 30"):
        judged(write_map("cut.tif", codes[:10], crs=None, transform=None), dataset)


def test_of_several_cores_the_name_tells(write_map: Write, dataset_of: Make) -> None:
    codes = wrong(TRUE)
    dataset = dataset_of(
        TRUE, TRUE[::-1].copy(), TRUE[:10], grids=None, scenes=("core_1", "core_2", "core_3")
    )
    bare = {"crs": None, "transform": None}
    found = judged(write_map("core_2_classes.tif", codes, **bare), dataset)
    assert found.scores.confusion.tolist() == matrix(TRUE[::-1], codes)
    assert found.outside == 600 + 300
    of_set = judged(write_map("core_1_classes_minerals.tif", codes, **bare), dataset)
    assert of_set.scores.confusion.tolist() == matrix(TRUE, codes)
    # The only one of its size needs no name.
    assert judged(write_map("x.tif", codes[:10], **bare), dataset).n == 300
    with pytest.raises(LabelError, match="nothing tells which of 2 scenes of 20 x 30 pixels"):
        judged(write_map("x.tif", codes, **bare), dataset)
    with pytest.raises(LabelError, match=r"core_3 of .* is 10 x 30, and there is no place"):
        judged(write_map("core_3_classes.tif", codes, **bare), dataset)


def test_a_mosaic_is_judged_on_all_its_scenes(
    write_map: Write, dataset_of: Make, tmp_path: Path
) -> None:
    east = GRID @ Affine.translation(40, 3)
    codes = wrong(TRUE)
    parts = [
        write_map("a.tif", codes, {2: "quartz"}),
        write_map("b.tif", TRUE, {2: "quartz"}, transform=east),
    ]
    label_set = LabelSet("minerals", tuple(LabelClass(c, f"class {c}", "#123456") for c in
                                           (2, 7, 32)))  # fmt: skip
    write_mosaic(tmp_path / "m.vrt", parts, label_set, layers={}, made_of={})
    dataset = dataset_of(TRUE, TRUE, grids=[GRID, east], scenes=("a", "b"))
    found = judged(tmp_path / "m.vrt", dataset)
    both = np.concatenate([TRUE, TRUE]), np.concatenate([codes, TRUE])
    assert found.scores.confusion.tolist() == matrix(*both)
    assert found.outside == 0
    one = judged(parts[1], dataset)
    assert one.scores.oa == 1
    assert (one.n, one.outside) == (600, 600)


def test_envi_classifications(write_map: Write, dataset_of: Make) -> None:
    codes = wrong(TRUE)
    path = write_map("m.img", codes, driver="ENVI", nodata=None)
    for name in (path, path.with_suffix(".hdr")):
        found = judged(name, dataset_of(TRUE))
        assert found.scores.confusion.tolist() == matrix(TRUE, codes)


def test_rejected_pixels_are_mistakes_and_strata(write_map: Write, dataset_of: Make) -> None:
    names = {2: "quartz", 7: "kaolinite", 32: "white mica", 33: "reject", 34: "unknown-1"}
    codes = TRUE.copy()
    codes[0], codes[1] = 33, 34
    found = judged(write_map("m.tif", codes, names), dataset_of(TRUE))
    assert found.scores.confusion.tolist() == matrix(TRUE, np.where(codes > 32, 0, codes))
    assert found.n == 600
    assert found.scores.oa == pytest.approx(18 / 20)
    assert found.areas.oa == pytest.approx(18 / 20)
    answer = found.to_json()
    assert [(c["code"], c["name"], c["mapped"]) for c in answer["further"]] == [
        (33, "reject", pytest.approx(0.3)), (34, "unknown-1", pytest.approx(0.3)),
    ]  # fmt: skip
    assert answer["further"][0]["confusion"] == [int(np.sum(TRUE[0] == c)) for c in (2, 7, 32)]
    # Truly all of it is one of the classes.
    assert sum(c["estimated"] for c in answer["classes"]) == pytest.approx(6.0)
    said = next(iter(found.words()))
    assert "m.tif has reject and unknown-1, which no test pixel truly is: 60 of 600" in said


def test_codes_to_leave_out(write_map: Write, dataset_of: Make) -> None:
    codes = TRUE.copy()
    codes[:2] = 255
    path = write_map("m.tif", codes)
    with pytest.raises(LabelError, match=r"code 255 in 60 pixels.*--ignore-codes 255"):
        judged(path, dataset_of(TRUE))
    found = judged(path, dataset_of(TRUE), (255,))
    assert (found.n, found.not_classified) == (540, 60)


def test_maps_of_elsewhere_are_refused_with_both_extents(
    write_map: Write, dataset_of: Make
) -> None:
    far = write_map("m.tif", TRUE, transform=GRID @ Affine.translation(900, 0))
    with pytest.raises(LabelError, match=r"none of the 600 test pixels.* x 309000 to 309300, .*"
                                         r"x 300000 to 300300"):  # fmt: skip
        judged(far, dataset_of(TRUE))
    with pytest.raises(LabelError, match="no class at any of the 600 test pixels"):
        judged(write_map("e.tif", np.pad(np.zeros_like(TRUE), ((0, 1), (0, 0)),
                                         constant_values=2)), dataset_of(TRUE))  # fmt: skip


def test_large_maps_are_read_where_pixels_are(
    write_map: Write, dataset_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = np.zeros((3000, 3000), np.uint8)
    true[10:12, 10:40] = true[2990:2995, 100:130] = 2
    codes = np.full((3000, 3000), 2, np.uint8)
    codes[2990] = 7
    path = write_map("m.tif", codes, transform=GRID @ Affine.translation(-1, -1), tiled=True,
                     blockxsize=256, blockysize=256, compress="deflate")  # fmt: skip
    dataset = dataset_of(true)
    with open_class_map(path) as found:
        assert set(found.pixels) == {2, 7}
        read: list[int] = []
        window = type(found).window

        def counted(self: Any, rows: slice, cols: slice) -> Any:
            read.append((rows.stop - rows.start) * (cols.stop - cols.start))
            return window(self, rows, cols)

        monkeypatch.setattr(type(found), "window", counted)
        tracemalloc.start()
        one = accuracy_on_dataset(
            found, dataset.label_set, dataset, dataset.rows(Part.TEST), "test"
        )
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert sum(read) < 1000
    assert peak < 60 * 2**20
    # Shifted by one: row 2990 of the map is row 2989 of the scene.
    assert one.scores.confusion[0].tolist() == [60 + 150, 0, 0]
