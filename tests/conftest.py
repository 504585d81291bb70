"""What every test may use."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hearing import Hears
from rasterio.errors import NotGeoreferencedWarning

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.labels.label_set import LabelClass, LabelSet


class Browser:
    """Headless Chromium with one tab, spoken to in the DevTools protocol over a pipe.

    `events` holds what it reported since the last `open`.
    """

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

    def open(
        self, page: Path | str, *, width: int = 1200, height: int = 900, dark: bool = False
    ) -> None:
        """Load a page, a file or an address, and wait until it is complete."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        url = page if isinstance(page, str) else page.resolve().as_uri()
        self.call("Page.navigate", url=url)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, condition: str, *, seconds: float = 30) -> None:
        """Wait until a JavaScript expression holds in the page; what never does fails the test."""
        ends = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < ends, f"never came true: {condition}"
            time.sleep(0.02)

    def click(self, x: float, y: float) -> None:
        """Click with the mouse at a place of the window, in its pixels."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button="none" if kind == "mouseMoved" else "left",
                clickCount=int(kind != "mouseMoved"),
            )

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
def real_data() -> Callable[[str], Path]:
    """Give the path of a file or folder of real data, or skip, saying why.

    Under CI nothing is skipped: missing data is a failure there.
    """

    def find(name: str) -> Path:
        folder = os.environ.get("HSI_SSL_DATA")
        if folder and (Path(folder) / name).exists():
            return Path(folder) / name
        reason = f"needs real data: set HSI_SSL_DATA to a folder that holds {name}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)

    return find


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


@pytest.fixture
def hears() -> Hears:
    return Hears()


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset of 3 classes (codes 2, 7, 32) on a 40 x 30 scene of 12 bands, easy to learn."""
    rng = np.random.default_rng(0)
    rows, cols, bands = 40, 30, 12
    place = np.indices((rows, cols)).reshape(2, -1).T
    label = (place[:, 1] // 10).astype(np.int16)
    shapes = 2000 + 600 * np.sin(np.linspace(0, 4, bands)[None] * np.array([[1.0], [1.6], [2.3]]))
    light = rng.uniform(0.7, 1.3, (len(place), 1))
    spectra = (shapes[label] * light + rng.normal(0, 25, (len(place), bands))).astype(np.uint16)
    # Rows 0-19 train, 20-27 validation, 28-33 test, the rest pool; few training labels.
    part = np.select(
        [place[:, 0] < 20, place[:, 0] < 28, place[:, 0] < 34],
        [Part.TRAIN, Part.VALIDATION, Part.TEST],
        Part.POOL,
    ).astype(np.uint8)
    part[(part == Part.TRAIN) & (rng.random(len(part)) < 0.8)] = Part.POOL
    label[part == Part.POOL] = -1
    learnt = spectra[np.isin(part, (Part.TRAIN, Part.POOL))]
    label_set = LabelSet(
        "minerals",
        (
            LabelClass(2, "quartz", "#aaaaaa"),
            LabelClass(7, "kaolinite", "#dd8844"),
            LabelClass(32, "white mica", "#3366aa"),
        ),
    )
    return write_dataset(
        tmp_path_factory.mktemp("dataset") / "dataset.h5",
        spectra=spectra,
        label=label,
        part=part,
        scene=np.zeros(len(part), np.int16),
        pixel=place.astype(np.int32),
        neighbours=np.full((len(part), 8), -1, np.int32),
        unit=np.where(label < 0, -1, place[:, 0] * 3 + place[:, 1] // 10).astype(np.int32),
        meta={
            "title": "tiny",
            "unit_kind": "patch",
            "sources": [
                {"name": "tiny", "fingerprint": "0" * 64, "rows": rows, "cols": cols, "path": ""}
            ],
            "bands": bands,
            "used_bands": list(range(bands)),
            "wavelengths_nm": np.linspace(1000, 2500, bands).tolist(),
            "fwhm_nm": None,
            "label_set": label_set.to_card(),
            "settings": {},
            "scaling": fit_scaler("standard", learnt, components=bands).to_card(),
            "seed": 0,
            "transductive": False,
            "split": {"kind": "blocks", "guard": 0},
            "image_like": False,
            "counts": {
                "classes": [
                    {
                        "code": c.code,
                        "name": c.name,
                        "count": int((label == k).sum()),
                        "by_scene": {"0": int((label == k).sum())},
                    }
                    for k, c in enumerate(label_set.classes)
                ],
                "pixels": rows * cols,
                "unlabelled": int((label < 0).sum()),
                "pool": int((part == Part.POOL).sum()),
                "guard": 0,
            },
        },
    )


@pytest.fixture(scope="session")
def two_label_sets(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset of 3 minerals and 2 rocks on a 40 x 40 scene of 12 bands, easy to learn.

    Of its labelled pixels two fifths have lost their mineral, two fifths their rock.
    """
    rng = np.random.default_rng(1)
    rows, cols, bands = 40, 40, 12
    place = np.indices((rows, cols)).reshape(2, -1).T
    mineral, rock = place[:, 1] // 14, place[:, 0] // 5 % 2
    along = np.linspace(0, 4, bands)[None]
    shapes = 2000 + 600 * np.sin(along * np.array([[1.0], [1.6], [2.3]]))
    spectra = shapes[mineral] + np.array([[0.0], [150.0]])[rock] * along
    spectra = spectra * rng.uniform(0.9, 1.1, (len(place), 1)) + rng.normal(0, 20, (1600, bands))
    part = np.select(
        [place[:, 1] % 14 < 8, place[:, 1] % 14 < 10, place[:, 1] % 14 < 12],
        [Part.TRAIN, Part.VALIDATION, Part.TEST],
        Part.POOL,
    ).astype(np.uint8)
    part[(part == Part.TRAIN) & (rng.random(len(part)) < 0.7)] = Part.POOL
    label = np.stack([mineral, rock], axis=1).astype(np.int16)
    label[part == Part.POOL] = -1
    lost = rng.choice([0, 1, 2], len(part), p=[0.4, 0.4, 0.2])
    for i in (0, 1):
        label[(lost == i) & np.isin(part, (Part.TRAIN, Part.VALIDATION)), i] = -1
    sets = (
        LabelSet("mineralogy", tuple(LabelClass(c, f"mineral {c}", "#aa8844") for c in (2, 7, 32))),
        LabelSet("lithology", tuple(LabelClass(c, f"rock {c}", "#3366aa") for c in (101, 104))),
    )
    raw = spectra.astype(np.uint16)
    folder = tmp_path_factory.mktemp("two")
    each = [
        {
            "label_set": label_set.to_card(),
            "split": {"kind": "blocks", "guard": 0},
            "counts": {
                "classes": [
                    {
                        "code": c.code,
                        "name": c.name,
                        "count": int((label[:, i] == k).sum()),
                        "by_scene": {"0": int((label[:, i] == k).sum())},
                    }
                    for k, c in enumerate(label_set.classes)
                ],
                "pixels": rows * cols,
                "unlabelled": int((label[:, i] < 0).sum()),
                "pool": int(((part == Part.POOL) | ((part == 0) & (label[:, i] < 0))).sum()),
                "guard": 0,
            },
        }
        for i, label_set in enumerate(sets)
    ]
    learnt = np.isin(part, (Part.TRAIN, Part.POOL))
    return write_dataset(
        folder / "dataset.h5",
        spectra=raw,
        label=label,
        part=part,
        scene=np.zeros(len(part), np.int16),
        pixel=place.astype(np.int32),
        neighbours=neighbour_table(np.zeros(len(part), np.int16), place.astype(np.int32)),
        meta={
            "title": "two",
            "sources": [
                {"name": "two", "fingerprint": "1" * 64, "rows": rows, "cols": cols, "path": ""}
            ],
            "bands": bands,
            "used_bands": list(range(bands)),
            "wavelengths_nm": np.linspace(1000, 2500, bands).tolist(),
            "fwhm_nm": None,
            "label_sets": each,
            "settings": {},
            "scaling": fit_scaler("noise", raw[learnt], components=6).to_card(),
            "seed": 0,
            "transductive": False,
            "split": {"kind": "blocks", "guard": 0},
            "image_like": False,
        },
    )


NORTH_UP = rasterio.Affine(30, 0, 365_000, 0, -30, 5_810_000)
"""Where `write_cube` puts its cubes, in UTM zone 33."""


@pytest.fixture(scope="session")
def write_layer() -> Callable[..., Path]:
    """Write geometries as a vector layer, by default with a field `class` of 1, 2, ..."""
    drivers = {
        ".gpkg": "GPKG",
        ".shp": "ESRI Shapefile",
        ".geojson": "GeoJSON",
        ".fgb": "FlatGeobuf",
    }

    def write(
        path: Path,
        geometries: Sequence[Any],
        fields: dict[str, Sequence[Any]] | None = None,
        *,
        crs: str | None = "EPSG:32633",
        layer: str | None = None,
        kind: str = "Unknown",
        append: bool = False,
    ) -> Path:
        fields = {"class": range(1, len(geometries) + 1)} if fields is None else fields
        columns = [
            np.array(values, object if len(values) and isinstance(values[0], str | None) else None)
            for values in fields.values()
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a layer without CRS is what some tests want
            pyogrio.raw.write(
                path,
                shapely.to_wkb(np.array([*geometries, None], object)[:-1]),
                columns,
                list(fields),
                layer=layer,
                geometry_type=kind,
                crs=crs,
                driver=drivers[path.suffix],
                append=append,
            )
        return path

    return write


@pytest.fixture(scope="session")
def write_cube() -> Callable[..., Path]:
    """Write a small cube as a GeoTIFF; by default of 30 m pixels in UTM zone 33."""

    def write(
        path: Path,
        rows: int = 20,
        cols: int = 24,
        *,
        crs: str | None = "EPSG:32633",
        transform: rasterio.Affine | None = NORTH_UP,
        bands: int = 6,
        **more: Any,
    ) -> Path:
        values = np.random.default_rng(0).integers(1, 4000, (bands, rows, cols)).astype(np.uint16)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(
                path, "w", driver="GTiff", height=rows, width=cols, count=len(values),
                dtype="uint16", crs=crs, transform=transform, **more,
            ) as file:  # fmt: skip
                file.write(values)
        return path

    return write


@pytest.fixture(scope="session")
def on_ground() -> Callable[..., Any]:
    """Bring a geometry from pixel coordinates (x: column, y: row) to the ground of `write_cube`."""

    def place(geometry: Any, transform: rasterio.Affine = NORTH_UP) -> Any:
        a, b, c, d, e, f = tuple(transform)[:6]
        return shapely.transform(geometry, lambda xy: xy @ [[a, d], [b, e]] + [c, f])

    return place
