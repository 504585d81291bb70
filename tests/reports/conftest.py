"""A headless browser, spoken to in the DevTools protocol over a pipe; a small trained run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.reports.figures import draw_generated
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2


class Browser:
    """Chromium with one tab. `events` holds what it reported since the last `open`."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        options = (
            "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
            "--disable-background-networking --remote-debugging-pipe"
        )
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4; copies
        # from 10 on make sure that the one does not overwrite the other.
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (to_read, to_write)]
        self._process = os.posix_spawn(
            program,
            [program, *options.split(), f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs[0], 3),
                (os.POSIX_SPAWN_DUP2, theirs[1], 4),
            ],
        )
        for fd in (to_read, to_write, *theirs):
            os.close(fd)
        self._buffer = b""
        self._last_id = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, answer["error"]
                found: dict[str, Any] = answer["result"]
                return found
            self.events.append(answer)

    def open(self, path: Path, *, width: int = 1200, dark: bool = False) -> None:
        """Load a page and wait until it is complete."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"][
            "value"
        ]

    def errors(self) -> list[str]:
        """What the page complained of."""
        return [
            json.dumps(e["params"])
            for e in self.events
            if e.get("method")
            in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        ]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, beyond itself and data in itself."""
        asked = [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(
            self.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def close(self) -> None:
        """End the browser."""
        os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)
        os.close(self._write)
        os.close(self._read)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            some = os.read(self._read, 1 << 16)
            assert some, "the browser ended"
            self._buffer += some
        first, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(first)
        return found


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, or a skipped test (a failure under CI) where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        reason = f"needs a browser to look at the page: one of {', '.join(names)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    found = Browser(program, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small M2 trained on the tiny dataset, with its figure of generated spectra."""
    folder = tmp_path_factory.mktemp("runs") / "m2"
    small = M2Settings(
        dataset=tiny_dataset.path,
        output=folder,
        m1=None,
        latent=3,
        hidden=(32,),
        epochs=40,
        alpha=100.0,
        batch_labelled=30,
        batch_unlabelled=100,
        device="cpu",
    )

    def draw(panels: Any, wavelengths_nm: Any, unit: str) -> None:
        draw_generated(folder / "figures" / "generated.png", wavelengths_nm, panels, unit)

    # One thread: a model this small gains nothing from two, and on a busy machine loses much.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_m2(small, draw=draw)
    torch.set_num_threads(threads)
    return folder
