"""What a sensor's product offers: how to know it, by any of its members, and how to open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import h5py

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import Asked
from hsi_ssl.scenes.listing import names_in, settled
from hsi_ssl.scenes.readers import hdf5_file
from hsi_ssl.scenes.scene import Scene

Overlap = Literal["both", "vnir", "swir"]
Quality = Literal["lenient", "strict"]


class Wanted(NamedTuple):
    """How a product is read.

    `overlap`: of which detector bands are used where two see the same wavelengths, `both` by
    default. `quality`: `lenient` leaves out pixels in which the product says that nothing, or
    nothing right, was measured; `strict` also those that it calls doubtful: clouds, their shadows,
    haze, cirrus, saturated ones. `variable`: the array that the user names, where one is. `asked`:
    what is known of the order of axes, for products that do not tell it.
    """

    overlap: Overlap = "both"
    quality: Quality = "lenient"
    variable: str | None = None
    asked: Asked = Asked()


@dataclass(frozen=True)
class Candidate:
    """A path that may be a product, or a member of one, and what tells: looked at only once."""

    path: Path

    @cached_property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.is_dir()

    @cached_property
    def folder(self) -> Path:
        """The folder, or that which the file lies in."""
        return self.path if self.is_folder else self.path.parent

    @cached_property
    def hdf5(self) -> frozenset[str]:
        """Full names, without the first slash, of all that an HDF5 file holds; none in others."""
        if self.is_folder:
            return frozenset()
        try:
            state = self.path.stat()
        except OSError:
            return frozenset()
        look = _names_in if settled(state.st_mtime_ns) else _names_in.__wrapped__
        return look(str(self.path.resolve()), state.st_mtime_ns, state.st_size)

    def members(self, pattern: str) -> list[Path]:
        """Files of its folder that a pattern such as `*-METADATA.XML` names, in any case."""
        wanted = pattern.lower()
        found = (name for name in names_in(self.folder) if fnmatchcase(name.lower(), wanted))
        return [path for name in found if (path := self.folder / name).is_file()]


@lru_cache(maxsize=4096)
def _names_in(path: str, changed: int, size: int) -> frozenset[str]:
    """Names in a file as it is now: several ask for them while it is opened."""
    del changed, size
    try:
        if not h5py.is_hdf5(path):
            return frozenset()
        with hdf5_file.opened(Path(path)) as file:
            return frozenset(hdf5_file.names_in(file))
    except (OSError, SceneError):  # whoever reads it says what is wrong
        return frozenset()


def alone(path: Path) -> Iterable[Path]:
    """No other files: what belongs to a cube lies within its file."""
    del path
    return ()


class Product(NamedTuple):
    """A product of a sensor.

    `main` gives the file that holds the cube of the product that a path names: its folder, its
    metadata or any member; None where it is none of this product. It raises `SceneError` where the
    product is meant but the file is not there, or several could be.
    `open_cube` opens that file. `variables`: names of arrays inside that a user may choose, each
    a product by itself; a choice of others leaves the file to the reader of its format. None: any.
    `turned`: whether the order of axes may be asked for. `detectors`: whether it tells whose bands
    are whose, so that `overlap` counts. `flags`: whether it has quality layers, or says itself
    where it lacks them. `members`: of the file of a cube the others that reading it depends on.
    """

    name: str
    main: Callable[[Candidate], Path | None]
    open_cube: Callable[[Path, Wanted], Scene]
    variables: tuple[str, ...] | None = ()
    turned: bool = False
    detectors: bool = False
    flags: bool = True
    members: Callable[[Path], Iterable[Path]] = alone
