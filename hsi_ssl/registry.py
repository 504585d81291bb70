"""Things of one kind by name: ours, and those that other installed packages offer.

A package offers one by an entry point in the kind's group, `hsi_ssl.extractors` for example (Python
Packaging User Guide, "Entry points specification"):

    [project.entry-points."hsi_ssl.extractors"]
    my-extractor = "my_package.module:MyExtractor"

Nothing is imported before it is asked for, and other packages are looked for only where a name is
none of ours, or all names are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module, metadata
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from hsi_ssl.errors import SettingsError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Things of one kind, read-only; `own`: where ours are, as `module:attribute` or `module`.

    `carried`: likewise, of what only cards of runs name: `find` knows it, nobody is offered it.
    """

    def __init__(
        self,
        group: str,
        what: str,
        own: Mapping[str, str],
        *,
        carried: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.group, self.what, self._own, self._carried = group, what, own, carried
        self._loaded: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._others if name not in self._own)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._others

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def find(self, name: str) -> T:
        """That of a name, offered or carried.

        Raises
        ------
        SettingsError
            There is none of that name, or the package that offers it cannot be imported.
        """
        if not self.knows(name):
            raise SettingsError(f"{self.what} {name!r} is not known; take {self.in_words()}")
        try:
            return self[name]
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"{self.what} {name!r} cannot be loaded ({error}); install again the package that "
                f"offers it in {self.group}, or take {', '.join(self._own)}"
            ) from error

    def knows(self, name: str) -> bool:
        """Whether `find` would look for it: it is offered, or carried."""
        return name in self or name in self._carried

    def in_words(self) -> str:
        """All names, with commas between them."""
        return ", ".join(self)

    def _load(self, name: str) -> T:
        ours = {**self._carried, **self._own}
        if name in ours:
            module, _, attribute = ours[name].partition(":")
            found: Any = import_module(module)
            own: T = getattr(found, attribute) if attribute else found
            return own
        others = self._others
        if name not in others:
            raise KeyError(name)
        offered: T = others[name].load()
        return offered

    @cached_property
    def _others(self) -> dict[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=self.group)}
