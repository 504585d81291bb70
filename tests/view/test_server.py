"""What the server answers, over real connections: numbers, refusals, headers."""

from __future__ import annotations

import gzip
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pytest
import rasterio

from hsi_ssl.datasets.store import Part, open_dataset
from hsi_ssl.errors import SettingsError
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.scenes.scene import Array
from hsi_ssl.view.server import HERE, serve
from hsi_ssl.view.shown import Shown, shown


class Project(Protocol):
    """See conftest."""

    folder: Any
    cube: Array
    scene: Any
    run: Any
    map: Any


@pytest.fixture(scope="module")
def address(project: Project, serving: Any) -> Iterator[str]:
    with shown([project.map]) as found, serving(found) as url:
        yield url


def ask(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, content and headers of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            status, content, told = answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        status, content, told = error.code, error.read(), dict(error.headers)
    if told.get("content-encoding") == "gzip":
        content = gzip.decompress(content)
    return status, content, told


def values(url: str) -> Any:
    status, content, _ = ask(url)
    assert status == 200, content
    return json.loads(content)


def test_nothing_without_the_token(address: str) -> None:
    root = address.removesuffix("the-token/")
    for path in ("", "view.json", "the-toke/", "the-token2/view.json", "static/view.js", "/x"):
        status, content, headers = ask(root + path)
        assert status == 403
        assert b"token" in content
        assert headers["content-security-policy"].startswith("default-src 'none'")
    assert ask(address)[0] == ask(address + "view.json")[0] == 200


def test_nothing_for_another_host(address: str) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1]"):
        assert ask(address, Host=host)[0] == 403
    port = address.split(":")[2].split("/", maxsplit=1)[0]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "localhost"):
        assert ask(address, Host=host)[0] == 200


def test_only_this_machine_is_listened_to(address: str) -> None:
    port = int(address.split(":")[2].split("/", maxsplit=1)[0])
    others = {
        info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    } - {HERE}
    for other in others:
        with socket.socket() as elsewhere:
            assert elsewhere.connect_ex((str(other), port)) != 0


def test_the_page_may_load_only_what_is_its_own(address: str) -> None:
    _, page, headers = ask(address)
    policy = headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert b"//" not in page.replace(b"<!doctype", b"")
    for name in ("leaflet/leaflet.js", "leaflet/leaflet.css", "leaflet/LICENSE", "view.js"):
        assert ask(f"{address}static/{name}")[0] == 200
    assert ask(f"{address}static/../server.py")[0] in (403, 404)


def test_what_is_not_there_is_404(address: str) -> None:
    for path in (
        "scenes/1", "scenes/0/novelty/0/0/0", "scenes/0/map/3/0/0", "scenes/0/map/0/1/0",
        "scenes/0/scene/0/0/0?n=99", "scenes/0/scene/0/0/0?n=1,2", "scenes/0/pixel/300/0", "x",
    ):  # fmt: skip
        assert ask(address + path)[0] == 404, path


def test_the_scene_is_described(address: str, project: Project) -> None:
    view = values(address + "view.json")
    assert view["title"] == "flight_classes.tif"
    assert [c["code"] for c in view["classes"]] == [2, 7, 300] == view["columns"]
    scene = values(address + "scenes/0")
    assert (scene["rows"], scene["cols"], scene["depth"]) == (300, 340, 1)
    assert scene["crs"] == "EPSG:32633"
    assert scene["transform"] == [30, 0, 360_000, 0, -30, 5_810_000]
    assert [b["band"] for b in scene["bands"]] == [b for b in range(14) if b != 5]
    assert len(scene["wavelengths_nm"]) == 13
    with rasterio.open(project.map) as raster:
        plane = raster.read(1)
    assert scene["counts"] == {str(c): int((plane == c).sum()) for c in (0, 2, 7, 300)}
    assert [m["name"] for m in scene["measures"]] == ["confidence", "entropy"]


