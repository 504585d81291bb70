"""Run folders, reports, comparisons, datasets, settings: what the package itself writes."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import given
import h5py
import numpy as np
from cases import INFO, INFO_WORDS, Case
from mutating import mutated
from mutating_texts import ODD_TEXTS
from mutations import Files

from hsi_ssl.checksums import checksum, sealed, unsealed
from hsi_ssl.datasets.store import CHECKS, META

SCENE, DATA = "given/scene.tif", "given/dataset.h5"


def copied(folder: Path, name: str) -> Path:
    """A file or folder of those that are given."""
    found = given.made(name)
    if found.is_dir():
        shutil.copytree(found, folder / name)
    else:
        shutil.copy(found, folder / name)
    return folder / name


def unfinished(folder: Path) -> Path:
    """A training that was cut off: a state and no card."""
    path = copied(folder, "m1m2")
    (path / "model.json").unlink()
    (path / "model.safetensors").unlink()
    return path


def of_cards(rng: random.Random, files: Files) -> Files:
    """Cards that a stranger has changed and sealed, as checksums only tell damage."""
    found = dict(files)
    for name in files:
        if name.endswith(".json") and rng.random() < 0.7:
            try:
                card: Any = unsealed(files[name].decode())
            except ValueError:
                continue
            if not isinstance(card, dict) or not card:
                continue
            _, card = mutated(card, rng.randrange(2**32))
            if isinstance(card, dict):
                found[name] = json.dumps(sealed(card)).encode("utf-8", "surrogatepass")
    return found


def of_arrays(rng: random.Random, files: Files) -> Files:
    """A dataset whose text or a column is another, with the checksums of that."""
    ((name, content),) = files.items()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.h5"
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            checks = json.loads(file[CHECKS][:].tobytes())
            if rng.random() < 0.6:
                _, meta = mutated(json.loads(file[META][:].tobytes()), rng.randrange(2**32))
                text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
                del file[META]
                file[META] = text
                checks[META] = checksum(text)
            else:
                column = rng.choice(sorted(set(file) - {META, CHECKS, "spectra"}))
                values = _odd(rng, file[column][()])
                del file[column]
                file[column] = values
                checks[column] = checksum(values)
            del file[CHECKS]
            file[CHECKS] = np.frombuffer(json.dumps(checks).encode(), np.uint8)
        return {name: path.read_bytes()}


def _odd(rng: random.Random, values: np.ndarray) -> np.ndarray:
    """A column of other numbers, another type or another shape."""
    kind = rng.choice(["numbers", "one", "type", "short", "axis"])
    if kind == "type":
        return values.astype(rng.choice(["f4", "i8", "u1", "S3"]))
    if kind == "short":
        return values[:-1]
    if kind == "axis":
        return values[None]
    found = values.copy()
    limits = np.iinfo(found.dtype)
    number = rng.choice([-1, 0, 1, 3, limits.min, limits.max, len(values)])
    found[slice(None) if kind == "numbers" else 0] = np.clip(number, limits.min, limits.max)
    return found


def runs() -> list[Case]:
    """Run folders and reports."""
    info = (INFO, INFO_WORDS)
    classify = ("classify", SCENE, "--model", "@", "-o", "out/map.tif", "-q")
    m2 = (
        *info,
        classify,
        INFO,
        classify,
        INFO,
        ("suggest", "@", SCENE, "-o", "out/s.gpkg", "-n", "5", "-q"),
        *info,
        classify,
        INFO,
        ("features", SCENE, "--m1", "given/pca", "-o", "out/f.tif", "-q"),
        INFO,
    )
    figures = (
        ("evaluate", "@", DATA, "--report", "out/report", "-q"),
        *m2,
        ("generate", "@", "-o", "out/g", "--dataset", DATA, "-q"),
        *m2,
        INFO,
        ("distil", "@", DATA, "-o", "out/student", "-q"),
        INFO,
    )
    found_by = ("discover", "@", SCENE, "-o", "out/d", "-q", "--min-pixels", "1")
    m1 = (
        *info,
        ("features", SCENE, "--m1", "@", "-o", "out/f.tif", "-q"),
        INFO,
        ("features", DATA, "--m1", "@", "-o", "out/f.h5", "-q"),
        INFO,
        ("train-m2", DATA, "--m1", "@", "--model", "lvq", "-o", "out/lvq", "-q"),
        INFO,
    )
    som = (*info, ("quantise", SCENE, "--model", "@", "-o", "out/m.tif", "-q"))
    resume = (
        "train-m2",
        DATA,
        "--m1",
        "given/m1",
        "-o",
        "in/m1m2",
        "--resume",
        "-q",
        "--project",
        "given/hsi-ssl.toml",
    )
    card, weights = ("**/model.json",), ("**/*.safetensors", "**/*.csv")
    found = []
    for name, actions in {
        "m2": figures,
        "m1m2": m2,
        "lvq": m2,
        "free": (found_by, *m2),
        "m1": m1,
        "pca": m1,
        "som": som,
    }.items():
        write = partial(copied, name=name)
        found += [
            Case(
                f"run {name}: card",
                "runs",
                write,
                actions,
                card,
                writes=("in",) if name == "free" else (),
            ),
            Case(
                f"run {name}: card sealed",
                "runs",
                write,
                actions,
                card,
                also=of_cards,
                writes=("in",) if name == "free" else (),
            ),
            Case(
                f"run {name}: weights",
                "runs",
                write,
                actions,
                weights,
                writes=("in",) if name == "free" else (),
            ),
        ]
    found.append(Case("unfinished run", "runs", unfinished, (*info, resume), writes=("in",)))
    report = ("evaluate", "--map", "given/map.tif", "--reference", "@", "--report", "out/r", "-q")
    judged = (
        "evaluate",
        "--map",
        "@",
        "--reference",
        "given/labels.tif",
        "--report",
        "out/r",
        "-q",
    )
    masked = ("classify", SCENE, "--model", "given/lvq", "--mask", "@", "-o", "out/map.tif", "-q")
    return [
        *found,
        *(
            Case(
                title + sealed, "runs", partial(copied, name=name), info, ("**/*.json",), also=also
            )
            for title, name in (("report", "report"), ("discovery", "discovered"))
            for sealed, also in (("", None), (" sealed", of_cards))
        ),
        Case(
            "comparison",
            "runs",
            partial(copied, name="compare"),
            (
                *info,
                (
                    "compare",
                    DATA,
                    "-o",
                    "in/compare",
                    *given.COMPARED,
                    "-q",
                    "--project",
                    "given/hsi-ssl.toml",
                ),
            ),
            ("**/*.json",),
            writes=("in",),
        ),
        Case("class map", "runs", _map, (INFO, judged, INFO_WORDS), ("**/map.tif*", "**/map.json")),
        Case("reference", "runs", partial(copied, name="labels.tif"), (report,)),
        Case("mask", "runs", partial(copied, name="mask.tif"), (INFO, masked)),
    ]


def _map(folder: Path) -> Path:
    given.made("map.tif")
    for name in ("map.tif.aux.xml", "map.json", "map.qml", "map.csv"):
        copied(folder, name)
    return copied(folder, "map.tif")


def datasets() -> list[Case]:
    """Prepared datasets."""
    actions = (
        INFO,
        INFO_WORDS,
        ("balance", "@", "--report", "out/r", "-q"),
        INFO,
        ("features", "@", "--m1", "given/pca", "-o", "out/f.h5", "-q"),
        ("train-m1", "@", "-o", "out/m1", "--extractor", "pca", "-q"),
        INFO,
        ("train-m2", "@", "--no-m1", "--model", "lvq", "-o", "out/lvq", "-q"),
        ("suggest", "given/lvq", "@", "-o", "out/s.gpkg", "-n", "5", "-q"),
    )
    write = partial(copied, name="dataset.h5")
    return [
        Case("dataset", "datasets", write, actions),
        Case("dataset sealed", "datasets", write, actions, also=of_arrays),
    ]


PROJECT = """\
[prepare]
sources = ["given/scene.tif"]
labels = ["given/labels.tif"]
output = "out/d.h5"
cap = 100
split = "pixels"
seed = 3
scaling = "standard"
unlabelled = 100

