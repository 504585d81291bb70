"""Settings: every shipped recipe loads; mistakes are named in the user's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsi_ssl.catalog.entries import entries
from hsi_ssl.checking import checked
from hsi_ssl.errors import OutputError, SettingsError
from hsi_ssl.recipes import copy_recipe, recipe_text, recipes
from hsi_ssl.settings import (
    ClassifySettings,
    M2Settings,
    PrepareSettings,
    Project,
    load_project,
)


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_recipe_loads_and_names_known_data(name: str, tmp_path: Path) -> None:
    path = copy_recipe(name, tmp_path / "hsi-ssl.toml")
    project = load_project(path)
    known = set(entries())
    assert set(project.prepare.sources) <= known
    assert set(project.classify.scenes) <= known
    assert project.prepare.sources
    assert recipe_text(name).startswith("# ")


def test_a_recipe_replaces_nothing_unasked(tmp_path: Path) -> None:
    (tmp_path / "hsi-ssl.toml").write_text("# mine")
    with pytest.raises(OutputError, match="exists already"):
        copy_recipe("drillcore", tmp_path / "hsi-ssl.toml")
    assert (tmp_path / "hsi-ssl.toml").read_text() == "# mine"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean salinas-a"):
        recipe_text("salinas")


def test_without_a_file_the_defaults_serve() -> None:
    assert load_project(None) == Project()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[prepare]\ncapp = 3\n", r"unknown key prepare\.capp; did you mean cap\?"),
        ("[m3]\n", "unknown key m3; known here: classify, discover, m1, m2, prepare"),
        ("[m2]\nzzzz = 1\n", r"unknown key m2\.zzzz; known here: activation, alpha"),
        ("[m1]\nlatent = 0\n", r"m1\.latent: .*greater than or equal to 1 \(found 0\)"),
        ("[m1]\nlikelihood = 'poisson'\n", r"m1\.likelihood: .*'gaussian'"),
        ("[prepare]\nvalidation = 0.6\ntest = 0.5\n", "validation \\+ test must leave something"),
        ("[prepare]\ntrain_labels = ['a.tif']\n", "go together"),
        ("[prepare]\nexclude = '1450-1350'\n", "exclude: .*1450-1350 ends before it begins"),
        ("[prepare]\nexclude = [1350, 1450]\n", "exclude: 1350 is no range"),
        ("[prepare]\nmask = 'core.tif'\n", r"mask: expected a list, such as \[\"core\.tif\"\]"),
        ("[classify]\nscale = inf\n", r"scale: .*finite number \(found inf\)"),
        ("[prepare\n", "is no valid TOML"),
        ("seed = 1\n", "unknown key seed"),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "hsi-ssl.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_project(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value) or "TOML" in str(caught.value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "hsi-ssl.toml"
    path.write_text("[prepare]\ncapp = 3\n[m1]\nlatent = -1\n")
    with pytest.raises(SettingsError, match=r"prepare\.capp.*; m1\.latent"):
        load_project(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="hsi-ssl init"):
        load_project(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("stage", "values"),
    [
        (PrepareSettings, {"train_labels": ("a",), "test_labels": ("b",), "split": "blocks"}),
        (M2Settings, {"class_prior": "often"}),
    ],
)
def test_contradictions_are_refused(stage: Any, values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        checked(stage, values, where="options")


@pytest.mark.parametrize(
    "text",
    ['"1350-1450, 1800-1950"', "[[1350, 1450], [1800, 1950]]", '["1350-1450", [1800, 1950]]'],
)
def test_ranges_to_exclude(text: str, tmp_path: Path) -> None:
    path = tmp_path / "hsi-ssl.toml"
    path.write_text(f"[prepare]\nexclude = {text}\n")
    settings = load_project(path).prepare
    assert settings.exclude == ("1350-1450", "1800-1950")
    assert [(r.low, r.high) for r in settings.excluded] == [(1350, 1450), (1800, 1950)]
    assert PrepareSettings(**settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("given", "kept"), [("learnt", "learnt"), ("tuned", "tuned"), ("0.5", 0.5), (2, 2.0)]
)
def test_strength_of_the_prior_on_maps(given: object, kept: object) -> None:
    assert checked(ClassifySettings, {"spatial": given}, where="here").spatial == kept


@pytest.mark.parametrize("given", ["lots", -1, 11, "inf", "nan", None])
def test_a_strength_that_is_none_is_refused_in_one_sentence(given: object) -> None:
    with pytest.raises(SettingsError, match="a strength from 0 to 10, learnt or tuned"):
        checked(ClassifySettings, {"spatial": given}, where="here")


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000])
def test_values_that_toml_gives_up_on_are_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "hsi-ssl.toml"
    path.write_text(f"[m1]\nlatent = {value}\n")
    with pytest.raises(SettingsError, match="is no valid TOML"):
        load_project(path)
