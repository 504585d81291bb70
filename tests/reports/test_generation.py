"""Generated spectra as files."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from small_projects import called

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import OutputError
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.generation import Generator
from hsi_ssl.maps.real_spectra import active_pool, of_dataset
from hsi_ssl.reports.generation import write_generated
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2


@pytest.mark.slow
def test_a_folder_of_figures_and_tables_of_m1_and_m2(tiny_dataset: Dataset, tmp_path: Path) -> None:
    common = {"dataset": tiny_dataset.path, "device": "cpu", "hidden": (16,), "epochs": 2}
    train_m1(M1Settings(**common, output=tmp_path / "m1", latent=4))
    train_m2(
        M2Settings(
            **common, output=tmp_path / "m2", m1=tmp_path / "m1", latent=2, supervised_epochs=2
        )
    )
    classifier = load_classifier(tmp_path / "m2", "cpu")
    generator = Generator(classifier)
    measured = of_dataset(tiny_dataset, generator)
    assert measured.titles == ("quartz", "kaolinite", "white mica")
    pool = active_pool(tiny_dataset, classifier, tmp_path / "m2")
    written = write_generated(generator, measured, pool, tmp_path / "g")
    names = ("analogies", "interpolations", "reconstructions", "styles")
    assert [p.name for p in written] == [f"{n}{s}" for n in names for s in (".csv", ".png")]
    rows = {}
    for name in names:
        assert matplotlib.image.imread(tmp_path / "g" / f"{name}.png").std() > 0
        with (tmp_path / "g" / f"{name}.csv").open(newline="") as file:
            rows[name] = list(csv.reader(file))
    assert [float(w) for w in rows["styles"][0][3:]] == pytest.approx(
        tiny_dataset.wavelengths_nm, abs=0.01
    )
    assert len(rows["styles"]) == 1 + 3 * 2 * 7
    assert len(rows["analogies"]) == 1 + 3 * 3
    assert rows["reconstructions"][1][:2] == ["quartz", "measured"]
    np.testing.assert_allclose(
        np.array(rows["reconstructions"][1][2:], float), measured.raw[0], rtol=1e-4
    )
    with pytest.raises(OutputError, match="exists already"):
        write_generated(generator, measured, pool, tmp_path / "g")


@pytest.mark.slow
@pytest.mark.parametrize("bands", [1, 2])
def test_of_few_bands_too(bands: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kind = np.indices((24, 24))[1] // 12
    noise = np.random.default_rng(0).normal(0, 0.1, (24, 24, bands))
    np.save("scene.npy", (kind[..., None] + noise).astype(np.float32))
    np.save("labels.npy", (kind + 1).astype(np.uint8))
    called("prepare", "scene.npy", "--labels", "labels.npy", "--scaling", "none", "--block", 6)
    called(
        "train-m2", "--no-m1", "--hidden", "8", "--epochs", 1, "--supervised-epochs", 1,
        "--device", "cpu",
    )  # fmt: skip
    called("generate", "--device", "cpu")
    assert (tmp_path / "runs/m2/generated/styles.png").is_file()