[m1]
dataset = "given/dataset.h5"
output = "out/m1"
extractor = "pca"
latent = 3
hidden = [8]
batch = 64
epochs = 1

[m2]
dataset = "given/dataset.h5"
output = "out/m2"
latent = 2
hidden = [8]
epochs = 1
supervised_epochs = 1
learning_rate = 0.001

[classify]
model = "given/lvq"
spatial = 0.5
"""


def project(folder: Path) -> Path:
    """Settings of a project."""
    path = folder / "hsi-ssl.toml"
    path.write_text(PROJECT)
    return path


def of_settings(rng: random.Random, files: Files) -> Files:
    """Settings that are TOML, each of another value or kind."""
    ((name, content),) = files.items()
    lines = content.decode(errors="replace").splitlines()
    some = [i for i, line in enumerate(lines) if "=" in line]
    for i in rng.sample(some, min(len(some), rng.choice([1, 1, 2, 3]))):
        key = lines[i].partition("=")[0]
        odd = rng.choice(ODD_TEXTS)
        lines[i] = f"{key}= " + rng.choice(
            [
                "0",
                "-1",
                "1e308",
                "nan",
                "inf",
                "true",
                '""',
                "[]",
                "{}",
                "[[1]]",
                "2020-01-01",
                "1.5",
                '"x"',
                "9" * 30,
                "1_000",
                "0x7f",
                "[1, 2, 3]",
                '["a", 1]',
                json.dumps(odd),
            ]
        )
    return {name: "\n".join(lines).encode("utf-8", "replace")}


def settings() -> list[Case]:
    """Settings of a project."""
    actions = (
        ("info", SCENE, "--json", "--project", "@"),
        ("prepare", "--project", "@", "-q"),
        ("train-m1", "--project", "@", "-q"),
        ("classify", SCENE, "-o", "out/map.tif", "--project", "@", "-q"),
        (
            "balance",
            SCENE,
            "--labels",
            "given/labels.tif",
            "--project",
            "@",
            "--report",
            "out/r",
            "-q",
        ),
    )
    return [
        Case("settings", "settings", project, actions, writes=(".",)),
        Case(
            "settings of other kinds", "settings", project, actions, also=of_settings, writes=(".",)
        ),
    ]
