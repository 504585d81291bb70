"""Settings checked: what may be chosen, and every mistake in one sentence of the user's words."""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from hsi_ssl.errors import SettingsError
from hsi_ssl.registry import Registry

S = TypeVar("S", bound=BaseModel)


class Settings(BaseModel):
    """What every stage's settings share: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def one_of(*registries: Registry[Any]) -> Any:
    """The type of a name in one of some registries, which `choices` finds again."""

    def known(name: str) -> str:
        if not any(name in registry for registry in registries):
            there = ", ".join(registry.in_words() for registry in registries)
            raise ValueError(f"no such {registries[0].what}; there are {there}")
        return name

    return Annotated[str, AfterValidator(known), registries]


def choices(settings: type[BaseModel], field: str) -> tuple[str, ...]:
    """The names that a setting may have, of a literal's or a registry's."""
    declared = settings.model_fields[field]
    waiting: list[Any] = [declared.annotation, *declared.metadata]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, tuple):
            return tuple(name for registry in found for name in registry)
        if get_origin(found) is Literal:
            return tuple(map(str, get_args(found)))
        waiting += get_args(found)
        waiting += getattr(found, "__metadata__", ())
    raise LookupError(f"{field} is no choice among names")


def checked(model: type[S], values: dict[str, Any], *, where: str) -> S:
    """`model` made of `values`, every mistake in one sentence of the user's words.

    Raises
    ------
    SettingsError
        Naming the place (`where`), the key and, for an unknown key, the nearest known one.
    """
    try:
        return model(**values)
    except ValidationError as error:
        raise SettingsError(
            f"{where}: " + "; ".join(_sentence(model, mistake) for mistake in error.errors())
        ) from None


def _sentence(model: type[BaseModel], mistake: Any) -> str:
    place = [str(part) for part in mistake["loc"]]
    name = ".".join(place)
    if mistake["type"] == "extra_forbidden":
        known = _fields(model, place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1)
        hint = f"did you mean {near[0]}?" if near else "known here: " + ", ".join(sorted(known))
        return f"unknown key {name}; {hint}"
    message = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "tuple_type":
        message = f"expected a list, such as [{json.dumps(str(mistake['input']))}]"
    return f"{name}: {message} (found {mistake['input']!r})" if name else message


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
