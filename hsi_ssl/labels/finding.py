"""Finding cubes and the labels that belong to them: by the catalog, or by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hsi_ssl.catalog.entries import Entry, entries, entry, fetch, recognise
from hsi_ssl.errors import CatalogError, SceneError, SceneNotFoundError
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.vectors import is_part, is_vector
from hsi_ssl.masks.codes import MASK_TAG
from hsi_ssl.scenes.envi_header import is_envi_header
from hsi_ssl.scenes.names import name_of
from hsi_ssl.scenes.products import product_at
from hsi_ssl.scenes.readers.envi import data_of
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.scenes.wavelengths import headers_beside
from hsi_ssl.watcher import Watcher

CUBES = {".h5", ".hdf5", ".he5", ".nc", ".mat", ".npy", ".tif", ".tiff", ".vrt", ".jp2"}
"""Suffixes that a folder is searched for; other files count where an ENVI header is beside."""
PICTURES = {".png", ".bmp", ".gif", ".asc", ".npz"}
"""Suffixes of rasters that may be labels but are no cubes."""
LABELS = re.compile(r"(.*?)[-_ .]*(labels?|gt|ground[-_ ]?truth|annotations?|mask)", re.IGNORECASE)
"""What labels are called: `scene_labels`, `Salinas_gt`, `labels`."""
REFERENCE = re.compile(r"(?:white|dark)+[-_ ]?ref(?:erence)?[-_ ]*(.*)", re.IGNORECASE)
"""What recordings of a white panel and of a closed shutter are called, beside those of a scene:
`WHITEREF_scene` and `DARKREF_scene` by Specim's cameras, `darkReference` by Headwall's."""
OUR_MAP = "_classes"
"""In the name of every class map that `hsi-ssl classify` writes: neither cube nor labels."""
OURS = re.compile(rb"hsi-ssl \d[\w.+-]*(?:\0|</MDI>)")
"""Our name as the software that made a raster: a map, features, a mosaic, called by the user."""
SIDE = (
    ".aux.xml", ".ovr", ".msk", ".tfw", ".qml", ".qmd", ".prj", ".cpg", ".csv", ".png", ".jpg",
    ".txt", ".md", ".pdf", ".html",
)  # fmt: skip
"""Endings of what lies beside rasters and layers: what GIS and hsi-ssl write, pictures, texts."""

HEAD = 2**16
"""Bytes at the beginning of a GeoTIFF in which GDAL puts its tags."""


@dataclass(frozen=True)
class Found:
    """A cube and where its labels lie; `searched`: met in a folder, so it may be no cube at all."""

    cube: Path
    known: Entry | None = None
    variable: str | None = None
    labels: Path | None = None
    labels_variable: str | None = None
    role: str | None = None
    searched: bool = False


class Finder:
    """Finds what sources hold; a folder of which many files are named is listed once."""

    def __init__(self, data_folder: Path | None, watcher: Watcher) -> None:
        """What is missing is fetched, into `data_folder` or else the cache folder."""
        self._data_folder, self._watcher = data_folder, watcher
        self._named_in = cache(_named_in)
        self._mains_in = cache(lambda folder: _mains(self._named_in(folder).cubes))

    def find(self, source: str) -> tuple[str, list[Found]]:
        """Title and cubes of one source: a catalog name, a folder, a file, a web address.

        A catalog name wins over a path; `./name` is always a path.

        Raises
        ------
        SceneNotFoundError
            There is nothing of that name, or no cube in the folder.
        CatalogError, FetchError, OutputError
            The data set cannot be had.
        """
        path = Path(source)
        if source in entries():
            if path.exists():
                self._watcher.say(
                    f"{source} is the catalog's; ./{source} would be the one in this folder"
                )
            return _from_catalog(entry(source), self._data_folder, self._watcher)
        if is_virtual(path):
            return name_of(path), [_recognised(path, searched=False)]
        if path.is_dir() and product_at(path) is None:
            named = self._named_in(path)
            found, lost = _in_folder(path, named), links_to_nothing(path)
            if not found:
                links = f", only {links_in_words(lost)}" if lost else ""
                raise SceneNotFoundError(
                    f"no cube in the folder {path}{links}; name a folder with cubes"
                )
            if lost:
                self._watcher.warn(f"left out: {links_in_words(lost)}")
            if named.references:
                self._watcher.say(_of_references(named.references))
            return path.resolve().name, found
        if path.exists():
            member = product_at(path)
            main = _data_of(path) if member is None else member.main
            return name_of(main), [self._beside(main)]
        if path.is_symlink():
            raise SceneNotFoundError(
                f"{links_in_words([path])}: bring that back, or name another file"
            )
        hint = "give a data set of `hsi-ssl catalog list`, a folder or files"
        if path.name == source:
            try:
                entry(source)
            except CatalogError as error:
                hint = str(error)
        raise SceneNotFoundError(f"there is no file or folder {source}; {hint}")

    def scenes_among(self, sources: Sequence[str]) -> list[str]:
        """The sources without files that lie beside others of them and are no scenes; told once.

        So `folder/*` is what the folder is. All are kept where no other of a file's folder remains.
        """
        kinds = {source: self._no_scene(source) for source in sources}
        folders = {Path(source).parent for source, kind in kinds.items() if kind is None}
        left = {s: kind for s, kind in kinds.items() if kind and Path(s).parent in folders}
        if left:
            each = [
                f"{listed(names, len(names))} ({kind})"
                for kind in dict.fromkeys(left.values())
                if (names := [Path(s).name for s, its in left.items() if its == kind])
            ]
            self._watcher.say(
                f"left out, since they are no scenes: {', '.join(each)}; name one alone to have it "
                "taken for one"
            )
        return [source for source in sources if source not in left]

    def _no_scene(self, source: str) -> str | None:
        """What a file is, by its name and by those beside it, that is no scene; None for others."""
        path = Path(source)
        if source in entries() or is_virtual(path) or not path.exists():
            return None
        if path.is_dir():
            return "vector layers" if is_vector(path) else None
        if OUR_MAP in path.name:
            return "class maps"
        if is_our_mask(path):
            return "masks"
        if path.name.lower().endswith(SIDE):
            return "files that go with others"
        main = _data_of(path)
        named = self._named_in(path.parent)
        if main in named.references:
            return "white or dark references"
        if main in named.cubes or _main_of(path) != path:
            return None
        if main in named.labels and _fits(named, main):
            return "labels"
        return "vector layers" if is_vector(path) or is_part(path) else None

    def references_in(self, folder: Path) -> list[Path]:
        """White and dark references that lie beside cubes of a folder, by their names."""
        return self._named_in(folder).references

    def _beside(self, path: Path) -> Found:
        """A file, with the labels that lie beside it; others are told by their names alone."""
        cubes, labels, _ = self._named_in(path.parent)
        found = _recognised(path, searched=False)
        if path.name not in {cube.name for cube in cubes}:
            return found
        bare = not all(labels.values())  # called `labels` and no more
        return _paired(found, labels, alone=bare and len(self._mains_in(path.parent)) == 1)


def _data_of(path: Path) -> Path:
    """The data of a header, since both name one cube; else, or where there is none, itself."""
    with suppress(SceneError, SceneNotFoundError):  # who opens it says what is wrong
        return data_of(path)
    return path


def find(source: str, data_folder: Path | None, watcher: Watcher) -> tuple[str, list[Found]]:
    """Title and cubes of one source, as `Finder.find`."""
    return Finder(data_folder, watcher).find(source)


def named_again(source: str, found: Found) -> str:
    """What a cube that a source holds is found again by: the catalog's name, else its file."""
    return source if source in entries() else str(found.cube)


