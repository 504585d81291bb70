"""How to add, as docs/adding.md tells it: one of each kind, in a copy of the sources, and used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from small_datasets import three_minerals

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "adding.md"


class Addition(NamedTuple):
    """A file, and a line in another: what stands there, and what is put behind it.

    `text` of a file that is there already is added to its end.
    """

    file: str
    text: str
    where: str = ""
    behind: str = ""
    line: str = ""


EXTRACTOR = '''
from hsi_ssl.models.extractors.autoencoder import Autoencoder


class Dummy(Autoencoder):
    """Codes that are small."""

    title = "dummy extractor"

    def penalty(self, x, codes, again, generator):
        return codes.square().sum(-1)
'''
SCALING = '''
from hsi_ssl.datasets.scalings.levels import Maximum


class Dummy(Maximum):
    """Divided by twice the largest value."""

    kind = "dummy"

    @classmethod
    def measure(cls, sample):
        found = super().measure(sample)
        return {**found, "maximum": 2 * found["maximum"]}
'''
FORMAT = """
import json

import numpy as np

from hsi_ssl.scenes.format import Format
from hsi_ssl.scenes.readers.named_arrays import scene_of_arrays


def open_cube(path, variable):
    from hsi_ssl.scenes.readers import numpy_file

    cube = path.with_suffix(".npy")
    np.save(cube, np.array(json.loads(path.read_text())["cube"]))
    return numpy_file.open_cube(cube, variable)


FORMAT = Format("dummy", lambda head: head.path.suffix == ".dummy", open_cube, open_cube)
"""
PRODUCT = """
from hsi_ssl.scenes.product import Product


def main(candidate):
    return candidate.path if candidate.path.suffix == ".delivered" else None


def open_cube(path, wanted):
    from hsi_ssl.scenes.readers import numpy_file

    return numpy_file.open_cube(path.with_suffix(".npy"), wanted.variable)


PRODUCT = Product("dummy", main, open_cube)
"""
QUANTISER = '''
from hsi_ssl.models.quantisers.kohonen import Kohonen


class Dummy(Kohonen):
    """Prototypes of nobody."""
'''
PRESET = """

DUMMY = Preset("dummy model", gm_dgm_generation, label_first)
"""
CLASSIFIER = '''
from hsi_ssl.models.classifiers.perceptron import Perceptron


class Dummy(Perceptron):
    """A perceptron by another name."""

    title = "dummy classifier"
'''
TERM = '''
class Dummy:
    """A cost of its own."""

    name = "dummy"
    in_bound = False

    def weight(self, settings):
        return settings.terms.get(self.name, 0.0)

    def in_words(self, settings, e_step):
        return "a dummy term"

    def cost(self, step):
        return step.module.log_q(step.x).exp().square().mean()
'''
FORM = '''
"""Drawn labels of nobody."""


def takes(file):
    return file.suffix == ".dummy-labels"
'''
BASELINE = """

class Dummy(KNN):
    title = "dummy baseline"
"""
COMMAND = """
import click


@click.command("dummy")
def command():
    click.echo("a dummy was run")
"""

ADDITIONS = {
    "feature extractor": Addition(
        "hsi_ssl/models/extractors/dummy.py",
        EXTRACTOR,
        "hsi_ssl/models/extractors/__init__.py",
        '"vae": "hsi_ssl.models.m1:M1",',
        '"dummy": "hsi_ssl.models.extractors.dummy:Dummy",',
    ),
    "scaling": Addition(
        "hsi_ssl/datasets/scalings/dummy.py",
        SCALING,
        "hsi_ssl/datasets/scalings/__init__.py",
        '"none": f"{HOME}.levels:AsItIs",',
        '"dummy": f"{HOME}.dummy:Dummy",',
    ),
    "format of scenes": Addition(
        "hsi_ssl/scenes/readers/dummy.py",
        FORMAT,
        "hsi_ssl/scenes/readers/__init__.py",
        '"IDX": f"{HOME}.idx:FORMAT",',
        '"dummy": f"{HOME}.dummy:FORMAT",',
    ),
    "product of a sensor": Addition(
        "hsi_ssl/scenes/products/dummy.py",
        PRODUCT,
        "hsi_ssl/scenes/products/__init__.py",
        '"PRISMA": f"{HOME}.prisma:PRODUCT",',
        '"dummy": f"{HOME}.dummy:PRODUCT",',
    ),
    "quantiser": Addition(
        "hsi_ssl/models/quantisers/dummy.py",
        QUANTISER,
        "hsi_ssl/models/quantisers/__init__.py",
        '"som": "hsi_ssl.models.quantisers.som:SelfOrganisingMap",',
        '"dummy": "hsi_ssl.models.quantisers.dummy:Dummy",',
    ),
    "model of labels, z and x": Addition(
        "hsi_ssl/models/presets.py",
        PRESET,
        "hsi_ssl/models/presets.py",
        '"m2": "hsi_ssl.models.presets:M2",',
        '"dummy": "hsi_ssl.models.presets:DUMMY",',
    ),
    "other classifier": Addition(
        "hsi_ssl/models/classifiers/dummy.py",
        CLASSIFIER,
        "hsi_ssl/models/classifiers/__init__.py",
        '"perceptron": "hsi_ssl.models.classifiers.perceptron:Perceptron",',
        '"dummy-classifier": "hsi_ssl.models.classifiers.dummy:Dummy",',
    ),
    "term of the objective": Addition(
        "hsi_ssl/training/terms/dummy.py",
        TERM,
        "hsi_ssl/training/terms/__init__.py",
        '"balance": f"{HOME}.balance:Balance",',
        '"dummy": f"{HOME}.dummy:Dummy",',
    ),
    "form of drawn labels": Addition(
        "hsi_ssl/labels/forms/dummy.py",
        FORM,
        "hsi_ssl/labels/forms/__init__.py",
        '"OGR": f"{HOME}.ogr",',
        '"dummy": f"{HOME}.dummy",',
    ),
    "baseline of `compare`": Addition(
        "hsi_ssl/comparing/classifiers.py",
        BASELINE,
        "hsi_ssl/comparing/baselines.py",
        '"lda": "hsi_ssl.comparing.classifiers:LDA",',
        '"dummy": "hsi_ssl.comparing.classifiers:Dummy",',
    ),
    "option of a command": Addition(
        "hsi_ssl/settings.py",
        "",
        "hsi_ssl/cli/train_m1.py",
        '@click.option("--batch", type=int, help="Spectra a step.")',
        '\n@click.option("--weight-prior/--no-weight-prior", default=None)',
    ),
    "command": Addition(
        "hsi_ssl/cli/dummy.py",
        COMMAND,
        "hsi_ssl/cli/main.py",
        '"init": "init",',
        '"dummy": "dummy",',
    ),
    "scene of the catalog": Addition(
        "hsi_ssl/data_catalog/dummy.toml",
        (ROOT / "data_catalog" / "indian-pines.toml").read_text(encoding="utf-8"),
    ),
    "recipe": Addition("hsi_ssl/configs/dummy.toml", "# A dummy.\n[m2.terms]\ndummy = 0.5\n"),
}

USED = """
from pathlib import Path

