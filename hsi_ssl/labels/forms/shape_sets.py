"""Shapefiles are sets of files: which members one has, in a folder or a ZIP, how GDAL opens it.

GDAL wants all members under one name and suffixes in one case. A set that is not so, or that has no
`.shx`, is handed to it as a ZIP in memory, so that nothing is ever written beside the user's files.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.shx import restored
from hsi_ssl.labels.layers import listed

SHAPES, INDEX, FIELDS, CRS = ".shp", ".shx", ".dbf", ".prj"
READ = (SHAPES, INDEX, FIELDS, CRS, ".cpg")
"""Suffixes of members that GDAL reads; of the first four each is missed where it is not there."""
MEMBERS = {*READ, ".qpj", ".sbn", ".sbx"}
"""Suffixes by which a set may be named."""
ZIP = ".zip"
TEXTS = {CRS, ".cpg", ".qpj"}
LONGEST_TEXT = 2**20
"""Bytes of a member that is a text."""
LARGE, MOST_PACKED = 2**28, 500
"""Bytes of other members whatever they are packed to; beyond, times as many as packed."""
OF_FINDER = "__MACOSX"
"""Folder in ZIPs of macOS, whose files only look like members."""


@dataclass(frozen=True)
class ShapeSet:
    """One shapefile: `members` are names by suffix, in the folder of `file` or in the ZIP `file`.

    `name` is its layer's; the `.shp` is always there.
    """

    file: Path
    name: str
    members: Mapping[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the members that are not there and should be."""
        return tuple(
            self._called(suffix) for suffix in (INDEX, FIELDS, CRS) if suffix not in self.members
        )

    def source(self) -> str | bytes:
        """What GDAL opens: a name, or a ZIP in memory.

        Raises
        ------
        VectorError
            A member cannot be read, or there is no `.shx` and it cannot be restored.
        """
        if INDEX not in self.members or not self._conventional():
            return self._in_memory()
        if not _is_zip(self.file):
            return str(self.file.with_name(self.members[SHAPES]))
        return f"/vsizip/{{{self.file}}}/{self.members[SHAPES]}"

    def _conventional(self) -> bool:
        """Whether GDAL finds all members from the name of one."""
        names = [name for suffix, name in self.members.items() if suffix in READ]
        paths = [PurePosixPath(name) for name in names]
        if len({path.stem for path in paths}) > 1:
            return False
        if any("\\" in name for name in names):  # of programs that part folders so in ZIPs
            return False
        return all(p.suffix.islower() or p.suffix.isupper() for p in paths)

    def _in_memory(self) -> bytes:
        parts = {suffix: self._read(suffix) for suffix in READ if suffix in self.members}
        if INDEX not in parts:
            rows = int.from_bytes(parts[FIELDS][4:8], "little") if FIELDS in parts else None
            try:
                parts[INDEX] = restored(parts[SHAPES], rows)
            except ValueError as error:
                raise VectorError(
                    f"{self.file}: there is no {self._called(INDEX)}, and it cannot be restored "
                    f"({error}); put it beside {self.members[SHAPES]}, or save the layer again, as "
                    "GeoPackage say"
                ) from error
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for suffix, content in parts.items():
                archive.writestr(f"shapes{suffix}", content)
        return made.getvalue()

    def _read(self, suffix: str) -> bytes:
        name = self.members[suffix]
        try:
            if not _is_zip(self.file):
                return self.file.with_name(name).read_bytes()
            with zipfile.ZipFile(self.file) as archive:
                return archive.read(name)
        except (OSError, zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError) as error:
            raise VectorError(
                f"{self.file}: {name} cannot be read ({error}); copy or zip the shapefile again"
            ) from error

    def _called(self, suffix: str) -> str:
        """The name that a member that is not there would have."""
        shapes = PurePosixPath(self.members[SHAPES])
        return shapes.with_suffix(suffix.upper() if shapes.suffix.isupper() else suffix).name


def is_member(file: Path) -> bool:
    """Whether the name is that of a member of a shapefile."""
    return file.suffix.lower() in MEMBERS


def head(file: Path) -> Path:
    """The `.shp` of the set that a member names, whatever the case; `file` where there is none."""
    near = (SHAPES, SHAPES.upper())
    wanted = [file] if file.suffix in near else []
    for path in (*wanted, *map(file.with_suffix, near)):
        if path.is_file():
            return path
    there = _beside(file).get(SHAPES)
    return file if there is None else file.with_name(there)


