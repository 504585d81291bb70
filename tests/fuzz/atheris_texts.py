"""Texts that reach new lines of the parsers, until one raises what is none of our errors.

    pip install 'hsi-ssl[fuzz]'
    python tests/fuzz/atheris_texts.py "ENVI header" -max_total_time=300

The first argument is a parser of `PARSERS`, the others are libFuzzer's.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("helpers", "scenes/writers")]

with atheris.instrument_imports(include=["hsi_ssl"]):
    from hsi_ssl import json_text
    from hsi_ssl.cells import records_of
    from hsi_ssl.errors import HsiSslError
    from hsi_ssl.labels.class_codes import remembered
    from hsi_ssl.labels.legends import legend_file
    from hsi_ssl.labels.qgis_styles import layer_style, palette, xml_root
    from hsi_ssl.labels.vectors import is_vector, layers_at
    from hsi_ssl.libraries.reading import open_library
    from hsi_ssl.scenes.envi_header import read_header, turned_grid
    from hsi_ssl.scenes.opening import open_scene
    from hsi_ssl.scenes.wavelength_tables import csv_facts
    from hsi_ssl.settings import load_project

FOLDER = Path(tempfile.mkdtemp(prefix="atheris-"))


def header(path: Path) -> None:
    """An ENVI header, and a scene that it tells of."""
    turned_grid(read_header(path).get("map info", ""))
    path.with_suffix(".img").write_bytes(bytes(4096))
    with open_scene(path) as scene:
        scene.read(slice(0, 2), slice(0, 2))


def layers(path: Path) -> None:
    """A file of drawn labels."""
    if is_vector(path):
        layers_at(path)


def style(path: Path) -> None:
    """A style of QGIS."""
    root = xml_root(path.read_text("utf-8", "replace"), path.name)
    palette(root)
    layer_style(root, "class")


def plain(path: Path) -> None:
    """JSON and a table, as any file is read."""
    text = path.read_bytes()
    with contextlib.suppress(ValueError):
        json_text.parsed(text)
    with contextlib.suppress(ValueError):
        records_of(text.decode("latin-1").splitlines())


PARSERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "ENVI header": ("s.hdr", header),
    "wavelengths": ("w.csv", lambda path: csv_facts(path, 3)),
    "settings": ("s.toml", load_project),
    "codes": ("c.csv", lambda path: remembered([path])),
    "legend": ("l.csv", legend_file),
    "style": ("l.qml", style),
    "library": ("l.csv", open_library),
    "points": ("p.csv", layers),
    "regions": ("r.txt", layers),
    "shapes": ("l.json", layers),
    "plain": ("a.txt", plain),
}


def seeds(folder: Path, suffix: str) -> Path:
    """Valid files of that ending, to begin with."""
    from corpus_labels import labels, libraries
    from corpus_runs import PROJECT
    from corpus_scenes import scenes

    folder.mkdir()
    for i, case in enumerate([*labels(), *libraries(), *scenes()]):
        if case.name.startswith(("GeoTIFF", "COG", "Zarr")):
            continue
        made = folder.parent / f"made-{i}"
        made.mkdir()
        case.write(made)
        for path in made.rglob(f"*{suffix}"):
            (folder / f"{i}-{path.name}").write_bytes(path.read_bytes())
    if suffix == ".toml":
        (folder / "project").write_text(PROJECT)
    return folder


def main() -> None:
    """Fuzz one parser."""
    name = sys.argv.pop(1)
    file, read = PARSERS[name]
    path = FOLDER / file
    sys.argv.append(str(seeds(FOLDER / "seeds", path.suffix)))

    def one(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(HsiSslError):
            read(path)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