def _from_catalog(
    known: Entry, data_folder: Path | None, watcher: Watcher
) -> tuple[str, list[Found]]:
    there = fetch(known, data_folder, watcher=watcher)
    return known.title, [
        Found(
            there.folder / scene.cube,
            known,
            scene.variable,
            there.folder / scene.labels if scene.labels else None,
            scene.labels_variable,
            scene.role,
        )
        for scene in there.scenes
    ]


def _of_references(references: list[Path]) -> str:
    names = listed([path.name for path in references], len(references))
    return (
        f"left out: {names}, called white or dark references, which are no scenes; the others are "
        "read as they are, without them: where these hold raw counts, calibrate them first"
    )


def links_to_nothing(folder: Path) -> list[Path]:
    """Links in a folder whose files are gone, or on a disk that is not there now."""
    return sorted(p for p in folder.iterdir() if p.is_symlink() and not p.exists())


def links_in_words(links: list[Path]) -> str:
    """What they are, and where they lead."""
    each = (f"{path.name} -> {os.readlink(path)}" for path in links)
    one = len(links) == 1
    what = "a link to what is not there" if one else "links to what is not there"
    return f"{what}, {listed(each, len(links))}"


def _in_folder(folder: Path, named: Named) -> list[Found]:
    """The cubes in a folder, each with its labels, and the products in folders of their own in it.

    Other files are left alone, those that are members of a product beside its cube among them.
    """
    cubes, labels = _mains(named.cubes), named.labels
    inside = [_main_of(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    return [
        _paired(_recognised(path, searched=True), labels, alone=len(cubes) == 1) for path in cubes
    ] + [_recognised(path, searched=True) for path in inside if path is not None]


class Named(NamedTuple):
    """Files of a folder by their names.

    `cubes`: those that may be; `labels`, with what their names say of their scenes; `references`:
    white and dark ones that were recorded with a cube.
    """

    cubes: list[Path]
    labels: dict[Path, str]
    references: list[Path]


def _named_in(folder: Path) -> Named:
    files = [path for path in files_in(folder) if not is_our_mask(path)]
    cubes = [path for path in files if _may_be_cube(path)]
    layers = _layers_among(files)
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    may_be = dict.fromkeys(cubes + layers + pictures)
    labels = {path: stem for path in may_be if (stem := _labels_of(path)) is not None}
    cubes = [path for path in cubes if path not in labels]
    names = {path.stem.lower() for path in cubes}
    references = [path for path in cubes if _is_reference(path, names)]
    return Named([path for path in cubes if path not in references], labels, references)


def files_in(folder: Path) -> list[Path]:
    """Files of a folder, and folders that are one file to their users: geodatabases."""
    return sorted(p for p in folder.iterdir() if p.is_file() or is_vector(p))


def labels_in(folder: Path) -> list[Path]:
    """Files of a folder that may be labels: those called so, then other vector layers."""
    called = list(_named_in(folder).labels)
    layers = _layers_among(files_in(folder))
    return list(dict.fromkeys(called + layers))


def _fits(named: Named, labels: Path) -> bool:
    """Whether labels are those of a cube beside them by their name, or may be of any."""
    stem = named.labels[labels].lower()
    return not stem or any(_begins(cube.name.lower(), stem) for cube in named.cubes)


def shared_labels(cubes: Iterable[Path]) -> list[Path]:
    """Files beside cubes that are called `labels` and no more, so that they may be for all."""
    folders = dict.fromkeys(cube.parent for cube in cubes if not is_virtual(cube))
    return [
        path for folder in folders for path, stem in _named_in(folder).labels.items() if not stem
    ]


def _layers_among(files: list[Path]) -> list[Path]:
    """Vector layers, each by the file that stands for it."""
    whole = [path for path in files if not is_part(path) and path.suffix.lower() != ".json"]
    return [path for path in whole if is_vector(path)]


def _is_reference(path: Path, names: set[str]) -> bool:
    """Whether a file is called a reference of another one, or of all that lie beside it."""
    match = REFERENCE.fullmatch(path.stem)
    return match is not None and len(names) > 1 and match[1].lower() in {"", *names}


def _mains(cubes: list[Path]) -> list[Path]:
    """Those that are no mere members of a product."""
    return [path for path in cubes if _main_of(path) == path]


def _main_of(path: Path) -> Path | None:
    """The cube of the product that is at a path or that it is a member of; else a file itself."""
    itself = path if path.is_file() else None
    try:
        member = product_at(path)
    except SceneError:  # who opens it says what is wrong
        return itself
    return itself if member is None else member.main


def _recognised(path: Path, *, searched: bool) -> Found:
    known = recognise(path)
    if known is None:
        return Found(path, searched=searched)
    labels = path.with_name(Path(known[1].labels).name) if known[1].labels else None
    there = labels is not None and labels.exists()
    return Found(
        path,
        known[0],
        known[1].variable,
        labels if there else None,
        known[1].labels_variable if there else None,
        known[1].role,
        searched,
    )


def _paired(found: Found, labels: dict[Path, str], *, alone: bool) -> Found:
    """`found` with the labels whose name, less the word for labels, begins the cube's name.

    Labels called `labels` and no more belong to the only cube of a folder; a raster goes before a
    vector file.
    """
    if found.labels is not None:
        return found
    name = found.cube.name.lower()
    fit = [path for path, stem in labels.items() if _begins(name, stem.lower())]
    if not fit and alone:
        fit = [path for path, stem in labels.items() if not stem]
    if not fit:
        return found
    longest = max(fit, key=lambda path: (len(labels[path]), not is_vector(path)))
    return Found(**{**vars(found), "labels": longest})


def _begins(name: str, stem: str) -> bool:
    """Whether `stem` is a whole part at the beginning of `name`: s1 begins s1.tif, not s10.tif."""
    if not stem or not name.startswith(stem):
        return False
    return not (name[len(stem) :][:1].isalnum() and stem[-1].isalnum())


def _labels_of(path: Path) -> str | None:
    """What the name of labels says of their scene (nothing: ""), None for other files."""
    if path.name.endswith(("labels-idx1-ubyte", "labels-idx1-ubyte.gz")):
        return path.name.split("labels")[0]
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    match = LABELS.fullmatch(plain.stem)
    return match[1] if match else None


def _may_be_cube(path: Path) -> bool:
    if path.name.startswith(".") or OUR_MAP in path.name or path.suffix.lower() == ".hdr":
        return False
    if path.suffix.lower() in {".tif", ".tiff", ".vrt"} and _is_ours(path):
        return False
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix.lower() in CUBES or plain.name.endswith("-ubyte"):
        return True
    return any(map(is_envi_header, headers_beside(plain)))


def _is_ours(path: Path) -> bool:
    """Whether a raster is what `classify`, `features` and the like made of a scene."""
    with path.open("rb") as file:
        return OURS.search(file.read(HEAD)) is not None


def is_our_mask(path: Path) -> bool:
    """Whether a file is a mask of `hsi-ssl mask`, or lies beside one as its picture or legend.

    It tells which pixels to look at, not what they are: neither a cube nor labels.
    """
    suffix = path.suffix.lower()
    if suffix in {".png", ".csv"}:
        return any(is_our_mask(path.with_suffix(tif)) for tif in (".tif", ".tiff"))
    if suffix not in {".tif", ".tiff"} or not path.is_file():
        return False
    with path.open("rb") as file:
        return f'name="{MASK_TAG}"'.encode() in file.read(HEAD)
