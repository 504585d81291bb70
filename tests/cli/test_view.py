"""`hsi-ssl view` from its arguments to Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A map of two classes and its scene, which it names; the model is gone."""
    monkeypatch.chdir(tmp_path)
    np.save("scene.npy", np.arange(1, 61).reshape(3, 4, 5))
    with rasterio.open(
        "map.tif", "w", driver="GTiff", height=3, width=4, count=1, dtype="uint8", crs="EPSG:32719",
        transform=rasterio.Affine(5, 0, 300_000, 0, -5, 7_400_000),
    ) as raster:  # fmt: skip
        raster.write(np.array([[1, 2, 1, 0]] * 3, np.uint8), 1)
        raster.update_tags(SCENE="scene.npy", MODEL="runs/gone")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(folder: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-m", "hsi_ssl.cli", "view", "map.tif", "--no-browser", "--json"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(url + "scenes/0/pixel/2/1") as answer:
            told = json.load(answer)
        assert told["spectrum"] == [46, 47, 48, 49, 50]
        assert told["map"] == 2
        other = url.rstrip("/")[:-1] + "x/"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(other)
        process.send_signal(end)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + end
    assert out == ""
    assert "Traceback" not in err
    assert err.count("Warning: ") == 1
    assert "the page is closed; the same command opens it again" in err
    assert "--model" in err


def test_bad_input_is_one_sentence(hsi_ssl: Callable[..., Any], folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = hsi_ssl("view", "map.tif", "--no-browser", "-q", "--port", port)
    assert ran.code == 2
    assert f"port {port}" in ran.err
    for arguments, words in (
        (["gone.tif"], "gone.tif"),
        (["scene.npy"], "no class map"),
        ([], "runs/m2"),
        (["map.tif", "--model", "gone"], "no model in gone"),
        (["map.tif", "--scene", "map.tif", "--port", "70000"], "70000"),
    ):
        ran = hsi_ssl("view", *arguments, "--no-browser")
        assert ran.code == 2, arguments
        assert words in ran.err
        assert ran.out == ""
