"""`hsi-ssl catalog`."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from hsi_ssl.catalog import entries as catalog
from hsi_ssl.cli.main import cli
from hsi_ssl.errors import CatalogError
from hsi_ssl.scenes import simulate


@pytest.fixture(autouse=True)
def empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("HSI_SSL_DATA", str(tmp_path / "data"))


def test_list_says_what_is_here() -> None:
    result = CliRunner().invoke(cli, ["catalog", "list"])
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert lines["indian-pines"].endswith("yes")
    assert lines["salinas"].endswith("no, can be fetched")
    assert lines["drillcore-sim"].endswith("no, simulates itself")
    assert lines["alhue-drillcore"].endswith("no, yours to add")
    assert len(lines) == 11


def test_list_as_json() -> None:
    result = CliRunner().invoke(cli, ["catalog", "list", "--json"])
    found = {entry["name"]: entry for entry in json.loads(result.output)["entries"]}
    assert found["indian-pines"]["here"] is True
    assert found["indian-pines"]["classes"] == 16
    assert found["ksc"]["here"] is False
    assert found["ksc"]["folder"] is None


def test_show_tells_classes_licence_and_citation() -> None:
    result = CliRunner().invoke(cli, ["catalog", "show", "pavia-university"])
    assert result.exit_code == 0, result.output
    for word in ("Painted metal sheets", "licence", "citation", "#e06647", "no, can be fetched"):
        assert word in result.output


def test_show_colours_classes_on_a_terminal_and_nowhere_else() -> None:
    asked = ["catalog", "show", "pavia-university"]
    seen = CliRunner().invoke(cli, asked, color=True).output
    assert "\x1b[48;2;224;102;71m  \x1b[0m #e06647" in seen
    plain = CliRunner().invoke(cli, asked).output
    assert "8     #e06647" in plain
    assert "x1b" not in plain


@pytest.mark.parametrize("name", list(catalog.entries()))
def test_every_entry_can_be_shown(name: str) -> None:
    plain = CliRunner().invoke(cli, ["catalog", "show", name])
    assert plain.exit_code == 0, plain.output
    assert max(map(len, plain.output.splitlines())) <= 120
    shown = json.loads(CliRunner().invoke(cli, ["catalog", "show", name, "--json"]).output)
    assert shown["name"] == name
    assert shown["label_sets"]
    assert {"code", "name", "colour"} == set(
        (shown["label_sets"][0]["classes"] or [{"code": 0, "name": 0, "colour": 0}])[0]
    )


def test_fetch_uses_what_is_here() -> None:
    result = CliRunner().invoke(cli, ["catalog", "fetch", "indian-pines", "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert answer["was_here"] is True
    assert answer["bytes"] > 8_000_000


@pytest.mark.slow
def test_only_fetch_writes_into_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "simulate", partial(simulate.simulate, rows=24, cols=40))
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir(mode=0o555)
    prepare = ["prepare", "drillcore-sim", "--unlabelled", "100", "--components", "5", "-o"]
    first = CliRunner().invoke(cli, [*prepare, str(tmp_path / "1.h5")])
    assert first.exit_code == 0, first.output
    assert f"simulating 10 scenes into {cache / 'drillcore-sim'}, once" in first.output
    assert len(list((cache / "drillcore-sim").glob("*.h5"))) == 10
    assert not list(data.iterdir())

    shutil.rmtree(cache)
    data.chmod(0o755)
    fetched = CliRunner().invoke(cli, ["catalog", "fetch", "drillcore-sim", "--json"])
    assert json.loads(fetched.output)["folder"] == str(data)
    for folder in (data / "drillcore-sim", data):
        folder.chmod(0o555)
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    again = CliRunner().invoke(cli, [*prepare, str(tmp_path / "2.h5")])
    assert again.exit_code == 0, again.output
    assert "simulating" not in again.output
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    assert not cache.exists()


def test_fetch_says_what_only_the_user_can_do() -> None:
    result = CliRunner().invoke(cli, ["catalog", "fetch", "enmap-potsdam"])
    assert isinstance(result.exception, CatalogError)
    assert "scene.tif" in str(result.exception)


def test_a_wrong_name_is_one_sentence() -> None:
    result = CliRunner().invoke(cli, ["catalog", "show", "indianpines"])
    assert isinstance(result.exception, CatalogError)
    assert "did you mean indian-pines" in str(result.exception)
