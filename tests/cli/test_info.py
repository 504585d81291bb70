from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
from click.testing import CliRunner, Result
from rasterio.transform import Affine

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import open_dataset, writing_dataset
from hsi_ssl.errors import HsiSslError, ModelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.maps.class_map import class_map
from hsi_ssl.scenes.scene import Grid

LABELS = LabelSet(
    "minerals", (LabelClass(3, "calcite", "#ff0000"), LabelClass(32, "epidote", "#00ff00"))
)

SOURCE = {"name": "core", "path": "core.h5", "rows": 9, "cols": 8, "format": "HDF5"}
SOURCE |= {"fingerprint": "0" * 64}


def info(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["info", *map(str, arguments)], catch_exceptions=False)


def values(*arguments: object) -> dict[str, Any]:
    result = info("--json", *arguments)
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(
        result.stdout, parse_constant=lambda word: pytest.fail(f"{word} in the JSON")
    )
    return found


def raster(path: Path, planes: Any, **profile: Any) -> Path:
    bands, rows, cols = planes.shape
    profile = {"crs": "EPSG:32633", "transform": Affine(30, 0, 1000, 0, -30, 2000)} | profile
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=rows,
        width=cols,
        count=bands,
        dtype=planes.dtype,
        **profile,
    ) as dataset:
        dataset.write(planes)
        for band in dataset.indexes:
            dataset.update_tags(
                band, wavelength=400 + band, wavelength_units="nm", bbl=int(band != 2)
            )
    return path


def test_scene(tmp_path: Path) -> None:
    path = raster(tmp_path / "scene.tif", np.ones((3, 4, 5), np.float32), nodata=np.nan)
    found = values(path)
    assert found == {
        "kind": "scene",
        "format": "GeoTIFF",
        "path": str(path),
        "rows": 4,
        "cols": 5,
        "bands": 3,
        "dtype": "float32",
        "wavelengths_nm": [401, 402, 403],
        "good_bands": [0, 2],
        "nodata": "nan",
        "units": None,
        "crs": "EPSG:32633",
        "transform": [30, 0, 1000, 0, -30, 2000],
        "labels": None,
        "notes": [],
    }
    text = info(path).stdout
    for words in (
        "4 rows x 5 columns x 3 bands, float32",
        "wavelengths 401.0 to 403.0 nm",
        "2 of 3 bands good; bad, counted from 1: 2",
        "nodata nan",
        "WGS 84 / UTM zone 33N (EPSG:32633)",
        "pixels of 30 x 30, upper left corner at 1000, 2000",
    ):
        assert words in text


def test_drill_core_with_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "core.h5"
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = np.ones((2, 3, 4), np.uint16)
        file["hsimage/labels"] = np.array([[0, 32, 32], [3, 32, 0]])
    found = values(path)
    assert found["labels"] == {"3": 1, "32": 3}
    assert found["wavelengths_nm"] is None
    assert found["crs"] is None
    assert "4 of 6 pixels labelled, 2 classes" in info(path).stdout
    with h5py.File(path, "a") as file:
        file["hsimage/labels"][0, 0] = -5
    found = values(path)
    assert found["labels"] is None
    assert "hold -5 at row 0, column 0" in found["notes"][0]


def test_labels(tmp_path: Path) -> None:
    path = raster(tmp_path / "gt.tif", np.array([[[0, 7], [255, 7]]], np.uint8), nodata=255)
    assert values(path)["kind"] == "labels"
    assert values(path)["labels"] == {"7": 2}
    scipy.io.savemat(tmp_path / "gt.mat", {"gt": np.array([[0, 7], [255, 7]])})
    assert values(tmp_path / "gt.mat") == {
        "kind": "labels",
        "path": str(tmp_path / "gt.mat"),
        "rows": 2,
        "cols": 2,
        "labels": {"7": 2, "255": 1},
    }
    assert "7           2" in info(tmp_path / "gt.mat").stdout


def test_labels_that_are_names(tmp_path: Path) -> None:
    np.save(tmp_path / "gt.npy", np.array([["oak", ""], ["bare soil", "oak"]]))
    found = values(tmp_path / "gt.npy")
    assert found["labels"] == {"1": 1, "2": 2}
    assert found["names"] == {"1": "bare soil", "2": "oak"}
    assert "2           2  oak" in info(tmp_path / "gt.npy").stdout


