"""The command that makes a dataset again, from what it says of itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from hsi_ssl.settings import PrepareSettings

PLACES = ("sources", "labels", "classes", "train_labels", "test_labels", "wavelengths", "mask",
          "mask_out", "privileged")  # fmt: skip
"""Settings that say where files lie, as they were given."""

LISTS = ("exclude", "ignore_codes")
"""Settings whose option takes all values at once, with commas between them."""


def asked_of(settings: PrepareSettings) -> dict[str, Any]:
    """What a dataset keeps of the places that were given, those that were not left out.

    Sources in the order of their names, and what is given one a source with them: a dataset does
    not depend on the order in which they came.
    """
    told = settings.model_dump(mode="json", include=set(PLACES))
    sources = told["sources"]
    order = sorted(range(len(sources)), key=lambda i: str(sources[i]))
    for name, value in told.items():
        if isinstance(value, list) and len(value) == len(sources):
            told[name] = [value[i] for i in order]
    return {name: value for name, value in told.items() if value not in (None, [], "")}


def prepare_command(meta: dict[str, Any], output: Path) -> str | None:
    """`hsi-ssl prepare ...` in one line, None of a dataset that was not made by it."""
    asked = meta.get("asked")
    if not asked:
        return None
    told = {**meta["settings"], **{name: asked[name] for name in PLACES if name in asked}}
    words = ["hsi-ssl", "prepare", *map(str, asked.get("sources", ()))]
    for name, value in told.items():
        field = PrepareSettings.model_fields.get(name)
        if name == "sources" or field is None or value in (None, [], ()):
            continue
        default = field.get_default(call_default_factory=True)
        if value == default or (isinstance(default, tuple) and value == list(default)):
            continue
        option = f"--{name.replace('_', '-')}"
        if name in LISTS:
            words += [option, ",".join(map(str, value))]
        elif isinstance(value, list):
            for each in value:
                words += [option, str(each)]
        elif value is True:
            words.append(option)
        else:
            words += [option, str(value)]
    return shlex.join([*words, "-o", str(output), "--overwrite"])
