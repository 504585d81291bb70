"""Shapefiles in a ZIP: each a layer, read where it lies, or one sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.finding import find
from hsi_ssl.labels.pairing import label_files
from hsi_ssl.labels.vectors import beside, is_vector, layer_facts, layers_at, read_layer
from hsi_ssl.watcher import SILENT

Write = Callable[..., Path]
Zip = Callable[..., Path]
ALL = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@pytest.fixture
def zipped(tmp_path: Path, write_layer: Write) -> Iterator[Zip]:
    """Write a ZIP of shapefiles with so many features by their names in it."""

    def write(name: str, sets: dict[str, int], members: tuple[str, ...] = ALL) -> Path:
        folder = tmp_path / "made"
        folder.mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / name, "a", zipfile.ZIP_DEFLATED) as archive:
            for inside, n in sets.items():
                drawn = [shapely.box(i, 0, i + 1, 1) for i in range(n)]
                kinds = [f"kind {i}" for i in range(n)]
                write_layer(folder / "x.shp", drawn, {"kind": kinds}, kind="Polygon")
                for suffix in members:
                    archive.write(folder / f"x{suffix}", f"{inside}{suffix}")
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        return tmp_path / name

    yield write
    assert not any(p.suffix in ALL for p in tmp_path.iterdir()), "something was unpacked"


@pytest.mark.parametrize(
    "inside", ["roads", "in a folder/roads", "a/b/ROADS", "größe/Straße", "win\\dows\\roads"]
)
@pytest.mark.parametrize("name", ["labels.zip", "my {labels} (1).ZIP"])
def test_one_set_is_opened_by_its_zip(name: str, inside: str, zipped: Zip) -> None:
    path = zipped(name, {inside: 3})
    assert is_vector(path)
    facts = layer_facts(path)
    assert facts.name == inside.replace("\\", "/").rpartition("/")[2]
    assert facts.crs == "EPSG:32633"
    layer = read_layer(facts, "kind")
    assert layer.values is not None
    assert layer.values.tolist() == ["kind 0", "kind 1", "kind 2"]
    assert beside(path, ".classes.csv") == path.with_suffix(".classes.csv")


def test_names_as_old_windows_programs_write_them(zipped: Zip) -> None:
    path = zipped("labels.zip", {"StraXXe": 2})
    path.write_bytes(path.read_bytes().replace(b"StraXXe", b"Stra\xe1\x84e"))  # code page 437
    facts = layer_facts(path)
    assert facts.name == "Straßäe"
    assert len(read_layer(facts)) == 2


def test_one_of_several_is_named(zipped: Zip) -> None:
    path = zipped("labels.zip", {"in/roads": 1, "in/roofs": 2})
    with pytest.raises(VectorError, match=r"several layers: roads \(Polygon\), roofs .*:roads"):
        layer_facts(path)
    assert len(read_layer(layer_facts(Path(f"{path}:roofs")))) == 2
    assert len(read_layer(layer_facts(Path(f"{path}:roads")))) == 1
    with pytest.raises(VectorError, match=r"no layer walls .* it has roads \(Polygon\), roofs"):
        layer_facts(Path(f"{path}:walls"))


def test_sets_of_one_name_are_told_by_their_folders(zipped: Zip) -> None:
    path = zipped("labels.zip", {"north/roads": 1, "south/roads": 2, "roofs": 3})
    assert [facts.name for facts in layers_at(path)] == ["north/roads", "south/roads", "roofs"]
    assert len(read_layer(layer_facts(Path(f"{path}:south/roads")))) == 2


def test_members_may_be_missing(zipped: Zip) -> None:
    path = zipped("labels.zip", {"in/roads": 3}, (".shp", ".dbf"))
    before = path.read_bytes()
    facts = layer_facts(path)
    assert facts.missing == ("roads.shx", "roads.prj")
    layer = read_layer(facts, "kind")
    assert layer.values is not None
    assert layer.values.tolist() == ["kind 0", "kind 1", "kind 2"]
    assert path.read_bytes() == before


def test_what_macos_adds_is_no_set(zipped: Zip) -> None:
    path = zipped("labels.zip", {"roads": 2})
    with zipfile.ZipFile(path, "a") as archive:
        for suffix in ALL:
            archive.writestr(f"__MACOSX/._roads{suffix}", b"finder")
            archive.writestr(f"._roads{suffix}", b"finder")
    assert len(read_layer(layer_facts(path))) == 2


def test_shapes_that_are_not_there_are_named(zipped: Zip) -> None:
    path = zipped("labels.zip", {"in/roads": 2}, (".dbf", ".shx"))
    with pytest.raises(VectorError, match=r"expected in/roads\.shp in it, found in/roads\.dbf, in"):
        layer_facts(path)


def test_zips_of_other_things_are_no_layers_and_refused_as_labels(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.gpkg", b"")
    assert not is_vector(path)
    with pytest.raises(VectorError, match=r"expected a shapefile \(.*found x\.gpkg; .* unzip it"):
        label_files([path], "--labels")


def test_broken_and_encrypted_zips_are_told(zipped: Zip, tmp_path: Path) -> None:
    path = zipped("labels.zip", {"roads": 2})
    content = path.read_bytes()
    short = tmp_path / "short.zip"
    short.write_bytes(content[:200])
    with pytest.raises(VectorError, match=r"short\.zip is no ZIP or is broken"):
        layer_facts(short)
    locked = bytearray(content)
    at = locked.find(b"PK\x01\x02")
    while at >= 0:  # the flag of every entry of the directory
        locked[at + 8] |= 1
        at = locked.find(b"PK\x01\x02", at + 1)
    path.write_bytes(locked)
    with pytest.raises(VectorError, match="is encrypted; unzip it"):
        layer_facts(path)
    damaged = bytearray(content)
    damaged[40:60] = b"\xff" * 20
    path.write_bytes(damaged)
    with pytest.raises(VectorError, match=r"labels\.zip"):
        read_layer(layer_facts(path))


def test_a_zip_beside_a_scene_is_its_labels(zipped: Zip, write_cube: Write, tmp_path: Path) -> None:
    path = zipped("s_labels.zip", {"x": 1})
    assert label_files([tmp_path], "--labels") == {path: True}
    _, (found,) = find(str(write_cube(tmp_path / "s.tif")), None, SILENT)
    assert found.labels == path


@pytest.mark.parametrize(("suffix", "size"), [(".prj", 2**21), (".dbf", 2**28 + 1)])
def test_members_that_would_explode_are_refused(
    zipped: Zip, tmp_path: Path, suffix: str, size: int
) -> None:
    path = zipped("labels.zip", {"roads": 2}, tuple(s for s in ALL if s != suffix))
    piece = bytes(2**20)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(f"roads{suffix}", "w") as member:
            for _ in range(size // len(piece) + 1):
                member.write(piece)
    with pytest.raises(VectorError, match=rf"roads{suffix} would unpack from .*no shapefile does"):
        layers_at(path)