def test_one_band_that_is_no_label_raster(tmp_path: Path) -> None:
    path = raster(tmp_path / "height.tif", np.array([[[0.5, 7]]], np.float32))
    assert values(path)["kind"] == "scene"
    assert values(path)["labels"] is None


@pytest.mark.parametrize(("name", "format"), [("map.tif", "GeoTIFF"), ("map.img", "ENVI")])
def test_class_map(tmp_path: Path, name: str, format: str) -> None:
    path = tmp_path / name
    with class_map(path, rows=2, cols=3, grid=Grid(), label_set=LABELS) as writer:
        writer.write(slice(0, 2), slice(0, 3), np.array([[0, 1, 1], [-1, 1, 1]]))
    found = values(path)
    assert found["kind"] == "class map"
    assert found["labels"] == {"3": 1, "32": 4}
    text = info(path).stdout
    assert f"{name}: class map, {format}" in text
    assert "4  epidote" in text
    (tmp_path / "map.csv").unlink()
    assert "4  epidote" in info(path).stdout


def test_one_of_several_arrays(tmp_path: Path) -> None:
    path = tmp_path / "two.mat"
    scipy.io.savemat(path, {"a": np.ones((2, 3, 4)), "b": np.ones((5, 3, 4))})
    with pytest.raises(SceneError, match="choose one with --variable"):
        info(path)
    assert values(path, "--variable", "b")["rows"] == 5


def dataset(path: Path) -> Path:
    spectra = np.random.default_rng(0).random((6, 4)).astype(np.float32)
    label = np.array([0, 1, 1, 0, -1, -1], np.int16)
    with writing_dataset(path, bands=4, dtype=spectra.dtype) as writer:
        writer.append(spectra)
        writer.finish(
            label=label,
            part=np.array([0, 0, 1, 2, 3, 3], np.uint8),
            scene=np.zeros(6, np.int16),
            pixel=np.zeros((6, 2), np.int32),
            neighbours=np.full((6, 8), -1, np.int32),
            meta={
                "title": "two minerals",
                "sources": [SOURCE],
                "bands": 5,
                "used_bands": [0, 1, 2, 4],
                "wavelengths_nm": [400, 500, 600, 800],
                "label_set": LABELS.to_card(),
                "scaling": fit_scaler("standard", spectra, components=4).to_card(),
                "split": {"kind": "blocks", "block": 8, "guard": 1, "rare": []},
                "transductive": False,
                "image_like": False,
                "fwhm_nm": None,
                "seed": 3,
            },
        )
    return path


def test_dataset(tmp_path: Path) -> None:
    path = dataset(tmp_path / "dataset.h5")
    found = values(path)
    assert found["kind"] == "dataset"
    assert found["pixels"] == 6
    assert found["parts"] == {"train": 2, "validation": 1, "test": 1, "pool": 2}
    assert found["classes"] == [
        {"code": 3, "name": "calcite", "train": 1, "validation": 0, "test": 1},
        {"code": 32, "name": "epidote", "train": 1, "validation": 1, "test": 0},
    ]
    assert found["sources"][0]["path"] == "core.h5"
    text = info(path).stdout
    assert "6 pixels x 4 of 5 bands: train 2, validation 1, test 1, pool 2" in text
    assert "split by blocks, scaling standard, seed 3" in text


def test_run_folders(tmp_path: Path) -> None:
    from hsi_ssl.settings import M1Settings, M2Settings
    from hsi_ssl.training.m1_stage import train_m1
    from hsi_ssl.training.m2_stage import train_m2

    path = dataset(tmp_path / "dataset.h5")
    assert len(open_dataset(path)) == 6
    m1, m2 = tmp_path / "m1", tmp_path / "m2"
    small = {"dataset": path, "latent": 2, "hidden": (3,), "epochs": 1}
    train_m1(M1Settings(**small, output=m1))
    train_m2(M2Settings(**small, output=m2, m1=None))
    found = values(m1)
    assert (found["kind"], found["model"], found["bands"]) == ("run", "M1", 5)
    assert found["classes"] == []
    assert found["training"]["epochs"] == 1
    found = values(m2)
    assert found["model"] == "M2"
    assert found["classes"] == [{"code": 3, "name": "calcite"}, {"code": 32, "name": "epidote"}]
    text = info(m2).stdout
    assert "learnt on two minerals" in text
    assert "2 latent units, hidden layers 3, gaussian likelihood" in text
    assert "class 32: epidote" in text
    (m2 / "model.json").write_text("{")
    with pytest.raises(ModelError, match="broken"):
        info(m2)