def set_of(file: Path) -> ShapeSet:
    """The shapefile that a member names.

    Raises
    ------
    VectorError
        There is no `.shp`.
    """
    shapes = head(file)
    members = _beside(shapes)
    if shapes.suffix.lower() != SHAPES:
        raise VectorError(
            f"{file} lies without {file.stem}{SHAPES}, which holds the shapes; put the whole "
            f"shapefile ({', '.join(READ[:4])}) into one folder"
        )
    return ShapeSet(shapes, shapes.stem, {**members, SHAPES: shapes.name})


def sets_in(archive: Path) -> list[ShapeSet]:
    """The shapefiles in a ZIP, by their names, with their folders where two are called alike.

    Raises
    ------
    VectorError
        It is broken, encrypted, or holds no `.shp`.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not _is_of_finder(entry.filename)]
    except (OSError, zipfile.BadZipFile) as error:
        raise VectorError(
            f"{archive} is no ZIP or is broken ({error}); copy it again, or name the .shp"
        ) from error
    names = [entry.filename for entry in entries if not entry.is_dir()]
    groups: dict[str, list[str]] = {}
    for name in filter(_is_member_name, names):
        groups.setdefault(_stem(name).lower(), []).append(name)
    each = [_by_suffix(some) for some in groups.values()]
    whole = [members for members in each if SHAPES in members]
    if not whole:
        lone = [name for some in each for name in some.values()]
        found = listed(lone or names, len(lone or names)) or "nothing"
        lacking = f"{_stem(lone[0])}{SHAPES}" if lone else f"a shapefile ({', '.join(READ[:4])})"
        raise VectorError(
            f"{archive}: expected {lacking} in it, found {found}; zip the whole shapefile, or "
            "unzip it and name the file that holds labels"
        )
    if any(entry.flag_bits & 1 for entry in entries):
        raise VectorError(f"{archive} is encrypted; unzip it with its password and name the .shp")
    for entry in entries:
        if _is_member_name(entry.filename) and _explodes(entry):
            raise VectorError(
                f"{archive}: {entry.filename} would unpack from {entry.compress_size:,} to "
                f"{entry.file_size:,} bytes, which no shapefile does; zip it again"
            )
    stems = [_stem(members[SHAPES]) for members in whole]
    last = [stem.rpartition("/")[2] for stem in stems]
    return [
        ShapeSet(archive, short if last.count(short) == 1 else stem, members)
        for stem, short, members in zip(stems, last, whole, strict=True)
    ]


def _explodes(entry: zipfile.ZipInfo) -> bool:
    """Whether a member is larger than memory should hold, or than any of its kind."""
    if PurePosixPath(entry.filename).suffix.lower() in TEXTS:
        return entry.file_size > LONGEST_TEXT
    return entry.file_size > LARGE and entry.file_size > MOST_PACKED * entry.compress_size


def may_hold_sets(archive: Path) -> bool:
    """Whether members of shapefiles are in a ZIP; true of a broken one, which opening tells of."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except (OSError, zipfile.BadZipFile):
        return True
    wanted = {SHAPES, INDEX, FIELDS}
    return any(PurePosixPath(name).suffix.lower() in wanted for name in names)


def _beside(file: Path) -> dict[str, str]:
    """Names of the members in the folder of one of them."""
    if not file.parent.is_dir():
        return {}
    stem = file.stem.lower()
    alike = (p for p in sorted(file.parent.iterdir()) if p.stem.lower() == stem and is_member(p))
    # Where case is all that parts two sets, each has its own.
    return _by_suffix(p.name for p in sorted(alike, key=lambda p: p.stem != file.stem))


def _by_suffix(names: Iterable[str]) -> dict[str, str]:
    """Names by their suffixes in small letters, the first of each."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(PurePosixPath(name).suffix.lower(), name)
    return found


def _is_member_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in MEMBERS


def _stem(name: str) -> str:
    """Of a name in a ZIP, with its folders and without its suffix."""
    return re.sub(r"\.[^./]*$", "", name.replace("\\", "/"))


def _is_of_finder(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return OF_FINDER in parts or any(part.startswith("._") for part in parts)


def _is_zip(file: Path) -> bool:
    return file.suffix.lower() == ZIP
