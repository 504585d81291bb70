"""What the server makes of requests that no page makes, over real connections."""

from __future__ import annotations

import json
import logging
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rasterio.shutil import copy

from hsi_ssl.view import connections
from hsi_ssl.view.server import HERE
from hsi_ssl.view.shown import shown

OURS = b"Host: localhost\r\n"
ODD = (
    "%C2%B2", "%D9%A0", "%EF%BC%90", "1_0", "+1", "-1", "-0", "0x0", "1e3", "1.0", "%201", "0%20",
    "9" * 5000, "9223372036854775807", "9223372036854775808", "18446744073709551616", "1000000",
    "999999999999999999", "..", "..%2f", "%2e%2e%2f%2e%2e", "%2fetc%2fpasswd", "%5c", "%00",
    "0%00", "%", "%zz", "%ff", "%c0%af", "[0]", "0;1", "null", "nan", "{scene}", "", "/",
    "a" * 5000, "<script>", "'", "%0d%0aX:%201",
)  # fmt: skip
"""Parts of addresses."""


@pytest.fixture(scope="module")
def port(project: Any, serving: Any) -> Iterator[int]:
    with shown([project.map]) as found, serving(found) as url:
        yield int(url.split(":")[2].split("/")[0])


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    """Nothing a stranger sends may show on the terminal of who looks at his map."""
    told: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(self.format(record))

    keep = Keep(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio")]
    for logger in loggers:
        logger.addHandler(keep)
    yield
    for logger in loggers:
        logger.removeHandler(keep)
    assert not told


def sent(port: int, *parts: bytes, patience: float = 10) -> bytes:
    """What comes back until the other side closes; a pause lies between the parts."""
    with socket.create_connection((HERE, port), patience) as one:
        found = b""
        try:
            for i, part in enumerate(parts):
                time.sleep(0.1 * bool(i))
                one.sendall(part)
            while got := one.recv(65_536):
                found += got
        except ConnectionError:  # closed before all was sent
            pass
    return found


def asked(port: int, address: str, *, method: str = "GET", more: bytes = b"") -> tuple[int, bytes]:
    """Status and content of an answer to one request."""
    head = f"{method} {address} HTTP/1.1\r\n".encode("latin-1") + OURS + b"Connection: close\r\n"
    told, _, content = sent(port, head + more + b"\r\n").partition(b"\r\n\r\n")
    return int(told.split()[1]), content


@pytest.mark.parametrize(
    "place",
    [
        "scenes/{}", "scenes/{}/map/0/0/0", "scenes/0/{}/0/0/0", "scenes/0/map/{}/0/0",
        "scenes/0/map/0/{}/0", "scenes/0/map/0/0/{}", "scenes/0/scene/0/0/0?n={}",
        "scenes/0/scene/0/0/0?n=1,{},2", "scenes/0/pixel/{}/0", "scenes/0/pixel/0/{}",
        "static/{}", "static/leaflet/{}", "{}",
    ],
)  # fmt: skip
def test_odd_addresses_are_not_there(port: int, place: str) -> None:
    for odd in ODD:
        status, content = asked(port, "/the-token/" + place.format(odd))
        assert 300 <= status < 500 or (status == 200 and odd in ("", "-0", "/")), (odd, content)
        assert b"Traceback" not in content


def test_classes_that_no_code_can_be_are_not_there(port: int) -> None:
    for odd in ODD[: ODD.index("..")]:
        status, content = asked(port, f"/the-token/classes/{odd}")
        known = odd.isdigit() and len(odd) <= 18
        assert status == (200 if known else 404)
        if known:
            assert json.loads(content) == {"code": int(odd), "quantiles": None}


def test_a_picture_takes_three_numbers_at_most(port: int) -> None:
    tile = "/the-token/scenes/0/scene/0/0/0?n="
    assert asked(port, tile + "1,2,3")[0] == 200
    for numbers in (
        "1,2,3,4",
        ",".join("1" * 8000),
        "1,,2",
        ",",
        "1,2,",
        "1;2;3",
        "%31,2,3,",
        "14,0,0",
    ):
        assert asked(port, tile + numbers)[0] == 404, numbers
    assert asked(port, "/the-token/scenes/0/labels/0/0/0?n=999999999999999999")[0] == 200


def test_addresses_drawn_at_random(port: int) -> None:
    draw = random.Random(20)
    good = (
        "the-token",
        "scenes",
        "0",
        "map",
        "labels",
        "scene",
        "confidence",
        "pixel",
        "1",
        "static",
        "view.js",
    )
    for _ in range(300):
        parts = [
            draw.choice(good) if draw.random() < 0.7 else draw.choice(ODD)
            for _ in range(draw.randint(1, 7))
        ]
        start = "/the-token/" if draw.random() < 0.9 else "/"
        query = f"?n={draw.choice(ODD)}" if draw.random() < 0.3 else ""
        address = start + "/".join(parts) + query
        if not set(address) & set(" "):
            status, content = asked(port, address)
            assert status < 500, (address, content)


def test_no_file_beside_the_page_is_served(port: int, project: Any) -> None:
    for way in (
        "static/../{}", "static/%2e%2e/{}", "static/..%2f{}", "static/leaflet/../../{}",
        "static/..%5c{}", "static/view.js%00/../{}", "..%2f..%2f{}", "static/%252e%252e/{}",
        f"static/{Path(connections.__file__).parent}/{{}}", f"static/%2f{project.map}",
    ):  # fmt: skip
        status, content = asked(port, f"/the-token/{way.format('server.py')}")
        assert status in (403, 404), way
        assert b"import" not in content
        assert b"II*" not in content


def test_only_looking_is_allowed(port: int) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO"):
        told = sent(port, f"{method} /the-token/view.json HTTP/1.1\r\n".encode() + OURS + b"\r\n")
        assert told.startswith(b"HTTP/1.1 405"), method
        assert b"allow: GET, HEAD" in told
    status, content = asked(port, "/the-token/view.json", method="HEAD")
    assert (status, content) == (200, b"")


def test_nothing_takes_a_body(port: int) -> None:
    for method in ("GET", "HEAD"):
        for more in (
            b"Content-Length: 5\r\n",
            b"Content-Length: 99999999999\r\n",
            b"Transfer-Encoding: chunked\r\n",
        ):
            assert asked(port, "/the-token/view.json", method=method, more=more)[0] == 413, more
    assert asked(port, "/the-token/view.json", more=b"Content-Length: 0\r\n")[0] == 200
    head = b"POST /the-token/view.json HTTP/1.1\r\n" + OURS + b"Content-Length: 9999999999\r\n\r\n"
    started = time.monotonic()
    sent(port, head, bytes(10_000_000))  # closed on the way
    assert time.monotonic() - started < 5


def test_hosts_that_are_not_this_machine(port: int) -> None:
    request = b"GET /the-token/view.json HTTP/1.1\r\nConnection: close\r\nHost: "
    for host in (
        "[::1]", f"[::1]:{port}", "0.0.0.0", "127.0.0.1.evil.example", "evil.example:127.0.0.1",
        "localhost.", "127.0.0.1@evil", "127.0.0.1:x", "2130706433", "127.1", "", "a" * 5000,
    ):  # fmt: skip
        assert sent(port, request + host.encode() + b"\r\n\r\n").startswith(b"HTTP/1.1 403"), host
    for host in ("LOCALHOST", f"127.0.0.1:{port}"):
        assert sent(port, request + host.encode() + b"\r\n\r\n").startswith(b"HTTP/1.1 200"), host
    for none in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    ):
        assert sent(port, none).startswith(b"HTTP/1.1 400")


