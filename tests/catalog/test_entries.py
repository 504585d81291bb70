"""The catalog: its files, and fetching from a server of our own."""

from __future__ import annotations

import gzip
import hashlib
import socket
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hearing import Hears

from hsi_ssl.catalog import entries as catalog
from hsi_ssl.catalog.entries import Entry, entries, entry, fetch, locate, recognise
from hsi_ssl.checking import checked
from hsi_ssl.errors import CatalogError, FetchError, OutputError, SettingsError
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.opening import open_scene

NAMES = [
    "alhue-drillcore",
    "botswana",
    "drillcore-sim",
    "enmap-potsdam",
    "indian-pines",
    "ksc",
    "mnist",
    "pavia-university",
    "salinas",
    "salinas-a",
]


@pytest.fixture(autouse=True)
def own_folders(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test writes to the user's folders, and only those that ask for real data read them."""
    monkeypatch.setattr(catalog, "cache_folder", lambda: tmp_path / "cache")
    if "real_data" not in request.fixturenames:
        monkeypatch.delenv("HSI_SSL_DATA", raising=False)


# ------------------------------------------------------------------------------ shipped files


def test_all_known_data_sets_are_shipped() -> None:
    assert list(entries()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_entry_is_sound(name: str) -> None:
    known = entry(name)
    for label_set in known.label_sets:
        codes = [code for code, _, _ in label_set.classes]
        names = [n for _, n, _ in label_set.classes]
        colours = [c for _, _, c in label_set.classes]
        assert len(set(codes)) == len(codes)
        assert len(set(names)) == len(names)
        assert len(set(colours)) == len(colours)
        assert all(label_set.range[0] <= code <= label_set.range[1] for code in codes)
    wanted = {p for s in known.scenes for p in (s.cube, s.labels) if p}
    if known.origin == "download":
        assert {file.path for file in known.files} == wanted
        assert all(file.url.startswith("https://") for file in known.files)
    else:
        assert not known.files
    assert known.scenes or known.pattern
    assert known.howto or known.origin != "own"


@pytest.mark.parametrize(
    ("name", "bands"),
    [("salinas", 204), ("salinas-a", 204), ("botswana", 145), ("indian-pines", 200)],
)
def test_wavelengths_are_one_a_band_and_avoid_water(name: str, bands: int) -> None:
    known = entry(name)
    assert known.wavelengths_nm is not None
    w = np.array(known.wavelengths_nm)
    assert len(w) == bands
    assert known.wavelengths_note
    assert w.min() > 370
    assert w.max() < 2510
    assert not ((w > 1365) & (w < 1400)).any()
    assert not ((w > 1830) & (w < 1930)).any()


@pytest.mark.parametrize(
    ("name", "dip", "left", "right"),
    [
        # Absorptions of the air, in nm: oxygen, water vapour, carbon dioxide.
        ("salinas-a", 762, 740, 785),
        ("salinas-a", 1130, 1070, 1220),
        ("salinas-a", 2010, 1990, 2035),
        ("indian-pines", 762, 740, 785),
        ("indian-pines", 940, 870, 1005),
        ("indian-pines", 1130, 1070, 1220),
        ("indian-pines", 2010, 1990, 2035),
    ],
)
def test_nominal_wavelengths_put_the_airs_absorptions_in_place(
    name: str, dip: int, left: int, right: int, real_data: Callable[[str], Path]
) -> None:
    folder = None if name == "indian-pines" else real_data(name).parent
    located = locate(entry(name), folder)
    with open_scene(located.folder / located.scenes[0].cube) as scene:
        spectrum = scene.read().astype(float).mean(axis=(0, 1))
    w = np.array(located.entry.wavelengths_nm)
    near = np.flatnonzero((w > left) & (w < right))
    assert abs(w[near[spectrum[near].argmin()]] - dip) <= 15


def test_class_counts_are_the_published_ones(real_data: Callable[[str], Path]) -> None:
    plane = read_label_plane(real_data("salinas-a/SalinasA_gt.mat"))
    codes, counts = np.unique(plane[plane > 0], return_counts=True)
    assert codes.tolist() == [code for code, _, _ in entry("salinas-a").label_sets[0].classes]
    assert counts.tolist() == [391, 1343, 616, 1525, 674, 799]


def test_an_unknown_key_is_an_error() -> None:
    file = resources.files("hsi_ssl.data_catalog") / "salinas-a.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    with pytest.raises(SettingsError, match="did you mean licence"):
        checked(Entry, {"name": "x", **table, "license": "MIT"}, where="x.toml")


@pytest.mark.parametrize(
    ("wrong", "near"), [("salinas_a", "salinas-a"), ("Indian-Pine", "indian-pines")]
)
def test_an_unknown_name_names_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(CatalogError, match=f"did you mean {near}"):
        entry(wrong)


def test_label_sets_by_name_and_range() -> None:
    known = entry("alhue-drillcore")
    assert known.label_set(None).name == "mineralogy"
    lithology = known.label_set("lithology")
    assert lithology.within(np.array([0, 5, 101, 199, 200])).tolist() == [0, 0, 101, 199, 0]
    with pytest.raises(CatalogError, match="mineralogy, lithology"):
        known.label_set("colour")
    digits = entry("mnist").label_set("digits").label_set()
    assert isinstance(digits, LabelSet)
    assert dict(zip(digits.codes.tolist(), digits.names, strict=True))[10] == "0"


def test_cubes_are_recognised_by_their_publishers_names() -> None:
    found = recognise(Path("/elsewhere/SalinasA_corrected.mat"))
    assert found is not None
    assert (found[0].name, found[1].variable) == ("salinas-a", "salinasA_corrected")
    simulated = recognise(Path("drillcore-sim-123.h5"))
    assert simulated is not None
    assert simulated[0].name == "drillcore-sim"
    assert recognise(Path("scene.tif")) is None  # too common a name to mean EnMAP Potsdam
    assert recognise(Path("mine.h5")) is None


# ------------------------------------------------------------------------------ where files lie


def test_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog.data_folder() == tmp_path / "cache"
    monkeypatch.setenv("HSI_SSL_DATA", str(tmp_path / "data"))
    assert catalog.data_folder() == tmp_path / "data"


def test_the_platforms_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    assert catalog.cache_folder().name == "hsi-ssl"


def test_indian_pines_comes_with_tensorly() -> None:
    located = fetch(entry("indian-pines"))
    assert located.complete
    with open_scene(located.folder / located.scenes[0].cube) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (145, 145, 200)
    plane = read_label_plane(located.folder / str(located.scenes[0].labels))
    assert np.bincount(plane.ravel())[1:4].tolist() == [46, 1428, 830]


def test_files_of_the_user_are_found_and_never_fetched(tmp_path: Path) -> None:
    known = entry("alhue-drillcore")
    assert not locate(known).complete
    with pytest.raises(CatalogError, match="put the cubes"):
        fetch(known)
    cube = tmp_path / "cache/alhue-drillcore/core.h5"
    cube.parent.mkdir(parents=True)
    cube.write_bytes(b"12345")
    located = fetch(known)
    assert [scene.cube for scene in located.scenes] == ["alhue-drillcore/core.h5"]
    assert located.size == 5


def small_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator itself, with boxes of 16 x 16 pixels."""
    from hsi_ssl.scenes import simulate

    monkeypatch.setattr(simulate, "simulate", partial(simulate.simulate, rows=16, cols=16))


def test_drillcore_sim_simulates_itself_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    small_simulator(monkeypatch)
    located = fetch(entry("drillcore-sim"), watcher=hears)
    assert located.complete
    assert len(located.scenes) == 10
    assert located.folder == tmp_path / "cache"
    assert len(hears.said) == 1
    before = (located.folder / located.scenes[0].cube).stat().st_mtime_ns
    fetch(entry("drillcore-sim"), watcher=hears)
    assert (located.folder / located.scenes[0].cube).stat().st_mtime_ns == before
    assert len(hears.said) == 1


def locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder, which nobody may write to."""
    folder.mkdir(exist_ok=True)
    for inside in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        inside.chmod(0o555)
    monkeypatch.setenv("HSI_SSL_DATA", str(folder))
    return folder


@pytest.mark.parametrize("mode", [0o555, 0o755])
def test_only_who_asks_for_it_has_the_data_folder_written_to(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    small_simulator(monkeypatch)
    data = locked(tmp_path / "data", monkeypatch)
    data.chmod(mode)
    located = fetch(entry("drillcore-sim"), watcher=hears)
    assert located.complete
    assert located.folder == tmp_path / "cache"
    assert any(str(tmp_path / "cache" / "drillcore-sim") in sentence for sentence in hears.said)
    assert not list(data.iterdir())
    assert locate(entry("drillcore-sim")).folder == tmp_path / "cache"


def test_who_asks_for_it_gets_it_into_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    small_simulator(monkeypatch)
    monkeypatch.setenv("HSI_SSL_DATA", str(tmp_path / "data"))
    located = fetch(entry("drillcore-sim"), to_data_folder=True)
    assert located.complete
    assert located.folder == tmp_path / "data"
    assert not (tmp_path / "cache").exists()
    # From then on it is used as it is.
    locked(tmp_path / "data", monkeypatch)
    before = everything_in(tmp_path / "data")
    assert fetch(entry("drillcore-sim"), watcher=hears).folder == tmp_path / "data"
    assert not hears.said
    assert everything_in(tmp_path / "data") == before
    assert not (tmp_path / "cache").exists()


def test_a_read_only_data_folder_is_left_alone_also_by_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    small_simulator(monkeypatch)
    data = locked(tmp_path / "data", monkeypatch)
    located = fetch(entry("drillcore-sim"), to_data_folder=True, watcher=hears)
    assert located.folder == tmp_path / "cache"
    assert "read-only" in hears.said[0]
    assert not list(data.iterdir())


# ------------------------------------------------------------------------------ downloads


class Shop(BaseHTTPRequestHandler):
    """Serves what `files` holds; breaks off in the middle of paths that end in `.broken`."""

    files: dict[str, bytes]

    def __init__(self, *args: Any, files: dict[str, bytes], **kwargs: Any) -> None:
        self.files = files
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        body = self.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path.endswith(".broken") else body)

    def log_message(self, *args: Any) -> None:
        """Stay silent."""


CUBE = gzip.compress(b"a cube" * 1000)
LABELS = b"labels"


@pytest.fixture
def server() -> Iterator[str]:
    files = {"/cube.mat": CUBE, "/labels.mat": LABELS, "/cube.broken": CUBE}
    shop = ThreadingHTTPServer(("127.0.0.1", 0), partial(Shop, files=files))
    Thread(target=shop.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{shop.server_port}"
    shop.shutdown()
    shop.server_close()


def known_at(cube: str, labels: str, *, sha256: str | None = None) -> Entry:
    return Entry(
        name="shop",
        title="Shop",
        description="",
        format="MATLAB",
        size="",
        origin="download",
        licence="",
        citation="",
        scenes=[{"cube": "shop/cube.mat", "labels": "shop/labels.mat"}],
        files=[
            {"path": "shop/cube.mat", "url": cube, "sha256": sha256},
            {"path": "shop/labels.mat", "url": labels},
        ],
        label_sets=[{"name": "labels"}],
    )


def everything_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_fetch_downloads_checks_and_keeps(
    server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], hears: Hears
) -> None:
    sha256 = hashlib.sha256(CUBE).hexdigest()
    known = known_at(f"{server}/cube.mat", f"{server}/labels.mat", sha256=sha256)
    located = fetch(known, tmp_path, watcher=hears)
    assert located.complete
    assert (tmp_path / "shop/cube.mat").read_bytes() == CUBE
    assert (tmp_path / "shop/labels.mat").read_bytes() == LABELS
    assert everything_in(tmp_path) == {"shop", "shop/cube.mat", "shop/labels.mat"}
    assert hears.steps[-1][1:] == (len(LABELS), len(LABELS))
    assert capfd.readouterr() == ("", "")


def test_what_is_downloaded_unasked_goes_to_the_cache_folder(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    known = known_at(f"{server}/cube.mat", f"{server}/labels.mat")
    data = locked(tmp_path / "data", monkeypatch)
    assert fetch(known, watcher=hears).folder == tmp_path / "cache"
    assert hears.said == [f"Shop: downloading into {tmp_path / 'cache'}, once"]
    assert not everything_in(data)
    fetch(known, watcher=hears)
    assert len(hears.said) == 1
    data.chmod(0o755)
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    assert fetch(known, to_data_folder=True, watcher=hears).folder == data
    assert everything_in(data) == {"shop", "shop/cube.mat", "shop/labels.mat"}
    assert not (tmp_path / "cache").exists()


def test_files_that_are_there_are_used_as_they_are(server: str, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/cube.mat").write_bytes(b"the user's own")
    fetch(known_at(f"{server}/nowhere", f"{server}/labels.mat", sha256="0" * 64), tmp_path)
    assert (tmp_path / "shop/cube.mat").read_bytes() == b"the user's own"
    assert (tmp_path / "shop/labels.mat").exists()


def test_a_wrong_checksum_leaves_nothing(server: str, tmp_path: Path) -> None:
    known = known_at(f"{server}/cube.mat", f"{server}/labels.mat", sha256="0" * 64)
    with pytest.raises(FetchError, match=r"cube\.mat.*sha256"):
        fetch(known, tmp_path)
    assert not everything_in(tmp_path)


@pytest.mark.parametrize(
    ("path", "message"), [("/other.mat", "404"), ("/cube.broken", "broke off")]
)
def test_a_file_that_is_not_there_or_breaks_off_leaves_nothing(
    server: str, tmp_path: Path, path: str, message: str
) -> None:
    with pytest.raises(FetchError, match=message):
        fetch(known_at(f"{server}{path}", f"{server}/labels.mat"), tmp_path)
    assert not everything_in(tmp_path)


def test_a_refused_connection_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/cube.mat"
    with pytest.raises(FetchError, match="no connection") as caught:
        fetch(known_at(url, url), tmp_path)
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not everything_in(tmp_path)


def test_a_place_that_cannot_be_written_is_said(server: str, tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("a file, not a folder")
    with pytest.raises(OutputError):
        fetch(known_at(f"{server}/cube.mat", f"{server}/labels.mat"), tmp_path)