def test_tiles_are_the_maps_pixels(address: str, project: Project) -> None:
    with rasterio.open(project.map) as raster:
        plane = raster.read(1)
    whole = np.zeros((512, 512), np.uint16)
    for x in (0, 1):
        for y in (0, 1):
            status, content, headers = ask(f"{address}scenes/0/map/1/{x}/{y}")
            assert status == 200
            assert "max-age" in headers["cache-control"]
            tile = np.frombuffer(content, "<u2").reshape(256, 256)
            whole[256 * y : 256 * (y + 1), 256 * x : 256 * (x + 1)] = tile
    np.testing.assert_array_equal(whole[:300, :340], plane)
    assert not whole[300:].any()
    with rasterio.open(project.folder / "flight_classes_confidence.tif") as raster:
        confidence = raster.read(1)[:256, :256]
    tile = np.frombuffer(ask(f"{address}scenes/0/confidence/1/0/0")[1], "<u2").reshape(256, 256)
    np.testing.assert_allclose((tile - 1.0) / 65_534, confidence, atol=1e-5)


def test_labels_are_the_datasets(address: str, project: Project) -> None:
    data = open_dataset(project.folder / "runs" / "dataset.h5")
    counts = values(address + "scenes/0")["labels"]
    for part in (Part.TRAIN, Part.VALIDATION, Part.TEST):
        rows = data.rows(part)
        assert counts[str(int(part))] == len(rows) > 0
        plane = np.zeros((512, 512), np.int64)
        plane[tuple(data.pixel[rows].T)] = data.label_set.codes[data.label[rows]]
        content = ask(f"{address}scenes/0/labels/1/1/0?n={int(part)}")[1]
        tile = np.frombuffer(content, "<u2").reshape(256, 256)
        np.testing.assert_array_equal(tile, plane[:256, 256:])


def test_a_pixel_is_the_scenes_spectrum_and_the_models_probabilities(
    address: str, project: Project
) -> None:
    row, col = 123, 77
    told = values(f"{address}scenes/0/pixel/{row}/{col}")
    used = [b for b in range(14) if b != 5]
    raw = project.cube[row, col, used]
    assert told["spectrum"] == raw.tolist()
    p = load_classifier(project.run, "cpu").posterior(raw[None])[0]
    np.testing.assert_allclose(told["probabilities"], p, rtol=1e-5)
    with rasterio.open(project.map) as raster:
        assert told["map"] == raster.read(1)[row, col]
    assert told["measures"]["confidence"] == pytest.approx(float(p.max()), rel=1e-4)


def test_neighbours_are_the_nearest_training_pixels(address: str, project: Project) -> None:
    data = open_dataset(project.folder / "runs" / "dataset.h5")
    classifier = load_classifier(project.run, "cpu")
    rows = data.rows(Part.TRAIN)
    picked = int(rows[17])
    row, col = data.pixel[picked].tolist()
    told = values(f"{address}scenes/0/pixel/{row}/{col}")
    code = int(data.label_set.codes[data.label[picked]])
    assert told["label"] == {"code": code, "part": "training"}
    scaled = classifier.scaler.transform(data.spectra(rows))
    far = np.linalg.norm(scaled - scaled[17], axis=1)
    nearest = np.argsort(far, kind="stable")[:5]
    assert told["neighbours"][0]["distance"] == pytest.approx(0, abs=1e-5)
    for found, i in zip(told["neighbours"], nearest, strict=True):
        assert found["distance"] == pytest.approx(far[i], rel=1e-4, abs=1e-4)
        assert [found["row"], found["col"]] == data.pixel[rows[i]].tolist()
        assert found["code"] == data.label_set.codes[data.label[rows[i]]]
        assert found["scene"] == 0
        assert found["spectrum"] == data.spectra(rows[[i]])[0].tolist()


def test_the_range_of_a_class(address: str, project: Project) -> None:
    data = open_dataset(project.folder / "runs" / "dataset.h5")
    told = values(address + "classes/300")["quantiles"]
    rows = np.flatnonzero((data.part == Part.TRAIN) & (data.label == 2))
    wanted = np.quantile(data.spectra(rows), (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
    np.testing.assert_allclose(told, wanted)
    assert values(address + "classes/9")["quantiles"] is None


def test_a_pixel_without_measurement(address: str) -> None:
    told = values(address + "scenes/0/pixel/3/320")
    assert told["valid"] is False
    assert told["spectrum"] is told["probabilities"] is told["measures"]["confidence"] is None
    assert told["map"] == 0
    assert told["neighbours"] == []


def test_a_port_in_use_is_one_sentence() -> None:
    nothing = Shown("", (), (), None, None)
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} cannot be used .*--port"):
            serve(nothing, port=port)