import numpy as np
from click.testing import CliRunner

import hsi_ssl
from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.scaling import fit_scaler, scaler_from_card
from hsi_ssl.labels import forms


def run(*words):
    found = CliRunner().invoke(cli, words)
    assert found.exit_code == 0, (words, found.output, found.exception)
    return found.output


assert Path(hsi_ssl.__file__).is_relative_to(Path.cwd())
run("init", "dummy")
m1 = ("train-m1", "dataset.h5", "--extractor", "dummy", "--no-weight-prior", "--latent", "3")
assert "dummy extractor" in run(*m1, "--epochs", "2", "-o", "m1")
run("train-m2", "dataset.h5", "--m1", "m1", "--model", "dummy", "--epochs", "2", "-o", "m2")
assert "dummy extractor+dummy model" in run("info", "m2")
other = ("train-m2", "dataset.h5", "--m1", "m1", "--model", "dummy-classifier", "--epochs", "2")
assert "dummy extractor+dummy classifier" in run(*other, "-o", "other")
card = Path("m2/model.json").read_text()
assert "a dummy term, outside the bound" in card
assert "term_dummy" in Path("m2/metrics.csv").read_text().splitlines()[0]
few = ("--units", "4", "--epochs", "2", "-o", "q")
assert "dummy of 4 units" in run("quantise", "dataset.h5", "--method", "dummy", *few)
x = np.arange(12.0).reshape(3, 4)
scaler = scaler_from_card(fit_scaler("dummy", x, components=2).to_card())
assert np.allclose(scaler.transform(x), x / 22)
assert "dummy" in run("prepare", "--help")
Path("cube.dummy").write_text('{"cube": ' + str(np.ones((4, 5, 9)).tolist()) + "}")
assert "4" in run("info", "cube.dummy")
np.save("cube.npy", np.ones((6, 7, 9)))
Path("cube.delivered").touch()
assert "6 rows" in run("info", "cube.delivered")
assert forms.form_of(Path("a.dummy-labels")).__name__.endswith("dummy")
compared = ("--extractors", "none", "--classifiers", "dummy", "--labels", "3", "--seeds", "1")
run("compare", "dataset.h5", *compared)
assert "dummy baseline" in Path("runs/compare/index.html").read_text()
assert "a dummy was run" in run("dummy")
assert "dummy" in run("catalog", "list")
"""


def added(folder: Path, addition: Addition) -> None:
    """Put a file in its place, and a line in the registry that knows it."""
    file = folder / addition.file
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text(before + addition.text, encoding="utf-8")
    if addition.where:
        registry = folder / addition.where
        text = registry.read_text(encoding="utf-8")
        assert text.count(addition.behind) == 1
        text = text.replace(addition.behind, f"{addition.behind} {addition.line}")
        registry.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_one_of_each_kind_takes_a_file_and_a_line(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hsi_ssl", tmp_path / "hsi_ssl", ignore=ignored)
    for name in ("cli", "configs", "data_catalog"):
        shutil.copytree(ROOT / name, tmp_path / "hsi_ssl" / name, ignore=ignored)
    for addition in ADDITIONS.values():
        added(tmp_path, addition)
    three_minerals(tmp_path / "dataset.h5")
    found = subprocess.run(
        [sys.executable, "-c", USED],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr


def test_the_page_tells_the_same_kinds_and_places() -> None:
    rows = re.findall(
        r"^\| ([^|]+?) \| `([^|]+?)`[^|]* \| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.M
    )
    told = {kind: (place, line) for kind, place, line in rows if (ROOT / place).exists()}
    assert list(told) == list(ADDITIONS)
    for kind, (place, line) in told.items():
        addition = ADDITIONS[kind]
        assert addition.file.replace("hsi_ssl/cli", "cli").startswith(
            (place, f"hsi_ssl/{place}")
        ), kind
        assert (line == "-") == (not addition.where), kind
