"""`hsi-ssl simulate`."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
from click.testing import CliRunner

from hsi_ssl.cli.main import cli
from hsi_ssl.errors import OutputError, SettingsError

SMALL = ["--scenes", "2", "--rows", "20", "--cols", "24"]


def test_writes_scenes_and_says_where(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["simulate", "-o", str(tmp_path / "s"), *SMALL, "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert answer["folder"] == str(tmp_path / "s")
    assert [Path(p).name for p in answer["scenes"]] == [f"drillcore-sim-0{i}.h5" for i in (1, 2)]
    with h5py.File(answer["scenes"][1]) as file:
        assert file["hsimage/data"].shape == (20, 24, 268)


def test_seed_and_overwrite(tmp_path: Path) -> None:
    arguments = ["simulate", "-o", str(tmp_path), *SMALL]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    before = (tmp_path / "drillcore-sim-01.h5").read_bytes()
    refused = CliRunner().invoke(cli, arguments)
    assert isinstance(refused.exception, OutputError)
    result = CliRunner().invoke(cli, [*arguments, "--overwrite", "--seed", "5"])
    assert result.exit_code == 0
    assert "hsi-ssl prepare" in result.output
    assert (tmp_path / "drillcore-sim-01.h5").read_bytes() != before


def test_no_scenes_is_no_request(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["simulate", "-o", str(tmp_path), "--scenes", "0"])
    assert isinstance(result.exception, SettingsError)
    assert not list(tmp_path.iterdir())