@pytest.mark.parametrize(
    ("name", "error"),
    [("missing.tif", SceneNotFoundError), ("folder", ModelError), ("text.h5", SceneError)],
)
def test_nothing_known(tmp_path: Path, name: str, error: type[HsiSslError]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.h5").write_text("no numbers")
    with pytest.raises(error, match=name):
        info(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "kind", "bands"),
    [
        ("enmap-potsdam/scene.tif", "scene", 224),
        ("neon-sjer/NEON_SJER_reflectance_30x30.h5", "scene", 426),
        ("salinas-a/SalinasA_corrected.mat", "scene", 204),
        ("mnist/t10k-images-idx3-ubyte.gz", "scene", 784),
        ("enmap-potsdam/labels.tif", "labels", 1),
    ],
)
def test_real_files(real_data: Callable[[str], Path], name: str, kind: str, bands: int) -> None:
    found = values(real_data(name))
    assert found["kind"] == kind
    assert found["bands"] == bands


def test_a_scene_tells_its_units(hsi_ssl: Any, tmp_path: Path) -> None:
    cube = np.full((3, 4, 2), 1000, np.int16)
    cube.transpose(2, 0, 1).tofile(tmp_path / "e.dat")
    header = (
        "ENVI\nsamples = 4\nlines = 3\nbands = 2\ndata type = 2\ninterleave = bsq\nbyte order = 0\n"
    )
    (tmp_path / "e.hdr").write_text(header + "data gain values = {0.1, 0.2}\n")
    ran = hsi_ssl("info", tmp_path / "e.dat")
    assert "physical = raw x [0.1 to 0.2, by band] (data gain values)" in ran.out
    (tmp_path / "e.hdr").write_text(header + "reflectance scale factor = 10000\n")
    ran = hsi_ssl("info", tmp_path / "e.dat", "--json")
    found = json.loads(ran.out)["units"]
    assert (found["scale"], found["kind"]) == ([1e-4, 1e-4], "reflectance")
    (tmp_path / "e.hdr").write_text(header)
    assert json.loads(hsi_ssl("info", tmp_path / "e.dat", "--json").out)["units"] is None


BANDS_NM = np.linspace(400, 2500, 40)


