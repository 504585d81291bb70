"""Every extractor of features as a user meets it: trained, applied, under a classifier, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import torch

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.models.extractors import EXTRACTORS

SMALL = ("--hidden", "8", "--latent", "5", "--epochs", "2")
SETTINGS = """
[m2]
supervised_epochs = 2
hidden_classifier = [8]
novelty_samples = 1
em_rounds = 1
"""

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "dataset.h5").symlink_to(tiny_dataset.path)
    (tmp_path / "hsi-ssl.toml").write_text(SETTINGS)
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0)[:, :12]
    with rasterio.open(
        "scene.tif", "w", driver="GTiff", height=12, width=30, count=12, dtype="uint16"
    ) as raster:
        raster.write(cube)


def card(run: str = "runs/m1") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "model.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", list(EXTRACTORS))
def test_from_training_to_a_map(hsi_ssl: Run, tiny_dataset: Dataset, name: str) -> None:
    own = () if EXTRACTORS[name].closed_form else SMALL
    ran = hsi_ssl("train-m1", "--extractor", name, "--latent", 5, *own)
    assert ran.code == 0, ran.err
    assert "5 of 5 " in ran.out
    assert "wrote runs/m1; now: hsi-ssl train-m2" in ran.out
    found = card()
    assert (found["extractor"], found["architecture"]["latent"]) == (name, 5)
    kept = found["metrics"]["explained_variance"]
    assert (kept is not None) == EXTRACTORS[name].decodes
    assert Path("runs/m1/figures/generated.png").read_bytes().startswith(b"\x89PNG")

    assert hsi_ssl("features", tiny_dataset.path, "-o", "features.h5").code == 0
    with h5py.File("features.h5") as file:
        assert np.isfinite(file["mean"][:]).all()
        assert ("logvar" in file) == EXTRACTORS[name].distributions

    ran = hsi_ssl("train-m2", *SMALL)
    assert ran.code == 0, ran.err
    ran = hsi_ssl("classify", "scene.tif", "--novelty", "-o", "map.tif")
    assert ran.code == 0, ran.err
    with rasterio.open("map.tif") as raster:
        assert set(np.unique(raster.read(1))) <= {2, 7, 32}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ae", "position"])
def test_what_is_no_model_of_spectra_says_so(hsi_ssl: Run, name: str) -> None:
    assert hsi_ssl("train-m1", "--extractor", name, *SMALL).code == 0
    assert hsi_ssl("train-m2", *SMALL).code == 0
    title = EXTRACTORS[name].title
    ran = hsi_ssl("generate", "runs/m2", "-o", "generated")
    assert ran.code == 2
    assert f"Error: {title} has no p(x|z), so spectra are not generated" in ran.err
    ran = hsi_ssl(
        "classify", "scene.tif", "--novelty", "--novelty-by", "likelihood", "-o", "map.tif"
    )
    assert ran.code == 2
    assert "novelty by likelihood needs a model of spectra" in ran.err
    assert title in ran.err
    assert not Path("generated").exists()
    assert not Path("map.tif").exists()
    assert hsi_ssl("evaluate").code == 0
    assert Path("runs/m2/report/index.html").exists()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("ae", "--option", "penalty=1"), "auto-encoder has no option penalty: it has codes"),
        (("pca", "--option", "penalty=1"), "PCA has no option penalty: it has none"),
        (("vae", "--option", "codes=sigmoid"), "M1 has no option codes: it has none"),
        (("sparse-entropy", "--option", "codes=relu"), "codes must lie in [0, 1]"),
        (("denoising", "--option", "zeroed=lots"), "is a number such as 0.1, not 'lots'"),
        (("stacked", "--hidden", "none"), "it has hidden layers to stack"),
        (("position", "--latent", "7"), "ask for a multiple of 5 (--latent)"),
        (("masked", "--option", "run=9"), "run=9 bands hidden side by side, of 12: from 1 to 6"),
        (("ae", "--latent", "2000"), "2000 units of auto-encoder for 780 spectra to learn from"),
        (("pca", "--latent", "13"), "vary in 12 directions: ask for at most 12 (--latent)"),
        (("sparse", "--latent", "7"), "'sparse' is not one of vae, pca, ae"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    hsi_ssl: Run, wrong: tuple[str, ...], sentence: str
) -> None:
    ran = hsi_ssl("train-m1", "--extractor", *wrong)
    assert ran.code == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    assert not Path("runs/m1").exists()


@pytest.mark.slow
def test_settings_of_no_use_are_said_and_left_aside(hsi_ssl: Run) -> None:
    ran = hsi_ssl("train-m1", "--extractor", "pca", "--hidden", "9", "--epochs", "3")
    assert ran.code == 0, ran.err
    assert "PCA has no use for epochs, hidden: left aside" in ran.out
    # Without --latent as many components as there are columns, not the 50 of other extractors.
    assert card()["architecture"] == {"width": 12, "latent": 12}


@pytest.mark.slow
def test_options_come_from_the_settings_file_too(hsi_ssl: Run) -> None:
    Path("hsi-ssl.toml").write_text(
        '[m1]\nextractor = "denoising"\n[m1.options]\nnoise = 0.3\nzeroed = 0.2\n'
    )
    assert hsi_ssl("train-m1", *SMALL, "--option", "noise=0.4").code == 0
    architecture = card()["architecture"]
    assert (architecture["noise"], architecture["zeroed"]) == (0.4, 0.2)


@pytest.mark.slow
def test_another_extractor_of_the_same_shape_may_start_one(hsi_ssl: Run) -> None:
    assert hsi_ssl("train-m1", "--extractor", "ae", *SMALL, "-o", "runs/ae").code == 0
    still = ("--learning-rate", "1e-12", "--init-from", "runs/ae")
    ran = hsi_ssl("train-m1", "--extractor", "denoising", *SMALL, *still)
    assert ran.code == 0, ran.err
    assert "starts with the networks of auto-encoder in runs/ae" in ran.out
    kept = [card(run)["metrics"]["explained_variance"] for run in ("runs/ae", "runs/m1")]
    assert kept[0] == pytest.approx(kept[1], abs=1e-4)
    for other in ("sparse-entropy", "contractive", "position", "vae"):  # other codes or networks
        ran = hsi_ssl("train-m1", "--extractor", other, *SMALL, *still, "-o", "runs/other")
        assert ran.code == 2, other
        assert "another architecture" in ran.err
        assert not Path("runs/other").exists()
    ran = hsi_ssl("train-m1", "--extractor", "pca", *still, "-o", "runs/other")
    assert ran.code == 2
    assert "is worked out anew from the spectra" in ran.err


@pytest.mark.slow
def test_principal_components_may_start_a_linear_autoencoder(hsi_ssl: Run) -> None:
    assert hsi_ssl("train-m1", "--extractor", "pca", "--latent", "3", "-o", "runs/pca").code == 0
    ran = hsi_ssl(
        "train-m1", "--extractor", "ae", "--hidden", "none", "--latent", "3", "--epochs", "1",
        "--learning-rate", "1e-12", "--init-from", "runs/pca",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    kept = [card(run)["metrics"]["explained_variance"] for run in ("runs/pca", "runs/m1")]
    assert kept[0] == pytest.approx(kept[1], abs=0.002)


def test_help_tells_where_options_are_told_and_every_extractor_has_its_row(hsi_ssl: Run) -> None:
    assert "docs/extractors.md" in hsi_ssl("train-m1", "--help").out
    page = (Path(__file__).parents[2] / "docs" / "extractors.md").read_text(encoding="utf-8")
    for name, kind in EXTRACTORS.items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        for option, default in kind.own_options().items():
            assert f"`{option}={default}`" in row, (name, option)