def test_requests_that_are_none(port: int) -> None:
    chunked = b" HTTP/1.1\r\n" + OURS + b"Transfer-Encoding: chunked\r\n\r\n"
    for request in (b"GET /", b"POST /", b"GET /the-token/view.json", b"POST /the-token/view.json"):
        head = request + chunked
        for parts in ([head + b"zz\r\n"], [head, b"zz\r\n"], [head + b"2\r\nhi\r\n", b"zz\r\n"]):
            assert sent(port, *parts).startswith(b"HTTP/1.1 4"), parts
    for garbage in (
        b"garbage\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\0" * 1000 + b"\r\n\r\n", b"GET /the-token/\xff HTTP/1.1\r\n" + OURS + b"\r\n",
        b"GET / HTTP/9.9\r\n" + OURS + b"\r\n",
        b"GET / HTTP/1.1\r\n" + OURS + b"Content-Length: x\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + OURS + b"\r\n",
        b"GET / HTTP/1.1\r\n" + OURS + (b"X: " + b"a" * 1000 + b"\r\n") * 1000 + b"\r\n",
    ):  # fmt: skip
        assert sent(port, garbage)[:10] in (b"HTTP/1.1 4", b""), garbage[:60]
    upgrade = OURS + b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n"
    assert sent(port, b"GET / HTTP/1.1\r\n" + upgrade).startswith(b"HTTP/1.1 403")
    many = (b"GET /the-token/ HTTP/1.1\r\n" + OURS + b"\r\n") * 20 + b"garbage\r\n\r\n"
    answers = sent(port, many)
    assert answers.count(b"HTTP/1.1 200") == 20
    assert answers.count(b"HTTP/1.1 400") == 1


def test_who_asks_nothing_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.3)
    started = time.monotonic()
    assert sent(port) == b""
    assert sent(port, b"GET /the-token/ HT") == b""
    whole = b"GET /the-token/ HTTP/1.1\r\n" + OURS + b"\r\n"
    told = sent(port, whole, b"GET /the-token/vi")
    assert told.startswith(b"HTTP/1.1 200")
    assert told.count(b"HTTP/1.1") == 1
    assert time.monotonic() - started < 4


def test_many_connections(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST", 5)
    monkeypatch.setattr(connections, "PATIENCE", 1.5)
    held = [socket.create_connection((HERE, port), 10) for _ in range(5)]
    try:
        time.sleep(0.2)
        assert sent(port, b"GET /the-token/ HTTP/1.1\r\n" + OURS + b"\r\n") == b""
        assert [one.recv(1) for one in held] == [b""] * 5
        assert asked(port, "/the-token/view.json")[0] == 200
    finally:
        for one in held:
            one.close()


@pytest.mark.parametrize("driver", ["ENVI", "GTiff"])
def test_a_scene_that_breaks_while_it_is_shown(
    project: Any, tmp_path: Path, serving: Any, driver: str
) -> None:
    scene = tmp_path / ("flight.dat" if driver == "ENVI" else "flight.tif")
    copy(project.scene, scene, driver=driver)
    with shown([project.map], scene=scene) as found, serving(found) as url:
        port = int(url.split(":")[2].split("/")[0])
        with scene.open("r+b") as file:
            file.truncate(20_000)
        for address in ("scenes/0/scene/1/1/1?n=0,1,2", "scenes/0/pixel/290/330"):
            status, content = asked(port, f"/the-token/{address}")
            assert status == 422
            assert str(scene) in json.loads(content)["error"]
        scene.unlink()
        assert asked(port, "/the-token/scenes/0/pixel/290/330")[0] == 422
        assert asked(port, "/the-token/scenes/0/map/0/0/0")[0] == 200