def library_csv(path: Path, names: tuple[str, ...]) -> Path:
    rows = [";".join(("wavelength_um", *names))]
    rows += [
        ";".join(f"{v:.4f}".replace(".", ",") for v in (nm / 1000, *np.full(len(names), nm / 5000)))
        for nm in BANDS_NM
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_library_of_text(tmp_path: Path) -> None:
    path = library_csv(tmp_path / "own.csv", ("oak", "oak", *(f"s{i}" for i in range(10))))
    found = values(path)
    assert (found["kind"], found["format"], found["unit"]) == ("library", "table of text", "um")
    assert (found["spectra"], found["materials"], found["bands"]) == (12, 11, 40)
    assert found["names"][:3] == ["oak", "oak", "s0"]
    assert found["range_nm"] == pytest.approx([400, 2500])
    assert found["wavelengths_nm"] == pytest.approx(BANDS_NM, abs=0.06)
    lines = info(path).stdout.splitlines()
    assert lines == [
        f"{path}: spectral library, table of text",
        "12 spectra of 11 materials",
        "40 bands, wavelengths 400.0 to 2500.0 nm (in the file: um)",
        "values 0.08 to 0.5",
        "names: oak, oak, s0, s1, s2, s3, s4, s5 and 4 more",
    ]


def test_library_without_names_and_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "target.csv"
    path.write_text("".join(f"{nm:.1f},{nm / 9999:.4f}\n" for nm in BANDS_NM))
    assert values(path)["names"] == ["target"]
    assert "carry no unit: taken as nanometres" in info(path).stdout
    path.write_text("".join(f"{200 + i},{i % 3}\n" for i in range(20)))
    assert values(path)["kind"] == "labels"
    path.write_text("wavelength,fwhm\n400,5\n500,6\n")
    assert values(path)["kind"] != "library"


@pytest.mark.parametrize("named", ["lab.sli", "lab.hdr"])
def test_library_of_envi(tmp_path: Path, named: str) -> None:
    from spectral.io.envi import SpectralLibrary as EnviLibrary

    header = {
        "wavelength": [f"{nm / 1000:.5f}" for nm in BANDS_NM],
        "wavelength units": "Micrometers",
        "spectra names": ["Alunite GDS84 s06av95a=a", "Calcite+Talc PC9 s06av95a=b"],
    }
    EnviLibrary(np.full((2, 40), 0.5), header).save(str(tmp_path / "lab"))
    found = values(tmp_path / named)
    assert (found["kind"], found["format"], found["unit"]) == ("library", "ENVI", "Micrometers")
    assert (found["spectra"], found["mixtures"]) == (2, 1)
    assert "2 spectra of 2 materials, 1 mixture" in info(tmp_path / named).stdout
    (tmp_path / "lab.sli").write_bytes(b"\0")
    with pytest.raises(HsiSslError, match=r"no readable ENVI spectral library|lab\.sli has 1"):
        info(tmp_path / named)


def test_library_of_ecostress(tmp_path: Path) -> None:
    import sqlite3
    from array import array

    path = tmp_path / "ecostress.db"
    with sqlite3.connect(path) as file:
        file.execute(
            "CREATE TABLE Samples (SampleID INT, Name TEXT, Type TEXT, ParticleSize TEXT, "
            "SampleNum TEXT)"
        )
        file.execute(
            "CREATE TABLE Spectra (SpectrumID INT, SampleID INT, Measurement TEXT, XUnit TEXT, "
            "XData BLOB, YData BLOB)"
        )
        for i, (name, first) in enumerate((("Alunite", 0), ("Calcite", 10))):
            x = array("f", BANDS_NM[first:] / 1000).tobytes()
            y = array("f", np.full(40 - first, 50.0)).tobytes()
            file.execute(
                "INSERT INTO Samples VALUES (?, ?, 'mineral', 'none', ?)", (i, name, f"S-{i}")
            )
            file.execute(
                "INSERT INTO Spectra VALUES (?, ?, 'reflectance', 'Wavelength (micrometers)', "
                "?, ?)",
                (i, i, x, y),
            )
    file.close()
    found = values(path)
    assert (found["kind"], found["format"], found["bands"]) == ("library", "ECOSTRESS", [30, 40])
    assert found["wavelengths_nm"] is None
    assert "30 to 40 bands, wavelengths 400.0 to 2500.0 nm" in info(path).stdout
    assert "2 sets of bands" in info(path).stdout


def test_label_sets_beside_a_cube(tmp_path: Path) -> None:
    path = tmp_path / "core.h5"
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = np.ones((2, 3, 4), np.uint16)
        file["hsimage/labels"] = np.array([[0, 32, 32], [3, 32, 0]])
        file["hsimage/rocks"] = np.array([[0, 1, 1], [1, 1, 0]])
        file["hsimage/height"] = np.array([[0.5, 1, 1], [1, 1, 0]])
    found = values(path)
    assert found["labels"] == {"3": 1, "32": 3}
    assert found["label_sets"] == {"hsimage/labels": {"3": 1, "32": 3}, "hsimage/rocks": {"1": 4}}
    assert "labels in hsimage/rocks: 4 of 6 pixels, 1 class" in info(path).stdout
    path = tmp_path / "cube.mat"
    scipy.io.savemat(
        path,
        {
            "cube": np.ones((2, 3, 4)),
            "gt": np.array([[0, 7, 7], [3, 7, 0]], np.uint8),
            "depth": np.full((2, 3), 0.5),
        },
    )
    assert values(path)["label_sets"] == {"gt": {"3": 1, "7": 3}}


def test_runs_that_are_not_finished(tmp_path: Path) -> None:
    import torch

    from hsi_ssl.training.checkpoint import STATE, save_state
    from hsi_ssl.training.m2_stage import SUPERVISED

    run = tmp_path / "m2"
    (run / "last").mkdir(parents=True)
    assert "run, unfinished, epoch 0" in info(run).stdout
    progress = {"epoch": 7, "step": 70, "seconds": 12.5, "best_epoch": 5, "stopped": ""}
    save_state(run / SUPERVISED, {"a": torch.zeros(1)}, {"progress": progress})
    assert "run, unfinished, epoch 7, supervised part" in info(run).stdout
    save_state(run, {"a": torch.zeros(1)}, {"progress": progress | {"epoch": 9}})
    found = values(run)
    assert (found["kind"], found["finished"], found["epoch"]) == ("run", False, 9)
    assert found["state_written"].startswith("20")
    text = info(run).stdout
    assert "run, unfinished, epoch 9\n" in text
    assert "70 steps in 12 s, best epoch 5; state written 20" in text
    assert "--resume goes on with it" in text
    (run / STATE).write_bytes(b"half")
    with pytest.raises(ModelError, match=r"state\.safetensors is broken"):
        info(run)


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        (
            {"metrics.json": {"run": "runs/m2", "model": "M2", "dataset": "d.h5", "split": "test",
                              "n": 60, "oa": 0.91, "macro_f1": 0.8, "kappa": None}},
            "evaluation",
            ["report of evaluate on runs/m2 (M2)", "60 pixels of d.h5, part test", "OA 0.910"],
        ),
        (
            {"metrics.json": {"map": "map.tif", "reference": "gt.tif", "n": 9, "oa": 0.5}},
            "map accuracy",
            ["accuracy of 1 map", "map.tif by gt.tif, 9 pixels", "OA 0.500"],
        ),
        (
            {"metrics.json": {"maps": [{"map": "a.tif", "reference": "gt.tif", "n": 9, "oa": None},
                                       {"map": "b.tif", "reference": "gt.tif", "n": 9}]}},
            "map accuracy",
            ["accuracy of 2 maps", "b.tif by gt.tif, 9 pixels", "no scores"],
        ),
        (
            {"groups.json": {"run": "runs/gm", "scenes": ["a", "b"], "groups": [{}],
                             "library": "usgs.sli"}},
            "discovery",
            ["report of discover on runs/gm", "1 group in 2 scenes, named by usgs.sli"],
        ),
        (
            {"compare.json": {"dataset": "d.h5", "results": [{"method": "svm"}, {"method": "rf"}]}},
            "comparison",
            ["comparison of svm, rf on d.h5"],
        ),
        (
            {"index.html": "<title>Label balance: a &amp; b</title>", "balance.csv": ""},
            "balance",
            ["report, Label balance: a & b"],
        ),
        (
            {"rock/metrics.json": {"run": "m", "n": 1}, "mineral/metrics.json": {"run": "m"}},
            "evaluation",
            [": 2 reports", "mineral: report of evaluate on m", "rock: report of evaluate on m"],
        ),
    ],
)  # fmt: skip
def test_reports(tmp_path: Path, files: dict[str, Any], kind: str, words: list[str]) -> None:
    for name, content in files.items():
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    found = values(tmp_path)
    assert (found["kind"], found["report"]) == ("report", kind)
    text = info(tmp_path).stdout
    for word in words:
        assert word in text


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_report_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(ModelError, match="make the report again"):
        info(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("S2A_MSIL2A_20200101T000000_N0213.SAFE", None, "the folder of a Sentinel-2 product"),
        ("S3A_OL_1_EFR.SEN3", None, "the folder of a Sentinel-3 product"),
        ("S1A_IW_GRDH.SAFE", None, "the folder of a Sentinel product"),
        ("LC08_L1TP_042034", None, "the folder of a Landsat product"),
        ("ENMAP01-____L2A-DT0000.zip", b"PK\3\4", "the file of an EnMAP product"),
        ("DESIS-HSI-L2A-DT1.zip", b"PK\3\4", "the file of a DESIS product"),
        ("PRS_L2D_STD_2020.zip", b"PK\3\4", "the file of a PRISMA product"),
        ("EO1H0140332012153110T2.L1R", b"\x0e\x03\x13\x01" + bytes(60), "a Hyperion scene in HDF4"),
        ("MOD09.hdf", b"\x0e\x03\x13\x01" + bytes(60), "a file in HDF4"),
        ("spot.asd", b"as7" + bytes(60), "a binary spectrum of an ASD instrument"),
    ],
)
def test_products_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SceneError, match=words):
        info(path)


def test_axes_are_asked_for(hsi_ssl: Any, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["cube"], file["wavelengths_nm"] = np.ones((5, 6, 5)), np.linspace(400, 800, 5)
    ran = hsi_ssl("info", tmp_path / "s.h5")
    assert ran.code == 2
    assert "--axes bands,rows,cols" in ran.err
    ran = hsi_ssl("info", tmp_path / "s.h5", "--axes", "bands,rows,cols", "--json")
    found = json.loads(ran.out)
    assert (found["rows"], found["cols"], found["bands"]) == (6, 5, 5)
    assert "as --axes says" in found["notes"][0]
    ran = hsi_ssl("info", tmp_path / "s.h5", "--axes", "y,x,z")
    assert ran.code == 2
    assert "expected bands, rows and cols" in ran.err
