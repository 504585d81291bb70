"""What extractors of features and classifiers share: a name, what rebuilds them, their options."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, ClassVar

import torch
from torch import nn

from hsi_ssl.errors import ModelError
from hsi_ssl.models.networks import Architecture


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
        It has no option of that name, or its value is of another type.
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
                f"option {name} of {kind.title} is a {type(default).__name__} such as {default}, "
                f"not {value!r}"
            )
    taken = {name: settings[name] for name in declared if name in settings}
    unused = [name for name in settings if name not in declared]
    try:
        return kind.architecture_type(**taken, **options), unused
    except ValueError as error:
        raise ModelError(f"{kind.title}: {error}") from error
