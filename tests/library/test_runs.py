"""A run applied to arrays and scenes of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from hearing import Hears

import hsi_ssl
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2

Cube = npt.NDArray[np.uint16]


@pytest.fixture(scope="module")
def run(run_folder: Path) -> hsi_ssl.Run:
    return hsi_ssl.load_run(str(run_folder), device="cpu")


def test_a_cube_gives_codes(run: hsi_ssl.Run, cube: Cube) -> None:
    codes = run.predict(cube)
    assert codes.shape == (40, 30)
    truth = np.repeat([2, 7, 32], 10)[None].repeat(40, 0)
    assert np.mean(codes == truth) > 0.9
    p = run.predict_proba(cube)
    assert p.shape == (40, 30, 3)
    assert np.allclose(p.sum(-1), 1, atol=1e-5)
    assert np.array_equal(run.label_sets[0].codes[p.argmax(-1)], codes)


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "int32", ">f4", "float64", "uint64", "longdouble"])
def test_number_types_and_byte_orders_do_not_matter(
    dtype: str, run: hsi_ssl.Run, cube: Cube
) -> None:
    given = cube.astype(dtype)
    assert np.array_equal(run.predict(given), run.predict(cube))
    assert np.array_equal(run.predict(np.asfortranarray(given)), run.predict(cube))


def test_shapes_are_kept(run: hsi_ssl.Run, cube: Cube) -> None:
    whole = run.predict(cube)
    assert run.predict(cube[3, 4]).shape == ()
    assert int(run.predict(cube[3, 4])) == whole[3, 4]
    assert np.array_equal(run.predict(cube.reshape(-1, 12)), whole.ravel())
    assert np.array_equal(run.predict(cube.reshape(2, 20, 30, 12)), whole.reshape(2, 20, 30))
    assert run.predict(cube[0].tolist()).tolist() == whole[0].tolist()


def test_what_is_no_measurement_is_zero(run: hsi_ssl.Run, cube: Cube) -> None:
    given = cube.astype(np.float32)
    given[0, 0, 5], given[0, 1] = np.nan, 0
    masked = np.ma.masked_array(given, mask=np.zeros(given.shape, bool))
    masked[0, 2, 3] = np.ma.masked
    codes, p, z = run.predict(masked), run.predict_proba(masked), run.encode(masked)
    assert codes[0, :3].tolist() == [0, 0, 0]
    assert np.array_equal(codes[1:], run.predict(cube)[1:])
    assert np.isnan(p[0, :3]).all()
    assert np.isfinite(p[0, 3:]).all()
    assert np.isnan(z[0, :3]).all()
    assert z.shape == (40, 30, 3)


@pytest.mark.parametrize(
    ("spectra", "sentence"),
    [
        (np.ones((4, 5)), "spectra of 5 bands"),
        (np.full((4, 12), np.nan), "not one of 4 spectra"),
        (np.zeros((4, 12)), "not one of 4 spectra"),
        (np.empty((0, 12)), "holds no spectrum"),
        (np.ones((3, 0)), "holds no spectrum"),
        (5.0, "holds no spectrum"),
        (np.full((4, 12), "a"), "type <U1"),
        (Path("cores/a.h5"), r"the path cores/a.h5: a file is for `run.classify"),
        (np.ones((4, 12), complex), "type complex128"),
        ([[1, 2], [3]], "expected an array of spectra"),
    ],
)
def test_unfit_spectra_are_refused(run: hsi_ssl.Run, spectra: Any, sentence: str) -> None:
    for method in (run.predict, run.predict_proba, run.encode):
        with pytest.raises(hsi_ssl.HsiSslError, match=sentence):
            method(spectra)


def test_bands_go_by_wavelength(run: hsi_ssl.Run, cube: Cube) -> None:
    own = np.linspace(1000, 2500, 12)
    more = np.insert(cube, [3, 7], 9999, axis=-1)
    wavelengths = np.insert(own, [3, 7], [1300.0, 1900.0])
    order = np.random.default_rng(0).permutation(14)
    found = run.predict(more[..., order], wavelengths_nm=wavelengths[order].tolist())
    assert np.array_equal(found, run.predict(cube))
    with pytest.raises(hsi_ssl.HsiSslError, match="other bands than the model"):
        run.predict(cube, wavelengths_nm=own + 40)
    near = run.predict(cube, wavelengths_nm=own + 40, resample=True)
    assert np.mean(near == run.predict(cube)) > 0.8
    with pytest.raises(hsi_ssl.HsiSslError, match=r"shape \(3,\)"):
        run.predict(cube, wavelengths_nm=[1, 2, 3])


def test_another_unit_is_refused(run_folder: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(1000, 3000, (200, 1)) * np.linspace(1, 2, 6) + rng.normal(0, 20, (200, 6))
    made = hsi_ssl.SemiSupervisedClassifier(
        epochs=1, supervised_epochs=1, settings={"hidden_classifier": (8,)}, random_state=0
    )
    made.fit(X, (X[:, 0] > 2000).astype(int) + 1).save(tmp_path / "m2")
    run = hsi_ssl.load_run(tmp_path / "m2")
    with pytest.raises(hsi_ssl.HsiSslError, match="times that; expected a scene in the unit"):
        run.predict(X / 10_000)
    with pytest.warns(hsi_ssl.HsiSslWarning, match="going on, as asked"):
        assert run.predict(X / 10_000, force=True).shape == (200,)
    assert np.array_equal(run.predict(X / 10_000, scale=10_000), run.predict(X))
    with pytest.raises(hsi_ssl.HsiSslError, match="positive number"):
        run.predict(X, scale=-1)
    assert run.predict(X[:3] / 10_000).shape == (3,)  # so few may lie in the shade


def test_neighbours_are_asked_on_a_cube(run: hsi_ssl.Run, cube: Cube) -> None:
    alone, together = (
        run.predict_proba(cube, spatial=strength).max(-1).mean() for strength in (0.0, 2.0)
    )
    assert together > alone
    with pytest.raises(hsi_ssl.HsiSslError, match="needs a cube"):
        run.predict(cube.reshape(-1, 12), spatial=1.0)
    with pytest.raises(hsi_ssl.HsiSslError, match="found 'much'"):
        run.predict(cube, spatial="much")


def test_spectra_are_generated_in_the_files_unit(run: hsi_ssl.Run, cube: Cube) -> None:
    mica = run.generate("white mica", n=200)
    assert mica.shape == (200, 12)
    assert np.array_equal(mica, run.generate(32, n=200))
    measured = cube[:, 20:].reshape(-1, 12).mean(0)
    assert np.abs(mica.mean(0) / measured - 1).max() < 0.3
    with pytest.raises(hsi_ssl.HsiSslError, match="no class 'granite'"):
        run.generate("granite")


def test_classify_writes_what_predict_gives(
    run: hsi_ssl.Run, cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("flight.npy", cube)
    [made] = run.classify("flight.npy", "map.tif", confidence=True)
    with rasterio.open(made.map) as raster:
        assert np.array_equal(raster.read(1), run.predict(cube))
    assert Path("map_confidence.tif").exists()
    with hsi_ssl.open_scene(Path("flight.npy")) as scene:
        [other] = run.classify(scene, output=Path("other.tif"))
        with pytest.raises(hsi_ssl.HsiSslError, match="as it was opened"):
            run.classify(scene, "third.tif", scale=2)
        with pytest.raises(hsi_ssl.HsiSslError, match="found both"):
            run.classify([scene, "flight.npy"])
    assert other.counts == made.counts
    with pytest.raises(hsi_ssl.HsiSslError, match="unknown key"):
        run.classify("flight.npy", confidense=True)
    with pytest.raises(hsi_ssl.HsiSslError, match="those of the run"):
        run.classify("flight.npy", device="cpu")
    with pytest.raises(hsi_ssl.HsiSslError, match="exists already"):
        run.classify("flight.npy", "map.tif")
    with pytest.raises(hsi_ssl.HsiSslError, match="no scene to classify"):
        run.classify([])


def test_several_label_sets_are_told_apart(two_label_sets: Dataset, tmp_path: Path) -> None:
    train_m2(
        M2Settings(
            dataset=two_label_sets.path,
            output=tmp_path / "m2",
            m1=None,
            device="cpu",
            hidden=(16,),
            latent=3,
            hidden_classifier=(32,),
            epochs=2,
            supervised_epochs=5,
        )
    )
    run = hsi_ssl.load_run(tmp_path / "m2")
    spectra = two_label_sets.spectra()
    assert set(run.predict(spectra, label_set="lithology")) <= {101, 104}
    assert set(run.predict(spectra, label_set="mineralogy")) <= {2, 7, 32}
    with pytest.raises(hsi_ssl.HsiSslError, match="several label sets"):
        run.predict(spectra)
    with pytest.raises(hsi_ssl.HsiSslError, match="no label set geology"):
        run.predict(spectra, label_set="geology")
    assert "mineralogy: 3 classes" in repr(run)
    assert "lithology: 2 classes" in repr(run)


def test_a_run_says_what_it_is(run: hsi_ssl.Run) -> None:
    told = repr(run).splitlines()
    assert len(told) == 2
    assert "M2 on 12 bands from 1000.0 to 2500.0 nm" in told[0]
    assert "minerals: 3 classes" in told[1]
    assert "white mica (32)" in told[1]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(hsi_ssl.HsiSslError, match="no model in"):
        hsi_ssl.load_run(tmp_path)


def test_scenes_and_datasets_are_opened_by_text_or_path(
    cube: Cube, tmp_path: Path, tiny_dataset: Dataset, hears: Hears
) -> None:
    np.save(tmp_path / "a.npy", cube)
    for path in (str(tmp_path / "a.npy"), tmp_path / "a.npy"):
        with hsi_ssl.open_scene(path, watcher=hears, scale=0.5) as scene:
            assert np.array_equal(scene.read(), cube)
            assert scene.units is not None
            assert scene.units.given
    dataset = hsi_ssl.open_dataset(str(tiny_dataset.path))
    assert len(dataset) == len(tiny_dataset) == 1200
    told = repr(dataset).splitlines()
    assert "1,200 pixels of 12 bands" in told[0]
    assert "240 validation, 180 test" in told[0]
    assert told[1] == "  minerals: 3 classes>"
    np.save(tmp_path / "b.npy", cube)
    with pytest.raises(hsi_ssl.HsiSslError, match="holds 2 scenes"):
        hsi_ssl.open_scene(tmp_path)
    with pytest.raises(hsi_ssl.HsiSslError, match="no"):
        hsi_ssl.open_scene(tmp_path / "c.npy")
    with pytest.raises(hsi_ssl.HsiSslError, match="did you mean scale"):
        hsi_ssl.open_scene(tmp_path / "a.npy", scal=2)


def test_a_catalog_scene_is_opened_by_name() -> None:
    with hsi_ssl.open_scene("indian-pines") as scene:
        assert (scene.rows, scene.cols, scene.bands) == (145, 145, 200)


def test_a_data_array_is_turned(run: hsi_ssl.Run, cube: Cube, hears: Hears) -> None:
    xarray = pytest.importorskip("xarray")
    nm = ("wavelength", np.linspace(1000, 2500, 12)[::-1], {"units": "nm"})
    array = xarray.DataArray(
        cube.transpose(2, 0, 1)[::-1], dims=("wavelength", "y", "x"), coords={"wavelength": nm}
    )
    assert np.array_equal(run.predict(array), run.predict(cube))
    hsi_ssl.from_xarray(array, watcher=hears)
    assert "read as (bands, rows, cols)" in hears.all


@pytest.mark.slow
def test_the_used_bands_alone_are_understood(cube: Cube, run_folder: Path, tmp_path: Path) -> None:
    labels = np.repeat([1, 2, 3], 10)[None].repeat(40, 0)
    np.save(tmp_path / "cube.npy", cube)
    np.save(tmp_path / "labels.npy", labels)
    table = "\n".join(f"{nm:.1f}" for nm in np.linspace(1000, 2500, 12))
    (tmp_path / "nm.csv").write_text(f"wavelength\n{table}\n")
    dataset = hsi_ssl.prepare(
        tmp_path / "cube.npy", labels=tmp_path / "labels.npy", wavelengths=tmp_path / "nm.csv",
        output=tmp_path / "dataset.h5", exclude="1300-1600", split="pixels", unlabelled=200,
    )  # fmt: skip
    assert dataset.bands == 10
    train_m2(
        M2Settings(
            dataset=dataset.path, output=tmp_path / "m2", m1=None, device="cpu", hidden=(16,),
            latent=3, hidden_classifier=(32,), epochs=1, supervised_epochs=5,
        )
    )  # fmt: skip
    run = hsi_ssl.load_run(tmp_path / "m2")
    own = cube[..., dataset.meta["used_bands"]]
    assert np.array_equal(run.predict(own), run.predict(cube))
    with pytest.raises(hsi_ssl.HsiSslError, match="of the 10 that it uses"):
        run.predict(cube[..., :7])
