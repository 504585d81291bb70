"""Which field of a drawn layer names the class: by its name, its type, or the values in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hsi_ssl.errors import HsiSslError, LabelError
from hsi_ssl.labels.forms.shape_sets import FIELDS
from hsi_ssl.labels.layer_classes import BY_LAYER
from hsi_ssl.labels.layers import LayerFacts, listed
from hsi_ssl.labels.vectors import read_layer
from hsi_ssl.watcher import SILENT, Watcher

TYPES = {
    "OFTString": "text",
    "OFTInteger": "whole numbers",
    "OFTInteger64": "whole numbers",
    "OFTReal": "numbers",
}
"""Types of fields that may name a class, as GDAL and as we call them."""
NUMBERS = {"fid", "id", "gid", "ogc_fid", "objectid", "uuid"}
"""Fields that number features."""
CLASS_FIELDS = {"class", "label", "code"}
"""A field of such a name is the class, whatever others there are."""
MOST_CLASSES = 200
"""Different values of a field that may name the class."""


def class_field(
    facts: LayerFacts, asked: str | None, watcher: Watcher = SILENT, *, alone: bool = True
) -> str:
    """The field that names the class: the one asked for, else the only one that may.

    Case counts only where fields differ by nothing else. A field called class, label or code is
    taken before others; one that numbers features only where there is nothing else. Of several
    their values tell, of a layer that is `alone`: of others a field may hold one class.

    Raises
    ------
    LabelError
        There is no such field, or several that may; those that there are are named.
    """
    there = ", ".join(f"{name} ({TYPES.get(kind, kind)})" for name, kind in facts.fields.items())
    if not there:
        raise LabelError(_no_fields(facts))
    there = f"it has {there}"
    if asked is not None:
        same = [name for name in facts.fields if name.lower() == asked.lower()]
        if asked not in same and len(same) != 1:
            raise LabelError(
                f"{facts.path} has no field {asked}; {there}: name the one that holds the class "
                "with --label-field"
            )
        found = asked if asked in same else same[0]
        if facts.fields[found] not in TYPES:
            raise LabelError(
                f"{facts.path}: field {found} holds neither text nor numbers; {there}: name "
                "another with --label-field"
            )
        return found
    usable = [name for name, kind in facts.fields.items() if kind in TYPES]
    whole = [name for name in usable if facts.fields[name] != "OFTReal"]
    proper = [name for name in whole if name.lower() not in NUMBERS]
    called = [name for name in whole if name.lower() in CLASS_FIELDS]
    for some in (called, proper, whole, usable):
        if len(some) == 1:
            watcher.say(f"{facts.path}: the field {some[0]} names the class")
            return some[0]
        if some:
            break
    told = different_values(facts, some) if alone else {}
    # Numbers that are never twice the same count features, as ids do.
    told = {
        name: values
        for name, values in told.items()
        if facts.fields[name] == "OFTString" or len(values) < facts.features
    }
    if len(told) == 1:
        (name,) = told
        watcher.say(
            f"{facts.path}: the field {name} names the class: of {listed(some, len(some))} only "
            f"its values may, 2 to {MOST_CLASSES} that do not just count"
        )
        return name
    raise LabelError(
        f"{facts.path}: expected one field that may name the class; {there}: name it with "
        "--label-field"
    )


def _no_fields(facts: LayerFacts) -> str:
    by_layer = f"give --label-field {BY_LAYER}, by which its name is the class"
    lost = next((name for name in facts.missing if name.lower().endswith(FIELDS)), None)
    if lost is not None:
        return (
            f"{facts.path}: there is no {lost}, which holds the fields, expected one with the "
            f"class; put it beside, or {by_layer}"
        )
    return f"{facts.path} has no fields; expected one that holds the class: add it, or {by_layer}"


def different_values(facts: LayerFacts, names: Sequence[str]) -> dict[str, list[str]]:
    """The different values, as text, of those of the fields that may tell features apart."""
    found = {}
    for name in names:
        try:
            values = read_layer(facts, name).values
        except HsiSslError:
            continue
        known = [v for v in ([] if values is None else values) if v is not None]
        texts = [str(v) for v in known if not (isinstance(v, float) and np.isnan(v))]
        different = np.unique(texts).tolist()
        if 1 < len(different) <= MOST_CLASSES:
            found[name] = different
    return found
