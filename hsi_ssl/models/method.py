"""What extractors of features and classifiers share: a name, what rebuilds them, their options."""

from __future__ import annotations

import math
from dataclasses import MISSING, asdict, fields
from typing import Any, ClassVar

import torch
from torch import nn

from hsi_ssl.errors import ModelError
from hsi_ssl.models.networks import Architecture

IN_WORDS = {bool: "yes or no,", int: "a whole number", float: "a number", str: "a name"}


class Method(nn.Module):
    """A module with a title and a dataclass that rebuilds it.

    Fields of that dataclass that have a default are the method's own options, by the same names in
    the settings and in `--option`; those without come from the settings, and who has no use for
    one does not name it.
    """

    title: ClassVar[str]
    architecture_type: ClassVar[type[Architecture]]

    def __init__(self, architecture: Architecture, generator: torch.Generator) -> None:
        super().__init__()
        del generator  # subclasses draw their weights from it
        self.architecture: Any = architecture

    @classmethod
    def own_options(cls) -> dict[str, Any]:
        """The method's own options and their defaults."""
        declared = fields(cls.architecture_type)
        return {field.name: field.default for field in declared if field.default is not MISSING}


def architecture_of(
    kind: type[Method], settings: dict[str, Any], options: dict[str, Any]
) -> tuple[Architecture, list[str]]:
    """The architecture that settings and options ask for, and the settings that it has no use for.

    Raises
    ------
    ModelError
        It has no option of that name, or its value is of another type or not finite.
    """
    declared, own = [field.name for field in fields(kind.architecture_type)], kind.own_options()
    for name, value in options.items():
        if name not in own:
            known = f"it has {', '.join(own)}" if own else "it has none"
            raise ModelError(f"{kind.title} has no option {name}: {known}")
        default = own[name]
        fits = isinstance(value, (int, float) if isinstance(default, float) else type(default))
        if not fits or isinstance(value, bool) != isinstance(default, bool):
            raise ModelError(
                f"option {name} of {kind.title} is {IN_WORDS[type(default)]} such as {default}, "
                f"not {value!r}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ModelError(f"option {name} of {kind.title} is {value}; give a finite number")
    taken = {name: settings[name] for name in declared if name in settings}
    unused = [name for name in settings if name not in declared]
    try:
        return kind.architecture_type(**taken, **options), unused
    except ValueError as error:
        raise ModelError(f"{kind.title}: {error}") from error


def differing(one: Architecture, other: Architecture) -> list[str]:
    """What is not the same in two architectures, by the names of the settings."""
    ours, theirs = asdict(one), asdict(other)
    names = dict.fromkeys([*ours, *theirs])
    return [name for name in names if name not in ours or ours[name] != theirs.get(name)]
