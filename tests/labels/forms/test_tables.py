"""Points in tables, and what tells where they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rasterio.transform import Affine
from rasterio.warp import transform

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms import tables
from hsi_ssl.labels.sources import resolve
from hsi_ssl.labels.vectors import layers_at

Write = Callable[..., Path]
GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)
PLACES = [(2, 3, "oak"), (7, 20, "pine"), (15, 9, "oak")]


def ground(row: float, col: float) -> tuple[float, float]:
    x, y = GRID @ (col + 0.5, row + 0.5)
    return float(x), float(y)


def degrees(row: float, col: float) -> tuple[float, float]:
    x, y = ground(row, col)
    lon, lat = transform("EPSG:32632", "EPSG:4326", [x], [y])
    return float(lon[0]), float(lat[0])


LINES: dict[str, tuple[str, Callable[[int, int], str]]] = {
    "lon,lat": (
        "id,Longitude (deg),Latitude,class",
        lambda r, c: "{:.8f},{:.8f}".format(*degrees(r, c)),
    ),
    "easting": ("id;Easting;Northing;class", lambda r, c: "{:.1f};{:.1f}".format(*ground(r, c))),
    "row": ("id\tcol\trow\tclass", lambda r, c: f"{c}\t{r}"),
    "xy on the map": ("id,x,y,class", lambda r, c: "{},{}".format(*ground(r, c))),
    "xy of pixels": ("id,x,y,class", lambda r, c: f"{c + 0.5},{r + 0.5}"),
    "decimal commas": (
        "id;easting;northing;class",
        lambda r, c: "{:.1f};{:.1f}".format(*ground(r, c)).replace(".", ","),
    ),
    "wkt": ("id,wkt_geom,class", lambda r, c: "Point ({} {})".format(*ground(r, c))),
}


@pytest.mark.parametrize("kind", LINES)
def test_points_lie_where_their_columns_say(
    kind: str, tmp_path: Path, write_scene: Write, hears: Any
) -> None:
    head, values = LINES[kind]
    between = next(d for d in "\t;," if d in head)
    lines = [between.join([str(i), values(r, c), n]) for i, (r, c, n) in enumerate(PLACES)]
    path = tmp_path / "p.csv"
    path.write_text("\n".join([head, *lines, ""]), encoding="utf-8-sig")
    assert tables.takes(path)
    with resolve([str(write_scene("s.tif"))], labels=[path], watcher=hears) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        names = dict(zip(sources.label_set.codes.tolist(), sources.label_set.names, strict=True))
        seen = {(r, c): names[int(found[r, c])] for r, c, _ in PLACES}
        assert seen == {(r, c): n for r, c, n in PLACES}
        assert (found > 0).sum() == len(PLACES)
    assert "taken as" in hears.all or kind == "wkt"


def test_what_is_no_table_of_points(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "1,2,3\n4,5,6\n"), ("b.csv", "code,name,colour\n1,a,#ffffff\n"),
        ("c.txt", ""), ("d.csv", "wavelength\n400\n"), ("e.csv", "Y_label,class\n1,2\n"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        assert not tables.takes(tmp_path / name), name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lon,lat,class\n400000,50,a\n", "line 2: longitude 400000"),
        ("lon,lat,class\n9,50,a,extra\n", "line 2: 4 values, expected 3"),
        ("lon,lat,class\nnine,50,a\n", "line 2: 'nine' is no coordinate"),
        ("easting,northing,x,y,class\n1,2,3,4,a\n", "several pairs of coordinates"),
        ("wkt,class\nPOINT (1,a\n", "WKT that is broken"),
    ],
)
def test_bad_tables_are_one_sentence(
    text: str, told: str, tmp_path: Path, write_scene: Write
) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(VectorError, match=told):
        resolve([str(write_scene("s.tif"))], labels=[path])


def test_x_and_y_that_are_neither_are_refused(tmp_path: Path, write_scene: Write) -> None:
    path = tmp_path / "p.csv"
    path.write_text("x,y,class\n-5000,12,a\n-5001,13,b\n")
    with pytest.raises(VectorError, match="easting and northing"):
        resolve([str(write_scene("s.tif"))], labels=[path])


def test_old_ends_of_lines_and_endless_cells(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"row,col,class\r3,4,oak\r5,6,pine\r")
    (facts,) = layers_at(path)
    assert facts.features == 2
    path.write_text(f"row,col,class\n3,4,{'x' * 200_000}\n")
    with pytest.raises(VectorError, match="is no table"):
        layers_at(path)
